//! An event and what it takes.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use stheno_sdk::events::{Event, Message};
use stheno_sdk::{Error, Result};

use super::journal::{Log, Row};
use super::rows::{self, Key, MessageParts, Stage};
use super::{Backoff, Limits, ids};

/// What an event takes beyond its name, body and metadata: its record, the
/// allocator's headers, and the first delivery.
pub(crate) const EVENT_OVERHEAD: u64 = 192;

/// What a pair of metadata takes beyond its texts.
pub(crate) const PAIR_OVERHEAD: u64 = 40;

pub(crate) const DEFAULT_PRIORITY: u32 = 100;
const LAST_PRIORITY: u32 = 2_097_152;

/// Bytes in use, shared by everything that uses some.
pub(super) type Usage = Rc<Cell<u64>>;

/// A share of the usage; given back when dropped, so that no way out of the
/// broker can forget it.
struct Charge {
    bytes: u64,
    usage: Usage,
}

impl Charge {
    fn new(bytes: u64, usage: &Usage) -> Self {
        usage.set(usage.get().saturating_add(bytes));
        Self { bytes, usage: Rc::clone(usage) }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.usage.set(self.usage.get().saturating_sub(self.bytes));
    }
}

/// A message that was checked, with the defaults filled in.
pub(super) struct Draft {
    pub(super) name: String,
    data: Vec<u8>,
    metadata: Vec<(String, String)>,
    pub(super) delay_ms: u64,
    pub(super) priority: u32,
    attempts: u32,
    backoff: Backoff,
    charge: Charge,
    /// Its row while it is staged.
    row: Row,
}

impl Draft {
    pub(super) fn new(message: Message, limits: &Limits, usage: &Usage) -> Result<Self> {
        let priority = message.priority.unwrap_or(DEFAULT_PRIORITY);
        if !(1..=LAST_PRIORITY).contains(&priority) {
            let text =
                format!("`priority` is {priority}; write 1 (first) to {LAST_PRIORITY} (last)");
            return Err(Error::InvalidArgument(text));
        }
        let attempts = message.attempts.unwrap_or(limits.attempts);
        if attempts == 0 {
            return Err(Error::InvalidArgument("`attempts` is 0; write at least 1".to_owned()));
        }
        let bytes = bytes(&message);
        if bytes > limits.max_bytes {
            let text = format!(
                "event `{}` takes {bytes} bytes and `max_bytes` is {}",
                message.name, limits.max_bytes
            );
            return Err(Error::InvalidArgument(text));
        }
        Ok(Self::checked(message, limits, usage))
    }

    /// A message that was checked before, such as one from the store.
    pub(super) fn checked(message: Message, limits: &Limits, usage: &Usage) -> Self {
        let priority = message.priority.unwrap_or(DEFAULT_PRIORITY);
        let attempts = message.attempts.unwrap_or(limits.attempts);
        let bytes = bytes(&message);
        let backoff = message
            .backoff
            .map_or(limits.backoff, |b| Backoff { initial_ms: b.initial_ms, max_ms: b.max_ms });
        Self {
            name: message.name,
            data: message.data,
            metadata: message.metadata,
            delay_ms: message.delay_ms,
            priority,
            attempts,
            backoff,
            charge: Charge::new(bytes, usage),
            row: Row::default(),
        }
    }

    /// Takes its place in a group. In the store it has one already if it comes
    /// from there.
    pub(super) fn staged(&mut self, row: Row, is_new: bool) {
        self.row = row;
        if is_new {
            self.row.put(|_| rows::message(&self.parts()).end());
        }
    }

    /// All of it, to be compared.
    #[cfg(test)]
    pub(super) fn shown(&self) -> String {
        let Self { name, data, metadata, delay_ms, priority, attempts, backoff, .. } = self;
        format!("{name} {data:?} {metadata:?} {delay_ms} {priority} {attempts} {backoff:?}")
    }

    fn parts(&self) -> MessageParts<'_> {
        MessageParts {
            name: &self.name,
            data: &self.data,
            metadata: &self.metadata,
            delay_ms: self.delay_ms,
            priority: self.priority,
            attempts: self.attempts,
            backoff: self.backoff,
        }
    }
}

