//! Many callers at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::task::JoinSet;

use crate::Subject;

const CALLERS: u64 = 64;

async fn all_end_well(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

async fn a_set_during_a_pending_get_is_not_lost(subject: Subject) {
    const SETS: u64 = 100;
    let subject = Arc::new(subject);
    // What is certainly stored: raised after each `set` that returned.
    let stored = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    subject.cache.set("n", &0_u64).await.unwrap();
    let mut readers = JoinSet::new();
    for _ in 0..CALLERS {
        let (subject, stored, done) =
            (Arc::clone(&subject), Arc::clone(&stored), Arc::clone(&done));
        readers.spawn(async move {
            while !done.load(Ordering::SeqCst) {
                let floor = stored.load(Ordering::SeqCst);
                let found = subject.cache.get::<u64>("n").await.unwrap();
                assert!(found >= Some(floor), "{found:?} was read after {floor} was set");
                tokio::task::yield_now().await;
            }
        });
    }
    for n in 1..=SETS {
        subject.cache.set("n", &n).await.unwrap();
        stored.store(n, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::SeqCst);
    all_end_well(readers).await;
    assert_eq!(subject.cache.get::<u64>("n").await.unwrap(), Some(SETS));
}

async fn each_caller_reads_what_it_set(subject: Subject) {
    let subject = Arc::new(subject);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let subject = Arc::clone(&subject);
        callers.spawn(async move {
            let (key, tag) = (format!("k{caller}"), format!("t{caller}"));
            for round in 0..10_u64 {
                let value = caller * 1_000 + round;
                subject.cache.set(&key, &value).tags([&tag]).await.unwrap();
                assert_eq!(subject.cache.get(&key).await.unwrap(), Some(value));
                assert_eq!(subject.tagged(&[&tag]).await, std::slice::from_ref(&key));
                subject.cache.clear_tags([&tag]).await.unwrap();
                assert_eq!(subject.cache.get::<u64>(&key).await.unwrap(), None);
            }
        });
    }
    all_end_well(callers).await;
}

async fn large_and_small_values_do_not_mix(subject: Subject) {
    let subject = Arc::new(subject);
    let mut callers = JoinSet::new();
    for caller in 0..16_u8 {
        let subject = Arc::clone(&subject);
        callers.spawn(async move {
            let size = if caller % 4 == 0 { 1 << 20 } else { usize::from(caller) };
            let key = format!("k{caller}");
            let value = vec![caller; size];
            for _ in 0..3 {
                subject.cache.set_bytes(&key, value.clone()).await.unwrap();
                let back = subject.cache.get_bytes(&key).await.unwrap();
                assert!(back.as_ref() == Some(&value), "{key}");
            }
        });
    }
    all_end_well(callers).await;
}

async fn a_caller_that_is_refused_costs_no_other_anything(subject: Subject) {
    let subject = Arc::new(subject);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let subject = Arc::clone(&subject);
        callers.spawn(async move {
            for round in 0..10 {
                if caller % 4 == 0 {
                    assert!(subject.cache.set_bytes("", "v").await.is_err());
                } else {
                    let key = format!("k{caller}-{round}");
                    subject.cache.set_bytes(&key, key.as_bytes()).await.unwrap();
                    assert_eq!(subject.read(&key).await, Some(key));
                }
            }
        });
    }
    all_end_well(callers).await;
}

/// A caller may go away at any moment, also while others share its call.
async fn callers_that_go_away_take_nobody_with_them(subject: Subject) {
    let subject = Arc::new(subject);
    let asked = Arc::new(AtomicU64::new(0));
    let mut leaving = JoinSet::new();
    let mut staying = JoinSet::new();
    for caller in 0..CALLERS {
        let (own, asked) = (Arc::clone(&subject), Arc::clone(&asked));
        leaving.spawn(async move {
            loop {
                own.cache.set_bytes("shared", "v").await.unwrap();
                assert_eq!(own.read("shared").await.as_deref(), Some("v"));
                asked.fetch_add(1, Ordering::SeqCst);
            }
        });
        let own = Arc::clone(&subject);
        staying.spawn(async move {
            for round in 0..20 {
                let key = format!("k{caller}-{round}");
                own.cache.set_bytes(&key, key.as_bytes()).await.unwrap();
                assert_eq!(own.read(&key).await, Some(key));
            }
        });
    }
    while asked.load(Ordering::SeqCst) < CALLERS {
        tokio::task::yield_now().await;
    }
    leaving.abort_all();
    while let Some(left) = leaving.join_next().await {
        assert!(left.unwrap_err().is_cancelled());
    }
    all_end_well(staying).await;
    assert_eq!(subject.read("shared").await.as_deref(), Some("v"));
}

/// In the body of the loop nobody polls the reads that have begun.
async fn callers_may_write_while_their_own_reads_are_under_way(subject: Subject) {
    let subject = Arc::new(subject);
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let subject = Arc::clone(&subject);
        callers.spawn(async move {
            let keys = (0..50).map(|n| format!("k{caller}-{n}"));
            let reads = keys.map(|key| {
                let subject = &subject;
                async move { (subject.read(&key).await, key) }
            });
            let mut reads = stream::iter(reads).buffer_unordered(8);
            while let Some((found, key)) = reads.next().await {
                assert_eq!(found, None);
                subject.cache.set_bytes(&key, "v").await.unwrap();
                assert_eq!(subject.read(&key).await.as_deref(), Some("v"));
            }
        });
    }
    let end = all_end_well(callers);
    tokio::time::timeout(Duration::from_secs(60), end).await.expect("they wait for each other");
}

for_every_provider! {
    callers_may_write_while_their_own_reads_are_under_way,
    a_set_during_a_pending_get_is_not_lost,
    each_caller_reads_what_it_set,
    large_and_small_values_do_not_mix,
    a_caller_that_is_refused_costs_no_other_anything,
    callers_that_go_away_take_nobody_with_them,
}
