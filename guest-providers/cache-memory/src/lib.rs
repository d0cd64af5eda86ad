//! `cache-memory`: the cache module in the memory of one instance.
//!
//! This file is the seam to the host and holds no logic: it reads the clock
//! once per call and hands over to `store`, which never calls the host and
//! is tested natively.

mod options;
mod store;

use std::hash::{BuildHasher, RandomState};

use stheno_sdk::cache::{Cache, Entry, Hit};
use stheno_sdk::{Description, Error, Glob, Instances, Lifecycle, Result, clock};

use options::Options;
use store::{Store, TooLarge};

struct CacheMemory {
    store: Store,
}

impl Lifecycle for CacheMemory {
    fn describe() -> Description {
        Description::new(
            "cache-memory",
            env!("CARGO_PKG_VERSION"),
            Instances::One,
            &["tags", "matching"],
        )
    }

    fn start(options: &str) -> Result<Self> {
        let options: Options = stheno_sdk::options::parse(options)?;
        // Keys come from outside: a fixed seed would let somebody choose keys
        // that all fall into one place of the table.
        let seed = RandomState::new().hash_one(clock::unix_ms());
        Ok(Self { store: Store::new(options.limits(), seed) })
    }
}

impl Cache for CacheMemory {
    fn get(&mut self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>> {
        let now = clock::monotonic_ms();
        self.store.sweep(keys.len(), now);
        Ok(keys.iter().map(|key| self.store.get(key, now).map(<[u8]>::to_vec)).collect())
    }

    fn get_by_tags(&mut self, tags: Vec<String>) -> Result<Vec<Hit>> {
        let now = clock::monotonic_ms();
        self.store.sweep(tags.len(), now);
        Ok(self
            .store
            .get_by_tags(&tags, now)
            .map(|(key, value)| Hit { key: key.to_owned(), value: value.to_vec() })
            .collect())
    }

    fn set(&mut self, entries: Vec<Entry>) -> Result<()> {
        let now = clock::monotonic_ms();
        self.store.sweep(entries.len(), now);
        self.store.set(entries, now).map_err(|TooLarge { key, weight, max_bytes }| {
            Error::InvalidArgument(format!(
                "entry `{key}` takes {weight} bytes and `max_bytes` is {max_bytes}: nothing of this call was stored, and \
                 what stood under `{key}` is removed; store less or raise `max_bytes`"
            ))
        })
    }

    fn delete(&mut self, keys: Vec<String>) -> Result<()> {
        self.store.sweep(keys.len(), clock::monotonic_ms());
        for key in &keys {
            self.store.remove(key);
        }
        Ok(())
    }

    fn clear_tags(&mut self, tags: Vec<String>) -> Result<()> {
        self.store.sweep(tags.len(), clock::monotonic_ms());
        for tag in &tags {
            self.store.clear_tag(tag);
        }
        Ok(())
    }

    fn clear_matching(&mut self, pattern: String) -> Result<()> {
        self.store.clear_matching(&Glob::new(&pattern));
        Ok(())
    }
}

stheno_sdk::export_cache_provider!(CacheMemory);
