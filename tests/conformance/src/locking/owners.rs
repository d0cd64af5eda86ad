//! Whose a lock is.

use std::time::Duration;

use stheno::{ErrorKind, Locking};

use super::{Subject, TTL_MS};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, holds, names};

pub(crate) const CASES: &[Case] = cases! {
    Locking:
    "locking.owner.renews" =>
        "Who acquires keys that the same owner holds renews them with a larger fence, and the earlier lease is lost.",
        renews;
    "locking.owner.nobody" =>
        "Without an owner there is nobody to be the same as: such a key is refused also without an owner.",
        nobody;
    "locking.owner.part" =>
        "An owner that holds one of the keys does not wait for the others: that is `conflict`, which names one that is taken.",
        part;
    "locking.owner.release-keys" =>
        "`release-keys` frees those of the keys that this owner holds; without an owner only those that nobody owns.",
        release_keys;
    "locking.owner.release-all" =>
        "`release-all` frees all keys of this owner and nobody else's; without an owner only those that nobody owns.",
        release_all;
    "locking.owner.expired" => "What has expired is released by nobody any more.", expired;
};

async fn renews(s: Subject) -> Outcome {
    let (owner, key) = (s.own("x"), s.own("a"));
    let ttl = Duration::from_millis(TTL_MS);
    let first = s.api.try_acquire([&key]).owner(&owner).ttl(ttl).await?;
    s.pass(20_000);
    let second = s.api.try_acquire([&key]).owner(&owner).ttl(ttl).await?;
    holds(second.fence() > first.fence(), || "the fence did not grow".to_owned())?;
    s.pass(20_000);
    equal("the fence after it was renewed", s.is_held("a").await?.fence, second.fence())?;
    fails("releasing the earlier lease", first.release().await, ErrorKind::LostLease)?;
    equal("the owner", s.is_held("a").await?.owner, Some(owner))?;
    Ok(second.release().await?)
}

async fn nobody(s: Subject) -> Outcome {
    let lease = s.lock(&["a"]).await?;
    fails("nobody again", s.api.try_acquire([s.own("a")]).await, ErrorKind::Conflict)?;
    let owned = s.api.try_acquire([s.own("a")]).owner(s.own("x")).await;
    fails("an owner", owned, ErrorKind::Conflict)?;
    equal("the owner", s.is_held("a").await?.owner, None)?;
    Ok(lease.release().await?)
}

async fn part(s: Subject) -> Outcome {
    let held = s.lock_as("x", &["a"]).await?;
    let other = s.lock(&["b"]).await?;
    let both = s.api.acquire(s.keys(&["a", "b"])).owner(s.own("x"));
    let both = both.wait(Duration::from_secs(3_600)).await;
    names("both", both, ErrorKind::Conflict, &s.own("b"))?;
    equal("the fence of what it holds", s.is_held("a").await?.fence, held.fence())?;
    other.release().await?;
    let both = s.lock_as("x", &["a", "b"]).await?;
    fails("releasing the part", held.release().await, ErrorKind::LostLease)?;
    Ok(both.release().await?)
}

async fn release_keys(s: Subject) -> Outcome {
    let owned = s.lock_as("x", &["a", "b"]).await?;
    let nobodys = s.lock(&["c"]).await?;
    let (x, y) = (s.own("x"), s.own("y"));
    let all = || s.keys(&["a", "c", "never"]);
    equal("what a stranger frees", s.api.release_keys(all(), Some(&y)).await?, 0)?;
    s.is_held("a").await?;
    equal("what nobody frees", s.api.release_keys(all(), None).await?, 1)?;
    s.is_free("c").await?;
    fails("releasing what was freed", nobodys.release().await, ErrorKind::LostLease)?;
    equal("what the owner frees", s.api.release_keys(all(), Some(&x)).await?, 1)?;
    s.is_free("a").await?;
    s.is_held("b").await?;
    // What is left of a lease goes with it, although it is lost.
    fails(
        "releasing a lease of which a part is gone",
        owned.release().await,
        ErrorKind::LostLease,
    )?;
    s.is_free("b").await
}

async fn release_all(s: Subject) -> Outcome {
    let _x = s.lock_as("x", &["a", "b"]).await?;
    let _y = s.lock_as("y", &["c"]).await?;
    let _nobody = s.lock(&["d", "e"]).await?;
    let (x, y, never) = (s.own("x"), s.own("y"), s.own("never"));
    equal("what a stranger frees", s.api.release_all(Some(&never)).await?, 0)?;
    equal("what x frees", s.api.release_all(Some(&x)).await?, 2)?;
    s.is_free("a").await?;
    s.is_held("c").await?;
    s.is_held("d").await?;
    let freed = s.api.release_all(None).await?;
    // Others may have left some that nobody owns.
    holds(freed >= 2, || format!("nobody freed {freed} keys, expected at least 2"))?;
    s.is_free("d").await?;
    s.is_held("c").await?;
    let next = s.queue(&["c"]).await?;
    equal("what y frees", s.api.release_all(Some(&y)).await?, 1)?;
    Ok(super::granted(next).await?.release().await?)
}

async fn expired(s: Subject) -> Outcome {
    let (owner, key) = (s.own("x"), s.own("a"));
    let ttl = Duration::from_millis(TTL_MS);
    let _lease = s.api.try_acquire([&key]).owner(&owner).ttl(ttl).await?;
    s.pass(TTL_MS);
    equal("freed by key", s.api.release_keys([&key], Some(&owner)).await?, 0)?;
    equal("freed by owner", s.api.release_all(Some(&owner)).await?, 0)
}
