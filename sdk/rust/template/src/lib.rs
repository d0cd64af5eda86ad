//! The seam to the host: options in, time read once per call, logic elsewhere.

mod store;

use serde::Deserialize;
use stheno_sdk::cache::{Cache, Entry, Hit};
use stheno_sdk::{
    Description, Duration, Error, Glob, Instances, Lifecycle, Result, clock, options,
};

use store::Store;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    ttl: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(30) }
    }
}

struct MyCache {
    store: Store,
}

impl Lifecycle for MyCache {
    fn describe() -> Description {
        // One instance, because the entries are in its memory.
        Description::new("my-cache", env!("CARGO_PKG_VERSION"), Instances::One, &["matching"])
    }

    fn start(options: &str) -> Result<Self> {
        let options: Options = options::parse(options)?;
        Ok(Self { store: Store::new(options.ttl.as_millis()) })
    }
}

impl Cache for MyCache {
    fn get(&mut self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>> {
        let now = clock::monotonic_ms();
        Ok(keys.iter().map(|key| self.store.get(key, now)).collect())
    }

    fn set(&mut self, entries: Vec<Entry>) -> Result<()> {
        let now = clock::monotonic_ms();
        entries.into_iter().for_each(|entry| self.store.set(entry, now));
        Ok(())
    }

    fn delete(&mut self, keys: Vec<String>) -> Result<()> {
        self.store.retain(|key| !keys.iter().any(|gone| gone == key));
        Ok(())
    }

    fn clear_matching(&mut self, pattern: String) -> Result<()> {
        let glob = Glob::new(&pattern);
        self.store.retain(|key| !glob.matches(key));
        Ok(())
    }

    fn get_by_tags(&mut self, _tags: Vec<String>) -> Result<Vec<Hit>> {
        Err(no_tags())
    }

    fn clear_tags(&mut self, _tags: Vec<String>) -> Result<()> {
        Err(no_tags())
    }
}

/// `describe` leaves the feature out, and this is what its functions answer.
fn no_tags() -> Error {
    Error::Unsupported("my-cache has no tags".to_owned())
}

stheno_sdk::export_cache_provider!(MyCache);
