//! `locking-postgres`: the locking module on PostgreSQL.
//!
//! # One change after the other
//!
//! All locks, and all places in their queues, are rows. A change is one transaction
//! that first updates the one row of the table `gate` and so waits for whoever
//! changes something at that moment; its next statement sees all that went before.
//! So a statement may look at keys and queues and act on what it saw, and there is no
//! deadlock and nothing to be made again. A lock of each key for itself would let
//! changes run side by side, and would have to be taken in an order, for each key, by
//! a round trip or a statement each; here a call, with all that the host has gathered
//! for it, is one pipelined batch, decided about in the server by statements over
//! whole sets ([`statements`]). The host of one runtime has one instance, so what
//! waits at the gate is other runtimes, one call each.
//!
//! All of a batch has been sent, its `COMMIT` included, before the first answer
//! comes. So a runtime that dies or stands still leaves the gate to the others, and
//! no transaction is open while a guest thinks, much less while a job runs.
//!
//! # Waiting
//!
//! A request that waits has a row for each of its keys, all with one number, its
//! ticket. It is granted when for each key nobody holds it and no smaller number that
//! is alive waits for it. Who takes a key for granted is always the session that
//! waits, never another one on its behalf: a session is one instance of this
//! provider, and one that has died must not be handed a lease that nobody would
//! release. So:
//!
//! - Within a session a release hands over in its own transaction, at once.
//! - Between sessions whoever waits looks again. The host grants no `LISTEN`, so that
//!   is a schedule: every [`LOOK_MS`] while another session's lease or request stands
//!   before one of ours, every [`LOOK_OWN_MS`] otherwise, and when a lease expires
//!   that one of ours waits for. A look is one statement for all that wait in the
//!   session, and does not pass the gate unless there is something to take.
//! - A session says every few seconds, while somebody waits in it, that it is alive.
//!   One that has been silent for [`PATIENCE_MS`] counts for nothing: its places are
//!   passed by. It keeps them a while longer, in case it was the server that stood
//!   still.
//!
//! # Numbers
//!
//! Tickets and fences come from one counter in the gate, which is never behind the
//! server's time of day in microseconds. So fences grow over restarts of everything,
//! and even where the database has lost its latest commits.
//!
//! # What nobody was told of
//!
//! A batch that ended in `unavailable` or `timeout` may have been done, and may even
//! be done later, when a server goes on that stood still. What it leased would belong
//! to nobody. So the session takes another number then, and what the earlier one got
//! beyond the last number that it was told of is taken back ([`database`]).

mod database;
mod locks;
mod names;
mod options;
mod rounds;
mod schema;
mod statements;
mod waiting;

use std::hash::{BuildHasher, RandomState};

use stheno_sdk::locking::{Exchanged, Extension, Freed, Lock, LockPage, Locking, Polled, Request};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock, log, sql};

use database::Database;
use locks::Locks;
use options::Options;

/// How often it is looked again after what another session has.
const LOOK_MS: i64 = 20;
/// How often it is looked again where this session itself hands over.
const LOOK_OWN_MS: i64 = 1_000;
/// How long a session is taken for alive after it has said so.
const PATIENCE_MS: i64 = 10_000;

struct LockingPostgres {
    locks: Locks,
}

impl Lifecycle for LockingPostgres {
    fn describe() -> Description {
        let version = env!("CARGO_PKG_VERSION");
        Description::new("locking-postgres", version, Instances::One, &["durable"])
    }

    fn start(options: &str) -> Result<Self> {
        let Options {} = stheno_sdk::options::parse(options)?;
        let seed = RandomState::new().hash_one(clock::unix_ms());
        let mut database = Database::new(sql::open("default")?, seed);
        match database.make_ready() {
            // It is made ready by the first call that finds the server.
            Err(Error::Unavailable(reason) | Error::Timeout(reason)) => {
                log::warn(&format!("no locks until the database is there: {reason}"));
            }
            made => made?,
        }
        Ok(Self { locks: Locks::new(database) })
    }

    fn health(&mut self) -> Result<()> {
        self.locks.health()
    }
}

impl Locking for LockingPostgres {
    fn exchange(&mut self, tokens: Vec<String>, requests: Vec<Request>) -> Result<Exchanged> {
        self.locks.exchange(tokens, requests, clock::monotonic_ms())
    }

    fn poll(&mut self, tickets: Vec<String>, _wait_ms: u64) -> Result<Polled> {
        self.locks.poll(tickets, clock::monotonic_ms())
    }

    fn abandon(&mut self, tickets: Vec<String>) -> Result<Vec<String>> {
        self.locks.abandon(&tickets, clock::monotonic_ms())
    }

    fn extend(&mut self, extensions: Vec<Extension>) -> Result<Vec<String>> {
        self.locks.extend(&extensions, clock::monotonic_ms())
    }

    fn release_keys(&mut self, keys: Vec<String>, owner: Option<String>) -> Result<Freed> {
        self.locks.release_keys(&keys, owner.as_deref(), clock::monotonic_ms())
    }

    fn release_all(&mut self, owner: Option<String>) -> Result<Freed> {
        self.locks.release_all(owner.as_deref(), clock::monotonic_ms())
    }

    fn inspect(&mut self, keys: Vec<String>) -> Result<Vec<Option<Lock>>> {
        self.locks.inspect(&keys)
    }

    fn held(&mut self, owner: Option<String>, after: Option<String>, max: u32) -> Result<LockPage> {
        self.locks.held(owner.as_deref(), after.as_deref(), max)
    }

    fn resume(&mut self, fence: u64) -> Result<()> {
        self.locks.resume(fence);
        Ok(())
    }
}

stheno_sdk::export_locking_provider!(LockingPostgres);
