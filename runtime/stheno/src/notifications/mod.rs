//! The notifications module, as an app uses it.

mod args;
mod records;
mod send;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stheno_config::{ProviderId, RecordsFile, Routes};
use stheno_contracts::notifications as contract;
use stheno_engine::{Clock, NotificationsModule, Provider};

use crate::{Error, ErrorKind, Events, JsonObject};
use args::MAX_ITEMS;
use records::{Durable, InMemory, Records};
use send::Sender;

pub use args::{
    Attachment, Content, Disposition, MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS, NewNotification,
};

/// Pairs that are kept with a notification.
pub type Labels = Vec<(String, String)>;

/// The notifications, cheap to clone.
///
/// A notification goes over a channel; the config says which providers serve
/// it. They are tried in their order until one takes it: the next one gets it
/// after `unavailable` and after `timeout`, when it may have gone out already,
/// since twice is better than never. Any other error is final.
///
/// Every notification leaves a record, which becomes `success` only when a
/// provider has given a receipt. Content, attachments and provider data are not
/// in it. What is sent under an idempotency key is sent once: a second time
/// gives the record of the first, also within a batch, at the same moment, and
/// after a restart where the records are in a file; after a failure it is sent
/// again, in the same record.
///
/// Where the config names no file for the records, the newest 10,000 of 64 MiB
/// together are in memory and end with the process. In a file they are kept for
/// `retention` and within `max_size`. A key is known as long as its record.
///
/// What a process was sending when it died is [`NotificationStatus::Unknown`]: it
/// may have gone out or not. Its key is `conflict` from then on, unless the caller
/// says that it is to be sent all the same
/// ([`NewNotification::resend_unknown`]), or the one provider that serves its
/// channel has the feature `idempotent`, with which nothing goes out twice.
///
/// With each come events through the events module, as JSON with `id`,
/// `channel`, `status`, `provider`, `external_id` and `error`:
/// `notification.created`, then `notification.sent` or `notification.failed`.
/// An event that cannot be published is a line in the log and nothing else.
#[derive(Clone)]
pub struct Notifications(Arc<Sender>);

/// What is known of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Unique, given by the host.
    pub id: String,
    /// What it went over.
    pub channel: String,
    /// Who gets it.
    pub to: String,
    /// The template.
    pub template: Option<String>,
    /// What filled it.
    pub data: Option<JsonObject>,
    /// As they were given.
    pub labels: Labels,
    /// As it was given.
    pub idempotency_key: Option<String>,
    /// How it is.
    pub status: NotificationStatus,
    /// The id of the provider that took it, or that failed last.
    pub provider: Option<String>,
    /// What the service calls it.
    pub external_id: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// How many times it was tried: once, and again for each time that the same
    /// key was sent after a failure.
    pub attempts: u32,
    /// When it was asked for first.
    pub created: SystemTime,
    /// When its status changed last.
    pub updated: SystemTime,
}

/// How a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationStatus {
    /// It is being sent.
    Pending,
    /// A provider has given a receipt for it.
    Success,
    /// No provider has.
    Failure,
    /// Its process ended, or the disk of the records failed, while it was being
    /// sent: it may have gone out.
    Unknown,
}

impl NotificationStatus {
    /// As the HTTP API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for NotificationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which notifications are wanted: those that have all that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationFilter {
    /// This channel.
    pub channel: Option<String>,
    /// This recipient.
    pub to: Option<String>,
    /// This status.
    pub status: Option<NotificationStatus>,
    /// This provider, by its id.
    pub provider: Option<String>,
    /// This idempotency key.
    pub idempotency_key: Option<String>,
    /// All of these labels.
    pub labels: Labels,
}

impl NotificationFilter {
    fn matches(&self, record: &Notification) -> bool {
        let is = |wanted: &Option<String>, has: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| Some(wanted) == has)
        };
        is(&self.channel, Some(&record.channel))
            && is(&self.to, Some(&record.to))
            && self.status.is_none_or(|status| status == record.status)
            && is(&self.provider, record.provider.as_ref())
            && is(&self.idempotency_key, record.idempotency_key.as_ref())
            && self.labels.iter().all(|label| record.labels.contains(label))
    }
}

