//! What is published is delivered.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use stheno::{Events, MAX_DATA_BYTES, NewEvent, Verdict};

use super::{ALL, LEASE, Subject};
use crate::case::Case;
use crate::check::{Outcome, equal, holds, pattern, there};

pub(crate) const CASES: &[Case] = cases! {
    Events:
    "events.publish.unchanged" =>
        "An event is delivered with its id, name, data, metadata and the time when it was published.",
        unchanged;
    "events.publish.largest" =>
        "An event may have 1 MiB of data and 64 pairs of metadata of 4 KiB together.", largest;
    "events.publish.odd" =>
        "Names have any characters but control characters, and names that look alike are different names.", odd;
    "events.publish.ids" =>
        "`publish` gives an id for each message, in their order, and none is given twice.", ids;
    "events.publish.order" =>
        "Among what is due and has one priority, the order is that of publishing.", order;
    "events.publish.handled" =>
        "What was handled is not delivered again, and settling it again records nothing.", handled;
    "events.pull.max" => "`pull` takes at most as many as it is asked for, and the rest stays due.", max;
    "events.pull.next-due" =>
        "`pull` says when the next delivery is due, 0 if more is due now, and none if nothing waits." [with "delay"],
        next_due;
    "events.pull.unknown" =>
        "Pulling for a subscription that does not exist is `not-found` and names it.", unknown;
    "events.delay.edge" =>
        "An event with a delay is due when the delay has passed, and not a millisecond earlier." [with "delay"],
        delay;
    "events.priority.order" =>
        "Among what is due, lower priority comes first, then the order of publishing; the default is 100." [with "priority"],
        priority;
};

async fn unchanged(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.pass(1_234);
    let metadata = vec![("k".to_owned(), "v ü".to_owned()), ("k".to_owned(), String::new())];
    let data: Vec<u8> = (0..=255).collect();
    let name = s.own("order.placed");
    let event = NewEvent { metadata: metadata.clone(), ..NewEvent::bytes(&name, data.clone()) };
    let id = s.publish_one(event).await?;
    let found = s.pull_one("s").await?;
    equal("the subscription", found.subscription, s.own("s"))?;
    let event = found.event;
    equal("the id", event.id, id)?;
    equal("the name", event.name, name)?;
    equal("the data", event.data, data)?;
    equal("the metadata", event.metadata, metadata)?;
    equal("the attempt", event.attempt, 1)?;
    let published = event.published.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    equal("the milliseconds of the time of publishing", published.subsec_millis(), 234)
}

async fn largest(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let data = pattern(MAX_DATA_BYTES);
    let metadata: Vec<_> = (0..64).map(|n| (format!("{n:02}"), "v".repeat(62))).collect();
    let event =
        NewEvent { metadata: metadata.clone(), ..NewEvent::bytes(s.own("e"), data.clone()) };
    s.publish_one(event).await?;
    let event = s.pull_one("s").await?.event;
    holds(event.data == data, || {
        format!("{} bytes of data came back, or others", event.data.len())
    })?;
    equal("the metadata", event.metadata, metadata)
}

async fn odd(s: Subject) -> Outcome {
    let own = s.own("");
    let longest = "n".repeat(255 - own.len());
    let sibling = format!("{}m", "n".repeat(254 - own.len()));
    let names = [
        " ",
        "a",
        "A",
        "a ",
        "a.b",
        "a/b",
        "a\\b",
        "a:b",
        "?",
        "[a]",
        "^a$",
        "%61",
        "'",
        "\"",
        "ä",
        "a\u{308}",
        "日本",
        "🦀",
        "{a}",
        longest.as_str(),
        sibling.as_str(),
    ];
    for name in names {
        s.subscribe(name, name).await?;
    }
    s.publish(&names).await?;
    for name in names {
        s.gets(name, &[name]).await?;
    }
    Ok(())
}

async fn ids(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let mut ids = s.publish(&["a", "b", "a"]).await?;
    ids.extend(s.publish(&["a", "d"]).await?);
    let due = s.pull("s").await?;
    let found: Vec<_> = due.iter().map(|it| it.event.id.clone()).collect();
    equal("the ids that were delivered", &found, &ids)?;
    equal("how many ids differ", found.iter().collect::<BTreeSet<_>>().len(), 5)
}

async fn order(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let names: Vec<String> = (0..50).map(|n| format!("e{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for part in names.chunks(7) {
        s.publish(part).await?;
        s.pass(1);
    }
    s.gets("s", &names).await
}

async fn handled(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["e"]).await?;
    let delivery = s.pull_one("s").await?;
    s.settle(&delivery, Verdict::Handled).await?;
    s.counts("s", (0, 0, 0)).await?;
    for late in [super::failed(), Verdict::Handled, Verdict::Returned] {
        let lost = s.api.settle(vec![(delivery.token.clone(), late)]).await?;
        equal("tokens that were settled before", &lost, std::slice::from_ref(&delivery.token))?;
    }
    s.pass(10_000_000);
    s.gets("s", &[]).await?;
    s.counts("s", (0, 0, 0)).await
}

async fn max(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.publish(&["a", "b", "c"]).await?;
    let id = s.own("s");
    let first = s.api.pull_now(&id, 2, LEASE).await?;
    let names: Vec<_> = first.deliveries.iter().map(|it| s.short(&it.event.name)).collect();
    equal("the first two", names, ["a", "b"])?;
    equal("when more is due, with more due now", first.next_due, Some(Duration::ZERO))?;
    s.counts("s", (1, 2, 0)).await?;
    s.gets("s", &["c"]).await
}

async fn next_due(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let id = s.own("s");
    equal("when nothing waits", s.api.pull_now(&id, ALL, LEASE).await?.next_due, None)?;
    for delay in [30, 20] {
        let delay = Duration::from_secs(delay);
        s.publish_one(NewEvent { delay, ..s.event("e") }).await?;
    }
    let pulled = s.api.pull_now(&id, ALL, LEASE).await?;
    equal("what is due now", pulled.deliveries, [])?;
    equal("when the next is due", pulled.next_due, Some(Duration::from_secs(20)))
}

async fn unknown(s: Subject) -> Outcome {
    let id = s.own("nobody");
    let pulled = s.api.pull_now(&id, 1, LEASE).await;
    crate::check::names("pulling", pulled, stheno::ErrorKind::NotFound, &id)
}

async fn delay(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    for millis in [1, 1_000, 86_400_000] {
        let delay = Duration::from_millis(millis);
        s.publish_one(NewEvent { delay, ..s.event("later") }).await?;
        s.publish(&["now"]).await?;
        s.gets("s", &["now"]).await?;
        s.pass(millis - 1);
        s.gets("s", &[]).await?;
        s.pass(1);
        s.gets("s", &["later"]).await?;
    }
    Ok(())
}

async fn priority(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let event = |name: &str, priority| NewEvent { priority, ..s.event(name) };
    let events = vec![
        event("last", Some(2_097_152)),
        event("default", None),
        event("hundred", Some(100)),
        event("late", Some(101)),
        event("first", Some(1)),
        event("early", Some(99)),
        event("first too", Some(1)),
    ];
    s.api.publish_all(events).await?;
    let due = s.pull("s").await?;
    let names: Vec<_> = due.iter().map(|it| s.short(&it.event.name)).collect();
    let expected = ["first", "first too", "early", "default", "hundred", "late", "last"];
    equal("the order", names, expected)?;
    let default = due.iter().find(|it| it.event.name == s.own("default"));
    equal("the default", there("the event", default)?.event.priority, 100)
}
