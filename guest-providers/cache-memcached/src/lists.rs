//! Which entries have a tag.
//!
//! The server can look for nothing. So beside the entries it holds *lists*, items to
//! which the names of entries are appended, and for each tag a *record*: the ids of
//! those lists that hold. An entry says for each of its tags in which list it stands
//! ([`Bond`](crate::entry::Bond)). It is there only if of each of its tags
//!
//! - the record names that list, and
//! - the list is there.
//!
//! So an id is the version of a tag. To clear the tag its record is removed: no id
//! comes again, so whatever has the tag is gone, at once and for good. If the server
//! drops a record or a list to make room, what depends on it is gone too; never is
//! there an entry that a clear would miss, or that a tag does not find.
//!
//! A list has a bound, since the server copies it with each append. Where one is
//! full, [`plan`] says what becomes of the tag's lists.

use std::collections::BTreeMap;

use crate::names::{Id, Name};
use crate::protocol::Mark;

/// So many bytes make a list full: 4,096 names.
pub(crate) const FULL: usize = 4_096 * MENTION;
/// The most lists of one tag: some 260,000 names. Beyond, the oldest no longer holds.
const MOST: usize = 64;
/// A name is kept so long after its entry's end, for hosts whose clocks differ.
const GRACE_MS: u64 = 10_000;
/// A name and when its entry ends.
const MENTION: usize = Name::BYTES + 8;

/// The lists of a tag that hold. The last one is appended to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record(Vec<Id>);

impl Record {
    /// None if somebody else wrote it.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (ids, rest) = bytes.as_chunks();
        let fits = rest.is_empty() && ids.len() <= MOST;
        fits.then(|| Self(ids.iter().map(|id| Id(*id)).collect()))
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        self.0.iter().flat_map(|id| id.0).collect()
    }

    pub(crate) fn lists(&self) -> &[Id] {
        &self.0
    }

    pub(crate) fn current(&self) -> Option<Id> {
        self.0.last().copied()
    }
}

/// That an entry stands in a list, as it is appended.
pub(crate) fn mention(name: &Name, end_ms: u64) -> [u8; MENTION] {
    let mut bytes = [0; MENTION];
    let from = name.0.into_iter().chain(end_ms.to_le_bytes());
    bytes.iter_mut().zip(from).for_each(|(to, from)| *to = from);
    bytes
}

/// The names in a list, each with the latest end that it is mentioned with. What is
/// torn at the end, which somebody else must have written, is none.
pub(crate) fn names(list: &[u8]) -> BTreeMap<Name, u64> {
    let mut names = BTreeMap::new();
    for mention in list.as_chunks::<MENTION>().0 {
        if let Some((name, end)) = mention.split_first_chunk()
            && let Ok(end) = end.try_into()
        {
            let latest = names.entry(Name(*name)).or_insert(0);
            *latest = u64::from_le_bytes(end).max(*latest);
        }
    }
    names
}

/// A list as it was read; none if it is gone.
pub(crate) type Seen = (Id, Option<(Vec<u8>, Mark)>);

/// What becomes of the lists of a tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Lists to be written again with fewer names, if they have not changed.
    pub(crate) shorter: Vec<(Id, Mark, Vec<u8>)>,
    /// Which hold; the last one has room.
    pub(crate) record: Record,
    /// Whether the last one is new, and to be made.
    pub(crate) is_new: bool,
}

