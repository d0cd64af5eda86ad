//! Closures that receive events.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stheno::{ErrorKind, Event, Failure};
use tokio::sync::{Semaphore, mpsc};

use crate::Subject;

/// What closures got, in the order in which they got it.
struct Seen(mpsc::UnboundedReceiver<Event>);

impl Seen {
    fn new() -> (mpsc::UnboundedSender<Event>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self(receiver))
    }

    async fn next(&mut self) -> Event {
        self.0.recv().await.unwrap()
    }

    /// Nothing more has come.
    fn assert_no_more(&mut self) {
        let more = self.0.try_recv();
        assert!(more.is_err(), "{more:?}");
    }
}

async fn a_closure_gets_what_matches(subject: Subject) {
    let (sender, mut seen) = Seen::new();
    let subscriber = subject
        .events
        .subscribe("order.*", "orders", move |event| {
            let sent = sender.send(event);
            async move { Ok(sent?) }
        })
        .await
        .unwrap();
    assert_eq!(subscriber.id(), "orders");
    subject.publish("cart.made").await;
    subject.publish("order.placed").await;
    let event = seen.next().await;
    assert_eq!((event.name.as_str(), event.attempt), ("order.placed", 1));
    subject.until_counts("orders", (0, 0, 0)).await;
    subscriber.unsubscribe().await.unwrap();
    assert!(subject.events.subscriptions().await.unwrap().is_empty());
    seen.assert_no_more();
}

async fn a_closure_gets_what_was_published_before_it_was_there(subject: Subject) {
    subject.publish("early").await;
    let (sender, mut seen) = Seen::new();
    let handler = move |event| {
        let sent = sender.send(event);
        async move { Ok(sent?) }
    };
    let first = subject.events.subscribe("*", "durable", handler.clone()).await.unwrap();
    assert_eq!(seen.next().await.name, "early");
    subject.until_counts("durable", (0, 0, 0)).await;
    // And what comes while it is away.
    first.stop().await;
    subject.publish("meanwhile").await;
    assert_eq!(subject.counts("durable").await, (1, 0, 0));
    subject.events.subscribe("*", "durable", handler).await.unwrap();
    assert_eq!(seen.next().await.name, "meanwhile");
}

/// Subscribes a closure that fails an event until its attempt `well`, in a way,
/// after its first poll or in it.
async fn failing(
    subject: &Subject,
    id: &str,
    waits: bool,
    fail: fn() -> Result<(), Failure>,
    well: u32,
) -> Seen {
    let (sender, seen) = Seen::new();
    subject
        .events
        .subscribe("*", id, move |event: Event| {
            let attempt = event.attempt;
            let sent = sender.send(event);
            async move {
                if waits {
                    tokio::task::yield_now().await;
                }
                sent?;
                if attempt < well { fail() } else { Ok(()) }
            }
        })
        .await
        .unwrap();
    seen
}

fn error() -> Result<(), Failure> {
    Err(Failure::retry("busy"))
}

#[allow(clippy::panic, reason = "that is what it is for")]
fn panicking() -> Result<(), Failure> {
    panic!("oh no")
}

async fn only_the_closure_that_failed_is_called_again(subject: Subject) {
    for (round, waits) in [false, true].into_iter().enumerate() {
        let (well, ill) = (format!("well{round}"), format!("ill{round}"));
        let mut well_seen = failing(&subject, &well, waits, error, 0).await;
        let mut ill_seen = failing(&subject, &ill, waits, error, 3).await;
        let second = Duration::from_secs(1);
        subject.events.publish("e", &1).backoff(second, second).await.unwrap();
        for attempt in 1..=3 {
            assert_eq!(ill_seen.next().await.attempt, attempt);
            if attempt < 3 {
                subject.until_counts(&ill, (1, 0, 0)).await;
                subject.pass(1_000);
            }
        }
        subject.until_counts(&ill, (0, 0, 0)).await;
        assert_eq!(well_seen.next().await.attempt, 1);
        well_seen.assert_no_more();
    }
}

