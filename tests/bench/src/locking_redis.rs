//! `locking-redis` behind the embed API, beside the crate `redis` on one multiplexed
//! connection doing what is usually done: `SET NX PX`, and a script that deletes what
//! is still its own. That has no queue, no fence and no several keys at once: who finds
//! the key taken tries again a little later.

use std::path::Path;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use stheno::config::{
    ModuleName, ProviderConfig, RedisGrant, RedisPrefix, RedisUrl, Resolve, StoreLabel,
};
use stheno::{Locking, Runtime};
use stheno_test_support::RedisServer;

use crate::measure::{Measured, Row, closed_loop, cpu_time, histogram, summarise};

const BENCH: &str = "locking-redis";
const BASELINE: &str = "SET NX, crate redis";
/// Keys that each caller goes through.
const KEYS: u64 = 256;
const TTL: Duration = Duration::from_secs(30);
const CONTENDERS: usize = 32;
const JOB: Duration = Duration::from_millis(1);
/// How long the naive one waits before it tries again.
const AGAIN: Duration = Duration::from_millis(5);
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

fn key(caller: usize, count: u64) -> String {
    format!("stock:{caller}:{}", count % KEYS)
}

fn three(caller: usize, count: u64) -> [String; 3] {
    ["a", "b", "c"].map(|part| format!("{}:{part}", key(caller, count)))
}

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let server = RedisServer::start();
    let mut provider = ProviderConfig::new(Resolve::parse("locking-redis", Path::new(""))?);
    let grant = RedisGrant::new(RedisUrl::new(&server.url())?, RedisPrefix::new("bench:")?);
    provider.grants.add_redis(StoreLabel::new("default")?, grant);
    let runtime = Runtime::builder().provider(ModuleName::Locking, provider).build().await?;
    let locking = runtime.locking().clone();
    let client = redis::Client::open(server.url())?;
    let bare = Bare::new(client.get_multiplexed_async_connection().await?).await?;
    for callers in [1, 64] {
        let baseline = bare_pairs(&bare, callers, span, |caller, n| vec![key(caller, n)]).await?;
        let measured = pairs(&locking, callers, span, |caller, n| vec![key(caller, n)]).await?;
        print(measured.row(BENCH, "pairs, distinct keys", callers, Some((BASELINE, baseline))));
    }
    let baseline = bare_pairs(&bare, 64, span, |caller, n| three(caller, n).into()).await?;
    let measured = pairs(&locking, 64, span, |caller, n| three(caller, n).into()).await?;
    print(measured.row(BENCH, "pairs, three keys at once", 64, Some((BASELINE, baseline))));
    let baseline = bare_contended(&bare, span).await?;
    let measured = contended(&locking, span).await?;
    eprintln!(
        "{BENCH}: beyond a job of 1 ms a hand-over takes {:.3} ms, with SET NX {:.3} ms",
        beyond(measured),
        beyond(baseline)
    );
    // The latencies are the waits.
    let case = "one key, job of 1 ms";
    print(measured.row(BENCH, case, CONTENDERS, Some((BASELINE, baseline))));
    runtime.shutdown().await?;
    Ok(())
}

async fn pairs(
    locking: &Locking,
    callers: usize,
    span: Duration,
    keys: fn(usize, u64) -> Vec<String>,
) -> anyhow::Result<Measured> {
    let locking = locking.clone();
    closed_loop(callers, span, move |caller, count| {
        let locking = locking.clone();
        async move {
            let lease = locking.acquire(keys(caller, count)).ttl(TTL).await?;
            Ok(lease.release().await?)
        }
    })
    .await
}

