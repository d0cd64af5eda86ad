//! `locking-redis`: the locking module on Redis.
//!
//! # What keeps the guarantees
//!
//! The table of locks stands on the server, below one prefix, in ten keys
//! ([`keys`]), and one script (`locks.lua`) is all that changes it. A script is one
//! step, so all of a request's keys are taken or none, a request enters all of its
//! queues in one moment, and a release gives the keys to whoever is next within
//! itself. Whoever shares the prefix shares the queue: first come, first served,
//! in whatever process. Plain commands cannot do that, and a lock for each key
//! (`SET NX`) has neither a queue nor several keys at once.
//!
//! Ten keys for all, and not some for each lock: a release does not know beforehand
//! whose turn it is and which further keys that request wants, and a script must
//! touch its KEYS alone. The price is that the table lives on one server: a cluster
//! could not divide it (and is not supported by the capability).
//!
//! Many requests are one call of the script: what it reads and writes for all of
//! them goes in one command per table.
//!
//! # Time and fences
//!
//! Time is the server's (`TIME`), so the clocks of hosts mean nothing. A fence is the
//! largest number given before and one more, and at least the server's time in
//! microseconds: so it grows also where the server has lost its data, or the last
//! second of it, as long as its clock is not set back. A place in the queue is a
//! number of the same kind.
//!
//! # Who waits
//!
//! A ticket and the token of the lease that comes of it are the same name, which the
//! instance makes. A grant stands in the table until the ticket is polled:
//!
//! - Where the release comes from the same runtime, its answer says so, and the host
//!   has it from this instance within the same call: one round trip in all
//!   ([`neighbours`]). Everybody else hears of it by the stream `news`, which a poll
//!   with time to wait reads with `XREAD BLOCK` from the place where it found the
//!   table: nothing can come in between, and nobody looks again and again.
//! - A grant is told once. If that answer is lost on its way, a poll gets it again
//!   after 15 s, when no call can be under way any more.
//! - A ticket that is not polled for 30 s is that of a dead process: it leaves the
//!   queue, or what it was granted passes on.
//!
//! A grant whose answer is lost (`timeout`) is nobody's. The instance remembers the
//! name and gives it up before whatever it is asked next, which the host does soon for
//! that. Giving up leaves a note on the server for two minutes, so that a request that
//! comes only then is granted nothing. If the instance is lost too, the lease ends with
//! its time to live.
//!
//! # This file
//!
//! is the seam to the host: it sends what [`table`] writes, and hands over what that
//! reads.

mod keys;
mod neighbours;
mod options;
mod table;

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use stheno_sdk::locking::{
    Answer, Exchanged, Extension, Freed, Lock, LockPage, Locking, Polled, Request,
};
use stheno_sdk::redis::{self, Binding, Command, Part, command};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock};

use neighbours::Neighbours;
use options::Options;
use table::{Outcome, Table};

macro_rules! locks {
    ($first_line:literal) => {
        concat!($first_line, include_str!("locks.lua"))
    };
}

/// What wants room on the server: it is refused when that is full.
const LOCKS: &str = locks!("#!lua\n");
/// The same for whatever else: a server that is full must not keep what is let go.
const LOCKS_WHEN_FULL: &str = locks!("#!lua flags=allow-oom\n");

/// Names in one step over all that is held.
const PAGE: u64 = 1_000;
/// The most names that are remembered because nobody knows what became of them.
const MOST_DOUBTFUL: usize = 10_000;

struct LockingRedis {
    redis: Binding,
    table: Table,
    max_waiting: u64,
    neighbours: Neighbours,
    named: u64,
    /// Names that were perhaps given to somebody who has not heard of it.
    doubtful: Vec<String>,
}

impl Lifecycle for LockingRedis {
    fn describe() -> Description {
        let version = env!("CARGO_PKG_VERSION");
        Description::new("locking-redis", version, Instances::Many, &["durable"])
    }

    fn start(options: &str) -> Result<Self> {
        let Options { max_waiting } = stheno_sdk::options::parse(options)?;
        let redis = redis::open("default")?;
        let table = Table::new(redis.load_script(LOCKS)?, redis.load_script(LOCKS_WHEN_FULL)?);
        let neighbours = Neighbours::of(RandomState::new().hash_one(clock::unix_ms()));
        let max_waiting = max_waiting.get();
        Ok(Self { redis, table, max_waiting, neighbours, named: 0, doubtful: Vec::new() })
    }

    fn health(&mut self) -> Result<()> {
        self.redis.run(command("PING")).map(drop)
    }
}

