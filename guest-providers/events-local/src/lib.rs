//! `events-local`: the events module in the memory of one instance, and in a
//! store where one is granted.
//!
//! This file is the seam to the host and holds no logic: it reads the clocks
//! once per call, logs, hands over to `broker`, which never calls the host and is
//! tested natively, and has `disk` commit what the call has changed.

mod broker;
mod disk;
mod options;

use stheno_sdk::events::{
    DeadLetterPage, Events, Message, Outcome, Pulled, Subscription, SubscriptionStatus,
};
use stheno_sdk::{Description, Instances, Lifecycle, Result, clock, log};

use broker::{Broker, Limits, Now};
use disk::Disk;
use options::Options;

struct EventsLocal {
    limits: Limits,
    broker: Broker,
    /// None: nothing survives.
    disk: Option<Disk>,
}

fn now() -> Now {
    Now { ms: clock::monotonic_ms(), unix_ms: clock::unix_ms() }
}

impl EventsLocal {
    /// One call: made in memory, then committed, then answered.
    fn call<T>(&mut self, call: impl FnOnce(&mut Broker, Now) -> Result<T>) -> Result<T> {
        let now = now();
        self.agree(now)?;
        let answer = call(&mut self.broker, now);
        let dropped = self.broker.take_dropped_letters();
        if dropped > 0 {
            // Nobody can replay them any more.
            log::warn(&format!(
                "dropped the oldest {dropped} dead letters: more than `dead_letters`; replay or raise it"
            ));
        }
        // Also after an error: what outlived its time is gone all the same.
        if let Some(disk) = &mut self.disk {
            disk.save(&self.broker)?;
        }
        answer
    }

    /// Makes sure that memory is what the store has.
    fn agree(&mut self, now: Now) -> Result<()> {
        match &mut self.disk {
            Some(disk) if !disk.agrees() => {
                self.broker = disk.reload(self.limits, now)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Lifecycle for EventsLocal {
    fn describe() -> Description {
        let mut features = vec!["delay", "priority", "groups", "dead-letters", "retained"];
        if disk::granted() {
            features.push("durable");
        }
        Description::new("events-local", env!("CARGO_PKG_VERSION"), Instances::One, &features)
    }

    fn start(options: &str) -> Result<Self> {
        let options = stheno_sdk::options::parse::<Options>(options)?;
        options.check_durable(disk::granted())?;
        let (limits, now) = (options.limits()?, now());
        let (disk, broker) = match Disk::open(limits, now)? {
            Some((disk, broker)) => (Some(disk), broker),
            None => (None, Broker::new(limits, now, disk::seed(now))),
        };
        Ok(Self { limits, broker, disk })
    }

    fn health(&mut self) -> Result<()> {
        self.agree(now())
    }
}

impl Events for EventsLocal {
    fn publish(&mut self, messages: Vec<Message>) -> Result<Vec<String>> {
        self.call(|broker, now| broker.publish(messages, now))
    }

    fn stage(&mut self, group: String, ttl_ms: u64, messages: Vec<Message>) -> Result<()> {
        self.call(|broker, now| broker.stage(group, ttl_ms, messages, now))
    }

    fn release(&mut self, group: String) -> Result<u64> {
        self.call(|broker, now| broker.release(&group, now))
    }

    fn discard(&mut self, group: String, names: Vec<String>) -> Result<u64> {
        self.call(|broker, now| Ok(broker.discard(&group, &names, now)))
    }

    fn subscribe(&mut self, subscription: Subscription) -> Result<()> {
        self.call(|broker, now| broker.subscribe(subscription, now))
    }

    fn unsubscribe(&mut self, id: String) -> Result<()> {
        self.call(|broker, now| broker.unsubscribe(&id, now))
    }

    fn subscriptions(&mut self) -> Result<Vec<SubscriptionStatus>> {
        self.call(|broker, now| Ok(broker.status(now)))
    }

    fn pull(
        &mut self,
        subscriptions: Vec<String>,
        max: u32,
        _wait_ms: u64,
        lease_ms: u64,
    ) -> Result<Pulled> {
        self.call(|broker, now| broker.pull(&subscriptions, max, lease_ms, now))
    }

    fn settle(&mut self, outcomes: Vec<Outcome>) -> Result<Vec<String>> {
        self.call(|broker, now| Ok(broker.settle(outcomes, now)))
    }

    fn extend(&mut self, tokens: Vec<String>, lease_ms: u64) -> Result<Vec<String>> {
        self.call(|broker, now| broker.extend(tokens, lease_ms, now))
    }

    fn dead_letters(
        &mut self,
        subscription: Option<String>,
        after: Option<String>,
        max: u32,
    ) -> Result<DeadLetterPage> {
        self.call(|broker, now| {
            broker.dead_letters(subscription.as_deref(), after.as_deref(), max, now)
        })
    }

    fn replay_dead_letters(&mut self, ids: Vec<String>) -> Result<u64> {
        self.call(|broker, now| Ok(broker.replay(&ids, now)))
    }

    fn remove_dead_letters(&mut self, ids: Vec<String>) -> Result<u64> {
        self.call(|broker, now| Ok(broker.remove_letters(&ids, now)))
    }
}

stheno_sdk::export_events_provider!(EventsLocal);
