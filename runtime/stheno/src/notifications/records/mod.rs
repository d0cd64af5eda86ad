//! What is known of notifications: what was asked, and what became of it.
//!
//! [`Records`] is the one seam to where that is kept: [`InMemory`] keeps the newest
//! and ends with the process, [`Durable`] keeps them in a file. What a record may
//! become, and when a key may be sent again, is the same for both and stands here.

mod durable;
mod memory;
mod row;

use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::{Notification, NotificationFilter, NotificationPage, NotificationStatus};
use crate::{Error, ErrorKind};

pub(super) use durable::Durable;
pub(super) use memory::InMemory;

/// A page ends after so much.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The longest text of an error that is kept.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// What [`Records::begin`] found.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::notifications) enum Begun {
    /// Nothing was known: this is recorded, as pending.
    New(Notification),
    /// The key had failed, or it was not known what became of it: the old record,
    /// pending again.
    Again(Notification),
    /// The key was sent: the record, unchanged.
    Sent(Notification),
}

/// What became of an attempt.
#[derive(Debug)]
pub(in crate::notifications) enum Outcome {
    Success { provider: String, external_id: Option<String> },
    Failure { provider: Option<String>, error: String },
}

/// Where records are kept. Each call is atomic. Within one runtime the caller
/// sees to it that a key is begun and settled by one task at a time.
pub(in crate::notifications) trait Records: Send + Sync + 'static {
    /// Records that this is about to be sent, unless its key was sent already.
    /// `conflict` if the key stands for another channel or recipient, or if it is
    /// not known what became of it and `resend` does not say to send it again.
    fn begin(&self, new: Notification, resend: bool) -> BoxFuture<'_, Result<Begun, Error>>;

    /// Records how it went; gives the record.
    fn settle(
        &self,
        id: String,
        outcome: Outcome,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<Notification, Error>>;

    /// One of them; none if it is not known (any more).
    fn get(&self, id: String) -> BoxFuture<'_, Result<Option<Notification>, Error>>;

    /// Those that match, the newest first.
    fn list(
        &self,
        filter: NotificationFilter,
        after: Option<String>,
        max: usize,
    ) -> BoxFuture<'_, Result<NotificationPage, Error>>;

    /// Lets go of what they are kept in. No call follows that is answered well.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What may be done with a key that is known.
enum Known {
    /// Nothing: it was sent.
    Sent,
    /// It is sent again.
    Again,
}

/// Decides about a key that is known. Nobody else is sending it now: a record that
/// is pending was left so, by a process that died or a disk that failed.
fn known(record: &Notification, new: &Notification, resend: bool) -> Result<Known, Error> {
    if (&record.channel, &record.to) != (&new.channel, &new.to) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the idempotency_key stands for the notification {} on {:?}, which has another \
                 channel or recipient; take a key of its own for each",
                record.id, record.channel
            ),
        ));
    }
    match record.status {
        NotificationStatus::Success => Ok(Known::Sent),
        NotificationStatus::Failure => Ok(Known::Again),
        NotificationStatus::Pending | NotificationStatus::Unknown if resend => Ok(Known::Again),
        NotificationStatus::Pending | NotificationStatus::Unknown => Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the idempotency_key stands for the notification {}, which may have gone out: \
                 its process ended, or the disk failed, while it was being sent; to send it all \
                 the same, set resend_unknown",
                record.id
            ),
        )),
    }
}

/// Makes a record one that is being sent once more.
fn again(record: &mut Notification, at: SystemTime) {
    record.status = NotificationStatus::Pending;
    record.updated = at;
    record.error = None;
}

/// Makes a pending record one of which nobody knows what became.
fn lose_sight_of(record: &mut Notification, at: SystemTime) {
    record.status = NotificationStatus::Unknown;
    record.updated = at;
    record.attempts = record.attempts.saturating_add(1);
    record.error = Some("its process ended while it was being sent; it may have gone out".into());
}

/// Enters what became of an attempt.
fn settle(record: &mut Notification, outcome: Outcome, at: SystemTime) {
    record.updated = at;
    record.attempts = record.attempts.saturating_add(1);
    match outcome {
        Outcome::Success { provider, external_id } => {
            record.status = NotificationStatus::Success;
            record.provider = Some(provider);
            record.external_id = external_id;
            record.error = None;
        }
        Outcome::Failure { provider, mut error } => {
            error.truncate(error.floor_char_boundary(MAX_ERROR_BYTES));
            record.status = NotificationStatus::Failure;
            record.provider = provider;
            record.external_id = None;
            record.error = Some(error);
        }
    }
}

fn gone(id: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the record of the notification {id} is gone"))
}

/// What a page that ends with this number gives as `next`.
fn cursor(last: u64) -> String {
    format!("{last:016x}")
}

/// What a cursor stands for.
fn number(cursor: &str) -> Result<u64, Error> {
    let digits = cursor.len() == 16 && cursor.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(cursor, 16).ok()).flatten().ok_or_else(|| {
        Error::invalid(format!(
            "after {cursor:?} is not what a page gave as next; begin without it"
        ))
    })
}

/// About how much a record takes.
fn weight(record: &Notification) -> usize {
    let texts = [&record.template, &record.idempotency_key, &record.external_id, &record.error];
    let labels = record.labels.iter().map(|(name, value)| name.len() + value.len() + 48);
    512 + record.to.len()
        + record.channel.len()
        + record.data.as_ref().map_or(0, |data| data.as_str().len())
        + texts.into_iter().flatten().map(String::len).sum::<usize>()
        + labels.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pending one.
    pub(super) fn record(id: &str, key: Option<&str>) -> Notification {
        Notification {
            id: id.into(),
            channel: "email".into(),
            to: "a@example.com".into(),
            template: None,
            data: None,
            labels: vec![],
            idempotency_key: key.map(str::to_owned),
            status: NotificationStatus::Pending,
            provider: None,
            external_id: None,
            error: None,
            attempts: 0,
            created: SystemTime::UNIX_EPOCH,
            updated: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_cursor_is_what_a_page_gave_and_nothing_else() {
        assert_eq!(number(&cursor(7)).unwrap(), 7);
        for other in ["", "7", "+000000000000007", "zzzzzzzzzzzzzzzz", "00000000000000070"] {
            assert_eq!(number(other).unwrap_err().kind(), ErrorKind::InvalidArgument, "{other}");
        }
    }

    #[test]
    fn only_what_failed_is_sent_again_without_a_word_and_what_was_sent_never_is() {
        use NotificationStatus::{Failure, Pending, Success, Unknown};
        for (status, resend, sent_again) in [
            (Success, false, Ok(false)),
            (Success, true, Ok(false)),
            (Failure, false, Ok(true)),
            (Failure, true, Ok(true)),
            (Unknown, false, Err(ErrorKind::Conflict)),
            (Unknown, true, Ok(true)),
            (Pending, false, Err(ErrorKind::Conflict)),
            (Pending, true, Ok(true)),
        ] {
            let old = Notification { status, ..record("a", Some("k")) };
            let decided = known(&old, &record("b", Some("k")), resend);
            let decided =
                decided.map(|known| matches!(known, Known::Again)).map_err(|error| error.kind());
            assert_eq!(decided, sent_again, "{status}, {resend}");
        }
    }
}
