//! Waiting: in order, not for ever, and never for somebody who has gone.

use std::time::Duration;

use stheno::{ErrorKind, Locking};
use tokio::sync::mpsc;

use super::{Subject, TTL, TTL_MS, granted};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, holds};

pub(crate) const CASES: &[Case] = cases! {
    Locking:
    "locking.queue.first" => "Among those who wait for a key, who came first is served first.", first;
    "locking.queue.many-keys" =>
        "A key that somebody waits for counts as taken for whoever comes later, so nobody who wants many is passed.",
        many_keys;
    "locking.queue.opposite" =>
        "The order in which requests name their keys means nothing, so two of them cannot deadlock.", opposite;
    "locking.queue.expiry" => "Who waits is granted what expires, at the moment when it is free.", expiry;
    "locking.queue.ttl" => "The time to live of somebody who waited begins with the grant.", ttl;
    "locking.queue.timeout" =>
        "A wait that is limited ends with `timeout`, leaves the queue, and later callers are served.", timeout;
    "locking.queue.gone" => "Who goes away while waiting takes nothing along: the next is served.", gone;
};

async fn first(s: Subject) -> Outcome {
    let lease = s.lock(&["a"]).await?;
    let (tell, mut served) = mpsc::unbounded_channel();
    for n in 0..10 {
        let waits = s.queue(&["a"]).await?;
        let tell = tell.clone();
        tokio::spawn(async move {
            if let Ok(Ok(lease)) = waits.await {
                // Before the next one can be served.
                let _ = tell.send(n);
                // One that is dropped is released as well.
                let _ = lease.release().await;
            }
        });
    }
    drop(tell);
    lease.release().await?;
    let mut order = Vec::new();
    while let Some(n) = served.recv().await {
        order.push(n);
    }
    equal("the order in which they were served", order, (0..10).collect::<Vec<_>>())
}

async fn many_keys(s: Subject) -> Outcome {
    let a = s.lock(&["a"]).await?;
    let both = s.queue(&["a", "b"]).await?;
    fails("passing by", s.api.try_acquire([s.own("b")]).await, ErrorKind::Conflict)?;
    a.release().await?;
    let both = granted(both).await?;
    for key in ["a", "b"] {
        equal("the fence of each key", s.is_held(key).await?.fence, both.fence())?;
    }
    Ok(both.release().await?)
}

async fn opposite(s: Subject) -> Outcome {
    for _ in 0..10 {
        let orders = [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"], ["c", "a", "b"]];
        let all = orders.map(|keys| {
            let (api, keys) = (s.api.clone(), s.keys(&keys));
            tokio::spawn(async move {
                let lease = api.acquire(keys).await?;
                tokio::task::yield_now().await;
                lease.release().await
            })
        });
        for one in all {
            one.await??;
        }
    }
    Ok(())
}

async fn expiry(s: Subject) -> Outcome {
    let lease = s.lock_for(1_000, &["a"]).await?;
    let next = s.queue(&["a"]).await?;
    s.pass(999);
    equal("who waits before it expires", s.waiting(&["a"]).await?, 1)?;
    s.pass(1);
    let next = granted(next).await?;
    holds(next.fence() > lease.fence(), || "the fence did not grow".to_owned())?;
    fails("releasing the first lease", lease.release().await, ErrorKind::LostLease)?;
    Ok(next.release().await?)
}

async fn ttl(s: Subject) -> Outcome {
    let lease = s.lock(&["a"]).await?;
    let (api, key) = (s.api.clone(), s.own("a"));
    let waits = s.queue_as(&["a"], async move { api.acquire([key]).ttl(TTL).await }).await?;
    s.pass(1_000_000);
    lease.release().await?;
    let _lease = granted(waits).await?;
    s.pass(TTL_MS - 1);
    s.is_held("a").await?;
    s.pass(1);
    s.is_free("a").await
}

async fn timeout(s: Subject) -> Outcome {
    let lease = s.lock(&["a"]).await?;
    let (api, key) = (s.api.clone(), s.own("a"));
    let limited = async move { api.acquire([key]).wait(Duration::from_secs(5)).await };
    let limited = s.queue_as(&["a"], limited).await?;
    let later = s.queue(&["a"]).await?;
    s.pass(5_000);
    fails("who waits for 5 s", limited.await?, ErrorKind::Timeout)?;
    while s.waiting(&["a"]).await? == 2 {
        tokio::task::yield_now().await;
    }
    lease.release().await?;
    granted(later).await?.release().await?;
    s.is_free("a").await
}

async fn gone(s: Subject) -> Outcome {
    for _ in 0..10 {
        let lease = s.lock(&["a"]).await?;
        let gone = s.queue(&["a"]).await?;
        let next = s.queue(&["a"]).await?;
        // At the same moment, so that either may come first.
        let leaves = async {
            gone.abort();
            // What it says is that it was cancelled, or a lease that is let go.
            drop(gone.await);
        };
        let (released, ()) = tokio::join!(lease.release(), leaves);
        released?;
        granted(next).await?.release().await?;
        while s.inspect("a").await?.is_some() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
