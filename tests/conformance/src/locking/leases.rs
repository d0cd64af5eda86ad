//! All keys or none, for as long as the lease lives.

use std::time::Duration;

use stheno::{ErrorKind, ExecuteOptions, Locking};

use super::{Subject, TTL, TTL_MS};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, holds, names};

pub(crate) const CASES: &[Case] = cases! {
    Locking:
    "locking.lease.exclusive" =>
        "A key has one holder: until it is released it is refused with `conflict`, which names it.",
        exclusive;
    "locking.lease.all-or-none" =>
        "A request gets all of its keys or none of them.", all_or_none;
    "locking.lease.keys" =>
        "A key has 1 to 1,024 bytes with any characters; a request has up to 64, and one that is there twice counts once.",
        keys;
    "locking.lease.expiry" =>
        "A lease ends when its time to live has passed, at that millisecond, and its keys are free for others.",
        expiry;
    "locking.lease.for-ever" => "A lease without a time to live never expires.", for_ever;
    "locking.lease.extend" =>
        "An extended lease lives from the moment of the call, shorter or longer, or for ever.", extend;
    "locking.lease.lost" =>
        "Who has lost a lease is told so by `extend` and `release`, and takes nothing from the next holder.",
        lost;
    "locking.lease.fences" =>
        "Each grant has a fence that is larger than that of every grant before it, whatever its keys.",
        fences;
    "locking.lease.job" =>
        "A job's lease is renewed while it runs, and its keys are free when it has ended.", job;
};

async fn exclusive(s: Subject) -> Outcome {
    let lease = s.lock(&["a"]).await?;
    let second = s.api.try_acquire([s.own("a")]).await;
    names("a second holder", second, ErrorKind::Conflict, &s.own("a"))?;
    let zero = s.api.acquire([s.own("a")]).wait(Duration::ZERO).await;
    fails("waiting for no time", zero, ErrorKind::Conflict)?;
    s.lock(&["b"]).await?.release().await?;
    lease.release().await?;
    s.is_free("a").await?;
    Ok(s.lock(&["a"]).await?.release().await?)
}

async fn all_or_none(s: Subject) -> Outcome {
    let taken = s.lock(&["b"]).await?;
    for keys in [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]] {
        fails("all of three", s.api.try_acquire(s.keys(&keys)).await, ErrorKind::Conflict)?;
        s.is_free("a").await?;
        s.is_free("c").await?;
    }
    taken.release().await?;
    let all = s.lock(&["a", "b", "c"]).await?;
    for key in ["a", "b", "c"] {
        equal("the fence of each key", s.is_held(key).await?.fence, all.fence())?;
    }
    all.release().await?;
    for key in ["a", "b", "c"] {
        s.is_free(key).await?;
    }
    Ok(())
}

async fn keys(s: Subject) -> Outcome {
    let own = s.own("");
    let longest = "k".repeat(1_024 - own.len());
    let sibling = format!("{}j", "k".repeat(1_023 - own.len()));
    let odd = [
        " ",
        "a",
        "A",
        "a ",
        "a\0",
        "a\n",
        "*",
        "a/b",
        "a:b",
        "ä",
        "a\u{308}",
        "日本",
        "🦀",
        "{a}",
        "%61",
        longest.as_str(),
        sibling.as_str(),
    ];
    for (at, key) in odd.iter().enumerate() {
        let lease = s.lock(&[key]).await?;
        if let Some(next) = odd.get(at + 1) {
            s.is_free(next).await?;
        }
        equal("the key that is held", s.is_held(key).await?.key, s.own(key))?;
        lease.release().await?;
    }
    let twice = s.lock(&["a", "b", "a"]).await?;
    twice.release().await?;
    s.is_free("a").await?;
    let many: Vec<String> = (0..64).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    Ok(s.lock(&many).await?.release().await?)
}

