//! What is particular to a cache whose entries are on a Redis server.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use stheno::config::{
    Config, ProviderConfig, RedisGrant, RedisPrefix, RedisTimeout, RedisUrl, Resolve, StoreLabel,
};
use stheno::{Clock, ManualClock, NewEntry, Runtime};
use stheno_test_support::{RedisClient, RedisServer, compile_cache, guest};

use crate::outages::{TIMEOUT, is_of_a_server, is_without_a_server, works, works_again};
use crate::{CompileCache, ModuleName};

/// The server that all tests share that do not stop it.
pub(crate) fn shared() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(RedisServer::start)
}

/// A prefix that nobody else has.
pub(crate) fn own_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("shop{}:", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn grant(server: &RedisServer, prefix: &str) -> RedisGrant {
    let url = RedisUrl::new(&server.url()).unwrap();
    RedisGrant::new(url, RedisPrefix::new(prefix).unwrap())
}

/// The built-in provider with this grant.
pub(crate) fn provider(grant: RedisGrant) -> ProviderConfig {
    let resolve = Resolve::parse("cache-redis", Path::new("")).unwrap();
    let mut provider = ProviderConfig::new(resolve);
    provider.grants.add_redis(StoreLabel::new("default").unwrap(), grant);
    provider
}

async fn start(grant: RedisGrant) -> (Runtime, ManualClock) {
    let mut config = Config::default();
    let folder = compile_cache(env!("CARGO_TARGET_TMPDIR"));
    config.runtime.compile_cache = CompileCache::Folder(folder);
    let (clock, hand) = Clock::manual();
    let builder = Runtime::builder().config(config).provider(ModuleName::Cache, provider(grant));
    (builder.clock(clock).build().await.unwrap(), hand)
}

/// A cache on the shared server, and a connection that sees what is there.
struct Seen {
    runtime: Runtime,
    clock: ManualClock,
    prefix: String,
    client: RedisClient,
}

impl Seen {
    async fn start() -> Self {
        let prefix = own_prefix();
        let (runtime, clock) = start(grant(shared(), &prefix)).await;
        Self { runtime, clock, prefix, client: shared().client() }
    }

    fn ask(&mut self, command: &str, key: &str, rest: &[&str]) -> String {
        let key = format!("{}{key}", self.prefix);
        self.client.text(&[&[command, key.as_str()][..], rest].concat())
    }

    fn number(&mut self, command: &str, key: &str) -> i64 {
        self.ask(command, key, &[]).parse().unwrap()
    }

    fn names(&mut self, index: &str) -> Vec<String> {
        let key = format!("{}{index}", self.prefix);
        let names = self.client.call(&["ZRANGE", &key, "0", "-1"]).into_iter().flatten();
        let mut names: Vec<_> = names.map(|name| String::from_utf8(name).unwrap()).collect();
        names.sort();
        names
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_a_read_is_a_miss_and_a_write_an_error_until_it_is_back() {
    let mut server = RedisServer::start();
    let mut grant = grant(&server, "shop:");
    grant.timeout = RedisTimeout::new(TIMEOUT).unwrap();
    let (runtime, _clock) = start(grant).await;
    let cache = runtime.cache();
    assert!(works(cache).await);
    server.kill();
    is_without_a_server(cache, 8 * TIMEOUT).await;
    let kind = cache.clear_matching("*").await.unwrap_err().kind();
    assert!(is_of_a_server(kind), "{kind:?}");
    let status = runtime.status().await;
    let cache_status = status.iter().find(|it| it.module == ModuleName::Cache).unwrap();
    assert!(cache_status.health.is_err(), "it says that it cannot serve");
    server.start_again();
    works_again(cache).await;
    server.hang();
    is_without_a_server(cache, 8 * TIMEOUT).await;
    let kind = cache.clear_matching("*").await.unwrap_err().kind();
    assert!(is_of_a_server(kind), "{kind:?}");
    server.go_on();
    works_again(cache).await;
    // The server was started anew and knows no script: it is given it again.
    cache.set_bytes("k", "v").tags(["t"]).await.unwrap();
    cache.clear_tags(["t"]).await.unwrap();
    assert_eq!(cache.get_bytes("k").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_others_are_left_alone_and_not_looked_at() {
    let server = RedisServer::start();
    let mut client = server.client();
    let others = ["k:", "other", "shop", "shop:cach", "v:k", "zshop:cache:v:k"];
    for key in others {
        assert_eq!(client.text(&["SET", key, "theirs"]), "OK");
    }
    let (runtime, clock) = start(grant(&server, "shop:cache:")).await;
    let cache = runtime.cache();
    let mut monitor = server.client();
    monitor.monitor();
    for round in 0..300 {
        let entry = NewEntry::new(format!("k{round}"), "v").tags(["t", "u"]);
        cache.set_many([entry.ttl(Duration::from_secs(1 + round % 2))]).await.unwrap();
        clock.advance(Duration::from_millis(100));
    }
    cache.get_many_bytes(["k", "k1", "other"]).await.unwrap();
    cache.get_by_tags(["t"]).await.unwrap();
    cache.delete(["k2", "other"]).await.unwrap();
    cache.clear_tags(["t"]).await.unwrap();
    cache.set_bytes("k", "v").tags(["t"]).await.unwrap();
    cache.clear_matching("k*").await.unwrap();
    cache.clear_matching("*").await.unwrap();
    assert_eq!(client.text(&["ECHO", "the-end"]), "the-end");
    let seen = monitor.seen("the-end");
    assert!(seen.len() > 1_000);
    for line in seen {
        // `+time [database address] "COMMAND" "argument" ...`
        let words: Vec<_> = line.split('"').skip(1).step_by(2).collect();
        let ours = words.get(1).is_some_and(|key| key.starts_with("shop:cache:"))
            || matches!(words.first(), Some(&("MULTI" | "EXEC" | "EVALSHA" | "SCRIPT" | "HELLO")));
        assert!(ours, "{line}");
    }
    // Beside them is only what the indexes of tags still name.
    let is_index = |key: &String| key.starts_with("shop:cache:t:");
    let left: Vec<_> = client.keys().into_iter().filter(|key| !is_index(key)).collect();
    assert_eq!(left, others);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_is_one_command_and_a_set_one_transaction_whatever_the_tags() {
    let server = RedisServer::start();
    let (runtime, _clock) = start(grant(&server, "shop:")).await;
    let cache = runtime.cache();
    assert!(works(cache).await);
    let mut monitor = server.client();
    monitor.monitor();
    cache.set_bytes("k", "v").tags(["a", "b"]).await.unwrap();
    cache.get_bytes("k").await.unwrap();
    server.client().text(&["ECHO", "the-end"]);
    let seen = monitor.seen("the-end");
    let words = seen.iter().map(|line| line.split('"').nth(1).unwrap_or_default());
    let expected =
        "MULTI SET ZADD PEXPIRE PEXPIRE ZADD PEXPIRE PEXPIRE ZADD PEXPIRE PEXPIRE EXEC MGET";
    assert_eq!(words.collect::<Vec<_>>().join(" "), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_what_is_gone_leave_the_indexes_as_others_are_set() {
    let mut seen = Seen::start().await;
    let cache = seen.runtime.cache().clone();
    let set = async |key: String, tag: &'static str, seconds| {
        cache.set_bytes(&key, "v").ttl(Duration::from_secs(seconds)).tags([tag]).await.unwrap();
    };
    for at in 0..100 {
        set(format!("old{at}"), "t", 1).await;
    }
    // Of these one stays on the server although its time has passed here, and one is
    // set again without the tag.
    for at in 0..98 {
        assert_eq!(seen.ask("UNLINK", &format!("v:old{at}"), &[]), "1");
    }
    set("old98".into(), "u", 3_600).await;
    seen.clock.advance(Duration::from_secs(2));
    for at in 0..200 {
        set(format!("new{at}"), "t", 3_600).await;
    }
    let new = (0..200).map(|at| format!("new{at}"));
    let mut expected: Vec<_> = new.chain(["old99".into()]).collect();
    expected.sort();
    assert_eq!(seen.names("t:t"), expected);
    expected.push("old98".into());
    expected.sort();
    assert_eq!(seen.names("k:"), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_outlives_its_longest_entry_and_ends_with_it() {
    let mut seen = Seen::start().await;
    let cache = seen.runtime.cache().clone();
    for (key, seconds) in [("a", 60), ("b", 3_600), ("c", 10), ("b", 30)] {
        let ttl = Duration::from_secs(seconds);
        cache.set_bytes(key, "v").ttl(ttl).tags(["t"]).await.unwrap();
        let entry = seen.number("PTTL", &format!("v:{key}"));
        let ttl = i64::try_from(ttl.as_millis()).unwrap();
        assert!(entry > ttl && entry <= ttl + 10_000, "{key}: {entry} ms of {ttl}");
        for index in ["k:", "t:t"] {
            let index = seen.number("PTTL", index);
            assert!(index > entry && index <= 3_600_000 + 20_000, "{key}: {index} ms");
        }
    }
    assert!(seen.number("PTTL", "t:t") > 3_600_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_large_is_compressed_there_and_the_same_here() {
    let mut seen = Seen::start().await;
    let cache = seen.runtime.cache().clone();
    for (key, bytes, most) in
        [("small", 2_048, 2_100), ("large", 2_049, 200), ("huge", 8 << 20, 40_000)]
    {
        let value = vec![7; bytes];
        cache.set_bytes(key, value.clone()).await.unwrap();
        assert!(cache.get_bytes(key).await.unwrap() == Some(value), "{key}");
        let there = seen.number("STRLEN", &format!("v:{key}"));
        assert!(there < most && (key != "small" || there > 2_048), "{key}: {there} bytes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_entry_is_a_miss() {
    let mut seen = Seen::start().await;
    let cache = seen.runtime.cache().clone();
    cache.set_bytes("k", vec![7; 4_096]).tags(["t"]).await.unwrap();
    let whole = {
        let key = format!("{}v:k", seen.prefix);
        seen.client.call(&["GET", &key]).remove(0).unwrap()
    };
    for cut in 0..whole.len() {
        let key = format!("{}v:k", seen.prefix).into_bytes();
        seen.client.call(&[&b"SET"[..], key.as_slice(), &whole[..cut]]);
        assert_eq!(cache.get_bytes("k").await.unwrap(), None, "the first {cut} bytes");
    }
    seen.ask("DEL", "v:k", &[]);
    seen.ask("HSET", "v:k", &["a", "b"]);
    assert_eq!(cache.get_bytes("k").await.unwrap(), None);
    assert!(cache.get_by_tags(["t"]).await.unwrap().is_empty());
    cache.clear_tags(["t"]).await.unwrap();
    cache.set_bytes("k", "v").await.unwrap();
    assert_eq!(cache.get_bytes("k").await.unwrap(), Some(b"v".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_without_the_tag_while_it_is_cleared_stays() {
    let prefix = own_prefix();
    let (one, _clock) = start(grant(shared(), &prefix)).await;
    let (other, _clock) = start(grant(shared(), &prefix)).await;
    for round in 0..200 {
        let value = format!("new{round}");
        one.cache().set_bytes("k", "old").tags(["old", "both"]).await.unwrap();
        let set = async { one.cache().set_bytes("k", value.as_bytes()).tags(["new"]).await };
        let (set, cleared) = tokio::join!(set, other.cache().clear_tags(["old", "both"]));
        set.and(cleared).unwrap();
        let found = other.cache().get_bytes("k").await.unwrap();
        assert_eq!(found.as_deref(), Some(value.as_bytes()), "round {round}");
        other.cache().clear_tags(["new"]).await.unwrap();
        assert_eq!(one.cache().get_bytes("k").await.unwrap(), None, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_one_page_is_found_and_cleared() {
    const COUNT: usize = 2_500;
    let mut seen = Seen::start().await;
    let cache = seen.runtime.cache().clone();
    let keys: Vec<_> = (0..COUNT).map(|at| format!("k{at}")).collect();
    for keys in keys.chunks(1_000) {
        let entries = keys.iter().map(|key| NewEntry::new(key, "v").tags(["t"]));
        cache.set_many(entries).await.unwrap();
    }
    assert_eq!(cache.get_by_tags(["t"]).await.unwrap().len(), COUNT);
    cache.clear_matching("k1*").await.unwrap();
    let left = keys.iter().filter(|key| !key.starts_with("k1")).count();
    assert_eq!(cache.get_by_tags(["t"]).await.unwrap().len(), left);
    cache.clear_tags(["t"]).await.unwrap();
    assert!(cache.get_by_tags(["t"]).await.unwrap().is_empty());
    assert_eq!((seen.names("t:t"), seen.names("k:")), (Vec::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_file_its_script_has_to_be_granted_and_the_refusal_names_it() {
    let grant = grant(shared(), &own_prefix());
    let mut from_file = provider(grant.clone());
    from_file.resolve = Resolve::File(guest("cache-redis"));
    let build =
        async |provider| Runtime::builder().provider(ModuleName::Cache, provider).build().await;
    let refused = build(from_file.clone()).await.err().unwrap().to_string();
    let digest = refused.split("scripts = [\"").nth(1).and_then(|rest| rest.split('"').next());
    let mut grant = grant;
    grant.scripts.insert(stheno::config::ScriptDigest::new(digest.unwrap()).unwrap());
    from_file.grants.add_redis(StoreLabel::new("default").unwrap(), grant);
    let runtime = build(from_file).await.unwrap();
    assert!(works(runtime.cache()).await);
}
