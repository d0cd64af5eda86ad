//! Sending: one flight per idempotency key, providers in their order, and a
//! record of how it went.
//!
//! A send runs in a task of its own, so that a caller who goes away leaves
//! neither a message half handed over nor a record that is pending for ever.
//! Whoever comes with the same key meanwhile waits for the same flight and gets
//! its outcome, be it a failure: only who comes after it tries again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::StreamExt;
use serde_json::json;
use stheno_contracts::notifications as contract;
use stheno_engine::Clock;
use tokio::sync::watch;

use super::args::Checked;
use super::records::{Begun, Outcome, Records};
use super::{Notification, NotificationStatus, Target};
use crate::events::door::Door;
use crate::ids::Ids;
use crate::{Error, ErrorKind, Events, JsonObject, NewEvent};

/// The feature of a provider that hands over one id once.
const IDEMPOTENT: &str = "idempotent";
/// How many of a batch are sent at the same time.
const AT_ONCE: usize = 32;
/// The longest external id that is kept.
const MAX_EXTERNAL_ID_BYTES: usize = 1_024;

pub(super) struct Sender {
    targets: Vec<Target>,
    records: Box<dyn Records>,
    flights: Mutex<HashMap<String, Flight>>,
    events: Events,
    clock: Clock,
    ids: Ids,
    door: Door,
}

type Landed = watch::Receiver<Option<Result<Notification, Error>>>;

/// A send under way.
struct Flight {
    channel: String,
    to: String,
    landed: Landed,
}

/// What is sent, and where in the batch it stands.
pub(super) struct Distinct {
    checked: Vec<Checked>,
    /// For each of the batch, which of `checked` it is.
    positions: Vec<usize>,
}

/// Those of a batch that have one key are one.
pub(super) fn distinct(all: Vec<Checked>) -> Result<Distinct, Error> {
    let mut distinct = Distinct { checked: Vec::new(), positions: Vec::new() };
    let mut keys: HashMap<String, (usize, String, String)> = HashMap::new();
    for (position, checked) in all.into_iter().enumerate() {
        let next = distinct.checked.len();
        if let Some(key) = &checked.key {
            let (channel, to) = (&checked.message.channel, &checked.message.to);
            match keys.entry(key.clone()) {
                Entry::Occupied(known) => {
                    let (first, its_channel, its_to) = known.get();
                    if (its_channel, its_to) != (channel, to) {
                        return Err(Error::new(
                            ErrorKind::Conflict,
                            format!(
                                "notifications[{position}]: its idempotency_key stands for \
                                 another channel or recipient earlier in the batch"
                            ),
                        ));
                    }
                    distinct.positions.push(*first);
                    continue;
                }
                Entry::Vacant(new) => {
                    new.insert((next, channel.clone(), to.clone()));
                }
            }
        }
        distinct.positions.push(next);
        distinct.checked.push(checked);
    }
    Ok(distinct)
}

impl Sender {
    pub(super) fn new(
        targets: Vec<Target>,
        records: Box<dyn Records>,
        events: Events,
        clock: Clock,
    ) -> Self {
        Self {
            targets,
            records,
            flights: Mutex::default(),
            events,
            clock,
            ids: Ids::new(),
            door: Door::new(),
        }
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    pub(super) fn records(&self) -> &dyn Records {
        self.records.as_ref()
    }

    /// The provider with this id; the first if none is named.
    pub(super) fn target(&self, id: Option<&str>) -> Result<&Target, Error> {
        let found = match id {
            None => self.targets.first(),
            Some(id) => self.targets.iter().find(|target| target.id.as_str() == id),
        };
        found.ok_or_else(|| {
            let ids: Vec<_> = self.targets.iter().map(|target| target.id.as_str()).collect();
            Error::new(
                ErrorKind::NotFound,
                format!(
                    "there is no provider {:?}; those of notifications are: {}",
                    id.unwrap_or_default(),
                    ids.join(", ")
                ),
            )
        })
    }

    pub(super) async fn drain(&self) {
        self.door.close().await;
        // Not when the last task that sent something gets round to forgetting it.
        self.records.close().await;
    }

    pub(super) async fn send(self: &Arc<Self>, checked: Checked) -> Result<Notification, Error> {
        let mut landed = self.take_off(checked)?;
        match landed.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(Error::new(ErrorKind::Internal, "the send ended without an answer")),
        }
    }

