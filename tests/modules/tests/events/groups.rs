//! Groups: held back until released, all or nothing, once.

use std::time::{Duration, SystemTime};

use stheno::NewEvent;
use tokio::task::JoinSet;

use crate::{Subject, event};

async fn what_is_staged_is_held_back_until_the_release(subject: Subject) {
    subject.subscribe("s", "*").await;
    let group = subject.events.group("order 1");
    group.stage(vec![event("a"), event("b")]).await.unwrap();
    group.stage(vec![event("c")]).await.unwrap();
    group.stage(vec![]).await.unwrap();
    assert!(subject.pull("s").await.is_empty());
    assert_eq!(subject.counts("s").await, (0, 0, 0));
    subject.pass(1_000);
    assert_eq!(group.release().await.unwrap(), 3);
    let deliveries = subject.pull("s").await;
    let names: Vec<_> = deliveries.iter().map(|d| d.event.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    // Published when it was released.
    let published = deliveries[0].event.published.duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(published.unwrap().as_millis(), 946_684_801_000);
}

async fn a_group_is_released_once_whoever_calls(subject: Subject) {
    subject.subscribe("s", "*").await;
    for round in 0..5 {
        let group = subject.events.group(format!("g{round}"));
        group.stage((0..10).map(|n| event(format!("e{n}"))).collect()).await.unwrap();
        let mut callers = JoinSet::new();
        for _ in 0..64 {
            let group = group.clone();
            callers.spawn(async move { group.release().await.unwrap() });
        }
        let mut released = callers.join_all().await;
        released.sort_unstable();
        assert_eq!(released.last(), Some(&10));
        assert_eq!(released.iter().sum::<u64>(), 10, "the others got 0");
        assert_eq!(subject.handle("s").await.len(), 10);
        assert_eq!(group.release().await.unwrap(), 0);
    }
}

async fn groups_know_nothing_of_each_other(subject: Subject) {
    subject.subscribe("s", "*").await;
    let (one, other) = (subject.events.group("one"), subject.events.group("other"));
    one.stage(vec![event("1")]).await.unwrap();
    other.stage(vec![event("2")]).await.unwrap();
    assert_eq!(one.release().await.unwrap(), 1);
    assert_eq!(subject.handle("s").await, ["1"]);
    assert_eq!(other.release().await.unwrap(), 1);
    assert_eq!(subject.handle("s").await, ["2"]);
    assert_eq!(subject.events.group("none").release().await.unwrap(), 0);
    // A released id can be used again.
    one.stage(vec![event("3")]).await.unwrap();
    assert_eq!(one.release().await.unwrap(), 1);
    assert_eq!(subject.handle("s").await, ["3"]);
}

async fn a_group_vanishes_so_long_after_the_last_that_was_staged(subject: Subject) {
    subject.subscribe("s", "*").await;
    let group = subject.events.group("g").ttl(Duration::from_secs(10));
    group.stage(vec![event("a")]).await.unwrap();
    subject.pass(9_999);
    group.stage(vec![event("b")]).await.unwrap();
    subject.pass(9_999);
    assert_eq!(group.release().await.unwrap(), 2);
    group.stage(vec![event("c")]).await.unwrap();
    subject.pass(10_000);
    assert_eq!(group.release().await.unwrap(), 0);
    assert_eq!(subject.handle("s").await, ["a", "b"]);
}

async fn a_discarded_group_publishes_nothing(subject: Subject) {
    subject.subscribe("s", "*").await;
    let group = subject.events.group("g");
    group.stage(vec![event("a"), event("b")]).await.unwrap();
    assert_eq!(group.discard().await.unwrap(), 2);
    assert_eq!(group.discard().await.unwrap(), 0);
    assert_eq!(group.release().await.unwrap(), 0);
    assert!(subject.pull("s").await.is_empty());
}

async fn only_events_of_the_given_names_are_discarded(subject: Subject) {
    subject.subscribe("s", "*").await;
    let group = subject.events.group("g");
    group.stage(["a", "b", "a", "c", "*"].map(event).to_vec()).await.unwrap();
    let named = vec!["a".to_owned(), "*".to_owned(), "none".to_owned()];
    assert_eq!(group.discard_named(named.clone()).await.unwrap(), 3);
    assert_eq!(group.discard_named(named).await.unwrap(), 0);
    assert_eq!(group.release().await.unwrap(), 2);
    assert_eq!(subject.handle("s").await, ["b", "c"]);
}

async fn staged_events_are_checked_all_or_none(subject: Subject) {
    subject.subscribe("s", "*").await;
    let group = subject.events.group("g");
    let wrong = NewEvent { priority: Some(0), ..event("wrong") };
    assert!(group.stage(vec![event("right"), wrong]).await.is_err());
    assert_eq!(group.release().await.unwrap(), 0);
}

async fn a_delay_begins_with_the_release(subject: Subject) {
    subject.subscribe("s", "*").await;
    let group = subject.events.group("g");
    let delay = Duration::from_secs(10);
    group.stage(vec![NewEvent { delay, ..event("later") }, event("now")]).await.unwrap();
    subject.pass(10_000);
    assert_eq!(group.release().await.unwrap(), 2);
    assert_eq!(subject.handle("s").await, ["now"]);
    subject.pass(10_000);
    assert_eq!(subject.handle("s").await, ["later"]);
}

for_every_provider! {
    what_is_staged_is_held_back_until_the_release,
    a_group_is_released_once_whoever_calls,
    groups_know_nothing_of_each_other,
    a_group_vanishes_so_long_after_the_last_that_was_staged,
    a_discarded_group_publishes_nothing,
    only_events_of_the_given_names_are_discarded,
    staged_events_are_checked_all_or_none,
    a_delay_begins_with_the_release,
}
