//! A cache provider that only answers questions: each key of a `get` is one.
//! Saves the components of the tests from spelling out the rest of the world.

use stheno_sdk::{Lifecycle, Result};

/// What a component of the tests does.
pub trait Answers: Lifecycle {
    /// The value for a key.
    ///
    /// # Errors
    ///
    /// Whatever the test wants to see at the caller.
    fn answer(&mut self, key: &str) -> Result<Option<Vec<u8>>>;
}

/// The value for something tried: what came of it, or the error's text.
#[must_use]
pub fn told<E: std::fmt::Display>(tried: std::result::Result<String, E>) -> Vec<u8> {
    tried.unwrap_or_else(|err| format!("error: {err}")).into_bytes()
}

/// Exports the type, which implements [`Lifecycle`] and [`Answers`], as a cache
/// provider without features that keeps nothing.
#[macro_export]
macro_rules! export_answers {
    ($provider:ty) => {
        impl ::stheno_sdk::cache::Cache for $provider {
            fn get(&mut self, keys: Vec<String>) -> ::stheno_sdk::Result<Vec<Option<Vec<u8>>>> {
                keys.iter().map(|key| $crate::Answers::answer(self, key)).collect()
            }

            fn get_by_tags(
                &mut self,
                _: Vec<String>,
            ) -> ::stheno_sdk::Result<Vec<::stheno_sdk::cache::Hit>> {
                Err(::stheno_sdk::Error::Unsupported("no tags here".to_owned()))
            }

            fn set(&mut self, _: Vec<::stheno_sdk::cache::Entry>) -> ::stheno_sdk::Result<()> {
                Ok(())
            }

            fn delete(&mut self, _: Vec<String>) -> ::stheno_sdk::Result<()> {
                Ok(())
            }

            fn clear_tags(&mut self, _: Vec<String>) -> ::stheno_sdk::Result<()> {
                Err(::stheno_sdk::Error::Unsupported("no tags here".to_owned()))
            }

            fn clear_matching(&mut self, _: String) -> ::stheno_sdk::Result<()> {
                Err(::stheno_sdk::Error::Unsupported("no patterns here".to_owned()))
            }
        }

        ::stheno_sdk::export_cache_provider!($provider);
    };
}
