//! The calls into the provider, and the news that something may be due.
//!
//! Publishing is gathered ([`PublishBatch`]).
//!
//! A provider of one instance cannot wait for events, so the host does: every
//! call that can make something due raises [`Calls::activity`], and who waits
//! looks again then, or when the provider said that something will be due.

use std::sync::Arc;
use std::time::Duration;

use stheno_contracts::events as contract;
use stheno_engine::{Clock, Coalescer, EventsModule, Provider};
use tokio::sync::{oneshot, watch};

use super::args::{self, MAX_ITEMS};
use super::batch::{PublishBatch, is_durable};
use super::door::Door;
use super::{
    DeadLetter, DeadLetterPage, Delivery, Event, Pulled, Subscription, SubscriptionStatus, Verdict,
    at,
};
use crate::{Error, ErrorKind};

/// How long a provider of many instances may wait in one pull, and so the
/// longest that going away or stopping waits for it.
pub(super) const PULL_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Calls {
    provider: Provider<EventsModule>,
    publish: Coalescer<PublishBatch>,
    clock: Clock,
    door: Door,
}

impl Calls {
    pub(super) fn new(provider: Provider<EventsModule>, clock: Clock) -> Self {
        let batch = PublishBatch::new(provider.clone());
        let waiting = provider.limits().queue.get() as usize;
        Self { publish: Coalescer::new(batch, waiting), provider, clock, door: Door::new() }
    }