impl LockingRedis {
    fn name(&mut self) -> String {
        self.named += 1;
        format!("{}.{:x}", self.neighbours.own(), self.named)
    }

    /// Makes an operation. Gives up, before it, what is doubtful.
    fn run(&mut self, command: Command) -> Result<Outcome> {
        if self.doubtful.is_empty() {
            return Outcome::read(self.redis.run(command)?);
        }
        let give_up = self.table.of_names("abandon", &[], &self.doubtful);
        let mut replies = self.redis.run_all(vec![give_up, command])?;
        let mut next = || replies.next().ok_or_else(table::mixed_up);
        next()??;
        let outcome = Outcome::read(next()??);
        self.doubtful.clear();
        outcome
    }

    fn doubt(&mut self, names: Vec<String>) {
        let room = MOST_DOUBTFUL.saturating_sub(self.doubtful.len());
        self.doubtful.extend(names.into_iter().take(room));
    }

    fn look(&mut self, tickets: &[String]) -> Result<(Polled, String)> {
        let mut outcome = self.run(self.table.of_names("poll", self.neighbours.all(), tickets))?;
        let woken = self.woken(&mut outcome);
        let (found, last) = outcome.polled()?;
        Ok((Polled { woken, ..found }, last))
    }

    /// Keeps what is to be told here, and gives the tickets.
    fn woken(&mut self, outcome: &mut Outcome) -> Vec<String> {
        let told = std::mem::take(&mut outcome.told);
        self.neighbours.keep(told, clock::monotonic_ms())
    }

    fn free(&mut self, asked: Command) -> Result<Freed> {
        let mut outcome = self.run(asked)?;
        Ok(Freed { keys: outcome.number()?, woken: self.woken(&mut outcome) })
    }

    /// What nobody owns stands in no index, which would cost each lease more than all
    /// of this costs the few who ask for it. What is leased after this has begun stays.
    fn release_all_of_nobody(&mut self) -> Result<Freed> {
        let mut all = Freed { keys: 0, woken: Vec::new() };
        let Some(last) = self.redis.run(command("GET").text(keys::FENCE))?.bytes()? else {
            return Ok(all);
        };
        let last = String::from_utf8_lossy(&last).parse().map_err(|_| table::mixed_up())?;
        let mut cursor = Some(b"0".to_vec());
        while let Some(from) = cursor {
            let (keys, next) = self.page(from)?;
            cursor = next;
            let here = self.neighbours.all();
            let freed = self.free(self.table.release_keys(here, "", Some(last), &keys))?;
            all.keys += freed.keys;
            all.woken.extend(freed.woken);
        }
        Ok(all)
    }

    /// Some of the keys that are held, and where to go on; none after the last.
    fn page(&self, from: Vec<u8>) -> Result<(Vec<String>, Option<Vec<u8>>)> {
        let scan = command("HSCAN").text(keys::HELD).arg(from).text("COUNT").number(PAGE);
        let mut reply = self.redis.run(scan)?;
        reply.items()?;
        let next = reply.bytes()?.unwrap_or_default();
        let keys = reply.list()?.into_iter().step_by(2).flatten();
        let keys = keys.filter_map(|key| String::from_utf8(key).ok()).collect();
        Ok((keys, Some(next).filter(|next| next != b"0")))
    }

    /// The tickets that stand in the news behind `last`; none if none came in time.
    fn listen(&self, last: &str, wait: Duration) -> Result<Vec<String>> {
        let parts = self.redis.run(table::listen(last, wait))?.parts();
        // Streams, entries and fields: of all of it only what comes behind a `t`.
        let mut news = Vec::new();
        let mut is_ticket = false;
        for part in parts {
            let Part::Bytes(bytes) = part else { continue };
            if std::mem::replace(&mut is_ticket, bytes == b"t") {
                news.extend(String::from_utf8(bytes).ok());
            }
        }
        Ok(news)
    }

