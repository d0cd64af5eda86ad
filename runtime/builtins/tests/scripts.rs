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

/// Makes the calls as a user who may reach the KEYS of each and nothing else, which
/// the server enforces within scripts too.
#[test]
fn every_script_touches_its_keys_and_no_other() {
    let server = RedisServer::start();
    let mut root = server.client();
    let scripts = stheno_builtins::names()
        .into_iter()
        .flat_map(|name| stheno_builtins::scripts(name).iter().map(move |script| (name, *script)));
    let mut tried = 0;
    for (name, script) in scripts {
        assert_eq!(name, "cache-redis", "there are no calls here for the script of {name}");
        let digest = root.text(&["SCRIPT", "LOAD", script]);
        for (at, call) in CALLS.iter().enumerate() {
            fill(&mut root);
            let user = format!("user{at}");
            let mut rule = vec!["ACL", "SETUSER", &user, "on", ">pw", "resetkeys", "+@all"];
            let keys: Vec<_> = call.keys.iter().map(|key| format!("~{key}")).collect();
            rule.extend(keys.iter().map(String::as_str));
            assert_eq!(root.text(&rule), "OK");
            let mut limited = server.client();
            assert_eq!(limited.text(&["AUTH", &user, "pw"]), "OK");
            assert!(limited.text(&["GET", "other"]).starts_with("-NOPERM"));
            let count = call.keys.len().to_string();
            let mut command = vec![&b"EVALSHA"[..], digest.as_bytes(), count.as_bytes()];
            command.extend(call.keys.iter().map(|key| key.as_bytes()));
            command.extend(call.arguments);
            assert_eq!(limited.text(&command), call.answer, "call {at}");
            tried += 1;
        }
        cleared(&mut root);
    }
    assert_eq!(tried, CALLS.len());
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
