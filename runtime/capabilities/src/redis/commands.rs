//! The commands that are sent, and where their keys stand.
//!
//! This is the one list. What is not in it is denied: of Redis' 366 commands
//! and subcommands some 170 name no key, and many of those (`KEYS`, `FLUSHALL`,
//! `CONFIG`, `SELECT`, `CLIENT TRACKING`, ...) reach or tell of everything on the
//! server. The positions are those of the server's own `COMMAND INFO`; a test
//! holds every row against a real server
//! (`the_table_is_what_the_server_itself_says`).
//!
//! Left out on purpose although their keys are known: `GEORADIUS` and
//! `GEORADIUSBYMEMBER` (of two `STORE`s the server checks the first and uses the
//! last), `SORT` (its `BY` and `GET` read keys that no position names), `MOVE`
//! and `MIGRATE` (they reach other databases and servers), `DUMP` and `RESTORE`
//! (a payload made by hand is an attack on the server), `EVAL` and `FCALL` (code
//! that nobody granted), `WATCH` (it belongs to a connection that others share).

use std::collections::HashMap;
use std::sync::OnceLock;

/// Where the keys of a command stand among its arguments; the name is at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// It has none and tells nothing of any.
    None,
    /// At `first`, and every `step` on, up to `last`: from the start if positive,
    /// from the end if negative (-1 is the last argument).
    At { first: usize, last: isize, step: usize },
    /// As many as the argument at `count` says, right behind it; and one more at
    /// `single`.
    Counted { single: Option<usize>, count: usize },
    /// The first half of what follows `STREAMS`.
    Streams {
        /// Whether `GROUP` names a consumer.
        group: bool,
    },
    /// As `Counted` at 2; the argument at 1 names a script.
    Script,
    /// `SCAN`: no keys, but a pattern for them.
    Scan,
}

/// Whether a command waits for something to come, and where it says how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    No,
    /// Seconds, in the first argument.
    First,
    /// Seconds, in the last argument.
    Last,
    /// Milliseconds, in the option `BLOCK`.
    Block,
}

/// Where keys stand in the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replies {
    /// Nowhere.
    Plain,
    /// In the first element.
    KeyFirst,
    /// Each stream under its key.
    ByStream,
    /// In the list that is the second element.
    Scan,
}

/// What is known of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    /// As `COMMAND` has it, in upper case; a subcommand after a space.
    pub(super) name: &'static str,
    pub(super) keys: Keys,
    pub(super) waits: Waits,
    pub(super) replies: Replies,
}

type Row = (Keys, Waits, Replies, &'static [&'static str]);

const fn at(first: usize, last: isize, step: usize) -> Keys {
    Keys::At { first, last, step }
}

const fn counted(count: usize) -> Keys {
    Keys::Counted { single: None, count }
}

