//! `cache-memory` with one fault at a time.

// The logic is the real provider's, so that nothing is wrong but the fault.
#[path = "../../../../../guest-providers/cache-memory/src/options.rs"]
mod options;
#[path = "../../../../../guest-providers/cache-memory/src/store/mod.rs"]
mod store;

use std::collections::HashMap;

use faulty_support::{left_out, split};
use serde::Deserialize;
use stheno_sdk::cache::{Cache, Entry, Hit};
use stheno_sdk::{Description, Error, Glob, Instances, Lifecycle, Result, clock};

use options::Options;
use store::Store;

const PLAIN: bool = cfg!(feature = "plain");

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    #[default]
    None,
    /// An entry lives a millisecond too long.
    ServesExpired,
    /// Entries have no tags.
    LosesTags,
    /// The tags of an earlier set stay.
    KeepsOldTags,
    /// A key that is there is not set again.
    ForgetsSecondSet,
    /// Clearing a tag clears everything.
    ClearsTooMuch,
    /// A pattern matches what begins like it.
    MatchesBeginnings,
    /// Deleting what is not there is an error.
    DeleteComplains,
    /// Reading what is not there never ends.
    HangsOnMiss,
    /// What is left out is a fault instead of `unsupported`.
    WorseThanUnsupported,
}

struct Faulty {
    fault: Fault,
    store: Store,
    tags: HashMap<String, Vec<String>>,
}

impl Faulty {
    fn left_out<T>(&self, feature: &str) -> Result<T> {
        match self.fault {
            Fault::WorseThanUnsupported => Err(Error::Internal("as the options say".to_owned())),
            _ => left_out(feature),
        }
    }
}

impl Lifecycle for Faulty {
    fn describe() -> Description {
        let features: &[&str] = if PLAIN { &[] } else { &["tags", "matching"] };
        Description::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            Instances::One,
            features,
        )
    }

    fn start(options: &str) -> Result<Self> {
        let (fault, options) = split(options)?;
        let options: Options = stheno_sdk::options::parse(&options)?;
        Ok(Self { fault, store: Store::new(options.limits(), 0), tags: HashMap::new() })
    }
}

impl Cache for Faulty {
    fn get(&mut self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>> {
        let now = clock::monotonic_ms();
        self.store.sweep(keys.len(), now);
        let found = keys.iter().map(|key| self.store.get(key, now).map(<[u8]>::to_vec)).collect();
        let missed = |found: &Vec<Option<Vec<u8>>>| found.iter().any(Option::is_none);
        while self.fault == Fault::HangsOnMiss && missed(&found) {
            std::hint::spin_loop();
        }
        Ok(found)
    }

    fn get_by_tags(&mut self, tags: Vec<String>) -> Result<Vec<Hit>> {
        if PLAIN {
            return self.left_out("tags");
        }
        let found = self.store.get_by_tags(&tags, clock::monotonic_ms());
        Ok(found.map(|(key, value)| Hit { key: key.to_owned(), value: value.to_vec() }).collect())
    }

    fn set(&mut self, mut entries: Vec<Entry>) -> Result<()> {
        let now = clock::monotonic_ms();
        if PLAIN && entries.iter().any(|entry| !entry.tags.is_empty()) {
            return self.left_out("tags");
        }
        for entry in &mut entries {
            match self.fault {
                Fault::ServesExpired => {
                    entry.ttl_ms =
                        entry.ttl_ms.map(|ttl| if ttl == 0 { 0 } else { ttl.saturating_add(1) });
                }
                Fault::LosesTags => entry.tags.clear(),
                Fault::KeepsOldTags => {
                    let known = self.tags.entry(entry.key.clone()).or_default();
                    known.append(&mut entry.tags);
                    entry.tags.clone_from(known);
                }
                _ => {}
            }
        }
        if self.fault == Fault::ForgetsSecondSet {
            entries.retain(|entry| self.store.get(&entry.key, now).is_none());
        }
        self.store.set(entries, now).map_err(|error| Error::InvalidArgument(error.key))
    }

    fn delete(&mut self, keys: Vec<String>) -> Result<()> {
        let now = clock::monotonic_ms();
        for key in &keys {
            if self.fault == Fault::DeleteComplains && self.store.get(key, now).is_none() {
                return Err(Error::NotFound(format!("there is no {key:?}")));
            }
            self.store.remove(key);
        }
        Ok(())
    }

    fn clear_tags(&mut self, tags: Vec<String>) -> Result<()> {
        if PLAIN {
            return self.left_out("tags");
        }
        if self.fault == Fault::ClearsTooMuch {
            self.store.clear_matching(&Glob::new("*"));
        }
        tags.iter().for_each(|tag| self.store.clear_tag(tag));
        Ok(())
    }

    fn clear_matching(&mut self, mut pattern: String) -> Result<()> {
        if PLAIN {
            return self.left_out("matching");
        }
        if self.fault == Fault::MatchesBeginnings {
            pattern.push('*');
        }
        self.store.clear_matching(&Glob::new(&pattern));
        Ok(())
    }
}

stheno_sdk::export_cache_provider!(Faulty);