/// What is mentioned twice is mentioned once, and names whose entries have ended go.
/// A list of which half is left is appended to again; where there is none, to a new
/// one. A list that is gone no longer holds, and neither does one of which nothing is
/// left, unless somebody may be appending to it.
pub(crate) fn plan(seen: &[Seen], new: Id, now_ms: u64) -> Plan {
    let mut shorter = Vec::new();
    let mut hold = Vec::new();
    let mut roomy = None;
    for (at, (id, list)) in seen.iter().enumerate() {
        let Some((list, mark)) = list else { continue };
        let mut names = names(list);
        names.retain(|_, end_ms| now_ms < end_ms.saturating_add(GRACE_MS));
        if names.is_empty() && at + 1 < seen.len() {
            continue;
        }
        hold.push(*id);
        let length = names.len() * MENTION;
        if length <= FULL / 2 {
            roomy = Some(*id);
        }
        if length <= list.len() / 2 {
            let written = names.iter().flat_map(|(name, end_ms)| mention(name, *end_ms));
            shorter.push((*id, *mark, written.collect()));
        }
    }
    let current = roomy.unwrap_or(new);
    hold.retain(|id| *id != current);
    hold.push(current);
    hold.drain(..hold.len().saturating_sub(MOST));
    shorter.retain(|(id, ..)| hold.contains(id));
    Plan { shorter, record: Record(hold), is_new: roomy.is_none() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(number: u64) -> Name {
        Name::of(&number.to_string())
    }

    fn list(names: impl IntoIterator<Item = (u64, u64)>) -> Vec<u8> {
        names.into_iter().flat_map(|(at, end_ms)| mention(&name(at), end_ms)).collect()
    }

    fn id(number: u64) -> Id {
        Id::new(0, number)
    }

    const NEW: u64 = 1_000;
    const NOW: u64 = 100_000;

    fn planned(lists: &[Option<Vec<u8>>]) -> Plan {
        let seen: Vec<_> = (0..)
            .zip(lists)
            .map(|(at, list)| (id(at), list.clone().map(|list| (list, Mark::any()))))
            .collect();
        plan(&seen, id(NEW), NOW)
    }

    fn hold(plan: &Plan) -> Vec<u64> {
        plan.record.lists().iter().map(|id| u128::from_be_bytes(id.0) as u64).collect()
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(ids in prop::collection::vec(any::<[u8; 16]>(), 0..64)) {
            let record = Record(ids.into_iter().map(Id).collect());
            prop_assert_eq!(Record::read(&record.write()), Some(record));
        }

        #[test]
        fn no_bytes_bring_the_readers_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            names(&bytes);
            Record::read(&bytes);
        }

        #[test]
        fn no_living_name_is_lost_unless_its_list_is(
            lists in prop::collection::vec(
                prop::option::of(prop::collection::vec((0..50_u64, 0..2 * NOW), 0..60)),
                0..6,
            ),
        ) {
            let written: Vec<_> = lists.iter().map(|it| it.clone().map(list)).collect();
            let plan = planned(&written);
            for (at, before) in lists.iter().enumerate() {
                let Some(before) = before else {
                    prop_assert!(!plan.record.lists().contains(&id(at as u64)));
                    continue;
                };
                let shorter = plan.shorter.iter().find(|(list, ..)| *list == id(at as u64));
                let after = names(match shorter {
                    Some((_, _, list)) => list,
                    None => written[at].as_ref().unwrap(),
                });
                let holds = plan.record.lists().contains(&id(at as u64));
                for (number, end_ms) in before {
                    let found = holds && after.get(&name(*number)) >= Some(end_ms);
                    prop_assert!(found || *end_ms + GRACE_MS <= NOW);
                }
            }
            prop_assert_eq!(plan.is_new, hold(&plan).last() == Some(&NEW));
        }
    }

    #[test]
    fn what_is_mentioned_twice_is_there_once_with_its_latest_end() {
        let names = names(&list([(1, 5), (2, 7), (1, 9), (1, 3)]));
        assert_eq!(
            names.into_iter().collect::<BTreeMap<_, _>>(),
            [(name(1), 9), (name(2), 7)].into()
        );
    }

    #[test]
    fn a_full_list_of_living_names_is_followed_by_a_new_one() {
        let full = list((0..4_096).map(|at| (at, NOW)));
        assert_eq!(full.len(), FULL);
        let plan = planned(&[Some(full)]);
        assert_eq!((hold(&plan), plan.is_new, plan.shorter.len()), (vec![0, NEW], true, 0));
    }

    #[test]
    fn a_list_with_much_that_ended_or_is_there_twice_is_shorter_and_goes_on() {
        for full in [
            list((0..4_096).map(|at| (at % 7, NOW))),
            list((0..4_096).map(|at| (at, if at < 7 { NOW } else { NOW - GRACE_MS }))),
        ] {
            let plan = planned(&[Some(full)]);
            assert_eq!((hold(&plan), plan.is_new), (vec![0], false));
            assert_eq!(plan.shorter[0].2.len(), 7 * MENTION);
        }
    }

    #[test]
    fn what_is_gone_or_empty_no_longer_holds_and_an_older_one_with_room_is_used_again() {
        let full = list((0..4_096).map(|at| (at, NOW)));
        let ended = list((0..4_096).map(|at| (at, 0)));
        let few = list([(1, NOW)]);
        let plan = planned(&[None, Some(few), Some(ended.clone()), Some(full.clone())]);
        assert_eq!((hold(&plan), plan.is_new), (vec![3, 1], false));
        assert_eq!(hold(&planned(&[Some(full), Some(ended)])), [0, 1]);
        assert_eq!(hold(&planned(&[None])), [NEW]);
        assert_eq!(hold(&planned(&[])), [NEW]);
    }

    #[test]
    fn of_too_many_lists_the_oldest_no_longer_holds() {
        let full = list((0..4_096).map(|at| (at, NOW)));
        let plan = planned(&vec![Some(full); MOST]);
        assert_eq!(hold(&plan), (1..64).chain([NEW]).collect::<Vec<_>>());
        assert!(Record::read(&plan.record.write()).is_some());
    }
}
