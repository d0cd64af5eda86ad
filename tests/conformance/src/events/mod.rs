//! The events module: `wit/deps/events/events.wit`.
//!
//! Cases pull and settle by hand, which says exactly when what happens.

mod arguments;
mod callers;
mod deliveries;
mod groups;
mod leases;
mod letters;
mod restart;
mod retries;
mod subscriptions;
mod unsupported;

use std::panic::Location;
use std::time::Duration;

use stheno::{Delivery, Events, NewEvent, Subscription, SubscriptionStatus, Verdict};

use crate::case::Case;
use crate::check::{Fault, Outcome, equal, equal_at, one, there};
use crate::subject::Subject as Of;

pub(crate) const CASES: &[&[Case]] = &[
    lifecycle!("events", Events),
    deliveries::CASES,
    subscriptions::CASES,
    retries::CASES,
    leases::CASES,
    groups::CASES,
    letters::CASES,
    arguments::CASES,
    callers::CASES,
    restart::CASES,
    unsupported::CASES,
];

type Subject = Of<Events>;

const LEASE: Duration = Duration::from_secs(30);
const LEASE_MS: u64 = 30_000;
/// More than any case publishes.
const ALL: u32 = 1_000;

impl Subject {
    /// A subscription to own names that match, which the case pulls.
    async fn subscribe(&self, id: &str, pattern: &str) -> Outcome {
        Ok(self.api.create_subscription(self.subscription(id, pattern)).await?)
    }

    /// One that asks for no feature.
    fn subscription(&self, id: &str, pattern: &str) -> Subscription {
        let (id, pattern) = (self.own(id), self.own(pattern));
        Subscription { id, pattern, retained: false, idle_ttl: None }
    }

    /// An event whose body is its name.
    fn event(&self, name: &str) -> NewEvent {
        NewEvent::bytes(self.own(name), name)
    }

    async fn publish(&self, names: &[&str]) -> Result<Vec<String>, Fault> {
        Ok(self.api.publish_all(names.iter().map(|name| self.event(name)).collect()).await?)
    }

    async fn publish_one(&self, event: NewEvent) -> Result<String, Fault> {
        one("the ids of one event", self.api.publish_all(vec![event]).await?)
    }

    /// All that is due.
    async fn pull(&self, subscription: &str) -> Result<Vec<Delivery>, Fault> {
        Ok(self.api.pull_now(&self.own(subscription), ALL, LEASE).await?.deliveries)
    }

    /// The one delivery that is due.
    #[track_caller]
    fn pull_one(&self, subscription: &str) -> impl Future<Output = Result<Delivery, Fault>> {
        let place = Location::caller();
        async move {
            let mut due = self.pull(subscription).await?;
            match (due.pop(), due.len()) {
                (Some(delivery), 0) => Ok(delivery),
                (last, others) => {
                    let found = others + usize::from(last.is_some());
                    Err(Fault::at(place, format!("{found} deliveries are due, expected one")))
                }
            }
        }
    }

    /// The names of what is due, as the case calls them; all of it is handled.
    async fn handle(&self, subscription: &str) -> Result<Vec<String>, Fault> {
        let deliveries = self.pull(subscription).await?;
        let outcomes = deliveries.iter().map(|it| (it.token.clone(), Verdict::Handled)).collect();
        equal("leases lost at once", self.api.settle(outcomes).await?, [""; 0])?;
        Ok(deliveries.into_iter().map(|it| self.short(&it.event.name)).collect())
    }

    /// What is due must have these names, in this order; it is handled.
    #[track_caller]
    fn gets(&self, subscription: &str, names: &[&str]) -> impl Future<Output = Outcome> {
        let place = Location::caller();
        async move {
            let found = self.handle(subscription).await?;
            equal_at(place, &format!("what is due for {subscription:?}"), found, names)
        }
    }

    /// An own name as the case calls it.
    fn short(&self, name: &str) -> String {
        name.strip_prefix(&self.own("")).unwrap_or(name).to_owned()
    }

    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Outcome {
        let lost = self.api.settle(vec![(delivery.token.clone(), verdict)]).await?;
        equal("leases that had run out", lost, [""; 0])
    }

    async fn status(&self, subscription: &str) -> Result<SubscriptionStatus, Fault> {
        let id = self.own(subscription);
        let mut all = self.api.subscriptions().await?.into_iter();
        there("the subscription", all.find(|status| status.subscription.id == id))
    }

    /// Waiting, leased and dead must be these.
    #[track_caller]
    fn counts(
        &self,
        subscription: &str,
        expected: (u64, u64, u64),
    ) -> impl Future<Output = Outcome> {
        let place = Location::caller();
        async move {
            let status = self.status(subscription).await?;
            let found = (status.waiting, status.leased, status.dead);
            equal_at(place, "deliveries that wait, are leased, are dead", found, expected)
        }
    }
}

fn failed() -> Verdict {
    Verdict::Failed("the case says so".to_owned())
}

fn rejected(reason: &str) -> Verdict {
    Verdict::Rejected(reason.to_owned())
}
