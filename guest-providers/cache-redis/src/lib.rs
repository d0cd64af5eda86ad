//! `cache-redis`: the cache module on Redis.
//!
//! # What keeps the guarantees
//!
//! An entry is one string, which names its own tags and its own end, so a `get` is
//! one `MGET` and needs nothing else. Beside the entries stand indexes: of all
//! names, and of the names with each tag. An index may name too much, never too
//! little:
//!
//! - A set writes the entry and its names in one transaction of plain commands.
//!   That is one round trip and costs the server less than a script.
//! - A name is taken out of an index only together with a look at its entry, by
//!   the one script of this provider (`sweep.lua`), which touches its KEYS alone.
//!   Plain commands cannot do that: `WATCH` compares whole values and takes a round
//!   trip more, and a clear that deletes what it looked at before would lose what
//!   was set in between.
//!
//! So a clear goes over an index and has each entry decided about where it stands:
//! who carries the tag then goes, who was set again without it stays. That an index
//! names too much costs memory only, and `tidy` bounds that. Versions of tags,
//! instead of indexes, would make a clear cheap and each `get` two round trips.
//!
//! A glob goes over the index of all names. A `SCAN` would go over the keys of
//! everybody on the server.
//!
//! # Whose clock
//!
//! An entry ends by the host's clock, to the millisecond; the moment stands in the
//! entry. The server drops it ten seconds after that by its own clock, which bounds
//! the memory, and what a host sees whose clock is behind.
//!
//! # This file
//!
//! is the seam to the host: it reads the clock, sends commands and reads replies.
//! [`entry`] is what is written under a key, [`portion`] what a set sends, [`tidy`]
//! when an index is looked through. They never call the host.

mod entry;
mod keys;
mod options;
mod portion;
mod tidy;

use std::collections::HashSet;

use stheno_sdk::cache::{Cache, Entry, Hit};
use stheno_sdk::redis::{self, Binding, Part, command};
use stheno_sdk::{Description, Error, Glob, Instances, Lifecycle, Result, clock, log};

use entry::Found;
use keys::Index;
use options::Options;
use portion::{Portion, Terms, portions, removal};
use tidy::{Sweep, Tidy};

const SWEEP: &str = include_str!("sweep.lua");

/// Names in one step over an index.
const PAGE: usize = 1_000;
/// Entries in one round trip of a read.
const READ: usize = 64;

struct CacheRedis {
    redis: Binding,
    terms: Terms,
    sweep: Sweep,
    tidy: Tidy,
    /// Whether the last read found no server.
    down: bool,
}

impl Lifecycle for CacheRedis {
    fn describe() -> Description {
        let version = env!("CARGO_PKG_VERSION");
        Description::new("cache-redis", version, Instances::Many, &["tags", "matching"])
    }

    fn start(options: &str) -> Result<Self> {
        let Options { ttl, compress_above } = stheno_sdk::options::parse(options)?;
        let redis = redis::open("default")?;
        let sweep = Sweep::new(redis.load_script(SWEEP)?);
        let compress_above = usize::try_from(compress_above.as_bytes()).unwrap_or(usize::MAX);
        let terms = Terms { ttl_ms: ttl.as_millis(), compress_above };
        Ok(Self { redis, terms, sweep, tidy: Tidy::default(), down: false })
    }

    fn health(&mut self) -> Result<()> {
        self.redis.run(command("PING")).map(drop)
    }
}

impl CacheRedis {
    /// The entries under the names, in their order; none where none is alive.
    fn read(&self, names: &[&[u8]], now_ms: u64) -> Result<Vec<Option<Found>>> {
        let mut all = Vec::with_capacity(names.len());
        for names in names.chunks(READ) {
            // One by one, since the grant bounds the size of each reply; and `MGET`, to
            // which what is no string is nothing.
            let get = |name: &&[u8]| command("MGET").arg(keys::entry(name));
            for reply in self.redis.run_all(names.iter().map(get).collect())? {
                let found = reply?.list()?.pop().flatten().and_then(Found::read);
                all.push(found.filter(|found| found.is_alive(now_ms)));
            }
        }
        if all.len() == names.len() {
            Ok(all)
        } else {
            Err(Error::Internal("Redis answered with another number of values".into()))
        }
    }

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

