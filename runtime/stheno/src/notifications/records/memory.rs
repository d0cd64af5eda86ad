//! The newest records, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use super::{Begun, Known, Outcome, PAGE_BYTES, Records, cursor, number, weight};
use crate::notifications::{
    Notification, NotificationFilter, NotificationPage, NotificationStatus,
};
use crate::{Error, ErrorKind};

/// How many records are kept, and how large they may be together.
const MAX_RECORDS: usize = 10_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The newest records; they end with the process.
pub(in crate::notifications) struct InMemory {
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
    pub(in crate::notifications) fn new() -> Self {
        Self::bounded(MAX_RECORDS, MAX_BYTES)
    }

    fn bounded(max_records: usize, max_bytes: usize) -> Self {
        Self { state: Mutex::default(), max_records, max_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_now(&self, new: Notification, resend: bool) -> Result<Begun, Error> {
        let mut state = self.lock();
        let known = new.idempotency_key.as_ref().and_then(|key| state.keys.get(key)).copied();
        if let Some(record) = known.and_then(|number| state.records.get_mut(&number)) {
            return match super::known(record, &new, resend)? {
                Known::Sent => Ok(Begun::Sent(record.clone())),
                Known::Again => {
                    super::again(record, new.updated);
                    Ok(Begun::Again(record.clone()))
                }
            };
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
        let record = number
            .and_then(|number| state.records.get_mut(&number))
            .ok_or_else(|| super::gone(id))?;
        let before = weight(record);
        super::settle(record, outcome, at);
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
            Some(cursor) => number(cursor)?,
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
        Ok(NotificationPage { items, next: more.then(|| cursor(last)) })
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

impl Records for InMemory {
    fn begin(&self, new: Notification, resend: bool) -> BoxFuture<'_, Result<Begun, Error>> {
        Box::pin(std::future::ready(self.begin_now(new, resend)))
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

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    fn success() -> Outcome {
        Outcome::Success { provider: "p".into(), external_id: None }
    }

    #[test]
    fn the_oldest_settled_goes_and_what_is_pending_stays() {
        let records = InMemory::bounded(2, MAX_BYTES);
        records.begin_now(record("a", Some("ka")), false).unwrap();
        records.begin_now(record("b", Some("kb")), false).unwrap();
        let full = records.begin_now(record("c", None), false).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Unavailable);
        records.settle_now("b", success(), SystemTime::UNIX_EPOCH).unwrap();
        records.begin_now(record("c", None), false).unwrap();
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
            records.begin_now(record(id, None), false).unwrap();
            records.settle_now(id, success(), SystemTime::UNIX_EPOCH).unwrap();
        }
        let state = records.lock();
        assert_eq!(state.records.len(), 3);
        assert_eq!(state.bytes, state.records.values().map(weight).sum::<usize>());
        assert_eq!(state.ids.len(), 3);
    }

    #[test]
    fn what_was_left_pending_is_sent_again_only_if_the_caller_says_so() {
        let records = InMemory::new();
        records.begin_now(record("a", Some("k")), false).unwrap();
        let left = records.begin_now(record("b", Some("k")), false).unwrap_err();
        assert_eq!(left.kind(), ErrorKind::Conflict);
        let Begun::Again(again) = records.begin_now(record("b", Some("k")), true).unwrap() else {
            panic!("it is known");
        };
        assert_eq!(again.id, "a");
    }
}
