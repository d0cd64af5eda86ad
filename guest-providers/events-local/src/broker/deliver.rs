//! What subscribers do: pull, settle, extend.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use stheno_sdk::events::{Delivery, Outcome, Pulled, SubscriptionStatus, Verdict};
use stheno_sdk::{Error, Result};

use super::event::{Pending, Rank};
use super::ids::Token;
use super::kept::Dead;
use super::rows::Stage;
use super::{Broker, Now};

/// What one call gives at most: the contract's bound on items, and a bound on
/// bytes so that the answer, which is a copy, fits into the instance.
pub(super) const MAX_ITEMS: usize = 1_000;
pub(super) const MAX_ANSWER_BYTES: u64 = 4 << 20;

/// A reason is for a person to read.
const MAX_REASON: usize = 1_024;

impl Broker {
    /// All subscriptions, ordered by id.
    pub(crate) fn status(&mut self, now: Now) -> Vec<SubscriptionStatus> {
        self.tidy(now);
        let indices = self.subscriptions.indices();
        for &index in &indices {
            self.advance(index, now);
        }
        let status = |&index: &usize| {
            self.subscriptions.get(index).map(|subscribed| SubscriptionStatus {
                subscription: subscribed.terms.clone(),
                waiting: subscribed.queue.len() as u64,
                leased: subscribed.ends.leased as u64,
                dead: subscribed.dead.len() as u64,
            })
        };
        indices.iter().filter_map(status).collect()
    }

    pub(crate) fn pull(
        &mut self,
        ids: &[String],
        max: u32,
        lease_ms: u64,
        now: Now,
    ) -> Result<Pulled> {
        self.tidy(now);
        let deadline = deadline(lease_ms, now)?;
        let mut indices = ids.iter().map(|id| self.find(id)).collect::<Result<Vec<_>>>()?;
        indices.sort_unstable();
        indices.dedup();
        for &index in &indices {
            self.subscriptions.touch(index, now.ms);
            self.advance(index, now);
        }

        let mut deliveries = Vec::new();
        let mut room = MAX_ANSWER_BYTES;
        let max = usize::try_from(max).unwrap_or(MAX_ITEMS).min(MAX_ITEMS);
        if let &[index] = indices.as_slice() {
            let mut batch = None;
            while deliveries.len() < max && room > 0 {
                let Some(delivery) = self.lease_first(index, &mut batch, deadline, &mut room)
                else {
                    break;
                };
                deliveries.push(delivery);
            }
        } else {
            // Whose first delivery comes first of all.
            let mut batches = vec![None; indices.len()];
            let first_of = |broker: &Self, place: usize| -> Option<Reverse<(Rank, usize)>> {
                let rank = broker.subscriptions.get(*indices.get(place)?)?.queue.first()?;
                Some(Reverse((rank, place)))
            };
            let mut firsts: BinaryHeap<_> =
                (0..indices.len()).filter_map(|place| first_of(self, place)).collect();
            while deliveries.len() < max && room > 0 {
                let Some(Reverse((_, place))) = firsts.pop() else { break };
                let (Some(&index), Some(batch)) = (indices.get(place), batches.get_mut(place))
                else {
                    break;
                };
                deliveries.extend(self.lease_first(index, batch, deadline, &mut room));
                firsts.extend(first_of(self, place));
            }
        }
        Ok(Pulled { deliveries, next_due_ms: self.next_due(&indices, now) })
    }

    /// Records outcomes and gives the tokens that were not leased any more.
    pub(crate) fn settle(&mut self, outcomes: Vec<Outcome>, now: Now) -> Vec<String> {
        self.tidy(now);
        let mut lost = Vec::new();
        for outcome in outcomes {
            match self.take_leased(&outcome.token, now) {
                Some((index, pending)) => self.record(index, pending, outcome.verdict, now),
                None => lost.push(outcome.token),
            }
        }
        lost
    }

    /// Prolongs leases and gives the tokens that were not leased any more.
    pub(crate) fn extend(
        &mut self,
        tokens: Vec<String>,
        lease_ms: u64,
        now: Now,
    ) -> Result<Vec<String>> {
        self.tidy(now);
        let deadline = deadline(lease_ms, now)?;
        // Tokens of one pull follow each other: most go into the same batch.
        let mut last: Option<(usize, usize)> = None;
        let mut lost = Vec::new();
        for text in tokens {
            let found = Token::parse(&text)
                .and_then(|token| Some((token, self.leases.find(token, now.ms)?)));
            let Some((token, (index, _))) = found else {
                lost.push(text);
                continue;
            };
            let Some(subscribed) = self.subscriptions.get_mut(index) else { continue };
            let batch = match last {
                Some((same, batch)) if same == index => batch,
                _ => self.leases.open(index, deadline, &mut subscribed.ends),
            };
            last = Some((index, batch));
            self.leases.move_to(token.slot, batch, &mut subscribed.ends);
            if let Some(pending) = self.leases.pending(token.slot) {
                save_lease(pending, token, deadline);
            }
        }
        Ok(lost)
    }

