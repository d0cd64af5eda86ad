//! Many callers at the same time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use stheno::{Events, NewEvent, Verdict};

use super::{LEASE, Subject};
use crate::case::Case;
use crate::check::{CALLERS, Outcome, callers, equal, holds};

pub(crate) const CASES: &[Case] = cases! {
    Events:
    "events.callers.publish" =>
        "What 64 callers publish at the same time is delivered, each event once while nothing fails.", publish;
    "events.callers.pull" =>
        "Of 64 callers who pull at the same time no two are given the same delivery, and none is left out.", pull;
    "events.callers.refused" => "A caller whose message is refused costs the others nothing.", refused;
};

const EACH: usize = 5;

async fn publish(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    callers(|n| {
        let (api, name) = (s.api.clone(), s.own(&format!("e{n}")));
        async move {
            for round in 0..EACH {
                api.publish_all(vec![NewEvent::bytes(&name, round.to_string())]).await?;
            }
            Ok(())
        }
    })
    .await?;
    let mut seen = BTreeSet::new();
    for delivery in s.pull("s").await? {
        let event = &delivery.event;
        holds(seen.insert((event.name.clone(), event.data.clone())), || {
            format!("{} was delivered twice", s.short(&event.name))
        })?;
        s.settle(&delivery, Verdict::Handled).await?;
    }
    equal("how many events were delivered", seen.len(), CALLERS * EACH)?;
    s.counts("s", (0, 0, 0)).await
}

async fn pull(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let events = (0..CALLERS * EACH).map(|n| s.event(&format!("e{n}"))).collect();
    s.api.publish_all(events).await?;
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    callers(|_| {
        let (api, id, seen) = (s.api.clone(), s.own("s"), Arc::clone(&seen));
        async move {
            for delivery in api.pull_now(&id, EACH as u32, LEASE).await?.deliveries {
                let name = delivery.event.name;
                let fresh =
                    seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
                holds(fresh, || format!("{name} was given to two callers"))?;
                let lost = api.settle(vec![(delivery.token, Verdict::Handled)]).await?;
                equal("leases lost at once", lost, [""; 0])?;
            }
            Ok(())
        }
    })
    .await?;
    let count = seen.lock().unwrap_or_else(PoisonError::into_inner).len();
    equal("how many were delivered", count, CALLERS * EACH)?;
    s.counts("s", (0, 0, 0)).await
}

async fn refused(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    callers(|n| {
        let api = s.api.clone();
        let event = s.event(&format!("e{n}"));
        async move {
            if n % 4 == 0 {
                let wrong = NewEvent { priority: Some(0), ..event };
                return crate::check::refuses(api.publish_all(vec![wrong]).await, "priority");
            }
            Ok(api.publish_all(vec![event]).await.map(drop)?)
        }
    })
    .await?;
    equal("how many were delivered", s.pull("s").await?.len(), CALLERS - CALLERS / 4)
}