async fn a_panic_is_a_failure_like_any_other(subject: Subject) {
    for (round, waits) in [false, true].into_iter().enumerate() {
        let id = format!("s{round}");
        let mut seen = failing(&subject, &id, waits, panicking, 2).await;
        subject.publish("e").await;
        assert_eq!(seen.next().await.attempt, 1);
        subject.until_counts(&id, (1, 0, 0)).await;
        subject.pass(60_000);
        assert_eq!(seen.next().await.attempt, 2);
        subject.until_counts(&id, (0, 0, 0)).await;
    }
    let mut seen = failing(&subject, "last", true, panicking, u32::MAX).await;
    subject.events.publish("given up", &1).attempts(1).await.unwrap();
    assert_eq!(seen.next().await.name, "given up");
    subject.until_counts("last", (0, 0, 1)).await;
    let letters = subject.events.dead_letters(Some("last"), None, 10).await.unwrap().items;
    assert!(letters[0].reason.contains("panicked: oh no"), "{}", letters[0].reason);
}

async fn a_rejected_event_is_a_dead_letter_and_an_errors_causes_are_kept(subject: Subject) {
    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no number")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let rejects = async |_| Err(Failure::reject("wrong body"));
    subject.events.subscribe("*", "rejects", rejects).await.unwrap();
    let fails = async |_| Ok("x".parse::<u8>().map(drop).map_err(Outer)?);
    subject.events.subscribe("*", "fails", fails).await.unwrap();
    subject.events.publish("e", &1).attempts(1).await.unwrap();
    for (id, reason) in
        [("rejects", "wrong body"), ("fails", "no number: invalid digit found in string")]
    {
        subject.until_counts(id, (0, 0, 1)).await;
        let letters = subject.events.dead_letters(Some(id), None, 10).await.unwrap().items;
        assert_eq!(letters[0].reason, reason);
    }
}

async fn a_slow_handler_stops_no_other(subject: Subject) {
    let (sender, mut seen) = Seen::new();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    subject
        .events
        .subscribe("*", "s", move |event: Event| {
            let gate = Arc::clone(&gate);
            let (slow, sent) = (event.name == "slow", sender.send(event));
            async move {
                if slow {
                    drop(gate.acquire().await);
                }
                Ok(sent?)
            }
        })
        .await
        .unwrap();
    subject.publish("slow").await;
    assert_eq!(seen.next().await.name, "slow");
    for n in 0..200 {
        subject.publish(&format!("quick{n}")).await;
        assert_eq!(seen.next().await.name, format!("quick{n}"));
    }
    subject.until_counts("s", (0, 1, 0)).await;
    go.add_permits(1);
    subject.until_counts("s", (0, 0, 0)).await;
    seen.assert_no_more();
}

/// A lease is renewed while its handler runs, whatever else comes meanwhile.
async fn a_slow_handler_keeps_its_event_while_others_come(subject: Subject) {
    let (sender, mut seen) = Seen::new();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    subject
        .events
        .subscribe("*", "s", move |event: Event| {
            let gate = Arc::clone(&gate);
            let (slow, sent) = (event.name == "slow", sender.send(event));
            async move {
                if slow {
                    drop(gate.acquire().await);
                }
                Ok(sent?)
            }
        })
        .lease(Duration::from_secs(30))
        .await
        .unwrap();
    subject.publish("slow").await;
    assert_eq!(seen.next().await.name, "slow");
    // Five leases long, in steps that are well within a third of one.
    for n in 0..50 {
        subject.pass(3_000);
        subject.publish(&format!("quick{n}")).await;
        let event = seen.next().await;
        assert_eq!((event.name, event.attempt), (format!("quick{n}"), 1));
        subject.until_counts("s", (0, 1, 0)).await;
    }
    go.add_permits(1);
    subject.until_counts("s", (0, 0, 0)).await;
    seen.assert_no_more();
}