    /// Makes due what has come due, by delay or by a lease that ran out.
    pub(super) fn advance(&mut self, index: usize, now: Now) {
        let Some(subscribed) = self.subscriptions.get_mut(index) else { return };
        subscribed.queue.advance(now.ms);
        if subscribed.ends.next().is_none_or(|next| now.ms < next) {
            return;
        }
        let ended = self.leases.expire(&mut subscribed.ends, Some(now.ms));
        for pending in ended {
            if pending.made >= pending.body.attempts() {
                self.bury(index, pending, "lease ran out".to_owned(), now);
            } else {
                self.requeue(index, pending, now.ms, now);
            }
        }
    }

    fn lease_first(
        &mut self,
        index: usize,
        batch: &mut Option<usize>,
        deadline: u64,
        room: &mut u64,
    ) -> Option<Delivery> {
        let subscribed = self.subscriptions.get_mut(index)?;
        let mut pending = subscribed.queue.pop()?;
        self.queued -= 1;
        pending.made = pending.made.saturating_add(1);
        *room = room.saturating_sub(pending.body.bytes());
        let (event, attempt, attempts) =
            (pending.body.to_event(), pending.made, pending.body.attempts());
        let ends = &mut subscribed.ends;
        let batch = *batch.get_or_insert_with(|| self.leases.open(index, deadline, ends));
        let token = self.leases.lease(pending, batch, ends);
        if let Some(pending) = self.leases.pending(token.slot) {
            save_lease(pending, token, deadline);
        }
        Some(Delivery {
            token: token.to_text(),
            subscription: subscribed.terms.id.clone(),
            event,
            attempt,
            attempts,
        })
    }

    /// When something comes due next: a delay that ends, or a lease. Whoever
    /// holds a lease may be gone, and then its end is when to look again.
    fn next_due(&self, indices: &[usize], now: Now) -> Option<u64> {
        let due = |&index: &usize| {
            let subscribed = self.subscriptions.get(index)?;
            if subscribed.queue.first().is_some() {
                return Some(now.ms);
            }
            let (delayed, leased) = (subscribed.queue.next_due(), subscribed.ends.next());
            delayed.into_iter().chain(leased).min()
        };
        indices.iter().filter_map(due).min().map(|due| due.saturating_sub(now.ms))
    }

    fn take_leased(&mut self, token: &str, now: Now) -> Option<(usize, Pending)> {
        let token = Token::parse(token)?;
        let (index, _) = self.leases.find(token, now.ms)?;
        let subscribed = self.subscriptions.get_mut(index)?;
        Some((index, self.leases.take(token.slot, &mut subscribed.ends)?))
    }

    fn record(&mut self, index: usize, mut pending: Pending, verdict: Verdict, now: Now) {
        match verdict {
            Verdict::Handled => {}
            Verdict::Rejected(reason) => self.bury(index, pending, reason, now),
            Verdict::Failed(reason) if pending.made >= pending.body.attempts() => {
                self.bury(index, pending, reason, now);
            }
            Verdict::Failed(_) => {
                let wait = pending.body.wait_after(pending.made);
                let wait = wait - self.chance.up_to(wait / 2);
                self.requeue(index, pending, now.ms.saturating_add(wait), now);
            }
            Verdict::Returned => {
                pending.made = pending.made.saturating_sub(1);
                self.requeue(index, pending, now.ms, now);
            }
        }
    }

    pub(super) fn requeue(&mut self, index: usize, pending: Pending, due: u64, now: Now) {
        if let Some(subscribed) = self.subscriptions.get_mut(index) {
            pending.body.save(|unix| Stage::Waits { made: pending.made, due: unix(due) });
            subscribed.queue.push_delayed(pending, due, now.ms);
            self.queued += 1;
        }
    }

    fn bury(&mut self, index: usize, pending: Pending, mut reason: String, now: Now) {
        reason.truncate(reason.floor_char_boundary(MAX_REASON));
        let Pending { body, made } = pending;
        let number = self.dead.next_number();
        let died = now.unix_ms;
        body.save(|_| Stage::Dead { made, letter: number, died, reason: reason.clone() });
        self.dead.insert(number, Dead { body, subscription: index, made, reason, died_ms: died });
        if let Some(subscribed) = self.subscriptions.get_mut(index) {
            subscribed.dead.insert(number);
        }
        while self.dead.len() > self.limits.dead_letters
            && let Some((number, dead)) = self.dead.take_oldest()
        {
            self.dropped_letters += 1;
            if let Some(subscribed) = self.subscriptions.get_mut(dead.subscription) {
                subscribed.dead.remove(&number);
            }
        }
    }
}

fn save_lease(pending: &Pending, token: Token, deadline: u64) {
    pending.body.save(|unix| Stage::Leased {
        made: pending.made,
        end: unix(deadline),
        slot: token.slot as u64,
        number: token.number,
    });
}

fn deadline(lease_ms: u64, now: Now) -> Result<u64> {
    if lease_ms == 0 {
        return Err(Error::InvalidArgument("`lease-ms` is 0; write at least 1".to_owned()));
    }
    Ok(now.ms.saturating_add(lease_ms))
}
