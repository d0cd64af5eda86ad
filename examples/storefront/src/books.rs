//! What subscribers write down. An event may come more than once, so every
//! entry has a key, and the second entry under a key changes nothing.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that was written down.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Units that left the warehouse, by order.
    pub(crate) stock: Entries<u32>,
    /// Letters, by order and name of the event.
    pub(crate) mail: Entries<(u32, String)>,
    /// Cents, by order.
    pub(crate) ledger: Entries<u32>,
    /// Orders whose letter did not go out at the first attempt.
    pub(crate) bounced: BTreeSet<u32>,
    /// Orders that the warehouse rejected.
    pub(crate) rejected: BTreeSet<u32>,
    /// Products that the warehouse has come to know during the day.
    pub(crate) known: BTreeSet<u32>,
}

/// Numbers, each written once, and their sum.
#[derive(Debug)]
pub(crate) struct Entries<K> {
    entries: BTreeMap<K, u64>,
    sum: u64,
    repeats: u64,
    later_attempts: u64,
}

impl<K> Default for Entries<K> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), sum: 0, repeats: 0, later_attempts: 0 }
    }
}

impl<K: Ord> Entries<K> {
    /// Writes `number` under `key`, unless something stands there. `attempt`
    /// is the event's, from 1.
    pub(crate) fn write(&mut self, key: K, number: u64, attempt: u32) {
        self.later_attempts += u64::from(attempt > 1);
        match self.entries.entry(key) {
            Entry::Occupied(_) => self.repeats += 1,
            Entry::Vacant(place) => {
                place.insert(number);
                self.sum += number;
            }
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// Events that came again and changed nothing.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Events that took more than one attempt.
    pub(crate) fn later_attempts(&self) -> u64 {
        self.later_attempts
    }
}
