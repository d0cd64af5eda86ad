//! What a restart leaves.

use std::time::Duration;

use stheno::{ErrorKind, Events, NewEvent, Verdict};

use super::{LEASE, LEASE_MS, Subject, failed, rejected};
use crate::case::Case;
use crate::check::{Outcome, equal, fails};

pub(crate) const CASES: &[Case] = cases! {
    Events:
    "events.restart.events" =>
        "Subscriptions, events that wait and attempts that were made survive a restart." [with "durable"],
        events;
    "events.restart.handled" =>
        "What was handled before a restart is not delivered after it." [with "durable"], handled;
    "events.restart.leases" =>
        "A lease outlives a restart: until it runs out its token can be settled, then the delivery is due." [with "durable"],
        leases;
    "events.restart.groups" => "A staged group survives a restart and can be released." [with "durable" "groups"], groups;
    "events.restart.dead-letters" =>
        "Dead letters survive a restart and can be replayed." [with "durable" "dead-letters"], letters;
    "events.restart.forgets" =>
        "Without the feature `durable` a restart begins empty, and the provider serves." [without "durable"],
        forgets;
};

async fn events(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["a", "b"]).await?;
    // So long that it is not due right after the restart.
    let backoff = Some((Duration::from_secs(3_600), Duration::from_secs(3_600)));
    s.publish_one(NewEvent { attempts: Some(3), backoff, ..s.event("c") }).await?;
    let mut due = s.pull("s").await?;
    let last = crate::check::there("the third delivery", due.pop())?;
    s.settle(&last, failed()).await?;
    for delivery in &due {
        s.settle(delivery, Verdict::Returned).await?;
    }
    let s = s.restart().await?;
    s.counts("s", (3, 0, 0)).await?;
    s.gets("s", &["a", "b"]).await?;
    s.pass(100_000_000);
    let again = s.pull_one("s").await?;
    let found = (again.event.id.as_str(), again.event.attempt, again.event.attempts);
    equal("id, attempt and attempts", found, (last.event.id.as_str(), 2, 3))?;
    equal("the data", again.event.data, b"c")
}

async fn handled(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["a"]).await?;
    s.gets("s", &["a"]).await?;
    let s = s.restart().await?;
    s.counts("s", (0, 0, 0)).await?;
    s.pass(100_000_000);
    s.gets("s", &[]).await
}

async fn leases(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["a", "b"]).await?;
    let mut leased = s.pull("s").await?;
    let b = crate::check::there("the second delivery", leased.pop())?;
    let a = crate::check::there("the first delivery", leased.pop())?;
    let s = s.restart().await?;
    s.counts("s", (0, 2, 0)).await?;
    s.gets("s", &[]).await?;
    s.settle(&a, Verdict::Handled).await?;
    s.pass(LEASE_MS);
    let lost = s.api.extend(vec![b.token.clone()], LEASE).await?;
    equal("tokens that are no longer leased", lost, [b.token])?;
    s.gets("s", &["b"]).await
}

async fn groups(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.api.group(s.own("g")).stage(vec![s.event("a"), s.event("b")]).await?;
    let s = s.restart().await?;
    s.gets("s", &[]).await?;
    equal("how many were released", s.api.group(s.own("g")).release().await?, 2)?;
    s.gets("s", &["a", "b"]).await?;
    let s = s.restart().await?;
    equal("how many are released twice", s.api.group(s.own("g")).release().await?, 0)
}

async fn letters(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["a"]).await?;
    let delivery = s.pull_one("s").await?;
    s.settle(&delivery, rejected("wrong")).await?;
    let s = s.restart().await?;
    s.counts("s", (0, 0, 1)).await?;
    let id = s.own("s");
    let page = s.api.dead_letters(Some(&id), None, 10).await?;
    let letter = crate::check::one("dead letters", page.items)?;
    equal("the reason", letter.reason.as_str(), "wrong")?;
    equal("how many were replayed", s.api.replay_dead_letters(vec![letter.id]).await?, 1)?;
    s.gets("s", &["a"]).await
}

async fn forgets(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["a"]).await?;
    let s = s.restart().await?;
    let pulled = s.api.pull_now(&s.own("s"), 1, LEASE).await;
    fails("pulling for a subscription of before the restart", pulled, ErrorKind::NotFound)?;
    s.subscribe("s", "*").await?;
    s.publish(&["b"]).await?;
    s.gets("s", &["b"]).await
}
