//! What several test suites need: where the built guests are, what this process
//! holds, and real servers.
//!
//! Nothing here knows the runtime, so that every crate of the workspace may use
//! it in its tests. Helpers that start a runtime belong to the suite that does.

#![allow(clippy::panic, clippy::expect_used, reason = "a test that cannot begin says so and ends")]

mod clock;
mod guests;
mod memcached;
mod object_process;
mod objects;
mod postgres;
mod process;
mod redis;
mod signal;
mod until;

pub use clock::ServerClock;
pub use guests::{compile_cache, guest, guest_bytes};
pub use memcached::{MemcachedClient, MemcachedServer};
pub use object_process::ObjectProcess;
pub use objects::ObjectServer;
pub use postgres::PostgresServer;
pub use process::{Footprint, Peak};
pub use redis::{RedisClient, RedisServer};
pub use until::until;
