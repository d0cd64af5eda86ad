//! Subscriptions: who receives what.

use std::time::Duration;

use stheno::{ErrorKind, Events, Subscription};

use super::{Subject, failed};
use crate::case::Case;
use crate::check::{Outcome, equal, names, one};

pub(crate) const CASES: &[Case] = cases! {
    Events:
    "events.subscriptions.patterns" =>
        "`*` in a pattern stands for any run of characters, dots and none included; every other character for itself.",
        patterns;
    "events.subscriptions.all" => "The pattern `*` matches every event.", all;
    "events.subscriptions.independent" =>
        "Subscriptions are independent: each receives an event, and only the one that failed gets it again.",
        independent;
    "events.subscriptions.again" =>
        "The same subscription again changes nothing: what waits in it still waits, once.", again;
    "events.subscriptions.conflict" =>
        "The same id with another pattern is `conflict`, and the first one stays.", conflict;
    "events.subscriptions.listed" =>
        "All subscriptions are listed, ordered by id, each as it was made and with how much waits in it.",
        listed;
    "events.subscriptions.removed" =>
        "A removed subscription receives nothing more and has lost what waited; removing it again is `not-found`.",
        removed;
    "events.subscriptions.later" =>
        "A subscription that does not ask for retained events receives none that were published before it.",
        later;
    "events.subscriptions.idle" =>
        "A subscription with an idle time is removed once nobody has pulled for so long, and not before.", idle;
    "events.retained.later" =>
        "An event that nobody was subscribed to is retained, and a subscription made later that asks for it receives it." [with "retained"],
        retained;
};

async fn patterns(s: Subject) -> Outcome {
    let patterns =
        ["order.*", "*.placed", "order.*.done", "order.placed", "or*.pl*d", "order*", "*"];
    for pattern in patterns {
        s.subscribe(pattern, pattern).await?;
    }
    let all =
        ["order.placed", "order.item.done", "order..done", "order.", "order", "reorder.placed"];
    s.publish(&all).await?;
    let expected: [&[&str]; 7] = [
        &["order.placed", "order.item.done", "order..done", "order."],
        &["order.placed", "reorder.placed"],
        &["order.item.done", "order..done"],
        &["order.placed"],
        &["order.placed"],
        &["order.placed", "order.item.done", "order..done", "order.", "order"],
        &all,
    ];
    for (pattern, names) in patterns.iter().zip(expected) {
        s.gets(pattern, names).await?;
    }
    Ok(())
}

async fn all(s: Subject) -> Outcome {
    let id = s.own("s");
    let every = Subscription { id, pattern: "*".into(), retained: false, idle_ttl: None };
    s.api.create_subscription(every).await?;
    s.publish(&["a", "b.c"]).await?;
    s.gets("s", &["a", "b.c"]).await
}

async fn independent(s: Subject) -> Outcome {
    for id in ["good", "bad"] {
        s.subscribe(id, "*").await?;
    }
    s.publish(&["e"]).await?;
    let bad = s.pull_one("bad").await?;
    s.settle(&bad, failed()).await?;
    s.gets("good", &["e"]).await?;
    s.pass(100_000_000);
    s.gets("good", &[]).await?;
    let again = s.pull_one("bad").await?;
    equal("the attempt", again.event.attempt, 2)?;
    equal("the id", again.event.id, bad.event.id)
}

async fn again(s: Subject) -> Outcome {
    s.subscribe("s", "a*").await?;
    s.publish(&["a"]).await?;
    s.subscribe("s", "a*").await?;
    s.counts("s", (1, 0, 0)).await?;
    s.gets("s", &["a"]).await
}

async fn conflict(s: Subject) -> Outcome {
    s.subscribe("s", "a*").await?;
    s.publish(&["a"]).await?;
    let other = s.api.create_subscription(s.subscription("s", "b*")).await;
    names("another pattern", other, ErrorKind::Conflict, &s.own("s"))?;
    s.publish(&["b"]).await?;
    s.gets("s", &["a"]).await
}

async fn listed(s: Subject) -> Outcome {
    let idle_ttl = Some(Duration::from_secs(3_600));
    let made = [
        s.subscription("a", "x*"),
        Subscription { idle_ttl, ..s.subscription("b", "*") },
        s.subscription("c", "y"),
    ];
    for subscription in made.iter().rev() {
        s.api.create_subscription(subscription.clone()).await?;
    }
    s.publish(&["x", "y"]).await?;
    let leased = s.pull_one("c").await?;
    let own = s.own("");
    let all = s.api.subscriptions().await?;
    let found: Vec<_> = all.iter().filter(|it| it.subscription.id.starts_with(&own)).collect();
    let subscriptions: Vec<_> = found.iter().map(|it| it.subscription.clone()).collect();
    equal("the subscriptions", subscriptions, made)?;
    let counts: Vec<_> = found.iter().map(|it| (it.waiting, it.leased, it.dead)).collect();
    equal("waiting, leased and dead of each", counts, [(1, 0, 0), (2, 0, 0), (0, 1, 0)])?;
    s.settle(&leased, stheno::Verdict::Handled).await
}

async fn removed(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["a", "b"]).await?;
    let id = s.own("s");
    let leased = one("one of two", s.api.pull_now(&id, 1, super::LEASE).await?.deliveries)?;
    s.api.remove_subscription(&id).await?;
    let lost = s.api.settle(vec![(leased.token.clone(), stheno::Verdict::Handled)]).await?;
    equal("what was leased from it", lost, [leased.token])?;
    names("removing it again", s.api.remove_subscription(&id).await, ErrorKind::NotFound, &id)?;
    s.subscribe("s", "*").await?;
    s.counts("s", (0, 0, 0)).await
}

async fn later(s: Subject) -> Outcome {
    s.subscribe("first", "*").await?;
    s.publish(&["before"]).await?;
    s.subscribe("later", "*").await?;
    s.publish(&["after"]).await?;
    s.gets("later", &["after"]).await?;
    s.gets("first", &["before", "after"]).await
}

async fn idle(s: Subject) -> Outcome {
    let idle_ttl = Some(Duration::from_secs(10));
    let subscription = Subscription { idle_ttl, ..s.subscription("s", "*") };
    s.api.create_subscription(subscription).await?;
    s.pass(9_999);
    s.gets("s", &[]).await?;
    s.pass(9_999);
    s.publish(&["e"]).await?;
    s.gets("s", &["e"]).await?;
    s.pass(10_000);
    let id = s.own("s");
    let pulled = s.api.pull_now(&id, 1, super::LEASE).await;
    names("pulling after it was idle", pulled, ErrorKind::NotFound, &id)
}

async fn retained(s: Subject) -> Outcome {
    s.publish(&["a.1", "b.1", "a.2"]).await?;
    let asks = Subscription { retained: true, ..s.subscription("asks", "a.*") };
    s.api.create_subscription(asks).await?;
    s.subscribe("does not", "a.*").await?;
    s.publish(&["a.3"]).await?;
    s.gets("asks", &["a.1", "a.2", "a.3"]).await?;
    s.gets("does not", &["a.3"]).await
}
