//! What is kept although nobody waits for it: events that no subscription
//! matched, and dead letters. Both are bounded; the oldest goes first.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::event::{Body, Pair};
use super::journal::{Log, Row};
use super::rows::{self, Key};

/// An event for subscriptions that do not exist yet.
pub(super) struct Kept {
    pub(super) body: Rc<Body>,
    pub(super) due: u64,
    pub(super) expires: u64,
    /// Only to go with it.
    _row: Row,
}

/// Events that no subscription matched when they were published, the oldest
/// first. They stay until they are too old or too many, however many
/// subscriptions come for them: the first to come must not take them from the
/// next.
#[derive(Default)]
pub(super) struct Retained {
    kept: VecDeque<Kept>,
    bytes: u64,
}

impl Retained {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn push(&mut self, body: Rc<Body>, due: u64, expires: u64, log: &Log) {
        let row = Row::new(log, Key::Retained(body.number()));
        row.put(|journal| rows::number(journal.unix(expires)));
        self.put(body, due, expires, row);
    }

    /// Takes one from the store.
    pub(super) fn restore(&mut self, body: Rc<Body>, due: u64, expires: u64, log: &Log) {
        let row = Row::new(log, Key::Retained(body.number()));
        self.put(body, due, expires, row);
    }

    fn put(&mut self, body: Rc<Body>, due: u64, expires: u64, row: Row) {
        self.bytes += body.bytes();
        self.kept.push_back(Kept { body, due, expires, _row: row });
    }

    pub(super) fn trim(&mut self, now: u64, max_events: usize, max_bytes: u64) {
        while let Some(oldest) = self.kept.front() {
            if now < oldest.expires && self.kept.len() <= max_events && self.bytes <= max_bytes {
                return;
            }
            self.bytes -= oldest.body.bytes();
            self.kept.pop_front();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter()
    }
}

/// A delivery that was given up.
pub(super) struct Dead {
    pub(super) body: Pair,
    pub(super) subscription: usize,
    pub(super) made: u32,
    pub(super) reason: String,
    pub(super) died_ms: u64,
}

/// Dead letters by number; numbers grow, so the first is the oldest.
pub(super) struct DeadLetters {
    letters: BTreeMap<u64, Dead>,
    next_number: u64,
}

impl DeadLetters {
    pub(super) fn new(origin: u64) -> Self {
        Self { letters: BTreeMap::new(), next_number: origin }
    }

    pub(super) fn len(&self) -> usize {
        self.letters.len()
    }

    /// The number of the next one.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Keeps one under a number that is not below the next.
    pub(super) fn insert(&mut self, number: u64, dead: Dead) {
        self.next_number = self.next_number.max(number.saturating_add(1));
        self.letters.insert(number, dead);
    }

    pub(super) fn get(&self, number: u64) -> Option<&Dead> {
        self.letters.get(&number)
    }

    pub(super) fn take(&mut self, number: u64) -> Option<Dead> {
        self.letters.remove(&number)
    }

    pub(super) fn take_oldest(&mut self) -> Option<(u64, Dead)> {
        self.letters.pop_first()
    }

    /// Those after a number, the oldest first.
    pub(super) fn after(&self, number: Option<u64>) -> impl Iterator<Item = u64> {
        let from = number.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.letters.range((from, std::ops::Bound::Unbounded)).map(|(&number, _)| number)
    }
}
