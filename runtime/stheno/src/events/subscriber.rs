//! Closures that receive events, and the list of them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stheno_contracts::events as contract;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::calls::Calls;
use super::worker::{Phase, Worker};
use super::{Events, Subscription, args};
use crate::{Error, ErrorKind};

/// What a handler returns.
pub(super) type Handling = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;
pub(super) type Handler = Arc<dyn Fn(super::Event) -> Handling + Send + Sync>;

/// How many handlers of one subscriber run at once, unless said otherwise.
const CONCURRENCY: usize = 64;
/// How long a delivery is leased at a time; it is renewed while its handler
/// runs. It is also how long an event waits after its process died.
const LEASE: Duration = Duration::from_secs(30);

/// Why a handler did not handle an event, or do a step of a workflow. Every error
/// converts into one that is tried again.
#[derive(Debug)]
pub struct Failure {
    reason: String,
    rejected: bool,
}

impl Failure {
    /// Tried again later. After the last attempt an event is a dead letter, and a
    /// step has failed for good.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), rejected: false }
    }

    /// A dead letter, or failed for good, at once: trying again would not help.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), rejected: true }
    }

    pub(super) fn verdict(self) -> contract::Verdict {
        match self.into_parts() {
            (reason, true) => contract::Verdict::Rejected(reason),
            (reason, false) => contract::Verdict::Failed(reason),
        }
    }

    /// The reason, and whether it is for good.
    pub(crate) fn into_parts(self) -> (String, bool) {
        (self.reason, self.rejected)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self::retry(reason)
    }
}

/// A subscriber about to begin: await it.
#[must_use = "nothing is received until it is awaited"]
pub struct Subscribe<'a> {
    events: &'a Events,
    subscription: Subscription,
    handler: Handler,
    concurrency: usize,
    lease: Duration,
}

impl<'a> Subscribe<'a> {
    pub(super) fn new(events: &'a Events, pattern: String, id: String, handler: Handler) -> Self {
        let subscription = Subscription { id, pattern, retained: true, idle_ttl: None };
        Self { events, subscription, handler, concurrency: CONCURRENCY, lease: LEASE }
    }

    /// How many events are handled at once; 64 if not said, at least 1.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Whether to receive what was published before the subscription existed
    /// and reached nobody; yes if not said.
    pub fn retained(mut self, retained: bool) -> Self {
        self.subscription.retained = retained;
        self
    }

    /// How long a delivery is leased at a time, 30 seconds if not said. It is
    /// renewed while its handler runs; if this process dies, its events wait
    /// for so long.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

impl<'a> IntoFuture for Subscribe<'a> {
    type Output = Result<Subscriber, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { events, subscription, handler, concurrency, lease } = self;
            let subscription = checked(subscription)?;
            args::at_least_a_moment("lease", lease)?;
            if concurrency == 0 {
                return Err(Error::invalid("concurrency is 0, must be at least 1"));
            }
            let id = subscription.id.clone();
            let place = events.registry.reserve(&id)?;
            let _inside = events.calls.door().enter()?;
            events.calls.subscribe(subscription.clone()).await?;
            events.registry.remember(subscription.clone());
            let worker = Worker {
                calls: Arc::clone(&events.calls),
                subscription,
                handler,
                concurrency,
                lease,
            };
            place.begin(worker);
            Ok(Subscriber { events: events.clone(), id })
        })
    }
}

/// A closure that receives events. It goes on without this handle, until the
/// runtime shuts down.
pub struct Subscriber {
    events: Events,
    id: String,
}

impl Subscriber {
    /// The id of its subscription.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Takes no more events and waits for the handlers that have begun. The
    /// subscription stays, and events gather in it.
    pub async fn stop(self) {
        self.events.registry.stop(&self.id).await;
    }

    /// Stops, and removes the subscription with all that waits in it.
    ///
    /// # Errors
    ///
    /// What the provider says.
    pub async fn unsubscribe(self) -> Result<(), Error> {
        self.events.registry.stop(&self.id).await;
        self.events.remove_subscription(&self.id).await
    }
}

/// A subscription as the contract has it.
pub(super) fn checked(subscription: Subscription) -> Result<contract::Subscription, Error> {
    let Subscription { id, pattern, retained, idle_ttl } = subscription;
    Ok(contract::Subscription {
        id: args::name("id", &id)?,
        pattern: args::name("pattern", &pattern)?,
        retained,
        idle_ttl_ms: idle_ttl.map(|ttl| args::at_least_a_moment("idle_ttl", ttl)).transpose()?,
    })
}

/// The subscriptions and subscribers of one runtime.
#[derive(Default)]
pub(super) struct Registry {
    /// What a provider that lost its memory is told again.
    subscriptions: Mutex<BTreeMap<String, contract::Subscription>>,
    workers: Mutex<BTreeMap<String, Running>>,
    /// Of draining.
    rounds: AtomicU64,
}

enum Running {
    Reserved,
    Begun(Begun),
}

