//! Bindings against a real server.

mod failures;
mod parser;

use std::sync::{Arc, OnceLock};

use stheno_config::{Grants, RedisGrant, RedisPrefix, RedisUrl, ScriptDigest, StoreLabel};
use stheno_contracts::Error;
use stheno_contracts::redis::{Condition, Part};
use stheno_test_support::RedisServer;

use super::bindings::{Binding, Redis};
use super::{ServerSide, acl_line, server_side};
use crate::Denials;

/// The server of the tests that do not stop it.
fn server() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(RedisServer::start)
}

fn grant(url: &str, prefix: &str) -> RedisGrant {
    RedisGrant::new(RedisUrl::new(url).unwrap(), RedisPrefix::new(prefix).unwrap())
}

fn bound(grant: RedisGrant) -> Arc<Binding> {
    redis(grant).open("default").unwrap()
}

fn redis(grant: RedisGrant) -> Redis {
    let mut grants = Grants::default();
    grants.add_redis(StoreLabel::new("default").unwrap(), grant);
    Redis::granted_by(&Denials::of(&"test".into()), &grants)
}

fn words(command: &str) -> Vec<Vec<u8>> {
    command.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

fn texts(parts: &[Part]) -> Vec<String> {
    parts
        .iter()
        .map(|part| match part {
            Part::Nil => "nil".into(),
            Part::Status(text) => text.clone(),
            Part::Int(number) => number.to_string(),
            Part::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Part::Double(number) => number.to_string(),
            Part::Boolean(truth) => truth.to_string(),
            Part::Items(count) => format!("[{count}]"),
            Part::Pairs(count) => format!("{{{count}}}"),
            Part::Failed(error) => format!("{error:?}"),
        })
        .collect()
}

async fn ask(binding: &Binding, command: &str) -> String {
    match binding.call(words(command)).await {
        Ok(parts) => texts(&parts).join(" "),
        Err(error) => format!("{}: {}", error.kind(), error.message()),
    }
}

#[tokio::test]
async fn keys_have_the_prefix_there_and_not_here() {
    let binding = bound(grant(&server().url(), "a:{x}:"));
    let other = bound(grant(&server().url(), "a:{x}:b:"));
    for (command, reply) in [
        ("SET k 1", "OK"),
        ("GET k", "1"),
        ("GET a:{x}:k", "nil"),
        ("INCR k", "2"),
        ("RPUSH l a b c", "3"),
        ("LMPOP 2 none l LEFT", "[2] l [1] a"),
        ("BLPOP none l 1", "[2] l b"),
        ("BRPOP l 1", "[2] l c"),
        ("BLPOP l 0.01", "nil"),
        ("ZADD z 1.5 m", "1"),
        ("ZSCORE z m", "1.5"),
        ("BZPOPMIN z 1", "[3] z m 1.5"),
        ("XADD s 1-1 f v", "1-1"),
        ("XREAD STREAMS s 0", "{1} s [1] [2] 1-1 [2] f v"),
        ("XGROUP CREATE s g 0", "OK"),
        ("XREADGROUP GROUP g c BLOCK 10 STREAMS s >", "{1} s [1] [2] 1-1 [2] f v"),
        ("XREAD BLOCK 10 STREAMS s 9", "nil"),
        ("HSET h f v", "1"),
        ("HGETALL h", "{1} f v"),
        ("SADD set m", "1"),
        ("SMEMBERS set", "[1] m"),
        ("RENAME k k2", "OK"),
        ("EXISTS k k2 k2", "2"),
        ("TYPE h", "hash"),
    ] {
        assert_eq!(ask(&binding, command).await, reply, "{command}");
    }
    let wrong = ask(&binding, "GET h").await;
    assert!(wrong.starts_with("conflict: WRONGTYPE"), "{wrong}");
    let gone = ask(&binding, "XREADGROUP GROUP nog c STREAMS nos >").await;
    assert!(gone.contains("'nos'") && !gone.contains("a:{x}:"), "{gone}");
    ask(&other, "SET secret 1").await;
    // What is below the prefix only by its pattern's grace is not shown.
    for pattern in ["*", "k*", "[a-z]*", "a:{x}:*", "../*", "?", "\\*", "*secret*"] {
        let found = ask(&binding, &format!("SCAN 0 COUNT 10000 MATCH {pattern}")).await;
        for key in found.split(' ').skip(3) {
            let there = server().client().text(&["EXISTS", &format!("a:{{x}}:{key}")]);
            assert_eq!(there, "1", "{pattern}: {found}");
        }
    }
    assert_eq!(ask(&other, "SCAN 0 COUNT 10000").await, "[2] 0 [1] secret");
    assert_eq!(ask(&other, "SCAN 0 COUNT 10000 MATCH * TYPE hash").await, "[2] 0 [0]");
    let binary = [0_u8, 255, b'\r', b'\n', b'*', 0].to_vec();
    binding.call(vec![b"SET".to_vec(), binary.clone(), b"x".to_vec()]).await.unwrap();
    let got = binding.call(vec![b"get".to_vec(), binary.clone()]).await.unwrap();
    assert!(matches!(&got[..], [Part::Bytes(bytes)] if bytes == b"x"));
    let there = [b"a:{x}:".to_vec(), binary].concat();
    assert_eq!(server().client().call(&[b"GET".to_vec(), there]), [Some(b"x".to_vec())]);
}

#[tokio::test]
async fn the_error_of_one_stops_none_of_the_others() {
    let binding = bound(grant(&server().url(), "pipeline:"));
    let commands = ["SET k v", "LPUSH k v", "GET k", "ZADD z x y", "HGET none f"].map(words);
    let answers = binding.pipeline(commands.to_vec()).await.unwrap();
    let shown: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().map_or_else(Error::kind, |_| "ok")).collect();
    assert_eq!(shown, ["ok", "conflict", "ok", "invalid-argument", "ok"]);
}

