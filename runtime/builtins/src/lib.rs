//! The providers that travel inside Stheno, so that one file is an
//! installation. They are components like any other: same sandbox, same grants,
//! loaded the same way; only their bytes are already here.
//!
//! Each set of them is a feature: `local` holds those that need no server,
//! `http` those that need a service on the internet, `redis` those that need a Redis
//! server, `memcached` those that need a Memcached server, `objects` those that need an
//! S3 server, `postgres` those that need PostgreSQL.
//!
//! ```
//! let component = stheno_builtins::find("cache-memory");
//! assert!(component.is_some_and(|bytes| bytes.starts_with(b"\0asm")));
//! ```

const BUILTINS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/builtins.rs"));

/// What `locking-redis` puts before its script.
macro_rules! locks {
    ($first_line:literal) => {
        concat!($first_line, include_str!("../../../guest-providers/locking-redis/src/locks.lua"))
    };
}

/// The scripts that built-in providers give to Redis. Each touches no key but its
/// KEYS (`every_script_touches_its_keys_and_no_other`), so the grant of a built-in
/// provider need not list them.
const SCRIPTS: &[(&str, &[&str])] = &[
    ("cache-redis", &[include_str!("../../../guest-providers/cache-redis/src/sweep.lua")]),
    ("locking-redis", &[locks!("#!lua\n"), locks!("#!lua flags=allow-oom\n")]),
];

/// The component called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static [u8]> {
    BUILTINS.iter().find(|(builtin, _)| *builtin == name).map(|(_, bytes)| *bytes)
}

/// The scripts in Lua that the provider called `name` gives to Redis.
#[must_use]
pub fn scripts(name: &str) -> &'static [&'static str] {
    let found = SCRIPTS.iter().find(|(builtin, _)| *builtin == name);
    found.map(|(_, scripts)| *scripts).unwrap_or_default()
}

/// The names of all of them.
#[must_use]
pub fn names() -> Vec<&'static str> {
    BUILTINS.iter().map(|(name, _)| *name).collect()
}
