//! The broker against a model, and at its edges.

mod durable;
mod edges;
mod histories;
mod model;

use super::{Backoff, Broker, Limits, Now};
use stheno_sdk::events::{Message, Outcome, Pulled, Subscription, Verdict};

/// Bounds that no test meets by chance. With this back-off a retry waits 5 to
/// 10 ms, so whatever is drawn it is due 10 ms later and not at once.
const WIDE: Limits = Limits {
    attempts: 3,
    backoff: Backoff { initial_ms: 10, max_ms: 10 },
    max_events: 100_000,
    max_bytes: 64 << 20,
    retain_ms: 200,
    retain_events: 1_000,
    retain_bytes: 1 << 20,
    dead_letters: 1_000,
};

fn at(ms: u64) -> Now {
    Now { ms, unix_ms: 1_700_000_000_000u64.saturating_add(ms) }
}

fn broker(limits: Limits) -> Broker {
    Broker::new(limits, at(0), 42)
}

fn message(name: &str, data: &[u8]) -> Message {
    Message {
        name: name.to_owned(),
        data: data.to_vec(),
        metadata: Vec::new(),
        delay_ms: 0,
        priority: None,
        attempts: None,
        backoff: None,
    }
}

fn subscription(id: &str, pattern: &str) -> Subscription {
    Subscription {
        id: id.to_owned(),
        pattern: pattern.to_owned(),
        retained: false,
        idle_ttl_ms: None,
    }
}

fn pull(broker: &mut Broker, id: &str, max: u32, ms: u64) -> Pulled {
    broker.pull(&[id.to_owned()], max, 100, at(ms)).unwrap()
}

fn settle(broker: &mut Broker, token: &str, verdict: Verdict, ms: u64) -> Vec<String> {
    broker.settle(vec![Outcome { token: token.to_owned(), verdict }], at(ms))
}

/// Checks that the counts agree with what is there.
fn check(broker: &Broker) {
    let all: Vec<_> = broker
        .subscriptions
        .indices()
        .into_iter()
        .filter_map(|index| broker.subscriptions.get(index))
        .collect();
    assert_eq!(broker.queued, all.iter().map(|s| s.queue.len()).sum::<usize>());
    assert_eq!(broker.leases.len(), all.iter().map(|s| s.ends.leased).sum::<usize>());
    assert_eq!(broker.dead.len(), all.iter().map(|s| s.dead.len()).sum::<usize>());
    assert!(broker.leases.is_clean());
    assert!(broker.held() <= broker.limits.max_events);
    assert!(broker.usage.get() <= broker.limits.max_bytes);
}