#[tokio::test]
async fn a_transaction_is_made_whole_or_not_at_all() {
    let binding = bound(grant(&server().url(), "multi:"));
    let is = |key: &str, value: Option<&str>| Condition {
        key: key.into(),
        value: value.map(|value| value.as_bytes().to_vec()),
    };
    let set = |value: &str| vec![words(&format!("SET k {value}")), words("INCR n")];
    let done = binding.transaction(vec![is("k", None)], set("1")).await.unwrap();
    assert_eq!(texts(done[1].as_ref().unwrap()), ["1"]);
    let refused = binding.transaction(vec![is("n", Some("1")), is("k", None)], set("2")).await;
    assert!(refused.unwrap_err().message().starts_with("condition 1 "));
    assert_eq!(ask(&binding, "MGET k n").await, "[2] 1 1");
    binding.transaction(vec![is("k", Some("1"))], set("2")).await.unwrap();
    binding.transaction(vec![], set("3")).await.unwrap();
    assert_eq!(ask(&binding, "MGET k n").await, "[2] 3 3");
    // Another type is neither the value nor nothing.
    ask(&binding, "HSET h f v").await;
    for value in [None, Some("")] {
        assert!(binding.transaction(vec![is("h", value)], set("4")).await.is_err());
    }
    // One that fails while it is made stands in its place.
    let mixed = binding.transaction(vec![], vec![words("INCR h"), words("SET k 5")]).await.unwrap();
    assert_eq!(mixed[0].as_ref().unwrap_err().kind(), "conflict");
    assert_eq!(ask(&binding, "GET k").await, "5");
    // One that the server refuses beforehand stops all.
    let error =
        binding.transaction(vec![], vec![words("SET k 6"), words("GET k x")]).await.unwrap_err();
    assert_eq!(error.kind(), "invalid-argument", "{error:?}");
    assert_eq!(ask(&binding, "GET k").await, "5");
}

