//! The HTTP API over a real listener: what clients may rely on.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what is not there fails the test"
)]

mod access;
mod cache;
mod consume;
mod document;
mod events;
mod files;
mod health;
mod limits;
mod locking;
mod notifications;
mod server;
mod stopping;
mod watch;
mod workflows;
