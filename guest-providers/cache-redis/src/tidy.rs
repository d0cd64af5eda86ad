//! Keeps the indexes free of names whose entries are gone.
//!
//! A name stays behind in an index when its entry ends, is deleted, or is set
//! again without the tag. So after every so many sets a set also looks which names
//! of its indexes are past their time, up to twice as many as were added since. A
//! later set takes them out, by `sweep.lua`: a clock may be wrong, so a name goes
//! only if the server says that its entry does not belong there. Neither takes a
//! round trip of its own. What is never set again goes with the whole index, which
//! has a time to live.

use stheno_sdk::Result;
use stheno_sdk::redis::{Command, Reply, command};

use crate::entry::between;
use crate::keys::{self, Index};

/// After how many sets one looks.
const EVERY: usize = 64;
/// The most names that are looked for in one index.
const MOST: usize = 1_000;
/// The most indexes that are looked at by one set.
const INDEXES: usize = 8;

/// How `sweep.lua` is called.
pub(crate) struct Sweep {
    digest: String,
}

impl Sweep {
    pub(crate) fn new(digest: String) -> Self {
        Self { digest }
    }

    /// Takes out what does not belong there; with `clear` also the entries that
    /// do.
    pub(crate) fn command(&self, index: &Index, names: &[Vec<u8>], clear: bool) -> Command {
        let (count, tag) = match index {
            Index::All => (names.len() as u64 + 2, Vec::new()),
            Index::Tag(tag) => (names.len() as u64 + 2, between(tag)),
        };
        command("EVALSHA")
            .text(&self.digest)
            .number(count)
            .text(keys::ALL)
            .arg(index.key())
            .args(names.iter().map(|name| keys::entry(name)))
            .arg(tag)
            .text(if clear { "clear" } else { "" })
    }
}

/// What one instance knows of names that may be gone. It may be lost at any time.
#[derive(Default)]
pub(crate) struct Tidy {
    added: usize,
    turn: usize,
    past: Vec<(Index, Vec<Vec<u8>>)>,
}

impl Tidy {
    /// Counts entries that are being set with these indexes, and says which of them
    /// are to be looked at, and for how many names.
    pub(crate) fn added<'i>(
        &mut self,
        entries: usize,
        indexes: impl Iterator<Item = &'i Index>,
    ) -> (usize, Vec<Index>) {
        self.added += entries;
        if self.added < EVERY {
            return (0, Vec::new());
        }
        let most = (2 * self.added).min(MOST);
        self.added = 0;
        let indexes: Vec<_> = indexes.collect();
        // Where there are more, each has its turn.
        self.turn = self.turn.wrapping_add(INDEXES);
        let from = self.turn.checked_rem(indexes.len()).unwrap_or(0);
        let looked = indexes.iter().cycle().skip(from).take(indexes.len().min(INDEXES));
        (most, looked.map(|&index| index.clone()).collect())
    }

    /// Notes what a look found.
    pub(crate) fn found(&mut self, index: Index, mut reply: Reply) -> Result<()> {
        let names: Vec<_> = reply.list()?.into_iter().flatten().collect();
        if !names.is_empty() {
            self.past.push((index, names));
        }
        Ok(())
    }

    /// What takes out the names that were found before.
    pub(crate) fn sweeps(&mut self, sweep: &Sweep) -> Vec<Command> {
        let past = std::mem::take(&mut self.past);
        past.iter().map(|(index, names)| sweep.command(index, names, false)).collect()
    }
}

/// Looks for names that are past their time.
pub(crate) fn look(index: &Index, now_ms: u64, most: usize) -> Command {
    let range = command("ZRANGE").arg(index.key()).text("-inf").number(now_ms).text("BYSCORE");
    range.text("LIMIT").number(0).number(most as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_looked_for_than_was_added_and_every_index_has_its_turn() {
        let mut tidy = Tidy::default();
        let indexes: Vec<_> = (0..20).map(|at| Index::Tag(format!("t{at}"))).collect();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..20 {
            for _ in 1..EVERY {
                assert_eq!(tidy.added(1, indexes.iter()).1, []);
            }
            let (most, looked) = tidy.added(1, indexes.iter());
            assert_eq!((most, looked.len()), (2 * EVERY, INDEXES));
            seen.extend(looked);
        }
        assert_eq!(seen.len(), indexes.len());
        assert_eq!(tidy.added(100, [].into_iter()), (200, Vec::new()));
        assert_eq!(tidy.added(10_000, indexes[..1].iter()), (MOST, indexes[..1].to_vec()));
    }

    #[test]
    fn a_sweep_names_its_keys_and_the_tag_between_what_is_in_no_text() {
        let sweep = Sweep::new("abc".to_owned());
        let expected = command("EVALSHA").text("abc").text("3").text("k:").text("t:x").text("v:a");
        let expected = expected.arg(&b"\xFFx\xFF"[..]).text("clear");
        assert_eq!(sweep.command(&Index::Tag("x".into()), &[b"a".to_vec()], true), expected);
        let expected = command("EVALSHA").text("abc").text("3").text("k:").text("k:").text("v:a");
        assert_eq!(sweep.command(&Index::All, &[b"a".to_vec()], false), expected.text("").text(""));
    }
}
