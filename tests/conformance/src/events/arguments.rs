//! Arguments out of bounds are refused by name and change nothing.

use std::time::Duration;

use stheno::{Events, MAX_DATA_BYTES, NewEvent, Subscription, Verdict};

use super::{LEASE, Subject};
use crate::case::Case;
use crate::check::{Outcome, equal, refuses};

pub(crate) const CASES: &[Case] = cases! {
    Events:
    "events.arguments.publish" =>
        "A message out of bounds is `invalid-argument` that names what is wrong, and nothing of the call is published.",
        publish;
    "events.arguments.subscribe" =>
        "A subscription out of bounds is `invalid-argument` that names what is wrong, and none is made.",
        subscribe;
    "events.arguments.pull" =>
        "A `pull`, `settle` or `extend` out of bounds is `invalid-argument` that names what is wrong, and changes nothing.",
        pull;
    "events.arguments.groups" =>
        "A group or names out of bounds are `invalid-argument` that names them, and change nothing." [with "groups"],
        groups;
    "events.arguments.dead-letters" =>
        "A page or ids out of bounds are `invalid-argument` that names them, and change nothing." [with "dead-letters"],
        letters;
};

/// Names that nothing can have.
fn wrong_names() -> [String; 4] {
    [String::new(), "n".repeat(256), "a\nb".to_owned(), "a\u{0}".to_owned()]
}

async fn publish(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let good = || s.event("good");
    let pair = |key: usize, value: usize| ("k".repeat(key), "v".repeat(value));
    let mut wrong = vec![
        (NewEvent { data: vec![0; MAX_DATA_BYTES + 1], ..good() }, "data"),
        (NewEvent { metadata: vec![pair(1, 1); 65], ..good() }, "metadata"),
        (NewEvent { metadata: vec![pair(1, 4_096)], ..good() }, "metadata"),
        (NewEvent { priority: Some(0), ..good() }, "priority"),
        (NewEvent { priority: Some(2_097_153), ..good() }, "priority"),
        (NewEvent { attempts: Some(0), ..good() }, "attempts"),
    ];
    wrong.extend(wrong_names().map(|name| (NewEvent { name, ..good() }, "name")));
    for (event, argument) in wrong {
        refuses(s.api.publish_all(vec![good(), event]).await, argument)?;
    }
    refuses(s.api.publish_all(vec![good(); 1_001]).await, "events")?;
    s.counts("s", (0, 0, 0)).await
}

async fn subscribe(s: Subject) -> Outcome {
    let good = || s.subscription("s", "*");
    let idle_ttl = Some(Duration::ZERO);
    let mut wrong = vec![(Subscription { idle_ttl, ..good() }, "idle_ttl")];
    wrong.extend(wrong_names().map(|id| (Subscription { id, ..good() }, "id")));
    wrong.extend(wrong_names().map(|pattern| (Subscription { pattern, ..good() }, "pattern")));
    for (subscription, argument) in wrong {
        refuses(s.api.create_subscription(subscription).await, argument)?;
    }
    for id in wrong_names() {
        refuses(s.api.remove_subscription(&id).await, "id")?;
    }
    let own = s.own("");
    let all = s.api.subscriptions().await?;
    let made = all.into_iter().filter(|it| it.subscription.id.starts_with(&own)).count();
    equal("how many subscriptions were made", made, 0)
}

async fn pull(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["a", "b"]).await?;
    let id = s.own("s");
    let leased = crate::check::one("one", s.api.pull_now(&id, 1, LEASE).await?.deliveries)?;
    for max in [0, 1_001, u32::MAX] {
        refuses(s.api.pull_now(&id, max, LEASE).await, "max")?;
    }
    refuses(s.api.pull_now(&id, 1, Duration::ZERO).await, "lease")?;
    for wrong in wrong_names() {
        refuses(s.api.pull_now(&wrong, 1, LEASE).await, "subscription")?;
    }
    let token = leased.token.clone();
    refuses(s.api.extend(vec![token.clone()], Duration::ZERO).await, "lease")?;
    refuses(s.api.extend(vec![token.clone(); 1_001], LEASE).await, "tokens")?;
    refuses(s.api.settle(vec![(token, Verdict::Handled); 1_001]).await, "outcomes")?;
    s.counts("s", (1, 1, 0)).await?;
    let unknown = vec![("no such token".to_owned(), Verdict::Handled)];
    equal("tokens that nobody was given", s.api.settle(unknown).await?, ["no such token"])?;
    s.settle(&leased, Verdict::Handled).await
}

async fn groups(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let group = s.api.group(s.own("g"));
    group.stage(vec![s.event("e")]).await?;
    for wrong in wrong_names() {
        let wrong = s.api.group(wrong);
        refuses(wrong.stage(vec![s.event("e")]).await, "group")?;
        refuses(wrong.release().await, "group")?;
        refuses(wrong.discard().await, "group")?;
    }
    refuses(group.discard_named(vec![s.own("e"); 1_001]).await, "names")?;
    equal("what the group still holds", group.release().await?, 1)?;
    s.gets("s", &["e"]).await
}

async fn letters(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["e"]).await?;
    let delivery = s.pull_one("s").await?;
    s.settle(&delivery, super::rejected("wrong")).await?;
    let id = s.own("s");
    for max in [0, 1_001] {
        refuses(s.api.dead_letters(Some(&id), None, max).await, "max")?;
    }
    for wrong in wrong_names() {
        refuses(s.api.dead_letters(Some(&wrong), None, 1).await, "subscription")?;
    }
    refuses(s.api.dead_letters(Some(&id), Some("no page gave this"), 1).await, "after")?;
    let many = vec!["x".to_owned(); 1_001];
    refuses(s.api.replay_dead_letters(many.clone()).await, "ids")?;
    refuses(s.api.remove_dead_letters(many).await, "ids")?;
    s.counts("s", (0, 0, 1)).await
}
