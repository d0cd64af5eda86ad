//! A clean stop loses nothing that was accepted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use stheno::{ErrorKind, Event};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::{LEASE, Subject, event};

async fn what_was_accepted_during_the_stop_is_handled(subject: Subject) {
    let handled = Arc::new(Mutex::new(BTreeSet::new()));
    for waits in [false, true] {
        let handled = Arc::clone(&handled);
        subject
            .events
            .subscribe("*", format!("waits: {waits}"), move |event: Event| {
                let handled = Arc::clone(&handled);
                async move {
                    if waits {
                        tokio::task::yield_now().await;
                    }
                    handled.lock().unwrap().insert((event.id, waits));
                    Ok(())
                }
            })
            .await
            .unwrap();
    }
    let published = Arc::new(AtomicUsize::new(0));
    let mut publishers = JoinSet::new();
    for publisher in 0..64 {
        let (events, published) = (subject.events.clone(), Arc::clone(&published));
        publishers.spawn(async move {
            let mut accepted = Vec::new();
            for n in 0_u64.. {
                match events.publish(&format!("from.{publisher}"), &n).await {
                    Ok(id) => accepted.push(id),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                        break;
                    }
                }
                published.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            accepted
        });
    }
    while published.load(Ordering::Relaxed) < 1_000 {
        tokio::task::yield_now().await;
    }
    subject.runtime.shutdown().await.unwrap();
    let accepted: Vec<_> = publishers.join_all().await.into_iter().flatten().collect();
    let handled = handled.lock().unwrap();
    let lost: Vec<_> = accepted
        .iter()
        .flat_map(|id| [false, true].map(|waits| (id.clone(), waits)))
        .filter(|delivery| !handled.contains(delivery))
        .collect();
    assert!(lost.is_empty(), "{} of {} were lost", lost.len(), accepted.len() * 2);
}

async fn what_waits_when_the_stop_begins_is_handled(subject: Subject) {
    let handled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&handled);
    subject.publish_all((0..1_000).map(|n| event(format!("e{n}")))).await;
    subject
        .events
        .subscribe("*", "s", move |_| {
            let counter = Arc::clone(&counter);
            async move {
                tokio::task::yield_now().await;
                counter.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        })
        .concurrency(2)
        .await
        .unwrap();
    subject.runtime.shutdown().await.unwrap();
    assert_eq!(handled.load(Ordering::SeqCst), 1_000);
}

/// A handler publishes what follows from its event: that was accepted too.
async fn what_handlers_publish_during_the_stop_is_handled(subject: Subject) {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let done = Arc::new(AtomicBool::new(false));
    for (step, next) in [("a", Some("b")), ("b", Some("c")), ("c", None)] {
        let (events, begun, go, done) =
            (subject.events.clone(), Arc::clone(&begun), Arc::clone(&go), Arc::clone(&done));
        subject
            .events
            .subscribe(step, step, move |_| {
                let (events, begun, go, done) =
                    (events.clone(), Arc::clone(&begun), Arc::clone(&go), Arc::clone(&done));
                async move {
                    if step == "a" {
                        begun.notify_one();
                        go.notified().await;
                    }
                    match next {
                        Some(next) => drop(events.publish(next, &1).await?),
                        None => done.store(true, Ordering::SeqCst),
                    }
                    Ok(())
                }
            })
            .await
            .unwrap();
    }
    subject.publish("a").await;
    begun.notified().await;
    let runtime = subject.runtime.clone();
    let stopping = tokio::spawn(async move { runtime.shutdown().await });
    // The stop has begun when others are refused.
    while subject.events.publish("unheard", &1).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    stopping.await.unwrap().unwrap();
    assert!(done.load(Ordering::SeqCst));
}

async fn handlers_that_have_begun_end_before_the_stop_does(subject: Subject) {
    let ended = Arc::new(AtomicUsize::new(0));
    let begun = Arc::new(Semaphore::new(0));
    let go = Arc::new(Semaphore::new(0));
    let (count, at_work, gate) = (Arc::clone(&ended), Arc::clone(&begun), Arc::clone(&go));
    subject
        .events
        .subscribe("*", "s", move |_| {
            let (count, at_work, gate) =
                (Arc::clone(&count), Arc::clone(&at_work), Arc::clone(&gate));
            async move {
                at_work.add_permits(1);
                gate.acquire().await?.forget();
                count.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        })
        .await
        .unwrap();
    subject.publish_all((0..10).map(|n| event(format!("e{n}")))).await;
    begun.acquire_many(10).await.unwrap().forget();
    let runtime = subject.runtime.clone();
    let stopping = tokio::spawn(async move { runtime.shutdown().await });
    for n in 0..10 {
        assert!(!stopping.is_finished());
        assert_eq!(ended.load(Ordering::SeqCst), n);
        go.add_permits(1);
        while ended.load(Ordering::SeqCst) == n {
            tokio::task::yield_now().await;
        }
    }
    stopping.await.unwrap().unwrap();
}

async fn after_the_stop_nothing_is_taken_and_it_may_be_asked_twice(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.runtime.shutdown().await.unwrap();
    let events = &subject.events;
    for refused in [
        events.publish("e", &1).await.err(),
        events.group("g").stage(vec![event("e")]).await.err(),
        events.group("g").release().await.err(),
        events.subscriptions().await.err(),
        events.pull_now("s", 1, LEASE).await.err(),
        events.subscribe("*", "new", async |_| Ok(())).await.err(),
    ] {
        assert_eq!(refused.unwrap().kind(), ErrorKind::Unavailable);
    }
    subject.runtime.shutdown().await.unwrap();
}

async fn whoever_waits_for_events_is_let_go(subject: Subject) {
    subject.subscribe("s", "*").await;
    let events = subject.events.clone();
    let waits = tokio::spawn(async move {
        events.pull("s", 1, std::time::Duration::from_secs(3_600), LEASE).await
    });
    tokio::task::yield_now().await;
    subject.runtime.shutdown().await.unwrap();
    match waits.await.unwrap() {
        Ok(deliveries) => assert!(deliveries.is_empty()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
    }
}

// A durable provider keeps what waits for the next process instead.
for_every_provider! {
    forgetful:
    what_was_accepted_during_the_stop_is_handled,
    what_waits_when_the_stop_begins_is_handled,
    what_handlers_publish_during_the_stop_is_handled,
}
for_every_provider! {
    handlers_that_have_begun_end_before_the_stop_does,
    after_the_stop_nothing_is_taken_and_it_may_be_asked_twice,
    whoever_waits_for_events_is_let_go,
}