    pub(super) async fn send_all(
        self: &Arc<Self>,
        batch: Distinct,
    ) -> Vec<Result<Notification, Error>> {
        let sends = batch.checked.into_iter().map(|checked| self.send(checked));
        let outcomes: Vec<_> = futures_util::stream::iter(sends).buffered(AT_ONCE).collect().await;
        batch.positions.iter().filter_map(|position| outcomes.get(*position).cloned()).collect()
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<String, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the flight of the key, or begins one.
    fn take_off(self: &Arc<Self>, checked: Checked) -> Result<Landed, Error> {
        let inside = self.door.enter()?;
        let (land, landed) = watch::channel(None);
        if let Some(key) = &checked.key {
            let Checked { message: contract::Message { channel, to, .. }, .. } = &checked;
            match self.flights().entry(key.clone()) {
                Entry::Occupied(flight) => {
                    let flight = flight.get();
                    if (&flight.channel, &flight.to) == (channel, to) {
                        return Ok(flight.landed.clone());
                    }
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        "the idempotency_key stands for another channel or recipient, which is \
                         being sent; take a key of its own for each",
                    ));
                }
                Entry::Vacant(place) => {
                    place.insert(Flight {
                        channel: channel.clone(),
                        to: to.clone(),
                        landed: landed.clone(),
                    });
                }
            }
        }
        let sender = Arc::clone(self);
        tokio::spawn(async move {
            let _inside = inside;
            let flying = Flying { sender: &sender, key: checked.key.clone() };
            let (outcome, news) = sender.fly(checked).await;
            drop(flying);
            land.send_replace(Some(outcome));
            if let Some(news) = news {
                news.tell(&sender.events).await;
            }
        });
        Ok(landed)
    }

    /// Records, sends, records again.
    async fn fly(&self, checked: Checked) -> (Result<Notification, Error>, Option<News>) {
        let Checked { channel, mut message, key, resend_unknown, labels } = checked;
        let resend = resend_unknown || self.sends_once(channel.as_str());
        let now = self.now();
        let new = Notification {
            id: format!("ntf_{}", self.ids.next()),
            channel: message.channel.clone(),
            to: message.to.clone(),
            template: message.template.clone(),
            data: message.data.as_deref().and_then(|data| JsonObject::parse(data).ok()),
            labels,
            idempotency_key: key,
            status: NotificationStatus::Pending,
            provider: None,
            external_id: None,
            error: None,
            attempts: 0,
            created: now,
            updated: now,
        };
        let (record, created) = match self.records.begin(new, resend).await {
            Ok(Begun::Sent(record)) => return (Ok(record), None),
            Ok(Begun::New(record)) => (record.clone(), Some(record)),
            Ok(Begun::Again(record)) => (record, None),
            Err(error) => return (Err(error), None),
        };
        // Told while it is sent: neither waits for the other.
        let created = created.map(|record| {
            let events = self.events.clone();
            tokio::spawn(async move { publish(&events, "notification.created", &record).await })
        });
        message.id.clone_from(&record.id);
        let sent = self.deliver(channel.as_str(), message).await;
        let (outcome, error) = match sent {
            Ok((provider, external_id)) => (Outcome::Success { provider, external_id }, None),
            Err((provider, error)) => {
                let error = Error::new(
                    error.kind(),
                    format!("the notification {} was not sent: {}", record.id, error.message()),
                );
                let text = error.message().to_owned();
                (Outcome::Failure { provider, error: text }, Some(error))
            }
        };
        let settled = self.records.settle(record.id, outcome, self.now()).await;
        let news = settled.as_ref().ok().map(|record| News { created, record: record.clone() });
        let answer = match (error, settled) {
            (Some(error), _) => Err(error),
            (None, settled) => settled,
        };
        (answer, news)
    }

    /// Tries the channel's providers in their order. Gives who took it, or who
    /// failed last and why.
    async fn deliver(
        &self,
        channel: &str,
        message: contract::Message,
    ) -> Result<(String, Option<String>), (Option<String>, Error)> {
        let message = Arc::new(message);
        let mut told = Vec::new();
        let mut last = (None, ErrorKind::NotFound);
        for target in self.serving(channel) {
            let message = Arc::clone(&message);
            let sent = target.provider.call(move |guest| {
                Box::pin(async move { guest.module.call_send(guest.store, &message).await })
            });
            let id = target.id.to_string();
            match sent.await {
                Ok(receipt) => return Ok((id, receipt.external_id.map(shortened))),
                Err(error) => {
                    let error = Error::from(error);
                    told.push(format!("{id}: {}", error.message()));
                    last = (Some(id), error.kind());
                    if !error.is_retryable() {
                        break;
                    }
                }
            }
        }
        let (provider, kind) = last;
        let text = if told.is_empty() { self.nobody_serves(channel) } else { told.join("; then ") };
        Err((provider, Error::new(kind, text)))
    }

    /// The channel's providers, in their order.
    fn serving(&self, channel: &str) -> Vec<&Target> {
        let named =
            |target: &&Target| target.routes.channels.iter().any(|own| own.as_str() == channel);
        let mut targets: Vec<&Target> = self.targets.iter().filter(named).collect();
        if targets.is_empty() {
            targets.extend(self.targets.iter().filter(|target| target.routes.default));
        }
        targets
    }

    /// Whether a message with the same id goes out once, however often it is
    /// handed over. Of several providers nobody knows which one had it.
    fn sends_once(&self, channel: &str) -> bool {
        match self.serving(channel).as_slice() {
            [alone] => {
                let features = &alone.provider.description().features;
                features.iter().any(|feature| feature == IDEMPOTENT)
            }
            _ => false,
        }
    }

    fn nobody_serves(&self, channel: &str) -> String {
        let mut known: Vec<&str> = Vec::new();
        for own in self.targets.iter().flat_map(|target| &target.routes.channels) {
            if !known.contains(&own.as_str()) {
                known.push(own.as_str());
            }
        }
        format!(
            "no provider serves the channel {channel:?}; the channels are: {}",
            known.join(", ")
        )
    }

    fn now(&self) -> SystemTime {
        super::at(self.clock.unix())
    }
}

