//! What is known of a day when it is over.

use std::time::Duration;

use stheno::DeadLetter;

use crate::books::Entries;
use crate::totals::Totals;

/// How a day went.
#[derive(Debug)]
pub struct Report {
    /// What it must come to, from the input alone.
    pub expected: Totals,
    /// What subscribers wrote down.
    pub found: Totals,
    /// How often a price was asked for.
    pub lookups: Work,
    /// How often the cache did not have it and the catalogue was read.
    pub catalogue_reads: u64,
    /// The fewest reads that can give right prices.
    pub fewest_reads: u64,
    /// Groups staged, then released or discarded.
    pub groups: Work,
    /// Events in groups that were released.
    pub released: u64,
    /// Events in groups that were discarded.
    pub discarded: u64,
    /// Dead letters, as they were listed before the replay.
    pub dead_letters: Vec<DeadLetter>,
    /// How many of them were replayed.
    pub replayed: u64,
    /// What each subscriber did.
    pub subscribers: Vec<SubscriberReport>,
    /// How long the parts of the day took.
    pub day: Day,
}

/// Calls of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// How many.
    pub count: u64,
    /// How long callers waited, on average.
    pub mean: Duration,
}

/// How long the parts of a day took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Taking all orders.
    pub orders: Duration,
    /// Handling what was still to be handled then.
    pub handling: Duration,
    /// Listing and replaying dead letters, and handling them.
    pub replay: Duration,
}

/// What a subscriber did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberReport {
    /// Its id.
    pub id: &'static str,
    /// What it receives.
    pub pattern: &'static str,
    /// Events that it handled, each counted once.
    pub handled: u64,
    /// Those that took more than one attempt.
    pub later_attempts: u64,
    /// Deliveries of an event that it had handled before.
    pub repeats: u64,
    /// What is left: waiting, leased, dead.
    pub left: u64,
}

impl Report {
    /// What does not add up, a sentence each; empty if all is well.
    #[must_use]
    pub fn mismatches(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for ((name, expected, is_cents), (_, found, _)) in
            self.expected.rows().into_iter().zip(self.found.rows())
        {
            if expected != found {
                let unit = if is_cents { " cents" } else { "" };
                wrong.push(format!("{name}: {found}{unit}, but the input says {expected}{unit}"));
            }
        }
        if self.catalogue_reads < self.fewest_reads {
            wrong.push(format!(
                "the catalogue was read {} times, so some price was stale: {} are needed",
                self.catalogue_reads, self.fewest_reads
            ));
        }
        if self.replayed < self.expected.rejected {
            wrong.push(format!(
                "{} dead letters were replayed, but {} orders were rejected",
                self.replayed, self.expected.rejected
            ));
        }
        for subscriber in self.subscribers.iter().filter(|subscriber| subscriber.left > 0) {
            wrong.push(format!("{} has {} events left", subscriber.id, subscriber.left));
        }
        wrong
    }
}

pub(crate) fn summary<K: Ord>(
    id: &'static str,
    pattern: &'static str,
    entries: &Entries<K>,
    left: u64,
) -> SubscriberReport {
    let (handled, repeats) = (entries.len(), entries.repeats());
    SubscriberReport {
        id,
        pattern,
        handled,
        later_attempts: entries.later_attempts(),
        repeats,
        left,
    }
}
