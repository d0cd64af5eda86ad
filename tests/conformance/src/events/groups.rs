//! Groups: held back, then released whole or not at all.

use std::time::Duration;

use stheno::{Events, Group, NewEvent};
use tokio::task::JoinSet;

use super::Subject;
use crate::case::Case;
use crate::check::{CALLERS, Outcome, equal, refuses};

pub(crate) const CASES: &[Case] = cases! {
    Events:
    "events.groups.release" =>
        "Staged events are held back until the release, and then published in the order of staging." [with "groups"],
        release;
    "events.groups.once" =>
        "A group is released once, whoever of 64 callers calls at the same moment: the others get 0." [with "groups"],
        once;
    "events.groups.apart" =>
        "Groups know nothing of each other, and the id of a released one can be used again." [with "groups"],
        apart;
    "events.groups.discard" =>
        "A discarded group publishes nothing; with names, only the events with these names are forgotten." [with "groups"],
        discard;
    "events.groups.expire" =>
        "A group and what it holds vanish when its time has passed since the last that was staged." [with "groups"],
        expire;
    "events.groups.all-or-none" =>
        "Staging with one wrong event stages none." [with "groups"], all_or_none;
};

impl Subject {
    fn group(&self, id: &str) -> Group {
        self.api.group(self.own(id))
    }

    fn events(&self, names: &[&str]) -> Vec<NewEvent> {
        names.iter().map(|name| self.event(name)).collect()
    }
}

async fn release(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let group = s.group("g");
    group.stage(s.events(&["a", "b"])).await?;
    group.stage(s.events(&["c"])).await?;
    s.gets("s", &[]).await?;
    s.counts("s", (0, 0, 0)).await?;
    equal("how many were released", group.release().await?, 3)?;
    s.gets("s", &["a", "b", "c"]).await?;
    equal("how many are released the second time", group.release().await?, 0)?;
    s.gets("s", &[]).await
}

async fn once(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    for round in 0..3 {
        let group = s.group(&format!("g{round}"));
        group.stage(s.events(&["a", "b", "c"])).await?;
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let group = group.clone();
            callers.spawn(async move { group.release().await });
        }
        let mut released = Vec::new();
        while let Some(ended) = callers.join_next().await {
            released.push(ended??);
        }
        released.retain(|count| *count != 0);
        equal("what the callers who released something got", released, [3])?;
        s.gets("s", &["a", "b", "c"]).await?;
    }
    Ok(())
}

async fn apart(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let (one, other) = (s.group("one"), s.group("other"));
    one.stage(s.events(&["1"])).await?;
    other.stage(s.events(&["2"])).await?;
    equal("how many `one` held", one.release().await?, 1)?;
    s.gets("s", &["1"]).await?;
    one.stage(s.events(&["3"])).await?;
    equal("how many `other` held", other.release().await?, 1)?;
    equal("how many `one` held again", one.release().await?, 1)?;
    s.gets("s", &["2", "3"]).await?;
    equal("how many an unknown group held", s.group("none").release().await?, 0)
}

async fn discard(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let group = s.group("g");
    group.stage(s.events(&["a", "b"])).await?;
    equal("how many were discarded", group.discard().await?, 2)?;
    equal("how many were released after that", group.release().await?, 0)?;
    s.gets("s", &[]).await?;
    group.stage(s.events(&["a", "b", "a", "c"])).await?;
    let named = vec![s.own("a"), s.own("none")];
    equal("how many of a name were discarded", group.discard_named(named).await?, 2)?;
    equal("how many were left", group.release().await?, 2)?;
    s.gets("s", &["b", "c"]).await
}

async fn expire(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let group = s.group("g").ttl(Duration::from_secs(10));
    group.stage(s.events(&["a"])).await?;
    s.pass(9_999);
    group.stage(s.events(&["b"])).await?;
    s.pass(9_999);
    equal("how many were released in time", group.release().await?, 2)?;
    s.gets("s", &["a", "b"]).await?;
    group.stage(s.events(&["c"])).await?;
    s.pass(10_000);
    equal("how many were released after the time", group.release().await?, 0)?;
    s.gets("s", &[]).await
}

async fn all_or_none(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let group = s.group("g");
    let wrong = NewEvent { priority: Some(0), ..s.event("wrong") };
    refuses(group.stage(vec![s.event("right"), wrong]).await, "priority")?;
    let zero = s.group("g").ttl(Duration::ZERO);
    refuses(zero.stage(s.events(&["right"])).await, "ttl")?;
    equal("how many were released", group.release().await?, 0)?;
    s.gets("s", &[]).await
}
