//! Many callers at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use stheno::Locking;

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, callers, equal, holds};

pub(crate) const CASES: &[Case] = cases! {
    Locking:
    "locking.callers.never-oversell" =>
        "Of 64 callers who each take one of 10 under a lock, 10 get one.", never_oversell;
    "locking.callers.fences" =>
        "Under one key fences grow in the order in which 64 callers hold it.", fences;
    "locking.callers.many-keys" =>
        "64 callers who want several of the same keys, in any order, are all served.", many_keys;
};

async fn never_oversell(s: Subject) -> Outcome {
    let stock = Arc::new(AtomicI64::new(10));
    let sold = Arc::new(AtomicI64::new(0));
    callers(|_| {
        let (api, key) = (s.api.clone(), s.own("stock"));
        let (stock, sold) = (Arc::clone(&stock), Arc::clone(&sold));
        async move {
            let lease = api.acquire([key]).await?;
            // Read and written apart, so that it shows if two are within.
            let left = stock.load(Ordering::SeqCst);
            tokio::task::yield_now().await;
            if left > 0 {
                stock.store(left - 1, Ordering::SeqCst);
                sold.fetch_add(1, Ordering::SeqCst);
            }
            Ok(lease.release().await?)
        }
    })
    .await?;
    equal("how many were sold", sold.load(Ordering::SeqCst), 10)?;
    equal("how many are left", stock.load(Ordering::SeqCst), 0)
}

async fn fences(s: Subject) -> Outcome {
    let largest = Arc::new(AtomicU64::new(0));
    callers(|_| {
        let (api, key, largest) = (s.api.clone(), s.own("a"), Arc::clone(&largest));
        async move {
            let lease = api.acquire([key]).await?;
            let before = largest.swap(lease.fence(), Ordering::SeqCst);
            let fence = lease.fence();
            holds(fence > before, || format!("the fence {fence} came after {before}"))?;
            Ok(lease.release().await?)
        }
    })
    .await
}

async fn many_keys(s: Subject) -> Outcome {
    let names = Arc::new(s.keys(&["a", "b", "c", "d"]));
    let within: Arc<[AtomicI64; 4]> = Arc::default();
    callers(|n| {
        let (api, names, within) = (s.api.clone(), Arc::clone(&names), Arc::clone(&within));
        async move {
            // Two or three of the four, beginning anywhere.
            let wanted: Vec<usize> = (0..2 + n % 2).map(|step| (n + step) % names.len()).collect();
            let keys = wanted.iter().filter_map(|at| names.get(*at).cloned());
            let lease = api.acquire(keys).await?;
            for at in wanted.iter().filter_map(|at| within.get(*at)) {
                let others = at.fetch_add(1, Ordering::SeqCst);
                equal("who else holds a key", others, 0)?;
            }
            tokio::task::yield_now().await;
            for at in wanted.iter().filter_map(|at| within.get(*at)) {
                at.fetch_sub(1, Ordering::SeqCst);
            }
            Ok(lease.release().await?)
        }
    })
    .await?;
    for key in ["a", "b", "c", "d"] {
        s.is_free(key).await?;
    }
    Ok(())
}
