//! What a durable broker keeps in its store, row by row.
//!
//! | key | value |
//! |---|---|
//! | `Meta` | what this store is, and where names were counted from last |
//! | `Intent` | the first event of a publication that is not whole yet |
//! | `Subscription(serial)` | its terms |
//! | `Group(number)` | its name, its end, how many messages were staged so far |
//! | `Staged(group, index)` | a message held back |
//! | `Event(number)` | the event, when it is due first, and for whom |
//! | `Pair(event, serial)` | how far a subscription is with an event |
//! | `Retained(event)` | until when it is kept although nobody waits for it |
//!
//! Little is written per event: one row when it is published, whoever waits for
//! it; a small one when it is leased; and once nobody needs it any more all of
//! it goes. A pair without a row waits for its first attempt.
//!
//! A serial is never given twice, so what still names a subscription that is
//! gone means nobody. Moments are kept in Unix time.

use stheno_sdk::events::{Message, Subscription};

/// Says that a store is one of ours, and how its rows are written.
const FORMAT: &[u8] = b"events-local 1";

/// What a row is about. Rows are read in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Meta,
    Intent,
    Subscription(u64),
    Group(u64),
    Staged(u64, u32),
    Event(u64),
    Pair(u64, u64),
    Retained(u64),
}

impl Key {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut key = Vec::with_capacity(17);
        let (tag, numbers): (u8, [Option<u64>; 2]) = match self {
            Self::Meta => (0, [None, None]),
            Self::Intent => (1, [None, None]),
            Self::Subscription(serial) => (2, [Some(serial), None]),
            Self::Group(number) => (3, [Some(number), None]),
            Self::Staged(group, index) => (4, [Some(group), Some(index.into())]),
            Self::Event(number) => (5, [Some(number), None]),
            Self::Pair(event, serial) => (6, [Some(event), Some(serial)]),
            Self::Retained(event) => (7, [Some(event), None]),
        };
        key.push(tag);
        for number in numbers.into_iter().flatten() {
            key.extend_from_slice(&number.to_be_bytes());
        }
        key
    }

    pub(super) fn decode(key: &[u8]) -> Option<Self> {
        let (&tag, rest) = key.split_first()?;
        let mut numbers = rest.chunks_exact(8).map(|bytes| {
            bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)).unwrap_or_default()
        });
        let decoded = match tag {
            0 => Self::Meta,
            1 => Self::Intent,
            2 => Self::Subscription(numbers.next()?),
            3 => Self::Group(numbers.next()?),
            4 => Self::Staged(numbers.next()?, u32::try_from(numbers.next()?).ok()?),
            5 => Self::Event(numbers.next()?),
            6 => Self::Pair(numbers.next()?, numbers.next()?),
            7 => Self::Retained(numbers.next()?),
            _ => return None,
        };
        // One key, one spelling.
        (decoded.encode() == key).then_some(decoded)
    }
}

/// How far a subscription is with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Waits {
        made: u32,
        due: u64,
    },
    Leased {
        made: u32,
        end: u64,
        slot: u64,
        number: u64,
    },
    Dead {
        made: u32,
        letter: u64,
        died: u64,
        reason: String,
    },
    /// Done with, while others are not.
    Done,
}

/// An event as it is kept.
pub(super) struct EventRow {
    /// With every default filled in.
    pub(super) message: Message,
    pub(super) published: u64,
    /// When it is due first.
    pub(super) due: u64,
    /// The subscriptions that it was published to.
    pub(super) routes: Vec<u64>,
}

/// A group as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupRow {
    pub(super) name: String,
    pub(super) end: u64,
    /// Messages staged so far; a message with a greater index was not staged
    /// to the end.
    pub(super) count: u32,
}

/// Writes the parts of a value one after the other.
#[derive(Default)]
pub(super) struct Output(Vec<u8>);

impl Output {
    pub(super) fn number(mut self, n: u64) -> Self {
        self.0.extend_from_slice(&n.to_le_bytes());
        self
    }

