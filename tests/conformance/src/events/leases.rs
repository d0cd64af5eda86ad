//! A delivery is leased to who pulled it.

use std::time::Duration;

use stheno::{Events, NewEvent, Verdict};

use super::{LEASE, LEASE_MS, Subject};
use crate::case::Case;
use crate::check::{Outcome, equal};

pub(crate) const CASES: &[Case] = cases! {
    Events:
    "events.leases.exclusive" => "What is leased is not delivered to anybody else meanwhile.", exclusive;
    "events.leases.expire" =>
        "What is neither settled nor extended in time is delivered again at that millisecond, as another attempt.",
        expire;
    "events.leases.late" =>
        "Settling after the lease has run out gives the token back and records nothing.", late;
    "events.leases.extend" =>
        "An extended lease runs from the moment of the call; `extend` gives the tokens that are no longer leased.",
        extend;
    "events.leases.last-attempt" =>
        "A lease that runs out at the last attempt ends the delivery." , last_attempt;
};

async fn exclusive(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["e"]).await?;
    let leased = s.pull_one("s").await?;
    s.gets("s", &[]).await?;
    s.pass(LEASE_MS - 1);
    s.gets("s", &[]).await?;
    s.settle(&leased, Verdict::Handled).await
}

async fn expire(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["e"]).await?;
    let first = s.pull_one("s").await?;
    s.pass(LEASE_MS - 1);
    s.gets("s", &[]).await?;
    s.pass(1);
    let second = s.pull_one("s").await?;
    let found = (&second.event.id, second.event.attempt);
    equal("the id and the attempt", found, (&first.event.id, 2))?;
    crate::check::holds(first.token != second.token, || "both have one token".to_owned())
}

async fn late(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["e"]).await?;
    let first = s.pull_one("s").await?;
    s.pass(LEASE_MS);
    let lost = s.api.settle(vec![(first.token.clone(), Verdict::Handled)]).await?;
    equal("tokens whose lease had run out", lost, [first.token.clone()])?;
    let second = s.pull_one("s").await?;
    let lost = s.api.settle(vec![(first.token.clone(), Verdict::Handled)]).await?;
    equal("tokens of an earlier attempt", lost, [first.token])?;
    s.counts("s", (0, 1, 0)).await?;
    s.settle(&second, Verdict::Handled).await?;
    s.counts("s", (0, 0, 0)).await
}

async fn extend(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["kept"]).await?;
    let kept = s.pull_one("s").await?;
    for _ in 0..3 {
        s.pass(LEASE_MS - 1);
        let lost = s.api.extend(vec![kept.token.clone()], LEASE).await?;
        equal("tokens that are no longer leased", lost, [""; 0])?;
    }
    s.api.extend(vec![kept.token.clone()], Duration::from_millis(1)).await?;
    s.gets("s", &[]).await?;
    s.pass(1);
    let lost = s.api.extend(vec![kept.token.clone(), "no such token".into()], LEASE).await?;
    equal("tokens that are no longer leased", lost, [kept.token, "no such token".into()])?;
    s.gets("s", &["kept"]).await
}

async fn last_attempt(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish_one(NewEvent { attempts: Some(2), ..s.event("e") }).await?;
    for attempt in [1, 2] {
        equal("the attempt", s.pull_one("s").await?.event.attempt, attempt)?;
        s.pass(LEASE_MS);
    }
    s.pass(100_000_000);
    s.gets("s", &[]).await
}
