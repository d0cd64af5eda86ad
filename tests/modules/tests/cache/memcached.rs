//! What is particular to a cache whose entries are on a Memcached server.

mod liars;

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use stheno::config::{Config, ProviderConfig, Resolve, SocketGrant};
use stheno::{Cache, Clock, ErrorKind, ManualClock, NewEntry, Runtime};
use stheno_test_support::{MemcachedClient, MemcachedServer, compile_cache};
use tokio::task::JoinSet;

use crate::outages::{TIMEOUT, is_without_a_server, works, works_again};
use crate::{CompileCache, ModuleName};

/// The server that all tests share that do not stop it.
pub(crate) fn shared() -> &'static MemcachedServer {
    static SERVER: OnceLock<MemcachedServer> = OnceLock::new();
    SERVER.get_or_init(MemcachedServer::start)
}

/// The built-in provider on this server, below a prefix that nobody else has.
pub(crate) fn provider(server: &MemcachedServer) -> ProviderConfig {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    on(&server.address(), &format!("shop{}:", NEXT.fetch_add(1, Ordering::Relaxed)))
}

fn on(address: &str, prefix: &str) -> ProviderConfig {
    let resolve = Resolve::parse("cache-memcached", Path::new("")).unwrap();
    let mut provider = ProviderConfig::new(resolve);
    provider.grants.add_socket(SocketGrant::parse(address).unwrap());
    provider.options.insert("server".into(), json!(address));
    provider.options.insert("prefix".into(), json!(prefix));
    provider
}

async fn start(provider: ProviderConfig) -> (Runtime, ManualClock) {
    let mut config = Config::default();
    let folder = compile_cache(env!("CARGO_TARGET_TMPDIR"));
    config.runtime.compile_cache = CompileCache::Folder(folder);
    let (clock, hand) = Clock::manual();
    let builder = Runtime::builder().config(config).provider(ModuleName::Cache, provider);
    (builder.clock(clock).build().await.unwrap(), hand)
}

/// Bytes that cannot be made smaller.
struct Random(u64);

impl Random {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 56) as u8
        };
        (0..count).map(|_| next()).collect()
    }
}

/// A cache on a server of its own, and a connection that sees what is there.
struct Seen {
    server: MemcachedServer,
    runtime: Runtime,
    clock: ManualClock,
    client: MemcachedClient,
}

impl Seen {
    async fn on(server: MemcachedServer) -> Self {
        let (runtime, clock) = start(on(&server.address(), "shop:")).await;
        let client = server.client();
        Self { server, runtime, clock, client }
    }

    async fn start() -> Self {
        Self::on(MemcachedServer::start()).await
    }

    fn cache(&self) -> Cache {
        self.runtime.cache().clone()
    }

    /// The keys of one kind.
    fn of(&mut self, kind: &str) -> Vec<String> {
        let kind = format!("shop:{kind}:");
        self.client.keys().into_iter().filter(|key| key.starts_with(&kind)).collect()
    }
}

