//! Several keys at once: all or none.

use stheno::ErrorKind;
use tokio::task::JoinSet;

use crate::{Subject, assert_kind};

// L6
async fn a_refused_request_leaves_none_of_its_keys_locked(subject: Subject) {
    let held = subject.lock(&["m"]).await;
    for keys in [["a", "m", "z"], ["m", "a", "z"], ["a", "z", "m"]] {
        assert_kind(subject.locking.try_acquire(keys).await, ErrorKind::Conflict);
        assert!(!subject.is_held("a").await && !subject.is_held("z").await);
    }
    held.release().await.unwrap();
    let all = subject.lock(&["z", "m", "a"]).await;
    for key in ["a", "m", "z"] {
        let lock = subject.locking.inspect([key]).await.unwrap().remove(0).unwrap();
        assert_eq!(lock.fence, all.fence());
    }
}

// L6
async fn who_waits_for_several_holds_none_of_them_meanwhile(subject: Subject) {
    let (a, b) = (subject.lock(&["a"]).await, subject.lock(&["b"]).await);
    let both = subject.queue(&["a", "b", "c"]).await;
    a.release().await.unwrap();
    let locks = subject.locking.inspect(["a", "b", "c"]).await.unwrap();
    assert_eq!(locks.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
    b.release().await.unwrap();
    let both = both.await.unwrap().unwrap();
    for key in ["a", "b", "c"] {
        assert!(subject.is_held(key).await, "{key}");
    }
    both.release().await.unwrap();
}

async fn a_key_that_is_named_twice_counts_once(subject: Subject) {
    let lease = subject.lock(&["a", "b", "a"]).await;
    assert_eq!(subject.locking.held(None, None, 10).await.unwrap().items.len(), 2);
    lease.release().await.unwrap();
    assert!(subject.locking.held(None, None, 10).await.unwrap().items.is_empty());
}

// L7
async fn opposite_orders_of_keys_do_not_deadlock(subject: Subject) {
    let mut tasks = JoinSet::new();
    for caller in 0..16 {
        let locking = subject.locking.clone();
        tasks.spawn(async move {
            for round in 0..50 {
                let mut keys = ["a", "b", "c"];
                keys.rotate_left((caller + round) % 3);
                if caller % 2 == 0 {
                    keys.reverse();
                }
                let lease = locking.acquire(keys).await.unwrap();
                tokio::task::yield_now().await;
                lease.release().await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert!(subject.locking.held(None, None, 10).await.unwrap().items.is_empty());
}

for_every_provider! {
    a_refused_request_leaves_none_of_its_keys_locked,
    who_waits_for_several_holds_none_of_them_meanwhile,
    a_key_that_is_named_twice_counts_once,
    opposite_orders_of_keys_do_not_deadlock,
}
