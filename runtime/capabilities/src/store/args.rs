//! What a guest may ask: sizes and numbers, checked before anything is done.

use stheno_contracts::Error;
use stheno_contracts::base::stheno::store::types::{Change, Condition, Range};

use super::own::Order;

/// The longest key.
pub(crate) const KEY_BYTES: usize = 1024;
/// The largest value: an event of 1 MiB with all that describes it.
pub(crate) const VALUE_BYTES: usize = 2 << 20;
/// The most that one batch carries.
pub(crate) const BATCH_BYTES: usize = 4 << 20;
/// The most conditions and changes in one batch.
pub(crate) const BATCH_ITEMS: usize = 65_536;
/// The most keys in one read.
pub(crate) const READ_KEYS: usize = 1_000;
/// The most that one read gives.
pub(crate) const READ_BYTES: usize = 8 << 20;
/// The most that one page gives.
pub(crate) const PAGE_BYTES: usize = 4 << 20;
/// The most entries in one page.
pub(crate) const PAGE_ENTRIES: usize = 10_000;

fn invalid(text: String) -> Error {
    Error::InvalidArgument(text)
}

/// A key under which something can stand.
pub(crate) fn key(name: &str, key: &[u8]) -> Result<(), Error> {
    match key.len() {
        0 => Err(invalid(format!("{name} is empty, must have 1 to {KEY_BYTES} bytes"))),
        1..=KEY_BYTES => Ok(()),
        length => Err(invalid(format!("{name} has {length} bytes, must have 1 to {KEY_BYTES}"))),
    }
}

/// The keys of one read.
pub(crate) fn keys(keys: &[Vec<u8>]) -> Result<(), Error> {
    if keys.len() > READ_KEYS {
        return Err(invalid(format!("keys has {} entries, at most {READ_KEYS}", keys.len())));
    }
    keys.iter().try_for_each(|one| key("a key", one))
}

/// One page that is wanted.
pub(crate) struct Scan {
    pub(crate) start: Option<Vec<u8>>,
    pub(crate) end: Option<Vec<u8>>,
    pub(crate) max: usize,
    pub(crate) max_bytes: usize,
    pub(crate) order: Order,
}

/// What a scan may ask for. A bound is a place and no key, so it may be empty
/// and one byte longer than a key, which is how one writes "right behind".
pub(crate) fn scan(range: Range, max: u32, max_bytes: u32) -> Result<Scan, Error> {
    let (max, max_bytes) = (max as usize, max_bytes as usize);
    if max == 0 || max > PAGE_ENTRIES {
        return Err(invalid(format!("max is {max}, must be 1 to {PAGE_ENTRIES}")));
    }
    if max_bytes > PAGE_BYTES {
        return Err(invalid(format!("max-bytes is {max_bytes}, at most {PAGE_BYTES}")));
    }
    for (name, bound) in [("start", &range.start), ("end", &range.end)] {
        if bound.as_ref().is_some_and(|bound| bound.len() > KEY_BYTES + 1) {
            return Err(invalid(format!("{name} has more than {} bytes", KEY_BYTES + 1)));
        }
    }
    Ok(Scan { start: range.start, end: range.end, max, max_bytes, order: Order::Ascending })
}

/// A batch whose keys and values are within bounds.
pub(crate) struct Batch {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) changes: Vec<Change>,
    pub(crate) bytes: usize,
}

/// What a batch may carry.
pub(crate) fn batch(conditions: Vec<Condition>, changes: Vec<Change>) -> Result<Batch, Error> {
    let items = conditions.len().saturating_add(changes.len());
    if items > BATCH_ITEMS {
        return Err(invalid(format!(
            "the batch has {items} conditions and changes, at most {BATCH_ITEMS}; split it"
        )));
    }
    let mut bytes = 0_usize;
    let mut count = |what: &str, at: usize, one: &[u8], value: Option<&[u8]>| {
        let value = value.map_or(0, <[u8]>::len);
        key(&format!("the key of {what} {at}"), one)?;
        if value > VALUE_BYTES {
            return Err(invalid(format!(
                "the value of {what} {at} has {value} bytes, at most {VALUE_BYTES}"
            )));
        }
        bytes = bytes.saturating_add(one.len()).saturating_add(value);
        Ok(())
    };
    for (at, Condition { key, value }) in conditions.iter().enumerate() {
        count("condition", at, key, value.as_deref())?;
    }
    for (at, change) in changes.iter().enumerate() {
        match change {
            Change::Put(entry) => count("change", at, &entry.key, Some(&entry.value))?,
            Change::Delete(key) => count("change", at, key, None)?,
        }
    }
    if bytes > BATCH_BYTES {
        return Err(invalid(format!(
            "the batch has {bytes} bytes of keys and values, at most {BATCH_BYTES}; split it"
        )));
    }
    Ok(Batch { conditions, changes, bytes })
}
