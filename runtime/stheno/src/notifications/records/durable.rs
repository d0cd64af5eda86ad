//! Records in a file of the host.
//!
//! A record is on the disk, as pending, before its message is handed over, and its
//! outcome before anybody is told of it; senders at the same time share a commit
//! (see [`OwnStore`]). So after a crash a record says what became of it, or that
//! it was being sent: then nobody can know, and it is made `unknown` when the file
//! is opened next. A key whose record is not there was never handed over.
//!
//! What is too old is not shown, and goes from the file in sweeps; what is oldest
//! goes before its time when the file is full. Neither takes what is pending.

use std::sync::Mutex as SyncMutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use stheno_config::RecordsFile;
use stheno_contracts::Error as Contract;
use stheno_contracts::base::stheno::store::types::{Change, Condition, Entry};
use stheno_engine::{Clock, Order, OwnStore};
use tokio::sync::Mutex;

use super::{Begun, Known, Outcome, PAGE_BYTES, Records, cursor, number, row, weight};
use crate::notifications::{
    Notification, NotificationFilter, NotificationPage, NotificationStatus,
};
use crate::{Error, ErrorKind};

/// How many records are read at a time.
const ROWS: u32 = 512;
/// How many bytes of records are read at a time; a batch has room for all of them
/// as conditions.
const ROWS_BYTES: u32 = 2 << 20;
/// About how many bytes of records are written at a time.
const BATCH_BYTES: usize = 1 << 20;
/// After so many records a page ends, be it full or not.
const LOOKED_AT: usize = 50_000;
/// The longest that what is too old stays in the file.
const LONGEST_SWEEP: Duration = Duration::from_secs(60 * 60);
/// Longer than any id, and within what a key of the file may have.
const MAX_ID_BYTES: usize = 255;
/// How often a removal that somebody came between is tried again.
const TRIES: usize = 8;

pub(in crate::notifications) struct Durable {
    store: OwnStore,
    clock: Clock,
    retention: Duration,
    max_size: u64,
    /// The number of the next record.
    next: AtomicU64,
    /// When what is too old is removed next, on the monotonic clock.
    sweep_at: SyncMutex<Duration>,
    /// Held by whoever removes records, so that two do not remove the same.
    removing: Mutex<()>,
}

/// A record with where and how it stands in the file.
struct Stored {
    number: u64,
    bytes: Vec<u8>,
    record: Notification,
}

impl Stored {
    fn new(entry: Entry) -> Result<Self, Error> {
        let number = row::number(&entry.key).ok_or_else(|| damaged("a row has no number"))?;
        Ok(Self { number, record: row::read(&entry.value)?, bytes: entry.value })
    }

    /// What its rows count in the file.
    fn size(&self) -> u64 {
        self.bytes.len() as u64 + 192
    }
}

/// Which records are removed.
#[derive(Clone, Copy)]
enum Old {
    /// Those that stand there for longer than they may.
    Expired,
    /// The oldest, until so many bytes are freed.
    Oldest(u64),
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the file of records is damaged: {what}"))
}

fn put(key: Vec<u8>, value: Vec<u8>) -> Change {
    Change::Put(Entry { key, value })
}

/// All rows of a record.
fn rows(number: u64, record: &Notification) -> Result<Vec<Change>, Error> {
    let at = number.to_be_bytes().to_vec();
    let mut changes = vec![
        put(row::numbered(row::RECORDS, number), row::written(record)?),
        put(row::by_id(&record.id), at.clone()),
    ];
    if let Some(key) = &record.idempotency_key {
        changes.push(put(row::by_key(key), at));
    }
    let pending = row::numbered(row::PENDING, number);
    changes.push(match record.status {
        NotificationStatus::Pending => put(pending, Vec::new()),
        _ => Change::Delete(pending),
    });
    Ok(changes)
}

