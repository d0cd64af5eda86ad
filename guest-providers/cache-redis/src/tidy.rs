//! Keeps the indexes free of names whose entries are gone.
//!
//! A name stays behind in an index when its entry ends, is deleted, or is set
//! again without the tag. So after every so many sets a set also looks at names of
//! its indexes, of either kind up to twice as many as were added since:
//!
//! - Those that are past their time.
//! - In the index of a tag some by chance, since who deletes or clears an entry does
//!   not know its other tags, and its time may be far off or never come. As many as
//!   are added twice over, so what is gone comes to be no more than what is there.
//!   The index of all needs none: whoever removes an entry takes it out there.
//!
//! A later set takes them out, by `sweep.lua`: a clock may be wrong, so a name goes
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
    /// Counts entries that are being set with these indexes, and gives how some of them
    /// are to be looked at.
    pub(crate) fn added<'i>(
        &mut self,
        entries: usize,
        indexes: impl Iterator<Item = &'i Index>,
        now_ms: u64,
    ) -> Vec<(Index, Command)> {
        self.added += entries;
        if self.added < EVERY {
            return Vec::new();
        }
        let most = (2 * self.added).min(MOST) as u64;
        self.added = 0;
        let indexes: Vec<_> = indexes.collect();
        // Where there are more, each has its turn.
        self.turn = self.turn.wrapping_add(INDEXES);
        let from = self.turn.checked_rem(indexes.len()).unwrap_or(0);
        let mut looks = Vec::new();
        for &index in indexes.iter().cycle().skip(from).take(indexes.len().min(INDEXES)) {
            let range = command("ZRANGE").arg(index.key()).text("-inf").number(now_ms);
            let range = range.text("BYSCORE").text("LIMIT").number(0).number(most);
            looks.push((index.clone(), range));
            if let Index::Tag(_) = index {
                let some = command("ZRANDMEMBER").arg(index.key()).number(most);
                looks.push((index.clone(), some));
            }
        }
        looks
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
                assert_eq!(tidy.added(1, indexes.iter(), 7), []);
            }
            let looks = tidy.added(1, indexes.iter(), 7);
            assert_eq!(looks.len(), 2 * INDEXES);
            seen.extend(looks.into_iter().map(|(index, _)| index));
        }
        assert_eq!(seen.len(), indexes.len());
        assert_eq!(tidy.added(100, [].into_iter(), 7), []);
        let past = command("ZRANGE").text("k:").text("-inf").text("7").text("BYSCORE");
        let past = past.text("LIMIT").text("0").text("1000");
        assert_eq!(tidy.added(10_000, [Index::All].iter(), 7), [(Index::All, past)]);
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
