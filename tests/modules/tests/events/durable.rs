//! What survives the provider's process where the provider is durable, and how
//! it becomes so. That it also survives being killed is shown in `tests/crash`.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use stheno::config::{
    ByteSize, ConfigError, MemoryLimit, Problem, StoreGrant, StoreLabel, StoreSize,
};
use stheno::{NewEvent, Verdict};

use crate::{ALL, EVENTS_LOCAL, LEASE, Subject, event, failed, store, subscription};

async fn says_durable(subject: &Subject) -> bool {
    let status = subject.runtime.status().await;
    status.iter().any(|status| status.info.features.iter().any(|feature| feature == "durable"))
}

// E12
async fn events_survive_a_restart_with_their_order_and_their_delays(subject: Subject) {
    assert!(says_durable(&subject).await);
    subject.subscribe("s", "*").await;
    let last = NewEvent { priority: Some(200), ..event("last") };
    let late = NewEvent { delay: Duration::from_secs(10), ..event("late") };
    let body = NewEvent {
        data: vec![0, 255, 10],
        metadata: vec![("k".into(), "v".into())],
        ..event("with a body")
    };
    let ids = subject.publish_all([last, event("first"), late, body]).await;
    let subject = subject.restart().await;
    assert_eq!(subject.counts("s").await, (4, 0, 0));
    let deliveries = subject.pull("s").await;
    let names: Vec<_> = deliveries.iter().map(|d| d.event.name.as_str()).collect();
    assert_eq!(names, ["first", "with a body", "last"]);
    let with_body = &deliveries[1].event;
    assert_eq!((&with_body.id, &with_body.data[..]), (&ids[3], &[0, 255, 10][..]));
    assert_eq!(with_body.metadata, [("k".to_owned(), "v".to_owned())]);
    for delivery in &deliveries {
        subject.settle(delivery, Verdict::Handled).await;
    }
    subject.pass(9_999);
    assert_eq!(subject.pull("s").await, []);
    let subject = subject.restart().await;
    subject.pass(1);
    assert_eq!(subject.handle("s").await, ["late"]);
    assert_eq!(subject.restart().await.counts("s").await, (0, 0, 0));
}

// E7, E12
async fn attempts_and_dead_letters_survive_a_restart(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.subscribe("other", "*").await;
    let backoff = Some((Duration::from_secs(1), Duration::from_secs(1)));
    subject.publish_all([NewEvent { attempts: Some(2), backoff, ..event("e") }]).await;
    let delivery = subject.pull_one("s").await;
    subject.settle(&delivery, failed("once")).await;
    let subject = subject.restart().await;
    assert_eq!(subject.pull("s").await, [], "the pause goes on");
    subject.pass(1_000);
    let delivery = subject.pull_one("s").await;
    assert_eq!((delivery.event.attempt, delivery.event.attempts), (2, 2));
    subject.settle(&delivery, failed("twice")).await;
    let before = subject.events.dead_letters(Some("s"), None, 9).await.unwrap();
    let subject = subject.restart().await;
    let after = subject.events.dead_letters(Some("s"), None, 9).await.unwrap();
    assert_eq!((&before, before.items[0].reason.as_str()), (&after, "twice"));
    assert_eq!(subject.counts("other").await, (1, 0, 0), "the other one has it still");
    let id = after.items[0].id.clone();
    assert_eq!(subject.events.replay_dead_letters(vec![id]).await.unwrap(), 1);
    let subject = subject.restart().await;
    assert_eq!(subject.pull_one("s").await.event.attempt, 1);
    assert_eq!(subject.handle("other").await, ["e"]);
}

async fn a_lease_outlives_its_process_and_runs_out_when_it_would_have(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish_all([event("settled"), event("left")]).await;
    let leased = subject.pull("s").await;
    let subject = subject.restart().await;
    assert_eq!(subject.counts("s").await, (0, 2, 0));
    subject.settle(&leased[0], Verdict::Handled).await;
    subject.pass(u64::try_from(LEASE.as_millis()).unwrap() - 1);
    assert_eq!(subject.pull("s").await, []);
    let subject = subject.restart().await;
    subject.pass(1);
    let again = subject.pull_one("s").await;
    assert_eq!((again.event.name.as_str(), again.event.attempt), ("left", 2));
    let late = vec![(leased[1].token.clone(), Verdict::Handled)];
    assert_eq!(subject.events.settle(late).await.unwrap().len(), 1, "its lease had run out");
}

