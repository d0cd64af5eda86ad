//! Those who wait.

use stheno_sdk::locking::{Grant, Polled, Turn};

use super::names::{self, Token};
use super::{KeyIds, Table};

/// A request that waits, or that was granted and not polled since.
pub(super) struct Waiter {
    keys: KeyIds,
    owner: Option<String>,
    ttl_ms: Option<u64>,
    granted: Option<Token>,
}

impl Table {
    /// Puts a request behind all others that want one of its keys.
    pub(super) fn queue(
        &mut self,
        keys: KeyIds,
        owner: Option<String>,
        ttl_ms: Option<u64>,
    ) -> u64 {
        self.ticket += 1;
        self.waiting += 1;
        for id in &keys {
            let Some(key) = self.keys.get_mut(*id) else { continue };
            key.queue.push_back(self.ticket);
            if let (Some(holder), 1) = (key.holder, key.queue.len()) {
                self.watch(holder);
            }
        }
        self.waiters.insert(self.ticket, Waiter { keys, owner, ttl_ms, granted: None });
        self.ticket
    }

    /// Grants whoever can be, now that something has changed about these keys.
    pub(super) fn pass_on(&mut self, mut changed: KeyIds, now: u64) {
        while let Some(id) = changed.pop() {
            let front = self.keys.get(id).and_then(|key| key.queue.front().copied());
            let Some(number) = front else {
                self.keys.forget_idle(id);
                continue;
            };
            if !self.is_next(number) {
                continue;
            }
            let Some(waiter) = self.waiters.get_mut(&number) else { continue };
            let (keys, owner) = (waiter.keys.clone(), waiter.owner.take());
            let ttl_ms = waiter.ttl_ms;
            for id in &keys {
                if let Some(key) = self.keys.get_mut(*id) {
                    key.queue.pop_front();
                }
            }
            // The next in line may be the same owner, who need not wait.
            changed.extend(keys.iter().copied());
            let token = self.grant(keys, owner, ttl_ms, now);
            if let Some(waiter) = self.waiters.get_mut(&number) {
                waiter.granted = Some(token);
            }
            self.waiting -= 1;
            self.woken.push(number);
        }
    }

    /// Whether it is in front of all its queues and all its keys are free, or
    /// its owner's already.
    fn is_next(&self, number: u64) -> bool {
        self.waiters.get(&number).is_some_and(|waiter| {
            waiter.keys.iter().all(|id| {
                self.keys.get(*id).is_some_and(|key| {
                    let holder = key.holder.and_then(|slot| self.leases.get(slot));
                    key.queue.front() == Some(&number)
                        && holder.is_none_or(|lease| lease.is_own(waiter.owner.as_deref()))
                })
            })
        })
    }

    pub(crate) fn poll(&mut self, tickets: Vec<String>, now: u64) -> Polled {
        self.advance(now);
        let mut turns = Vec::new();
        for ticket in tickets {
            let number = names::ticket_read(self.seed, &ticket);
            match number.and_then(|number| Some((number, self.waiters.get(&number)?.granted))) {
                Some((_, None)) => {}
                None => turns.push((ticket, Turn::Gone)),
                Some((number, Some(token))) => {
                    self.waiters.remove(&number);
                    self.woken.retain(|woken| *woken != number);
                    turns.push((ticket, self.turn(token, now)));
                }
            }
        }
        Polled { turns, woken: self.take_woken(), next_due_ms: self.next_due(now) }
    }

    fn turn(&self, token: Token, now: u64) -> Turn {
        let lease = self.leases.get(token.slot).filter(|lease| lease.fence == token.fence);
        if lease.is_some_and(|lease| !lease.broken && !lease.is_over(now)) {
            Turn::Granted(Grant { token: token.text(), fence: token.fence })
        } else {
            Turn::Gone
        }
    }

    pub(crate) fn abandon(&mut self, tickets: &[String], now: u64) -> Vec<String> {
        self.advance(now);
        for ticket in tickets {
            let number = names::ticket_read(self.seed, ticket);
            let Some(number) = number else { continue };
            let Some(waiter) = self.waiters.remove(&number) else { continue };
            if let Some(Token { slot, fence }) = waiter.granted {
                self.woken.retain(|woken| *woken != number);
                if self.leases.get(slot).is_some_and(|lease| lease.fence == fence) {
                    self.end(slot, now);
                }
                continue;
            }
            self.waiting -= 1;
            for id in &waiter.keys {
                let Some(key) = self.keys.get_mut(*id) else { continue };
                key.queue.retain(|waiting| *waiting != number);
                if let Some(holder) = key.holder {
                    self.watch(holder);
                }
            }
            self.pass_on(waiter.keys, now);
        }
        self.take_woken()
    }

    pub(super) fn take_woken(&mut self) -> Vec<String> {
        self.woken.drain(..).map(|number| names::ticket_text(self.seed, number)).collect()
    }

    /// In how many milliseconds the next lease expires that somebody waits for.
    pub(super) fn next_due(&self, now: u64) -> Option<u64> {
        self.due.first().map(|(due, _)| due.saturating_sub(now))
    }
}
