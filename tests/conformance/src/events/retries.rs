//! What fails is tried again.

use std::time::Duration;

use stheno::{Events, NewEvent, Verdict};

use super::{ALL, LEASE, Subject, failed, rejected};
use crate::case::Case;
use crate::check::{Outcome, equal, holds, there};

pub(crate) const CASES: &[Case] = cases! {
    Events:
    "events.retries.backoff" =>
        "The wait before attempt n+1 is the initial one doubled n-1 times, at most the largest, with at most half of it taken off.",
        backoff;
    "events.retries.attempts" =>
        "A delivery is tried as often as the event says, and then never again.", attempts;
    "events.retries.default" =>
        "An event that does not say how often is tried again after a failure.", default;
    "events.retries.rejected" => "A rejected delivery is not tried again.", rejects;
    "events.retries.returned" =>
        "A returned delivery is due again at once, and the attempt does not count.", returned;
};

async fn backoff(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let (initial, most) = (Duration::from_secs(1), Duration::from_secs(5));
    let event = NewEvent { attempts: Some(9), backoff: Some((initial, most)), ..s.event("e") };
    s.publish_one(event).await?;
    let id = s.own("s");
    for (attempt, wait) in (1..).zip([1_000, 2_000, 4_000, 5_000, 5_000]) {
        let delivery = s.pull_one("s").await?;
        equal("the attempt", delivery.event.attempt, attempt)?;
        equal("how many there are", delivery.event.attempts, 9)?;
        s.settle(&delivery, failed()).await?;
        let next = s.api.pull_now(&id, ALL, LEASE).await?.next_due;
        let next = there("the moment of the next attempt", next)?.as_millis();
        holds((wait / 2..=wait).contains(&next), || {
            format!(
                "after attempt {attempt} the wait is {next} ms, expected half of {wait} ms to all of it"
            )
        })?;
        s.pass(u64::try_from(next).unwrap_or(u64::MAX).saturating_sub(1));
        s.gets("s", &[]).await?;
        s.pass(1);
    }
    s.pull_one("s").await.map(drop)
}

/// More than any wait that a case has asked for.
const LONG: u64 = 100_000_000;

async fn attempts(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    for attempts in [1, 2, 4] {
        s.publish_one(NewEvent { attempts: Some(attempts), ..s.event("e") }).await?;
        for attempt in 1..=attempts {
            let delivery = s.pull_one("s").await?;
            let found = (delivery.event.attempt, delivery.event.attempts);
            equal("the attempt and how many there are", found, (attempt, attempts))?;
            s.settle(&delivery, failed()).await?;
            s.pass(LONG);
        }
        s.gets("s", &[]).await?;
    }
    Ok(())
}

async fn default(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["e"]).await?;
    let first = s.pull_one("s").await?;
    holds(first.event.attempts > 1, || format!("it is tried {} times", first.event.attempts))?;
    s.settle(&first, failed()).await?;
    s.pass(LONG);
    equal("the attempt", s.pull_one("s").await?.event.attempt, 2)
}

async fn rejects(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["e", "other"]).await?;
    for delivery in s.pull("s").await? {
        let is_e = delivery.event.name == s.own("e");
        s.settle(&delivery, if is_e { rejected("no") } else { failed() }).await?;
    }
    s.pass(LONG);
    s.gets("s", &["other"]).await
}

async fn returned(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish_one(NewEvent { attempts: Some(2), ..s.event("e") }).await?;
    for _ in 0..5 {
        let delivery = s.pull_one("s").await?;
        equal("the attempt", delivery.event.attempt, 1)?;
        s.settle(&delivery, Verdict::Returned).await?;
    }
    s.gets("s", &["e"]).await
}
