//! What a call has changed, on its way to the store.
//!
//! The engine works in memory and notes which rows differ; when the call ends,
//! all of it is committed before anybody is answered. What belongs to a run is
//! only noted by its key, and written out once when the call ends, whatever
//! happened to it meanwhile. Without a store nothing is noted.
//!
//! # More than fits into one batch
//!
//! A call may change more than the store takes at once. Rows go in the order of
//! their keys, so that each batch leaves the store good if it is the last: a plan
//! before the runs that use it, and of a run first what it is, then its steps,
//! then its state, then what undoes it; the schedule that began it after all
//! runs, a plan that nobody uses at last. What a cut leaves open is made out of
//! the rest when it is loaded (see `restore`). Where it can be, a cut is between
//! two runs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use stheno_sdk::store::{BATCH_BYTES, BATCH_ITEMS, Change, Entry};

use super::Now;
use super::rows::Key;

/// What is to be done with a row.
#[derive(Clone)]
enum Noted {
    /// To be asked for when the call ends.
    Differs,
    Put(Vec<u8>),
    Delete,
}

pub(super) struct Journal {
    changes: RefCell<BTreeMap<Key, Noted>>,
    now: Cell<Now>,
    batch_bytes: usize,
}

/// The journal of an engine that has one.
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

    /// Says that a row differs from what the store has.
    pub(super) fn touch(&self, key: Key) {
        self.changes.borrow_mut().insert(key, Noted::Differs);
    }

    pub(super) fn put(&self, key: Key, value: Vec<u8>) {
        self.changes.borrow_mut().insert(key, Noted::Put(value));
    }

    pub(super) fn delete(&self, key: Key) {
        self.changes.borrow_mut().insert(key, Noted::Delete);
    }

    /// Takes what has changed, as the batches in which to commit it. `write`
    /// gives what stands in a row that was only noted, or nothing.
    pub(super) fn take(&self, write: impl Fn(Key) -> Option<Vec<u8>>) -> Vec<Vec<Change>> {
        let changes = self.changes.take();
        let mut batches = Batches::new(self.batch_bytes);
        let (mut group, mut at_last) = (Vec::new(), Vec::new());
        let mut run = None;
        for (key, noted) in changes {
            let value = match noted {
                Noted::Differs => write(key),
                Noted::Put(value) => Some(value),
                Noted::Delete => None,
            };
            if matches!((key, &value), (Key::Plan(_), None)) {
                at_last.push((key, value));
                continue;
            }
            if key.run() != run {
                batches.add(std::mem::take(&mut group));
                run = key.run();
            }
            group.push((key, value));
        }
        batches.add(group);
        batches.add(at_last);
        batches.end()
    }
}

/// What a change counts in a batch: the longest key and its value.
fn weight(value: &Option<Vec<u8>>) -> usize {
    Key::MAX_BYTES + value.as_ref().map_or(0, Vec::len)
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

    /// Adds what belongs together, in one batch if it fits into one.
    fn add(&mut self, group: Vec<(Key, Option<Vec<u8>>)>) {
        let bytes: usize = group.iter().map(|(_, value)| weight(value)).sum();
        if !self.has_room(bytes, group.len()) {
            self.cut();
        }
        for (key, value) in group {
            let weight = weight(&value);
            if !self.has_room(weight, 1) {
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

    fn has_room(&self, bytes: usize, items: usize) -> bool {
        self.bytes + bytes <= self.batch_bytes && self.open.len() + items <= BATCH_ITEMS
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
}

impl Drop for Row {
    fn drop(&mut self) {
        if let Some((journal, key)) = &self.0 {
            journal.delete(*key);
        }
    }
}