const STORED: Keys = Keys::Counted { single: Some(1), count: 2 };

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (Keys::None, Waits::No, Replies::Plain, &["PING", "TIME"]),
    (at(1, 1, 1), Waits::No, Replies::Plain, &[
        // strings
        "APPEND", "BITCOUNT", "BITFIELD", "BITFIELD_RO", "BITPOS", "DECR", "DECRBY", "GET",
        "GETBIT", "GETDEL", "GETEX", "GETRANGE", "GETSET", "INCR", "INCRBY", "INCRBYFLOAT",
        "PSETEX", "SET", "SETBIT", "SETEX", "SETNX", "SETRANGE", "STRLEN",
        // any type
        "EXPIRE", "EXPIREAT", "EXPIRETIME", "PERSIST", "PEXPIRE", "PEXPIREAT", "PEXPIRETIME",
        "PTTL", "TTL", "TYPE",
        // hashes
        "HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HINCRBYFLOAT", "HKEYS", "HLEN",
        "HMGET", "HMSET", "HRANDFIELD", "HSCAN", "HSET", "HSETNX", "HSTRLEN", "HVALS",
        // lists
        "LINDEX", "LINSERT", "LLEN", "LPOP", "LPOS", "LPUSH", "LPUSHX", "LRANGE", "LREM", "LSET",
        "LTRIM", "RPOP", "RPUSH", "RPUSHX",
        // sets
        "SADD", "SCARD", "SISMEMBER", "SMEMBERS", "SMISMEMBER", "SPOP", "SRANDMEMBER", "SREM",
        "SSCAN",
        // sorted sets
        "ZADD", "ZCARD", "ZCOUNT", "ZINCRBY", "ZLEXCOUNT", "ZMSCORE", "ZPOPMAX", "ZPOPMIN",
        "ZRANDMEMBER", "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZRANK", "ZREM",
        "ZREMRANGEBYLEX", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE", "ZREVRANGE", "ZREVRANGEBYLEX",
        "ZREVRANGEBYSCORE", "ZREVRANK", "ZSCAN", "ZSCORE",
        // streams
        "XACK", "XADD", "XAUTOCLAIM", "XCLAIM", "XDEL", "XLEN", "XPENDING", "XRANGE",
        "XREVRANGE", "XSETID", "XTRIM",
        // places and sketches
        "GEOADD", "GEODIST", "GEOHASH", "GEOPOS", "GEOSEARCH", "PFADD",
    ]),
    (at(1, 2, 1), Waits::No, Replies::Plain, &[
        "COPY", "GEOSEARCHSTORE", "LCS", "LMOVE", "RENAME", "RENAMENX", "RPOPLPUSH", "SMOVE",
        "ZRANGESTORE",
    ]),
    (at(1, -1, 1), Waits::No, Replies::Plain, &[
        "DEL", "EXISTS", "MGET", "PFCOUNT", "PFMERGE", "SDIFF", "SDIFFSTORE", "SINTER",
        "SINTERSTORE", "SUNION", "SUNIONSTORE", "TOUCH", "UNLINK",
    ]),
    (at(1, -1, 2), Waits::No, Replies::Plain, &["MSET", "MSETNX"]),
    (at(2, -1, 1), Waits::No, Replies::Plain, &["BITOP"]),
    (at(2, 2, 1), Waits::No, Replies::Plain, &[
        "MEMORY USAGE", "OBJECT ENCODING", "OBJECT FREQ", "OBJECT IDLETIME", "OBJECT REFCOUNT",
        "XGROUP CREATE", "XGROUP CREATECONSUMER", "XGROUP DELCONSUMER", "XGROUP DESTROY",
        "XGROUP SETID", "XINFO CONSUMERS", "XINFO GROUPS", "XINFO STREAM",
    ]),
    (counted(1), Waits::No, Replies::Plain, &[
        "SINTERCARD", "ZDIFF", "ZINTER", "ZINTERCARD", "ZUNION",
    ]),
    (STORED, Waits::No, Replies::Plain, &["ZDIFFSTORE", "ZINTERSTORE", "ZUNIONSTORE"]),
    (counted(1), Waits::No, Replies::KeyFirst, &["LMPOP", "ZMPOP"]),
    (counted(2), Waits::First, Replies::KeyFirst, &["BLMPOP", "BZMPOP"]),
    (at(1, -2, 1), Waits::Last, Replies::KeyFirst, &["BLPOP", "BRPOP", "BZPOPMAX", "BZPOPMIN"]),
    (at(1, 2, 1), Waits::Last, Replies::Plain, &["BLMOVE", "BRPOPLPUSH"]),
    (Keys::Streams { group: false }, Waits::Block, Replies::ByStream, &["XREAD"]),
    (Keys::Streams { group: true }, Waits::Block, Replies::ByStream, &["XREADGROUP"]),
    (Keys::Script, Waits::No, Replies::Plain, &["EVALSHA"]),
    (Keys::Scan, Waits::No, Replies::Scan, &["SCAN"]),
];