/// What an event counts in `max_bytes`.
fn bytes(message: &Message) -> u64 {
    let pairs: u64 =
        message.metadata.iter().map(|(k, v)| PAIR_OVERHEAD + (k.len() + v.len()) as u64).sum();
    EVENT_OVERHEAD + (message.name.len() + message.data.len()) as u64 + pairs
}

/// Where an event stands among those that are due: lower first.
pub(super) type Rank = (u32, u64);

/// An event that was published, once however many subscriptions wait for it.
pub(super) struct Body {
    draft: Draft,
    /// Its id, and its place in the order of publishing.
    number: u64,
    published_ms: u64,
    row: Row,
    /// The subscriptions whose pair with this event has a row.
    pairs: RefCell<Vec<u64>>,
}

impl Body {
    pub(super) fn new(mut draft: Draft, number: u64, published_ms: u64, log: &Log) -> Self {
        // What was staged is not any more.
        draft.row = Row::default();
        let row = Row::new(log, Key::Event(number));
        Self { draft, number, published_ms, row, pairs: RefCell::default() }
    }

    /// Writes it for these subscriptions, due at `due`.
    pub(super) fn save(&self, due: u64, routes: impl FnOnce() -> Vec<u64>) {
        self.row.put(|journal| {
            rows::event(&self.draft.parts(), self.published_ms, journal.unix(due), &routes())
        });
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Says that the pair with a subscription has a row.
    pub(super) fn has_row(&self, serial: u64) {
        let mut pairs = self.pairs.borrow_mut();
        if !pairs.contains(&serial) {
            pairs.push(serial);
        }
    }

    pub(super) fn rank(&self) -> Rank {
        (self.draft.priority, self.number)
    }

    pub(super) fn name(&self) -> &str {
        &self.draft.name
    }

    pub(super) fn bytes(&self) -> u64 {
        self.draft.charge.bytes
    }

    pub(super) fn attempts(&self) -> u32 {
        self.draft.attempts
    }

    /// The longest wait after so many failed attempts.
    pub(super) fn wait_after(&self, made: u32) -> u64 {
        let Backoff { initial_ms, max_ms } = self.draft.backoff;
        let doubled = 1u64.checked_shl(made.saturating_sub(1)).unwrap_or(u64::MAX);
        initial_ms.saturating_mul(doubled).min(max_ms)
    }

    pub(super) fn to_event(&self) -> Event {
        Event {
            id: ids::name(self.number),
            name: self.draft.name.clone(),
            data: self.draft.data.clone(),
            metadata: self.draft.metadata.clone(),
            priority: self.draft.priority,
            published_ms: self.published_ms,
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(journal) = self.row.journal() {
            for &serial in self.pairs.borrow().iter() {
                journal.delete(Key::Pair(self.number, serial));
            }
        }
    }
}

/// An event and one subscription that is not done with it. When it goes, the
/// subscription is.
pub(super) struct Pair {
    body: Rc<Body>,
    serial: u64,
}

impl Pair {
    pub(super) fn new(body: Rc<Body>, serial: u64) -> Self {
        Self { body, serial }
    }

    /// Writes how far it is. `stage` turns a moment into Unix time with the
    /// function that it is given.
    pub(super) fn save(&self, stage: impl FnOnce(&dyn Fn(u64) -> u64) -> Stage) {
        if let Some(journal) = self.body.row.journal() {
            let stage = stage(&|ms| journal.unix(ms));
            self.body.has_row(self.serial);
            journal.put(Key::Pair(self.body.number, self.serial), rows::stage(&stage));
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // With the last one the event goes too, and this with it.
        self.save(|_| Stage::Done);
    }
}

impl Deref for Pair {
    type Target = Body;

    fn deref(&self) -> &Body {
        &self.body
    }
}

/// An event that waits in a subscription.
pub(super) struct Pending {
    pub(super) body: Pair,
    /// Attempts so far.
    pub(super) made: u32,
}