    /// The keys behind `after`, ordered, one more than `max` if there are more.
    fn keys_behind(&self, after: Option<&str>, max: usize) -> Result<Vec<String>> {
        let mut found = BTreeSet::new();
        let mut cursor = Some(b"0".to_vec());
        while let Some(from) = cursor {
            let (keys, next) = self.page(from)?;
            cursor = next;
            for key in keys {
                if after.is_none_or(|after| key.as_str() > after) {
                    found.insert(key);
                    if found.len() > max + 1 {
                        found.pop_last();
                    }
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    fn keys_of(&self, owner: &str, after: Option<&str>, max: usize) -> Result<Vec<String>> {
        let mut reply = self.redis.run(Table::owned(owner, after, max as u64 + 1))?;
        let key = |place: Vec<u8>| {
            let key = place.get(owner.len() + 1..).unwrap_or_default().to_vec();
            String::from_utf8(key).map_err(|_| table::mixed_up())
        };
        reply.list()?.into_iter().flatten().map(key).collect()
    }
}

impl Locking for LockingRedis {
    fn exchange(&mut self, tokens: Vec<String>, requests: Vec<Request>) -> Result<Exchanged> {
        let ids: Vec<String> = requests.iter().map(|_| self.name()).collect();
        let here = self.neighbours.all();
        let asked = self.table.exchange(here, &tokens, &requests, &ids, self.max_waiting);
        match self.run(asked) {
            Ok(mut outcome) => {
                let woken = self.woken(&mut outcome);
                Ok(Exchanged { woken, ..outcome.exchanged(ids, self.max_waiting)? })
            }
            Err(full) if table::is_full(&full) && !requests.is_empty() && !tokens.is_empty() => {
                let ended = self.exchange(tokens, Vec::new())?;
                let answers = requests.iter().map(|_| Answer::Refused(full.clone())).collect();
                Ok(Exchanged { answers, ..ended })
            }
            Err(error) => {
                if matches!(error, Error::Timeout(_) | Error::Unavailable(_)) {
                    self.doubt(ids);
                }
                Err(error)
            }
        }
    }

    fn poll(&mut self, mut tickets: Vec<String>, wait_ms: u64) -> Result<Polled> {
        self.neighbours.meet(&tickets);
        let turns = self.neighbours.tell(&mut tickets);
        if !turns.is_empty() && tickets.is_empty() {
            let next_due_ms = self.neighbours.due_in(clock::monotonic_ms());
            return Ok(Polled { turns, woken: Vec::new(), next_due_ms });
        }
        let (mut found, last) = self.look(&tickets)?;
        found.turns.extend(turns);
        if wait_ms == 0 || !found.turns.is_empty() || !found.woken.is_empty() {
            return Ok(found);
        }
        let news = self.listen(&last, Duration::from_millis(wait_ms))?;
        let asked: HashSet<&str> = tickets.iter().map(String::as_str).collect();
        // Somebody may have begun to wait meanwhile.
        let others = news.into_iter().filter(|ticket| !asked.contains(ticket.as_str()));
        let others: Vec<String> = others.filter(|it| self.neighbours.has(it)).collect();
        let (mut found, _) = self.look(&tickets)?;
        found.woken.extend(others);
        Ok(found)
    }

    fn abandon(&mut self, mut tickets: Vec<String>) -> Result<Vec<String>> {
        let asked = self.table.of_names("abandon", self.neighbours.all(), &tickets);
        let mut outcome = self.run(asked)?;
        self.neighbours.tell(&mut tickets);
        Ok(self.woken(&mut outcome))
    }

    fn extend(&mut self, extensions: Vec<Extension>) -> Result<Vec<String>> {
        Ok(self.run(self.table.extend(&extensions))?.rest())
    }

    fn release_keys(&mut self, keys: Vec<String>, owner: Option<String>) -> Result<Freed> {
        self.free(self.table.release_keys(
            self.neighbours.all(),
            owner.as_deref().unwrap_or_default(),
            None,
            &keys,
        ))
    }

    fn release_all(&mut self, owner: Option<String>) -> Result<Freed> {
        match owner {
            Some(owner) => self.free(self.table.release_all(self.neighbours.all(), &owner)),
            None => self.release_all_of_nobody(),
        }
    }

    fn inspect(&mut self, keys: Vec<String>) -> Result<Vec<Option<Lock>>> {
        self.run(self.table.of_names("inspect", &[], &keys))?.locks(keys)
    }

    fn held(&mut self, owner: Option<String>, after: Option<String>, max: u32) -> Result<LockPage> {
        let max = max as usize;
        while self.run(self.table.plain("sweep"))?.number()? != 0 {}
        let mut keys = match &owner {
            Some(owner) => self.keys_of(owner, after.as_deref(), max)?,
            None => self.keys_behind(after.as_deref(), max)?,
        };
        let more = keys.len() > max;
        keys.truncate(max);
        let next = keys.last().filter(|_| more).cloned();
        let locks = self.inspect(keys)?.into_iter().flatten();
        // What has passed to somebody else meanwhile is not the owner's.
        let items = locks.filter(|lock| owner.is_none() || lock.owner == owner).collect();
        Ok(LockPage { items, next })
    }

    fn resume(&mut self, _fence: u64) -> Result<()> {
        // The server knows it.
        Ok(())
    }
}

stheno_sdk::export_locking_provider!(LockingRedis);
