//! The events module: implement [`Events`], then
//! [`export_events_provider!`](crate::export_events_provider).
//!
//! What each function guarantees is written in the contract,
//! `wit/deps/events/events.wit`; the short form is repeated here.

use crate::bindings::events::exports::stheno::events::events as wit;
use crate::provider::{Component, Hosted, Lifecycle, Result};

pub use wit::{
    Backoff, DeadLetter, DeadLetterPage, Delivery, Event, Message, Outcome, Pulled, Subscription,
    SubscriptionStatus, Verdict,
};

/// A provider of the events module: a state machine that the host publishes
/// into, pulls from and settles with. It never waits for a subscriber.
pub trait Events: Lifecycle {
    /// Accepts all messages or none and gives their ids in the same order.
    ///
    /// # Errors
    ///
    /// `unavailable` when the provider is full.
    fn publish(&mut self, messages: Vec<Message>) -> Result<Vec<String>>;

    /// Holds messages back under a group, all or none.
    ///
    /// # Errors
    ///
    /// `unavailable` when the provider is full, `unsupported` without `groups`.
    fn stage(&mut self, group: String, ttl_ms: u64, messages: Vec<Message>) -> Result<()>;

    /// Publishes what the group holds, whole and once, and says how many.
    ///
    /// # Errors
    ///
    /// `unavailable` when the provider is full; the group then stays.
    fn release(&mut self, group: String) -> Result<u64>;

    /// Forgets what the group holds, only these names if any are given.
    ///
    /// # Errors
    ///
    /// `unsupported` without `groups`.
    fn discard(&mut self, group: String, names: Vec<String>) -> Result<u64>;

    /// Creates the subscription; the same one again is fine.
    ///
    /// # Errors
    ///
    /// `conflict` if the id stands for another pattern.
    fn subscribe(&mut self, subscription: Subscription) -> Result<()>;

    /// Removes the subscription and everything in it.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none.
    fn unsubscribe(&mut self, id: String) -> Result<()>;

    /// All subscriptions, ordered by id.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn subscriptions(&mut self) -> Result<Vec<SubscriptionStatus>>;

    /// Takes at most `max` due deliveries and leases them for `lease_ms`.
    ///
    /// # Errors
    ///
    /// `not-found` naming a subscription that does not exist.
    fn pull(
        &mut self,
        subscriptions: Vec<String>,
        max: u32,
        wait_ms: u64,
        lease_ms: u64,
    ) -> Result<Pulled>;

    /// Records outcomes and gives the tokens that were no longer leased.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn settle(&mut self, outcomes: Vec<Outcome>) -> Result<Vec<String>>;

    /// Leases the deliveries for `lease_ms` from now and gives the tokens that
    /// are no longer leased.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn extend(&mut self, tokens: Vec<String>, lease_ms: u64) -> Result<Vec<String>>;

    /// Dead letters, the oldest first, of one subscription if given.
    ///
    /// # Errors
    ///
    /// `not-found` for an unknown subscription, `unsupported` without
    /// `dead-letters`.
    fn dead_letters(
        &mut self,
        subscription: Option<String>,
        after: Option<String>,
        max: u32,
    ) -> Result<DeadLetterPage>;

    /// Makes them due again with all their attempts, and says how many.
    ///
    /// # Errors
    ///
    /// `unsupported` without `dead-letters`.
    fn replay_dead_letters(&mut self, ids: Vec<String>) -> Result<u64>;

    /// Forgets them, and says how many.
    ///
    /// # Errors
    ///
    /// `unsupported` without `dead-letters`.
    fn remove_dead_letters(&mut self, ids: Vec<String>) -> Result<u64>;
}

impl<P: Events + Hosted> wit::Guest for Component<P> {
    fn publish(messages: Vec<Message>) -> Result<Vec<String>> {
        P::call(|p| p.publish(messages))
    }

    fn stage(group: String, ttl_ms: u64, messages: Vec<Message>) -> Result<()> {
        P::call(|p| p.stage(group, ttl_ms, messages))
    }

    fn release(group: String) -> Result<u64> {
        P::call(|p| p.release(group))
    }

    fn discard(group: String, names: Vec<String>) -> Result<u64> {
        P::call(|p| p.discard(group, names))
    }

    fn subscribe(subscription: Subscription) -> Result<()> {
        P::call(|p| p.subscribe(subscription))
    }

    fn unsubscribe(id: String) -> Result<()> {
        P::call(|p| p.unsubscribe(id))
    }

    fn subscriptions() -> Result<Vec<SubscriptionStatus>> {
        P::call(P::subscriptions)
    }

    fn pull(subscriptions: Vec<String>, max: u32, wait_ms: u64, lease_ms: u64) -> Result<Pulled> {
        P::call(|p| p.pull(subscriptions, max, wait_ms, lease_ms))
    }

    fn settle(outcomes: Vec<Outcome>) -> Result<Vec<String>> {
        P::call(|p| p.settle(outcomes))
    }

    fn extend(tokens: Vec<String>, lease_ms: u64) -> Result<Vec<String>> {
        P::call(|p| p.extend(tokens, lease_ms))
    }

    fn dead_letters(
        subscription: Option<String>,
        after: Option<String>,
        max: u32,
    ) -> Result<DeadLetterPage> {
        P::call(|p| p.dead_letters(subscription, after, max))
    }

    fn replay_dead_letters(ids: Vec<String>) -> Result<u64> {
        P::call(|p| p.replay_dead_letters(ids))
    }

    fn remove_dead_letters(ids: Vec<String>) -> Result<u64> {
        P::call(|p| p.remove_dead_letters(ids))
    }
}

/// Makes the component export the events world, served by the given type,
/// which implements [`Lifecycle`](crate::Lifecycle) and [`Events`].
#[macro_export]
macro_rules! export_events_provider {
    ($provider:ty) => {
        $crate::export_lifecycle!($provider);
        const _: () = {
            type Exported = $crate::provider::Component<$provider>;
            $crate::bindings::events::export_events_part!(Exported with_types_in $crate::bindings::events);
        };
    };
}
