//! What a call has changed, on its way to the store.
//!
//! The broker works in memory and notes which rows differ; when the call ends,
//! all of it is committed before anybody is answered. What is in memory owns its
//! row ([`Row`]): when it goes, so does the row, and no way out of the broker can
//! forget it. Without a store nothing is noted.
//!
//! # More than fits into one batch
//!
//! A call may change more than the store takes at once. Then the changes go in
//! three steps, and each leaves the store good if it is the last:
//!
//! 1. what means nothing yet: rows of events from the `Intent` on, messages
//!    beyond the count of their group, pairs of a subscription without a row;
//!    and what stands for itself, such as one delivery's lease;
//! 2. one batch that makes all of it count;
//! 3. what has no meaning any more.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use stheno_sdk::store::{BATCH_BYTES, BATCH_ITEMS, Change, Entry};

use super::Now;
use super::rows::{self, Key, Stage};

/// Rows that differ from what the store has: what stands there now, or nothing.
pub(super) struct Journal {
    changes: RefCell<BTreeMap<Key, Option<Vec<u8>>>>,
    now: Cell<Now>,
    batch_bytes: usize,
}

/// The journal of a broker that has one.
pub(super) type Log = Option<Rc<Journal>>;

impl Journal {
    pub(super) fn new(now: Now) -> Self {
        Self::with_batches_of(BATCH_BYTES, now)
    }

    /// One whose batches are smaller than the store would take.
    pub(super) fn with_batches_of(batch_bytes: usize, now: Now) -> Self {
        Self { changes: RefCell::default(), now: Cell::new(now), batch_bytes }
    }

    /// Begins a call.
    pub(super) fn begin(&self, now: Now) {
        self.now.set(now);
    }

    /// The Unix time of a moment of the other clock. Never stays never.
    pub(super) fn unix(&self, ms: u64) -> u64 {
        let now = self.now.get();
        if ms == u64::MAX {
            return ms;
        }
        if ms >= now.ms {
            now.unix_ms.saturating_add(ms - now.ms)
        } else {
            now.unix_ms.saturating_sub(now.ms - ms)
        }
    }

    pub(super) fn put(&self, key: Key, value: Vec<u8>) {
        self.changes.borrow_mut().insert(key, Some(value));
    }

    pub(super) fn delete(&self, key: Key) {
        self.changes.borrow_mut().insert(key, None);
    }

    /// Takes what has changed, as the batches in which to commit it.
    pub(super) fn take(&self) -> Vec<Vec<Change>> {
        let changes = self.changes.take();
        if changes.is_empty() {
            return Vec::new();
        }
        let mut all = Batches::new(self.batch_bytes);
        let total: usize = changes.values().map(weight).sum();
        if total <= self.batch_bytes && changes.len() <= BATCH_ITEMS {
            all.extend(changes);
            return all.end();
        }
        let (mut before, mut point, mut after) = (Vec::new(), Vec::new(), Vec::new());
        let mut intent = None;
        for (key, value) in changes {
            match (key, &value) {
                (Key::Event(number), Some(_)) => {
                    // In the order of keys the first is the lowest.
                    intent.get_or_insert(number);
                    before.push((key, value));
                }
                (Key::Pair(..), Some(stage)) if *stage == rows::stage(&Stage::Done) => {
                    after.push((key, value));
                }
                (Key::Staged(..) | Key::Pair(..) | Key::Retained(_), Some(_)) => {
                    before.push((key, value));
                }
                (Key::Event(_) | Key::Staged(..) | Key::Pair(..) | Key::Retained(_), None) => {
                    after.push((key, value));
                }
                (Key::Meta | Key::Intent | Key::Subscription(_) | Key::Group(_), _) => {
                    point.push((key, value));
                }
            }
        }
        if let Some(first) = intent {
            all.extend([(Key::Intent, Some(rows::number(first)))]);
            point.push((Key::Intent, None));
        }
        all.extend(before);
        all.cut();
        all.extend(point);
        all.cut();
        all.extend(after);
        all.end()
    }
}

/// What a change counts in a batch: the longest key and its value.
fn weight(value: &Option<Vec<u8>>) -> usize {
    17 + value.as_ref().map_or(0, Vec::len)
}

/// Fills batches one after the other.
struct Batches {
    done: Vec<Vec<Change>>,
    open: Vec<Change>,
    bytes: usize,
    batch_bytes: usize,
}

impl Batches {
    fn new(batch_bytes: usize) -> Self {
        Self { done: Vec::new(), open: Vec::new(), bytes: 0, batch_bytes }
    }

    fn extend(&mut self, changes: impl IntoIterator<Item = (Key, Option<Vec<u8>>)>) {
        for (key, value) in changes {
            let weight = weight(&value);
            if self.bytes + weight > self.batch_bytes || self.open.len() == BATCH_ITEMS {
                self.cut();
            }
            self.bytes += weight;
            let key = key.encode();
            self.open.push(match value {
                Some(value) => Change::Put(Entry { key, value }),
                None => Change::Delete(key),
            });
        }
    }

    /// What follows goes in another batch.
    fn cut(&mut self) {
        self.bytes = 0;
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
    }

    fn end(mut self) -> Vec<Vec<Change>> {
        self.cut();
        self.done
    }
}

/// A row that lives as long as what owns it.
#[derive(Default)]
pub(super) struct Row(Option<(Rc<Journal>, Key)>);

impl Row {
    pub(super) fn new(log: &Log, key: Key) -> Self {
        Self(log.as_ref().map(|journal| (Rc::clone(journal), key)))
    }

    /// Notes what stands in it, if there is a store.
    pub(super) fn put(&self, value: impl FnOnce(&Journal) -> Vec<u8>) {
        if let Some((journal, key)) = &self.0 {
            journal.put(*key, value(journal));
        }
    }

    pub(super) fn journal(&self) -> Option<&Journal> {
        self.0.as_ref().map(|(journal, _)| &**journal)
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if let Some((journal, key)) = &self.0 {
            journal.delete(*key);
        }
    }
}
