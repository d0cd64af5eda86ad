//! Fuzz targets: every parser that stands between a guest, or a file, and a server.
//!
//! A target takes any bytes and panics where a promise is broken. It is no
//! promise that something does not crash; each says what holds of whatever it is
//! given. `corpus/NAME` has the inputs that are worth keeping: forms that are
//! good, attacks, and what once broke a promise. They are held against the targets
//! by `./justw test`; `./justw fuzz` looks for more, led by coverage.
//!
//! Does not belong here: a property of well-formed values, which is a property test
//! beside its parser.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not hold is a panic"
)]

mod config;
mod http;
mod objects;
mod redis;
mod sql;

/// What is fuzzed.
pub struct Target {
    /// Its name, which is that of its folder in `corpus` too.
    pub name: &'static str,
    /// What holds of any input.
    pub promise: &'static str,
    /// Panics where it does not hold.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "config",
        promise: "a config is understood, or each mistake has a line that is there",
        run: config::parse,
    },
    Target {
        name: "http-request",
        promise: "a request that is allowed goes to the granted server, below the granted path",
        run: http::request,
    },
    Target {
        name: "object-key",
        promise: "a key that is taken stays below its prefix however often somebody decodes it, as do listings and sources of copies",
        run: objects::key,
    },
    Target {
        name: "redis-command",
        promise: "what is taken for a key gets the prefix, nothing else changes, and it is read again as it was",
        run: redis::command,
    },
    Target {
        name: "redis-url",
        promise: "what is shown of a URL has no password and is a URL again",
        run: redis::url,
    },
    Target {
        name: "sql-statement",
        promise: "a statement that is sent is one, on rows, and goes neither to another schema nor INTO a new table",
        run: sql::statement,
    },
    Target { name: "sql-url", promise: "what is shown of a URL has no password", run: sql::url },
];

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