impl Durable {
    /// Opens the file, or makes it, and makes unknown what a dead process left
    /// pending.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or is something else.
    pub(in crate::notifications) async fn open(
        file: &RecordsFile,
        clock: Clock,
    ) -> Result<Self, Error> {
        let max_size = file.max_size.get();
        let store = OwnStore::open(file.path.clone(), max_size).await?;
        let durable = Self {
            store,
            clock,
            retention: file.retention.get(),
            max_size: max_size.as_u64(),
            next: AtomicU64::new(0),
            sweep_at: SyncMutex::new(Duration::ZERO),
            removing: Mutex::new(()),
        };
        durable.claim().await?;
        let newest = durable.page(0, u64::MAX, Order::Descending, 1).await?;
        let next = newest.first().map_or(0, |newest| newest.number + 1);
        durable.next.store(next, Ordering::Relaxed);
        durable.lose_sight().await?;
        durable.sweep_if_due().await?;
        Ok(durable)
    }

    /// Sees that the file has records and nothing else.
    async fn claim(&self) -> Result<(), Error> {
        let found = self.store.get_many(vec![row::VERSION_KEY.to_vec()]).await?;
        match found.into_iter().next().flatten() {
            Some(version) if version == row::VERSION => Ok(()),
            None if self.store.used().await? == 0 => {
                let version = put(row::VERSION_KEY.to_vec(), row::VERSION.to_vec());
                Ok(self.store.commit(Vec::new(), vec![version]).await?)
            }
            _ => Err(Error::new(
                ErrorKind::Unavailable,
                "the file holds something else, or was made by a later version of Stheno",
            )),
        }
    }

    /// Makes unknown what was being sent when the process before this one ended.
    async fn lose_sight(&self) -> Result<(), Error> {
        let now = self.now();
        let mut count = 0_usize;
        loop {
            let (start, end) = (vec![row::PENDING], row::end(row::PENDING));
            let left = self.store.scan(start, end, Order::Ascending, ROWS, ROWS_BYTES).await?;
            if left.is_empty() {
                break;
            }
            let (mut changes, mut bytes) = (Vec::new(), 0);
            for entry in left {
                let number = row::number(&entry.key).ok_or_else(|| damaged("no number"))?;
                changes.push(Change::Delete(entry.key));
                if let Some(mut stored) = self.at(number).await? {
                    super::lose_sight_of(&mut stored.record, now);
                    changes.extend(rows(number, &stored.record)?);
                    bytes += stored.bytes.len();
                    count += 1;
                }
                if bytes > BATCH_BYTES {
                    self.store.commit(Vec::new(), std::mem::take(&mut changes)).await?;
                    bytes = 0;
                }
            }
            self.store.commit(Vec::new(), changes).await?;
        }
        if count > 0 {
            tracing::warn!(
                notifications = count,
                "were being sent when the process ended, and may have gone out; their status is \
                 now `unknown`"
            );
        }
        Ok(())
    }

    fn now(&self) -> SystemTime {
        super::super::at(self.clock.unix())
    }

    /// Whether a record has stood there for longer than it may.
    fn is_expired(&self, record: &Notification) -> bool {
        let age = self.now().duration_since(record.updated).unwrap_or_default();
        record.status != NotificationStatus::Pending && age >= self.retention
    }

    /// The record with this number.
    async fn at(&self, number: u64) -> Result<Option<Stored>, Error> {
        let key = row::numbered(row::RECORDS, number);
        let found = self.store.get_many(vec![key.clone()]).await?.into_iter().next().flatten();
        found.map(|value| Stored::new(Entry { key, value })).transpose()
    }

    /// The record that a row of another table points to.
    async fn pointed_to(&self, pointer: Vec<u8>) -> Result<Option<Stored>, Error> {
        let found = self.store.get_many(vec![pointer]).await?.into_iter().next().flatten();
        let Some(number) = found.as_deref().and_then(row::number) else { return Ok(None) };
        self.at(number).await
    }

    /// Some of the records with a number from `from` on and below `below`.
    async fn page(
        &self,
        from: u64,
        below: u64,
        order: Order,
        max: u32,
    ) -> Result<Vec<Stored>, Error> {
        let (start, end) = (row::numbered(row::RECORDS, from), row::numbered(row::RECORDS, below));
        let entries = self.store.scan(start, end, order, max, ROWS_BYTES).await?;
        entries.into_iter().map(Stored::new).collect()
    }

