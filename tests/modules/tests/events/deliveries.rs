//! What is published reaches whoever subscribed, as it was, in order.

use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, stream};
use stheno::{MAX_DATA_BYTES, NewEvent, Verdict};

use crate::{ALL, LEASE, Subject, event, failed};

async fn an_event_arrives_as_it_was_published(subject: Subject) {
    subject.subscribe("s", "*").await;
    let all_bytes: Vec<u8> = (0..=255).collect();
    let sent = NewEvent {
        metadata: vec![
            ("trace".into(), "1".into()),
            ("trace".into(), "2".into()),
            (String::new(), "日本 🦀 \0\n\"".into()),
        ],
        priority: Some(7),
        attempts: Some(3),
        ..NewEvent::bytes("order.placed 日本 🦀 *", all_bytes.clone())
    };
    let ids = subject.publish_all([sent.clone()]).await;
    let delivery = subject.pull_one("s").await;
    let got = &delivery.event;
    assert_eq!(delivery.subscription, "s");
    assert_eq!((&got.id, &got.name), (&ids[0], &sent.name));
    assert_eq!((&got.data, &got.metadata), (&all_bytes, &sent.metadata));
    assert_eq!((got.priority, got.attempt, got.attempts), (7, 1, 3));
    let since_2000 = Duration::from_secs(946_684_800);
    assert_eq!(got.published, SystemTime::UNIX_EPOCH + since_2000);
}

async fn a_body_of_any_size_arrives_byte_for_byte(subject: Subject) {
    subject.subscribe("s", "*").await;
    for size in [0, 1, 65_535, 65_536, MAX_DATA_BYTES] {
        let data: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        subject.publish_all([NewEvent::bytes("sized", data.clone())]).await;
        let delivery = subject.pull_one("s").await;
        assert!(delivery.event.data == data, "{size} bytes");
        subject.settle(&delivery, Verdict::Handled).await;
    }
}

async fn a_typed_body_is_json(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.events.publish("typed", &("text", 7, [true])).metadata("k", "v").await.unwrap();
    let event = subject.pull_one("s").await.event;
    assert_eq!(event.data, br#"["text",7,[true]]"#);
    assert_eq!(event.json::<(String, u8, Vec<bool>)>().unwrap(), ("text".into(), 7, vec![true]));
    assert_eq!(event.json::<u8>().unwrap_err().kind(), stheno::ErrorKind::Encoding);
    assert_eq!(event.metadata, [("k".to_owned(), "v".to_owned())]);
}

async fn every_matching_subscription_gets_its_own(subject: Subject) {
    subject.subscribe("all", "*").await;
    subject.subscribe("orders", "order.*").await;
    subject.subscribe("carts", "cart.*").await;
    let id = subject.publish("order.placed").await;
    let (all, orders) = (subject.pull_one("all").await, subject.pull_one("orders").await);
    assert_eq!((&all.event.id, &orders.event.id), (&id, &id));
    assert_ne!(all.token, orders.token);
    assert!(subject.pull("carts").await.is_empty());
    // Settling one is nothing to the other.
    subject.settle(&all, Verdict::Handled).await;
    assert_eq!(subject.counts("orders").await, (0, 1, 0));
    subject.settle(&orders, failed("busy")).await;
    assert_eq!(subject.counts("all").await, (0, 0, 0));
    assert_eq!(subject.counts("orders").await, (1, 0, 0));
}

async fn what_is_leased_is_nobody_elses(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish("once").await;
    assert_eq!(subject.pull("s").await.len(), 1);
    assert!(subject.pull("s").await.is_empty());
    assert_eq!(subject.counts("s").await, (0, 1, 0));
}

async fn patterns_take_what_the_contract_says(subject: Subject) {
    const NAMES: &[&str] = &[
        "order",
        "order.",
        "order.placed",
        "order.item.added",
        "orders.placed",
        "Order.placed",
        "order.*",
        "reorder.placed",
        "a.b",
        "a-b",
        "axb",
        "a*b",
        "ab",
        "[ab]",
        "日.本",
        "日本",
    ];
    const PATTERNS: &[&str] = &[
        "*",
        "order",
        "order.*",
        "*.placed",
        "order.*.added",
        "*order*",
        "a.b",
        "a*b",
        "a**b",
        "[ab]",
        "日*",
        "*本",
        "**",
        "Order.*",
        "none.*",
        "order.placed*",
    ];
    /// What the contract says, tried the slow way.
    fn matches(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
            (Some((one, pattern)), Some((other, text))) => one == other && matches(pattern, text),
            _ => false,
        }
    }
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    for pattern in PATTERNS {
        subject.subscribe(pattern, pattern).await;
    }
    subject.publish_all(NAMES.iter().map(|&name| event(name))).await;
    for pattern in PATTERNS {
        let expected: Vec<_> = NAMES
            .iter()
            .filter(|name| matches(&chars(pattern), &chars(name)))
            .map(|&name| name.to_owned())
            .collect();
        assert_eq!(subject.handle(pattern).await, expected, "{pattern}");
    }
}

