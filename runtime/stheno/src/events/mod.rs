//! The events module, as an app uses it.

pub(crate) mod args;
mod batch;
mod calls;
pub(crate) mod door;
mod publish;
mod subscriber;
mod worker;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use stheno_contracts::events as contract;
use stheno_engine::{Clock, EventsModule, Provider};

use crate::{Error, ErrorKind};
use calls::Calls;
use subscriber::Registry;

pub use args::{MAX_DATA_BYTES, NewEvent};
pub use publish::{Group, Publish};
pub use subscriber::{Failure, Subscribe, Subscriber};

/// The events, cheap to clone.
///
/// An event that [`publish`](Events::publish) accepted is delivered at least
/// once to every subscription whose pattern matches, until the subscription has
/// handled it or used up its attempts; then it is a dead letter, which can be
/// listed and replayed. Subscriptions are independent of each other, and their
/// ids are what outcomes are recorded under: give each the same id at every
/// start.
///
/// Closures are subscribed with [`subscribe`](Events::subscribe). Who runs the
/// handlers himself uses [`pull`](Events::pull) and [`settle`](Events::settle).
#[derive(Clone)]
pub struct Events {
    calls: Arc<Calls>,
    registry: Arc<Registry>,
}

/// An event as a subscriber gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Given by the provider, unique in it.
    pub id: String,
    /// Such as `order.placed`.
    pub name: String,
    /// The body.
    pub data: Vec<u8>,
    /// Pairs that travel with it.
    pub metadata: Vec<(String, String)>,
    /// 1 is first.
    pub priority: u32,
    /// When it was published; of a group, when it was released.
    pub published: SystemTime,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many there are.
    pub attempts: u32,
}

impl Event {
    /// The body, read from JSON.
    ///
    /// # Errors
    ///
    /// `encoding` if it is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.data).map_err(|error| {
            Error::new(
                ErrorKind::Encoding,
                format!("the body of the event {:?}: {error}", self.name),
            )
        })
    }

    fn new(event: contract::Event, attempt: u32, attempts: u32) -> Self {
        Self {
            id: event.id,
            name: event.name,
            data: event.data,
            metadata: event.metadata,
            priority: event.priority,
            published: at(event.published_ms),
            attempt,
            attempts,
        }
    }
}

pub(crate) fn at(unix_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(unix_ms))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Who receives what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Stable across restarts: 1 to 255 bytes without control characters.
    pub id: String,
    /// `*` is any run of characters, dots included; the rest stands for itself.
    pub pattern: String,
    /// Whether it also receives what was published before it existed and
    /// reached nobody.
    pub retained: bool,
    /// Removes it once nobody has pulled for so long; none keeps it.
    pub idle_ttl: Option<Duration>,
}

/// A subscription and how much waits in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionStatus {
    /// The subscription.
    pub subscription: Subscription,
    /// Deliveries that are due or will be.
    pub waiting: u64,
    /// Deliveries that were pulled and not settled.
    pub leased: u64,
    /// Dead letters.
    pub dead: u64,
}

/// One event for one subscription, leased to who pulled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Names it in [`Events::settle`] and [`Events::extend`].
    pub token: String,
    /// The id of the subscription.
    pub subscription: String,
    /// The event.
    pub event: Event,
}

/// What [`Events::pull_now`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// What was due.
    pub deliveries: Vec<Delivery>,
    /// When the next one is due; none if nothing waits.
    pub next_due: Option<Duration>,
}

/// How a delivery went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Done with.
    Handled,
    /// Failed, with the reason: tried again later, or dead after the last
    /// attempt.
    Failed(String),
    /// Failed for good, with the reason.
    Rejected(String),
    /// Not tried: due again at once, and the attempt does not count.
    Returned,
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it in [`Events::replay_dead_letters`] and
    /// [`Events::remove_dead_letters`].
    pub id: String,
    /// The id of the subscription that gave it up.
    pub subscription: String,
    /// The event; its `attempt` is the last one.
    pub event: Event,
    /// What the last attempt said.
    pub reason: String,
    /// When it was given up.
    pub died: SystemTime,
}

