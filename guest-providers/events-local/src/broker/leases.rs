//! Deliveries that somebody has pulled.
//!
//! All that one pull takes from a subscription ends at the same moment, so the
//! moment is kept once for the batch: a lease costs no timer of its own, and a
//! batch whose deliveries are all settled leaves nothing behind.

use std::collections::BTreeSet;

use slab::Slab;

use super::event::Pending;
use super::ids::Token;

struct Lease {
    number: u64,
    batch: usize,
    pending: Pending,
}

struct Batch {
    subscription: usize,
    deadline: u64,
    /// Slots of leases; one that has left the batch is only not counted.
    members: Vec<usize>,
    open: usize,
}

/// The batches of one subscription by the moment they end.
#[derive(Default)]
pub(super) struct Ends {
    by_deadline: BTreeSet<(u64, usize)>,
    /// Leases in all of them.
    pub(super) leased: usize,
}

impl Ends {
    pub(super) fn next(&self) -> Option<u64> {
        self.by_deadline.first().map(|end| end.0)
    }
}

pub(super) struct Leases {
    leases: Slab<Lease>,
    batches: Slab<Batch>,
    next_number: u64,
}

impl Leases {
    pub(super) fn new(origin: u64) -> Self {
        Self { leases: Slab::new(), batches: Slab::new(), next_number: origin }
    }

    pub(super) fn len(&self) -> usize {
        self.leases.len()
    }

    /// Takes leases from the store: each at its place, in a batch that is open.
    pub(super) fn restore(&mut self, kept: Vec<(Token, usize, Pending)>) {
        let place = |(Token { slot, number }, batch, pending)| {
            self.next_number = self.next_number.max(number + 1);
            if let Some(batch) = self.batches.get_mut(batch) {
                batch.members.push(slot);
                batch.open += 1;
            }
            (slot, Lease { number, batch, pending })
        };
        self.leases = kept.into_iter().map(place).collect();
    }

    /// Begins a batch. A lease must join it next.
    pub(super) fn open(&mut self, subscription: usize, deadline: u64, ends: &mut Ends) -> usize {
        let batch =
            self.batches.insert(Batch { subscription, deadline, members: Vec::new(), open: 0 });
        ends.by_deadline.insert((deadline, batch));
        batch
    }

    pub(super) fn lease(&mut self, pending: Pending, batch: usize, ends: &mut Ends) -> Token {
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        let slot = self.leases.insert(Lease { number, batch, pending });
        if let Some(batch) = self.batches.get_mut(batch) {
            batch.members.push(slot);
            batch.open += 1;
        }
        ends.leased += 1;
        Token { slot, number }
    }

    /// The subscription and the batch of a lease that still holds.
    pub(super) fn find(&self, token: Token, now: u64) -> Option<(usize, usize)> {
        let lease = self.leases.get(token.slot).filter(|lease| lease.number == token.number)?;
        let batch = self.batches.get(lease.batch).filter(|batch| now < batch.deadline)?;
        Some((batch.subscription, lease.batch))
    }

    /// What is leased at a place.
    pub(super) fn pending(&self, slot: usize) -> Option<&Pending> {
        self.leases.get(slot).map(|lease| &lease.pending)
    }

    /// Ends a lease that `find` has found.
    pub(super) fn take(&mut self, slot: usize, ends: &mut Ends) -> Option<Pending> {
        let lease = self.leases.try_remove(slot)?;
        ends.leased -= 1;
        self.depart(lease.batch, ends);
        Some(lease.pending)
    }

    /// Moves a lease that `find` has found into another batch.
    pub(super) fn move_to(&mut self, slot: usize, to: usize, ends: &mut Ends) {
        let Some(lease) = self.leases.get_mut(slot) else { return };
        let from = std::mem::replace(&mut lease.batch, to);
        if from == to {
            return;
        }
        if let Some(batch) = self.batches.get_mut(to) {
            batch.members.push(slot);
            batch.open += 1;
        }
        self.depart(from, ends);
    }

    /// Ends every lease of a subscription that has run out by `now`, or all of
    /// them.
    pub(super) fn expire(&mut self, ends: &mut Ends, now: Option<u64>) -> Vec<Pending> {
        let mut ended = Vec::new();
        while let Some(&(deadline, index)) = ends.by_deadline.first() {
            if now.is_some_and(|now| now < deadline) {
                break;
            }
            ends.by_deadline.pop_first();
            let Some(batch) = self.batches.try_remove(index) else { continue };
            for slot in batch.members {
                if self.leases.get(slot).is_some_and(|lease| lease.batch == index)
                    && let Some(lease) = self.leases.try_remove(slot)
                {
                    ends.leased -= 1;
                    ended.push(lease.pending);
                }
            }
        }
        ended
    }

    fn depart(&mut self, index: usize, ends: &mut Ends) {
        let Some(batch) = self.batches.get_mut(index) else { return };
        batch.open -= 1;
        if batch.open == 0 {
            ends.by_deadline.remove(&(batch.deadline, index));
            self.batches.remove(index);
        }
    }

    /// The leases of a subscription and when they end.
    #[cfg(test)]
    pub(super) fn all(&self, subscription: usize) -> impl Iterator<Item = (Token, u64, &Pending)> {
        self.leases.iter().filter_map(move |(slot, lease)| {
            let batch = self.batches.get(lease.batch)?;
            let token = Token { slot, number: lease.number };
            (batch.subscription == subscription).then_some((token, batch.deadline, &lease.pending))
        })
    }

    #[cfg(test)]
    pub(super) fn is_clean(&self) -> bool {
        let open: usize = self.batches.iter().map(|(_, batch)| batch.open).sum();
        open == self.leases.len() && self.batches.iter().all(|(_, batch)| batch.open > 0)
    }
}