/// Some of the notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationPage {
    /// The newest first. Where few of many match there may be fewer than asked
    /// for, or none, and more to come.
    pub items: Vec<Notification>,
    /// Give it as `after` for the next page; none after the last.
    pub next: Option<String>,
}

/// A message that a provider has kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// What its receipt had.
    pub external_id: String,
    /// When it went out.
    pub sent: SystemTime,
    /// The id of the notification.
    pub id: String,
    /// The message; its attachments are in `attachments`.
    pub message: NewNotification,
    /// What travelled with it.
    pub attachments: Vec<OutboxAttachment>,
}

/// An attachment of an outbox, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxAttachment {
    /// The file's name.
    pub name: String,
    /// Such as `application/pdf`.
    pub content_type: Option<String>,
    /// Where it is shown.
    pub disposition: Disposition,
    /// In bytes.
    pub size: u64,
}

/// Some of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxPage {
    /// The oldest first.
    pub items: Vec<OutboxMessage>,
    /// Give it as `after` for the next page; none after the last.
    pub next: Option<String>,
}

/// Some of a batch could not be sent; the others were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendAllError {
    outcomes: Vec<Result<Notification, Error>>,
}

impl SendAllError {
    /// What became of each, in their order.
    pub fn outcomes(&self) -> &[Result<Notification, Error>] {
        &self.outcomes
    }

    fn failures(&self) -> impl Iterator<Item = &Error> {
        self.outcomes.iter().filter_map(|outcome| outcome.as_ref().err())
    }

    /// The kind of the first failure. It says that the same call may be made
    /// again only if that is true of all failures, and sends nothing twice.
    fn kind(&self) -> ErrorKind {
        let again = self.outcomes.iter().all(|outcome| match outcome {
            Ok(sent) => sent.idempotency_key.is_some(),
            Err(error) => error.is_retryable(),
        });
        let mut kinds = self.failures().map(Error::kind);
        let kind = if again {
            kinds.next()
        } else {
            kinds.find(|kind| !matches!(kind, ErrorKind::Timeout | ErrorKind::Unavailable))
        };
        kind.unwrap_or(ErrorKind::Internal)
    }
}

impl fmt::Display for SendAllError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told: Vec<&str> = Vec::new();
        for error in self.failures() {
            // One of which the batch has several with one key is told once.
            if !told.contains(&error.message()) {
                if !told.is_empty() {
                    f.write_str("\n")?;
                }
                f.write_str(error.message())?;
                told.push(error.message());
            }
        }
        Ok(())
    }
}

impl std::error::Error for SendAllError {}

