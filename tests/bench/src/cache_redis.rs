//! `cache-redis` behind the embed API, beside the crate `redis` on one multiplexed
//! connection that does no more than the work: `GET`, `SET` with a time to live, and
//! for tags what keeps them in plain sets.

use std::path::Path;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use stheno::config::{
    ModuleName, ProviderConfig, RedisGrant, RedisPrefix, RedisUrl, Resolve, StoreLabel,
};
use stheno::{Cache, NewEntry, Runtime};
use stheno_test_support::RedisServer;

use crate::measure::{Measured, Row, closed_loop, cpu_time, histogram, summarise};

const BENCH: &str = "cache-redis";
const BASELINE: &str = "crate redis, bare";
/// Keys that each caller goes through.
const KEYS: u64 = 256;
const TTL: Duration = Duration::from_secs(600);
const TAGS: [&str; 2] = ["product", "catalogue"];

fn value() -> Vec<u8> {
    vec![7; 1_024]
}

fn key(caller: usize, count: u64) -> String {
    format!("product:{caller}:{}", count % KEYS)
}

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let server = RedisServer::start();
    let mut provider = ProviderConfig::new(Resolve::parse("cache-redis", Path::new(""))?);
    let grant = RedisGrant::new(RedisUrl::new(&server.url())?, RedisPrefix::new("bench:")?);
    provider.grants.add_redis(StoreLabel::new("default")?, grant);
    let runtime = Runtime::builder().provider(ModuleName::Cache, provider).build().await?;
    let cache = runtime.cache().clone();
    let client = redis::Client::open(server.url())?;
    let bare = client.get_multiplexed_async_connection().await?;
    for callers in [1, 64] {
        let baseline = bare_set(&bare, callers, span, &[]).await?;
        let measured = set(&cache, callers, span, &[]).await?;
        print(measured.row(BENCH, "set 1 KiB", callers, Some((BASELINE, baseline))));
        let baseline = bare_get(&bare, callers, span).await?;
        let measured = get(&cache, callers, span).await?;
        print(measured.row(BENCH, "get 1 KiB", callers, Some((BASELINE, baseline))));
        let baseline = bare_set(&bare, callers, span, &TAGS).await?;
        let measured = set(&cache, callers, span, &TAGS).await?;
        print(measured.row(BENCH, "set 1 KiB, 2 tags", callers, Some((BASELINE, baseline))));
    }
    clear_tag(&cache, &bare, print).await?;
    runtime.shutdown().await?;
    Ok(())
}

async fn get(cache: &Cache, callers: usize, span: Duration) -> anyhow::Result<Measured> {
    for caller in 0..callers {
        let entries = (0..KEYS).map(|count| NewEntry::new(key(caller, count), value()).ttl(TTL));
        cache.set_many(entries).await?;
    }
    let cache = cache.clone();
    closed_loop(callers, span, move |caller, count| {
        let cache = cache.clone();
        async move {
            anyhow::ensure!(cache.get_bytes(&key(caller, count)).await?.is_some());
            Ok(())
        }
    })
    .await
}

async fn bare_get(
    bare: &MultiplexedConnection,
    callers: usize,
    span: Duration,
) -> anyhow::Result<Measured> {
    for caller in 0..callers {
        for count in 0..KEYS {
            put(bare.clone(), &key(caller, count), &[]).await?;
        }
    }
    let bare = bare.clone();
    closed_loop(callers, span, move |caller, count| {
        let mut bare = bare.clone();
        async move {
            let key = format!("bare:{}", key(caller, count));
            let value: Option<Vec<u8>> = redis::cmd("GET").arg(key).query_async(&mut bare).await?;
            anyhow::ensure!(value.is_some());
            Ok(())
        }
    })
    .await
}

async fn set(
    cache: &Cache,
    callers: usize,
    span: Duration,
    tags: &'static [&'static str],
) -> anyhow::Result<Measured> {
    let cache = cache.clone();
    closed_loop(callers, span, move |caller, count| {
        let cache = cache.clone();
        async move {
            let set = cache.set_bytes(&key(caller, count), value()).ttl(TTL);
            set.tags(tags.iter().copied()).await?;
            Ok(())
        }
    })
    .await
}

async fn bare_set(
    bare: &MultiplexedConnection,
    callers: usize,
    span: Duration,
    tags: &'static [&'static str],
) -> anyhow::Result<Measured> {
    let bare = bare.clone();
    closed_loop(callers, span, move |caller, count| {
        let bare = bare.clone();
        async move { put(bare, &key(caller, count), tags).await }
    })
    .await
}

async fn put(mut bare: MultiplexedConnection, key: &str, tags: &[&str]) -> anyhow::Result<()> {
    let mut set = redis::cmd("SET");
    set.arg(format!("bare:{key}")).arg(value()).arg("EX").arg(TTL.as_secs());
    if tags.is_empty() {
        return Ok(set.exec_async(&mut bare).await?);
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(set);
    for tag in tags {
        pipeline.cmd("SADD").arg(format!("bare:tag:{tag}")).arg(key);
    }
    Ok(pipeline.exec_async(&mut bare).await?)
}

/// Clears a tag that a thousand keys carry; setting them is not timed.
async fn clear_tag(
    cache: &Cache,
    bare: &MultiplexedConnection,
    print: &mut impl FnMut(Row),
) -> anyhow::Result<()> {
    const ROUNDS: u64 = 50;
    let keys: Vec<_> = (0..1_000).map(|at| format!("tagged:{at}")).collect();
    let mut sums = Vec::new();
    for component in [false, true] {
        let (mut latencies, mut wall, mut cpu) = (histogram(), Duration::ZERO, Duration::ZERO);
        for _ in 0..ROUNDS {
            if component {
                let entry = |key| NewEntry::new(key, value()).ttl(TTL).tags(["tagged"]);
                cache.set_many(keys.iter().map(entry)).await?;
            } else {
                for key in &keys {
                    put(bare.clone(), key, &["tagged"]).await?;
                }
            }
            let (begun, begun_cpu) = (Instant::now(), cpu_time());
            if component {
                cache.clear_tags(["tagged"]).await?;
            } else {
                bare_clear(bare.clone()).await?;
            }
            let took = begun.elapsed();
            latencies.saturating_record(took.as_nanos() as u64);
            wall += took;
            cpu += cpu_time() - begun_cpu;
            anyhow::ensure!(!component || cache.get_by_tags(["tagged"]).await?.is_empty());
        }
        sums.push(summarise(ROUNDS, wall, cpu, &latencies));
    }
    if let [bare, component] = sums[..] {
        print(component.row(BENCH, "clear a tag over 1,000 keys", 1, Some((BASELINE, bare))));
    }
    Ok(())
}

async fn bare_clear(mut bare: MultiplexedConnection) -> anyhow::Result<()> {
    let keys: Vec<String> =
        redis::cmd("SMEMBERS").arg("bare:tag:tagged").query_async(&mut bare).await?;
    let keys = keys.iter().map(|key| format!("bare:{key}"));
    let mut unlink = redis::cmd("UNLINK");
    keys.for_each(|key| {
        unlink.arg(key);
    });
    Ok(unlink.arg("bare:tag:tagged").exec_async(&mut bare).await?)
}
