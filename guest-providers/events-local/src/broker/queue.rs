//! What waits in one subscription.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use super::event::{DEFAULT_PRIORITY, Pending, Rank};

/// Ordered so that the greatest, which a heap gives first, has the lowest rank.
struct Ranked(Pending);

/// Ordered so that the greatest is due first.
struct Delayed {
    due: u64,
    pending: Pending,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.body.rank().cmp(&self.0.body.rank())
    }
}

impl Ord for Delayed {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

macro_rules! compared_by_ord {
    ($type:ty) => {
        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }

        impl Eq for $type {}
    };
}

compared_by_ord!(Ranked);
compared_by_ord!(Delayed);

/// Deliveries of one subscription that nobody has leased.
///
/// Almost all have the default priority and arrive in the order of publishing:
/// they stand in a plain line, which costs nothing to keep in order. The rest
/// (other priorities, retries, returns) is in a heap. Nothing leaves the
/// delayed ones but by coming due, so a heap serves there too.
#[derive(Default)]
pub(super) struct Queue {
    line: VecDeque<Pending>,
    ranked: BinaryHeap<Ranked>,
    delayed: BinaryHeap<Delayed>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.line.len() + self.ranked.len() + self.delayed.len()
    }

    pub(super) fn push(&mut self, pending: Pending) {
        let rank = pending.body.rank();
        if rank.0 == DEFAULT_PRIORITY && self.line.back().is_none_or(|last| last.body.rank() < rank)
        {
            self.line.push_back(pending);
        } else {
            self.ranked.push(Ranked(pending));
        }
    }

    pub(super) fn push_delayed(&mut self, pending: Pending, due: u64, now: u64) {
        if due <= now {
            self.push(pending);
        } else {
            self.delayed.push(Delayed { due, pending });
        }
    }

    /// Lets what has come due by now stand with what is due.
    pub(super) fn advance(&mut self, now: u64) {
        while self.delayed.peek().is_some_and(|first| first.due <= now) {
            if let Some(Delayed { pending, .. }) = self.delayed.pop() {
                self.push(pending);
            }
        }
    }

    /// The rank of what is due first, as of the last `advance`.
    pub(super) fn first(&self) -> Option<Rank> {
        let line = self.line.front().map(|pending| pending.body.rank());
        let ranked = self.ranked.peek().map(|ranked| ranked.0.body.rank());
        match (line, ranked) {
            (Some(line), Some(ranked)) => Some(line.min(ranked)),
            (one, other) => one.or(other),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Pending> {
        let from_line = match (self.line.front(), self.ranked.peek()) {
            (Some(line), Some(ranked)) => line.body.rank() < ranked.0.body.rank(),
            (line, _) => line.is_some(),
        };
        if from_line { self.line.pop_front() } else { self.ranked.pop().map(|ranked| ranked.0) }
    }

    /// All that waits; with the moment if it is not due yet.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (Option<u64>, &Pending)> {
        let due = self.line.iter().chain(self.ranked.iter().map(|ranked| &ranked.0));
        let delayed = self.delayed.iter().map(|delayed| (Some(delayed.due), &delayed.pending));
        due.map(|pending| (None, pending)).chain(delayed)
    }

    /// When the next delayed one comes due.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.delayed.peek().map(|first| first.due)
    }
}
