//! What is known of notifications: what was asked, and what became of it.
//!
//! [`Records`] is the one seam to where that is kept. [`InMemory`] keeps the
//! newest, and ends with the process; a durable one takes its place without
//! anything else changing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::{Notification, NotificationFilter, NotificationPage, NotificationStatus};
use crate::{Error, ErrorKind};

/// How many records are kept, and how large they may be together.
const MAX_RECORDS: usize = 10_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// A page ends after so much.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// What [`Records::begin`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// Nothing was known: this is recorded, as pending.
    New(Notification),
    /// The key had failed, or was left pending by a process that ended: the old
    /// record, pending again.
    Again(Notification),
    /// The key was sent: the record, unchanged.
    Sent(Notification),
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    Success { provider: String, external_id: Option<String> },
    Failure { provider: Option<String>, error: String },
}

/// Where records are kept. Each call is atomic. Within one runtime the caller
/// sees to it that a key is begun and settled by one task at a time.
pub(super) trait Records: Send + Sync + 'static {
    /// Records that this is about to be sent, unless its key was sent already.
    /// `conflict` if the key stands for another channel or recipient.
    fn begin(&self, new: Notification) -> BoxFuture<'_, Result<Begun, Error>>;

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
}

/// The newest records, in memory.
pub(super) struct InMemory {
    state: Mutex<State>,
    max_records: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct State {
    records: BTreeMap<u64, Notification>,
    ids: HashMap<String, u64>,
    keys: HashMap<String, u64>,
    next: u64,
    bytes: usize,
}

impl InMemory {
    pub(super) fn new() -> Self {
        Self::bounded(MAX_RECORDS, MAX_BYTES)
    }

    fn bounded(max_records: usize, max_bytes: usize) -> Self {
        Self { state: Mutex::default(), max_records, max_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_now(&self, new: Notification) -> Result<Begun, Error> {
        let mut state = self.lock();
        let known = new.idempotency_key.as_ref().and_then(|key| state.keys.get(key)).copied();
        if let Some(record) = known.and_then(|number| state.records.get_mut(&number)) {
            if (&record.channel, &record.to) != (&new.channel, &new.to) {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "the idempotency_key stands for the notification {} on {:?}, which has \
                         another channel or recipient; take a key of its own for each",
                        record.id, record.channel
                    ),
                ));
            }
            if record.status == NotificationStatus::Success {
                return Ok(Begun::Sent(record.clone()));
            }
            record.status = NotificationStatus::Pending;
            record.updated = new.updated;
            record.error = None;
            return Ok(Begun::Again(record.clone()));
        }
        let bytes = weight(&new);
        state.make_room(self.max_records, self.max_bytes.saturating_sub(bytes))?;
        let number = state.next;
        state.next += 1;
        state.bytes += bytes;
        state.ids.insert(new.id.clone(), number);
        if let Some(key) = &new.idempotency_key {
            state.keys.insert(key.clone(), number);
        }
        state.records.insert(number, new.clone());
        Ok(Begun::New(new))
    }

    fn settle_now(
        &self,
        id: &str,
        outcome: Outcome,
        at: SystemTime,
    ) -> Result<Notification, Error> {
        let mut state = self.lock();
        let number = state.ids.get(id).copied();
        let record = number.and_then(|number| state.records.get_mut(&number)).ok_or_else(|| {
            Error::new(ErrorKind::Internal, format!("the record of the notification {id} is gone"))
        })?;
        let before = weight(record);
        record.updated = at;
        record.attempts = record.attempts.saturating_add(1);
        match outcome {
            Outcome::Success { provider, external_id } => {
                record.status = NotificationStatus::Success;
                record.provider = Some(provider);
                record.external_id = external_id;
                record.error = None;
            }
            Outcome::Failure { provider, error } => {
                record.status = NotificationStatus::Failure;
                record.provider = provider;
                record.external_id = None;
                record.error = Some(error);
            }
        }
        let (record, after) = (record.clone(), weight(record));
        state.bytes = (state.bytes + after).saturating_sub(before);
        Ok(record)
    }

