//! Who holds which key, and who waits for it.
//!
//! A lease holds keys; a key knows its holder and the queue of those who wait
//! for it. A request that waits stands in the queue of each of its keys at once
//! and is granted when it is in front of all of them and all are free. Since it
//! enters all queues in one moment, everybody stands in the same order in every
//! queue: whoever is in front of one waits only for holders and for requests
//! older than itself, so there is no cycle, and no request is passed by.
//!
//! Expiry costs nothing where nobody waits: a lease that has expired is ended by
//! whoever comes upon it, or by a hand that looks at a few leases with each
//! request. Only leases that somebody waits for stand in `due`.

mod keys;
mod list;
mod names;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use slab::Slab;
use smallvec::SmallVec;
use stheno_sdk::Error;
use stheno_sdk::locking::{Answer, Exchanged, Extension, Freed, Grant, Queued, Request};

use keys::{KeyId, Keys};
use names::Token;
use queue::Waiter;

/// How many leases the hand looks at for each request: with more than one it
/// is faster than leases can be made.
const SWEPT: usize = 2;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_keys: usize,
    pub(crate) max_waiting: usize,
}

pub(crate) struct Table {
    limits: Limits,
    seed: u64,
    /// The largest fence that was given.
    fence: u64,
    keys: Keys,
    leases: Slab<Lease>,
    waiters: HashMap<u64, Waiter, RandomState>,
    /// The last ticket that was given.
    ticket: u64,
    /// How many of the waiters are not granted yet.
    waiting: usize,
    /// When leases expire that somebody waits for.
    due: BTreeSet<(u64, usize)>,
    /// Tickets that were granted and that the host was not told of.
    woken: Vec<u64>,
    hand: usize,
}

type KeyIds = SmallVec<[KeyId; 2]>;

struct Lease {
    fence: u64,
    owner: Option<String>,
    /// What it holds: never empty.
    keys: KeyIds,
    /// None never expires.
    expires: Option<u64>,
    /// Its entry in `due`.
    watched: Option<u64>,
    /// Whether it has lost one of its keys.
    broken: bool,
}

impl Lease {
    fn is_over(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn is_of(&self, owner: Option<&str>) -> bool {
        self.owner.as_deref() == owner
    }

    /// Whether who asks may renew it: nobody is not the same as nobody.
    fn is_own(&self, owner: Option<&str>) -> bool {
        owner.is_some() && self.is_of(owner)
    }
}

impl Table {
    /// Fences begin at the time of day, so that they grow over a restart too:
    /// faster than one in a microsecond they are not given.
    pub(crate) fn new(limits: Limits, unix_ms: u64, seed: u64) -> Self {
        Self {
            limits,
            seed,
            fence: unix_ms.saturating_mul(1_024),
            keys: Keys::default(),
            leases: Slab::new(),
            waiters: HashMap::default(),
            ticket: 0,
            waiting: 0,
            due: BTreeSet::new(),
            woken: Vec::new(),
            hand: 0,
        }
    }

    pub(crate) fn resume(&mut self, fence: u64) {
        self.fence = self.fence.max(fence);
    }

    pub(crate) fn exchange(
        &mut self,
        tokens: Vec<String>,
        requests: Vec<Request>,
        now: u64,
    ) -> Exchanged {
        self.advance(now);
        let lost = tokens.into_iter().filter(|token| !self.release(token, now)).collect();
        let answers = requests.into_iter().map(|request| self.serve(request, now)).collect();
        Exchanged { lost, answers, woken: self.take_woken() }
    }

    /// Ends a lease, and says whether it was whole.
    fn release(&mut self, token: &str, now: u64) -> bool {
        let Some(slot) = self.find(token, now) else { return false };
        let whole = self.leases.get(slot).is_some_and(|lease| !lease.broken);
        self.end(slot, now);
        whole
    }

