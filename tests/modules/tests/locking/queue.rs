//! Waiting: in order, not for ever, and never for somebody who has gone.

use std::time::Duration;

use stheno::ErrorKind;
use tokio::sync::mpsc;

use crate::{Subject, TTL, assert_kind};

// L12
async fn who_came_first_is_served_first(subject: Subject) {
    let lease = subject.lock(&["a"]).await;
    let (order, mut served) = mpsc::unbounded_channel();
    for n in 0..20 {
        let waits = subject.queue(&["a"]).await;
        let order = order.clone();
        tokio::spawn(async move {
            let lease = waits.await.unwrap().unwrap();
            order.send((n, lease.fence())).unwrap();
            lease.release().await.unwrap();
        });
    }
    lease.release().await.unwrap();
    let mut largest = 0;
    for n in 0..20 {
        let (who, fence) = served.recv().await.unwrap();
        assert_eq!(who, n);
        assert!(fence > largest);
        largest = fence;
    }
}

// L12
async fn who_waits_for_many_keys_is_not_passed_by_those_who_want_one(subject: Subject) {
    let a = subject.lock(&["a"]).await;
    let both = subject.queue(&["a", "b"]).await;
    // `b` is free, and yet taken: somebody waits for it.
    assert_kind(subject.locking.try_acquire(["b"]).await, ErrorKind::Conflict);
    let locking = subject.locking.clone();
    let late = tokio::spawn(async move { locking.acquire(["b"]).await });
    a.release().await.unwrap();
    let both = both.await.unwrap().unwrap();
    let locks = subject.locking.inspect(["a", "b"]).await.unwrap();
    assert!(locks.iter().flatten().all(|lock| lock.fence == both.fence()));
    both.release().await.unwrap();
    let late = late.await.unwrap().unwrap();
    late.release().await.unwrap();
}

// L4
async fn who_waits_gets_what_expires(subject: Subject) {
    let lost = subject.lock_for(&["a"], 1_000).await;
    let first = subject.queue(&["a"]).await;
    let second = subject.queue(&["a"]).await;
    subject.pass(999);
    assert_eq!(subject.waiting(&["a"]).await, 2);
    subject.pass(1);
    let first = first.await.unwrap().unwrap();
    assert!(first.fence() > lost.fence());
    assert!(!second.is_finished());
    assert_kind(lost.release().await, ErrorKind::LostLease);
    first.release().await.unwrap();
    second.await.unwrap().unwrap().release().await.unwrap();
}

async fn a_lease_that_is_extended_or_cut_short_is_waited_for_no_more_and_no_less(subject: Subject) {
    let mut lease = subject.lock_for(&["a"], 1_000).await;
    let next = subject.queue(&["a"]).await;
    subject.pass(500);
    lease.extend(TTL).await.unwrap();
    subject.pass(1_000);
    lease.extend(TTL).await.unwrap();
    assert_eq!(subject.waiting(&["a"]).await, 1);
    lease.extend(Duration::from_millis(10)).await.unwrap();
    subject.pass(10);
    next.await.unwrap().unwrap().release().await.unwrap();
}

async fn the_time_to_live_begins_with_the_grant(subject: Subject) {
    let lease = subject.lock(&["a"]).await;
    let locking = subject.locking.clone();
    let waits = tokio::spawn(async move { locking.acquire(["a"]).ttl(TTL).await });
    while subject.waiting(&["a"]).await == 0 {
        tokio::task::yield_now().await;
    }
    subject.pass(1_000_000);
    lease.release().await.unwrap();
    let _lease = waits.await.unwrap().unwrap();
    subject.pass(29_999);
    assert!(subject.is_held("a").await);
    subject.pass(1);
    assert!(!subject.is_held("a").await);
}

// L5
async fn a_wait_that_is_limited_ends_and_leaves_the_queue(subject: Subject) {
    let lease = subject.lock(&["a"]).await;
    let locking = subject.locking.clone();
    let waits =
        tokio::spawn(async move { locking.acquire(["a"]).wait(Duration::from_secs(5)).await });
    while subject.waiting(&["a"]).await == 0 {
        tokio::task::yield_now().await;
    }
    let later = subject.queue(&["a"]).await;
    subject.pass(5_000);
    assert_kind(waits.await.unwrap(), ErrorKind::Timeout);
    while subject.waiting(&["a"]).await == 2 {
        tokio::task::yield_now().await;
    }
    lease.release().await.unwrap();
    later.await.unwrap().unwrap().release().await.unwrap();
    assert!(!subject.is_held("a").await);
}

async fn a_wait_of_nothing_does_not_wait(subject: Subject) {
    let _lease = subject.lock(&["a"]).await;
    let wait = subject.locking.acquire(["a"]).wait(Duration::ZERO);
    assert_kind(wait.await, ErrorKind::Conflict);
    assert_eq!(subject.waiting(&["a"]).await, 0);
}

async fn who_goes_away_while_he_waits_takes_nothing_with_him(subject: Subject) {
    for _ in 0..50 {
        let lease = subject.lock(&["a"]).await;
        let gone = subject.queue(&["a"]).await;
        let next = subject.queue(&["a"]).await;
        // At the same moment, so that either may come first.
        let leaves = async {
            gone.abort();
            drop(gone.await);
        };
        let (released, ()) = tokio::join!(lease.release(), leaves);
        released.unwrap();
        next.await.unwrap().unwrap().release().await.unwrap();
        subject.until_free("a").await;
    }
    assert!(subject.locking.held(None, None, 10).await.unwrap().items.is_empty());
}

async fn a_lease_that_was_granted_to_somebody_who_has_gone_passes_on(subject: Subject) {
    use futures_util::poll;

    let lease = subject.lock(&["a"]).await;
    let mut granted = Box::pin(subject.locking.acquire(["a"]).into_future());
    while subject.waiting(&["a"]).await == 0 {
        assert!(poll!(&mut granted).is_pending());
        tokio::task::yield_now().await;
    }
    let next = subject.queue(&["a"]).await;
    // It is granted and nobody looks.
    lease.release().await.unwrap();
    assert!(subject.is_held("a").await);
    drop(granted);
    next.await.unwrap().unwrap().release().await.unwrap();
    assert!(!subject.is_held("a").await);
}

async fn who_waits_when_the_runtime_stops_is_told(subject: Subject) {
    let lease = subject.lock(&["a"]).await;
    let waits = subject.queue(&["a"]).await;
    subject.runtime.shutdown().await.unwrap();
    assert_kind(waits.await.unwrap(), ErrorKind::Unavailable);
    assert_kind(lease.release().await, ErrorKind::Unavailable);
    assert_kind(subject.locking.acquire(["b"]).await, ErrorKind::Unavailable);
}

for_every_provider! {
    who_came_first_is_served_first,
    who_waits_for_many_keys_is_not_passed_by_those_who_want_one,
    who_waits_gets_what_expires,
    a_lease_that_is_extended_or_cut_short_is_waited_for_no_more_and_no_less,
    the_time_to_live_begins_with_the_grant,
    a_wait_that_is_limited_ends_and_leaves_the_queue,
    a_wait_of_nothing_does_not_wait,
    who_goes_away_while_he_waits_takes_nothing_with_him,
    a_lease_that_was_granted_to_somebody_who_has_gone_passes_on,
    who_waits_when_the_runtime_stops_is_told,
}
