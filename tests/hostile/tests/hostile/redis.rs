//! Redis: nothing without a grant, and with one the keys below the prefix.

use std::time::{Duration, Instant};

use stheno::Runtime;
use stheno::config::{Config, Limits, RedisGrant, RedisPrefix, RedisTimeout, RedisUrl, StoreLabel};
use stheno_engine::{Aspect, LoadError};
use stheno_hostile::{Guest, ask, denied, terms, try_load};
use stheno_test_support::{RedisServer, until};

use crate::engine;

const REDIS: &str = "redis-cache";

async fn granted(server: &RedisServer, change: impl FnOnce(&mut RedisGrant)) -> Guest {
    let url = RedisUrl::new(&server.url()).unwrap();
    let mut grant = RedisGrant::new(url, RedisPrefix::new("own:").unwrap());
    change(&mut grant);
    let mut terms = terms(Limits::default());
    terms.grants.add_redis(StoreLabel::new("default").unwrap(), grant);
    try_load(&engine(), REDIS, terms).await.unwrap()
}

#[tokio::test]
async fn a_component_that_needs_redis_is_refused_without_a_grant() {
    let error = try_load(&engine(), REDIS, terms(Limits::default())).await.err().unwrap();
    assert_eq!(error.aspect(), Aspect::Grants);
    let LoadError::MissingGrant { import, line, .. } = &error else { panic!("{error:?}") };
    assert!(import.starts_with("stheno:redis/redis"), "{import}");
    assert!(error.help().contains(line));
}

