//! The HTTP API over a real listener: what clients may rely on.

mod access;
mod cache;
mod consume;
mod document;
mod events;
mod health;
mod server;
mod stopping;
mod watch;
