//! What is particular to locks that are on a Redis server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stheno::config::{
    ModuleName, ProviderConfig, RedisGrant, RedisPrefix, RedisTimeout, RedisUrl, Resolve,
    StoreLabel,
};
use stheno::{Error, ErrorKind, Lease, Locking, Runtime};
use stheno_test_support::{RedisClient as Client, RedisServer, guest, until};
use tokio::task::{JoinHandle, JoinSet};

use crate::{LOCKING_REDIS, TTL, assert_kind, local};

pub(crate) fn grant(server: &RedisServer, prefix: &str) -> RedisGrant {
    let url = RedisUrl::new(&server.url()).unwrap();
    RedisGrant::new(url, RedisPrefix::new(prefix).unwrap())
}

pub(crate) fn grant_to(provider: &mut ProviderConfig, grant: RedisGrant) {
    provider.grants.add_redis(StoreLabel::new("default").unwrap(), grant);
}

/// The built-in provider with this grant.
fn provider(grant: RedisGrant) -> ProviderConfig {
    let mut provider = LOCKING_REDIS.config();
    grant_to(&mut provider, grant);
    provider
}

const TIMEOUT: Duration = Duration::from_millis(300);

/// A runtime of its own on this server, in real time.
async fn start(grant: RedisGrant) -> Runtime {
    let builder = Runtime::builder().config(local());
    builder.provider(ModuleName::Locking, provider(grant)).build().await.unwrap()
}

/// Two runtimes that share a prefix, and nothing else.
struct Two {
    server: RedisServer,
    one: Runtime,
    other: Runtime,
}

impl Two {
    async fn start() -> Self {
        let server = RedisServer::start();
        let (one, other) = tokio::join!(
            start(grant(&server, "shop:locks:")),
            start(grant(&server, "shop:locks:"))
        );
        Self { server, one, other }
    }
}

async fn waits(locking: &Locking, key: &'static str) -> JoinHandle<Result<Lease, Error>> {
    let before = waiting(locking, key).await;
    let waits = tokio::spawn({
        let locking = locking.clone();
        async move { locking.acquire([key]).await }
    });
    while waiting(locking, key).await == before {
        tokio::task::yield_now().await;
    }
    waits
}

async fn waiting(locking: &Locking, key: &str) -> u64 {
    locking.inspect([key]).await.unwrap().remove(0).map_or(0, |lock| lock.waiting)
}

fn number(client: &mut Client, command: &[&str]) -> i64 {
    client.text(command).parse().unwrap()
}

async fn works(locking: &Locking) -> bool {
    match locking.try_acquire(["works"]).owner("works").ttl(TTL).await {
        Ok(lease) => lease.release().await.is_ok(),
        Err(_) => false,
    }
}

