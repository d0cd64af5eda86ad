//! What a restart leaves.

use stheno::{ErrorKind, Locking};

use super::{Subject, TTL_MS};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, holds};

pub(crate) const CASES: &[Case] = cases! {
    Locking:
    "locking.restart.fences" => "Fences grow also over a restart.", fences;
    "locking.restart.kept" =>
        "A lease outlives a restart: its keys stay taken until it is released or has expired." [with "durable"],
        kept;
    "locking.restart.forgets" =>
        "Without the feature `durable` all keys are free after a restart, and earlier leases are lost." [without "durable"],
        forgets;
};

async fn fences(s: Subject) -> Outcome {
    let mut largest = 0;
    for _ in 0..5 {
        largest = s.lock(&["a"]).await?.fence();
        s.api.release_all(None).await?;
    }
    let s = s.restart().await?;
    let fence = s.lock(&["b"]).await?.fence();
    holds(fence > largest, || {
        format!("after the restart the fence is {fence}, before it {largest}")
    })
}

async fn kept(s: Subject) -> Outcome {
    let kept = s.lock(&["a"]).await?;
    let fence = kept.fence();
    let token = kept.keep();
    let _expires = s.lock_for(TTL_MS, &["b"]).await?.keep();
    let s = s.restart().await?;
    fails("a second holder", s.api.try_acquire([s.own("a")]).await, ErrorKind::Conflict)?;
    equal("the fence of the holder", s.is_held("a").await?.fence, fence)?;
    holds(s.api.release(&token).await?, || "the lease was not whole".to_owned())?;
    s.is_free("a").await?;
    s.is_held("b").await?;
    s.pass(TTL_MS);
    s.is_free("b").await
}

async fn forgets(s: Subject) -> Outcome {
    let token = s.lock(&["a"]).await?.keep();
    let s = s.restart().await?;
    s.is_free("a").await?;
    holds(!s.api.release(&token).await?, || "a lease of before the restart was whole".to_owned())?;
    Ok(s.lock(&["a"]).await?.release().await?)
}