    fn serve(&mut self, request: Request, now: u64) -> Answer {
        self.sweep(now);
        let Request { mut keys, owner, ttl_ms, wait } = request;
        if keys.len() > 1 {
            keys.sort_unstable();
            keys.dedup();
        }
        let (mut taken, mut own, mut new) = (None, false, 0);
        for name in &keys {
            match self.state(name, owner.as_deref(), now) {
                State::Unknown => new += 1,
                State::Own => own = true,
                State::Taken => taken = taken.or(Some(name)),
            }
        }
        if let Some(name) = taken {
            if !wait {
                let text = format!("the key {name:?} is taken");
                return Answer::Refused(Error::Conflict(text));
            }
            if own {
                return Answer::Refused(Error::Conflict(format!(
                    "the key {name:?} is taken, and an owner that holds some of the keys already \
                     does not wait for the others; release those first"
                )));
            }
            if self.waiting >= self.limits.max_waiting {
                return Answer::Refused(Error::Unavailable(format!(
                    "`max_waiting` = {} requests wait already; try again later",
                    self.limits.max_waiting
                )));
            }
        }
        if self.keys.len() + new > self.limits.max_keys {
            return Answer::Refused(Error::Unavailable(format!(
                "`max_keys` = {} keys are held or waited for already; try again later",
                self.limits.max_keys
            )));
        }
        let waits = taken.is_some();
        let keys: KeyIds = keys.into_iter().map(|name| self.keys.enter(name)).collect();
        if waits {
            let number = self.queue(keys, owner, ttl_ms);
            let ticket = names::ticket_text(self.seed, number);
            return Answer::Queued(Queued { ticket, next_due_ms: self.next_due(now) });
        }
        let token = self.grant(keys, owner, ttl_ms, now);
        Answer::Granted(Grant { token: token.text(), fence: token.fence })
    }

    /// How a key is towards somebody who comes now. A holder whose time is over
    /// is not one any more.
    fn state(&mut self, name: &str, owner: Option<&str>, now: u64) -> State {
        let Some(id) = self.keys.find(name) else { return State::Unknown };
        let holder = self.keys.get(id).and_then(|key| key.holder);
        let lease = holder.and_then(|slot| self.leases.get(slot));
        match (lease, holder) {
            (Some(lease), Some(slot)) if lease.is_over(now) => {
                self.end(slot, now);
                // Nobody waited for it, or it would have been in `due`: so it is
                // forgotten with its lease.
                if self.keys.find(name).is_none() { State::Unknown } else { State::Taken }
            }
            (Some(lease), _) if lease.is_own(owner) => State::Own,
            _ => State::Taken,
        }
    }

    /// Leases keys that are free or the owner's own.
    fn grant(
        &mut self,
        keys: KeyIds,
        owner: Option<String>,
        ttl_ms: Option<u64>,
        now: u64,
    ) -> Token {
        for id in &keys {
            let before = self.keys.get_mut(*id).and_then(|key| key.holder.take());
            if let Some(before) = before {
                self.strip(before, *id);
            }
        }
        self.fence += 1;
        // Only now: what was stripped may have ended, and made room.
        let token = Token { slot: self.leases.vacant_key(), fence: self.fence };
        for id in &keys {
            if let Some(key) = self.keys.get_mut(*id) {
                key.holder = Some(token.slot);
            }
        }
        self.leases.insert(Lease {
            fence: token.fence,
            owner,
            keys,
            expires: ttl_ms.map(|ttl| now.saturating_add(ttl)),
            watched: None,
            broken: false,
        });
        self.watch(token.slot);
        token
    }

    /// Takes a key from a lease, which ends with the last one. The key itself is
    /// left to the caller.
    fn strip(&mut self, slot: usize, id: KeyId) {
        let Some(lease) = self.leases.get_mut(slot) else { return };
        lease.keys.retain(|held| *held != id);
        lease.broken = true;
        if lease.keys.is_empty() {
            if let Some(due) = lease.watched {
                self.due.remove(&(due, slot));
            }
            self.leases.remove(slot);
        } else {
            self.watch(slot);
        }
    }

    /// Sees to it that the lease stands in `due` if, and only if, it expires and
    /// somebody waits for one of its keys.
    fn watch(&mut self, slot: usize) {
        let Some(lease) = self.leases.get_mut(slot) else { return };
        let keys = &self.keys;
        let waited =
            |id: &KeyId| keys.get(*id).is_some_and(|key: &keys::Key| !key.queue.is_empty());
        let wanted = lease.expires.filter(|_| lease.keys.iter().any(waited));
        if wanted == lease.watched {
            return;
        }
        if let Some(due) = std::mem::replace(&mut lease.watched, wanted) {
            self.due.remove(&(due, slot));
        }
        if let Some(due) = wanted {
            self.due.insert((due, slot));
        }
    }

