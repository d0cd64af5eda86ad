//! Tasks that somebody has pulled.
//!
//! All that one pull takes ends at the same moment, so the moment is kept once
//! for the batch: a lease costs no timer of its own, and a batch whose tasks are
//! all settled leaves nothing behind.

use std::collections::BTreeSet;

use slab::Slab;

use super::ids::Token;
use super::run::Job;

struct Lease {
    number: u64,
    batch: usize,
    run: usize,
    job: Job,
}

struct Batch {
    end: u64,
    /// Slots of leases; one that has left the batch is only not counted.
    members: Vec<usize>,
    open: usize,
}

pub(super) struct Leases {
    leases: Slab<Lease>,
    batches: Slab<Batch>,
    by_end: BTreeSet<(u64, usize)>,
    next_number: u64,
}

impl Leases {
    pub(super) fn new(origin: u64) -> Self {
        Self {
            leases: Slab::new(),
            batches: Slab::new(),
            by_end: BTreeSet::new(),
            next_number: origin,
        }
    }

    /// When the first of them ends.
    pub(super) fn next(&self) -> Option<u64> {
        self.by_end.first().map(|end| end.0)
    }

    /// Begins a batch. A lease must join it next.
    pub(super) fn open(&mut self, end: u64) -> usize {
        let batch = self.batches.insert(Batch { end, members: Vec::new(), open: 0 });
        self.by_end.insert((end, batch));
        batch
    }

    pub(super) fn lease(&mut self, run: usize, job: Job, batch: usize) -> Token {
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        let slot = self.leases.insert(Lease { number, batch, run, job });
        self.join(slot, batch);
        Token { slot, number }
    }

    fn join(&mut self, slot: usize, batch: usize) {
        if let Some(batch) = self.batches.get_mut(batch) {
            batch.members.push(slot);
            batch.open += 1;
        }
    }

    /// The run and the job of a lease that still holds.
    pub(super) fn find(&self, token: Token, now: u64) -> Option<(usize, Job)> {
        let lease = self.leases.get(token.slot).filter(|lease| lease.number == token.number)?;
        let batch = self.batches.get(lease.batch)?;
        (now < batch.end).then_some((lease.run, lease.job))
    }

    /// The token in a slot, and when its lease ends.
    pub(super) fn at(&self, slot: usize) -> Option<(Token, u64)> {
        let lease = self.leases.get(slot)?;
        let end = self.batches.get(lease.batch)?.end;
        Some((Token { slot, number: lease.number }, end))
    }

    pub(super) fn end(&mut self, slot: usize) {
        if let Some(lease) = self.leases.try_remove(slot) {
            self.depart(lease.batch);
        }
    }

    /// Moves a lease that `find` has found into another batch.
    pub(super) fn move_to(&mut self, slot: usize, to: usize) {
        let Some(lease) = self.leases.get_mut(slot) else { return };
        let from = std::mem::replace(&mut lease.batch, to);
        if from != to {
            self.join(slot, to);
            self.depart(from);
        }
    }

    /// Ends one batch that has run out by `now`: when it did, and what was in
    /// it.
    pub(super) fn expire(&mut self, now: u64) -> Option<(u64, Vec<(usize, Job)>)> {
        let &(end, index) = self.by_end.first().filter(|end| end.0 <= now)?;
        self.by_end.pop_first();
        let batch = self.batches.try_remove(index)?;
        let mut ended = Vec::with_capacity(batch.open);
        for slot in batch.members {
            if self.leases.get(slot).is_some_and(|lease| lease.batch == index)
                && let Some(lease) = self.leases.try_remove(slot)
            {
                ended.push((lease.run, lease.job));
            }
        }
        Some((end, ended))
    }

    fn depart(&mut self, index: usize) {
        let Some(batch) = self.batches.get_mut(index) else { return };
        batch.open -= 1;
        if batch.open == 0 {
            self.by_end.remove(&(batch.end, index));
            self.batches.remove(index);
        }
    }

    /// Takes leases from the store, each at its place: token, end, run and job.
    pub(super) fn restore(&mut self, kept: Vec<(Token, u64, usize, Job)>) {
        let mut batches = std::collections::BTreeMap::new();
        let mut leases = Vec::with_capacity(kept.len());
        for (token, end, run, job) in kept {
            self.next_number = self.next_number.max(token.number.saturating_add(1));
            let batch = *batches.entry(end).or_insert_with(|| self.open(end));
            self.join(token.slot, batch);
            leases.push((token.slot, Lease { number: token.number, batch, run, job }));
        }
        self.leases = leases.into_iter().collect();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.leases.len()
    }

    #[cfg(test)]
    pub(super) fn is_clean(&self) -> bool {
        let open: usize = self.batches.iter().map(|(_, batch)| batch.open).sum();
        open == self.leases.len()
            && self.by_end.len() == self.batches.len()
            && self.batches.iter().all(|(_, batch)| batch.open > 0)
    }
}