async fn lower_priority_comes_first_then_the_order_of_publishing(subject: Subject) {
    subject.subscribe("s", "*").await;
    let events = [
        ("a", None),
        ("b", Some(100)),
        ("c", Some(2_097_152)),
        ("d", Some(1)),
        ("e", Some(99)),
        ("f", None),
        ("g", Some(1)),
        ("h", Some(101)),
    ];
    let events = events.map(|(name, priority)| NewEvent { priority, ..event(name) });
    subject.publish_all(events).await;
    assert_eq!(subject.handle("s").await, ["d", "g", "e", "a", "b", "f", "h", "c"]);
}

async fn many_come_in_the_order_of_publishing_whatever_the_batches(subject: Subject) {
    subject.subscribe("s", "*").await;
    let names: Vec<_> = (0..2_500).map(|n| format!("n{n}")).collect();
    let mut ids = Vec::new();
    for batch in names.chunks(999) {
        ids.extend(subject.publish_all(batch.iter().map(event)).await);
    }
    assert_eq!(ids.len(), names.len());
    let mut seen = Vec::new();
    for max in [1, 2, 997, ALL, ALL, ALL] {
        let pulled = subject.events.pull_now("s", max, LEASE).await.unwrap();
        assert!(pulled.deliveries.len() <= max as usize);
        let left = seen.len() + pulled.deliveries.len() < names.len();
        assert_eq!(pulled.next_due == Some(Duration::ZERO), left, "whether more is due");
        seen.extend(pulled.deliveries.into_iter().map(|delivery| delivery.event));
    }
    let seen_names: Vec<_> = seen.iter().map(|event| event.name.clone()).collect();
    let seen_ids: Vec<_> = seen.iter().map(|event| event.id.clone()).collect();
    assert_eq!((seen_names, &seen_ids), (names, &ids));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2_500, "ids are unique");
}

async fn a_delayed_event_comes_when_its_delay_is_over_and_not_before(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.events.publish("later", &1).delay(Duration::from_millis(100)).await.unwrap();
    subject.publish("now").await;
    assert_eq!(subject.handle("s").await, ["now"]);
    assert_eq!(subject.counts("s").await, (1, 0, 0));
    subject.pass(99);
    let pulled = subject.events.pull_now("s", ALL, LEASE).await.unwrap();
    assert!(pulled.deliveries.is_empty());
    assert_eq!(pulled.next_due, Some(Duration::from_millis(1)));
    subject.pass(1);
    assert_eq!(subject.handle("s").await, ["later"]);
    assert_eq!(subject.events.pull_now("s", ALL, LEASE).await.unwrap().next_due, None);
}

async fn the_longest_delay_is_for_ever(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.pass(1_000);
    subject.events.publish("never", &1).delay(Duration::MAX).await.unwrap();
    subject.clock.advance(Duration::from_secs(100 * 365 * 86_400));
    assert!(subject.pull("s").await.is_empty());
    assert_eq!(subject.counts("s").await, (1, 0, 0));
}

async fn all_of_a_call_are_accepted_or_none(subject: Subject) {
    subject.subscribe("s", "*").await;
    let wrong = NewEvent { attempts: Some(0), ..event("wrong") };
    let result = subject.events.publish_all(vec![event("right"), wrong]).await;
    assert_eq!(result.unwrap_err().kind(), stheno::ErrorKind::InvalidArgument);
    assert!(subject.pull("s").await.is_empty());
    assert!(subject.publish_all([]).await.is_empty());
}

