//! The scripts that built-in providers give to Redis keep to their KEYS.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use stheno_test_support::{RedisClient, RedisServer};

/// A call of a script: its KEYS, its ARGV, what it answers.
struct Call {
    keys: &'static [&'static str],
    arguments: &'static [&'static [u8]],
    answer: &'static str,
}

/// An entry of `cache-redis`.
fn entry(tags: &[&str]) -> Vec<u8> {
    let mut entry = b"10end-of-it".to_vec();
    entry.truncate(10);
    for tag in tags {
        entry.push(255);
        entry.extend(tag.as_bytes());
    }
    if !tags.is_empty() {
        entry.push(255);
    }
    entry.push(254);
    entry.extend(b"\xFFvalue\xFF");
    entry
}

/// Puts there what the calls of `cache-redis` meet.
fn fill(client: &mut RedisClient) {
    client.text(&["FLUSHALL"]);
    let long = "long".repeat(250);
    let many: Vec<&str> = std::iter::repeat_n(long.as_str(), 63).chain(["t"]).collect();
    for (key, entry) in [
        ("v:plain", entry(&[])),
        ("v:tagged", entry(&["t"])),
        ("v:last", entry(&["s", "t"])),
        ("v:other", entry(&["tt", "x"])),
        ("v:many", entry(&many)),
        ("v:value", entry(&[])),
    ] {
        assert_eq!(client.text(&[&b"SET"[..], key.as_bytes(), &entry]), "OK");
    }
    client.text(&["HSET", "v:hash", "a", "b"]);
    for index in ["k:", "t:t"] {
        let names = "1 plain 1 tagged 1 last 1 other 1 many 1 value 1 hash 1 gone 1 kept";
        client.text(&["ZADD", index].into_iter().chain(names.split(' ')).collect::<Vec<_>>());
    }
}

const ENTRIES: &[&str] = &[
    "k:", "t:t", "v:plain", "v:tagged", "v:last", "v:other", "v:many", "v:value", "v:hash",
    "v:gone",
];
const ALL: &[&str] = &[
    "k:", "k:", "v:plain", "v:tagged", "v:last", "v:other", "v:many", "v:value", "v:hash", "v:gone",
];

const CALLS: &[Call] = &[
    Call { keys: ALL, arguments: &[b"", b""], answer: "1" },
    Call { keys: ENTRIES, arguments: &[b"\xFFt\xFF", b""], answer: "5" },
    Call { keys: ENTRIES, arguments: &[b"\xFFt\xFF", b"clear"], answer: "8" },
    Call { keys: ENTRIES, arguments: &[b"\xFFvalue\xFF", b"clear"], answer: "8" },
    Call { keys: &["k:", "t:t"], arguments: &[b"\xFFt\xFF", b"clear"], answer: "0" },
];

/// A connection of a user who may reach these keys and nothing else, which the server
/// enforces within scripts too.
fn limited_to(server: &RedisServer, user: &str, keys: &[&str]) -> RedisClient {
    let mut rule = vec!["ACL", "SETUSER", user, "on", ">pw", "resetkeys", "+@all"];
    let keys: Vec<_> = keys.iter().map(|key| format!("~{key}")).collect();
    rule.extend(keys.iter().map(String::as_str));
    assert_eq!(server.client().text(&rule), "OK");
    let mut limited = server.client();
    assert_eq!(limited.text(&["AUTH", user, "pw"]), "OK");
    assert!(limited.text(&["GET", "another"]).starts_with("-NOPERM"));
    limited
}

#[test]
fn every_script_touches_its_keys_and_no_other() {
    let server = RedisServer::start();
    let mut root = server.client();
    let scripts = stheno_builtins::names()
        .into_iter()
        .flat_map(|name| stheno_builtins::scripts(name).iter().map(move |script| (name, *script)));
    let mut tried = Vec::new();
    for (name, script) in scripts {
        let digest = root.text(&["SCRIPT", "LOAD", script]);
        match name {
            "cache-redis" => sweeps(&server, &digest),
            "locking-redis" => locks(&server, &digest, script),
            _ => panic!("there are no calls here for the script of {name}"),
        }
        tried.push(name);
    }
    assert_eq!(tried, ["cache-redis", "locking-redis", "locking-redis"]);
}

