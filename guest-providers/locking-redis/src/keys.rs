//! What stands where, below the prefix of the binding.
//!
//! Ten keys and no others, whatever is locked: a release gives keys to somebody
//! whose request nobody knew of before, and a script may touch only what it is told
//! of. Moments are milliseconds of the server's clock.
//!
//! - `fence`: the largest number given, as a fence or as a place in the queue.
//! - `held`, a hash: the lease of each key that is held.
//! - `leases`, a hash: of each lease its fence, end, owner and keys, as MessagePack.
//! - `owners`, a sorted set, by bytes: an owner, a byte 0, and a key that it holds. What
//!   was acquired without an owner is not there.
//! - `ends`, a sorted set: leases by the moment at which they end.
//! - `watched`, a sorted set: those of them that somebody may wait for. Not there if
//!   nobody waits for anything.
//! - `queue`, a sorted set, by bytes: a key behind its length, then the number of a
//!   place, then the ticket. A request that waits stands here once for each key.
//! - `tickets`, a hash: of each request that waits its place, time to live, owner and
//!   keys.
//! - `seen`, a sorted set: tickets by the moment at which they are given up if nobody
//!   asks after them; behind a colon those whose grant was just told; behind `!` names
//!   that were given up and may come yet.
//! - `news`, a stream: tickets that were granted, for those who wait elsewhere.

pub(crate) const FENCE: &str = "fence";
pub(crate) const HELD: &str = "held";
pub(crate) const OWNERS: &str = "owners";
pub(crate) const NEWS: &str = "news";

/// All of them, in the order in which `locks.lua` names them.
pub(crate) const ALL: [&str; 10] =
    [FENCE, HELD, "leases", OWNERS, "ends", "watched", "queue", "tickets", "seen", NEWS];
