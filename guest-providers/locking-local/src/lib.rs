//! `locking-local`: the locking module in the memory of one instance.
//!
//! This file is the seam to the host and holds no logic: it reads the clock
//! once per call and hands over to `table`, which never calls the host and is
//! tested natively.

mod options;
mod table;

use std::hash::{BuildHasher, RandomState};

use stheno_sdk::locking::{Exchanged, Extension, Freed, Lock, LockPage, Locking, Polled, Request};
use stheno_sdk::{Description, Instances, Lifecycle, Result, clock};

use options::Options;
use table::Table;

struct LockingLocal {
    table: Table,
}

impl Lifecycle for LockingLocal {
    fn describe() -> Description {
        Description::new("locking-local", env!("CARGO_PKG_VERSION"), Instances::One, &[])
    }

    fn start(options: &str) -> Result<Self> {
        let limits = stheno_sdk::options::parse::<Options>(options)?.limits();
        let unix_ms = clock::unix_ms();
        let seed = RandomState::new().hash_one(unix_ms);
        Ok(Self { table: Table::new(limits, unix_ms, seed) })
    }
}

impl Locking for LockingLocal {
    fn exchange(&mut self, tokens: Vec<String>, requests: Vec<Request>) -> Result<Exchanged> {
        Ok(self.table.exchange(tokens, requests, clock::monotonic_ms()))
    }

    fn poll(&mut self, tickets: Vec<String>, _wait_ms: u64) -> Result<Polled> {
        Ok(self.table.poll(tickets, clock::monotonic_ms()))
    }

    fn abandon(&mut self, tickets: Vec<String>) -> Result<Vec<String>> {
        Ok(self.table.abandon(&tickets, clock::monotonic_ms()))
    }

    fn extend(&mut self, extensions: Vec<Extension>) -> Result<Vec<String>> {
        Ok(self.table.extend(extensions, clock::monotonic_ms()))
    }

    fn release_keys(&mut self, keys: Vec<String>, owner: Option<String>) -> Result<Freed> {
        Ok(self.table.release_keys(&keys, owner.as_deref(), clock::monotonic_ms()))
    }

    fn release_all(&mut self, owner: Option<String>) -> Result<Freed> {
        Ok(self.table.release_all(owner.as_deref(), clock::monotonic_ms()))
    }

    fn inspect(&mut self, keys: Vec<String>) -> Result<Vec<Option<Lock>>> {
        Ok(self.table.inspect(&keys, clock::monotonic_ms()))
    }

    fn held(&mut self, owner: Option<String>, after: Option<String>, max: u32) -> Result<LockPage> {
        let now = clock::monotonic_ms();
        Ok(self.table.held(owner.as_deref(), after.as_deref(), max, now))
    }

    fn resume(&mut self, fence: u64) -> Result<()> {
        self.table.resume(fence);
        Ok(())
    }
}

stheno_sdk::export_locking_provider!(LockingLocal);
