//! What is particular to locks that are in a PostgreSQL database.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use stheno::config::{
    ModuleName, ProviderConfig, Resolve, SqlGrant, SqlName, SqlStatementTimeout, SqlUrl, StoreLabel,
};
use stheno::{Error, ErrorKind, ExecuteOptions, Locking, Runtime};
use stheno_test_support::{PostgresServer, until};
use tokio::task::JoinSet;

use crate::local;

/// The server that all tests share that do not stop it. Its clock is in the hand of
/// the tests.
fn shared() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = PostgresServer::with(&["max_connections=400"]);
        server.take_clock();
        server
    })
}

/// A schema that nobody else uses, with a clock that stands still.
#[derive(Clone)]
pub(crate) struct Schema(String);

impl Schema {
    pub(crate) fn own() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("shop{}", NEXT.fetch_add(1, Ordering::Relaxed));
        shared().make_schema(&name);
        shared().pass(&name, 0);
        Self(name)
    }

    pub(crate) fn grant_to(&self, provider: &mut ProviderConfig) {
        provider.grants.add_sql(StoreLabel::new("default").unwrap(), grant(shared(), &self.0));
    }

    pub(crate) fn pass(&self, millis: u64) {
        shared().pass(&self.0, millis);
    }
}

/// The least that serves.
fn grant(server: &PostgresServer, schema: &str) -> SqlGrant {
    let url = SqlUrl::new(&format!("{}?sslmode=disable", server.url_of(schema))).unwrap();
    SqlGrant::new(url, SqlName::new(schema).unwrap())
}

/// A server with a clock of its own, for tests that stop it or look into it.
struct Alone {
    server: PostgresServer,
}

impl Alone {
    fn start() -> Self {
        let server = PostgresServer::with(PostgresServer::LOGS);
        server.make_schema(SCHEMA);
        Self { server }
    }

    /// A runtime with the built-in provider and the real clock.
    async fn runtime(&self) -> Runtime {
        let mut grant = grant(&self.server, SCHEMA);
        grant.statement_timeout = SqlStatementTimeout::new(TIMEOUT).unwrap();
        let resolve = Resolve::parse("locking-postgres", Path::new("")).unwrap();
        let mut provider = ProviderConfig::new(resolve);
        provider.grants.add_sql(StoreLabel::new("default").unwrap(), grant);
        let builder = Runtime::builder().config(local());
        builder.provider(ModuleName::Locking, provider).build().await.unwrap()
    }

    fn ask(&self, statements: &str) -> String {
        self.server.ask(&format!("SET search_path = {SCHEMA}; {statements}"))
    }

    fn count(&self, table: &str) -> u64 {
        self.ask(&format!("SELECT count(*) FROM {table}")).parse().unwrap()
    }

    /// Waits until so many rows are there.
    async fn until(&self, table: &str, rows: u64) {
        until(&format!("{table} never has {rows} rows"), async || self.count(table) == rows).await;
    }
}

const SCHEMA: &str = "shop_locking";
const TIMEOUT: Duration = Duration::from_millis(500);
/// Within the deadline: an eighth is what the host adds, and the rest is the machine.
const SOON: Duration = Duration::from_secs(5);

async fn works(locking: &Locking) -> bool {
    match locking.try_acquire(["works"]).ttl(SOON).await {
        Ok(lease) => lease.release().await.is_ok(),
        Err(_) => false,
    }
}

fn assert_is_without_a_server(error: &Error) {
    let kind = error.kind();
    assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout), "{error}");
}

