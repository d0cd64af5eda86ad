//! `locking-local` behind the embed API, beside a table of locks behind a lock.
//!
//! An operation is a pair: acquire with a time to live, then release.

use std::time::Duration;

use stheno::Runtime;

use crate::measure::{Row, closed_loop};
use crate::native::NativeLocks;

const BENCH: &str = "locking-local";
const BASELINE: &str = "lock table behind a lock";
/// Keys that each caller goes through.
const KEYS: u64 = 256;
const TTL: Duration = Duration::from_secs(30);
const CONTENDERS: usize = 32;

fn key(caller: usize, count: u64) -> String {
    format!("stock:{caller}:{}", count % KEYS)
}

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let runtime = Runtime::builder().build().await?;
    for callers in [1, 64] {
        pairs(&runtime, span, "pairs, distinct keys", callers, key, print).await?;
    }
    let one = |_, _| "stock".to_owned();
    pairs(&runtime, span, "hand-over of one key", CONTENDERS, one, print).await?;
    three_keys(&runtime, span, print).await?;
    runtime.shutdown().await?;
    Ok(())
}

async fn pairs(
    runtime: &Runtime,
    span: Duration,
    case: &str,
    callers: usize,
    key: fn(usize, u64) -> String,
    print: &mut impl FnMut(Row),
) -> anyhow::Result<()> {
    let native = NativeLocks::default();
    let baseline = closed_loop(callers, span, move |caller, count| {
        let native = native.clone();
        async move {
            let key = key(caller, count);
            let fence = native.acquire(key.clone(), TTL).await?;
            anyhow::ensure!(native.release(&key, fence, TTL).await);
            Ok(())
        }
    })
    .await?;
    let locking = runtime.locking().clone();
    let measured = closed_loop(callers, span, move |caller, count| {
        let locking = locking.clone();
        async move {
            let lease = locking.acquire([key(caller, count)]).ttl(TTL).await?;
            Ok(lease.release().await?)
        }
    })
    .await?;
    print(measured.row(BENCH, case, callers, Some((BASELINE, baseline))));
    Ok(())
}

/// Three keys in one lease, beside three locks taken one after the other.
async fn three_keys(
    runtime: &Runtime,
    span: Duration,
    print: &mut impl FnMut(Row),
) -> anyhow::Result<()> {
    fn three(caller: usize, count: u64) -> [String; 3] {
        ["a", "b", "c"].map(|part| format!("{}:{part}", key(caller, count)))
    }
    let native = NativeLocks::default();
    let baseline = closed_loop(64, span, move |caller, count| {
        let native = native.clone();
        async move {
            for key in three(caller, count) {
                let fence = native.acquire(key.clone(), TTL).await?;
                anyhow::ensure!(native.release(&key, fence, TTL).await);
            }
            Ok(())
        }
    })
    .await?;
    let locking = runtime.locking().clone();
    let measured = closed_loop(64, span, move |caller, count| {
        let locking = locking.clone();
        async move {
            let lease = locking.acquire(three(caller, count)).ttl(TTL).await?;
            Ok(lease.release().await?)
        }
    })
    .await?;
    print(measured.row(BENCH, "pairs, three keys at once", 64, Some((BASELINE, baseline))));
    Ok(())
}
