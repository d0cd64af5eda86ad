//! Bindings against a real server, and the parser against everything.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use stheno_config::{
    ByteSize, Grants, RedisConnections, RedisGrant, RedisInFlight, RedisMaxBytes, RedisOperations,
    RedisPrefix, RedisTimeout, RedisUrl, ScriptDigest, StoreLabel,
};
use stheno_contracts::Error;
use stheno_contracts::redis::{Condition, Part};
use stheno_test_support::RedisServer;

use super::admit::admit;
use super::bindings::{Binding, Redis};
use super::commands::{self, Keys};
use super::*;

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
    Redis::granted_by("test", &grants)
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

/// Rows of `COMMAND`: name, flags, first, last, step, of commands and their
/// subcommands, through a script that makes lines of them.
fn told_by_the_server() -> Vec<(String, String, [isize; 3])> {
    const SCRIPT: &str = "
        local out = {}
        local function add(row)
            local flags = {}
            for _, flag in ipairs(row[3]) do flags[#flags + 1] = flag.ok end
            out[#out + 1] = table.concat({row[1], table.concat(flags, ','), row[4], row[5], row[6]}, ' ')
            for _, sub in ipairs(row[10] or {}) do add(sub) end
        end
        for _, row in ipairs(redis.call('COMMAND')) do add(row) end
        return out";
    let rows = server().client().call(&["EVAL", SCRIPT, "0"]);
    rows.into_iter()
        .flatten()
        .map(|row| {
            let row = String::from_utf8(row).unwrap();
            let [name, flags, first, last, step] = row.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            let number = |text: &str| text.parse().unwrap();
            let name = name.to_ascii_uppercase().replace('|', " ");
            (name, flags.to_owned(), [number(first), number(last), number(step)])
        })
        .collect()
}

#[test]
fn the_table_is_what_the_server_itself_says() {
    let told = told_by_the_server();
    assert!(told.len() > 300, "{}", told.len());
    for spec in commands::all() {
        let (_, flags, positions) = told
            .iter()
            .find(|(name, ..)| name == spec.name)
            .unwrap_or_else(|| panic!("{}", spec.name));
        let flagged = |flag: &str| flags.split(',').any(|it| it == flag);
        let expected = match spec.keys {
            Keys::None | Keys::Scan => [0, 0, 0],
            Keys::At { first, last, step } => [first as isize, last, step as isize],
            Keys::Counted { single: None, .. } | Keys::Streams { .. } | Keys::Script => [0, 0, 0],
            Keys::Counted { single: Some(at), .. } => [at as isize, at as isize, 1],
        };
        assert_eq!(*positions, expected, "{}", spec.name);
        // Where keys stand elsewhere the server says so, and never otherwise.
        let moves = matches!(spec.keys, Keys::Counted { .. } | Keys::Streams { .. } | Keys::Script);
        assert_eq!(flagged("movablekeys"), moves, "{}: {flags}", spec.name);
        assert_eq!(
            flagged("blocking"),
            spec.waits != commands::Waits::No,
            "{}: {flags}",
            spec.name
        );
        for never in ["admin", "pubsub"] {
            assert!(!flagged(never), "{}: {flags}", spec.name);
        }
    }
}

/// Forms of every kind of key position, each good for the server.
const FORMS: &[&str] = &[
    "GET k",
    "set k v EX 10 GET",
    "MGET a b a",
    "MSET a 1 b 2",
    "DEL a b c",
    "BITOP AND d a b",
    "COPY a b REPLACE",
    "RENAME a b",
    "LMOVE a b LEFT RIGHT",
    "SMOVE a b m",
    "GEOSEARCHSTORE a b FROMLONLAT 1 1 BYRADIUS 1 m",
    "ZRANGESTORE a b 0 1",
    "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
    "ZINTER 2 a b WITHSCORES",
    "SINTERCARD 1 a LIMIT 1",
    "LMPOP 2 a b LEFT COUNT 1",
    "ZMPOP 1 a MIN",
    "BLMPOP 1 2 a b LEFT",
    "BZMPOP 1 1 a MAX",
    "BLPOP a b 1",
    "BRPOP a 0.5",
    "BZPOPMIN a b 1",
    "BLMOVE a b LEFT LEFT 1",
    "XREAD STREAMS a b 0 0",
    "XREAD COUNT 1 BLOCK 5 STREAMS a 0",
    "XREADGROUP GROUP g c COUNT 2 NOACK STREAMS a >",
    "XREADGROUP GROUP streams streams STREAMS a >",
    "XGROUP CREATE k g $ MKSTREAM",
    "XINFO STREAM k FULL",
    "OBJECT ENCODING k",
    "MEMORY USAGE k SAMPLES 1",
    "EVALSHA f 2 a b x",
    "EVALSHA f 0 x",
    "XADD k * f v",
    "PFMERGE d a b",
    "LCS a b LEN",
];

/// Forms that must not be understood, with what they are answered.
const REFUSED: &[(&str, &str)] = &[
    ("KEYS *", "denied"),
    ("FLUSHALL", "denied"),
    ("FLUSHDB", "denied"),
    ("CONFIG GET *", "denied"),
    ("SELECT 1", "denied"),
    ("RESET", "denied"),
    ("QUIT", "denied"),
    ("AUTH default x", "denied"),
    ("HELLO 3 AUTH a b", "denied"),
    ("CLIENT TRACKING ON BCAST", "denied"),
    ("CLIENT LIST", "denied"),
    ("SORT k BY w_* GET #", "denied"),
    ("SORT_RO k GET other:*", "denied"),
    ("EVAL return 0", "denied"),
    ("EVALSHA_RO f 0", "denied"),
    ("FCALL f 0", "denied"),
    ("SCRIPT FLUSH", "denied"),
    ("FUNCTION FLUSH", "denied"),
    ("RANDOMKEY", "denied"),
    ("DBSIZE", "denied"),
    ("SWAPDB 0 1", "denied"),
    ("MOVE k 1", "denied"),
    ("MIGRATE h 1 k 0 1", "denied"),
    ("COPY a b DB 1", "denied"),
    ("COPY a b REPLACE db 1", "denied"),
    ("GEORADIUS k 1 1 1 m STORE a STORE b", "denied"),
    ("GEORADIUSBYMEMBER k m 1 m STORE a STORE b", "denied"),
    ("PUBLISH c m", "denied"),
    ("SUBSCRIBE c", "denied"),
    ("MULTI", "denied"),
    ("EXEC", "denied"),
    ("WATCH k", "denied"),
    ("MONITOR", "denied"),
    ("DEBUG SLEEP 1", "denied"),
    ("INFO", "denied"),
    ("SHUTDOWN", "denied"),
    ("REPLICAOF NO ONE", "denied"),
    ("WAIT 1 0", "denied"),
    ("OBJECT HELP", "denied"),
    ("DUMP k", "denied"),
    ("RESTORE k 0 x", "denied"),
    ("ACL LIST", "denied"),
    ("MEMORY STATS", "denied"),
    ("PUBSUB CHANNELS", "denied"),
    ("COMMAND", "denied"),
    ("SLOWLOG GET", "denied"),
    ("LATENCY DOCTOR", "denied"),
    ("MODULE LIST", "denied"),
    ("CLUSTER INFO", "denied"),
    ("PFDEBUG ENCODING k", "denied"),
    ("", "denied"),
    ("GET\r\nKEYS *", "denied"),
    (" GET k", "denied"),
    ("GET", "invalid-argument"),
    ("MGET", "invalid-argument"),
    ("COPY a", "invalid-argument"),
    ("ZUNIONSTORE d", "invalid-argument"),
    ("ZINTER 3 a b", "invalid-argument"),
    ("ZINTER -1 a", "invalid-argument"),
    ("ZINTER +1 a", "invalid-argument"),
    ("ZINTER 01 a", "invalid-argument"),
    ("ZINTER 0 a", "invalid-argument"),
    ("ZINTER 18446744073709551615 a", "invalid-argument"),
    ("ZINTER 18446744073709551616 a", "invalid-argument"),
    ("LMPOP 0 LEFT", "invalid-argument"),
    ("EVALSHA f 3 a b", "invalid-argument"),
    ("EVALSHA f", "invalid-argument"),
    ("BLPOP a 0", "invalid-argument"),
    ("BLPOP a 61", "invalid-argument"),
    ("BLPOP a -1", "invalid-argument"),
    ("BLPOP a inf", "invalid-argument"),
    ("BLPOP a nan", "invalid-argument"),
    ("BLPOP 1", "invalid-argument"),
    ("BLMPOP 0 1 a LEFT", "invalid-argument"),
    ("XREAD STREAMS", "invalid-argument"),
    ("XREAD STREAMS a b 0", "invalid-argument"),
    ("XREAD BLOCK 0 STREAMS a 0", "invalid-argument"),
    ("XREAD BLOCK 60001 STREAMS a 0", "invalid-argument"),
    ("XREAD BLOCK 1 BLOCK 2 STREAMS a 0", "invalid-argument"),
    ("XREAD GROUP g c STREAMS a 0", "invalid-argument"),
    ("XREAD NOACK STREAMS a 0", "invalid-argument"),
    ("XREAD a STREAMS a 0", "invalid-argument"),
    ("SCAN", "invalid-argument"),
    ("SCAN 0 MATCH", "invalid-argument"),
    ("SCAN 0 MATCH a MATCH b", "invalid-argument"),
    ("SCAN 0 COUNT 10001", "invalid-argument"),
    ("SCAN 0 FOO 1", "invalid-argument"),
    ("SCAN 0x MATCH a", "invalid-argument"),
];

#[test]
fn the_keys_that_are_found_are_those_that_the_server_finds() {
    let mut client = server().client();
    for form in FORMS {
        let args = words(form);
        let found: Vec<_> = admit(&args).unwrap_or_else(|e| panic!("{form}: {e:?}")).keys();
        let found: Vec<_> = found.into_iter().map(|at| args[at].clone()).collect();
        let mut ask: Vec<Vec<u8>> = words("COMMAND GETKEYS");
        ask.extend(args);
        let told: Vec<_> = client.call(&ask).into_iter().flatten().collect();
        if found.is_empty() {
            assert!(told.first().is_none_or(|it| it.starts_with(b"-")), "{form}: {told:?}");
        } else {
            assert_eq!(found, told, "{form}");
        }
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_the_server_never_sees_it() {
    let redis = redis(grant(&server().url(), "refused:"));
    let binding = redis.open("default").unwrap();
    assert_eq!(ask(&binding, "PING").await, "PONG");
    let mut monitor = server().client();
    monitor.monitor();
    for (form, kind) in REFUSED {
        let answer = ask(&binding, form).await;
        assert!(answer.starts_with(&format!("{kind}: ")), "{form}: {answer}");
        // One of many refuses all.
        let many = vec![words("GET refused-mark-before"), words(form)];
        assert_eq!(binding.pipeline(many.clone()).await.unwrap_err().kind(), *kind, "{form}");
        assert_eq!(binding.transaction(vec![], many).await.unwrap_err().kind(), *kind, "{form}");
    }
    assert!(binding.pipeline(vec![]).await.is_err());
    assert!(binding.call(vec![]).await.is_err());
    assert_eq!(ask(&binding, "GET mark-of-the-end").await, "nil");
    let seen = monitor.seen("refused:mark-of-the-end");
    let own = |line: &&String| line.contains("refused");
    assert_eq!(seen.iter().filter(own).collect::<Vec<_>>(), Vec::<&String>::new());
    let denied = REFUSED.iter().filter(|(_, kind)| *kind == "denied").count() as u64;
    assert_eq!(redis.denials("default"), denied * 3);
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
async fn quotas_are_met_with_the_key_that_names_them() {
    let mut small = grant(&server().url(), "quota:");
    small.operations_per_second = RedisOperations::new(3).unwrap();
    let binding = bound(small);
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(ask(&binding, "PING").await);
    }
    assert_eq!(answers[..3], ["PONG"; 3]);
    assert!(
        answers[4].starts_with("unavailable: more than operations_per_second = 3"),
        "{answers:?}"
    );

    let mut small = grant(&server().url(), "quota:");
    small.max_bytes = RedisMaxBytes::new(ByteSize::kib(1)).unwrap();
    let binding = bound(small);
    let long = "x".repeat(1024);
    let refused = ask(&binding, &format!("SET k {long}")).await;
    assert!(
        refused.starts_with("invalid-argument: ") && refused.contains("max_bytes"),
        "{refused}"
    );
    // A reply that is larger does not come in, and the next one does.
    server().client().call(&["DEL", "quota:k"]);
    for length in ["500", "1000", "1500"] {
        assert_eq!(ask(&binding, &format!("APPEND k {}", &long[..500])).await, length);
    }
    let refused = ask(&binding, "GET k").await;
    assert!(refused.starts_with("unavailable: ") && refused.contains("max_bytes"), "{refused}");
    assert_eq!(ask(&binding, "STRLEN k").await, "1500");
    assert_eq!(ask(&binding, "SETRANGE k 536870000 x").await, "536870001");
    assert!(ask(&binding, "GETDEL k").await.contains("max_bytes"));

    let mut small = grant(&server().url(), "quota:");
    small.in_flight = RedisInFlight::new(1).unwrap();
    let binding = bound(small);
    let waiting = binding.call(words("BLPOP in-flight 5"));
    tokio::pin!(waiting);
    assert!(futures_poll(&mut waiting).await.is_none());
    let refused = ask(&binding, "PING").await;
    assert!(refused.starts_with("unavailable: more than in_flight = 1"), "{refused}");
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_holds_up_nobody_and_who_waits_for_a_connection_gets_one() {
    let mut small = grant(&server().url(), "wait:");
    small.connections = RedisConnections::new(1).unwrap();
    let binding = bound(small);
    let waiting = tokio::spawn({
        let binding = Arc::clone(&binding);
        async move { ask(&binding, "BLPOP list 30").await }
    });
    let mut client = server().client();
    while !client.text(&["CLIENT", "LIST"]).contains("cmd=blpop") {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&binding, "SET k v").await, "OK");
    // In company it would hold up the others.
    let error = binding.pipeline(vec![words("BLPOP list 1"), words("PING")]).await.unwrap_err();
    assert_eq!(error.kind(), "invalid-argument");
    let second = tokio::spawn({
        let binding = Arc::clone(&binding);
        async move { ask(&binding, "BRPOP list 1").await }
    });
    assert_eq!(ask(&binding, "RPUSH list a b").await, "2");
    assert_eq!(waiting.await.unwrap(), "[2] list a");
    assert_eq!(second.await.unwrap(), "[2] list b");
    // Who goes away leaves a connection that nobody gets.
    let left =
        tokio::time::timeout(Duration::from_millis(50), ask(&binding, "BLPOP list 30")).await;
    assert!(left.is_err());
    ask(&binding, "RPUSH list c").await;
    assert_eq!(ask(&binding, "BLPOP list 1").await, "[2] list c");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_or_hangs_is_told_in_time_and_comes_back_by_itself() {
    let mut server = RedisServer::start();
    let mut short = grant(&server.url(), "dies:");
    short.timeout = RedisTimeout::new(Duration::from_millis(300)).unwrap();
    let binding = bound(short);
    let within = Duration::from_secs(3);
    let all_well = async |binding: &Binding| {
        let begun = Instant::now();
        while ask(binding, "SET k v").await != "OK" {
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not come back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(ask(binding, "BLPOP none 0.01").await, "nil");
        let condition = Condition { key: b"k".to_vec(), value: Some(b"v".to_vec()) };
        assert!(binding.transaction(vec![condition], vec![words("SET k v")]).await.is_ok());
    };
    all_well(&binding).await;
    for _ in 0..2 {
        server.kill();
        for command in ["GET k", "BLPOP none 0.01"] {
            let begun = Instant::now();
            let answer = ask(&binding, command).await;
            assert!(answer.starts_with("unavailable: "), "{answer}");
            assert!(begun.elapsed() < within);
        }
        server.start_again();
        all_well(&binding).await;
        server.hang();
        for command in ["GET k", "BLPOP none 0.01", "GET k", "GET k"] {
            let begun = Instant::now();
            let answer = ask(&binding, command).await;
            assert!(
                answer.starts_with("timeout: ") || answer.starts_with("unavailable: "),
                "{answer}"
            );
            assert!(begun.elapsed() < within);
        }
        server.go_on();
        all_well(&binding).await;
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_connection_to_the_others() {
    let binding = bound(grant(&server().url(), "leaves:"));
    ask(&binding, "PING").await;
    let id = |binding: &Arc<Binding>| {
        let binding = Arc::clone(binding);
        async move { ask(&binding, "SET k v").await }
    };
    let clients = || {
        server()
            .client()
            .text(&["INFO", "stats"])
            .lines()
            .find(|line| line.starts_with("total_connections_received"))
            .unwrap()
            .to_owned()
    };
    let number = |line: String| line.rsplit(':').next().unwrap().trim().parse::<u64>().unwrap();
    let before = number(clients());
    for _ in 0..100 {
        let mut left = Box::pin(id(&binding));
        let _ = futures_poll(&mut left).await;
        drop(left);
        assert_eq!(id(&binding).await, "OK");
    }
    // One is the test's own; others run beside it.
    assert!(number(clients()) - before < 60, "a connection was made for each");
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
    let redis = Redis::out_of_reach("test", &grants);
    let binding = redis.open("default").unwrap();
    assert!(ask(&binding, "GET k").await.contains("no server is reached"));
    assert_eq!(ask(&binding, "KEYS *").await.split(':').next(), Some("denied"));
    assert!(redis.open("other").err().unwrap().message().contains("grants.redis.other = {"));
    assert!(redis.open("no label").is_err());
}

fn any_argument() -> impl Strategy<Value = Vec<u8>> {
    let word = |words: &'static [&'static str]| {
        proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec())
    };
    prop_oneof![
        3 => word(&["STREAMS", "streams", "COUNT", "BLOCK", "GROUP", "NOACK", "MATCH", "TYPE", "DB",
            "REPLACE", "STORE", "BY", "GET", "LIMIT", "0", "1", "2", "3", "-1", "01", "1.5", "*", "$", ">"]),
        2 => word(&["a", "b", "other:k", "p:", ""]),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ]
}

fn any_command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let names: Vec<&'static str> = commands::all().map(|spec| spec.name).collect();
    let name = proptest::sample::select(names)
        .prop_map(|name| name.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
    (name, proptest::collection::vec(any_argument(), 0..8)).prop_map(|(mut command, rest)| {
        command.extend(rest);
        command
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        failure_persistence: Some(Box::new(
            proptest::test_runner::FileFailurePersistence::Direct("src/redis/tests.regressions"),
        )),
        ..ProptestConfig::default()
    })]

    /// The property that counts: whatever is let through, the server finds no key
    /// in it that has no prefix.
    #[test]
    fn the_server_finds_no_key_without_the_prefix_in_what_is_let_through(command in any_command()) {
        thread_local! {
            static CLIENT: std::cell::RefCell<stheno_test_support::RedisClient> =
                std::cell::RefCell::new(server().client());
        }
        let Ok(admitted) = admit(&command) else { return Ok(()) };
        let script = admitted.script().map(|_| "f");
        let written = admitted.write("~p~", script);
        let mut ask = words("COMMAND GETKEYS");
        ask.extend(written.args_iter().filter_map(|arg| match arg {
            ::redis::Arg::Simple(arg) => Some(arg.to_vec()),
            _ => None,
        }));
        let told = CLIENT.with(|client| client.borrow_mut().call(&ask));
        for key in told.into_iter().flatten() {
            // A command of the wrong length, or one without keys, is an error.
            prop_assert!(
                key.starts_with(b"~p~") || key.starts_with(b"-"),
                "{:?}: {:?}", command, String::from_utf8_lossy(&key)
            );
        }
    }

    #[test]
    fn no_bytes_panic_the_parser(
        command in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..6)
    ) {
        if let Ok(admitted) = admit(&command) {
            let _ = admitted.write("p:", None);
        }
    }
}