async fn works_again(locking: &Locking) {
    until("it does not recover by itself", async || works(locking).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runtimes_exclude_each_other_and_their_fences_grow_together() {
    let two = Two::start().await;
    let inside = Arc::new(AtomicBool::new(false));
    let largest = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let runtime = if caller % 2 == 0 { &two.one } else { &two.other };
        let (locking, inside) = (runtime.locking().clone(), Arc::clone(&inside));
        let largest = Arc::clone(&largest);
        callers.spawn(async move {
            for _ in 0..20 {
                let lease = locking.acquire(["a", "b"]).ttl(TTL).await.unwrap();
                assert!(!inside.swap(true, Ordering::SeqCst));
                assert!(largest.swap(lease.fence(), Ordering::SeqCst) < lease.fence());
                tokio::task::yield_now().await;
                inside.store(false, Ordering::SeqCst);
                lease.release().await.unwrap();
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    assert!(two.other.locking().held(None, None, 10).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_one_for_all_runtimes_and_none_is_passed() {
    let two = Two::start().await;
    let held = two.one.locking().acquire(["a"]).await.unwrap();
    let (order, mut served) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..20 {
        // In no regular turn.
        let runtime = if n % 3 == 0 { &two.one } else { &two.other };
        let turn = waits(runtime.locking(), "a").await;
        let order = order.clone();
        tokio::spawn(async move {
            let lease = turn.await.unwrap().unwrap();
            order.send(n).unwrap();
            lease.release().await.unwrap();
        });
    }
    held.release().await.unwrap();
    for n in 0..20 {
        assert_eq!(served.recv().await, Some(n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_another_runtime_is_woken_and_does_not_look_again_and_again() {
    const ROUNDS: u32 = 50;
    let two = Two::start().await;
    let mut longest = Vec::new();
    for _ in 0..ROUNDS {
        let held = two.one.locking().acquire(["a"]).await.unwrap();
        let turn = waits(two.other.locking(), "a").await;
        let begun = Instant::now();
        held.release().await.unwrap();
        let lease = turn.await.unwrap().unwrap();
        longest.push(begun.elapsed());
        lease.release().await.unwrap();
    }
    longest.sort_unstable();
    let median = longest[longest.len() / 2];
    assert!(median < Duration::from_millis(20), "{median:?}");
    // While nothing happens hardly anything is asked.
    let held = two.one.locking().acquire(["a"]).await.unwrap();
    let turn = waits(two.other.locking(), "a").await;
    let mut monitor = two.server.client();
    monitor.monitor();
    tokio::time::sleep(Duration::from_millis(500)).await;
    two.server.client().text(&["ECHO", "the-end"]);
    let seen = monitor.seen("the-end");
    let calls = seen.iter().filter(|line| !line.contains(" lua] ")).count();
    assert!(calls < 10, "{seen:#?}");
    held.release().await.unwrap();
    drop(turn.await.unwrap().unwrap());
}

/// The script that `locking-redis` gives to the server, called as it calls it.
fn operation(client: &mut Client, words: &[&str]) -> Vec<Option<Vec<u8>>> {
    let names = "fence held leases owners ends watched queue tickets seen news";
    let names: Vec<_> = names.split(' ').map(|name| format!("locks:{name}")).collect();
    let script = stheno_builtins::scripts("locking-redis")[0];
    let mut call = vec!["EVAL", script, "10"];
    call.extend(names.iter().map(String::as_str));
    call.extend(words);
    client.call(&call)
}

/// Which of these words are in an answer, in its order.
fn words<'w>(answer: &[Option<Vec<u8>>], known: &[&'w str]) -> Vec<&'w str> {
    let said = answer.iter().flatten();
    said.filter_map(|said| known.iter().copied().find(|it| it.as_bytes() == said)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_is_told_in_the_answer_where_the_instance_is_known_and_in_the_news_else() {
    let server = RedisServer::start();
    let mut client = server.client();
    let said = ["granted", "queued", "0000000000000002.1"];
    let mut acquire = |here: &str, id: &str| {
        let asked = ["exchange", "1", here, "0", "9", "1", id, "", "", "1", "1", "a"];
        words(&operation(&mut client, &asked), &said)
    };
    let (one, other) = ("0000000000000001", "0000000000000002");
    for (released_by, news) in [(vec![one], 1), (vec![one, other], 0)] {
        assert_eq!(acquire(one, &format!("{one}.1")), ["granted"]);
        assert_eq!(acquire(other, &format!("{other}.1")), ["queued"]);
        let count = released_by.len().to_string();
        let mut release = vec!["exchange", count.as_str()];
        release.extend(released_by);
        let holder = format!("{one}.1");
        release.extend(["1", holder.as_str(), "9", "0"]);
        let mut client = server.client();
        let before = number(&mut client, &["XLEN", "locks:news"]);
        let told = words(&operation(&mut client, &release), &said);
        assert_eq!(told.len() as i64, 1 - news, "{told:?}");
        assert_eq!(number(&mut client, &["XLEN", "locks:news"]) - before, news);
        let next = format!("{other}.1");
        operation(&mut client, &["exchange", "0", "1", next.as_str(), "9", "0"]);
        assert_eq!(number(&mut client, &["EXISTS", "locks:held"]), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_after_it_was_given_up_is_granted_nothing() {
    let server = RedisServer::start();
    let mut client = server.client();
    let mut ask = |id| {
        let asked = ["exchange", "0", "0", "9", "1", id, "", "", "", "1", "a"];
        words(&operation(&mut client, &asked), &["granted", "late"])
    };
    operation(&mut server.client(), &["abandon", "0", "2", "given-up", "other"]);
    assert_eq!(ask("given-up"), ["late"]);
    assert_eq!(number(&mut server.client(), &["EXISTS", "locks:held"]), 0);
    assert_eq!(ask("another"), ["granted"]);
    // What was granted is ended, and needs no note of it.
    operation(&mut server.client(), &["abandon", "0", "1", "another"]);
    let seen = server.client().call(&["ZRANGE", "locks:seen", "0", "-1"]);
    assert_eq!(words(&seen, &["!given-up", "!other", "!another"]), ["!given-up", "!other"]);
    assert_eq!(ask("a-third"), ["granted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_comes_before_its_ticket_is_not_lost() {
    // What is lost on its way is told again after 15 s.
    const SOON: Duration = Duration::from_secs(10);
    let server = RedisServer::start();
    let runtime = start(grant(&server, "shop:locks:")).await;
    let mut callers = JoinSet::new();
    for _ in 0..32 {
        let locking = runtime.locking().clone();
        callers.spawn(async move {
            let mut longest = Duration::ZERO;
            for _ in 0..60 {
                let begun = Instant::now();
                let lease = locking.acquire(["a"]).await.unwrap();
                longest = longest.max(begun.elapsed());
                lease.release().await.unwrap();
            }
            longest
        });
    }
    let longest = callers.join_all().await.into_iter().max().unwrap();
    assert!(longest < SOON, "{longest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_runtime_held_that_is_gone_is_taken_over_when_it_has_expired() {
    let Two { server, one, other } = Two::start().await;
    let ttl = Duration::from_millis(700);
    let lost = one.locking().acquire(["a"]).ttl(ttl).await.unwrap();
    let (fence, begun) = (lost.fence(), Instant::now());
    // Nothing is released by a process that is killed.
    let _token = lost.keep();
    drop(one);
    let next = other.locking().acquire(["a"]).ttl(TTL).await.unwrap();
    assert!(begun.elapsed() >= ttl - Duration::from_millis(50), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < ttl + Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(next.fence() > fence);
    // What is held outlives every runtime, and the next one knows the fences.
    let (fence, token) = (next.fence(), next.keep());
    other.shutdown().await.unwrap();
    let third = start(grant(&server, "shop:locks:")).await;
    assert_kind(third.locking().try_acquire(["a"]).await, ErrorKind::Conflict);
    assert!(third.locking().release(&token).await.unwrap());
    assert!(third.locking().acquire(["a"]).await.unwrap().fence() > fence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waited_in_a_runtime_that_is_gone_holds_up_nobody_for_long() {
    let server = RedisServer::on_a_clock();
    let runtime = |clock| {
        let builder = Runtime::builder().config(local()).clock(clock);
        builder.provider(ModuleName::Locking, provider(grant(&server, "shop:locks:"))).build()
    };
    let (clock, hand) = stheno::Clock::manual();
    let here = runtime(clock).await.unwrap();
    let gone = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let held = here.locking().acquire(["a"]).await.unwrap();
    let (clock, _hand) = stheno::Clock::manual();
    let its = runtime(clock).await.unwrap();
    gone.spawn(async move { its.locking().acquire(["a"]).await.map(Lease::keep) });
    while waiting(here.locking(), "a").await == 0 {
        tokio::task::yield_now().await;
    }
    let next = waits(here.locking(), "a").await;
    // It dies with all its tasks: nobody gives up its place.
    gone.shutdown_background();
    let pass = |seconds| {
        server.pass(Duration::from_secs(seconds));
        hand.advance(Duration::from_secs(seconds));
    };
    held.release().await.unwrap();
    // The dead one's turn has come. Those who live say so all the while.
    for _ in 0..5 {
        assert!(!next.is_finished());
        let seen = seen(&server);
        pass(6);
        while seen == self::seen(&server) && !next.is_finished() {
            tokio::task::yield_now().await;
        }
    }
    next.await.unwrap().unwrap().release().await.unwrap();
}

/// What the server knows of when tickets were asked after last.
fn seen(server: &RedisServer) -> Vec<Option<Vec<u8>>> {
    server.client().call(&["ZRANGE", "shop:locks:seen", "0", "-1", "WITHSCORES"])
}

/// What locks without a server do: at once for many callers.
async fn is_without_a_server(locking: &Locking) {
    let mut callers = JoinSet::new();
    let begun = Instant::now();
    for caller in 0..32 {
        let locking = locking.clone();
        callers.spawn(async move {
            let key = format!("k{}", caller % 4);
            let error = match caller % 4 {
                0 => locking.acquire([key]).await.err(),
                1 => locking.try_acquire([key]).ttl(TTL).await.err(),
                2 => locking.release("token").await.err(),
                _ => locking.extend("token", TTL).await.err(),
            };
            let kind = error.unwrap().kind();
            assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout), "{kind:?}");
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    assert!(begun.elapsed() < 12 * TIMEOUT, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_every_call_is_an_error_until_it_is_back() {
    let mut server = RedisServer::start();
    let mut grant = grant(&server, "shop:locks:");
    grant.timeout = RedisTimeout::new(TIMEOUT).unwrap();
    let runtime = start(grant).await;
    let locking = runtime.locking();
    assert!(works(locking).await);
    let held = locking.acquire(["a"]).ttl(Duration::from_secs(60)).await.unwrap();
    let turn = waits(locking, "a").await;
    server.hang();
    is_without_a_server(locking).await;
    server.go_on();
    works_again(locking).await;
    // Who waited waits still, in his place, and who held holds.
    assert!(!turn.is_finished());
    held.release().await.unwrap();
    let lease = turn.await.unwrap().unwrap();
    let turn = waits(locking, "a").await;
    server.kill();
    is_without_a_server(locking).await;
    assert!(runtime.status().await.iter().any(|status| status.health.is_err()));
    server.start_again();
    works_again(locking).await;
    // It has lost all it held, so a lease is lost, and who waited gets the key with a
    // larger fence.
    let next = turn.await.unwrap().unwrap();
    assert!(next.fence() > lease.fence());
    assert_kind(lease.release().await, ErrorKind::LostLease);
    next.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_whose_answers_are_lost_are_given_up_though_nobody_asks_for_more() {
    let server = RedisServer::start();
    let mut grant = grant(&server, "shop:locks:");
    grant.timeout = RedisTimeout::new(TIMEOUT).unwrap();
    let runtime = start(grant).await;
    let locking = runtime.locking();
    assert!(works(locking).await);
    server.hang();
    // They are sent, by several instances, and done once the server goes on.
    let lost: Vec<_> = ["a", "b", "c", "d"]
        .map(|key| {
            let locking = locking.clone();
            tokio::spawn(async move { locking.try_acquire([key]).await.map(Lease::keep) })
        })
        .into();
    let mut sent = 0;
    for lost in lost {
        let kind = lost.await.unwrap().unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Timeout | ErrorKind::Unavailable), "{kind:?}");
        sent += u32::from(kind == ErrorKind::Timeout);
    }
    assert!(sent > 0, "nothing was sent");
    server.go_on();
    // The runtime is not called any more.
    let mut client = server.client();
    let mut granted = false;
    until("what was granted is nobody's, for ever", async || {
        granted |= number(&mut client, &["EXISTS", "shop:locks:fence"]) == 1;
        number(&mut client, &["EXISTS", "shop:locks:held"]) == 0 && granted
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_let_go_while_the_server_is_away_is_free_when_it_is_back() {
    let server = RedisServer::start();
    let mut grant = grant(&server, "shop:locks:");
    grant.timeout = RedisTimeout::new(TIMEOUT).unwrap();
    let (runtime, other) = tokio::join!(start(grant.clone()), start(grant));
    let (locking, others) = (runtime.locking(), other.locking());
    let dropped = locking.acquire(["dropped"]).await.unwrap();
    let held = others.acquire(["waited-for"]).await.unwrap();
    let turn = waits(locking, "waited-for").await;
    server.hang();
    // Neither has an end of its own, and nobody is told that it fails.
    drop(dropped);
    turn.abort();
    assert!(turn.await.unwrap_err().is_cancelled());
    let kind = locking.try_acquire(["a"]).await.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::Timeout | ErrorKind::Unavailable), "{kind:?}");
    server.go_on();
    works_again(others).await;
    until("something is left", async || {
        waiting(others, "waited-for").await == 0
            && others.inspect(["dropped"]).await.unwrap()[0].is_none()
    })
    .await;
    held.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_others_are_left_alone_and_not_looked_at() {
    let server = RedisServer::start();
    let mut client = server.client();
    let others = ["held", "news", "other", "shop", "shop:lock", "zshop:locks:held"];
    for key in others {
        assert_eq!(client.text(&["SET", key, "theirs"]), "OK");
    }
    let runtime = start(grant(&server, "shop:locks:")).await;
    let locking = runtime.locking();
    let mut monitor = server.client();
    monitor.monitor();
    for key in ["other", "shop:lock", "../held", "\0", "held", "*"] {
        let mut lease = locking.acquire([key, "b"]).owner("x").ttl(TTL).await.unwrap();
        let turn = waits(locking, "b").await;
        lease.extend(TTL).await.unwrap();
        assert_eq!(locking.held(Some("x"), None, 10).await.unwrap().items.len(), 2);
        assert_eq!(locking.held(None, None, 10).await.unwrap().items.len(), 2);
        assert_eq!(locking.release_keys([key], Some("x")).await.unwrap(), 1);
        assert_eq!(locking.release_all(Some("x")).await.unwrap(), 1);
        turn.await.unwrap().unwrap().release().await.unwrap();
        assert_kind(lease.release().await, ErrorKind::LostLease);
    }
    assert_eq!(client.text(&["ECHO", "the-end"]), "the-end");
    let seen = monitor.seen("the-end");
    assert!(seen.len() > 100);
    for line in seen {
        let words: Vec<_> = line.split('"').skip(1).step_by(2).collect();
        let ours = words.get(1).is_some_and(|key| key.starts_with("shop:locks:"))
            || matches!(words.first(), Some(&("EVALSHA" | "SCRIPT" | "HELLO" | "XREAD" | "TIME")));
        assert!(ours, "{line}");
    }
    let theirs = |key: &String| !key.starts_with("shop:locks:");
    assert_eq!(client.keys().into_iter().filter(theirs).collect::<Vec<_>>(), others);
    // What is left of locks that are free is two numbers and what was told.
    let left = ["shop:locks:fence", "shop:locks:news", "shop:locks:seen"];
    let ours: Vec<_> = client.keys().into_iter().filter(|key| !theirs(key)).collect();
    assert!(ours.iter().all(|key| left.contains(&key.as_str())), "{ours:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_look_like_each_others_places_are_told_apart() {
    let server = RedisServer::start();
    let runtime = start(grant(&server, "shop:locks:")).await;
    let locking = runtime.locking();
    // Lengths, separators and numbers as the table writes them.
    let long = "k".repeat(1_024);
    let keys: Vec<String> = ["a", "0001a", "a\0", "\0a", "x\0a", "a0000000000000001", "ab", "é"]
        .into_iter()
        .map(str::to_owned)
        .chain([long.clone(), long[1..].to_owned(), "1795544109526532".repeat(3)])
        .collect();
    let mut leases = Vec::new();
    let mut turns = Vec::new();
    for key in &keys {
        leases.push(
            locking
                .try_acquire([key])
                .owner(key.replace('\0', "0").chars().take(20).collect::<String>())
                .await
                .unwrap(),
        );
        let (locking, key) = (locking.clone(), key.clone());
        turns.push(tokio::spawn(async move { locking.acquire([key]).await }));
    }
    for key in &keys {
        while waiting(locking, key).await == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(waiting(locking, key).await, 1, "{key:?}");
    }
    // Whatever is locked, the server has the ten keys of the table and no others.
    let names = "fence held leases owners ends watched queue tickets seen news";
    let table: Vec<_> = names.split(' ').map(|name| format!("shop:locks:{name}")).collect();
    let there = server.client().keys();
    assert!(there.len() > 5 && there.iter().all(|key| table.contains(key)), "{there:?}");
    for (at, (lease, turn)) in leases.into_iter().zip(turns).enumerate() {
        lease.release().await.unwrap();
        let lease = turn.await.unwrap().unwrap();
        assert_eq!(locking.held(None, None, 100).await.unwrap().items.len(), keys.len() - at);
        lease.release().await.unwrap();
    }
    assert!(locking.held(None, None, 10).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_beyond_the_most_is_refused() {
    let server = RedisServer::start();
    let mut provider = provider(grant(&server, "shop:locks:"));
    provider.options.insert("max_waiting".into(), 1.into());
    let builder = Runtime::builder().config(local());
    let runtime = builder.provider(ModuleName::Locking, provider).build().await.unwrap();
    let locking = runtime.locking();
    let held = locking.acquire(["a"]).await.unwrap();
    let turn = waits(locking, "a").await;
    let refused = locking.acquire(["a"]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains("`max_waiting` = 1"), "{refused}");
    held.release().await.unwrap();
    turn.await.unwrap().unwrap().release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_full_leases_nothing_and_still_takes_back() {
    let server = RedisServer::start();
    let runtime = start(grant(&server, "shop:locks:")).await;
    let locking = runtime.locking();
    let mut held = locking.acquire(["a"]).ttl(TTL).await.unwrap();
    let let_go = locking.acquire(["d"]).await.unwrap();
    let mut client = server.client();
    assert_eq!(client.text(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    assert_kind(locking.try_acquire(["b", "c"]).await, ErrorKind::Unavailable);
    // What takes no room is served.
    held.extend(TTL).await.unwrap();
    let_go.release().await.unwrap();
    assert_eq!(locking.held(None, None, 10).await.unwrap().items.len(), 1);
    // Also where both are in one call.
    let mut both = JoinSet::new();
    for at in 0..32 {
        let locking = locking.clone();
        both.spawn(async move {
            if at % 2 == 0 {
                assert_kind(locking.try_acquire([format!("b{at}")]).await, ErrorKind::Unavailable);
            } else {
                assert!(!locking.release(&format!("{at}")).await.unwrap());
            }
        });
    }
    both.join_all().await;
    assert_eq!(client.text(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
    works_again(locking).await;
    assert_eq!(locking.held(None, None, 10).await.unwrap().items.len(), 1);
    held.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_file_its_script_has_to_be_granted_and_the_refusal_names_it() {
    let server = RedisServer::start();
    let grant = grant(&server, "shop:locks:");
    let mut from_file = provider(grant.clone());
    from_file.resolve = Resolve::File(guest("locking-redis"));
    let build = async |provider| {
        Runtime::builder().config(local()).provider(ModuleName::Locking, provider).build().await
    };
    // One refusal for each: what wants room on the server, and what takes none.
    let mut grant = grant;
    for _ in 0..2 {
        let refused = build(from_file.clone()).await.err().unwrap().to_string();
        let digest = refused.split("scripts = [\"").nth(1).and_then(|rest| rest.split('"').next());
        let digest = stheno::config::ScriptDigest::new(digest.unwrap()).unwrap();
        assert!(grant.scripts.insert(digest), "{refused}");
        grant_to(&mut from_file, grant.clone());
    }
    assert!(works(build(from_file).await.unwrap().locking()).await);
}