    pub(super) fn provider(&self) -> &Provider<EventsModule> {
        &self.provider
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Closed when the runtime stops.
    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    /// Whether what it was given outlives the process.
    pub(super) fn is_durable(&self) -> bool {
        is_durable(&self.provider)
    }

    /// Changes whenever something may have become due.
    pub(super) fn activity(&self) -> watch::Receiver<()> {
        self.publish.batch().activity().subscribe()
    }

    fn raise(&self) {
        self.publish.batch().activity().send_replace(());
    }

    pub(super) async fn publish(
        &self,
        messages: Vec<contract::Message>,
    ) -> Result<Vec<String>, Error> {
        let _inside = self.door.enter()?;
        Ok(self.publish.ask(messages).await?)
    }

    pub(super) async fn stage(
        &self,
        group: String,
        ttl_ms: u64,
        messages: Vec<contract::Message>,
    ) -> Result<(), Error> {
        let _inside = self.door.enter()?;
        let staged = self.provider.call(move |guest| {
            Box::pin(async move {
                guest.module.call_stage(guest.store, &group, ttl_ms, &messages).await
            })
        });
        Ok(staged.await?)
    }

    pub(super) async fn release(&self, group: String) -> Result<u64, Error> {
        let _inside = self.door.enter()?;
        let released = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_release(guest.store, &group).await })
        });
        let released = released.await?;
        self.raise();
        Ok(released)
    }

    pub(super) async fn discard(&self, group: String, names: Vec<String>) -> Result<u64, Error> {
        let discarded = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_discard(guest.store, &group, &names).await })
        });
        Ok(discarded.await?)
    }

    pub(super) async fn subscribe(
        &self,
        subscription: contract::Subscription,
    ) -> Result<(), Error> {
        let subscribed = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_subscribe(guest.store, &subscription).await })
        });
        Ok(subscribed.await?)
    }

    pub(super) async fn unsubscribe(&self, id: String) -> Result<(), Error> {
        let removed = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_unsubscribe(guest.store, &id).await })
        });
        Ok(removed.await?)
    }

    pub(super) async fn subscriptions(&self) -> Result<Vec<SubscriptionStatus>, Error> {
        let all = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_subscriptions(guest.store).await })
        });
        Ok(all.await?.into_iter().map(SubscriptionStatus::from).collect())
    }

    /// One look at what is due. A provider of many instances may wait for
    /// `wait` meanwhile.
    pub(super) async fn pull(
        &self,
        subscription: String,
        max: u32,
        wait: Duration,
        lease: Duration,
    ) -> Result<Pulled, Error> {
        if max == 0 || max as usize > MAX_ITEMS {
            return Err(Error::invalid(format!("max is {max}, must be 1 to {MAX_ITEMS}")));
        }
        let lease_ms = args::at_least_a_moment("lease", lease)?;
        let wait_ms = args::millis(wait);
        let subscriptions = vec![subscription];
        let pulled = self.provider.call(move |guest| {
            Box::pin(async move {
                guest.module.call_pull(guest.store, &subscriptions, max, wait_ms, lease_ms).await
            })
        });
        Ok(pulled.await?.into())
    }

    /// Looks again and again until something is due or `wait` has passed. It
    /// looks in a task of its own: if who asked goes away meanwhile, what was
    /// pulled for him is given back.
    pub(super) async fn pull_waiting(
        self: &Arc<Self>,
        subscription: String,
        max: u32,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, Error> {
        let calls = Arc::clone(self);
        let mut stop = self.door.wait_inside();
        let (mut reply, answer) = oneshot::channel();
        tokio::spawn(async move {
            let gone = async {
                tokio::select! {
                    () = reply.closed() => {}
                    // An error is a runtime that was dropped, so it stops too.
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            };
            let pulled = calls.look(subscription, max, wait, lease, gone).await;
            // Where it cannot be sent it is dropped, which gives it back.
            let _ = reply.send(pulled.map(|deliveries| Unclaimed { deliveries, calls, stop }));
        });
        match answer.await {
            Ok(pulled) => pulled.map(Unclaimed::claim),
            Err(_) => Err(Error::new(ErrorKind::Internal, "the pull ended without an answer")),
        }
    }

    /// Looks until something is due, `wait` has passed, or `gone` has ended. A
    /// call under way is never dropped: what it brings is leased already.
    async fn look(
        &self,
        subscription: String,
        max: u32,
        wait: Duration,
        lease: Duration,
        gone: impl Future<Output = ()>,
    ) -> Result<Vec<Delivery>, Error> {
        tokio::pin!(gone);
        let mut activity = self.activity();
        let deadline = self.clock.monotonic().saturating_add(wait);
        loop {
            activity.mark_unchanged();
            let now = self.clock.monotonic();
            let left = deadline.saturating_sub(now);
            let wait = if self.provider.is_single() { Duration::ZERO } else { left.min(PULL_WAIT) };
            let pulled = self.pull(subscription.clone(), max, wait, lease).await?;
            if !pulled.deliveries.is_empty() || self.clock.monotonic() >= deadline {
                return Ok(pulled.deliveries);
            }
            let again =
                pulled.next_due.map_or(deadline, |due| deadline.min(now.saturating_add(due)));
            tokio::select! {
                biased;
                () = &mut gone => return Ok(Vec::new()),
                _ = activity.changed() => {}
                () = self.clock.sleep_until(again) => {}
            }
        }
    }

    /// Makes deliveries that nobody took due again.
    async fn give_back(&self, deliveries: Vec<Delivery>) {
        let outcomes: Vec<_> = deliveries
            .into_iter()
            .map(|delivery| contract::Outcome {
                token: delivery.token,
                verdict: contract::Verdict::Returned,
            })
            .collect();
        if outcomes.is_empty() {
            return;
        }
        if let Err(error) = self.settle(outcomes).await {
            tracing::warn!(%error, "events that nobody waited for come again after their lease");
        }
    }

    pub(super) async fn settle(
        &self,
        outcomes: Vec<contract::Outcome>,
    ) -> Result<Vec<String>, Error> {
        // A failed one is due later, and perhaps before anything else is.
        let due_again = outcomes.iter().any(|outcome| {
            matches!(outcome.verdict, contract::Verdict::Returned | contract::Verdict::Failed(_))
        });
        let settled = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_settle(guest.store, &outcomes).await })
        });
        let lost = settled.await?;
        if due_again {
            self.raise();
        }
        Ok(lost)
    }

    pub(super) async fn extend(
        &self,
        tokens: Vec<String>,
        lease_ms: u64,
    ) -> Result<Vec<String>, Error> {
        let extended = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_extend(guest.store, &tokens, lease_ms).await })
        });
        Ok(extended.await?)
    }

    pub(super) async fn dead_letters(
        &self,
        subscription: Option<String>,
        after: Option<String>,
        max: u32,
    ) -> Result<DeadLetterPage, Error> {
        if max == 0 || max as usize > MAX_ITEMS {
            return Err(Error::invalid(format!("max is {max}, must be 1 to {MAX_ITEMS}")));
        }
        let page = self.provider.call(move |guest| {
            Box::pin(async move {
                let (subscription, after) = (subscription.as_deref(), after.as_deref());
                guest.module.call_dead_letters(guest.store, subscription, after, max).await
            })
        });
        Ok(page.await?.into())
    }

    pub(super) async fn replay_dead_letters(&self, ids: Vec<String>) -> Result<u64, Error> {
        let _inside = self.door.enter()?;
        let replayed = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_replay_dead_letters(guest.store, &ids).await })
        });
        let replayed = replayed.await?;
        self.raise();
        Ok(replayed)
    }

    pub(super) async fn remove_dead_letters(&self, ids: Vec<String>) -> Result<u64, Error> {
        let removed = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_remove_dead_letters(guest.store, &ids).await })
        });
        Ok(removed.await?)
    }
}

