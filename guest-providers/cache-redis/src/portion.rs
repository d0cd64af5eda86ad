//! From entries that are to be set to commands.
//!
//! An entry and its places in the indexes are written by one transaction, so no
//! moment knows one without the other. Large calls are cut into several.

use std::collections::{BTreeMap, HashMap};

use stheno_sdk::cache::Entry;
use stheno_sdk::redis::{Command, command};

use crate::entry;
use crate::keys::{self, Index};

/// How long the server keeps an entry beyond its end, which is the provider's to
/// see to: the server's own clock cannot be asked in a set.
const GRACE_MS: u64 = 10_000;
/// How much longer it keeps the indexes.
const INDEX_GRACE_MS: u64 = 2 * GRACE_MS;
/// The longest time that is written to the server, some 280,000 years. The score of
/// a sorted set is exact up to there.
const LONGEST_MS: u64 = (1 << 53) - INDEX_GRACE_MS;

/// About the most bytes and commands of one transaction.
const MAX_BYTES: usize = 4 << 20;
const MAX_COMMANDS: usize = 4_000;

/// What does not depend on the entry.
pub(crate) struct Terms {
    /// For entries that come without a time to live.
    pub(crate) ttl_ms: u64,
    pub(crate) compress_above: usize,
}

/// What one transaction writes.
#[derive(Default)]
pub(crate) struct Portion {
    sets: Vec<Command>,
    removed: Vec<String>,
    indexes: BTreeMap<Index, Additions>,
    bytes: usize,
    commands: usize,
}

#[derive(Default)]
struct Additions {
    longest_ms: u64,
    /// Moment and name.
    members: Vec<(u64, String)>,
}

/// Cuts a call into portions.
pub(crate) fn portions(entries: Vec<Entry>, terms: &Terms, now_ms: u64) -> Vec<Portion> {
    let mut all = Vec::new();
    let mut portion = Portion::default();
    for entry in last_of_each(entries) {
        portion.add(entry, terms, now_ms);
        if portion.bytes >= MAX_BYTES || portion.commands >= MAX_COMMANDS {
            all.push(std::mem::take(&mut portion));
        }
    }
    if portion.commands > 0 {
        all.push(portion);
    }
    all
}

/// Of entries with the same key nobody would ever see but the last.
fn last_of_each(mut entries: Vec<Entry>) -> Vec<Entry> {
    if entries.len() > 1 {
        let places: HashMap<String, usize> =
            entries.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
        let mut at = 0;
        entries.retain(|entry| {
            let last = places.get(&entry.key) == Some(&at);
            at += 1;
            last
        });
    }
    entries
}

impl Portion {
    fn add(&mut self, entry: Entry, terms: &Terms, now_ms: u64) {
        let Entry { key, value, ttl_ms, mut tags } = entry;
        let ttl_ms = ttl_ms.unwrap_or(terms.ttl_ms);
        self.commands += 1;
        if ttl_ms == 0 {
            self.bytes += key.len();
            self.removed.push(key);
            return;
        }
        tags.sort_unstable();
        tags.dedup();
        let end_ms = now_ms.saturating_add(ttl_ms);
        let written = entry::write(end_ms, &tags, &value, terms.compress_above);
        self.bytes += written.len() + (1 + tags.len()) * (key.len() + 64);
        self.commands += 3 * tags.len();

        let kept_ms = ttl_ms.min(LONGEST_MS);
        let set = command("SET").arg(keys::entry(key.as_bytes())).arg(written);
        self.sets.push(set.text("PX").number(kept_ms + GRACE_MS));
        let end_ms = end_ms.min(LONGEST_MS);
        let indexes = tags.into_iter().map(Index::Tag).chain([Index::All]);
        for index in indexes {
            let additions = self.indexes.entry(index).or_default();
            additions.longest_ms = additions.longest_ms.max(kept_ms + INDEX_GRACE_MS);
            additions.members.push((end_ms, key.clone()));
        }
    }

    /// How many entries it sets.
    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }

    /// The indexes that it adds to.
    pub(crate) fn indexes(&self) -> impl Iterator<Item = &Index> {
        self.indexes.keys()
    }

    /// The commands, to be made as one.
    pub(crate) fn commands(self) -> Vec<Command> {
        let mut commands = self.sets;
        for (index, Additions { longest_ms, members }) in self.indexes {
            let key = index.key();
            let mut add = command("ZADD").arg(&key);
            for (end_ms, name) in members {
                add.push(end_ms.to_string().into_bytes());
                add.push(name.into_bytes());
            }
            commands.push(add);
            // An index lives longer than all that it names: it gets a time, or a
            // longer one.
            let live = |key| command("PEXPIRE").arg(key).number(longest_ms);
            commands.push(live(key.clone()).text("NX"));
            commands.push(live(key).text("GT"));
        }
        if !self.removed.is_empty() {
            commands.extend(removal(self.removed.iter().map(String::as_bytes)));
        }
        commands
    }
}

