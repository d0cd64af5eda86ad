//! How long a lease holds, and what its fence and its name are good for.

use std::time::Duration;

use stheno::ErrorKind;

use crate::{Subject, TTL, assert_kind};

// L2
async fn what_is_locked_is_refused_until_it_is_released(subject: Subject) {
    let lease = subject.lock(&["a"]).await;
    let error = subject.locking.try_acquire(["a"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("\"a\""), "{error}");
    subject.lock(&["b"]).await.release().await.unwrap();
    lease.release().await.unwrap();
    subject.lock(&["a"]).await.release().await.unwrap();
}

// L4
async fn a_lease_that_expires_frees_its_keys_for_others(subject: Subject) {
    let lease = subject.lock_for(&["a", "b"], 1_000).await;
    subject.pass(999);
    assert_kind(subject.locking.try_acquire(["a"]).await, ErrorKind::Conflict);
    subject.pass(1);
    let next = subject.locking.try_acquire(["a"]).owner("other").await.unwrap();
    assert!(!subject.is_held("b").await);
    // The first one comes too late, and takes nothing from the second.
    assert_kind(lease.release().await, ErrorKind::LostLease);
    assert_eq!(subject.owner("a").await.as_deref(), Some("other"));
    next.release().await.unwrap();
}

async fn without_a_time_to_live_a_lease_never_expires(subject: Subject) {
    let lease = subject.lock(&["a"]).await;
    subject.pass(1_000_000_000_000);
    assert_kind(subject.locking.try_acquire(["a"]).await, ErrorKind::Conflict);
    lease.release().await.unwrap();
}

async fn an_extended_lease_holds_from_now(subject: Subject) {
    let mut lease = subject.lock_for(&["a"], 1_000).await;
    for _ in 0..5 {
        subject.pass(999);
        lease.extend(Duration::from_secs(1)).await.unwrap();
    }
    // Shorter is as good as longer, and for ever too.
    lease.extend(Duration::from_millis(1)).await.unwrap();
    lease.extend(None).await.unwrap();
    assert_eq!(lease.ttl(), None);
    subject.pass(1_000_000_000);
    lease.extend(Duration::from_millis(1)).await.unwrap();
    subject.pass(1);
    assert_kind(lease.extend(TTL).await, ErrorKind::LostLease);
    assert!(!subject.is_held("a").await);
}

// L11
async fn fences_only_grow_whatever_the_keys(subject: Subject) {
    let mut largest = 0;
    let mut leases = Vec::new();
    for round in 0..100 {
        let key = format!("k{}", round % 7);
        let lease = subject.locking.acquire([key]).owner("same").await.unwrap();
        assert!(lease.fence() > largest);
        largest = lease.fence();
        leases.push(lease);
        subject.pass(round);
    }
}

async fn a_lease_that_is_dropped_is_released(subject: Subject) {
    let lease = subject.lock(&["a"]).await;
    let next = subject.queue(&["a"]).await;
    drop(lease);
    next.await.unwrap().unwrap().release().await.unwrap();
    assert!(!subject.is_held("a").await);
}

async fn a_lease_that_is_kept_outlives_its_guard(subject: Subject) {
    let lease = subject.locking.acquire(["a"]).ttl(TTL).await.unwrap();
    let fence = lease.fence();
    let token = lease.keep();
    let lock = subject.locking.inspect(["a"]).await.unwrap().remove(0).unwrap();
    assert_eq!((lock.fence, lock.expires_in), (fence, Some(TTL)));
    subject.locking.extend(&token, Duration::from_secs(60)).await.unwrap();
    assert!(subject.locking.release(&token).await.unwrap());
    assert!(!subject.locking.release(&token).await.unwrap());
    assert!(!subject.is_held("a").await);
}

async fn what_is_held_is_listed_in_pages(subject: Subject) {
    let mut leases = Vec::new();
    for n in (0..25).rev() {
        let owner = if n % 2 == 0 { "even" } else { "odd" };
        let key = format!("k{n:02}");
        leases.push(subject.locking.acquire([key]).owner(owner).ttl(TTL).await.unwrap());
    }
    leases.push(subject.lock(&["nobody's"]).await);
    subject.pass(10_000);
    let locking = &subject.locking;
    let (mut after, mut keys) = (None, Vec::new());
    loop {
        let page = locking.held(None, after.as_deref(), 10).await.unwrap();
        assert!(page.items.len() <= 10);
        keys.extend(page.items.into_iter().map(|lock| lock.key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut all: Vec<String> = (0..25).map(|n| format!("k{n:02}")).collect();
    all.push("nobody's".into());
    assert_eq!(keys, all);
    let odd = locking.held(Some("odd"), Some("k03"), 3).await.unwrap();
    let shown: Vec<_> = odd.items.iter().map(|l| (l.key.as_str(), l.expires_in)).collect();
    let left = Some(Duration::from_secs(20));
    assert_eq!(shown, [("k05", left), ("k07", left), ("k09", left)]);
    assert_eq!(odd.next.as_deref(), Some("k09"));
    subject.pass(20_000);
    let page = locking.held(None, None, 1_000).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].expires_in, None);
}

for_every_provider! {
    what_is_locked_is_refused_until_it_is_released,
    a_lease_that_expires_frees_its_keys_for_others,
    without_a_time_to_live_a_lease_never_expires,
    an_extended_lease_holds_from_now,
    fences_only_grow_whatever_the_keys,
    a_lease_that_is_dropped_is_released,
    a_lease_that_is_kept_outlives_its_guard,
    what_is_held_is_listed_in_pages,
}