    pub(super) fn small(mut self, n: u32) -> Self {
        self.0.extend_from_slice(&n.to_le_bytes());
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        // Nothing that the contract lets through is longer than that.
        self = self.small(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn end(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what [`Output`] wrote; `None` is a row that is not ours.
pub(super) struct Input<'r>(&'r [u8]);

impl<'r> Input<'r> {
    fn number(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    fn small(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Option<&'r [u8]> {
        let length = usize::try_from(self.small()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.small()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

fn maybe(out: Output, n: Option<u64>) -> Output {
    match n {
        None => out.small(0),
        Some(n) => out.small(1).number(n),
    }
}

pub(super) fn meta(origin: u64) -> Vec<u8> {
    Output::default().bytes(FORMAT).number(origin).end()
}

/// The origin, if the store is one of ours.
pub(super) fn read_meta(row: &[u8]) -> Option<u64> {
    let mut row = Input(row);
    (row.bytes()? == FORMAT).then_some(())?;
    let origin = row.number()?;
    row.end(origin)
}

pub(super) fn number(n: u64) -> Vec<u8> {
    Output::default().number(n).end()
}

pub(super) fn read_number(row: &[u8]) -> Option<u64> {
    let mut row = Input(row);
    let n = row.number()?;
    row.end(n)
}

pub(super) fn subscription(terms: &Subscription) -> Vec<u8> {
    let out = Output::default().bytes(terms.id.as_bytes()).bytes(terms.pattern.as_bytes());
    maybe(out.small(terms.retained.into()), terms.idle_ttl_ms).end()
}

pub(super) fn read_subscription(row: &[u8]) -> Option<Subscription> {
    let mut row = Input(row);
    let (id, pattern) = (row.text()?, row.text()?);
    let retained = row.small()? == 1;
    let idle_ttl_ms = row.maybe(Input::number)?;
    row.end(Subscription { id, pattern, retained, idle_ttl_ms })
}

pub(super) fn group(group: &GroupRow) -> Vec<u8> {
    Output::default().bytes(group.name.as_bytes()).number(group.end).small(group.count).end()
}

pub(super) fn read_group(row: &[u8]) -> Option<GroupRow> {
    let mut row = Input(row);
    let group = GroupRow { name: row.text()?, end: row.number()?, count: row.small()? };
    row.end(group)
}

/// A message whose defaults are filled in; see [`read_message`].
pub(super) struct MessageParts<'m> {
    pub(super) name: &'m str,
    pub(super) data: &'m [u8],
    pub(super) metadata: &'m [(String, String)],
    pub(super) delay_ms: u64,
    pub(super) priority: u32,
    pub(super) attempts: u32,
    pub(super) backoff: super::Backoff,
}

pub(super) fn message(parts: &MessageParts<'_>) -> Output {
    let mut out = Output(Vec::with_capacity(parts.name.len() + parts.data.len() + 96))
        .bytes(parts.name.as_bytes())
        .bytes(parts.data)
        .number(parts.delay_ms)
        .small(parts.priority)
        .small(parts.attempts)
        .number(parts.backoff.initial_ms)
        .number(parts.backoff.max_ms)
        .small(u32::try_from(parts.metadata.len()).unwrap_or(u32::MAX));
    for (name, value) in parts.metadata {
        out = out.bytes(name.as_bytes()).bytes(value.as_bytes());
    }
    out
}

fn read_parts(row: &mut Input<'_>) -> Option<Message> {
    let (name, data) = (row.text()?, row.bytes()?.to_vec());
    let delay_ms = row.number()?;
    let (priority, attempts) = (Some(row.small()?), Some(row.small()?));
    let backoff = stheno_sdk::events::Backoff { initial_ms: row.number()?, max_ms: row.number()? };
    let pairs = row.small()?;
    let metadata =
        (0..pairs).map(|_| Some((row.text()?, row.text()?))).collect::<Option<Vec<_>>>()?;
    let backoff = Some(backoff);
    Some(Message { name, data, metadata, delay_ms, priority, attempts, backoff })
}

pub(super) fn read_message(row: &[u8]) -> Option<Message> {
    let mut row = Input(row);
    let message = read_parts(&mut row)?;
    row.end(message)
}

pub(super) fn event(parts: &MessageParts<'_>, published: u64, due: u64, routes: &[u64]) -> Vec<u8> {
    routes
        .iter()
        .fold(message(parts).number(published).number(due), |out, &serial| out.number(serial))
        .end()
}

pub(super) fn read_event(row: &[u8]) -> Option<EventRow> {
    let mut row = Input(row);
    let message = read_parts(&mut row)?;
    let (published, due) = (row.number()?, row.number()?);
    let mut routes = Vec::with_capacity(row.0.len() / 8);
    while !row.0.is_empty() {
        routes.push(row.number()?);
    }
    Some(EventRow { message, published, due, routes })
}

pub(super) fn stage(stage: &Stage) -> Vec<u8> {
    let out = Output::default();
    match stage {
        Stage::Done => out.small(0),
        Stage::Waits { made, due } => out.small(1).small(*made).number(*due),
        Stage::Leased { made, end, slot, number } => {
            out.small(2).small(*made).number(*end).number(*slot).number(*number)
        }
        Stage::Dead { made, letter, died, reason } => {
            out.small(3).small(*made).number(*letter).number(*died).bytes(reason.as_bytes())
        }
    }
    .end()
}

pub(super) fn read_stage(row: &[u8]) -> Option<Stage> {
    let mut row = Input(row);
    let stage = match row.small()? {
        0 => Stage::Done,
        1 => Stage::Waits { made: row.small()?, due: row.number()? },
        2 => Stage::Leased {
            made: row.small()?,
            end: row.number()?,
            slot: row.number()?,
            number: row.number()?,
        },
        3 => Stage::Dead {
            made: row.small()?,
            letter: row.number()?,
            died: row.number()?,
            reason: row.text()?,
        },
        _ => return None,
    };
    row.end(stage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Backoff;
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            Just(Key::Meta),
            Just(Key::Intent),
            any::<u64>().prop_map(Key::Subscription),
            any::<u64>().prop_map(Key::Group),
            any::<(u64, u32)>().prop_map(|(group, index)| Key::Staged(group, index)),
            any::<u64>().prop_map(Key::Event),
            any::<(u64, u64)>().prop_map(|(event, serial)| Key::Pair(event, serial)),
            any::<u64>().prop_map(Key::Retained),
        ]
    }

    fn stages() -> impl Strategy<Value = Stage> {
        prop_oneof![
            Just(Stage::Done),
            any::<(u32, u64)>().prop_map(|(made, due)| Stage::Waits { made, due }),
            any::<(u32, u64, u64, u64)>().prop_map(|(made, end, slot, number)| Stage::Leased {
                made,
                end,
                slot,
                number
            }),
            (any::<(u32, u64, u64)>(), ".{0,20}").prop_map(|((made, letter, died), reason)| {
                Stage::Dead { made, letter, died, reason }
            }),
        ]
    }

    proptest! {
        #[test]
        fn keys_sort_as_what_they_are_about_and_read_back(one in key(), other in key()) {
            prop_assert_eq!(Key::decode(&one.encode()), Some(one));
            prop_assert_eq!(one.encode().cmp(&other.encode()), one.cmp(&other));
        }

        #[test]
        fn rows_read_back_as_what_was_written(
            stage in stages(), texts in (".{0,9}", ".{0,9}", any::<bool>()),
            data in prop::collection::vec(any::<u8>(), 0..50), n: (u64, u64, u64, u32, u32),
            metadata in prop::collection::vec((".{0,5}", ".{0,5}"), 0..4),
            routes in prop::collection::vec(any::<u64>(), 0..5), ttl: Option<u64>,
        ) {
            prop_assert_eq!(read_stage(&super::stage(&stage)), Some(stage));
            let (id, pattern, retained) = texts;
            let terms = Subscription { id: id.clone(), pattern, retained, idle_ttl_ms: ttl };
            let back = read_subscription(&subscription(&terms)).unwrap();
            prop_assert_eq!((back.id, back.pattern, back.retained, back.idle_ttl_ms),
                (terms.id, terms.pattern, retained, ttl));
            let row = GroupRow { name: id.clone(), end: n.0, count: n.3 };
            prop_assert_eq!(read_group(&group(&row)), Some(row));
            let backoff = Backoff { initial_ms: n.1, max_ms: n.2 };
            let parts = MessageParts {
                name: &id, data: &data, metadata: &metadata, delay_ms: n.0, priority: n.3, attempts: n.4, backoff,
            };
            let staged = read_message(&message(&parts).end()).unwrap();
            let row = read_event(&event(&parts, n.1, n.2, &routes)).unwrap();
            prop_assert_eq!((row.published, row.due, row.routes), (n.1, n.2, routes));
            for message in [staged, row.message] {
                prop_assert_eq!((message.name, message.data, message.metadata), (id.clone(), data.clone(), metadata.clone()));
                prop_assert_eq!((message.delay_ms, message.priority, message.attempts), (n.0, Some(n.3), Some(n.4)));
                let read = message.backoff.unwrap();
                prop_assert_eq!((read.initial_ms, read.max_ms), (n.1, n.2));
            }
        }

        #[test]
        fn garbage_brings_no_reader_down(row in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (Key::decode(&row), read_meta(&row), read_number(&row), read_subscription(&row));
            let _ = (read_group(&row), read_message(&row), read_event(&row), read_stage(&row));
        }
    }

    #[test]
    fn a_store_of_another_format_is_not_ours() {
        assert_eq!(read_meta(&meta(7)), Some(7));
        for other in [
            &b""[..],
            b"events-local 1",
            &Output::default().bytes(b"events-local 2").number(7).end(),
        ] {
            assert_eq!(read_meta(other), None);
        }
    }
}