struct Begun {
    phase: watch::Sender<Phase>,
    /// The last round of draining in which it had nothing to do.
    idle: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Begun {
    /// Ends after the events it has begun.
    async fn stop(self) {
        self.phase.send_replace(Phase::Stopping);
        // It ends by itself; a panic in it has been reported.
        let _ = self.task.await;
    }
}

impl Registry {
    fn workers(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that may vanish by itself is not kept: it would be made again for
    /// nobody, and many of them would gather here.
    pub(super) fn remember(&self, subscription: contract::Subscription) {
        if subscription.idle_ttl_ms.is_some() {
            return;
        }
        let mut all = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(subscription.id.clone(), subscription);
    }

    pub(super) fn forget(&self, id: &str) {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    pub(super) fn subscriptions(&self) -> Vec<contract::Subscription> {
        let all = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }

    fn reserve(&self, id: &str) -> Result<Reserved<'_>, Error> {
        let mut workers = self.workers();
        if workers.contains_key(id) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("this runtime has a subscriber with the id {id:?}; give it another id"),
            ));
        }
        workers.insert(id.to_owned(), Running::Reserved);
        Ok(Reserved { registry: self, id: Some(id.to_owned()) })
    }

    async fn stop(&self, id: &str) {
        let running = self.workers().remove(id);
        if let Some(Running::Begun(worker)) = running {
            worker.stop().await;
        }
    }

    /// Has subscribers of a provider that forgets go on until nothing is due, and
    /// says whether anything was. What one of them publishes is news to the others,
    /// so they are asked again until a round brought no news.
    pub(super) async fn handle_due(&self, calls: &Calls) -> bool {
        if calls.is_durable() {
            return false;
        }
        let mut activity = calls.activity();
        let mut any = false;
        loop {
            activity.mark_unchanged();
            let round = self.rounds.fetch_add(1, Ordering::Relaxed) + 1;
            let asked: Vec<_> = self
                .workers()
                .values()
                .filter_map(|running| match running {
                    Running::Begun(worker) => Some(worker),
                    Running::Reserved => None,
                })
                .map(|worker| {
                    worker.phase.send_replace(Phase::Draining(round));
                    worker.idle.clone()
                })
                .collect();
            for mut idle in asked {
                // An error is a worker that has ended, which is idle as well.
                let _ = idle.wait_for(|idle| *idle >= round).await;
            }
            if !activity.has_changed().unwrap_or(false) {
                return any;
            }
            any = true;
        }
    }

    /// Ends all subscribers after the events they have begun.
    pub(super) async fn stop_all(&self, calls: &Calls) {
        let all = std::mem::take(&mut *self.workers());
        let workers: Vec<_> = all
            .into_values()
            .filter_map(|running| match running {
                Running::Begun(worker) => Some(worker),
                Running::Reserved => None,
            })
            .collect();
        if !calls.is_durable() {
            tell_what_is_lost(calls).await;
        }
        for worker in &workers {
            worker.phase.send_replace(Phase::Stopping);
        }
        for worker in workers {
            worker.stop().await;
        }
    }
}

/// Events that are due later, or that nobody here handles.
async fn tell_what_is_lost(calls: &Calls) {
    for status in calls.subscriptions().await.unwrap_or_default() {
        let (waiting, leased) = (status.waiting, status.leased);
        if waiting + leased > 0 {
            let subscription = status.subscription.id;
            tracing::warn!(
                subscription,
                waiting,
                leased,
                "the provider keeps events in its memory, and these are gone when it stops"
            );
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for running in self.workers().values() {
            if let Running::Begun(worker) = running {
                worker.phase.send_replace(Phase::Stopping);
            }
        }
    }
}

/// An id that is taken while its subscription is being made.
struct Reserved<'a> {
    registry: &'a Registry,
    id: Option<String>,
}

impl Reserved<'_> {
    fn begin(mut self, worker: Worker) {
        let (phase, told) = watch::channel(Phase::Serving);
        let (tell_idle, idle) = watch::channel(0);
        let task = tokio::spawn(worker.run(told, tell_idle));
        if let Some(id) = self.id.take() {
            self.registry.workers().insert(id, Running::Begun(Begun { phase, idle, task }));
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.registry.workers().remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Runtime;

    #[tokio::test]
    async fn only_a_subscription_that_cannot_vanish_by_itself_is_made_again() {
        let runtime = Runtime::builder().build().await.unwrap();
        let events = runtime.events();
        for (id, idle_ttl) in [("stays", None), ("goes", Some(Duration::from_secs(1)))] {
            let subscription =
                Subscription { id: id.into(), pattern: "*".into(), retained: false, idle_ttl };
            events.create_subscription(subscription).await.unwrap();
        }
        let ids = || events.registry.subscriptions().into_iter().map(|known| known.id);
        assert_eq!(ids().collect::<Vec<_>>(), ["stays"]);
        events.remove_subscription("stays").await.unwrap();
        assert_eq!(ids().count(), 0);
    }
}