fn impatient(mut provider: ProviderConfig) -> ProviderConfig {
    provider.options.insert("timeout".into(), json!(format!("{}ms", TIMEOUT.as_millis())));
    provider
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_a_read_is_a_miss_and_a_write_an_error_until_it_is_back() {
    let mut server = MemcachedServer::start();
    let (runtime, _clock) = start(impatient(on(&server.address(), "shop:"))).await;
    let cache = runtime.cache();
    assert!(works(cache).await);
    server.kill();
    // Eight instances serve those who call, each one call after the other.
    is_without_a_server(cache, 12 * TIMEOUT).await;
    let status = runtime.status().await;
    let cache_status = status.iter().find(|it| it.module == ModuleName::Cache).unwrap();
    assert!(cache_status.health.is_err(), "it says that it cannot serve");
    server.start_again();
    works_again(cache).await;
    server.hang();
    is_without_a_server(cache, 12 * TIMEOUT).await;
    server.go_on();
    works_again(cache).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_started_anew_between_two_calls_costs_none_of_them() {
    let mut server = MemcachedServer::start();
    let (runtime, _clock) = start(on(&server.address(), "shop:")).await;
    let cache = runtime.cache();
    for _ in 0..5 {
        cache.set_bytes("k", "v").tags(["t"]).await.unwrap();
        assert_eq!(cache.get_bytes("k").await.unwrap(), Some(b"v".into()));
        server.kill();
        server.start_again();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_others_are_left_alone_and_every_key_is_below_the_prefix() {
    let mut seen = Seen::on(MemcachedServer::watched()).await;
    let others = ["k", "shop", "t:k", "zshop:t:k"];
    others.iter().for_each(|key| seen.client.set(key, b"theirs"));
    seen.server.seen();
    let cache = seen.cache();
    let odd = ["k", "k\r\nflush_all\r\n", "k 0 0 1\r\nv\r\nflush_all", "\0", "é"];
    for key in odd {
        cache.set_bytes(key, "v\r\nEND\r\nflush_all\r\n").tags([key, "t"]).await.unwrap();
    }
    cache.set_bytes("large", vec![7; 1 << 20]).await.unwrap();
    let values = cache.get_many_bytes(odd).await.unwrap();
    assert!(values.iter().all(|value| value.as_deref() == Some(b"v\r\nEND\r\nflush_all\r\n")));
    assert_eq!(cache.get_by_tags(["t"]).await.unwrap().len(), odd.len());
    cache.delete(["k"]).await.unwrap();
    cache.clear_tags(odd).await.unwrap();
    let commands = seen.server.seen();
    assert!(commands.len() > 50, "{}", commands.len());
    for command in commands {
        let words: Vec<_> = command.split(' ').collect();
        let ours = match words.as_slice() {
            ["mn"] => true,
            ["mg" | "ms" | "md", key, ..] => key.starts_with("shop:"),
            _ => false,
        };
        assert!(ours, "{command}");
    }
    for key in others {
        assert_eq!(seen.client.get(key).as_deref(), Some(&b"theirs"[..]), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_is_one_exchange_and_one_more_for_tags() {
    let seen = Seen::on(MemcachedServer::watched()).await;
    let cache = seen.cache();
    cache.set_bytes("k", "v").await.unwrap();
    cache.set_bytes("tagged", "v").tags(["a", "b"]).await.unwrap();
    let shape = || {
        let verbs = seen.server.seen().into_iter().map(|line| {
            let key = line.split(' ').nth(1).unwrap_or_default();
            format!("{} {}", &line[..2], key.split(':').nth(1).unwrap_or_default())
        });
        let verbs: Vec<_> = verbs.collect();
        // The last `mn` is the question itself.
        verbs[..verbs.len() - 1].join(" ").replace("  ", " ").trim().to_owned()
    };
    shape();
    cache.get_bytes("k").await.unwrap();
    assert_eq!(shape(), "mg v mn");
    cache.get_bytes("tagged").await.unwrap();
    assert_eq!(shape(), "mg v mn mg t mg t mg l mg l mn");
    cache.set_bytes("k", "v").await.unwrap();
    assert_eq!(shape(), "ms v mn");
    cache.set_bytes("tagged", "v").tags(["a", "b"]).await.unwrap();
    assert_eq!(shape(), "mg t mg t mn ms l mg l ms l mg l ms v mn");
    cache.clear_tags(["a"]).await.unwrap();
    assert_eq!(shape(), "mg t md t mn md l mn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_server_drops_is_a_miss_and_no_more() {
    let mut seen = Seen::start().await;
    let cache = seen.cache();
    let value = Random(1).bytes(2 << 20);
    let set = async || {
        cache.set_bytes("k", value.clone()).tags(["t", "u"]).await.unwrap();
        cache.set_bytes("other", "o").tags(["o"]).await.unwrap();
    };
    set().await;
    // The entry, the parts of its value, the records and the lists of its tags.
    let kinds = ["v", "p", "t", "l"].map(|kind| seen.of(kind).len());
    assert_eq!(kinds, [2, 5, 3, 3]);
    for at in 0..13 {
        let key = seen.client.keys().into_iter().nth(at).unwrap();
        seen.client.delete(&key);
        let there = [cache.get_bytes("k").await.unwrap(), cache.get_bytes("other").await.unwrap()];
        let there = there.map(|value| value.is_some());
        assert!(there == [true, false] || there == [false, true], "{key}: {there:?}");
        for (key, tags, there) in [("k", ["t", "u"], there[0]), ("other", ["o", "o"], there[1])] {
            for tag in tags {
                let hits = cache.get_by_tags([tag]).await.unwrap();
                let found: Vec<_> = hits.iter().map(|hit| hit.key.as_str()).collect();
                assert_eq!(found, if there { vec![key] } else { vec![] }, "{tag}");
            }
        }
        // And it is stored again, and cleared.
        set().await;
        assert!(cache.get_bytes("k").await.unwrap().as_ref() == Some(&value), "{key}");
        cache.clear_tags(["u", "o"]).await.unwrap();
        assert_eq!(cache.get_many_bytes(["k", "other"]).await.unwrap(), [None, None], "{key}");
        seen.client.lines("flush_all\r\n", 1);
        set().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_whose_version_was_dropped_does_not_bring_back_what_was_cleared() {
    let mut seen = Seen::start().await;
    let cache = seen.cache();
    for round in 0..20 {
        cache.set_bytes("old", "v").tags(["t"]).await.unwrap();
        if round % 2 == 0 {
            cache.clear_tags(["t"]).await.unwrap();
        } else {
            let record = seen.of("t").remove(0);
            seen.client.delete(&record);
        }
        cache.set_bytes("new", "v").tags(["t"]).await.unwrap();
        assert_eq!(cache.get_bytes("old").await.unwrap(), None);
        assert_eq!(cache.get_bytes("new").await.unwrap(), Some(b"v".into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_entry_is_a_miss() {
    let mut seen = Seen::start().await;
    let cache = seen.cache();
    cache.set_bytes("k", vec![7; 4_096]).tags(["t"]).await.unwrap();
    let key = seen.of("v").remove(0);
    let whole = seen.client.get(&key).unwrap();
    for cut in 0..whole.len() {
        seen.client.set(&key, &whole[..cut]);
        assert_eq!(cache.get_bytes("k").await.unwrap(), None, "the first {cut} bytes");
    }
    // One of another key is not this one's.
    cache.set_bytes("other", "o").await.unwrap();
    let other = seen.of("v").into_iter().find(|it| *it != key).unwrap();
    let other = seen.client.get(&other).unwrap();
    seen.client.set(&key, &other);
    assert_eq!(cache.get_bytes("k").await.unwrap(), None);
    // Nor are such the record or the list of a tag.
    for kind in ["t", "l"] {
        cache.set_bytes("k", "v").tags(["t"]).await.unwrap();
        for key in seen.of(kind) {
            seen.client.set(&key, b"what is this?");
        }
        cache.get_by_tags(["t"]).await.unwrap();
        cache.set_bytes("k", "v").tags(["t"]).await.unwrap();
        cache.clear_tags(["t"]).await.unwrap();
        assert_eq!(cache.get_bytes("k").await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_without_the_tag_while_it_is_cleared_stays() {
    let provider = provider(shared());
    let (one, _clock) = start(provider.clone()).await;
    let (other, _clock) = start(provider).await;
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

/// Writers that meet a new tag at the same time agree on its version, and what is set
/// before a clear begins is gone after it, whoever else writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_write_and_clear_a_tag_leave_nothing_that_a_clear_misses() {
    let provider = provider(shared());
    let (one, _clock) = start(provider.clone()).await;
    let (other, _clock) = start(provider).await;
    for round in 0..20 {
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let runtime = if writer % 2 == 0 { &one } else { &other };
            let cache = runtime.cache().clone();
            writers.spawn(async move {
                for at in 0..5 {
                    let key = format!("{writer}-{at}");
                    cache.set_bytes(&key, "v").tags(["t"]).await.unwrap();
                    if at == writer % 5 && round % 2 == 0 {
                        cache.clear_tags(["t"]).await.unwrap();
                        assert_eq!(cache.get_bytes(&key).await.unwrap(), None);
                    }
                }
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }
        let there = other.cache().get_by_tags(["t"]).await.unwrap();
        if round % 2 == 1 {
            assert_eq!(there.len(), 40, "without a clear nobody's is lost");
        }
        one.cache().clear_tags(["t"]).await.unwrap();
        assert!(other.cache().get_by_tags(["t"]).await.unwrap().is_empty());
        let keys = (0..8).flat_map(|writer| (0..5).map(move |at| format!("{writer}-{at}")));
        let left = other.cache().get_many_bytes(keys).await.unwrap();
        assert_eq!(left.iter().flatten().count(), 0, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_one_list_is_found_and_cleared() {
    const COUNT: usize = 9_000;
    let mut seen = Seen::start().await;
    let cache = seen.cache();
    let keys: Vec<_> = (0..COUNT).map(|at| format!("k{at}")).collect();
    for keys in keys.chunks(1_000) {
        let entries = keys.iter().map(|key| NewEntry::new(key, "v").tags(["t"]));
        cache.set_many(entries).await.unwrap();
    }
    assert!(seen.of("l").len() > 1);
    assert_eq!(cache.get_by_tags(["t"]).await.unwrap().len(), COUNT);
    for keys in keys.chunks(1_000) {
        assert!(cache.get_many_bytes(keys).await.unwrap().iter().all(Option::is_some));
    }
    cache.clear_tags(["t"]).await.unwrap();
    assert!(cache.get_by_tags(["t"]).await.unwrap().is_empty());
    assert!(cache.get_many_bytes(&keys[..1_000]).await.unwrap().iter().all(Option::is_none));
    assert_eq!((seen.of("t").len(), seen.of("l").len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_what_is_set_again_or_has_ended_leave_the_lists() {
    let mut seen = Seen::start().await;
    let cache = seen.cache();
    let set = async |names: std::ops::Range<usize>, seconds| {
        let ttl = Duration::from_secs(seconds);
        let entries = names.map(|at| NewEntry::new(format!("k{at}"), "v").tags(["t"]).ttl(ttl));
        cache.set_many(entries).await.unwrap();
    };
    // The same again and again.
    for _ in 0..20 {
        set(0..1_000, 3_600).await;
    }
    // Others that end.
    for round in 1..20 {
        set(1_000 * round..1_000 * round + 1_000, 1).await;
        seen.clock.advance(Duration::from_secs(12));
    }
    let bytes: usize = seen.of("l").iter().map(|key| seen.client.get(key).unwrap().len()).sum();
    assert!(bytes < 32 * 8_192, "{bytes} bytes for a thousand names");
    assert_eq!(cache.get_by_tags(["t"]).await.unwrap().len(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_keeps_an_entry_ten_seconds_beyond_its_end_and_a_long_one_for_good() {
    let mut seen = Seen::start().await;
    let cache = seen.cache();
    for (ttl, expected) in [
        (Duration::from_millis(1), Some(11)),
        (Duration::from_secs(60), Some(70)),
        (Duration::from_secs(30 * 86_400 - 10), Some(30 * 86_400)),
        (Duration::from_secs(30 * 86_400), None),
        (Duration::MAX, None),
    ] {
        cache.set_bytes("k", "v").ttl(ttl).await.unwrap();
        assert_eq!(cache.get_bytes("k").await.unwrap(), Some(b"v".into()), "{ttl:?}");
        let key = seen.of("v").remove(0);
        let left = seen.client.seconds_left(&key);
        // A second may have begun since.
        let fits = left == expected || left.zip(expected).is_some_and(|(left, it)| left + 2 > it);
        assert!(fits, "{ttl:?}: {left:?} s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_large_is_compressed_there_and_what_is_too_large_is_cut() {
    let mut seen = Seen::start().await;
    let cache = seen.cache();
    let mut random = Random(1);
    for (value, most, parts) in [
        (vec![7; 2_048], 2_100, 0),
        (vec![7; 2_049], 200, 0),
        (vec![7; 8 << 20], 40_000, 0),
        (random.bytes(500 << 10), (500 << 10) + 100, 0),
        (random.bytes((500 << 10) + 1), 100, 2),
        (random.bytes(8 << 20), 100, 17),
    ] {
        seen.client.lines("flush_all\r\n", 1);
        cache.set_bytes("k", value.clone()).await.unwrap();
        let back = cache.get_bytes("k").await.unwrap();
        assert!(back.as_ref() == Some(&value), "{} bytes", value.len());
        let key = seen.of("v").remove(0);
        let there = seen.client.get(&key).unwrap().len();
        assert!(there <= most, "{there} of {} bytes", value.len());
        assert_eq!(seen.of("p").len(), parts, "{} bytes", value.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_is_an_error_that_says_so_and_the_old_value_is_no_longer_there() {
    let seen = Seen::on(MemcachedServer::with(&["-I", "64k", "-o", "slab_chunk_max=32768"])).await;
    let cache = seen.cache();
    let large = Random(1).bytes(400_000);
    cache.set_bytes("k", "old").await.unwrap();
    let error = cache.set_bytes("k", large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("too large"), "{error}");
    assert_eq!(cache.get_bytes("k").await.unwrap(), None);
    cache.set_bytes("k", "new").await.unwrap();
    assert_eq!(cache.get_bytes("k").await.unwrap(), Some(b"new".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_little_room_drops_entries_and_never_shows_what_was_cleared() {
    let seen = Seen::on(MemcachedServer::with(&["-m", "8"])).await;
    let cache = seen.cache();
    for round in 0..10 {
        let value = vec![round; 20_000];
        for at in 0..100 {
            // Its bytes differ, so that it is not made smaller.
            let mixed: Vec<u8> =
                value.iter().zip(0_u32..).map(|(it, n)| it ^ ((n * n) >> 7) as u8).collect();
            let tags = [format!("t{}", at % 10), "all".to_owned()];
            // Where it finds no room, that is an error.
            let _ = cache.set_bytes(&format!("k{at}"), mixed).tags(tags).await;
        }
        let found = cache.get_by_tags(["all"]).await.unwrap();
        let keys = (0..100).map(|at| format!("k{at}"));
        let there = cache.get_many_bytes(keys).await.unwrap();
        assert_eq!(found.len(), there.iter().flatten().count(), "round {round}");
        cache.clear_tags(["all"]).await.unwrap();
        let keys = (0..100).map(|at| format!("k{at}"));
        let left = cache.get_many_bytes(keys).await.unwrap();
        assert_eq!(left.iter().flatten().count(), 0, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_be_named_and_one_that_is_not_granted_is_denied() {
    let by_name = format!("localhost:{}", shared().port());
    let mut provider = on(&by_name, "named:");
    provider.grants = Default::default();
    provider.grants.add_socket(SocketGrant::parse(&by_name).unwrap().or_private());
    let (runtime, _clock) = start(provider.clone()).await;
    assert!(works(runtime.cache()).await);
    // Without `private` a name does not lead to this machine; and another address than
    // the granted one is another.
    let elsewhere = SocketGrant::parse("127.0.0.2:11211").unwrap();
    for granted in [SocketGrant::parse(&by_name).unwrap(), elsewhere] {
        provider.grants = Default::default();
        provider.grants.add_socket(granted);
        let (runtime, _clock) = start(provider.clone()).await;
        let error = runtime.cache().get_bytes("k").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.message().contains("grants.sockets"), "{error}");
    }
}