/// Removes entries, to be made as one. Their names in the indexes of tags go when
/// those are swept.
pub(crate) fn removal<'n>(names: impl Iterator<Item = &'n [u8]> + Clone) -> [Command; 2] {
    [
        command("UNLINK").args(names.clone().map(keys::entry)),
        command("ZREM").text(keys::ALL).args(names),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { ttl_ms: 60_000, compress_above: 100 };

    fn new(key: &str, ttl_ms: Option<u64>, tags: &[&str]) -> Entry {
        let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        Entry { key: key.to_owned(), value: b"v".to_vec(), ttl_ms, tags }
    }

    fn made(entries: Vec<Entry>) -> Vec<Command> {
        let mut portions = portions(entries, &TERMS, 1_000);
        assert_eq!(portions.len(), 1);
        portions.remove(0).commands()
    }

    fn line(text: &str) -> Command {
        let mut words = text.split(' ');
        let name = command(words.next().unwrap());
        name.args(words.map(str::as_bytes))
    }

    fn set(name: &str, end_ms: u64, tags: &[&str], kept_ms: u64) -> Command {
        let tags: Vec<_> = tags.iter().map(|&tag| tag.to_owned()).collect();
        let entry = entry::write(end_ms, &tags, b"v", 100);
        line(&format!("SET v:{name}")).arg(entry).text("PX").number(kept_ms)
    }

    #[test]
    fn an_entry_is_kept_beyond_its_end_and_its_indexes_beyond_that() {
        let expected = [
            set("a", 6_000, &["t"], 15_000),
            line("ZADD k: 6000 a"),
            line("PEXPIRE k: 25000 NX"),
            line("PEXPIRE k: 25000 GT"),
            line("ZADD t:t 6000 a"),
            line("PEXPIRE t:t 25000 NX"),
            line("PEXPIRE t:t 25000 GT"),
        ];
        assert_eq!(made(vec![new("a", Some(5_000), &["t", "t"])]), expected);
    }

    #[test]
    fn what_goes_together_shares_its_indexes_for_the_longest_of_their_times() {
        let expected = [
            set("a", 6_000, &[], 15_000),
            set("b", 61_000, &[], 70_000),
            line("ZADD k: 6000 a 61000 b"),
            line("PEXPIRE k: 80000 NX"),
            line("PEXPIRE k: 80000 GT"),
            line("UNLINK v:c"),
            line("ZREM k: c"),
        ];
        let entries = vec![new("a", Some(5_000), &[]), new("b", None, &[]), new("c", Some(0), &[])];
        assert_eq!(made(entries), expected);
    }

    #[test]
    fn of_the_same_key_the_last_counts() {
        let twice = vec![new("a", Some(1), &["old"]), new("a", Some(2), &[])];
        assert_eq!(made(twice), made(vec![new("a", Some(2), &[])]));
        let gone = vec![new("a", Some(1), &["old"]), new("a", Some(0), &[])];
        assert_eq!(made(gone), made(vec![new("a", Some(0), &[])]));
    }

    #[test]
    fn the_longest_time_is_one_that_the_server_takes_and_does_not_end() {
        let commands = made(vec![new("a", Some(u64::MAX), &[])]);
        assert_eq!(commands[0], set("a", u64::MAX, &[], LONGEST_MS + GRACE_MS));
        assert_eq!(commands[1], line(&format!("ZADD k: {LONGEST_MS} a")));
    }

    #[test]
    fn a_large_call_is_cut_and_nothing_is_lost() {
        let tags: Vec<String> = (0..64).map(|at| format!("t{at}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let entries: Vec<_> = (0..100).map(|at| new(&format!("k{at}"), None, &tags)).collect();
        let cut = portions(entries, &TERMS, 0);
        assert!(cut.len() > 1);
        assert_eq!(cut.iter().map(Portion::len).sum::<usize>(), 100);
        assert!(cut.into_iter().all(|portion| portion.commands().len() < 2 * MAX_COMMANDS));
    }
}
