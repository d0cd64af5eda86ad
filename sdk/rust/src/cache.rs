//! The cache module: implement [`Cache`], then
//! [`export_cache_provider!`](crate::export_cache_provider).
//!
//! What each function guarantees is written in the contract,
//! `wit/deps/cache/cache.wit`; the short form is repeated here.

use crate::bindings::cache::exports::stheno::cache::cache as wit;
use crate::provider::{Component, Hosted, Lifecycle, Result};

pub use wit::{Entry, Hit};

/// A provider of the cache module. The host has checked the sizes of keys,
/// tags and values before a call comes here.
pub trait Cache: Lifecycle {
    /// The values in the order of the keys; `None` for a miss.
    ///
    /// # Errors
    ///
    /// A backend that cannot be reached is a miss and no error.
    fn get(&mut self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>>;

    /// Every entry with at least one of the tags, each once.
    ///
    /// # Errors
    ///
    /// `unsupported` without the feature `tags`.
    fn get_by_tags(&mut self, tags: Vec<String>) -> Result<Vec<Hit>>;

    /// Stores the entries in their order.
    ///
    /// # Errors
    ///
    /// After an error each entry may or may not be stored, never half.
    fn set(&mut self, entries: Vec<Entry>) -> Result<()>;

    /// Removes the keys; one that is not there is not an error.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn delete(&mut self, keys: Vec<String>) -> Result<()>;

    /// Removes every entry with at least one of the tags.
    ///
    /// # Errors
    ///
    /// `unsupported` without the feature `tags`.
    fn clear_tags(&mut self, tags: Vec<String>) -> Result<()>;

    /// Removes every entry whose whole key matches; see [`Glob`](crate::Glob).
    ///
    /// # Errors
    ///
    /// `unsupported` without the feature `matching`.
    fn clear_matching(&mut self, pattern: String) -> Result<()>;
}

impl<P: Cache + Hosted> wit::Guest for Component<P> {
    fn get(keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>> {
        P::call(|p| p.get(keys))
    }

    fn get_by_tags(tags: Vec<String>) -> Result<Vec<Hit>> {
        P::call(|p| p.get_by_tags(tags))
    }

    fn set(entries: Vec<Entry>) -> Result<()> {
        P::call(|p| p.set(entries))
    }

    fn delete(keys: Vec<String>) -> Result<()> {
        P::call(|p| p.delete(keys))
    }

    fn clear_tags(tags: Vec<String>) -> Result<()> {
        P::call(|p| p.clear_tags(tags))
    }

    fn clear_matching(pattern: String) -> Result<()> {
        P::call(|p| p.clear_matching(pattern))
    }
}

/// Makes the component export the cache world, served by the given type, which
/// implements [`Lifecycle`](crate::Lifecycle) and [`Cache`].
#[macro_export]
macro_rules! export_cache_provider {
    ($provider:ty) => {
        $crate::export_lifecycle!($provider);
        const _: () = {
            type Exported = $crate::provider::Component<$provider>;
            $crate::bindings::cache::export_cache_part!(Exported with_types_in $crate::bindings::cache);
        };
    };
}