impl From<SendAllError> for Error {
    fn from(error: SendAllError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// A provider, and what the config says that it is for.
pub(crate) struct Target {
    pub(crate) id: ProviderId,
    pub(crate) routes: Routes,
    pub(crate) provider: Provider<NotificationsModule>,
}

impl Notifications {
    pub(crate) fn new(targets: Vec<Target>, records: Kept, events: Events, clock: Clock) -> Self {
        Self(Arc::new(Sender::new(targets, records.0, events, clock)))
    }

    pub(crate) fn targets(&self) -> &[Target] {
        self.0.targets()
    }

    /// Sends one, and gives its record. Once it has begun it is carried to its
    /// end, even if the returned future is dropped.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for what is out of bounds, `conflict` for a key that
    /// stands for another channel or recipient or of which it is not known whether
    /// it was sent, `unavailable` once the runtime stops: then there is no record,
    /// or it stays as it is. `not-found` if no provider serves the
    /// channel, and what the provider said: then the record is a failure, and
    /// the error names its id.
    pub async fn send(&self, notification: NewNotification) -> Result<Notification, Error> {
        self.0.send(args::Checked::new(notification)?).await
    }

    /// Sends all of these, at most 1,000, and gives their records in the same
    /// order. Those with one key are sent once and have one record.
    ///
    /// # Errors
    ///
    /// When one fails the others are sent all the same: the error has what
    /// became of each, and its text has that of every failure, a line each. Made
    /// an [`Error`], it is retryable only if the same batch may be sent again
    /// without sending anything twice. If one is out of bounds, none is sent.
    pub async fn send_all(
        &self,
        notifications: Vec<NewNotification>,
    ) -> Result<Vec<Notification>, SendAllError> {
        let outcomes = match args::checked(notifications).and_then(send::distinct) {
            Ok(checked) => self.0.send_all(checked).await,
            Err(error) => vec![Err(error)],
        };
        if outcomes.iter().any(Result::is_err) {
            return Err(SendAllError { outcomes });
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// The record of a notification.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none, or no longer.
    pub async fn get(&self, id: &str) -> Result<Notification, Error> {
        args::text("id", id)?;
        self.0.records().get(id.to_owned()).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("there is no notification {id:?}"))
        })
    }

    /// The records that match, the newest first, at most `max` of them.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a `max` of 0 or more than 1,000, or an `after`
    /// that no page gave.
    pub async fn list(
        &self,
        filter: NotificationFilter,
        after: Option<&str>,
        max: u32,
    ) -> Result<NotificationPage, Error> {
        let max = page(max)?;
        self.0.records().list(filter, after.map(str::to_owned), max as usize).await
    }

    /// What a provider says that went out, the oldest first; of the first one
    /// unless another is named.
    ///
    /// # Errors
    ///
    /// `not-found` for an unknown provider, `unsupported` if it keeps no outbox,
    /// `invalid-argument` for a `max` of 0 or more than 1,000, and what else the
    /// provider says.
    pub async fn outbox(
        &self,
        provider: Option<&str>,
        after: Option<&str>,
        max: u32,
    ) -> Result<OutboxPage, Error> {
        let max = page(max)?;
        let target = self.0.target(provider)?;
        let after = after.map(str::to_owned);
        let found = target.provider.call(move |guest| {
            Box::pin(
                async move { guest.module.call_outbox(guest.store, after.as_deref(), max).await },
            )
        });
        let found = found.await?;
        let items = found.items.into_iter().map(OutboxMessage::from).collect();
        Ok(OutboxPage { items, next: found.next })
    }

    /// Lets nobody send any more and waits for what is being sent.
    pub(crate) async fn drain(&self) {
        self.0.drain().await;
    }
}

/// Where records are kept.
pub(crate) struct Kept(Box<dyn Records>);

impl Kept {
    /// In memory, or in this file.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, is open elsewhere, or is something else.
    pub(crate) async fn open(file: Option<&RecordsFile>, clock: Clock) -> Result<Self, Error> {
        Ok(Self(match file {
            None => Box::new(InMemory::new()),
            Some(file) => Box::new(Durable::open(file, clock).await?),
        }))
    }
}

/// The moment so long after 1970.
fn at(unix: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(unix).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn page(max: u32) -> Result<u32, Error> {
    if max == 0 || max as usize > MAX_ITEMS {
        return Err(Error::invalid(format!("max is {max}, must be 1 to {MAX_ITEMS}")));
    }
    Ok(max)
}

impl From<contract::Kept> for OutboxMessage {
    fn from(kept: contract::Kept) -> Self {
        let contract::Message {
            id,
            channel,
            to,
            from,
            cc,
            bcc,
            reply_to,
            template,
            data,
            content,
            attachments: _,
            provider_data,
        } = kept.message;
        // A provider may have made something else of them.
        let object = |text: Option<String>| text.and_then(|text| JsonObject::parse(&text).ok());
        let content = content.map(|content| Content {
            subject: content.subject,
            text: content.text,
            html: content.html,
        });
        let message = NewNotification {
            channel,
            to,
            from,
            cc,
            bcc,
            reply_to,
            template,
            data: object(data),
            content,
            attachments: Vec::new(),
            provider_data: object(provider_data),
            idempotency_key: None,
            resend_unknown: false,
            labels: Vec::new(),
        };
        let attachments = kept.attachments.into_iter().map(|attachment| OutboxAttachment {
            name: attachment.name,
            content_type: attachment.content_type,
            disposition: match (attachment.disposition, attachment.id) {
                (contract::Disposition::Inline, Some(id)) => Disposition::Inline(id),
                (_, id) => Disposition::Attachment(id),
            },
            size: attachment.size,
        });
        Self {
            external_id: kept.external_id,
            sent: at(Duration::from_millis(kept.sent_ms)),
            id,
            message,
            attachments: attachments.collect(),
        }
    }
}
