//! An event and what it takes.

use std::cell::Cell;
use std::rc::Rc;

use stheno_sdk::events::{Event, Message};
use stheno_sdk::{Error, Result};

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
        let pairs: u64 =
            message.metadata.iter().map(|(k, v)| PAIR_OVERHEAD + (k.len() + v.len()) as u64).sum();
        let bytes = EVENT_OVERHEAD + (message.name.len() + message.data.len()) as u64 + pairs;
        if bytes > limits.max_bytes {
            let text = format!(
                "event `{}` takes {bytes} bytes and `max_bytes` is {}",
                message.name, limits.max_bytes
            );
            return Err(Error::InvalidArgument(text));
        }
        let backoff = message
            .backoff
            .map_or(limits.backoff, |b| Backoff { initial_ms: b.initial_ms, max_ms: b.max_ms });
        Ok(Self {
            name: message.name,
            data: message.data,
            metadata: message.metadata,
            delay_ms: message.delay_ms,
            priority,
            attempts,
            backoff,
            charge: Charge::new(bytes, usage),
        })
    }
}

/// Where an event stands among those that are due: lower first.
pub(super) type Rank = (u32, u64);

/// An event that was published, once however many subscriptions wait for it.
pub(super) struct Body {
    draft: Draft,
    /// Its id, and its place in the order of publishing.
    number: u64,
    published_ms: u64,
}

impl Body {
    pub(super) fn new(draft: Draft, number: u64, published_ms: u64) -> Self {
        Self { draft, number, published_ms }
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

/// An event that waits in a subscription.
pub(super) struct Pending {
    pub(super) body: Rc<Body>,
    /// Attempts so far.
    pub(super) made: u32,
}