/// What locks without a server do: in time, for many callers.
async fn is_without_a_server(locking: &Locking) {
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..32 {
        let locking = locking.clone();
        callers.spawn(async move { locking.try_acquire([format!("k{caller}")]).await.err() });
    }
    while let Some(error) = callers.join_next().await {
        assert_is_without_a_server(&error.unwrap().unwrap());
    }
    for error in [
        locking.acquire(["a"]).ttl(SOON).await.err(),
        locking.release_all(None).await.err(),
        locking.inspect(["a"]).await.err(),
        locking.held(None, None, 1).await.err(),
    ] {
        assert_is_without_a_server(&error.unwrap());
    }
    assert!(begun.elapsed() < 12 * TIMEOUT, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runtimes_on_one_database_exclude_each_other_and_their_fences_grow() {
    const CALLERS: usize = 12;
    const ROUNDS: usize = 15;
    let alone = Alone::start();
    let runtimes = [alone.runtime().await, alone.runtime().await];
    let (inside, largest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let locking = runtimes[caller % 2].locking().clone();
        let (inside, largest) = (Arc::clone(&inside), Arc::clone(&largest));
        callers.spawn(async move {
            for round in 0..ROUNDS {
                let keys = if (caller + round) % 3 == 0 { vec!["b", "a"] } else { vec!["a"] };
                let lease = locking.acquire(keys).ttl(Duration::from_secs(60)).await.unwrap();
                assert!(!inside.swap(true, Ordering::SeqCst), "two are inside");
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
    assert_eq!((alone.count("locks"), alone.count("waits")), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_came_first_is_served_first_whichever_runtime_it_waits_in() {
    let alone = Alone::start();
    let runtimes = [alone.runtime().await, alone.runtime().await];
    let lease = runtimes[0].locking().acquire(["a"]).await.unwrap();
    let (order, mut served) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..10 {
        let (locking, order) = (runtimes[n % 2].locking().clone(), order.clone());
        tokio::spawn(async move {
            let lease = locking.acquire(["a"]).await.unwrap();
            order.send(n).unwrap();
            lease.release().await.unwrap();
        });
        alone.until("waits", n as u64 + 1).await;
    }
    // While they wait nobody passes them, in either runtime.
    lease.release().await.unwrap();
    for n in 0..10 {
        assert_eq!(served.recv().await.unwrap(), n);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_and_fences_outlive_the_runtime_and_the_server() {
    let mut alone = Alone::start();
    let runtime = alone.runtime().await;
    let lease = runtime.locking().acquire(["a"]).owner("x").await.unwrap();
    let fence = lease.fence();
    let token = lease.keep();
    runtime.shutdown().await.unwrap();
    alone.server.kill();
    alone.server.start_again();
    let runtime = alone.runtime().await;
    let locking = runtime.locking();
    let lock = locking.inspect(["a"]).await.unwrap().remove(0).unwrap();
    assert_eq!((lock.fence, lock.owner.as_deref()), (fence, Some("x")));
    assert!(locking.acquire(["b"]).await.unwrap().fence() > fence);
    assert!(locking.release(&token).await.unwrap());
    assert!(locking.try_acquire(["a"]).await.unwrap().fence() > fence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_runtime_held_that_is_gone_is_taken_over_after_its_time_to_live() {
    const TTL: Duration = Duration::from_millis(700);
    let alone = Alone::start();
    let (gone, other) = (alone.runtime().await, alone.runtime().await);
    let begun = Instant::now();
    let lost = gone.locking().acquire(["a"]).ttl(TTL).await.unwrap();
    let fence = lost.fence();
    let token = lost.keep();
    drop(gone);
    let lease = other.locking().acquire(["a"]).await.unwrap();
    assert!(begun.elapsed() >= TTL && begun.elapsed() < TTL + SOON, "{:?}", begun.elapsed());
    assert!(lease.fence() > fence);
    assert!(!other.locking().release(&token).await.unwrap(), "it was lost");
    lease.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waited_in_a_runtime_that_is_gone_holds_up_nobody_for_long() {
    let alone = Alone::start();
    let runtime = alone.runtime().await;
    let lease = runtime.locking().acquire(["a"]).await.unwrap();
    // As it is when a process was killed: its place is there and it says nothing more.
    alone.ask(
        "INSERT INTO sessions VALUES (7, floor(extract(epoch FROM clock_timestamp()) * 1000) + 1500);
         INSERT INTO waits (key, ticket, session, size) VALUES ('a', 1, 7, 2), ('b', 1, 7, 2)",
    );
    let locking = runtime.locking().clone();
    let next = tokio::spawn(async move { locking.acquire(["a"]).await });
    alone.until("waits", 3).await;
    lease.release().await.unwrap();
    // The place counts until the session is taken for dead.
    let taken = runtime.locking().try_acquire(["b"]).await;
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::Conflict);
    let lease = tokio::time::timeout(SOON, next).await.unwrap().unwrap().unwrap();
    lease.release().await.unwrap();
    runtime.locking().try_acquire(["b"]).await.unwrap().release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transaction_is_open_while_a_job_runs() {
    let alone = Alone::start();
    let runtime = alone.runtime().await;
    let options = ExecuteOptions { ttl: Duration::from_millis(300), ..Default::default() };
    let states = runtime.locking().execute(["a"], options, |_| async {
        let mut states = Vec::new();
        // Through several renewals, which are statements of their own.
        for _ in 0..20 {
            states.push(alone.ask(
                "SELECT coalesce(max(now() - xact_start), '0') < '1s', \
                 bool_or(state LIKE 'idle in transaction%') FROM pg_stat_activity \
                 WHERE usename = 'shop_locking'",
            ));
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        states
    });
    for state in states.await.unwrap() {
        assert_eq!(state, "t|f");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_calls_fail_in_time_and_it_recovers_by_itself() {
    let mut alone = Alone::start();
    let runtime = alone.runtime().await;
    let locking = runtime.locking().clone();
    assert!(works(&locking).await);
    let kept = locking.acquire(["kept"]).await.unwrap();
    let waits = {
        let locking = locking.clone();
        tokio::spawn(async move { locking.acquire(["kept"]).await })
    };
    alone.until("waits", 1).await;
    for round in 0..2 {
        if round == 0 {
            alone.server.kill();
        } else {
            alone.server.hang();
        }
        is_without_a_server(&locking).await;
        let status = runtime.status().await;
        let status = status.iter().find(|it| it.module == ModuleName::Locking).unwrap();
        assert!(status.health.is_err(), "it says that it cannot serve");
        if round == 0 {
            alone.server.start_again();
        } else {
            alone.server.go_on();
        }
        until("it does not recover by itself", async || works(&locking).await).await;
    }
    // Who waited waits still, and what was leased without an answer belongs to nobody.
    assert!(!waits.is_finished());
    kept.release().await.unwrap();
    let lease = tokio::time::timeout(SOON, waits).await.unwrap().unwrap().unwrap();
    lease.release().await.unwrap();
    until("something is left", async || works(&locking).await && alone.count("locks") == 0).await;
    assert_eq!(alone.count("waits"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_let_go_while_the_server_is_away_is_free_when_it_is_back() {
    let mut alone = Alone::start();
    let (runtime, other) = (alone.runtime().await, alone.runtime().await);
    let locking = runtime.locking().clone();
    let dropped = locking.acquire(["dropped"]).await.unwrap();
    let held = other.locking().acquire(["waited-for"]).await.unwrap();
    let waits = tokio::spawn(async move { locking.acquire(["waited-for"]).await });
    alone.until("waits", 1).await;
    alone.server.kill();
    // Neither has an end of its own, and nobody is told that it fails.
    drop(dropped);
    waits.abort();
    assert!(waits.await.unwrap_err().is_cancelled());
    assert_is_without_a_server(&runtime.locking().try_acquire(["a"]).await.unwrap_err());
    alone.server.start_again();
    until("something is left", async || alone.count("waits") == 0 && alone.count("locks") == 1)
        .await;
    held.release().await.unwrap();
    other.locking().try_acquire(["dropped", "waited-for"]).await.unwrap().release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_starts_without_a_server_and_serves_once_it_is_there() {
    let mut alone = Alone::start();
    alone.server.kill();
    let runtime = alone.runtime().await;
    assert_is_without_a_server(&runtime.locking().try_acquire(["a"]).await.unwrap_err());
    alone.server.start_again();
    until("it does not work", async || works(runtime.locking()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_comes_for_is_swept() {
    let alone = Alone::start();
    let runtime = alone.runtime().await;
    let locking = runtime.locking();
    for page in 0..20 {
        let keys = (0..64).map(|n| format!("old:{page}:{n}"));
        let lease = locking.acquire(keys).ttl(Duration::from_millis(1)).await.unwrap();
        drop(lease.keep());
    }
    alone.ask(
        "INSERT INTO sessions VALUES (7, 0); INSERT INTO waits (key, ticket, session, size) \
               SELECT 'dead' || n, n, 7, 1 FROM generate_series(1, 1500) n",
    );
    tokio::time::sleep(Duration::from_millis(2)).await;
    for page in 0..40 {
        let keys = (0..64).map(|n| format!("new:{page}:{n}"));
        locking.acquire(keys).ttl(SOON).await.unwrap().release().await.unwrap();
    }
    let left = alone.ask("SELECT count(*) FROM locks WHERE key LIKE 'old:%'");
    assert_eq!((left.as_str(), alone.count("waits")), ("0", 0));
    assert_eq!(alone.ask("SELECT count(*) FROM sessions WHERE session = 7"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_is_two_transactions_whatever_the_keys_and_reads_pass_no_gate() {
    let alone = Alone::start();
    let runtime = alone.runtime().await;
    let locking = runtime.locking();
    assert!(works(locking).await);
    let _ = alone.server.log();
    let keys = (0..64).map(|n| format!("k{n}"));
    let lease = locking.acquire(keys).ttl(SOON).await.unwrap();
    lease.release().await.unwrap();
    locking.inspect(["a"]).await.unwrap();
    locking.held(None, None, 1_000).await.unwrap();
    let log = alone.server.log();
    let made = |what: &str| log.iter().filter(|line| line.contains(what)).count();
    let gates = log.iter().filter(|it| it.contains("execute") && it.contains("UPDATE gate"));
    assert_eq!((gates.count(), made(": BEGIN"), made(": COMMIT")), (2, 2, 2), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_owners_are_values_whatever_they_read_like() {
    let alone = Alone::start();
    let runtime = alone.runtime().await;
    let locking = runtime.locking();
    let hostile = [
        "'; DROP TABLE locks; --",
        "\0",
        "\u{1}",
        "\u{1}\u{1}",
        "\0\u{1}\0",
        "{a,b}",
        "\"",
        "\\",
        "\\\"",
        "NULL",
        "null",
        "$1",
        "%",
        "a\r\n\tb",
        "\u{feff}\u{10ffff}",
        "é",
        "e\u{301}",
        " ",
    ];
    let lease = locking.try_acquire(hostile).owner("'\"\\{NULL}").await.unwrap();
    for key in hostile {
        let lock = locking.inspect([key]).await.unwrap().remove(0).unwrap();
        assert_eq!((lock.key.as_str(), lock.owner.as_deref()), (key, Some("'\"\\{NULL}")));
        let error = locking.try_acquire([key]).owner("NULL").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.message().contains(&format!("{key:?}")), "{error}");
    }
    let mut sorted = hostile;
    sorted.sort_unstable();
    let (mut after, mut listed) = (None::<String>, Vec::new());
    loop {
        let page = locking.held(Some("'\"\\{NULL}"), after.as_deref(), 5).await.unwrap();
        listed.extend(page.items.into_iter().map(|lock| lock.key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, sorted);
    lease.release().await.unwrap();
    let longest = "\0".repeat(1_024);
    locking.try_acquire([&longest]).await.unwrap().release().await.unwrap();
    assert_eq!(alone.count("locks"), 0);
}