/// What was pulled for somebody and not handed to him yet; given back if that
/// never happens.
struct Unclaimed {
    deliveries: Vec<Delivery>,
    calls: Arc<Calls>,
    /// Held so that [`Door::close`] waits.
    stop: watch::Receiver<bool>,
}

impl Unclaimed {
    fn claim(mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries)
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if self.deliveries.is_empty() {
            return;
        }
        // Without a runtime the process ends, and the lease with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let deliveries = std::mem::take(&mut self.deliveries);
            let (calls, stop) = (Arc::clone(&self.calls), self.stop.clone());
            runtime.spawn(async move {
                calls.give_back(deliveries).await;
                drop(stop);
            });
        }
    }
}

impl From<contract::Pulled> for Pulled {
    fn from(pulled: contract::Pulled) -> Self {
        Self {
            deliveries: pulled.deliveries.into_iter().map(Delivery::from).collect(),
            next_due: pulled.next_due_ms.map(Duration::from_millis),
        }
    }
}

impl From<contract::Delivery> for Delivery {
    fn from(delivery: contract::Delivery) -> Self {
        let contract::Delivery { token, subscription, event, attempt, attempts } = delivery;
        Self { token, subscription, event: Event::new(event, attempt, attempts) }
    }
}

impl From<contract::SubscriptionStatus> for SubscriptionStatus {
    fn from(status: contract::SubscriptionStatus) -> Self {
        let contract::Subscription { id, pattern, retained, idle_ttl_ms } = status.subscription;
        let idle_ttl = idle_ttl_ms.map(Duration::from_millis);
        Self {
            subscription: Subscription { id, pattern, retained, idle_ttl },
            waiting: status.waiting,
            leased: status.leased,
            dead: status.dead,
        }
    }
}

impl From<contract::DeadLetterPage> for DeadLetterPage {
    fn from(page: contract::DeadLetterPage) -> Self {
        let items = page.items.into_iter().map(|letter| DeadLetter {
            id: letter.id,
            subscription: letter.subscription,
            event: Event::new(letter.event, letter.attempts, letter.attempts),
            reason: letter.reason,
            died: at(letter.died_ms),
        });
        Self { items: items.collect(), next: page.next }
    }
}

impl From<Verdict> for contract::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Handled => Self::Handled,
            Verdict::Failed(reason) => Self::Failed(reason),
            Verdict::Rejected(reason) => Self::Rejected(reason),
            Verdict::Returned => Self::Returned,
        }
    }
}
