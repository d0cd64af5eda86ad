//! Arguments out of bounds are refused by name and change nothing.

use std::time::Duration;

use stheno::Locking;

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, refuses};

pub(crate) const CASES: &[Case] = cases! {
    Locking:
    "locking.arguments.acquire" =>
        "Keys, an owner or a time to live out of bounds are `invalid-argument` that names them, and nothing is locked.",
        acquire;
    "locking.arguments.others" =>
        "Arguments out of bounds of the other functions are `invalid-argument` that names them, and change nothing.",
        others;
};

async fn acquire(s: Subject) -> Outcome {
    let a = s.own("a");
    for wrong in [String::new(), "k".repeat(1_025)] {
        refuses(s.api.try_acquire([a.clone(), wrong]).await, "key")?;
    }
    refuses(s.api.try_acquire([""; 0]).await, "keys")?;
    let many = (0..64).map(|n| s.own(&format!("k{n}"))).chain([a.clone()]);
    refuses(s.api.try_acquire(many).await, "keys")?;
    for owner in [String::new(), "o".repeat(256), "a\nb".to_owned()] {
        refuses(s.api.try_acquire([&a]).owner(owner).await, "owner")?;
    }
    refuses(s.api.try_acquire([&a]).ttl(Duration::ZERO).await, "ttl")?;
    s.is_free("a").await
}

async fn others(s: Subject) -> Outcome {
    let mut lease = s.lock_as("x", &["a"]).await?;
    let x = s.own("x");
    refuses(lease.extend(Duration::ZERO).await, "ttl")?;
    refuses(s.api.extend("", Duration::from_secs(1)).await, "token")?;
    refuses(s.api.release("").await, "token")?;
    refuses(s.api.release_keys([""; 0], Some(&x)).await, "keys")?;
    refuses(s.api.release_keys([s.own("a"), String::new()], Some(&x)).await, "key")?;
    for owner in ["", "a\nb"] {
        refuses(s.api.release_keys([s.own("a")], Some(owner)).await, "owner")?;
        refuses(s.api.release_all(Some(owner)).await, "owner")?;
        refuses(s.api.held(Some(owner), None, 1).await, "owner")?;
    }
    refuses(s.api.inspect([""]).await, "key")?;
    refuses(s.api.inspect(vec![s.own("a"); 1_001]).await, "keys")?;
    for max in [0, 1_001] {
        refuses(s.api.held(Some(&x), None, max).await, "max")?;
    }
    equal("the fence of the holder", s.is_held("a").await?.fence, lease.fence())?;
    Ok(lease.release().await?)
}
