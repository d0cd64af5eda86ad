//! The store, where one is granted: loading from it and saving to it.
//!
//! Every call that changes something is committed before it is answered. If that
//! fails, what is in memory is not what the store has, so memory is thrown away
//! and loaded again by the next call: the store is what counts.

use std::hash::{BuildHasher, RandomState};

use stheno_sdk::store::{self, PAGE_BYTES, Range, Store};
use stheno_sdk::{Error, Result, log, options};

use crate::engine::{Engine, Limits, Now, Restore};

const LABEL: &str = "default";
/// Entries in one page while loading.
const PAGE: u32 = 4_096;

/// Whether a store is granted, and so whether runs survive.
pub(crate) fn granted() -> bool {
    store::granted(LABEL)
}

/// Chance for spreading retries and for names.
pub(crate) fn seed(now: Now) -> u64 {
    RandomState::new().hash_one(now.unix_ms)
}

pub(crate) struct Disk {
    store: Store,
    /// Whether memory is what the store has.
    agrees: bool,
}

impl Disk {
    /// The granted store, if there is one, and what it holds.
    pub(crate) fn open(limits: Limits, now: Now) -> Result<Option<(Self, Engine)>> {
        let Some(store) = store::open_granted(LABEL)? else { return Ok(None) };
        let room = store.usage()?.max_bytes;
        let needed = limits.store_bytes();
        if room < needed {
            return Err(options::invalid(
                "max_bytes",
                &format!(
                    "with `max_bytes` as it is the store may take \
                     {needed} bytes and is granted {room}; write a smaller one, or a larger \
                     `max_size` in `grants.store.{LABEL}`"
                ),
            ));
        }
        let engine = load(&store, limits, now)?;
        let mut disk = Self { store, agrees: true };
        disk.save(&engine)?;
        Ok(Some((disk, engine)))
    }

    pub(crate) fn agrees(&self) -> bool {
        self.agrees
    }

    /// Opens the store again and takes what it holds.
    pub(crate) fn reload(&mut self, limits: Limits, now: Now) -> Result<Engine> {
        let reopened = store::open_granted(LABEL)?;
        self.store = reopened
            .ok_or_else(|| Error::Denied(format!("the store `{LABEL}` is not granted any more")))?;
        let engine = load(&self.store, limits, now)?;
        self.agrees = true;
        log::warn("loaded everything from the store again, after it could not be written to");
        Ok(engine)
    }

    /// Commits what has changed.
    pub(crate) fn save(&mut self, engine: &Engine) -> Result<()> {
        for changes in engine.take_changes() {
            if let Err(error) = self.store.commit(&[], &changes) {
                self.agrees = false;
                return Err(error);
            }
        }
        Ok(())
    }
}

fn load(store: &Store, limits: Limits, now: Now) -> Result<Engine> {
    let mut restore = Restore::default();
    let mut range = Range { start: None, end: None };
    loop {
        let page = store.scan(&range, PAGE, PAGE_BYTES)?;
        for entry in &page.entries {
            restore.add(&entry.key, &entry.value)?;
        }
        if page.next.is_none() {
            return restore.finish(limits, now, seed(now));
        }
        range.start = page.next;
    }
}