#[tokio::test]
async fn a_transaction_that_comes_to_nothing_watches_nothing_for_the_next_one() {
    // One after another, they all have the same connection.
    let binding = bound(grant(&server().url(), "watch:"));
    let absent = |key: &str| vec![Condition { key: key.into(), value: None }];
    let both =
        [absent("k"), vec![Condition { key: b"k".into(), value: Some(Vec::new()) }]].concat();
    let unknown = vec![words(&format!("EVALSHA {} 1 k", "a".repeat(64)))];
    let ended = [
        (binding.transaction(absent("k"), unknown).await, "denied"),
        (binding.transaction(absent("k"), vec![words("GET k x")]).await, "invalid-argument"),
        (binding.transaction(both, vec![words("SET k 1")]).await, "conflict"),
    ];
    for (ended, kind) in ended {
        assert_eq!(ended.unwrap_err().kind(), kind);
    }
    // Somebody changes what was watched; those who come next do not care for it.
    server().client().text(&["SET", "watch:k", "1"]);
    binding.transaction(absent("j"), vec![words("SET j 1")]).await.unwrap();
    assert_eq!(ask(&binding, "GET j").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_swap_at_the_same_time_one_wins() {
    let binding = bound(grant(&server().url(), "swap:"));
    for round in 0..20_u32 {
        let old = (round > 0).then(|| round.to_string().into_bytes());
        let new = words(&format!("SET k {}", round + 1));
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (binding, new) = (Arc::clone(&binding), new.clone());
                let condition = Condition { key: b"k".to_vec(), value: old.clone() };
                tokio::spawn(async move { binding.transaction(vec![condition], vec![new]).await })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert_eq!(error.kind(), "conflict", "{error:?}"),
            }
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test]
async fn only_a_script_that_was_granted_runs_and_it_outlives_a_flush() {
    const SOURCE: &str = "redis.call('SET', KEYS[1], ARGV[1]) return {KEYS[1], 1, false}";
    let digest = {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(SOURCE.as_bytes()))
    };
    let mut granted = grant(&server().url(), "script:");
    let without = bound(granted.clone());
    let refused = without.load_script(SOURCE.into()).unwrap_err();
    assert!(refused.kind() == "denied" && refused.message().contains(&digest), "{refused:?}");
    granted.scripts.insert(ScriptDigest::new(&digest).unwrap());
    let binding = bound(granted);
    let call = format!("EVALSHA {digest} 1 k v");
    assert!(ask(&binding, &call).await.starts_with("denied: "), "not loaded yet");
    assert!(binding.load_script(format!("{SOURCE} ")).is_err());
    assert_eq!(binding.load_script(SOURCE.into()).unwrap(), digest);
    assert_eq!(ask(&binding, &call).await, "[3] script:k 1 nil");
    assert_eq!(ask(&binding, "GET k").await, "v");
    // The server's own name for it is no name here.
    let sha1 = server().client().text(&["SCRIPT", "LOAD", SOURCE]);
    assert!(ask(&binding, &format!("EVALSHA {sha1} 1 k v")).await.starts_with("denied: "));
    server().client().text(&["SCRIPT", "FLUSH"]);
    assert_eq!(ask(&binding, &call).await, "[3] script:k 1 nil");
    let many = binding.transaction(vec![], vec![words(&call), words("GET k")]).await.unwrap();
    assert!(many.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_server_that_does_not_keep_its_user_within_the_prefix_is_found_out() {
    let server = RedisServer::start();
    let of = |user: &str| grant(&format!("redis://{user}127.0.0.1:{}", server.port()), "s:");
    assert_eq!(server_side(&of("")).await, ServerSide::Lets("read keys beyond the prefix"));
    let rule = "ACL SETUSER keys on >s3cret ~s:* +@all";
    assert_eq!(server.client().text(&rule.split(' ').collect::<Vec<_>>()), "OK");
    let lets = ServerSide::Lets("send commands that reach all keys");
    assert_eq!(server_side(&of("keys:s3cret@")).await, lets);
    let unknown = server_side(&of("keys:wr0ng@")).await;
    let ServerSide::Unknown(why) = &unknown else { panic!("{unknown:?}") };
    assert!(why.contains("does not take the user") && !why.contains("wr0ng"), "{why}");
}

#[tokio::test]
async fn the_printed_rule_makes_the_server_enforce_the_same() {
    let server = RedisServer::start();
    let mut limited = grant(&format!("redis://app:s3cret@127.0.0.1:{}", server.port()), "app:");
    let line = acl_line(&limited);
    assert!(!line.contains("s3cret"), "{line}");
    let rule = line.replace("PASSWORD", "s3cret");
    assert_eq!(server.client().text(&rule.split(' ').collect::<Vec<_>>()), "OK", "{line}");
    const SOURCE: &str = "return redis.call('GET', KEYS[1])";
    let digest = {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(SOURCE.as_bytes()))
    };
    limited.scripts.insert(ScriptDigest::new(&digest).unwrap());
    assert_eq!(server_side(&limited).await, ServerSide::Refuses);
    let binding = bound(limited.clone());
    for (command, reply) in [
        ("SET k v", "OK"),
        ("GET k", "v"),
        ("SCAN 0 COUNT 100", "[2] 0 [1] k"),
        ("TIME", ""),
        ("BLPOP l 0.01", "nil"),
        ("OBJECT REFCOUNT k", "1"),
        ("XADD s 1-1 f v", "1-1"),
        ("XGROUP CREATE s g 0", "OK"),
    ] {
        let answer = ask(&binding, command).await;
        assert!(
            answer == reply || reply.is_empty() && answer.starts_with("[2]"),
            "{command}: {answer}"
        );
    }
    binding.load_script(SOURCE.into()).unwrap();
    assert_eq!(ask(&binding, &format!("EVALSHA {digest} 1 k")).await, "v");
    let condition = Condition { key: b"k".to_vec(), value: Some(b"v".to_vec()) };
    assert!(binding.transaction(vec![condition], vec![words("SET k w")]).await.is_ok());
    // Beyond it nothing is to be had, whoever asks.
    let mut user = server.client();
    assert_eq!(user.text(&["AUTH", "app", "s3cret"]), "OK");
    for beyond in [
        "GET other",
        "KEYS *",
        "CONFIG GET *",
        "FLUSHALL",
        "SELECT 1",
        "DBSIZE",
        "RANDOMKEY",
        "CLIENT LIST",
        "EVAL return 0",
        "SORT app:k",
        "SCRIPT FLUSH",
        "PUBLISH c m",
        "ACL LIST",
        "GEORADIUS app:k 1 1 1 m STORE app:a STORE other",
        "COPY app:k other",
    ] {
        let answer = user.text(&beyond.split(' ').collect::<Vec<_>>());
        assert!(answer.starts_with("-NOPERM"), "{beyond}: {answer}");
    }
    // Another prefix than the user's is the server's to refuse.
    limited.prefix = RedisPrefix::new("other:").unwrap();
    let refused = ask(&bound(limited.clone()), "GET k").await;
    assert!(refused.starts_with("denied: ") && refused.contains("stheno acl"), "{refused}");
    limited.url = RedisUrl::new(&format!("redis://app:wrong@127.0.0.1:{}", server.port())).unwrap();
    let refused = ask(&bound(limited), "GET k").await;
    assert!(refused.starts_with("unavailable: ") && refused.contains("password"), "{refused}");
    assert!(!refused.contains("wrong"), "{refused}");
}

#[tokio::test]
async fn a_check_reaches_no_server_and_takes_granted_scripts() {
    let mut grants = Grants::default();
    grants.add_redis(StoreLabel::new("default").unwrap(), grant("redis://127.0.0.1:1", "a:"));
    let redis = Redis::out_of_reach(&Denials::of(&"test".into()), &grants);
    let binding = redis.open("default").unwrap();
    assert!(ask(&binding, "GET k").await.contains("no server is reached"));
    assert_eq!(ask(&binding, "KEYS *").await.split(':').next(), Some("denied"));
    assert!(redis.open("other").err().unwrap().message().contains("grants.redis.other = {"));
    assert!(redis.open("no label").is_err());
}