fn shortened(mut id: String) -> String {
    id.truncate(id.floor_char_boundary(MAX_EXTERNAL_ID_BYTES));
    id
}

/// Its end, even by a panic, is the end of the flight.
struct Flying<'a> {
    sender: &'a Sender,
    key: Option<String>,
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.sender.flights().remove(key);
        }
    }
}

/// What the events module is told.
struct News {
    created: Option<tokio::task::JoinHandle<()>>,
    record: Notification,
}

impl News {
    async fn tell(self, events: &Events) {
        if let Some(created) = self.created {
            // One that ended otherwise has told nothing, which is all there is to it.
            let _ = created.await;
        }
        let name = match self.record.status {
            NotificationStatus::Success => "notification.sent",
            NotificationStatus::Failure => "notification.failed",
            NotificationStatus::Pending | NotificationStatus::Unknown => return,
        };
        publish(events, name, &self.record).await;
    }
}

async fn publish(events: &Events, name: &str, record: &Notification) {
    let data = json!({
        "id": record.id,
        "channel": record.channel,
        "status": record.status.as_str(),
        "provider": record.provider,
        "external_id": record.external_id,
        "error": record.error,
    });
    let published = events.publish_all(vec![NewEvent::bytes(name, data.to_string())]).await;
    if let Err(error) = published {
        tracing::warn!(notification = record.id, event = name, %error, "not published");
    }
}