// E4, E5
async fn a_group_waits_through_a_restart_and_is_released_once(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.events.group("g").stage(vec![event("a"), event("b")]).await.unwrap();
    subject.events.group("gone").stage(vec![event("c")]).await.unwrap();
    let subject = subject.restart().await;
    assert_eq!(subject.counts("s").await, (0, 0, 0));
    assert_eq!(subject.events.group("gone").discard().await.unwrap(), 1);
    assert_eq!(subject.events.group("g").release().await.unwrap(), 2);
    let subject = subject.restart().await;
    assert_eq!(subject.events.group("g").release().await.unwrap(), 0);
    assert_eq!(subject.events.group("gone").release().await.unwrap(), 0);
    assert_eq!(subject.handle("s").await, ["a", "b"]);
}

// E13
async fn what_is_retained_and_who_is_subscribed_survives(subject: Subject) {
    subject.publish("nobody.yet").await;
    subject.subscribe("gone", "x").await;
    subject.events.remove_subscription("gone").await.unwrap();
    let subject = subject.restart().await;
    assert_eq!(subject.events.subscriptions().await.unwrap(), []);
    subject.subscribe("s", "nobody.*").await;
    let subject = subject.restart().await;
    let status = subject.status("s").await;
    assert_eq!(status.subscription, subscription("s", "nobody.*"));
    assert_eq!(subject.handle("s").await, ["nobody.yet"]);
    subject.subscribe("later", "*").await;
    assert_eq!(subject.handle("later").await, ["nobody.yet"]);
}

async fn a_large_publication_is_kept_whole(subject: Subject) {
    subject.subscribe("s", "*").await;
    // More than the store takes in one batch.
    let events = (0..12).map(|n| NewEvent::bytes(format!("e{n}"), vec![n; 1 << 20]));
    subject.publish_all(events).await;
    let subject = subject.restart().await;
    let mut seen = Vec::new();
    loop {
        let deliveries = subject.events.pull_now("s", ALL, LEASE).await.unwrap().deliveries;
        if deliveries.is_empty() {
            break;
        }
        for delivery in deliveries {
            assert_eq!(delivery.event.data.len(), 1 << 20);
            seen.push(delivery.event.data[0]);
            subject.settle(&delivery, Verdict::Handled).await;
        }
    }
    assert_eq!(seen, (0..12).collect::<Vec<_>>());
    assert_eq!(subject.restart().await.counts("s").await, (0, 0, 0));
}

async fn a_trap_costs_the_call_and_nothing_that_was_kept(subject: Subject) {
    let mut config = subject.config.clone();
    config.limits.memory = MemoryLimit::new(ByteSize::mib(24)).unwrap();
    let subject = Subject::with(subject.provider, config).await.unwrap();
    subject.subscribe("s", "*").await;
    subject.publish_all([event("leased"), event("waits")]).await;
    let leased = subject.events.pull_now("s", 1, LEASE).await.unwrap().deliveries.remove(0);
    let large = (0..20).map(|_| NewEvent::bytes("large", vec![1; stheno::MAX_DATA_BYTES]));
    let error = subject.events.publish_all(large.collect()).await.unwrap_err();
    assert!(error.message().contains("limits.memory = \"24MiB\""), "{error}");
    assert_eq!(subject.counts("s").await, (1, 1, 0));
    subject.settle(&leased, Verdict::Handled).await;
    assert_eq!(subject.handle("s").await, ["waits"]);
}

