//! Options that a provider refuses are an error about the options, and name the
//! key; those that it takes are the defaults of events without their own.

use serde_json::json;

use crate::{ALL, LEASE, Subject, failed};

async fn a_wrong_option_is_named_before_anything_is_served(subject: Subject) {
    for (options, key) in [
        (json!({ "attempt": 1 }), "attempt"),
        (json!({ "attempts": 0 }), "attempts"),
        (json!({ "attempts": "5" }), "attempts"),
        (json!({ "backoff": { "initial": 5 } }), "backoff.initial"),
        (json!({ "backoff": { "first": "5s" } }), "first"),
        (json!({ "backoff": { "initial": "2m", "max": "1m" } }), "backoff.initial"),
        (json!({ "max_events": 0 }), "max_events"),
        (json!({ "max_bytes": "64MB" }), "max_bytes"),
        (json!({ "retain": { "age": "old" } }), "retain.age"),
        (json!({ "retain": { "events": -1 } }), "retain.events"),
        (json!({ "dead_letters": 1.5 }), "dead_letters"),
    ] {
        let shown = options.to_string();
        let refused = Subject::with_options(subject.provider, options).await.err();
        let Some(error) = refused else { panic!("{shown} was taken") };
        let problem = error.problems().remove(0);
        assert_eq!(problem.place, "modules.events.options", "{shown}");
        assert!(problem.message.contains(&format!("`{key}`")), "{shown}: {}", problem.message);
        assert!(!problem.help.is_empty());
    }
}

async fn attempts_and_backoff_are_for_events_without_their_own(subject: Subject) {
    let backoff = json!({ "initial": "2s", "max": "3s" });
    let subject = subject.again(json!({ "attempts": 3, "backoff": backoff })).await;
    subject.subscribe("s", "*").await;
    subject.publish("e").await;
    for longest in [2_000, 3_000] {
        let delivery = subject.pull_one("s").await;
        assert_eq!(delivery.event.attempts, 3);
        subject.settle(&delivery, failed("again")).await;
        let next = subject.events.pull_now("s", ALL, LEASE).await.unwrap().next_due.unwrap();
        assert!((longest / 2..=longest).contains(&next.as_millis()), "{next:?} of {longest} ms");
        subject.clock.advance(next);
    }
    assert_eq!(subject.pull_one("s").await.event.attempt, 3);
}

for_every_provider! {
    a_wrong_option_is_named_before_anything_is_served,
    attempts_and_backoff_are_for_events_without_their_own,
}
