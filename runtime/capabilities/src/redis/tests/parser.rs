//! The parser, against what a real server says.

use proptest::prelude::*;
use stheno_test_support::RedisClient;

use super::super::admit::admit;
use super::super::commands::{self, Keys};
use super::{ask, grant, redis, server, words};

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
    assert_eq!(binding.denials.count(), denied * 3);
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
            proptest::test_runner::FileFailurePersistence::Direct("src/redis/tests/parser.regressions"),
        )),
        ..ProptestConfig::default()
    })]

    /// The property that counts: whatever is let through, the server finds no key
    /// in it that has no prefix.
    #[test]
    fn the_server_finds_no_key_without_the_prefix_in_what_is_let_through(command in any_command()) {
        thread_local! {
            static CLIENT: std::cell::RefCell<RedisClient> =
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
