//! The analytics module, as an app uses it.

mod args;
mod batch;
mod lane;

use std::sync::Arc;

use futures_util::future::join_all;
use stheno_config::ProviderId;
use stheno_contracts::analytics as contract;
use stheno_engine::{AnalyticsModule, Clock, Provider};

use crate::events::door::Door;
use crate::ids::Ids;
use crate::{Error, ErrorKind, JsonObject};
use batch::Item;
use lane::Lane;

pub use args::{ActorGroup, Identify, Track};

/// The analytics, cheap to clone.
///
/// What is tracked is accepted into a buffer for each provider and handed over
/// in batches: of 256 items, of 256 KiB, or a second after the first one. A
/// provider that cannot serve is asked again after 100 ms, doubling up to 30 s,
/// and holds up no other. What it refuses for another reason is given up, item
/// by item, with a line in the log that names it.
///
/// A buffer takes 16 MiB. While its provider works, who tracks waits for room, a
/// second at most. Where a provider fails and its buffer is full, it misses what
/// comes, which is counted and said in the log; if all are so, `track` is
/// `unavailable` and nothing was accepted.
///
/// Nothing accepted is lost by a clean stop, unless a provider cannot serve for
/// 30 seconds of it: then the log says how much that was. The buffers are in
/// memory, so a process that is killed loses what they hold.
#[derive(Clone)]
pub struct Analytics(Arc<Inner>);

struct Inner {
    lanes: Vec<Arc<Lane>>,
    clock: Clock,
    ids: Ids,
    door: Door,
}

/// How a provider keeps up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalyticsStatus {
    /// Its id.
    pub provider: String,
    /// Items that it has not accepted yet.
    pub waiting: u64,
    /// Items that it will never get: missed while its buffer was full, or
    /// refused.
    pub lost: u64,
}

/// A provider, and what the config calls it.
pub(crate) struct Target {
    pub(crate) id: ProviderId,
    pub(crate) provider: Provider<AnalyticsModule>,
}

impl Analytics {
    pub(crate) fn new(targets: Vec<Target>, clock: Clock) -> Self {
        let lanes = targets
            .into_iter()
            .map(|Target { id, provider }| Lane::start(id, provider, clock.clone()))
            .collect();
        Self(Arc::new(Inner { lanes, clock, ids: Ids::new(), door: Door::new() }))
    }

    pub(crate) fn targets(
        &self,
    ) -> impl Iterator<Item = (&ProviderId, &Provider<AnalyticsModule>)> {
        self.0.lanes.iter().map(|lane| (lane.id(), lane.provider()))
    }

    /// Accepts an event. It is handed over later; see [`Analytics::flush`].
    ///
    /// # Errors
    ///
    /// `invalid-argument` for what is out of bounds, or where there is neither
    /// an actor nor a group; `unavailable` when no buffer has room, or once the
    /// runtime stops. Then it was not accepted.
    pub async fn track(&self, event: Track) -> Result<(), Error> {
        event.check()?;
        self.accept(vec![self.event(event)]).await
    }

    /// Accepts all of these events, at most 1,000, or none.
    ///
    /// # Errors
    ///
    /// As for [`Analytics::track`].
    pub async fn track_all(&self, events: Vec<Track>) -> Result<(), Error> {
        args::check_all("events", &events, Track::check)?;
        self.accept(events.into_iter().map(|event| self.event(event)).collect()).await
    }

    /// Accepts what is known of an actor or a group.
    ///
    /// # Errors
    ///
    /// As for [`Analytics::track`].
    pub async fn identify(&self, identity: Identify) -> Result<(), Error> {
        identity.check()?;
        self.accept(vec![self.identity(identity)]).await
    }

    /// Accepts all of these, at most 1,000, or none.
    ///
    /// # Errors
    ///
    /// As for [`Analytics::track`].
    pub async fn identify_all(&self, identities: Vec<Identify>) -> Result<(), Error> {
        args::check_all("identities", &identities, Identify::check)?;
        self.accept(identities.into_iter().map(|identity| self.identity(identity)).collect()).await
    }

    /// Has every provider take what was accepted before, and write it out.
    ///
    /// # Errors
    ///
    /// What a provider said, with the name of the first event that it was said
    /// of. After `unavailable` and `timeout` the events wait on and are tried
    /// again; after any other error since the last flush they were given up.
    pub async fn flush(&self) -> Result<(), Error> {
        let all = join_all(self.0.lanes.iter().map(|lane| lane.flush())).await;
        let errors: Vec<Error> = all.into_iter().filter_map(Result::err).collect();
        let Some(first) = errors.first() else { return Ok(()) };
        let texts: Vec<_> = errors.iter().map(Error::message).collect();
        Err(Error::new(first.kind(), texts.join("\n")))
    }

    /// How each provider keeps up.
    #[must_use]
    pub fn status(&self) -> Vec<AnalyticsStatus> {
        self.0.lanes.iter().map(|lane| lane.status()).collect()
    }

    /// Accepts nothing any more, and hands over what was accepted.
    pub(crate) async fn drain(&self) {
        self.0.door.close().await;
        join_all(self.0.lanes.iter().map(|lane| lane.stop())).await;
    }

    async fn accept(&self, items: Vec<Item>) -> Result<(), Error> {
        let _inside = self.0.door.enter()?;
        if items.is_empty() {
            return Ok(());
        }
        let Some((last, others)) = self.0.lanes.split_last() else { return Ok(()) };
        let count = items.len();
        let mut missed = Vec::new();
        for lane in others {
            if !lane.push(items.clone()).await? {
                missed.push(lane);
            }
        }
        if !last.push(items).await? {
            missed.push(last);
        }
        if missed.len() == self.0.lanes.len() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the buffer is full, since no provider of analytics keeps up; try again later",
            ));
        }
        missed.into_iter().for_each(|lane| lane.missed(count));
        Ok(())
    }

    fn event(&self, event: Track) -> Item {
        let Track { event, actor, group, properties } = event;
        Item::Event(contract::Event {
            id: self.0.ids.next(),
            at_ms: self.now(),
            name: event,
            actor,
            group: group.map(contract::Group::from),
            properties: properties.map(JsonObject::into_string),
        })
    }

    fn identity(&self, identity: Identify) -> Item {
        let Identify { actor, group, properties } = identity;
        Item::Identity(contract::Identity {
            id: self.0.ids.next(),
            at_ms: self.now(),
            actor,
            group: group.map(contract::Group::from),
            properties: properties.map(JsonObject::into_string),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.clock.unix().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody can track or stop any more; after a stop it changes nothing.
        self.lanes.iter().for_each(|lane| lane.abandon());
    }
}

impl From<ActorGroup> for contract::Group {
    fn from(ActorGroup { kind, id }: ActorGroup) -> Self {
        Self { kind, id }
    }
}
