//! What stands where, below the prefix of the binding.
//!
//! These ten keys and no others, whatever is locked: a release gives keys to
//! somebody whose request nobody knew of before, and a script may touch only what
//! it is told of. Moments are milliseconds of the server's clock.

/// All of them, in the order in which `locks.lua` names them.
pub(crate) const ALL: [&str; 10] = [
    // The largest number that was given, as a fence or as a place in the queue.
    "fence",
    // A hash: the lease of each key that is held.
    HELD,
    // A hash: of each lease its fence, end, owner and keys, as MessagePack.
    "leases",
    // A sorted set, by bytes: an owner, a byte 0, and a key that it holds.
    OWNERS,
    // A sorted set: leases by the moment at which they end.
    "ends",
    // A sorted set: those of them that somebody may wait for.
    "watched",
    // A sorted set, by bytes: a key behind its length, and who waits for it by the
    // number of his place. A request that waits stands here once for each key.
    "queue",
    // A hash: of each request that waits its place, time to live, owner and keys.
    "tickets",
    // A sorted set: tickets by the moment at which they are given up if nobody asks
    // after them; behind a colon those whose grant was just told.
    "seen",
    // A stream: tickets that were granted, for those who wait elsewhere.
    NEWS,
];

pub(crate) const HELD: &str = "held";
pub(crate) const OWNERS: &str = "owners";
pub(crate) const NEWS: &str = "news";
