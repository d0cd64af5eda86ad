//! Whose a lock is.

use std::time::Duration;

use stheno::ErrorKind;

use crate::{Subject, TTL, assert_kind};

// L3
async fn the_same_owner_renews_and_nobody_does_not(subject: Subject) {
    let locking = &subject.locking;
    let mut first = locking.try_acquire(["a"]).owner("x").ttl(TTL).await.unwrap();
    subject.pass(20_000);
    let second = locking.try_acquire(["a"]).owner("x").ttl(TTL).await.unwrap();
    assert!(second.fence() > first.fence());
    subject.pass(20_000);
    // It was renewed, and the earlier lease is lost.
    assert_kind(locking.try_acquire(["a"]).owner("y").await, ErrorKind::Conflict);
    assert_kind(first.extend(TTL).await, ErrorKind::LostLease);
    assert_kind(first.release().await, ErrorKind::LostLease);
    assert_eq!(subject.owner("a").await.as_deref(), Some("x"));
    second.release().await.unwrap();

    let nobody = subject.lock(&["a"]).await;
    assert_kind(locking.try_acquire(["a"]).await, ErrorKind::Conflict);
    assert_kind(locking.try_acquire(["a"]).owner("x").await, ErrorKind::Conflict);
    nobody.release().await.unwrap();
}

async fn renewing_without_a_time_to_live_makes_it_last(subject: Subject) {
    let locking = &subject.locking;
    let _first = locking.try_acquire(["a"]).owner("x").ttl(TTL).await.unwrap();
    let _second = locking.try_acquire(["a"]).owner("x").await.unwrap();
    subject.pass(1_000_000);
    assert!(subject.is_held("a").await);
}

// L2
async fn only_the_owner_releases_by_key(subject: Subject) {
    let locking = &subject.locking;
    let owned = locking.try_acquire(["a", "b"]).owner("x").await.unwrap();
    let nobody = subject.lock(&["c"]).await;
    assert_eq!(locking.release_keys(["a", "c"], Some("y")).await.unwrap(), 0);
    // Without an owner only what is nobody's.
    assert_eq!(locking.release_keys(["a", "c"], None).await.unwrap(), 1);
    assert_kind(nobody.release().await, ErrorKind::LostLease);
    assert_eq!(locking.release_keys(["a", "c", "never"], Some("x")).await.unwrap(), 1);
    assert!(!subject.is_held("a").await && subject.is_held("b").await);
    // What is left of a lease is freed with it, although it is lost.
    assert_kind(owned.release().await, ErrorKind::LostLease);
    assert!(!subject.is_held("b").await);
}

async fn who_comes_after_the_expiry_releases_nothing(subject: Subject) {
    let locking = &subject.locking;
    let lease = locking.try_acquire(["a"]).owner("x").ttl(TTL).await.unwrap();
    subject.pass(30_000);
    assert_eq!(locking.release_keys(["a"], Some("x")).await.unwrap(), 0);
    assert_eq!(locking.release_all(Some("x")).await.unwrap(), 0);
    assert_kind(lease.release().await, ErrorKind::LostLease);
}

// L9
async fn releasing_all_frees_the_owners_and_nobody_elses(subject: Subject) {
    let locking = &subject.locking;
    let mut leases = Vec::new();
    for (keys, owner) in [(["a", "b"], Some("x")), (["c", "d"], Some("y")), (["e", "f"], None)] {
        let acquire = locking.try_acquire(keys);
        let acquire = match owner {
            Some(owner) => acquire.owner(owner),
            None => acquire,
        };
        leases.push(acquire.await.unwrap());
    }
    let left = async || {
        let page = locking.held(None, None, 100).await.unwrap();
        page.items.into_iter().map(|lock| lock.key).collect::<String>()
    };
    assert_eq!(locking.release_all(Some("never")).await.unwrap(), 0);
    assert_eq!(locking.release_all(None).await.unwrap(), 2);
    assert_eq!(left().await, "abcd");
    assert_eq!(locking.release_all(Some("x")).await.unwrap(), 2);
    assert_eq!(left().await, "cd");
    // It passes on like any other release.
    let next = subject.queue(&["d"]).await;
    assert_eq!(locking.release_all(Some("y")).await.unwrap(), 2);
    next.await.unwrap().unwrap().release().await.unwrap();
    assert_eq!(left().await, "");
}

async fn an_owner_that_holds_a_part_does_not_wait_for_the_rest(subject: Subject) {
    let locking = &subject.locking;
    let part = locking.try_acquire(["a"]).owner("x").ttl(TTL).await.unwrap();
    let other = subject.lock(&["b"]).await;
    let both = locking.acquire(["a", "b"]).owner("x").wait(Duration::from_secs(3_600));
    let error = both.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("\"b\""), "{error}");
    other.release().await.unwrap();
    // With the rest free it takes over what it had.
    let both = locking.acquire(["a", "b"]).owner("x").await.unwrap();
    assert_kind(part.release().await, ErrorKind::LostLease);
    both.release().await.unwrap();
}

async fn who_waits_does_not_wait_for_its_own_owner(subject: Subject) {
    let lease = subject.lock(&["a"]).await;
    let mut waits = Vec::new();
    for waiting in 0..2 {
        let locking = subject.locking.clone();
        waits.push(tokio::spawn(async move { locking.acquire(["a"]).owner("x").await }));
        while subject.waiting(&["a"]).await == waiting {
            tokio::task::yield_now().await;
        }
    }
    lease.release().await.unwrap();
    // Neither waits for the other to release it: who was served last has it.
    let mut leases = Vec::new();
    for waits in waits {
        leases.push(waits.await.unwrap().unwrap());
    }
    leases.sort_by_key(stheno::Lease::fence);
    let held = subject.locking.inspect(["a"]).await.unwrap().remove(0).unwrap();
    assert_eq!((held.fence, held.owner.as_deref()), (leases[1].fence(), Some("x")));
    assert_kind(leases.remove(0).release().await, ErrorKind::LostLease);
    leases.remove(0).release().await.unwrap();
}

for_every_provider! {
    the_same_owner_renews_and_nobody_does_not,
    renewing_without_a_time_to_live_makes_it_last,
    only_the_owner_releases_by_key,
    who_comes_after_the_expiry_releases_nothing,
    releasing_all_frees_the_owners_and_nobody_elses,
    an_owner_that_holds_a_part_does_not_wait_for_the_rest,
    who_waits_does_not_wait_for_its_own_owner,
}