async fn whoever_waits_is_woken_by_an_event_a_delay_and_a_return(subject: Subject) {
    subject.subscribe("s", "*").await;
    let minute = Duration::from_secs(60);
    let waiting = || {
        let events = subject.events.clone();
        tokio::spawn(async move { events.pull("s", ALL, minute, LEASE).await.unwrap() })
    };
    let waits = waiting();
    let id = subject.publish("awaited").await;
    let deliveries = waits.await.unwrap();
    assert_eq!(deliveries[0].event.id, id);

    let waits = waiting();
    subject.settle(&deliveries[0], Verdict::Returned).await;
    let deliveries = waits.await.unwrap();
    assert_eq!(deliveries[0].event.id, id);
    subject.settle(&deliveries[0], Verdict::Handled).await;

    subject.events.publish("delayed", &1).delay(Duration::from_secs(10)).await.unwrap();
    let waits = waiting();
    subject.pass(9_999);
    subject.pass(1);
    assert_eq!(waits.await.unwrap()[0].event.name, "delayed");
}

async fn whoever_waits_learns_of_a_retry_that_comes_before_his_time(subject: Subject) {
    subject.subscribe("s", "*").await;
    let wait = Duration::from_millis(10);
    subject.events.publish("again", &1).backoff(wait, wait).await.unwrap();
    let first = subject.pull_one("s").await;
    let events = subject.events.clone();
    let waits = tokio::spawn(async move {
        events.pull("s", ALL, Duration::from_secs(20), LEASE).await.unwrap()
    });
    tokio::task::yield_now().await;
    subject.settle(&first, failed("busy")).await;
    subject.pass(10);
    let deliveries = waits.await.unwrap();
    assert_eq!((deliveries.len(), deliveries[0].event.attempt), (1, 2));
}

async fn waiting_ends_without_an_event_when_its_time_is_over(subject: Subject) {
    subject.subscribe("s", "*").await;
    let events = subject.events.clone();
    let waits =
        tokio::spawn(
            async move { events.pull("s", ALL, Duration::from_secs(5), LEASE).await.unwrap() },
        );
    // It may not have begun yet, so the time goes on until it ends.
    while !waits.is_finished() {
        subject.pass(1_000);
        tokio::task::yield_now().await;
    }
    assert!(waits.await.unwrap().is_empty());
}

async fn what_was_pulled_for_somebody_who_went_away_is_due_again(subject: Subject) {
    subject.subscribe("s", "*").await;
    for round in 0..20 {
        let events = subject.events.clone();
        let waits = tokio::spawn(async move {
            events.pull("s", ALL, Duration::from_secs(60), LEASE).await.unwrap()
        });
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        subject.publish("for whom").await;
        waits.abort();
        // Nothing is lost: he has it, or the next one who asks gets it, as if
        // nobody had pulled before.
        let deliveries = match waits.await {
            Ok(deliveries) => deliveries,
            Err(_) => subject.events.pull("s", ALL, Duration::from_secs(60), LEASE).await.unwrap(),
        };
        assert_eq!(deliveries.len(), 1);
        assert_eq!(deliveries[0].event.attempt, 1);
        subject.settle(&deliveries[0], Verdict::Handled).await;
        assert_eq!(subject.counts("s").await, (0, 0, 0));
    }
}

/// While the body of the loop runs nobody polls what else has begun.
async fn callers_may_settle_while_their_own_publishing_is_under_way(subject: Subject) {
    subject.subscribe("s", "*").await;
    let mut publishing = stream::iter(0..200)
        .map(|n| subject.events.publish("e", &n).into_future())
        .buffer_unordered(8);
    while let Some(published) = publishing.next().await {
        published.unwrap();
        subject.handle("s").await;
    }
    assert_eq!(subject.counts("s").await, (0, 0, 0));
}

for_every_provider! {
    callers_may_settle_while_their_own_publishing_is_under_way,
    an_event_arrives_as_it_was_published,
    a_body_of_any_size_arrives_byte_for_byte,
    a_typed_body_is_json,
    every_matching_subscription_gets_its_own,
    what_is_leased_is_nobody_elses,
    patterns_take_what_the_contract_says,
    lower_priority_comes_first_then_the_order_of_publishing,
    many_come_in_the_order_of_publishing_whatever_the_batches,
    a_delayed_event_comes_when_its_delay_is_over_and_not_before,
    the_longest_delay_is_for_ever,
    all_of_a_call_are_accepted_or_none,
    whoever_waits_is_woken_by_an_event_a_delay_and_a_return,
    whoever_waits_learns_of_a_retry_that_comes_before_his_time,
    waiting_ends_without_an_event_when_its_time_is_over,
    what_was_pulled_for_somebody_who_went_away_is_due_again,
}
