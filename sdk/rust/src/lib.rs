//! Write a Stheno provider in Rust: implement two traits, export the type, and
//! ship the one `.wasm` that cargo builds. The host runs it in a sandbox; it
//! reaches nothing but what its operator granted.
//!
//! A whole cache provider:
//!
//! ```
//! use std::collections::HashMap;
//!
//! use serde::Deserialize;
//! use stheno_sdk::cache::{Cache, Entry, Hit};
//! use stheno_sdk::{Description, Duration, Error, Glob, Instances, Lifecycle, Result, clock, options};
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields, default)]
//! struct Options {
//!     ttl: Duration,
//! }
//!
//! impl Default for Options {
//!     fn default() -> Self {
//!         Self { ttl: Duration::from_secs(30) }
//!     }
//! }
//!
//! struct Tiny {
//!     ttl: Duration,
//!     entries: HashMap<String, (Vec<u8>, u64)>,
//! }
//!
//! impl Lifecycle for Tiny {
//!     fn describe() -> Description {
//!         Description::new("cache-tiny", env!("CARGO_PKG_VERSION"), Instances::One, &["matching"])
//!     }
//!
//!     fn start(options: &str) -> Result<Self> {
//!         let Options { ttl } = options::parse(options)?;
//!         Ok(Self { ttl, entries: HashMap::new() })
//!     }
//! }
//!
//! impl Cache for Tiny {
//!     fn get(&mut self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>> {
//!         let now = clock::monotonic_ms();
//!         let live = |key| self.entries.get(key).filter(|entry| now < entry.1);
//!         Ok(keys.iter().map(|key| live(key).map(|entry| entry.0.clone())).collect())
//!     }
//!
//!     fn set(&mut self, entries: Vec<Entry>) -> Result<()> {
//!         let now = clock::monotonic_ms();
//!         for entry in entries {
//!             let ttl = entry.ttl_ms.unwrap_or(self.ttl.as_millis());
//!             self.entries.insert(entry.key, (entry.value, now.saturating_add(ttl)));
//!         }
//!         Ok(())
//!     }
//!
//!     fn delete(&mut self, keys: Vec<String>) -> Result<()> {
//!         keys.iter().for_each(|key| drop(self.entries.remove(key)));
//!         Ok(())
//!     }
//!
//!     fn clear_matching(&mut self, pattern: String) -> Result<()> {
//!         let glob = Glob::new(&pattern);
//!         self.entries.retain(|key, _| !glob.matches(key));
//!         Ok(())
//!     }
//!
//!     // `describe` leaves the feature `tags` out.
//!     fn get_by_tags(&mut self, _: Vec<String>) -> Result<Vec<Hit>> {
//!         Err(Error::Unsupported("cache-tiny has no tags".to_owned()))
//!     }
//!
//!     fn clear_tags(&mut self, _: Vec<String>) -> Result<()> {
//!         Err(Error::Unsupported("cache-tiny has no tags".to_owned()))
//!     }
//! }
//!
//! stheno_sdk::export_cache_provider!(Tiny);
//! ```
//!
//! Build it as a `cdylib` for `wasm32-wasip2`; `template/` next to this crate
//! is a folder to copy.
//!
//! Two habits make a provider easy to test: keep its logic in a module that
//! takes the time as an argument and does not call the host (then plain
//! `cargo test` runs it), and parse options into types once, in `start`.
//!
//! What belongs here is what every provider needs: the traits and their
//! exports, options, units, globs, log, clock, store, Redis, SQL, objects and
//! requests over HTTP.
//! What only one provider needs belongs to that provider.

pub mod analytics;
#[doc(hidden)]
pub mod bindings;
pub mod cache;
pub mod events;
pub mod files;
mod glob;
mod host;
pub mod http;
pub mod locking;
pub mod notifications;
pub mod objects;
pub mod options;
#[doc(hidden)]
pub mod provider;
pub mod redis;
pub mod sql;
pub mod store;
mod units;
pub mod workflows;

pub use glob::Glob;
pub use host::{clock, folders, log, streams};
pub use provider::{Description, Error, Instances, Lifecycle, Result};
pub use units::{Duration, Size, Whole};

/// Exports the part that all providers share; the export macro of a module
/// does this too. Alone it makes a component that serves no module.
#[macro_export]
macro_rules! export_lifecycle {
    ($provider:ty) => {
        const _: () = {
            impl $crate::provider::Hosted for $provider {
                fn slot() -> &'static ::std::thread::LocalKey<::std::cell::RefCell<::std::option::Option<Self>>> {
                    ::std::thread_local! {
                        static SLOT: ::std::cell::RefCell<::std::option::Option<$provider>> =
                            const { ::std::cell::RefCell::new(::std::option::Option::None) };
                    }
                    &SLOT
                }
            }
            type Exported = $crate::provider::Component<$provider>;
            $crate::bindings::base::export_base_world!(Exported with_types_in $crate::bindings::base);
        };
    };
}