    /// Writes a record, making room for it if need be.
    async fn write(&self, number: u64, record: &Notification) -> Result<(), Error> {
        let changes = rows(number, record)?;
        let Err(error) = self.store.commit(Vec::new(), changes.clone()).await else {
            return Ok(());
        };
        // Full, or an open file that has failed: both may be over with.
        if !matches!(error, Contract::Unavailable(_)) {
            return Err(error.into());
        }
        self.make_room(weight(record) as u64).await?;
        Ok(self.store.commit(Vec::new(), changes).await?)
    }

    /// Sees that what is begun leaves room for the outcomes of all that is under
    /// way.
    async fn make_room(&self, wanted: u64) -> Result<(), Error> {
        let reserve = self.max_size / 8;
        if self.store.used().await?.saturating_add(wanted) <= self.max_size - reserve {
            return Ok(());
        }
        let _removing = self.removing.lock().await;
        let used = self.store.used().await?.saturating_add(wanted);
        // Some more, so that not every record has to push another one out.
        let aim = self.max_size - 2 * reserve;
        if used <= self.max_size - reserve {
            return Ok(());
        }
        let freed = self.remove(Old::Oldest(used.saturating_sub(aim))).await?;
        if used.saturating_sub(freed) > self.max_size - reserve {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the file of records is full of notifications that are being sent; try again \
                 later, or raise its max_size",
            ));
        }
        Ok(())
    }

    /// Removes what is too old, now and then.
    async fn sweep_if_due(&self) -> Result<(), Error> {
        let now = self.clock.monotonic();
        {
            let mut due = self.sweep_at.lock().unwrap_or_else(PoisonError::into_inner);
            if now < *due {
                return Ok(());
            }
            *due = now.saturating_add(LONGEST_SWEEP.min(self.retention / 8));
        }
        let _removing = self.removing.lock().await;
        self.remove(Old::Expired).await?;
        Ok(())
    }

    /// Removes settled records, the oldest first; says how many bytes that freed.
    async fn remove(&self, which: Old) -> Result<u64, Error> {
        let wanted = match which {
            Old::Expired => u64::MAX,
            Old::Oldest(wanted) => wanted,
        };
        let (mut freed, mut from) = (0_u64, 0_u64);
        loop {
            let page = self.page(from, u64::MAX, Order::Ascending, ROWS).await?;
            let Some(last) = page.last() else { return Ok(freed) };
            from = last.number + 1;
            let mut old = Vec::new();
            for stored in page {
                if freed >= wanted {
                    break;
                }
                let goes = match which {
                    Old::Expired => self.is_expired(&stored.record),
                    Old::Oldest(_) => stored.record.status != NotificationStatus::Pending,
                };
                if goes {
                    freed = freed.saturating_add(stored.size());
                    old.push(stored);
                }
            }
            // Those behind are younger still.
            let all_young = old.is_empty() && matches!(which, Old::Expired);
            self.remove_all(old).await?;
            if freed >= wanted || all_young {
                return Ok(freed);
            }
        }
    }

    /// Removes these, as long as they are as they were read.
    async fn remove_all(&self, mut old: Vec<Stored>) -> Result<(), Error> {
        for _ in 0..TRIES {
            let (mut conditions, mut changes) = (Vec::new(), Vec::new());
            for Stored { number, bytes, record } in &old {
                let key = row::numbered(row::RECORDS, *number);
                conditions.push(Condition { key: key.clone(), value: Some(bytes.clone()) });
                changes.extend([Change::Delete(key), Change::Delete(row::by_id(&record.id))]);
            }
            let keyed: Vec<_> = old
                .iter()
                .filter_map(|stored| Some((stored.record.idempotency_key.as_ref()?, stored.number)))
                .map(|(key, number)| (row::by_key(key), number.to_be_bytes().to_vec()))
                .collect();
            let pointers = keyed.iter().map(|(key, _)| key.clone()).collect();
            let found = self.store.get_many(pointers).await?;
            for ((key, number), found) in keyed.into_iter().zip(found) {
                // A key may stand for a newer record by now.
                if found.as_ref() == Some(&number) {
                    conditions.push(Condition { key: key.clone(), value: Some(number) });
                    changes.push(Change::Delete(key));
                }
            }
            if changes.is_empty() {
                return Ok(());
            }
            match self.store.commit(conditions, changes).await {
                Err(Contract::Conflict(_)) => {}
                removed => return Ok(removed?),
            }
            // One of them is being sent again. What is as it was still goes.
            let mut same = Vec::new();
            for stored in old {
                if self.at(stored.number).await?.is_some_and(|now| now.bytes == stored.bytes) {
                    same.push(stored);
                }
            }
            old = same;
        }
        Ok(())
    }

    async fn begin_now(&self, new: Notification, resend: bool) -> Result<Begun, Error> {
        if let Err(error) = self.sweep_if_due().await {
            tracing::warn!(%error, "old records of notifications were not removed");
        }
        if let Some(key) = &new.idempotency_key {
            let known = self.pointed_to(row::by_key(key)).await?;
            if let Some(Stored { number, mut record, .. }) =
                known.filter(|known| !self.is_expired(&known.record))
            {
                return match super::known(&record, &new, resend)? {
                    Known::Sent => Ok(Begun::Sent(record)),
                    Known::Again => {
                        super::again(&mut record, new.updated);
                        self.write(number, &record).await?;
                        Ok(Begun::Again(record))
                    }
                };
            }
        }
        self.make_room(weight(&new) as u64).await?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.write(number, &new).await?;
        Ok(Begun::New(new))
    }

    async fn settle_now(
        &self,
        id: &str,
        outcome: Outcome,
        at: SystemTime,
    ) -> Result<Notification, Error> {
        let found = self.pointed_to(row::by_id(id)).await?;
        let Stored { number, mut record, .. } = found.ok_or_else(|| super::gone(id))?;
        super::settle(&mut record, outcome, at);
        self.write(number, &record).await?;
        Ok(record)
    }

    async fn list_now(
        &self,
        filter: &NotificationFilter,
        after: Option<&str>,
        max: usize,
    ) -> Result<NotificationPage, Error> {
        let mut below = match after {
            None => u64::MAX,
            Some(cursor) => number(cursor)?,
        };
        if let Some(key) = &filter.idempotency_key {
            let found = self.pointed_to(row::by_key(key)).await?;
            let fits = |found: &Stored| {
                found.number < below
                    && !self.is_expired(&found.record)
                    && filter.matches(&found.record)
            };
            let items = found.filter(fits).map(|found| found.record).into_iter().collect();
            return Ok(NotificationPage { items, next: None });
        }
        let (mut items, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
        loop {
            let page = self.page(0, below, Order::Descending, ROWS).await?;
            if page.is_empty() {
                return Ok(NotificationPage { items, next: None });
            }
            for Stored { number, record, .. } in page {
                looked_at += 1;
                if !self.is_expired(&record) && filter.matches(&record) {
                    let weight = weight(&record);
                    if items.len() == max || (bytes > 0 && bytes + weight > PAGE_BYTES) {
                        return Ok(NotificationPage { items, next: Some(cursor(below)) });
                    }
                    bytes += weight;
                    items.push(record);
                }
                below = number;
            }
            if looked_at >= LOOKED_AT {
                return Ok(NotificationPage { items, next: Some(cursor(below)) });
            }
        }
    }
}

impl Records for Durable {
    fn begin(&self, new: Notification, resend: bool) -> BoxFuture<'_, Result<Begun, Error>> {
        Box::pin(self.begin_now(new, resend))
    }

    fn settle(
        &self,
        id: String,
        outcome: Outcome,
        at: SystemTime,
    ) -> BoxFuture<'_, Result<Notification, Error>> {
        Box::pin(async move { self.settle_now(&id, outcome, at).await })
    }

    fn get(&self, id: String) -> BoxFuture<'_, Result<Option<Notification>, Error>> {
        Box::pin(async move {
            if id.len() > MAX_ID_BYTES {
                return Ok(None);
            }
            let found = self.pointed_to(row::by_id(&id)).await?;
            Ok(found.map(|found| found.record).filter(|record| !self.is_expired(record)))
        })
    }

    fn list(
        &self,
        filter: NotificationFilter,
        after: Option<String>,
        max: usize,
    ) -> BoxFuture<'_, Result<NotificationPage, Error>> {
        Box::pin(async move { self.list_now(&filter, after.as_deref(), max).await })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.store.close())
    }
}
