//! Jobs under a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stheno::{ErrorKind, ExecuteOptions};
use tokio::sync::oneshot;

use crate::{Subject, TTL, assert_kind};

fn options() -> ExecuteOptions {
    ExecuteOptions { timeout: Duration::from_secs(5), ttl: TTL }
}

/// Tells when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

async fn a_job_runs_while_its_keys_are_locked(subject: Subject) {
    let during = subject.clone();
    let fence = subject
        .locking
        .execute(["b", "a"], options(), |held| async move {
            let locks = during.locking.inspect(["a", "b"]).await.unwrap();
            assert!(locks.iter().flatten().all(|lock| lock.fence == held.fence()));
            // Nobody else's release frees it.
            assert_eq!(during.locking.release_keys(["a", "b"], None).await.unwrap(), 0);
            assert_eq!(during.locking.release_all(None).await.unwrap(), 0);
            assert!(!held.is_ended());
            held.fence()
        })
        .await
        .unwrap();
    assert!(fence > 0);
    assert!(!subject.is_held("a").await && !subject.is_held("b").await);
}

// L5
async fn a_job_that_fails_or_panics_frees_its_keys(subject: Subject) {
    let failed = subject.locking.execute(["a"], options(), |_| async { Err::<(), _>("failed") });
    assert_eq!(failed.await.unwrap(), Err("failed"));
    assert!(!subject.is_held("a").await);

    let locking = subject.locking.clone();
    let panics = tokio::spawn(async move {
        locking.execute(["a"], options(), |_| async { panic!("this job panics") }).await
    });
    assert!(panics.await.unwrap_err().is_panic());
    subject.until_free("a").await;
}

// L5
async fn who_waits_too_long_is_told_and_later_ones_run(subject: Subject) {
    let (go, wait_go) = oneshot::channel::<()>();
    let locking = subject.locking.clone();
    let long_ttl = ExecuteOptions { ttl: Duration::from_secs(3_600), ..options() };
    let first = tokio::spawn(async move {
        locking
            .execute(["a"], long_ttl, |_| async {
                wait_go.await.unwrap();
                "first"
            })
            .await
    });
    while !subject.is_held("a").await {
        tokio::task::yield_now().await;
    }
    let locking = subject.locking.clone();
    let second = tokio::spawn(async move {
        locking.execute(["a"], options(), |_| async { panic!("it was called") }).await
    });
    while subject.waiting(&["a"]).await == 0 {
        tokio::task::yield_now().await;
    }
    subject.pass(5_000);
    let second: Result<(), _> = second.await.unwrap();
    assert_kind(second, ErrorKind::Timeout);
    let locking = subject.locking.clone();
    let third =
        tokio::spawn(async move { locking.execute(["a"], options(), |_| async { "third" }).await });
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), "first");
    assert_eq!(third.await.unwrap().unwrap(), "third");
}

// L8
async fn the_lease_of_a_long_job_is_renewed(subject: Subject) {
    let during = subject.clone();
    let ended = subject.locking.execute(["a"], options(), |held| async move {
        for _ in 0..20 {
            let left = async || {
                let lock = during.locking.inspect(["a"]).await.unwrap().remove(0);
                lock.and_then(|lock| lock.expires_in)
            };
            assert_eq!(left().await, Some(TTL));
            // A third of it: the keeper renews.
            during.pass(10_000);
            while left().await != Some(TTL) {
                tokio::task::yield_now().await;
            }
        }
        held.is_ended()
    });
    assert!(!ended.await.unwrap());
    assert!(!subject.is_held("a").await);
}

// L8
async fn a_job_whose_lease_is_lost_is_dropped_where_it_stands(subject: Subject) {
    let dropped = Arc::new(AtomicBool::new(false));
    let (told, job_told) = oneshot::channel();
    let (got, other) = oneshot::channel();
    let (during, guard) = (subject.clone(), Dropped(Arc::clone(&dropped)));
    let job = subject.locking.execute(["a"], options(), |mut held| async move {
        let _guard = guard;
        // What it has started beside itself hears of it too.
        tokio::spawn(async move {
            held.ended().await;
            told.send(held.is_ended()).unwrap();
        });
        // Somebody else has it now: the whole time passed in one moment. The job may be
        // dropped before that one hears of it.
        during.pass(30_000);
        tokio::spawn(async move {
            let lease = during.locking.acquire(["a"]).owner("other").await.unwrap();
            got.send(lease.keep()).unwrap();
        });
        std::future::pending::<()>().await;
    });
    assert_kind(job.await, ErrorKind::LostLease);
    assert!(dropped.load(Ordering::SeqCst));
    assert!(job_told.await.unwrap());
    other.await.unwrap();
    assert_eq!(subject.owner("a").await.as_deref(), Some("other"));
}

// L8
async fn a_job_that_ends_after_its_lease_is_told_so(subject: Subject) {
    let during = subject.clone();
    let job = subject.locking.execute(["a"], options(), |_| async move {
        // It keeps its thread, so nothing can stop it in time.
        during.pass(30_000);
    });
    assert_kind(job.await, ErrorKind::LostLease);
    assert!(!subject.is_held("a").await);
}

async fn a_job_whose_caller_goes_away_frees_its_keys(subject: Subject) {
    let dropped = Arc::new(AtomicBool::new(false));
    let (locking, guard) = (subject.locking.clone(), Dropped(Arc::clone(&dropped)));
    let job = tokio::spawn(async move {
        let forever = |_| async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        };
        locking.execute(["a"], options(), forever).await
    });
    while !subject.is_held("a").await {
        tokio::task::yield_now().await;
    }
    job.abort();
    assert!(job.await.unwrap_err().is_cancelled());
    assert!(dropped.load(Ordering::SeqCst));
    subject.until_free("a").await;
}

async fn a_timeout_of_nothing_does_not_wait(subject: Subject) {
    let lease = subject.lock(&["a"]).await;
    let at_once = ExecuteOptions { timeout: Duration::ZERO, ..options() };
    let job = subject.locking.execute(["a"], at_once.clone(), |_| async {});
    assert_kind(job.await, ErrorKind::Conflict);
    lease.release().await.unwrap();
    subject.locking.execute(["a"], at_once, |_| async {}).await.unwrap();
}

for_every_provider! {
    a_job_runs_while_its_keys_are_locked,
    a_job_that_fails_or_panics_frees_its_keys,
    who_waits_too_long_is_told_and_later_ones_run,
    the_lease_of_a_long_job_is_renewed,
    a_job_whose_lease_is_lost_is_dropped_where_it_stands,
    a_job_that_ends_after_its_lease_is_told_so,
    a_job_whose_caller_goes_away_frees_its_keys,
    a_timeout_of_nothing_does_not_wait,
}
