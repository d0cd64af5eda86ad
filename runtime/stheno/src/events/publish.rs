//! An event on its way, and groups of them.

use std::time::Duration;

use super::{Events, NewEvent, args};
use crate::{Error, ErrorKind};

/// How long a group is kept after the last event was staged in it, unless said
/// otherwise.
const GROUP_TTL: Duration = Duration::from_secs(600);

/// An event about to be published: await it.
#[must_use = "nothing is published until it is awaited"]
pub struct Publish<'a> {
    events: &'a Events,
    event: Result<NewEvent, Error>,
}

impl<'a> Publish<'a> {
    pub(super) fn new(events: &'a Events, event: Result<NewEvent, Error>) -> Self {
        Self { events, event }
    }

    fn with(mut self, set: impl FnOnce(&mut NewEvent)) -> Self {
        if let Ok(event) = &mut self.event {
            set(event);
        }
        self
    }

    /// Holds the event back before its first delivery.
    pub fn delay(self, delay: Duration) -> Self {
        self.with(|event| event.delay = delay)
    }

    /// 1 (first) to 2,097,152 (last); 100 if not said.
    pub fn priority(self, priority: u32) -> Self {
        self.with(|event| event.priority = Some(priority))
    }

    /// How many times a subscription may fail the event, at least 1.
    pub fn attempts(self, attempts: u32) -> Self {
        self.with(|event| event.attempts = Some(attempts))
    }

    /// The wait after the first failure, which doubles with each, and the
    /// longest wait.
    pub fn backoff(self, initial: Duration, max: Duration) -> Self {
        self.with(|event| event.backoff = Some((initial, max)))
    }

    /// Adds a pair that travels with the event.
    pub fn metadata(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|event| event.metadata.push((key.into(), value.into())))
    }
}

impl<'a> IntoFuture for Publish<'a> {
    type Output = Result<String, Error>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let message = self.event?.checked()?;
            let mut ids = self.events.calls.publish(vec![message]).await?;
            ids.pop().ok_or_else(|| Error::new(ErrorKind::Internal, "the provider gave no id"))
        })
    }
}

/// Events that are published together or not at all.
#[derive(Clone)]
pub struct Group {
    events: Events,
    id: String,
    ttl: Duration,
}

impl Group {
    pub(super) fn new(events: Events, id: String) -> Self {
        Self { events, id, ttl: GROUP_TTL }
    }

    /// How long the group is kept after the last event was staged in it; ten
    /// minutes if not said. What it holds is then gone.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Holds events back in the group, all of them or none.
    ///
    /// # Errors
    ///
    /// As for [`Events::publish`].
    pub async fn stage(&self, events: Vec<NewEvent>) -> Result<(), Error> {
        let id = args::name("group", &self.id)?;
        let ttl = args::at_least_a_moment("ttl", self.ttl)?;
        let messages = args::checked(events)?;
        if messages.is_empty() {
            return Ok(());
        }
        self.events.calls.stage(id, ttl, messages).await
    }

    /// Publishes what the group holds, and says how many events that were. It
    /// is released once, whoever calls at the same moment: the others get 0, as
    /// does who comes after the group has expired or was discarded.
    ///
    /// # Errors
    ///
    /// What the provider says; then nothing was published.
    pub async fn release(&self) -> Result<u64, Error> {
        self.events.calls.release(args::name("group", &self.id)?).await
    }

    /// Forgets what the group holds, and says how many events that were.
    ///
    /// # Errors
    ///
    /// What the provider says.
    pub async fn discard(&self) -> Result<u64, Error> {
        self.discard_named(Vec::new()).await
    }

    /// Forgets the events with these names, or all if there is none among them.
    ///
    /// # Errors
    ///
    /// What the provider says.
    pub async fn discard_named(&self, names: Vec<String>) -> Result<u64, Error> {
        args::at_most("names", names.len())?;
        self.events.calls.discard(args::name("group", &self.id)?, names).await
    }
}