/// Some of the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterPage {
    /// The oldest first.
    pub items: Vec<DeadLetter>,
    /// Give it as `after` for the next page; none after the last.
    pub next: Option<String>,
}

impl Events {
    pub(crate) fn new(provider: Provider<EventsModule>, clock: Clock) -> Self {
        let registry = Arc::new(Registry::default());
        let known = Arc::clone(&registry);
        provider.welcome(Box::new(move |guest| {
            let subscriptions = known.subscriptions();
            Box::pin(async move {
                for subscription in &subscriptions {
                    if let Err(error) =
                        guest.module.call_subscribe(&mut *guest.store, subscription).await?
                    {
                        return Ok(Err(error));
                    }
                }
                Ok(Ok(()))
            })
        }));
        Self { calls: Arc::new(Calls::new(provider, clock)), registry }
    }

    pub(crate) fn provider(&self) -> &Provider<EventsModule> {
        self.calls.provider()
    }

    /// Publishes an event with `data` as JSON. Await the result, after setting
    /// what else is wanted:
    ///
    /// ```no_run
    /// # async fn example(events: stheno::Events) -> Result<(), stheno::Error> {
    /// use std::time::Duration;
    ///
    /// let id = events.publish("cart.abandoned", &"c1").delay(Duration::from_secs(3600)).await?;
    /// # let _ = id; Ok(()) }
    /// ```
    ///
    /// It gives the event's id.
    ///
    /// # Errors
    ///
    /// `encoding` if the body cannot be written as JSON, `invalid-argument` for
    /// what is out of bounds, `unavailable` when the provider is full, and what
    /// else it says. After `timeout`, `unavailable` or `internal` the event may
    /// have been published all the same, unless the provider is one instance
    /// that is not durable: publishing it again may then deliver it twice.
    pub fn publish<T: Serialize + ?Sized>(&self, name: &str, data: &T) -> Publish<'_> {
        Publish::new(self, NewEvent::json(name, data))
    }

    /// Publishes all of these events or none, and gives their ids in the same
    /// order.
    ///
    /// # Errors
    ///
    /// As for [`Events::publish`].
    pub async fn publish_all(&self, events: Vec<NewEvent>) -> Result<Vec<String>, Error> {
        let messages = args::checked(events)?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        self.calls.publish(messages).await
    }

    /// The group called `id`: events that are held back until it is released.
    #[must_use]
    pub fn group(&self, id: impl Into<String>) -> Group {
        Group::new(self.clone(), id.into())
    }

    /// Has `handler` called for every event that matches `pattern`, at least
    /// once each, from this process and from others that use the same `id`.
    /// Await the result, after setting what else is wanted; see [`Subscribe`].
    ///
    /// The handler's error is the event's failure: it is tried again with a
    /// growing pause, for this subscription alone, and is a dead letter after
    /// the last attempt. [`Failure::reject`] makes it one at once. A panic is a
    /// failure like any other.
    ///
    /// # Errors
    ///
    /// `conflict` if this runtime has a subscriber with that id, or the
    /// provider one with another pattern; `invalid-argument` for a bad pattern
    /// or id; and what else the provider says.
    pub fn subscribe<H, F>(
        &self,
        pattern: impl Into<String>,
        id: impl Into<String>,
        handler: H,
    ) -> Subscribe<'_>
    where
        H: Fn(Event) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let handler = Arc::new(move |event| -> subscriber::Handling { Box::pin(handler(event)) });
        Subscribe::new(self, pattern.into(), id.into(), handler)
    }

    /// Creates a subscription that somebody pulls. The same one again changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// `conflict` if there is one with the same id and another pattern;
    /// `invalid-argument` for a bad pattern or id; and what else the provider
    /// says.
    pub async fn create_subscription(&self, subscription: Subscription) -> Result<(), Error> {
        let subscription = subscriber::checked(subscription)?;
        let _inside = self.calls.door().enter()?;
        self.calls.subscribe(subscription.clone()).await?;
        self.registry.remember(subscription);
        Ok(())
    }

    /// Removes a subscription, all that waits in it, and its dead letters.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none, and what else the provider says.
    pub async fn remove_subscription(&self, id: &str) -> Result<(), Error> {
        let id = args::name("id", id)?;
        let removed = self.calls.unsubscribe(id.clone()).await;
        // One that is gone already, as after its `idle_ttl`, is forgotten too.
        if removed.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::NotFound) {
            self.registry.forget(&id);
        }
        removed
    }

    /// All subscriptions, ordered by id.
    ///
    /// # Errors
    ///
    /// What the provider says.
    pub async fn subscriptions(&self) -> Result<Vec<SubscriptionStatus>, Error> {
        self.calls.subscriptions().await
    }

    /// Takes at most `max` due deliveries of one subscription and leases them
    /// for `lease`. Waits up to `wait` for the first one. If the returned
    /// future is dropped, or the runtime is shut down, the waiting ends and
    /// nothing stays leased.
    ///
    /// # Errors
    ///
    /// `not-found` if there is no such subscription, `invalid-argument` for a
    /// `max` of 0 or more than 1,000 or a `lease` of zero, and what else the
    /// provider says.
    pub async fn pull(
        &self,
        subscription: &str,
        max: u32,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, Error> {
        let id = args::name("subscription", subscription)?;
        self.calls.pull_waiting(id, max, wait, lease).await
    }

    /// Takes what is due now, and says when to come again.
    ///
    /// # Errors
    ///
    /// As for [`Events::pull`].
    pub async fn pull_now(
        &self,
        subscription: &str,
        max: u32,
        lease: Duration,
    ) -> Result<Pulled, Error> {
        let id = args::name("subscription", subscription)?;
        self.calls.pull(id, max, Duration::ZERO, lease).await
    }

    /// Records how deliveries went. Gives the tokens whose lease had run out or
    /// that were settled before: for those nothing was recorded.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for more than 1,000, and what the provider says.
    pub async fn settle(&self, outcomes: Vec<(String, Verdict)>) -> Result<Vec<String>, Error> {
        args::at_most("outcomes", outcomes.len())?;
        let outcomes = outcomes
            .into_iter()
            .map(|(token, verdict)| contract::Outcome { token, verdict: verdict.into() })
            .collect();
        self.calls.settle(outcomes).await
    }

    /// Leases deliveries for `lease` from now. Gives the tokens that are no
    /// longer leased.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for more than 1,000 or a `lease` of zero, and what
    /// the provider says.
    pub async fn extend(&self, tokens: Vec<String>, lease: Duration) -> Result<Vec<String>, Error> {
        args::at_most("tokens", tokens.len())?;
        self.calls.extend(tokens, args::at_least_a_moment("lease", lease)?).await
    }

    /// Dead letters, the oldest first, of one subscription if given.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a `max` of 0 or more than 1,000, `unsupported`
    /// where the provider keeps none, and what else it says.
    pub async fn dead_letters(
        &self,
        subscription: Option<&str>,
        after: Option<&str>,
        max: u32,
    ) -> Result<DeadLetterPage, Error> {
        let subscription = subscription.map(|id| args::name("subscription", id)).transpose()?;
        self.calls.dead_letters(subscription, after.map(str::to_owned), max).await
    }

    /// Makes dead letters due again with all their attempts, and says how many
    /// there were.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for more than 1,000, and what the provider says.
    pub async fn replay_dead_letters(&self, ids: Vec<String>) -> Result<u64, Error> {
        args::at_most("ids", ids.len())?;
        self.calls.replay_dead_letters(ids).await
    }

    /// Forgets dead letters, and says how many there were.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for more than 1,000, and what the provider says.
    pub async fn remove_dead_letters(&self, ids: Vec<String>) -> Result<u64, Error> {
        args::at_most("ids", ids.len())?;
        self.calls.remove_dead_letters(ids).await
    }

    /// Lets nobody publish any more and ends all pulls that wait; see
    /// [`Runtime::shutdown`](crate::Runtime::shutdown).
    pub(crate) async fn close(&self) {
        self.calls.door().close().await;
    }

    /// Has subscribers handle what is due in a provider that forgets, and says
    /// whether anything was.
    pub(crate) async fn handle_due(&self) -> bool {
        self.registry.handle_due(&self.calls).await
    }

    /// Ends all subscribers after the events they have begun.
    pub(crate) async fn stop(&self) {
        self.registry.stop_all(&self.calls).await;
    }
}
