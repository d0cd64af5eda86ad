//! What a set does, made ready before the server is asked anything.

use std::collections::BTreeSet;

use stheno_sdk::cache::Entry;

use crate::entry::Packed;
use crate::names::Name;

/// The most bytes and commands that go out together, and no entry more.
const MAX_BYTES: usize = 4 << 20;
const MAX_COMMANDS: usize = 1_000;
/// The server drops an entry so long after its end: for hosts whose clocks differ,
/// and because it counts in seconds.
const GRACE_MS: u64 = 10_000;
/// Beyond 30 days the server takes a number of seconds for a date.
const LONGEST_S: u64 = 30 * 24 * 60 * 60;

/// What holds for every set.
pub(crate) struct Terms {
    /// For entries that come without a time to live.
    pub(crate) ttl_ms: u64,
    pub(crate) compress_above: usize,
}

/// What becomes of one key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put(Item),
    Remove(Name),
}

/// An entry to be stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) name: Name,
    pub(crate) key: String,
    pub(crate) tags: BTreeSet<Name>,
    pub(crate) value: Packed,
    pub(crate) end_ms: u64,
    /// How long the server keeps it; 0 for as long as it has room.
    pub(crate) seconds: u64,
}

impl Change {
    fn new(entry: Entry, terms: &Terms, now_ms: u64) -> Self {
        let Entry { key, value, ttl_ms, tags } = entry;
        let name = Name::of(&key);
        let ttl_ms = ttl_ms.unwrap_or(terms.ttl_ms);
        if ttl_ms == 0 {
            return Self::Remove(name);
        }
        Self::Put(Item {
            name,
            key,
            tags: tags.iter().map(|tag| Name::of(tag)).collect(),
            value: Packed::new(value, terms.compress_above),
            end_ms: now_ms.saturating_add(ttl_ms),
            seconds: seconds(ttl_ms),
        })
    }
}

fn seconds(ttl_ms: u64) -> u64 {
    let seconds = ttl_ms.saturating_add(GRACE_MS).div_ceil(1_000);
    // One that lives longer goes when it is read after its end, or when the server
    // needs its room.
    if seconds > LONGEST_S { 0 } else { seconds }
}

/// Cuts a call into portions.
pub(crate) fn portions(entries: Vec<Entry>, terms: &Terms, now_ms: u64) -> Vec<Vec<Change>> {
    let mut portions = Vec::new();
    let mut portion = Vec::new();
    let (mut bytes, mut commands) = (0, 0);
    for entry in entries {
        let change = Change::new(entry, terms, now_ms);
        commands += 1;
        if let Change::Put(item) = &change {
            bytes += item.value.len();
            commands += 2 * item.tags.len();
        }
        portion.push(change);
        if bytes >= MAX_BYTES || commands >= MAX_COMMANDS {
            portions.push(std::mem::take(&mut portion));
            (bytes, commands) = (0, 0);
        }
    }
    if !portion.is_empty() {
        portions.push(portion);
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { ttl_ms: 60_000, compress_above: usize::MAX };

    fn new(key: &str, ttl_ms: Option<u64>, tags: &[&str]) -> Entry {
        let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        Entry { key: key.to_owned(), value: vec![7; 100], ttl_ms, tags }
    }

    fn put(entry: Entry) -> Item {
        match Change::new(entry, &TERMS, 1_000) {
            Change::Put(item) => item,
            Change::Remove(_) => panic!("it is removed"),
        }
    }

    #[test]
    fn the_server_keeps_an_entry_beyond_its_end_in_whole_seconds() {
        for (ttl_ms, end_ms, seconds) in [
            (None, 61_000, 70),
            (Some(1), 1_001, 11),
            (Some(1_000), 2_000, 11),
            (Some(LONGEST_S * 1_000 - GRACE_MS), LONGEST_S * 1_000 - GRACE_MS + 1_000, LONGEST_S),
            (Some(LONGEST_S * 1_000 - GRACE_MS + 1), LONGEST_S * 1_000 - GRACE_MS + 1_001, 0),
            (Some(u64::MAX), u64::MAX, 0),
        ] {
            let item = put(new("k", ttl_ms, &[]));
            assert_eq!((item.end_ms, item.seconds), (end_ms, seconds), "{ttl_ms:?}");
        }
    }

    #[test]
    fn a_time_of_zero_removes_and_a_tag_twice_counts_once() {
        let gone = Change::new(new("k", Some(0), &["t"]), &TERMS, 0);
        assert_eq!(gone, Change::Remove(Name::of("k")));
        assert_eq!(put(new("k", None, &["t", "u", "t"])).tags.len(), 2);
    }

    #[test]
    fn a_large_call_is_cut_and_nothing_is_lost_or_moved() {
        let keys: Vec<_> = (0..3_000).map(|at| format!("k{at}")).collect();
        let entries = keys.iter().map(|key| new(key, None, &["t", "u"])).collect();
        let cut = portions(entries, &TERMS, 0);
        assert!(cut.len() > 1 && cut.iter().all(|portion| portion.len() <= MAX_COMMANDS));
        let names = cut.iter().flatten().map(|change| match change {
            Change::Put(item) => item.key.clone(),
            Change::Remove(_) => String::new(),
        });
        assert_eq!(names.collect::<Vec<_>>(), keys);
        let large = |at| Entry { value: vec![7; MAX_BYTES], ..new(&format!("k{at}"), None, &[]) };
        assert_eq!(portions((0..3).map(large).collect(), &TERMS, 0).len(), 3);
        assert!(portions(Vec::new(), &TERMS, 0).is_empty());
    }
}
