//! A full provider says so, and loses nothing that it accepted.

use serde_json::json;
use stheno::{ErrorKind, NewEvent};
use tokio::task::JoinSet;

use crate::{Subject, event};

async fn a_full_provider_is_unavailable_and_keeps_what_it_has(subject: Subject) {
    let subject = subject.again(json!({ "max_events": 10 })).await;
    subject.subscribe("s", "*").await;
    subject.publish_all((0..8).map(|n| event(format!("e{n}")))).await;
    // All or none: two would fit, three do not.
    let more = (0..3).map(|n| event(format!("more{n}"))).collect();
    let full = subject.events.publish_all(more).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Unavailable);
    assert!(full.is_retryable() && full.message().contains("`max_events`"), "{full}");
    let staged = subject.events.group("g").stage((0..3).map(|_| event("g")).collect()).await;
    assert_eq!(staged.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(subject.counts("s").await, (8, 0, 0));
    // Leased ones count, handled ones make room.
    let leased = subject.pull("s").await;
    assert_eq!(leased.len(), 8);
    subject.publish_all([event("9"), event("10")]).await;
    assert!(subject.events.publish("11", &1).await.is_err());
    subject.settle(&leased[0], stheno::Verdict::Handled).await;
    subject.publish("11").await;
    assert_eq!(subject.handle("s").await, ["9", "10", "11"]);
}

async fn bytes_are_bounded_as_well(subject: Subject) {
    let subject = subject.again(json!({ "max_bytes": "64KiB" })).await;
    subject.subscribe("s", "*").await;
    let body = || NewEvent::bytes("e", vec![1; 4 << 10]);
    let mut accepted = 0;
    let full = loop {
        match subject.events.publish_all(vec![body()]).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::Unavailable);
    assert!(full.message().contains("`max_bytes`"), "{full}");
    assert!((10..=16).contains(&accepted), "{accepted} bodies of 4 KiB in 64 KiB");
    assert_eq!(subject.handle("s").await.len(), accepted);
    subject.publish_all([body()]).await;
    let never = vec![NewEvent::bytes("e", vec![1; 64 << 10])];
    let error = subject.events.publish_all(never).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

async fn a_release_that_does_not_fit_leaves_the_group_whole(subject: Subject) {
    let subject = subject.again(json!({ "max_events": 10 })).await;
    for id in ["a", "b", "c"] {
        subject.subscribe(id, "*").await;
    }
    let group = subject.events.group("g");
    group.stage(vec![event("1"), event("2"), event("3"), event("4")]).await.unwrap();
    let full = group.release().await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Unavailable);
    assert_eq!(subject.counts("a").await, (0, 0, 0));
    subject.events.remove_subscription("c").await.unwrap();
    assert_eq!(group.release().await.unwrap(), 4);
    assert_eq!(subject.handle("a").await, ["1", "2", "3", "4"]);
    assert_eq!(subject.handle("b").await, ["1", "2", "3", "4"]);
}

async fn what_nobody_wants_pushes_out_only_its_like(subject: Subject) {
    let options = json!({ "max_events": 100, "retain": { "events": 3 } });
    let subject = subject.again(options).await;
    subject.subscribe("wanted", "wanted.*").await;
    subject.publish("wanted.1").await;
    for n in 0..10 {
        subject.publish(&format!("unwanted.{n}")).await;
    }
    subject.subscribe("late", "*").await;
    assert_eq!(subject.handle("late").await, ["unwanted.7", "unwanted.8", "unwanted.9"]);
    assert_eq!(subject.handle("wanted").await, ["wanted.1"]);
}

async fn what_is_retained_grows_old(subject: Subject) {
    let subject = subject.again(json!({ "retain": { "age": "10s" } })).await;
    subject.publish("old").await;
    subject.pass(5_000);
    subject.publish("young").await;
    subject.pass(5_000);
    subject.subscribe("s", "*").await;
    assert_eq!(subject.handle("s").await, ["young"]);
}

async fn of_too_many_dead_letters_the_oldest_go(subject: Subject) {
    let subject = subject.again(json!({ "dead_letters": 2 })).await;
    subject.subscribe("s", "*").await;
    for name in ["a", "b", "c"] {
        subject.publish(name).await;
        let delivery = subject.pull_one("s").await;
        subject.settle(&delivery, stheno::Verdict::Rejected("no".into())).await;
    }
    let letters = subject.events.dead_letters(None, None, 10).await.unwrap().items;
    let names: Vec<_> = letters.iter().map(|letter| letter.event.name.as_str()).collect();
    assert_eq!(names, ["b", "c"]);
    assert_eq!(subject.counts("s").await, (0, 0, 2));
}

/// Callers share calls under load; each gets the ids of its own events, and one
/// that is refused costs no other anything.
async fn callers_at_the_same_time_get_their_own_answers(subject: Subject) {
    let subject = std::sync::Arc::new(subject.again(json!({ "max_events": 1_000 })).await);
    subject.subscribe("s", "*").await;
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let subject = std::sync::Arc::clone(&subject);
        callers.spawn(async move {
            let mut accepted = Vec::new();
            for round in 0..10 {
                let names: Vec<_> =
                    (0..caller % 4 + 1).map(|n| format!("{caller}-{round}-{n}")).collect();
                let events = names.iter().map(event).collect();
                match subject.events.publish_all(events).await {
                    Ok(ids) => accepted.extend(ids.into_iter().zip(names)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
                }
            }
            accepted
        });
    }
    let mut accepted: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    let mut delivered = Vec::new();
    loop {
        let deliveries = subject.pull("s").await;
        if deliveries.is_empty() {
            break;
        }
        delivered.extend(deliveries.into_iter().map(|d| (d.event.id, d.event.name)));
    }
    accepted.sort();
    delivered.sort();
    assert!(accepted.len() > 900, "{} were accepted", accepted.len());
    assert_eq!(accepted, delivered);
}

for_every_provider! {
    a_full_provider_is_unavailable_and_keeps_what_it_has,
    bytes_are_bounded_as_well,
    a_release_that_does_not_fit_leaves_the_group_whole,
    what_nobody_wants_pushes_out_only_its_like,
    what_is_retained_grows_old,
    of_too_many_dead_letters_the_oldest_go,
    callers_at_the_same_time_get_their_own_answers,
}
