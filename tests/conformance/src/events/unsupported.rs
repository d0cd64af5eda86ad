//! What a provider leaves out answers `unsupported`, and nothing worse.

use std::time::Duration;

use stheno::{Events, NewEvent, Subscription};

use super::{LEASE, Subject};
use crate::case::Case;
use crate::check::{Outcome, unsupported};

pub(crate) const CASES: &[Case] = cases! {
    Events:
    "events.delay.unsupported" =>
        "Without the feature `delay`, an event with a delay is `unsupported` and is not published." [without "delay"],
        delay;
    "events.priority.unsupported" =>
        "Without the feature `priority`, an event with a priority is `unsupported` and is not published." [without "priority"],
        priority;
    "events.retained.unsupported" =>
        "Without the feature `retained`, a subscription that asks for retained events is `unsupported` and is not made." [without "retained"],
        retained;
    "events.groups.unsupported" =>
        "Without the feature `groups`, `stage`, `release` and `discard` answer `unsupported`." [without "groups"],
        groups;
    "events.dead-letters.unsupported" =>
        "Without the feature `dead-letters`, listing, replaying and removing them answer `unsupported`." [without "dead-letters"],
        letters;
};

async fn refused(s: &Subject, event: NewEvent, what: &str) -> Outcome {
    s.subscribe("s", "*").await?;
    unsupported(what, s.api.publish_all(vec![s.event("plain"), event]).await)?;
    s.counts("s", (0, 0, 0)).await?;
    s.publish(&["plain"]).await?;
    s.gets("s", &["plain"]).await
}

async fn delay(s: Subject) -> Outcome {
    let event = NewEvent { delay: Duration::from_secs(1), ..s.event("e") };
    refused(&s, event, "a delay").await
}

async fn priority(s: Subject) -> Outcome {
    let event = NewEvent { priority: Some(1), ..s.event("e") };
    refused(&s, event, "a priority").await
}

async fn retained(s: Subject) -> Outcome {
    let asks = Subscription { retained: true, ..s.subscription("s", "*") };
    unsupported("a subscription with `retained`", s.api.create_subscription(asks).await)?;
    let pulled = s.api.pull_now(&s.own("s"), 1, LEASE).await;
    crate::check::fails("pulling for it", pulled, stheno::ErrorKind::NotFound).map(drop)
}

async fn groups(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let group = s.api.group(s.own("g"));
    unsupported("`stage`", group.stage(vec![s.event("e")]).await)?;
    unsupported("`release`", group.release().await)?;
    unsupported("`discard`", group.discard().await)?;
    s.gets("s", &[]).await
}

async fn letters(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    unsupported("`dead-letters`", s.api.dead_letters(None, None, 10).await)?;
    let ids = vec!["x".to_owned()];
    unsupported("`replay-dead-letters`", s.api.replay_dead_letters(ids.clone()).await)?;
    unsupported("`remove-dead-letters`", s.api.remove_dead_letters(ids).await)
}
