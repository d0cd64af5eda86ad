//! Messages held back under a group.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::Hasher;
use super::event::Draft;
use super::journal::{Log, Row};
use super::rows::{self, GroupRow, Key};

struct Group {
    drafts: Vec<Draft>,
    /// Its key among the ends: the moment, and its number.
    end: (u64, u64),
    /// Messages staged so far.
    count: u32,
    row: Row,
}

pub(super) struct Groups {
    by_name: HashMap<String, Group, Hasher>,
    /// The deadline and a number of each group, to its name.
    ends: BTreeMap<(u64, u64), String>,
    next_number: u64,
    staged: usize,
    log: Log,
}

impl Groups {
    pub(super) fn new(hasher: Hasher, log: Log) -> Self {
        Self {
            log,
            by_name: HashMap::with_hasher(hasher),
            ends: BTreeMap::new(),
            next_number: 0,
            staged: 0,
        }
    }

    /// Messages in all groups.
    pub(super) fn staged(&self) -> usize {
        self.staged
    }

    pub(super) fn expire(&mut self, now: u64) {
        while let Some(end) = self.ends.first_entry() {
            if now < end.key().0 {
                return;
            }
            let name = end.remove();
            if let Some(group) = self.by_name.remove(&name) {
                self.staged -= group.drafts.len();
            }
        }
    }

    pub(super) fn stage(&mut self, name: String, drafts: Vec<Draft>, deadline: u64) {
        // Nothing to hold is no group, but it still prolongs one.
        if drafts.is_empty() && !self.by_name.contains_key(&name) {
            return;
        }
        self.staged += drafts.len();
        let number = self.next_number;
        let log = &self.log;
        let group = self.by_name.entry(name.clone()).or_insert_with(|| {
            self.next_number += 1;
            let row = Row::new(log, Key::Group(number));
            Group { drafts: Vec::new(), end: (deadline, number), count: 0, row }
        });
        for mut draft in drafts {
            draft.staged(Row::new(log, Key::Staged(group.end.1, group.count)), true);
            group.count = group.count.saturating_add(1);
            group.drafts.push(draft);
        }
        self.ends.remove(&group.end);
        group.end.0 = deadline;
        group.row.put(|journal| {
            let end = journal.unix(deadline);
            rows::group(&GroupRow { name: name.clone(), end, count: group.count })
        });
        self.ends.insert(group.end, name);
    }

    /// Takes a group from the store, with its messages by their places.
    pub(super) fn restore(
        &mut self,
        number: u64,
        name: String,
        deadline: u64,
        count: u32,
        drafts: Vec<(u32, Draft)>,
    ) {
        let place = |(index, mut draft): (u32, Draft)| {
            draft.staged(Row::new(&self.log, Key::Staged(number, index)), false);
            draft
        };
        let drafts: Vec<_> = drafts.into_iter().map(place).collect();
        self.staged += drafts.len();
        self.next_number = self.next_number.max(number.saturating_add(1));
        self.ends.insert((deadline, number), name.clone());
        let row = Row::new(&self.log, Key::Group(number));
        self.by_name.insert(name, Group { drafts, end: (deadline, number), count, row });
    }

    pub(super) fn drafts(&self, name: &str) -> &[Draft] {
        self.by_name.get(name).map_or(&[], |group| &group.drafts)
    }

    pub(super) fn take(&mut self, name: &str) -> Vec<Draft> {
        let Some(group) = self.by_name.remove(name) else {
            return Vec::new();
        };
        self.ends.remove(&group.end);
        self.staged -= group.drafts.len();
        group.drafts
    }

    /// All groups, when they end and the messages that they hold, by name.
    #[cfg(test)]
    pub(super) fn all(&self) -> std::collections::BTreeMap<(&str, u64), Vec<String>> {
        self.by_name
            .iter()
            .map(|(name, group)| {
                let drafts = group.drafts.iter().map(Draft::shown).collect();
                ((name.as_str(), group.end.0), drafts)
            })
            .collect()
    }

    /// Forgets the messages with these names and says how many.
    pub(super) fn discard(&mut self, name: &str, names: &[String]) -> usize {
        let Some(group) = self.by_name.get_mut(name) else {
            return 0;
        };
        let before = group.drafts.len();
        group.drafts.retain(|draft| !names.contains(&draft.name));
        let left = group.drafts.len();
        self.staged -= before - left;
        if left == 0 {
            self.take(name);
        }
        before - left
    }
}
