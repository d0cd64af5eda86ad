//! Messages held back under a group.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::Hasher;
use super::event::Draft;

struct Group {
    drafts: Vec<Draft>,
    /// Its key among the ends.
    end: (u64, u64),
}

pub(super) struct Groups {
    by_name: HashMap<String, Group, Hasher>,
    /// The deadline and a number of each group, to its name.
    ends: BTreeMap<(u64, u64), String>,
    next_number: u64,
    staged: usize,
}

impl Groups {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self {
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
        match self.by_name.get_mut(&name) {
            Some(group) => {
                group.drafts.extend(drafts);
                self.ends.remove(&group.end);
                group.end.0 = deadline;
                self.ends.insert(group.end, name);
            }
            None => {
                let end = (deadline, self.next_number);
                self.next_number += 1;
                self.ends.insert(end, name.clone());
                self.by_name.insert(name, Group { drafts, end });
            }
        }
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