async fn a_delayed_event_is_not_put_off_by_others(subject: Subject) {
    let (sender, mut seen) = Seen::new();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    subject
        .events
        .subscribe("*", "s", move |event: Event| {
            let gate = Arc::clone(&gate);
            let (slow, sent) = (event.name.starts_with("slow"), sender.send(event));
            async move {
                if slow {
                    gate.acquire().await?.forget();
                }
                Ok(sent?)
            }
        })
        .await
        .unwrap();
    // Handlers that end one after the other while the delay runs.
    for n in 0..5 {
        subject.publish(&format!("slow{n}")).await;
        seen.next().await;
    }
    subject.events.publish("delayed", &1).delay(Duration::from_secs(10)).await.unwrap();
    for n in 1..=5 {
        subject.pass(1_900);
        go.add_permits(1);
        subject.until_counts("s", (1, 5 - n, 0)).await;
    }
    seen.assert_no_more();
    subject.pass(500);
    assert_eq!(seen.next().await.name, "delayed");
}

async fn no_more_run_at_once_than_was_said(subject: Subject) {
    const AT_ONCE: usize = 3;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (sender, mut seen) = Seen::new();
    let (now, max) = (Arc::clone(&running), Arc::clone(&most));
    subject
        .events
        .subscribe("*", "s", move |event| {
            let (now, max, sender) = (Arc::clone(&now), Arc::clone(&max), sender.clone());
            async move {
                max.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(sender.send(event)?)
            }
        })
        .concurrency(AT_ONCE)
        .await
        .unwrap();
    subject.publish_all((0..100).map(|n| crate::event(format!("e{n}")))).await;
    for _ in 0..100 {
        seen.next().await;
    }
    subject.until_counts("s", (0, 0, 0)).await;
    let most = most.load(Ordering::SeqCst);
    assert!((2..=AT_ONCE).contains(&most), "{most} at once");
    seen.assert_no_more();
}

async fn an_id_is_one_closures(subject: Subject) {
    let nothing = async |_| Ok(());
    let first = subject.events.subscribe("*", "s", nothing).await.unwrap();
    let second = subject.events.subscribe("*", "s", nothing).await.err().unwrap();
    assert_eq!(second.kind(), ErrorKind::Conflict);
    first.stop().await;
    let other = subject.events.subscribe("other", "s", nothing).await.err().unwrap();
    assert_eq!(other.kind(), ErrorKind::Conflict);
    subject.events.subscribe("*", "s", nothing).await.unwrap();
    let none = subject.events.subscribe("*", "n", nothing).concurrency(0).await.err().unwrap();
    assert_eq!(none.kind(), ErrorKind::InvalidArgument);
}

async fn a_removed_subscription_is_made_again_while_its_closure_lives(subject: Subject) {
    // Time runs fast below, and what is retained must not grow old by it.
    let subject = subject.again(serde_json::json!({ "retain": { "age": "100000h" } })).await;
    let (sender, mut seen) = Seen::new();
    let handler = move |event| {
        let sent = sender.send(event);
        async move { Ok(sent?) }
    };
    subject.events.subscribe("*", "s", handler).await.unwrap();
    subject.events.remove_subscription("s").await.unwrap();
    // Kept for whoever comes, and so for the one that is made again.
    subject.publish("e").await;
    // The closure looks again after a pause.
    while seen.0.is_empty() {
        subject.pass(100);
        tokio::task::yield_now().await;
    }
    assert_eq!(seen.next().await.name, "e");
}

for_every_provider! {
    a_closure_gets_what_matches,
    a_closure_gets_what_was_published_before_it_was_there,
    only_the_closure_that_failed_is_called_again,
    a_panic_is_a_failure_like_any_other,
    a_rejected_event_is_a_dead_letter_and_an_errors_causes_are_kept,
    a_slow_handler_stops_no_other,
    a_slow_handler_keeps_its_event_while_others_come,
    a_delayed_event_is_not_put_off_by_others,
    no_more_run_at_once_than_was_said,
    an_id_is_one_closures,
    a_removed_subscription_is_made_again_while_its_closure_lives,
}