async fn bare_pairs(
    bare: &Bare,
    callers: usize,
    span: Duration,
    keys: fn(usize, u64) -> Vec<String>,
) -> anyhow::Result<Measured> {
    let bare = bare.clone();
    closed_loop(callers, span, move |caller, count| {
        let mut bare = bare.clone();
        async move {
            let (keys, token) = (keys(caller, count), count.to_string());
            for key in &keys {
                anyhow::ensure!(bare.acquire(key, &token).await?);
            }
            for key in &keys {
                anyhow::ensure!(bare.release(key, &token).await?);
            }
            Ok(())
        }
    })
    .await
}

/// The naive one.
#[derive(Clone)]
struct Bare {
    connection: MultiplexedConnection,
    /// What the server calls the script that releases.
    release: String,
}

impl Bare {
    async fn new(mut connection: MultiplexedConnection) -> anyhow::Result<Self> {
        let load = redis::cmd("SCRIPT").arg("LOAD").arg(RELEASE).clone();
        let release = load.query_async(&mut connection).await?;
        Ok(Self { connection, release })
    }

    async fn acquire(&mut self, key: &str, token: &str) -> anyhow::Result<bool> {
        let mut set = redis::cmd("SET");
        set.arg(format!("bare:{key}")).arg(token).arg("NX").arg("PX").arg(TTL.as_millis() as u64);
        let set: Option<String> = set.query_async(&mut self.connection).await?;
        Ok(set.is_some())
    }

    async fn release(&mut self, key: &str, token: &str) -> anyhow::Result<bool> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.release).arg(1).arg(format!("bare:{key}")).arg(token);
        let deleted: u64 = call.query_async(&mut self.connection).await?;
        Ok(deleted == 1)
    }
}

/// A job that keeps its processor: a timer of tokio ends a millisecond late.
fn job() {
    let begun = Instant::now();
    while begun.elapsed() < JOB {
        std::hint::spin_loop();
    }
}

/// How much longer a section takes than its job, in milliseconds.
fn beyond(measured: Measured) -> f64 {
    1_000.0 / measured.ops_per_s - JOB.as_secs_f64() * 1_000.0
}

/// Contenders that each wait, do the job and come again; the latencies are the waits.
async fn contention<F>(
    span: Duration,
    section: impl Fn(usize) -> F + Clone + Send + 'static,
) -> anyhow::Result<Measured>
where
    F: Future<Output = anyhow::Result<Duration>> + Send,
{
    let (begun, begun_cpu) = (Instant::now(), cpu_time());
    let mut tasks = Vec::with_capacity(CONTENDERS);
    for contender in 0..CONTENDERS {
        let section = section.clone();
        tasks.push(tokio::spawn(async move {
            let (mut waits, mut count) = (histogram(), 0_u64);
            while begun.elapsed() < span {
                waits.saturating_record(section(contender).await?.as_nanos() as u64);
                count += 1;
            }
            anyhow::Ok((count, waits))
        }));
    }
    let (mut sections, mut waits) = (0, histogram());
    for task in tasks {
        let (count, own) = task.await??;
        sections += count;
        waits.add(own)?;
    }
    Ok(summarise(sections, begun.elapsed(), cpu_time() - begun_cpu, &waits))
}

async fn contended(locking: &Locking, span: Duration) -> anyhow::Result<Measured> {
    let locking = locking.clone();
    contention(span, move |_| {
        let locking = locking.clone();
        async move {
            let begun = Instant::now();
            let lease = locking.acquire(["stock"]).ttl(TTL).await?;
            let waited = begun.elapsed();
            job();
            lease.release().await?;
            Ok(waited)
        }
    })
    .await
}

async fn bare_contended(bare: &Bare, span: Duration) -> anyhow::Result<Measured> {
    let bare = bare.clone();
    contention(span, move |contender| {
        let mut bare = bare.clone();
        async move {
            let token = contender.to_string();
            let begun = Instant::now();
            while !bare.acquire("stock", &token).await? {
                tokio::time::sleep(AGAIN).await;
            }
            let waited = begun.elapsed();
            job();
            anyhow::ensure!(bare.release("stock", &token).await?);
            Ok(waited)
        }
    })
    .await
}