fn sweeps(server: &RedisServer, digest: &str) {
    let mut root = server.client();
    for (at, call) in CALLS.iter().enumerate() {
        fill(&mut root);
        let mut limited = limited_to(server, &format!("user{at}"), call.keys);
        let count = call.keys.len().to_string();
        let mut command = vec![&b"EVALSHA"[..], digest.as_bytes(), count.as_bytes()];
        command.extend(call.keys.iter().map(|key| key.as_bytes()));
        command.extend(call.arguments);
        assert_eq!(limited.text(&command), call.answer, "call {at}");
    }
    cleared(&mut root);
}

/// The keys of `locking-redis`.
const TABLE: [&str; 10] =
    ["fence", "held", "leases", "owners", "ends", "watched", "queue", "tickets", "seen", "news"];

/// What is asked of `locking-redis`, with what the answer has in it. Behind the
/// operation stands how many instances are told, and which. The names of keys
/// that may not be touched are among those that are locked.
const HISTORY: &[(&str, &str)] = &[
    ("exchange 0 0 9 1 one x 60000  2 another held", "granted"),
    ("exchange 0 0 9 2 two  60000 1 1 another three y  1 1 another", "queued"),
    ("poll 0 2 two none", "none"),
    ("inspect 0 2 another other", "x"),
    ("extend 0 1 one 50000", ""),
    ("extend 0 1 gone ", "gone"),
    ("release-keys 0 x  1 held", "1"),
    ("exchange 0 1 one 9 0", "one"),
    ("poll 0 1 two", "two"),
    ("abandon 0 1 two", ""),
    ("exchange 0 0 9 1 four y 1  1 another", "granted"),
    ("exchange 0 0 9 1 five y   1 another", "granted"),
    ("release-all 0 y", "1"),
    ("exchange 0 0 9 1 six  60000  1 another", "granted"),
    ("exchange 0 0 9 1 0123456789abcdef.7   1 1 another", "queued"),
    ("exchange 1 0123456789abcdef 1 six 9 0", "0123456789abcdef.7"),
    ("abandon 0 1 eight", ""),
    ("exchange 0 0 9 1 eight    1 other", "late"),
    ("sweep 0", "0"),
];

fn locks(server: &RedisServer, digest: &str, script: &str) {
    let mut root = server.client();
    root.text(&["FLUSHALL"]);
    let mut limited = limited_to(server, "locks", &TABLE);
    for (asked, expected) in HISTORY {
        let mut command = vec!["EVALSHA", digest, "10"];
        command.extend(TABLE);
        command.extend(asked.split(' '));
        let answer = limited.call(&command);
        let texts = answer.iter().flatten().map(|part| String::from_utf8_lossy(part));
        let texts: Vec<_> = texts.collect();
        assert!(!texts.iter().any(|text| text.starts_with('-')), "{asked}: {texts:?}");
        let has = expected.is_empty() || texts.iter().any(|text| text == expected);
        assert!(has, "{asked}: {texts:?}");
    }
    for key in root.keys() {
        assert!(TABLE.contains(&key.as_str()), "{key}");
    }
    // Each operation was tried.
    let operations = script.lines().filter_map(|line| {
        let line = line.strip_prefix("function operations.").or(line.strip_prefix("operations['"));
        line?.split(['(', '\'']).next()
    });
    let operations: Vec<_> = operations.collect();
    assert!(operations.len() > 5, "{operations:?}");
    for operation in operations {
        let is = |(asked, _): &&(&str, &str)| asked.split(' ').next() == Some(operation);
        assert!(HISTORY.iter().any(|tried| is(&tried)), "{operation} is not tried here");
    }
}

/// What is left by the call that clears the tag `t`.
fn cleared(root: &mut RedisClient) {
    fill(root);
    let script = stheno_builtins::scripts("cache-redis")[0];
    let count = ENTRIES.len().to_string();
    let mut command = vec![&b"EVAL"[..], script.as_bytes(), count.as_bytes()];
    command.extend(ENTRIES.iter().map(|key| key.as_bytes()));
    command.extend([&b"\xFFt\xFF"[..], b"clear"]);
    assert_eq!(root.text(&command), "8");
    assert_eq!(root.keys(), ["k:", "t:t", "v:hash", "v:other", "v:plain", "v:value"]);
    assert_eq!(root.text(&["ZCARD", "t:t"]), "1", "whose entry was not looked at");
    assert_eq!(root.text(&["ZCARD", "k:"]), "6");
}