async fn expiry(s: Subject) -> Outcome {
    for millis in [1, 1_000, 86_400_000] {
        let lease = s.lock_for(millis, &["a", "b"]).await?;
        equal("the time that is left", s.is_held("a").await?.expires_in, lease.ttl())?;
        s.pass(millis - 1);
        fails("in time", s.api.try_acquire([s.own("a")]).await, ErrorKind::Conflict)?;
        s.pass(1);
        s.is_free("b").await?;
        s.lock(&["a"]).await?.release().await?;
        fails("releasing it too late", lease.release().await, ErrorKind::LostLease)?;
    }
    Ok(())
}

async fn for_ever(s: Subject) -> Outcome {
    let lease = s.lock(&["a"]).await?;
    s.pass(1_000_000_000_000);
    equal("the time that is left", s.is_held("a").await?.expires_in, None)?;
    fails("a second holder", s.api.try_acquire([s.own("a")]).await, ErrorKind::Conflict)?;
    Ok(lease.release().await?)
}

async fn extend(s: Subject) -> Outcome {
    let mut lease = s.lock_for(1_000, &["a"]).await?;
    for _ in 0..3 {
        s.pass(999);
        lease.extend(Duration::from_secs(1)).await?;
    }
    lease.extend(Duration::from_millis(1)).await?;
    lease.extend(None).await?;
    s.pass(1_000_000_000);
    s.is_held("a").await?;
    lease.extend(Duration::from_millis(2)).await?;
    s.pass(1);
    s.is_held("a").await?;
    s.pass(1);
    s.is_free("a").await?;
    fails("extending it too late", lease.extend(TTL).await, ErrorKind::LostLease)?;
    s.is_free("a").await
}

async fn lost(s: Subject) -> Outcome {
    let mut lease = s.lock_for(TTL_MS, &["a"]).await?;
    s.pass(TTL_MS);
    let next = s.lock(&["a"]).await?;
    holds(next.token() != lease.token(), || "both leases have one token".to_owned())?;
    fails("extending a lost lease", lease.extend(TTL).await, ErrorKind::LostLease)?;
    fails("releasing a lost lease", lease.release().await, ErrorKind::LostLease)?;
    equal("the fence of the holder", s.is_held("a").await?.fence, next.fence())?;
    let token = next.keep();
    holds(s.api.release(&token).await?, || "the lease of the holder was not whole".to_owned())?;
    holds(!s.api.release(&token).await?, || "a lease was released twice".to_owned())?;
    let unknown = s.api.extend("no such token", TTL).await;
    fails("extending what nobody has", unknown, ErrorKind::LostLease)?;
    s.is_free("a").await
}

async fn fences(s: Subject) -> Outcome {
    let mut largest = 0;
    for round in 0..50 {
        let lease = s.lock(&[&format!("k{}", round % 7)]).await?;
        holds(lease.fence() > largest, || {
            format!("grant {round} has the fence {}, after {largest}", lease.fence())
        })?;
        largest = lease.fence();
        if round % 2 == 0 {
            s.pass(round);
        }
        lease.release().await?;
    }
    Ok(())
}

async fn job(s: Subject) -> Outcome {
    let options = ExecuteOptions { timeout: Duration::from_secs(5), ttl: TTL };
    let held = s.api.execute([s.own("a")], options.clone(), async |held| {
        let before = s.is_held("a").await?;
        equal("the fence that the job has", held.fence(), before.fence)?;
        for _ in 0..5 {
            // A third of the time: it is renewed then.
            s.pass(TTL_MS / 3);
            while s.is_held("a").await?.expires_in != Some(TTL) {
                tokio::task::yield_now().await;
            }
        }
        Outcome::Ok(())
    });
    held.await??;
    s.is_free("a").await?;
    let failed = s.api.execute([s.own("a")], options, async |_| Err::<(), _>("no")).await?;
    equal("what the job gave", failed, Err("no"))?;
    s.is_free("a").await
}
