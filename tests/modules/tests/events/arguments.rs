//! Wrong arguments are named, and change nothing.

use std::time::Duration;

use stheno::{ErrorKind, NewEvent, Subscription, Verdict};

use crate::{LEASE, Subject, event, subscription};

/// The error is about this argument.
#[track_caller]
fn assert_names<T: std::fmt::Debug>(result: Result<T, stheno::Error>, argument: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().starts_with(argument), "{error}");
}

fn wrong_names() -> [String; 4] {
    [String::new(), "line\nbreak".into(), "nul\0".into(), "é".repeat(127) + "ab"]
}

async fn wrong_names_and_ids_are_refused(subject: Subject) {
    subject.subscribe("s", "*").await;
    let events = &subject.events;
    for wrong in wrong_names() {
        assert_names(events.publish(&wrong, &1).await, "name");
        assert_names(events.publish_all(vec![event("ok"), event(wrong.clone())]).await, "name");
        assert_names(events.group(wrong.clone()).stage(vec![event("ok")]).await, "group");
        assert_names(events.group("g").stage(vec![event(wrong.clone())]).await, "name");
        assert_names(events.group(wrong.clone()).release().await, "group");
        assert_names(events.group(wrong.clone()).discard().await, "group");
        assert_names(events.create_subscription(subscription(&wrong, "*")).await, "id");
        assert_names(events.create_subscription(subscription("new", &wrong)).await, "pattern");
        assert_names(events.remove_subscription(&wrong).await, "id");
        assert_names(events.pull_now(&wrong, 1, LEASE).await, "subscription");
        let closure = async |_| Ok(());
        assert!(events.subscribe(wrong.clone(), "new", closure).await.is_err());
        assert!(events.subscribe("*", wrong.clone(), closure).await.is_err());
    }
    assert_eq!(subject.counts("s").await, (0, 0, 0));
    assert_eq!(subject.events.subscriptions().await.unwrap().len(), 1);
    assert_eq!(subject.events.group("g").release().await.unwrap(), 0);
}

async fn the_longest_names_are_taken(subject: Subject) {
    let longest = "é".repeat(127) + "a";
    subject.subscribe(&longest, &longest).await;
    subject.publish(&longest).await;
    assert_eq!(subject.handle(&longest).await, [longest]);
}

async fn what_is_out_of_range_is_refused(subject: Subject) {
    subject.subscribe("s", "*").await;
    let events = &subject.events;
    let long = vec![0; stheno::MAX_DATA_BYTES + 1];
    assert_names(events.publish_all(vec![NewEvent::bytes("n", long)]).await, "data");
    for priority in [0, 2_097_153] {
        assert_names(events.publish("n", &1).priority(priority).await, "priority");
    }
    assert_names(events.publish("n", &1).attempts(0).await, "attempts");
    let metadata = vec![(String::new(), String::new()); 65];
    assert_names(events.publish_all(vec![NewEvent { metadata, ..event("n") }]).await, "metadata");
    assert_names(events.publish("n", &1).metadata("k", "v".repeat(4_096)).await, "metadata");
    let many = || vec![event("n"); 1_001];
    assert_names(events.publish_all(many()).await, "events");
    assert_names(events.group("g").stage(many()).await, "events");
    assert_names(events.group("g").ttl(Duration::ZERO).stage(vec![event("n")]).await, "ttl");
    for max in [0, 1_001] {
        assert_names(events.pull_now("s", max, LEASE).await, "max");
        assert_names(events.dead_letters(None, None, max).await, "max");
    }
    assert_names(events.pull_now("s", 1, Duration::ZERO).await, "lease");
    assert_names(events.extend(Vec::new(), Duration::ZERO).await, "lease");
    let tokens = || vec!["t".to_owned(); 1_001];
    assert_names(events.extend(tokens(), LEASE).await, "tokens");
    let outcomes = tokens().into_iter().map(|token| (token, Verdict::Handled)).collect();
    assert_names(events.settle(outcomes).await, "outcomes");
    assert_names(events.replay_dead_letters(tokens()).await, "ids");
    assert_names(events.remove_dead_letters(tokens()).await, "ids");
    let idle = Subscription { idle_ttl: Some(Duration::ZERO), ..subscription("idle", "*") };
    assert_names(events.create_subscription(idle).await, "idle_ttl");
    assert_eq!(subject.counts("s").await, (0, 0, 0));
    assert_eq!(subject.events.subscriptions().await.unwrap().len(), 1);
}

for_every_provider! {
    wrong_names_and_ids_are_refused,
    the_longest_names_are_taken,
    what_is_out_of_range_is_refused,
}
