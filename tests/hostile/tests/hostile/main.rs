//! What a component that attacks gets, and what its neighbours notice: nothing.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod attacks;
mod bodies;
mod callers;
mod compile_cache;
mod components;
mod denials;
mod folders;
mod handles;
mod http;
mod http_tls;
mod lives;
mod logs;
mod objects;
mod redis;
mod sockets;
mod sql;
mod stores;

use std::time::Duration;

use stheno_config::{
    ByteSize, CpuLimit, HandlesLimit, HostBytesLimit, InstancesLimit, Limits, MemoryLimit,
    QueueLimit, TimeoutLimit,
};
use stheno_engine::Engine;

const MANY: &str = "misbehaving-cache";
const ONE: &str = "misbehaving-cache-one";

fn engine() -> Engine {
    stheno_hostile::engine(env!("CARGO_TARGET_TMPDIR"))
}

fn cpu(millis: u64) -> CpuLimit {
    CpuLimit::new(Duration::from_millis(millis)).unwrap()
}

fn timeout(millis: u64) -> TimeoutLimit {
    TimeoutLimit::new(Duration::from_millis(millis)).unwrap()
}

fn memory(mib: u64) -> MemoryLimit {
    MemoryLimit::new(ByteSize::mib(mib)).unwrap()
}

fn host_bytes(kib: u64) -> HostBytesLimit {
    HostBytesLimit::new(ByteSize::kib(kib)).unwrap()
}

fn handles(count: u32) -> HandlesLimit {
    HandlesLimit::new(count).unwrap()
}

fn instances(count: u32) -> InstancesLimit {
    InstancesLimit::new(count).unwrap()
}

fn queue(length: u32) -> QueueLimit {
    QueueLimit::new(length).unwrap()
}

/// Limits of which only some differ from the defaults.
fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}
