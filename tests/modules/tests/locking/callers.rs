//! Many callers at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use stheno::{ErrorKind, ExecuteOptions};
use tokio::task::JoinSet;

use crate::{Stock, Subject, TTL};

const CALLERS: usize = 64;

async fn all_end_well(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

// L1
async fn ten_who_buy_at_the_same_time_never_oversell(subject: Subject) {
    let (stock, sold) = (Stock::of(5), Arc::new(AtomicU64::new(0)));
    let mut buyers = JoinSet::new();
    for _ in 0..10 {
        let (locking, stock, sold) = (subject.locking.clone(), stock.clone(), Arc::clone(&sold));
        buyers.spawn(async move {
            let buy = |_| async { stock.buy().await };
            if locking.execute(["stock"], ExecuteOptions::default(), buy).await.unwrap() {
                sold.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    all_end_well(buyers).await;
    assert_eq!((stock.get(), sold.load(Ordering::SeqCst)), (0, 5));
}

async fn of_those_who_do_not_wait_one_gets_it(subject: Subject) {
    for round in 0..20 {
        let key = format!("k{round}");
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (locking, key) = (subject.locking.clone(), key.clone());
            callers.spawn(async move { locking.try_acquire([key]).await });
        }
        let mut leases = Vec::new();
        while let Some(ended) = callers.join_next().await {
            match ended.unwrap() {
                Ok(lease) => leases.push(lease),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
            }
        }
        assert_eq!(leases.len(), 1);
    }
}

async fn each_key_has_one_holder_and_each_holder_a_larger_fence(subject: Subject) {
    const KEYS: usize = 5;
    let inside: Arc<[AtomicBool; KEYS]> = Arc::default();
    let largest: Arc<[AtomicU64; KEYS]> = Arc::default();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let locking = subject.locking.clone();
        let (inside, largest) = (Arc::clone(&inside), Arc::clone(&largest));
        callers.spawn(async move {
            for round in 0..20 {
                let first = (caller + round) % KEYS;
                let second = (caller * 3 + round * 2) % KEYS;
                let keys = [format!("k{first}"), format!("k{second}")];
                let lease = locking.acquire(keys).ttl(TTL).await.unwrap();
                for key in [first, second] {
                    let alone = !inside[key].swap(true, Ordering::SeqCst);
                    assert!(alone || (key == second && first == second));
                    let before = largest[key].swap(lease.fence(), Ordering::SeqCst);
                    assert!(before < lease.fence() || first == second);
                }
                tokio::task::yield_now().await;
                inside[first].store(false, Ordering::SeqCst);
                inside[second].store(false, Ordering::SeqCst);
                lease.release().await.unwrap();
            }
        });
    }
    all_end_well(callers).await;
    assert!(subject.locking.held(None, None, 10).await.unwrap().items.is_empty());
}

async fn callers_that_go_away_leave_nothing_behind(subject: Subject) {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let locking = subject.locking.clone();
        callers.spawn(async move {
            for round in 0..50 {
                // Some are dropped before, some while, some after they are granted.
                let mut acquire = Box::pin(locking.acquire(["a", "b"]).into_future());
                for _ in 0..(caller + round) % 7 {
                    if futures_util::poll!(&mut acquire).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    all_end_well(callers).await;
    // What they left is being given back, which may be more than may wait.
    let lease = loop {
        match subject.locking.acquire(["a", "b"]).await {
            Err(error) if error.is_retryable() => tokio::task::yield_now().await,
            // Were anything left, this would wait for ever.
            lease => break lease.unwrap(),
        }
    };
    lease.release().await.unwrap();
    subject.until_free("a").await;
}

for_every_provider! {
    ten_who_buy_at_the_same_time_never_oversell,
    of_those_who_do_not_wait_one_gets_it,
    each_key_has_one_holder_and_each_holder_a_larger_fence,
    callers_that_go_away_leave_nothing_behind,
}
