//! Who has what.

use std::time::Duration;

use stheno::Locking;

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, holds};

pub(crate) const CASES: &[Case] = cases! {
    Locking:
    "locking.list.inspect" =>
        "`inspect` says who has each key, in the order that was asked for, and none for one that nobody has.",
        inspect;
    "locking.list.held" =>
        "The keys that an owner holds are listed ordered by their bytes, each once whatever the size of the pages.",
        held;
};

async fn inspect(s: Subject) -> Outcome {
    let ttl = Duration::from_secs(10);
    let owned = s.api.try_acquire([s.own("b")]).owner(s.own("x")).ttl(ttl).await?;
    let nobodys = s.lock(&["a"]).await?;
    let _waits = s.queue(&["b"]).await?;
    s.pass(4_000);
    let locks = s.api.inspect(s.keys(&["b", "free", "a", "b"])).await?;
    let found: Vec<_> = locks
        .into_iter()
        .map(|lock| {
            lock.map(|lock| (lock.key, lock.owner, lock.fence, lock.expires_in, lock.waiting))
        })
        .collect();
    let left = Some(Duration::from_secs(6));
    let b = Some((s.own("b"), Some(s.own("x")), owned.fence(), left, 1));
    let a = Some((s.own("a"), None, nobodys.fence(), None, 0));
    equal("b, a free key, a and b again", found, [b.clone(), None, a, b])
}

async fn held(s: Subject) -> Outcome {
    let sorted = ["A", "a", "a/", "b", "ä", "日"];
    let mut leases = Vec::new();
    for key in ["日", "b", "a/", "ä", "A", "a"] {
        leases.push(s.lock_as("x", &[key]).await?);
    }
    let _other = s.lock_as("y", &["c"]).await?;
    let owner = s.own("x");
    for size in 1..=7 {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = s.api.held(Some(&owner), after.as_deref(), size).await?;
            holds(page.items.len() <= size as usize, || {
                format!("a page of {size} has {}", page.items.len())
            })?;
            keys.extend(page.items.into_iter().map(|lock| lock.key));
            after = page.next;
            if after.is_none() || keys.len() > sorted.len() {
                break;
            }
        }
        equal(&format!("pages of {size}"), keys, s.keys(&sorted))?;
    }
    let all = s.api.held(None, None, 1_000).await?;
    holds(all.next.is_some() || all.items.iter().any(|lock| lock.key == s.own("c")), || {
        "the list of all does not have what another owner holds".to_owned()
    })
}
