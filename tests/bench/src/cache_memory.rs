//! `cache-memory` behind the embed API, beside a map behind a lock.

use std::time::{Duration, Instant};

use stheno::{Cache, Runtime};

use crate::measure::{Row, closed_loop, cpu_time, histogram, summarise};
use crate::native::NativeCache;

const BENCH: &str = "cache-memory";
const BASELINE: &str = "map behind a lock";
/// Keys that each caller goes through.
const KEYS: u64 = 256;
const TTL: Duration = Duration::from_secs(600);

fn value() -> Vec<u8> {
    vec![7; 1_024]
}

fn key(caller: usize, count: u64) -> String {
    format!("product:{caller}:{}", count % KEYS)
}

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let runtime = Runtime::builder().build().await?;
    let cache = runtime.cache().clone();
    let native = NativeCache::default();
    for callers in [1, 64] {
        for caller in 0..callers {
            for count in 0..KEYS {
                let key = key(caller, count);
                cache.set_bytes(&key, value()).ttl(TTL).await?;
                native.set(&key, value(), TTL, &[]).await;
            }
        }
        let baseline = closed_loop(callers, span, {
            let native = native.clone();
            move |caller, count| {
                let native = native.clone();
                async move {
                    anyhow::ensure!(native.get(&key(caller, count)).await.is_some());
                    Ok(())
                }
            }
        })
        .await?;
        let measured = closed_loop(callers, span, {
            let cache = cache.clone();
            move |caller, count| {
                let cache = cache.clone();
                async move {
                    anyhow::ensure!(cache.get_bytes(&key(caller, count)).await?.is_some());
                    Ok(())
                }
            }
        })
        .await?;
        print(measured.row(BENCH, "get 1 KiB", callers, Some((BASELINE, baseline))));

        let baseline = closed_loop(callers, span, {
            let native = native.clone();
            move |caller, count| {
                let native = native.clone();
                async move {
                    let tags = ["product", "catalogue"];
                    native.set(&key(caller, count), value(), TTL, &tags).await;
                    Ok(())
                }
            }
        })
        .await?;
        let measured = closed_loop(callers, span, {
            let cache = cache.clone();
            move |caller, count| {
                let cache = cache.clone();
                async move {
                    let tags = ["product", "catalogue"];
                    cache.set_bytes(&key(caller, count), value()).ttl(TTL).tags(tags).await?;
                    Ok(())
                }
            }
        })
        .await?;
        print(measured.row(BENCH, "set 1 KiB, 2 tags", callers, Some((BASELINE, baseline))));
    }
    clear_tag(&cache, &native, print).await?;
    runtime.shutdown().await?;
    Ok(())
}

/// Clears a tag that a thousand keys carry; setting them is not timed.
async fn clear_tag(
    cache: &Cache,
    native: &NativeCache,
    print: &mut impl FnMut(Row),
) -> anyhow::Result<()> {
    const ROUNDS: u64 = 50;
    let mut sums = Vec::new();
    for component in [false, true] {
        let (mut latencies, mut wall, mut cpu) = (histogram(), Duration::ZERO, Duration::ZERO);
        for _ in 0..ROUNDS {
            for at in 0..1_000 {
                let key = format!("tagged:{at}");
                if component {
                    cache.set_bytes(&key, value()).ttl(TTL).tags(["tagged"]).await?;
                } else {
                    native.set(&key, value(), TTL, &["tagged"]).await;
                }
            }
            let (begun, begun_cpu) = (Instant::now(), cpu_time());
            if component {
                cache.clear_tags(["tagged"]).await?;
            } else {
                native.clear_tag("tagged").await;
            }
            let took = begun.elapsed();
            latencies.saturating_record(took.as_nanos() as u64);
            wall += took;
            cpu += cpu_time() - begun_cpu;
        }
        sums.push(summarise(ROUNDS, wall, cpu, &latencies));
    }
    if let [native, component] = sums[..] {
        print(component.row(BENCH, "clear a tag over 1,000 keys", 1, Some((BASELINE, native))));
    }
    Ok(())
}
