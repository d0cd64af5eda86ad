//! Wrong arguments are named, and change nothing.

use std::time::Duration;

use stheno::{Error, ErrorKind, ExecuteOptions, MAX_LOCK_KEY_BYTES, MAX_LOCK_KEYS};

use crate::Subject;

/// The error is about this argument.
#[track_caller]
fn assert_names<T: std::fmt::Debug>(result: Result<T, Error>, argument: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().starts_with(argument), "{error}");
}

async fn what_is_out_of_bounds_is_refused_by_name(subject: Subject) {
    let locking = &subject.locking;
    let options = ExecuteOptions::default;
    let long = "k".repeat(MAX_LOCK_KEY_BYTES + 1);
    for wrong in ["", &long] {
        assert_names(locking.acquire(["ok", wrong]).await, "key");
        assert_names(locking.try_acquire([wrong]).await, "key");
        assert_names(locking.release_keys([wrong], None).await, "key");
        assert_names(locking.inspect(["ok", wrong]).await, "key");
        let job = locking.execute([wrong], options(), |_| async { panic!("it was called") });
        assert_names::<()>(job.await, "key");
    }
    let many = || (0..=MAX_LOCK_KEYS).map(|n| n.to_string());
    assert_names(locking.acquire(many()).await, "keys");
    assert_names(locking.release_keys(many(), None).await, "keys");
    assert_names(locking.acquire([""; 0]).await, "keys");
    assert_names(locking.release_keys([""; 0], None).await, "keys");
    assert_names(locking.inspect((0..1_001).map(|n| n.to_string())).await, "keys");
    for wrong in [String::new(), "line\nbreak".into(), "é".repeat(128)] {
        assert_names(locking.acquire(["ok"]).owner(wrong.clone()).await, "owner");
        assert_names(locking.release_keys(["ok"], Some(&wrong)).await, "owner");
        assert_names(locking.release_all(Some(&wrong)).await, "owner");
        assert_names(locking.held(Some(&wrong), None, 1).await, "owner");
    }
    for max in [0, 1_001] {
        assert_names(locking.held(None, None, max).await, "max");
    }
    assert_names(locking.held(None, Some(""), 1).await, "after");
    assert_names(locking.acquire(["ok"]).ttl(Duration::ZERO).await, "ttl");
    assert_names(locking.extend("t", Duration::ZERO).await, "ttl");
    let none = ExecuteOptions { ttl: Duration::ZERO, ..options() };
    let job = locking.execute(["ok"], none, |_| async { panic!("it was called") });
    assert_names::<()>(job.await, "ttl");
    for wrong in [String::new(), "t".repeat(5_000)] {
        assert_names(locking.extend(&wrong, None).await, "token");
        assert_names(locking.release(&wrong).await, "token");
    }
    assert!(locking.held(None, None, 1_000).await.unwrap().items.is_empty());
}

async fn the_longest_and_oddest_arguments_are_taken(subject: Subject) {
    let longest = "é".repeat(MAX_LOCK_KEY_BYTES / 2);
    let mut keys: Vec<String> = ["/", "..", "a b", "\n", "\0", "*", "🦀", &longest]
        .into_iter()
        .map(str::to_owned)
        .collect();
    keys.extend((keys.len()..MAX_LOCK_KEYS).map(|n| format!("{n}{}", "k".repeat(1_000))));
    let owner = "é".repeat(127) + "a";
    let lease = subject
        .locking
        .acquire(keys.clone())
        .owner(owner.clone())
        .ttl(Duration::MAX)
        .wait(Duration::MAX)
        .await
        .unwrap();
    let locks = subject.locking.inspect(keys.clone()).await.unwrap();
    for (lock, key) in locks.into_iter().zip(&keys) {
        let lock = lock.unwrap();
        assert_eq!((&lock.key, lock.owner.as_ref()), (key, Some(&owner)));
    }
    lease.release().await.unwrap();
    assert!(subject.locking.held(None, None, 1_000).await.unwrap().items.is_empty());
}

async fn names_that_no_lease_has_are_lost_and_free_nothing(subject: Subject) {
    let held = subject.lock(&["a"]).await;
    let upper = held.token().to_uppercase() + " ";
    for token in ["x", "0.0", "..", "-1.1", "0", "ffffffffffffffff.1", "🦀", &upper] {
        assert!(!subject.locking.release(token).await.unwrap(), "{token}");
        let error = subject.locking.extend(token, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LostLease, "{token}");
    }
    assert!(subject.is_held("a").await);
    held.release().await.unwrap();
}

for_every_provider! {
    what_is_out_of_bounds_is_refused_by_name,
    the_longest_and_oddest_arguments_are_taken,
    names_that_no_lease_has_are_lost_and_free_nothing,
}