    /// Ends a lease and passes its keys on.
    fn end(&mut self, slot: usize, now: u64) {
        let Some(lease) = self.leases.try_remove(slot) else { return };
        if let Some(due) = lease.watched {
            self.due.remove(&(due, slot));
        }
        let mut waited = KeyIds::new();
        for id in lease.keys {
            if let Some(key) = self.keys.get_mut(id) {
                key.holder = None;
            }
            if !self.keys.forget_idle(id) {
                waited.push(id);
            }
        }
        if !waited.is_empty() {
            self.pass_on(waited, now);
        }
    }

    /// Ends what has expired and is waited for.
    fn advance(&mut self, now: u64) {
        while let Some(&(due, slot)) = self.due.first() {
            if due > now {
                break;
            }
            self.end(slot, now);
        }
    }

    /// Ends a few leases that have expired and that nobody comes for.
    fn sweep(&mut self, now: u64) {
        for _ in 0..SWEPT {
            if self.hand >= self.leases.capacity() {
                self.hand = 0;
            }
            if self.leases.get(self.hand).is_some_and(|lease| lease.is_over(now)) {
                self.end(self.hand, now);
            }
            self.hand += 1;
        }
    }

    /// The lease of this name, if it has not ended. One whose time is over ends
    /// here.
    fn find(&mut self, token: &str, now: u64) -> Option<usize> {
        let token = Token::read(token)?;
        let lease = self.leases.get(token.slot).filter(|lease| lease.fence == token.fence)?;
        if lease.is_over(now) {
            self.end(token.slot, now);
            return None;
        }
        Some(token.slot)
    }

    pub(crate) fn extend(&mut self, extensions: Vec<Extension>, now: u64) -> Vec<String> {
        self.advance(now);
        let mut lost = Vec::new();
        for Extension { token, ttl_ms } in extensions {
            let slot = self.find(&token, now);
            let lease = slot.and_then(|slot| self.leases.get_mut(slot));
            match (lease, slot) {
                (Some(lease), Some(slot)) if !lease.broken => {
                    lease.expires = ttl_ms.map(|ttl| now.saturating_add(ttl));
                    self.watch(slot);
                }
                _ => lost.push(token),
            }
        }
        lost
    }

    pub(crate) fn release_keys(&mut self, keys: &[String], owner: Option<&str>, now: u64) -> Freed {
        self.advance(now);
        let mut freed = 0;
        for name in keys {
            let Some(id) = self.keys.find(name) else { continue };
            let Some(slot) = self.keys.get(id).and_then(|key| key.holder) else { continue };
            let Some(lease) = self.leases.get(slot) else { continue };
            if lease.is_over(now) {
                self.end(slot, now);
            } else if lease.is_of(owner) {
                freed += 1;
                if let Some(key) = self.keys.get_mut(id) {
                    key.holder = None;
                }
                self.strip(slot, id);
                if !self.keys.forget_idle(id) {
                    self.pass_on(KeyIds::from_slice(&[id]), now);
                }
            }
        }
        Freed { keys: freed, woken: self.take_woken() }
    }

    pub(crate) fn release_all(&mut self, owner: Option<&str>, now: u64) -> Freed {
        self.advance(now);
        let of_owner = |(slot, lease): (usize, &Lease)| {
            let keys = if lease.is_over(now) { 0 } else { lease.keys.len() };
            lease.is_of(owner).then_some((slot, lease.fence, keys))
        };
        let leases: Vec<_> = self.leases.iter().filter_map(of_owner).collect();
        let mut freed = 0;
        for (slot, fence, keys) in leases {
            // What passed to somebody who waits may stand where another stood.
            if self.leases.get(slot).is_some_and(|lease| lease.fence == fence) {
                freed += keys as u64;
                self.end(slot, now);
            }
        }
        Freed { keys: freed, woken: self.take_woken() }
    }
}

/// How a key is towards somebody who comes.
enum State {
    Unknown,
    Own,
    Taken,
}