async fn two_providers_cannot_have_one_store(subject: Subject) {
    let problem = refusal(start_on(subject.folder.path(), json!({}), ByteSize::gib(1)).await);
    assert!(problem.message.contains("open elsewhere"), "{}", problem.message);
    // The one that has it notices nothing.
    subject.subscribe("s", "*").await;
    subject.publish("e").await;
    assert_eq!(subject.handle("s").await, ["e"]);
    // Once it has stopped, the file is free.
    subject.runtime.shutdown().await.unwrap();
    let taken = start_on(subject.folder.path(), json!({}), ByteSize::gib(1)).await.unwrap();
    assert_eq!(taken.counts("s").await, (0, 0, 0));
}

async fn a_file_of_something_else_is_refused_and_left_as_it_was(subject: Subject) {
    let folder = tempfile::tempdir().unwrap();
    let file = store(folder.path()).path;
    for content in [vec![7; 100_000], b"not a store".to_vec()] {
        std::fs::write(&file, &content).unwrap();
        let problem = refusal(start_on(folder.path(), json!({}), ByteSize::gib(1)).await);
        assert!(problem.message.contains("cannot be opened"), "{}", problem.message);
        assert_eq!(std::fs::read(&file).unwrap(), content);
    }
    drop(subject);
}

async fn who_insists_on_durable_is_told_the_line_that_is_missing(subject: Subject) {
    assert!(!says_durable(&subject).await);
    let refused = Subject::with_options(&EVENTS_LOCAL, json!({ "durable": true })).await;
    let problem = refusal(refused);
    assert_eq!(problem.place, "modules.events.options");
    let line = "grants.store.default = { path = \"./data/events.redb\", max_size = \"1GiB\" }";
    assert!(problem.message.contains(line), "{}", problem.message);
    let folder = tempfile::tempdir().unwrap();
    let granted = start_on(folder.path(), json!({ "durable": true }), ByteSize::gib(1)).await;
    assert!(says_durable(&granted.unwrap()).await);
}

async fn a_store_too_small_for_what_may_be_held_is_an_error_about_the_options(subject: Subject) {
    let folder = tempfile::tempdir().unwrap();
    let problem = refusal(start_on(folder.path(), json!({}), ByteSize::mib(10)).await);
    assert_eq!(problem.place, "modules.events.options");
    assert!(problem.message.contains("`max_bytes`"), "{}", problem.message);
    assert!(problem.message.contains("`max_size`"), "{}", problem.message);
    let small = json!({ "max_events": 100, "max_bytes": "512KiB" });
    start_on(folder.path(), small, ByteSize::mib(10)).await.unwrap();
    drop(subject);
}

/// events-local with its store in this folder.
async fn start_on(
    folder: &Path,
    options: serde_json::Value,
    max_size: ByteSize,
) -> Result<Subject, ConfigError> {
    let mut config = stheno::config::ProviderConfig::new(stheno::config::Resolve::File(
        stheno_test_support::guest(EVENTS_LOCAL.name),
    ));
    if let serde_json::Value::Object(options) = options {
        config.options = options;
    }
    let max_size = StoreSize::new(max_size).unwrap();
    let grant = StoreGrant { max_size, ..store(folder) };
    config.grants.add_store(StoreLabel::new("default").unwrap(), grant);
    Subject::with(&EVENTS_LOCAL, config).await
}

fn refusal(refused: Result<Subject, ConfigError>) -> Problem {
    let Err(error) = refused else { panic!("it was taken") };
    error.problems().remove(0)
}

for_every_provider! {
    durable:
    events_survive_a_restart_with_their_order_and_their_delays,
    attempts_and_dead_letters_survive_a_restart,
    a_lease_outlives_its_process_and_runs_out_when_it_would_have,
    a_group_waits_through_a_restart_and_is_released_once,
    what_is_retained_and_who_is_subscribed_survives,
    a_large_publication_is_kept_whole,
    a_trap_costs_the_call_and_nothing_that_was_kept,
    two_providers_cannot_have_one_store,
    a_file_of_something_else_is_refused_and_left_as_it_was,
    a_store_too_small_for_what_may_be_held_is_an_error_about_the_options,
}
for_every_provider! {
    forgetful:
    who_insists_on_durable_is_told_the_line_that_is_missing,
}