#[tokio::test]
async fn the_line_that_the_refusal_names_is_the_line_that_grants_redis() {
    let server = RedisServer::start();
    let guest = stheno_test_support::guest(REDIS);
    let env = |name: &str| (name == "REDIS_URL").then(|| server.url());
    let config = |line: &str| {
        let text = format!("[modules.cache]\nresolve = \"{}\"\n{line}\n", guest.display());
        Config::parse(&text, "stheno.toml", std::path::Path::new("/"), &env).unwrap()
    };
    let refused = Runtime::builder().config(config("")).build().await.err().unwrap();
    let problem = refused.problems().remove(0);
    assert_eq!(problem.place, "modules.cache.grants");
    let (_, line) = problem.help.split_once("below its module: ").unwrap();
    // A check takes the same line and reaches nobody.
    let mut monitor = server.client();
    monitor.monitor();
    Runtime::builder().config(config(line)).check().await.unwrap();
    let runtime = Runtime::builder().config(config(line)).build().await.unwrap();
    server.client().text(&["ECHO", "after-the-check"]);
    assert_eq!(monitor.seen("after-the-check"), Vec::<String>::new());
    let set = runtime.cache().get_bytes("call:SET k v").await.unwrap();
    assert_eq!(set.as_deref(), Some(&b"OK"[..]));
    assert_eq!(server.client().keys(), ["shop:cache:k"]);
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn no_command_reaches_a_key_that_is_not_its_own() {
    let server = RedisServer::with(&["--enable-debug-command", "local"]);
    let mut client = server.client();
    for (key, value) in [("other:secret", "s3cret"), ("own", "s3cret"), ("ow", "s3cret")] {
        assert_eq!(client.text(&["SET", key, value]), "OK");
    }
    assert_eq!(client.text(&["RPUSH", "other:list", "s3cret"]), "1");
    assert_eq!(client.text(&["SADD", "other:set", "s3cret"]), "1");
    let guest = granted(&server, |_| {}).await;
    assert_eq!(ask(&guest, "call:SET k v").await.as_deref(), Ok("OK"));
    assert_eq!(ask(&guest, "call:RPUSH numbers 1 2").await.as_deref(), Ok("2"));
    let before = client.text(&["DEBUG", "DIGEST"]);
    let mut monitor = server.client();
    monitor.monitor();
    let mut attacks = 0;
    for attack in [
        "KEYS *",
        "RANDOMKEY",
        "DBSIZE",
        "FLUSHALL",
        "FLUSHDB ASYNC",
        "SELECT 1",
        "SWAPDB 0 1",
        "MOVE k 1",
        "COPY k k2 DB 1",
        "COPY k k2 REPLACE DB 1",
        "MIGRATE 127.0.0.1 1 k 0 1",
        "CONFIG SET requirepass x",
        "CONFIG REWRITE",
        "DEBUG SLEEP 1",
        "SHUTDOWN NOSAVE",
        "REPLICAOF 127.0.0.1 1",
        "ACL SETUSER x",
        "AUTH default",
        "HELLO 3 AUTH default x",
        "RESET",
        "QUIT",
        "CLIENT TRACKING ON BCAST",
        "CLIENT KILL TYPE normal",
        "MONITOR",
        "SORT numbers BY nosort GET other:secret",
        "SORT numbers STORE other:list",
        "SORT_RO numbers GET other:*",
        "GEORADIUS g 1 1 1 m STORE a STORE other:list",
        "GEORADIUSBYMEMBER g m 1 m STORE a STORE other:list",
        "EVAL return_redis.call('keys','*') 0",
        "EVALSHA 0000000000000000000000000000000000000000 0",
        "FCALL f 0",
        "FUNCTION FLUSH",
        "SCRIPT FLUSH",
        "PUBLISH other:channel x",
        "SUBSCRIBE other:channel",
        "MULTI",
        "EXEC",
        "WATCH other:secret",
        "WAIT 1 1000",
        "INFO",
        "COMMAND",
        "DUMP k",
        "RESTORE k 0 x",
        "GET\\x0d\\x0aKEYS\\x0d\\x0a*",
        "\\x2a1\\x0d\\x0a$8\\x0d\\x0aFLUSHALL",
        "GET\\x00 k",
        "",
        "XGROUP HELP",
        "OBJECT HELP",
        "CLUSTER NODES",
        "MODULE LOAD /tmp/x",
        "SLOWLOG GET",
        "LATENCY RESET",
        "PSYNC ? -1",
        "FAILOVER",
        "SAVE",
        "BGSAVE",
        "PFDEBUG GETREG k",
    ] {
        for way in ["call", "pipeline", "transaction"] {
            let key = match way {
                "call" => format!("call:{attack}"),
                way => format!("{way}:SET denied 1|{attack}|SET denied 2"),
            };
            let answer = ask(&guest, &key).await.unwrap();
            assert!(answer.starts_with("denied: "), "{key}: {answer}");
            attacks += 1;
        }
    }
    assert_eq!(denied(&guest, "redis"), attacks);
    // What is let through names its own keys, however they are written.
    for (own, reply) in [
        ("GET other:secret", "nil"),
        ("GET ../other:secret", "nil"),
        ("GET own", "nil"),
        ("GET \\x0d\\x0aGET\\x20other:secret\\x0d\\x0a", "nil"),
        ("GET \\x00other:secret", "nil"),
        ("MGET own other:secret own:k", "[3] nil nil nil"),
        ("LMOVE other:list mine LEFT RIGHT", "nil"),
        ("RENAME other:secret mine", "invalid-argument: ERR no such key"),
        ("SUNIONSTORE mine other:set", "0"),
        ("SDIFF other:set", "[0]"),
        ("EXISTS other:secret", "0"),
        ("SCAN 0 MATCH * COUNT 10000", ""),
        ("SCAN 0 MATCH *secret* COUNT 10000", "[2] 0 [0]"),
        ("SCAN 0 MATCH ../* COUNT 10000", "[2] 0 [0]"),
        ("LMPOP 2 other:list own:other:list LEFT", "nil"),
        ("XREAD STREAMS other:secret 0", "nil"),
        ("BITOP AND mine other:secret other:secret", "0"),
        ("OBJECT ENCODING other:secret", "nil"),
        ("TYPE other:secret", "none"),
    ] {
        let answer = ask(&guest, &format!("call:{own}")).await.unwrap();
        assert!(answer == reply || reply.is_empty(), "{own}: {answer}");
        assert!(!answer.contains("s3cret") && !answer.contains("other:"), "{own}: {answer}");
    }
    let mark = ask(&guest, "call:GET the-mark").await;
    assert_eq!(mark.as_deref(), Ok("nil"));
    // The server saw nothing but commands on keys of the prefix.
    let seen = monitor.seen("own:the-mark");
    assert!(seen.iter().any(|line| line.contains("own:other:secret")), "{seen:?}");
    for line in seen.iter().filter(|line| !line.contains("debug")) {
        let (_, command) = line.split_once("] ").unwrap();
        assert!(command.contains("\"own:"), "{line}");
        for word in ["denied", "KEYS", "FLUSH", "CONFIG", "SELECT", "EVAL"] {
            assert!(!command.contains(word), "{line}");
        }
    }
    assert_eq!(client.text(&["DEBUG", "DIGEST"]), before);
}

#[tokio::test]
async fn a_label_that_was_not_granted_opens_no_redis() {
    let server = RedisServer::start();
    let guest = granted(&server, |_| {}).await;
    for label in ["", "other", "Default", "default\0", "redis://127.0.0.1:6379", "../default"] {
        let answer = ask(&guest, &format!("open:{label}")).await.unwrap();
        assert!(answer.starts_with("denied: "), "{label:?}: {answer}");
    }
    let other = ask(&guest, "open:other").await.unwrap();
    assert!(other.contains("grants.redis.other = {") && !other.contains("127.0.0.1"), "{other}");
    assert_eq!(ask(&guest, "open:default").await.as_deref(), Ok("opened"));
}

#[tokio::test]
async fn a_script_that_was_not_granted_is_not_run() {
    let server = RedisServer::start();
    let guest = granted(&server, |_| {}).await;
    let answer = ask(&guest, "script:return redis.call('KEYS', '*')").await.unwrap();
    assert!(answer.starts_with("denied: ") && answer.contains("scripts = ["), "{answer}");
}

#[tokio::test]
async fn a_server_that_hangs_costs_a_call_its_deadline_and_no_more() {
    let server = RedisServer::start();
    let quick = RedisTimeout::new(Duration::from_millis(200)).unwrap();
    let guest = granted(&server, |grant| grant.timeout = quick).await;
    assert_eq!(ask(&guest, "call:SET k v").await.as_deref(), Ok("OK"));
    server.hang();
    let begun = Instant::now();
    let answer = ask(&guest, "call:GET k").await.unwrap();
    assert!(answer.starts_with("timeout: "), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(2));
    server.go_on();
    let read = async || ask(&guest, "call:GET k").await.as_deref() == Ok("v");
    until("it does not come back", read).await;
}
