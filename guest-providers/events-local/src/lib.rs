//! `events-local`: the events module in the memory of one instance.
//!
//! This file is the seam to the host and holds no logic: it reads the clocks
//! once per call, logs, and hands over to `broker`, which never calls the
//! host and is tested natively.

mod broker;
mod options;

use std::hash::{BuildHasher, RandomState};

use stheno_sdk::events::{
    DeadLetterPage, Events, Message, Outcome, Pulled, Subscription, SubscriptionStatus,
};
use stheno_sdk::{Description, Instances, Lifecycle, Result, clock, log};

use broker::{Broker, Now};
use options::Options;

struct EventsLocal {
    broker: Broker,
}

fn now() -> Now {
    Now { ms: clock::monotonic_ms(), unix_ms: clock::unix_ms() }
}

impl EventsLocal {
    /// Says so when dead letters had to go; nobody could replay them any more.
    fn log_dropped(&mut self) {
        let dropped = self.broker.take_dropped_letters();
        if dropped > 0 {
            log::warn(&format!(
                "dropped the oldest {dropped} dead letters: more than `dead_letters`; replay or raise it"
            ));
        }
    }
}

impl Lifecycle for EventsLocal {
    fn describe() -> Description {
        let features = ["delay", "priority", "groups", "dead-letters", "retained"];
        Description::new("events-local", env!("CARGO_PKG_VERSION"), Instances::One, &features)
    }

    fn start(options: &str) -> Result<Self> {
        let limits = stheno_sdk::options::parse::<Options>(options)?.limits()?;
        let now = now();
        let seed = RandomState::new().hash_one(now.unix_ms);
        Ok(Self { broker: Broker::new(limits, now, seed) })
    }
}

impl Events for EventsLocal {
    fn publish(&mut self, messages: Vec<Message>) -> Result<Vec<String>> {
        self.broker.publish(messages, now())
    }

    fn stage(&mut self, group: String, ttl_ms: u64, messages: Vec<Message>) -> Result<()> {
        self.broker.stage(group, ttl_ms, messages, now())
    }

    fn release(&mut self, group: String) -> Result<u64> {
        self.broker.release(&group, now())
    }

    fn discard(&mut self, group: String, names: Vec<String>) -> Result<u64> {
        Ok(self.broker.discard(&group, &names, now()))
    }

    fn subscribe(&mut self, subscription: Subscription) -> Result<()> {
        self.broker.subscribe(subscription, now())
    }

    fn unsubscribe(&mut self, id: String) -> Result<()> {
        self.broker.unsubscribe(&id, now())
    }

    fn subscriptions(&mut self) -> Result<Vec<SubscriptionStatus>> {
        let status = self.broker.status(now());
        self.log_dropped();
        Ok(status)
    }

    fn pull(
        &mut self,
        subscriptions: Vec<String>,
        max: u32,
        _wait_ms: u64,
        lease_ms: u64,
    ) -> Result<Pulled> {
        let pulled = self.broker.pull(&subscriptions, max, lease_ms, now());
        self.log_dropped();
        pulled
    }

    fn settle(&mut self, outcomes: Vec<Outcome>) -> Result<Vec<String>> {
        let lost = self.broker.settle(outcomes, now());
        self.log_dropped();
        Ok(lost)
    }

    fn extend(&mut self, tokens: Vec<String>, lease_ms: u64) -> Result<Vec<String>> {
        self.broker.extend(tokens, lease_ms, now())
    }

    fn dead_letters(
        &mut self,
        subscription: Option<String>,
        after: Option<String>,
        max: u32,
    ) -> Result<DeadLetterPage> {
        let page = self.broker.dead_letters(subscription.as_deref(), after.as_deref(), max, now());
        self.log_dropped();
        page
    }

    fn replay_dead_letters(&mut self, ids: Vec<String>) -> Result<u64> {
        Ok(self.broker.replay(&ids, now()))
    }

    fn remove_dead_letters(&mut self, ids: Vec<String>) -> Result<u64> {
        Ok(self.broker.remove_letters(&ids, now()))
    }
}

stheno_sdk::export_events_provider!(EventsLocal);
