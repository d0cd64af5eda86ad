//! Failed deliveries: tried again later and later, each for its own
//! subscription, so many times.

use std::time::Duration;

use stheno::{NewEvent, Verdict};

use crate::{ALL, LEASE, Subject, event, failed};

async fn only_the_subscription_that_failed_gets_it_again(subject: Subject) {
    subject.subscribe("well", "*").await;
    subject.subscribe("ill", "*").await;
    subject.publish("e").await;
    assert_eq!(subject.handle("well").await, ["e"]);
    let delivery = subject.pull_one("ill").await;
    subject.settle(&delivery, failed("ill")).await;
    subject.pass(60_000);
    assert!(subject.pull("well").await.is_empty());
    let again = subject.pull_one("ill").await;
    assert_eq!((again.event.attempt, &again.event.id), (2, &delivery.event.id));
    assert_ne!(again.token, delivery.token);
}

/// The wait after the n-th failure is `initial` doubled n-1 times, at most
/// `max`, less at most its half.
async fn the_wait_doubles_up_to_its_longest_and_at_most_half_is_taken_off(subject: Subject) {
    subject.subscribe("s", "*").await;
    let (initial, max) = (1_000_u64, 6_000);
    let backoff = (Duration::from_millis(initial), Duration::from_millis(max));
    let many = (0..100).map(|n| NewEvent {
        attempts: Some(6),
        backoff: Some(backoff),
        ..event(format!("e{n}"))
    });
    subject.publish_all(many).await;
    let mut waits_seen = std::collections::BTreeSet::new();
    for attempt in 1..6 {
        let deliveries = subject.pull("s").await;
        assert_eq!(deliveries.len(), 100);
        for delivery in &deliveries {
            assert_eq!((delivery.event.attempt, delivery.event.attempts), (attempt, 6));
            subject.settle(delivery, failed("again")).await;
        }
        let longest = (initial << (attempt - 1)).min(max);
        let least = longest - longest / 2;
        let first = subject.events.pull_now("s", ALL, LEASE).await.unwrap();
        assert!(first.deliveries.is_empty());
        let next = u64::try_from(first.next_due.unwrap().as_millis()).unwrap();
        assert!((least..=longest).contains(&next), "{next} ms of {longest} ms");
        waits_seen.insert(next);
        subject.pass(least - 1);
        assert!(subject.pull("s").await.is_empty(), "before {least} ms");
        subject.pass(longest - (least - 1));
        assert_eq!(subject.counts("s").await, (100, 0, 0));
    }
    assert_eq!(subject.pull("s").await.len(), 100);
    assert!(waits_seen.len() > 1, "the waits are spread out");
}

async fn after_the_last_attempt_it_is_a_dead_letter(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.events.publish("e", &1).attempts(3).await.unwrap();
    for attempt in 1..=3 {
        let delivery = subject.pull_one("s").await;
        assert_eq!(delivery.event.attempt, attempt);
        subject.settle(&delivery, failed(&format!("failure {attempt}"))).await;
        subject.pass(60_000);
    }
    assert!(subject.pull("s").await.is_empty());
    assert_eq!(subject.counts("s").await, (0, 0, 1));
    let letters = subject.events.dead_letters(None, None, 10).await.unwrap().items;
    assert_eq!((letters[0].reason.as_str(), letters[0].event.attempt), ("failure 3", 3));
}

async fn a_single_attempt_is_not_tried_again(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.events.publish("e", &1).attempts(1).await.unwrap();
    let delivery = subject.pull_one("s").await;
    subject.settle(&delivery, failed("once")).await;
    assert_eq!(subject.counts("s").await, (0, 0, 1));
}

async fn a_rejected_one_is_dead_at_once(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish("e").await;
    let delivery = subject.pull_one("s").await;
    subject.settle(&delivery, Verdict::Rejected("wrong body".into())).await;
    let letters = subject.events.dead_letters(None, None, 10).await.unwrap().items;
    assert_eq!((letters[0].reason.as_str(), letters[0].event.attempt), ("wrong body", 1));
}

async fn a_returned_one_is_due_at_once_and_does_not_count(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.events.publish("e", &1).attempts(2).await.unwrap();
    for _ in 0..10 {
        let delivery = subject.pull_one("s").await;
        assert_eq!(delivery.event.attempt, 1);
        subject.settle(&delivery, Verdict::Returned).await;
    }
    let delivery = subject.pull_one("s").await;
    subject.settle(&delivery, failed("now it counts")).await;
    subject.pass(60_000);
    assert_eq!(subject.pull_one("s").await.event.attempt, 2);
}

async fn a_returned_one_keeps_its_place(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish_all(["a", "b", "c"].map(event)).await;
    let first = subject.events.pull_now("s", 1, LEASE).await.unwrap().deliveries;
    subject.settle(&first[0], Verdict::Returned).await;
    assert_eq!(subject.handle("s").await, ["a", "b", "c"]);
}

async fn retries_are_on_by_default(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish("e").await;
    let delivery = subject.pull_one("s").await;
    assert!(delivery.event.attempts > 1);
    subject.settle(&delivery, failed("busy")).await;
    assert_eq!(subject.counts("s").await, (1, 0, 0));
    assert!(subject.pull("s").await.is_empty(), "not without a wait");
}

async fn a_verdict_counts_once(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish("e").await;
    let delivery = subject.pull_one("s").await;
    let twice = vec![
        (delivery.token.clone(), Verdict::Handled),
        (delivery.token.clone(), failed("too late")),
        ("no such token".to_owned(), Verdict::Handled),
    ];
    let lost = subject.events.settle(twice).await.unwrap();
    assert_eq!(lost, [delivery.token.clone(), "no such token".to_owned()]);
    assert_eq!(subject.counts("s").await, (0, 0, 0));
    let lost = subject.events.settle(vec![(delivery.token.clone(), failed("again"))]).await;
    assert_eq!(lost.unwrap(), [delivery.token]);
    assert_eq!(subject.counts("s").await, (0, 0, 0));
}

for_every_provider! {
    only_the_subscription_that_failed_gets_it_again,
    the_wait_doubles_up_to_its_longest_and_at_most_half_is_taken_off,
    after_the_last_attempt_it_is_a_dead_letter,
    a_single_attempt_is_not_tried_again,
    a_rejected_one_is_dead_at_once,
    a_returned_one_is_due_at_once_and_does_not_count,
    a_returned_one_keeps_its_place,
    retries_are_on_by_default,
    a_verdict_counts_once,
}