/// Why commands that one might expect are not there.
#[rustfmt::skip]
const REASONS: &[(&str, &str)] = &[
    ("KEYS", "it lists every key of the server; use SCAN, or keep an index"),
    ("RANDOMKEY", "it tells keys of others"),
    ("DBSIZE", "it counts the keys of others"),
    ("FLUSHALL", "it removes what is not this binding's"),
    ("FLUSHDB", "it removes what is not this binding's"),
    ("SELECT", "the database is the operator's choice, in `url`"),
    ("SWAPDB", "the database is the operator's choice, in `url`"),
    ("MOVE", "it reaches another database"),
    ("MIGRATE", "it reaches another server"),
    ("SORT", "its BY and GET read keys that the host cannot see"),
    ("SORT_RO", "its BY and GET read keys that the host cannot see"),
    ("GEORADIUS", "use GEOSEARCH or GEOSEARCHSTORE, whose keys have fixed places"),
    ("GEORADIUSBYMEMBER", "use GEOSEARCH or GEOSEARCHSTORE, whose keys have fixed places"),
    ("EVAL", "only scripts that the grant lists may run: `load-script`, then EVALSHA"),
    ("EVAL_RO", "only scripts that the grant lists may run: `load-script`, then EVALSHA"),
    ("EVALSHA_RO", "use EVALSHA"),
    ("SCRIPT", "only scripts that the grant lists may run: `load-script`, then EVALSHA"),
    ("FUNCTION", "functions belong to the whole server"),
    ("FCALL", "functions belong to the whole server"),
    ("FCALL_RO", "functions belong to the whole server"),
    ("MULTI", "use `transaction`: the connection is shared"),
    ("EXEC", "use `transaction`: the connection is shared"),
    ("DISCARD", "use `transaction`: the connection is shared"),
    ("WATCH", "use the conditions of `transaction`: the connection is shared"),
    ("UNWATCH", "use the conditions of `transaction`: the connection is shared"),
    ("AUTH", "who the host logs in as is the operator's choice, in `url`"),
    ("HELLO", "the connection is the host's"),
    ("RESET", "the connection is the host's"),
    ("QUIT", "the connection is the host's"),
    ("CLIENT", "connections are the host's, and CLIENT TRACKING tells keys of others"),
    ("SUBSCRIBE", "channels have no prefix; use a stream"),
    ("PSUBSCRIBE", "channels have no prefix; use a stream"),
    ("SSUBSCRIBE", "channels have no prefix; use a stream"),
    ("PUBLISH", "channels have no prefix; use a stream"),
    ("SPUBLISH", "channels have no prefix; use a stream"),
    ("WAIT", "it holds up the shared connection"),
    ("DUMP", "use GET and its like"),
    ("RESTORE", "a payload made by hand is an attack on the server"),
];

fn index() -> &'static HashMap<&'static [u8], Spec> {
    static INDEX: OnceLock<HashMap<&'static [u8], Spec>> = OnceLock::new();
    INDEX.get_or_init(|| all().map(|spec| (spec.name.as_bytes(), spec)).collect())
}

/// Every command of the list.
pub(super) fn all() -> impl Iterator<Item = Spec> {
    TABLE.iter().flat_map(|&(keys, waits, replies, names)| {
        names.iter().map(move |name| Spec { name, keys, waits, replies })
    })
}

/// The longest name, with its subcommand: no longer text can be one.
const LONGEST: usize = 24;

/// What is known of the command with this name, in either case, with this first
/// argument.
pub(super) fn find(name: &[u8], first: Option<&[u8]>) -> Option<Spec> {
    if name.contains(&b' ') {
        return None;
    }
    let mut text = [0_u8; LONGEST];
    let mut length = 0;
    let mut add = |part: &[u8]| {
        let place = text.get_mut(length..length + part.len())?;
        place.copy_from_slice(part);
        place.make_ascii_uppercase();
        length += part.len();
        Some(length)
    };
    let end = add(name)?;
    // Only of these do subcommands name their keys.
    if [&b"OBJECT"[..], b"MEMORY", b"XGROUP", b"XINFO"]
        .iter()
        .any(|it| it.eq_ignore_ascii_case(name))
    {
        add(b" ")?;
        let end = add(first?)?;
        return index().get(text.get(..end)?).copied();
    }
    index().get(text.get(..end)?).copied()
}

/// Why a command is denied that is not in the list.
pub(super) fn reason(name: &[u8]) -> Option<&'static str> {
    let known = |(other, _): &&(&str, &str)| other.as_bytes().eq_ignore_ascii_case(name);
    REASONS.iter().find(known).map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_upper_case_and_fit() {
        assert_eq!(index().len(), all().count());
        for spec in all() {
            assert!(spec.name.len() <= LONGEST, "{}", spec.name);
            assert_eq!(spec.name, spec.name.to_ascii_uppercase());
            let (name, first) = match spec.name.split_once(' ') {
                Some((name, first)) => (name.to_ascii_lowercase(), Some(first.as_bytes())),
                None => (spec.name.to_ascii_lowercase(), None),
            };
            assert_eq!(find(name.as_bytes(), first).unwrap().name, spec.name);
            assert!(reason(spec.name.as_bytes()).is_none(), "{}", spec.name);
        }
    }

    #[test]
    fn a_name_that_only_resembles_one_is_none() {
        for name in [
            "",
            " GET",
            "GET ",
            "GET\0",
            "GETT",
            "GE",
            "XGROUP",
            "XGROUP CREATE",
            "|",
            "object|freq",
        ] {
            assert!(find(name.as_bytes(), None).is_none(), "{name:?}");
        }
        assert!(find(b"OBJECT", Some(b"HELP")).is_none());
        assert!(find(b"GET", Some(b"CREATE")).is_some());
        assert!(find(&[b'G'; 4096], Some(&[b'x'; 4096])).is_none());
        assert!(find(b"xinfo", Some(&[b'x'; 4096])).is_none());
    }
}
