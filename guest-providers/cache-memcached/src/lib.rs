//! `cache-memcached`: the cache module on Memcached.
//!
//! # What keeps the guarantees
//!
//! Memcached knows one key at a time: no list of keys, no transaction, and it drops
//! what it likes. What it does at once and whole is to set, add, append to, swap or
//! remove one item, and that has to do.
//!
//! - **An entry is one item**, which carries its whole key, its end and where it
//!   stands in the lists of its tags ([`entry`]). It is written last, so what it
//!   stands on is there before it. A value that is too large for one item is cut.
//! - **Tags have versions** ([`lists`]). Clearing one removes its record, one item; so
//!   it is done at once for however many entries, and one that somebody is writing
//!   meanwhile with the old version is never seen.
//! - **What the server drops takes with it what depends on it.** A miss is allowed at
//!   any time; an entry that a clear does not reach is not.
//! - **Nothing a caller writes is part of a command** ([`names`]).
//!
//! The feature `matching` is left out: there is no going over the keys. An index of
//! all names, as for a tag, would have every set append to one item and be lost with
//! it, and then the cache as a whole.
//!
//! # Whose clock
//!
//! An entry ends by the host's clock, to the millisecond; the moment stands in the
//! entry. The server, which counts in seconds, drops it some ten seconds after that.
//!
//! # This file
//!
//! is the seam to the host, with [`socket`], which alone knows WASI, [`server`], which
//! holds the connection, and [`store`], which says what is asked in which order.
//! Everything else takes the time as an argument and calls nobody.

mod address;
mod change;
mod entry;
mod lists;
mod names;
mod options;
mod protocol;
mod server;
mod socket;
mod store;

use stheno_sdk::cache::{Cache, Entry, Hit};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock, log};
use wasip2::random::random::get_random_u64;

use change::{Terms, portions};
use names::Id;
use options::Options;
use server::Server;
use store::Store;

/// One that was never there.
fn new_id() -> Id {
    Id::new(get_random_u64(), get_random_u64())
}

struct CacheMemcached {
    store: Store,
    /// Whether the last read found no server.
    down: bool,
}

impl Lifecycle for CacheMemcached {
    fn describe() -> Description {
        let version = env!("CARGO_PKG_VERSION");
        Description::new("cache-memcached", version, Instances::Many, &["tags"])
    }

    fn start(options: &str) -> Result<Self> {
        let Options { server, keys, ttl, compress_above, timeout } = Options::parse(options)?;
        let terms = Terms { ttl_ms: ttl.as_millis(), compress_above };
        let server = Server::new(server, timeout);
        Ok(Self { store: Store { server, keys, terms }, down: false })
    }

    fn health(&mut self) -> Result<()> {
        self.store.ping()
    }
}

impl CacheMemcached {
    /// Of a read that found no server: nothing.
    fn or_nothing<T>(&mut self, read: Result<T>, nothing: impl FnOnce() -> T) -> Result<T> {
        match read {
            Err(Error::Unavailable(reason) | Error::Timeout(reason)) => {
                if !std::mem::replace(&mut self.down, true) {
                    log::warn(&format!("every read is a miss: {reason}"));
                }
                Ok(nothing())
            }
            read => {
                if std::mem::take(&mut self.down) {
                    log::info("reads are served again");
                }
                read
            }
        }
    }
}

impl Cache for CacheMemcached {
    fn get(&mut self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>> {
        let values = self.store.get(&keys, clock::unix_ms());
        self.or_nothing(values, || vec![None; keys.len()])
    }

    fn get_by_tags(&mut self, tags: Vec<String>) -> Result<Vec<Hit>> {
        let found = self.store.get_by_tags(&tags, clock::unix_ms());
        self.or_nothing(found, Vec::new)
    }

    fn set(&mut self, entries: Vec<Entry>) -> Result<()> {
        let now_ms = clock::unix_ms();
        let portions = portions(entries, &self.store.terms, now_ms);
        portions.iter().try_for_each(|portion| self.store.set(portion, now_ms))
    }

    fn delete(&mut self, keys: Vec<String>) -> Result<()> {
        self.store.delete(&keys)
    }

    fn clear_tags(&mut self, tags: Vec<String>) -> Result<()> {
        self.store.clear_tags(&tags)
    }

    fn clear_matching(&mut self, _: String) -> Result<()> {
        Err(Error::Unsupported("Memcached cannot look for keys: clear by tags".to_owned()))
    }
}

stheno_sdk::export_cache_provider!(CacheMemcached);