    fn list_now(
        &self,
        filter: &NotificationFilter,
        after: Option<&str>,
        max: usize,
    ) -> Result<NotificationPage, Error> {
        let end = match after {
            None => u64::MAX,
            Some(cursor) => number(cursor).ok_or_else(|| {
                Error::invalid(format!(
                    "after {cursor:?} is not what a page gave as next; begin without it"
                ))
            })?,
        };
        let state = self.lock();
        let mut found =
            state.records.range(..end).rev().filter(|(_, record)| filter.matches(record));
        let (mut items, mut bytes, mut last) = (Vec::new(), 0, 0);
        let mut more = false;
        for (number, record) in found.by_ref() {
            let weight = weight(record);
            if items.len() == max || (bytes > 0 && bytes + weight > PAGE_BYTES) {
                more = true;
                break;
            }
            bytes += weight;
            last = *number;
            items.push(record.clone());
        }
        Ok(NotificationPage { items, next: more.then(|| format!("{last:016x}")) })
    }
}

impl State {
    /// Lets go of the oldest that are settled.
    fn make_room(&mut self, max_records: usize, max_bytes: usize) -> Result<(), Error> {
        while self.records.len() >= max_records || self.bytes > max_bytes {
            let settled =
                |(_, record): &(&u64, &Notification)| record.status != NotificationStatus::Pending;
            let Some(number) = self.records.iter().find(settled).map(|(number, _)| *number) else {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("{} notifications are being sent; try again later", self.records.len()),
                ));
            };
            if let Some(old) = self.records.remove(&number) {
                self.bytes = self.bytes.saturating_sub(weight(&old));
                self.ids.remove(&old.id);
                if let Some(key) = &old.idempotency_key {
                    self.keys.remove(key);
                }
            }
        }
        Ok(())
    }
}

/// What a cursor stands for.
fn number(cursor: &str) -> Option<u64> {
    let digits = cursor.len() == 16 && cursor.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(cursor, 16).ok()).flatten()
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

impl Records for InMemory {
    fn begin(&self, new: Notification) -> BoxFuture<'_, Result<Begun, Error>> {
        Box::pin(std::future::ready(self.begin_now(new)))
    }

    fn settle(
        &self,
        id: String,
        outcome: Outcome,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<Notification, Error>> {
        Box::pin(std::future::ready(self.settle_now(&id, outcome, at)))
    }

    fn get(&self, id: String) -> BoxFuture<'_, Result<Option<Notification>, Error>> {
        let state = self.lock();
        let record = state.ids.get(&id).and_then(|number| state.records.get(number)).cloned();
        Box::pin(std::future::ready(Ok(record)))
    }

    fn list(
        &self,
        filter: NotificationFilter,
        after: Option<String>,
        max: usize,
    ) -> BoxFuture<'_, Result<NotificationPage, Error>> {
        Box::pin(std::future::ready(self.list_now(&filter, after.as_deref(), max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, key: Option<&str>) -> Notification {
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

    fn success() -> Outcome {
        Outcome::Success { provider: "p".into(), external_id: None }
    }

    #[test]
    fn the_oldest_settled_goes_and_what_is_pending_stays() {
        let records = InMemory::bounded(2, MAX_BYTES);
        records.begin_now(record("a", Some("ka"))).unwrap();
        records.begin_now(record("b", Some("kb"))).unwrap();
        let full = records.begin_now(record("c", None)).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Unavailable);
        records.settle_now("b", success(), SystemTime::UNIX_EPOCH).unwrap();
        records.begin_now(record("c", None)).unwrap();
        let ids = |page: NotificationPage| {
            page.items.into_iter().map(|record| record.id).collect::<Vec<_>>()
        };
        let all = records.list_now(&NotificationFilter::default(), None, 10).unwrap();
        assert_eq!(ids(all), ["c", "a"]);
        // Its key is forgotten with it.
        assert!(!records.lock().keys.contains_key("kb"));
    }

    #[test]
    fn bytes_are_bounded_and_counted_back() {
        let one = weight(&record("a", None));
        let records = InMemory::bounded(100, 3 * one);
        for id in ["a", "b", "c", "d", "e"] {
            records.begin_now(record(id, None)).unwrap();
            records.settle_now(id, success(), SystemTime::UNIX_EPOCH).unwrap();
        }
        let state = records.lock();
        assert_eq!(state.records.len(), 3);
        assert_eq!(state.bytes, state.records.values().map(weight).sum::<usize>());
        assert_eq!(state.ids.len(), 3);
    }

    #[test]
    fn what_was_left_pending_is_begun_again() {
        let records = InMemory::new();
        records.begin_now(record("a", Some("k"))).unwrap();
        let Begun::Again(again) = records.begin_now(record("b", Some("k"))).unwrap() else {
            panic!("it is known");
        };
        assert_eq!(again.id, "a");
    }
}
