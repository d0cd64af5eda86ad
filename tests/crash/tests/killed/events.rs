//! What was said of events, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};

/// Events of one group, as in the child.
const GROUP: usize = 5;

#[derive(Default)]
pub(crate) struct Told {
    pub(crate) published: BTreeSet<String>,
    pub(crate) handled: BTreeSet<String>,
    settled: BTreeSet<String>,
    /// As it was when the process that speaks began.
    settled_before: BTreeSet<String>,
    staged: BTreeSet<String>,
    /// What a release said, first time.
    released: BTreeMap<String, usize>,
}

impl Told {
    pub(crate) fn another_process(&mut self) {
        self.settled_before.clone_from(&self.settled);
    }

    /// Whether it is a line about events.
    pub(crate) fn take(&mut self, verb: &str, object: &str) -> bool {
        match verb {
            "published" => drop(self.published.insert(object.to_owned())),
            "staged" => drop(self.staged.insert(object.to_owned())),
            "settled" => drop(self.settled.insert(object.to_owned())),
            "handling" => {
                // A run's may be published twice.
                let again = self.settled_before.contains(object) && !object.starts_with("run:");
                assert!(!again, "{object} came again, though settled");
                self.handled.insert(object.to_owned());
            }
            "released" => {
                let (group, count) = object.split_once(' ').unwrap();
                let count: usize = count.parse().unwrap();
                assert!(count == 0 || count == GROUP, "{count} of {group} were released");
                self.released.entry(group.to_owned()).or_insert(count);
            }
            _ => return false,
        }
        true
    }

    /// Groups that were staged and of whose release nobody knows.
    pub(crate) fn open_groups(&self) -> Vec<&String> {
        self.staged.iter().filter(|group| !self.released.contains_key(*group)).collect()
    }

    /// How many events of a group were handled.
    fn of_group(&self, group: &str) -> usize {
        (0..GROUP).filter(|n| self.handled.contains(&format!("{group}/{n}"))).count()
    }

    /// Holds once nothing is left to be done.
    pub(crate) fn check(&self, rounds: usize) {
        println!("{} events, {} groups", self.published.len(), self.staged.len());
        assert!(self.published.len() > rounds && !self.staged.is_empty());
        let lost: Vec<_> = self.published.difference(&self.handled).collect();
        assert!(lost.is_empty(), "{} accepted events were lost: {lost:?}", lost.len());
        assert!(self.open_groups().is_empty());
        for group in &self.staged {
            assert_eq!(self.of_group(group), GROUP, "{group} was staged and is not whole");
        }
        // Groups of whose staging nobody was told are there whole or not at all.
        let named = self.handled.iter().filter_map(|name| name.split_once('/'));
        for (group, _) in named {
            assert_eq!(self.of_group(group), GROUP, "{group} came half");
        }
    }
}
