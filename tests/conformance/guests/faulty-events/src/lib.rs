//! `events-local` with one fault at a time.

// The logic is the real provider's, so that nothing is wrong but the fault.
#[path = "../../../../../guest-providers/events-local/src/broker/mod.rs"]
mod broker;
#[path = "../../../../../guest-providers/events-local/src/disk.rs"]
mod disk;
#[path = "../../../../../guest-providers/events-local/src/options.rs"]
mod options;

use faulty_support::{left_out, split};
use serde::Deserialize;
use stheno_sdk::events::{
    DeadLetterPage, Events, Message, Outcome, Pulled, Subscription, SubscriptionStatus, Verdict,
};
use stheno_sdk::{Description, Instances, Lifecycle, Result, clock};

use broker::{Broker, Limits, Now};
use disk::Disk;
use options::Options;

const PLAIN: bool = cfg!(feature = "plain");

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    #[default]
    None,
    /// What was handled is delivered once more.
    DeliversHandled,
    /// A delay is a millisecond too short.
    DueEarly,
    /// All events have the same priority.
    IgnoresPriority,
    /// A lease never runs out.
    LeasesForEver,
    /// Staged events are published at once.
    PublishesStaged,
    /// What was rejected is gone.
    ForgetsDeadLetters,
    /// There is no wait between attempts.
    RetriesAtOnce,
    /// The last event of a call is lost.
    LosesLast,
    /// The same id with another pattern is taken.
    ReplacesSubscriptions,
    /// It says that it is durable and keeps nothing.
    ForgetsOnRestart,
}

struct Faulty {
    fault: Fault,
    limits: Limits,
    broker: Broker,
    disk: Option<Disk>,
}

fn now() -> Now {
    Now { ms: clock::monotonic_ms(), unix_ms: clock::unix_ms() }
}

impl Faulty {
    fn call<T>(&mut self, call: impl FnOnce(&mut Broker, Now) -> Result<T>) -> Result<T> {
        let now = now();
        if let Some(disk) = &mut self.disk
            && !disk.agrees()
        {
            self.broker = disk.reload(self.limits, now)?;
        }
        let answer = call(&mut self.broker, now);
        self.broker.take_dropped_letters();
        if let Some(disk) = &mut self.disk {
            disk.save(&self.broker)?;
        }
        answer
    }

    fn spoil(&self, messages: &mut Vec<Message>) {
        if self.fault == Fault::LosesLast && messages.len() > 1 {
            messages.pop();
        }
        for message in messages {
            match self.fault {
                Fault::DueEarly => message.delay_ms = message.delay_ms.saturating_sub(1),
                Fault::IgnoresPriority => message.priority = None,
                Fault::RetriesAtOnce => {
                    message.backoff =
                        Some(stheno_sdk::events::Backoff { initial_ms: 0, max_ms: 0 });
                }
                _ => {}
            }
        }
    }
}

fn check(messages: &[Message]) -> Result<()> {
    if PLAIN && messages.iter().any(|message| message.delay_ms > 0) {
        return left_out("delay");
    }
    if PLAIN && messages.iter().any(|message| message.priority.is_some()) {
        return left_out("priority");
    }
    Ok(())
}

impl Lifecycle for Faulty {
    fn describe() -> Description {
        let mut features = vec!["delay", "priority", "groups", "dead-letters", "retained"];
        if PLAIN {
            features.clear();
        } else if disk::granted() {
            features.push("durable");
        }
        let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        Description::new(name, version, Instances::One, &features)
    }

    fn start(options: &str) -> Result<Self> {
        let (fault, options) = split(options)?;
        let options = stheno_sdk::options::parse::<Options>(&options)?;
        let (limits, now) = (options.limits()?, now());
        options.check_durable(disk::granted())?;
        let keeps = !PLAIN && fault != Fault::ForgetsOnRestart;
        let (disk, broker) = match if keeps { Disk::open(limits, now)? } else { None } {
            Some((disk, broker)) => (Some(disk), broker),
            None => (None, Broker::new(limits, now, disk::seed(now))),
        };
        Ok(Self { fault, limits, broker, disk })
    }
}

impl Events for Faulty {
    fn publish(&mut self, mut messages: Vec<Message>) -> Result<Vec<String>> {
        check(&messages)?;
        let asked = messages.len();
        self.spoil(&mut messages);
        let mut ids = self.call(|broker, now| broker.publish(messages, now))?;
        ids.resize(asked, "lost".to_owned());
        Ok(ids)
    }

    fn stage(&mut self, group: String, ttl_ms: u64, messages: Vec<Message>) -> Result<()> {
        if PLAIN {
            return left_out("groups");
        }
        if self.fault == Fault::PublishesStaged {
            return self.publish(messages).map(drop);
        }
        self.call(|broker, now| broker.stage(group, ttl_ms, messages, now))
    }

    fn release(&mut self, group: String) -> Result<u64> {
        if PLAIN {
            return left_out("groups");
        }
        self.call(|broker, now| broker.release(&group, now))
    }

    fn discard(&mut self, group: String, names: Vec<String>) -> Result<u64> {
        if PLAIN {
            return left_out("groups");
        }
        self.call(|broker, now| Ok(broker.discard(&group, &names, now)))
    }

    fn subscribe(&mut self, subscription: Subscription) -> Result<()> {
        if PLAIN && subscription.retained {
            return left_out("retained");
        }
        let replaces = self.fault == Fault::ReplacesSubscriptions;
        self.call(|broker, now| match broker.subscribe(subscription.clone(), now) {
            Err(_) if replaces => {
                broker.unsubscribe(&subscription.id, now)?;
                broker.subscribe(subscription, now)
            }
            subscribed => subscribed,
        })
    }

    fn unsubscribe(&mut self, id: String) -> Result<()> {
        self.call(|broker, now| broker.unsubscribe(&id, now))
    }

    fn subscriptions(&mut self) -> Result<Vec<SubscriptionStatus>> {
        self.call(|broker, now| Ok(broker.status(now)))
    }

    fn pull(&mut self, ids: Vec<String>, max: u32, _: u64, mut lease_ms: u64) -> Result<Pulled> {
        if self.fault == Fault::LeasesForEver {
            lease_ms = u64::MAX;
        }
        self.call(|broker, now| broker.pull(&ids, max, lease_ms, now))
    }

    fn settle(&mut self, mut outcomes: Vec<Outcome>) -> Result<Vec<String>> {
        for outcome in &mut outcomes {
            match (self.fault, &outcome.verdict) {
                (Fault::DeliversHandled, Verdict::Handled) => outcome.verdict = Verdict::Returned,
                (Fault::ForgetsDeadLetters, Verdict::Rejected(_)) => {
                    outcome.verdict = Verdict::Handled;
                }
                _ => {}
            }
        }
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
        if PLAIN {
            return left_out("dead letters");
        }
        self.call(|broker, now| {
            broker.dead_letters(subscription.as_deref(), after.as_deref(), max, now)
        })
    }

    fn replay_dead_letters(&mut self, ids: Vec<String>) -> Result<u64> {
        if PLAIN {
            return left_out("dead letters");
        }
        self.call(|broker, now| Ok(broker.replay(&ids, now)))
    }

    fn remove_dead_letters(&mut self, ids: Vec<String>) -> Result<u64> {
        if PLAIN {
            return left_out("dead letters");
        }
        self.call(|broker, now| Ok(broker.remove_letters(&ids, now)))
    }
}

stheno_sdk::export_events_provider!(Faulty);