    fn store(&mut self, portion: Portion, now_ms: u64) -> Result<()> {
        let (most, looked) = self.tidy.added(portion.len(), portion.indexes());
        let mut commands = self.tidy.sweeps(&self.sweep);
        let sweeps = commands.len();
        commands.extend(portion.commands());
        let sets = commands.len() - sweeps;
        commands.extend(looked.iter().map(|index| tidy::look(index, now_ms, most)));
        let mut replies = self.redis.run_as_one(&[], commands)?;
        // A server that was started anew does not know the script; what stays in an
        // index for that is found again.
        replies.by_ref().take(sweeps).for_each(drop);
        replies.by_ref().take(sets).try_for_each(|reply| reply.map(drop))?;
        looked
            .into_iter()
            .zip(replies)
            .try_for_each(|(index, reply)| self.tidy.found(index, reply?))
    }

    fn remove<'n>(&self, names: impl Iterator<Item = &'n [u8]> + Clone) -> Result<()> {
        let mut replies = self.redis.run_as_one(&[], removal(names).into())?;
        replies.try_for_each(|reply| reply.map(drop))
    }

    /// Goes over the names in an index, and hands them on in pages. What is there
    /// all the while is seen, perhaps twice.
    fn scan(
        &self,
        index: &Index,
        pattern: Option<Vec<u8>>,
        mut page: impl FnMut(&[Vec<u8>]) -> Result<()>,
    ) -> Result<()> {
        let mut cursor = b"0".to_vec();
        loop {
            let mut scan = command("ZSCAN").arg(index.key()).arg(cursor);
            if let Some(pattern) = &pattern {
                scan = scan.text("MATCH").arg(pattern);
            }
            let mut reply = self.redis.run(scan.text("COUNT").number(PAGE as u64))?;
            reply.items()?;
            cursor = reply.bytes()?.unwrap_or_default();
            // A count, then each name with its score.
            let names = reply.parts().into_iter().skip(1).step_by(2);
            let names: Vec<_> = names
                .filter_map(|part| match part {
                    Part::Bytes(name) => Some(name),
                    _ => None,
                })
                .collect();
            names.chunks(PAGE).try_for_each(&mut page)?;
            if cursor == b"0" {
                return Ok(());
            }
        }
    }

    fn find(&self, tags: &[String]) -> Result<Vec<Hit>> {
        let now_ms = clock::unix_ms();
        let mut seen = HashSet::new();
        let mut hits = Vec::new();
        for tag in tags {
            self.scan(&Index::Tag(tag.clone()), None, |names| {
                let new: Vec<_> = names.iter().filter(|&name| seen.insert(name.clone())).collect();
                let new: Vec<&[u8]> = new.into_iter().map(Vec::as_slice).collect();
                for (name, found) in new.iter().zip(self.read(&new, now_ms)?) {
                    let value = found.filter(|found| found.carries(tags)).and_then(Found::value);
                    if let (Ok(name), Some(value)) = (std::str::from_utf8(name), value) {
                        hits.push(Hit { key: name.to_owned(), value });
                    }
                }
                Ok(())
            })?;
        }
        Ok(hits)
    }
}

impl Cache for CacheRedis {
    fn get(&mut self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>> {
        let names: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
        let found = self.read(&names, clock::unix_ms());
        let values = found.map(|all| all.into_iter().map(|it| it.and_then(Found::value)).collect());
        self.or_nothing(values, || vec![None; keys.len()])
    }

    fn get_by_tags(&mut self, tags: Vec<String>) -> Result<Vec<Hit>> {
        let found = self.find(&tags);
        self.or_nothing(found, Vec::new)
    }

    fn set(&mut self, entries: Vec<Entry>) -> Result<()> {
        let now_ms = clock::unix_ms();
        let mut portions = portions(entries, &self.terms, now_ms).into_iter();
        portions.try_for_each(|portion| self.store(portion, now_ms))
    }

    fn delete(&mut self, keys: Vec<String>) -> Result<()> {
        self.remove(keys.iter().map(String::as_bytes))
    }

    fn clear_tags(&mut self, tags: Vec<String>) -> Result<()> {
        tags.into_iter().map(Index::Tag).try_for_each(|index| {
            self.scan(&index, None, |names| {
                self.redis.run(self.sweep.command(&index, names, true)).map(drop)
            })
        })
    }

    fn clear_matching(&mut self, pattern: String) -> Result<()> {
        let glob = Glob::new(&pattern);
        if let Some(name) = glob.literal() {
            return self.remove([name.as_bytes()].into_iter());
        }
        self.scan(&Index::All, keys::beginning(&pattern), |names| {
            let fits =
                |name: &&[u8]| std::str::from_utf8(name).is_ok_and(|name| glob.matches(name));
            let fitting: Vec<_> = names.iter().map(Vec::as_slice).filter(fits).collect();
            if fitting.is_empty() { Ok(()) } else { self.remove(fitting.into_iter()) }
        })
    }
}

stheno_sdk::export_cache_provider!(CacheRedis);
