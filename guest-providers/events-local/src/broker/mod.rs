//! The broker: events, who waits for them, and what became of them.
//!
//! Nothing here calls the host: the time and the seed are given. The file
//! holds what publishers do; `deliver` is what subscribers do, `letters` what
//! an operator does with dead letters. The parts below know nothing of each
//! other, so that each can be read alone.
//!
//! `queued`, and the lengths of the parts, are what `max_events` bounds;
//! `usage` is what `max_bytes` bounds.

mod deliver;
mod event;
mod groups;
mod ids;
mod journal;
mod kept;
mod leases;
mod letters;
mod queue;
mod restore;
mod rows;
mod subscriptions;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use stheno_sdk::events::{Message, Subscription};
use stheno_sdk::store::Change;
use stheno_sdk::{Error, Result};

use event::{Body, Draft, Pair, Pending, Usage};
use groups::Groups;
use ids::Chance;
use journal::Log;
use kept::{DeadLetters, Retained};
use leases::Leases;
use rows::Stage;
use subscriptions::Subscriptions;

pub(crate) use restore::Restore;

type Hasher = SeedableRandomState;

/// More subscriptions than an app has names for them; each is a row in every
/// listing and a pattern for every new name.
const MAX_SUBSCRIPTIONS: usize = 10_000;

/// The wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) initial_ms: u64,
    pub(crate) max_ms: u64,
}

/// Defaults and bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) attempts: u32,
    pub(crate) backoff: Backoff,
    /// Deliveries, staged messages, retained events and dead letters together.
    pub(crate) max_events: usize,
    pub(crate) max_bytes: u64,
    pub(crate) retain_ms: u64,
    pub(crate) retain_events: usize,
    pub(crate) retain_bytes: u64,
    pub(crate) dead_letters: usize,
}

impl Limits {
    /// The most that a store of so many events takes: every event twice, since
    /// a group that is being released is there once more; the rows of
    /// deliveries; the reasons of dead letters; and the subscriptions.
    pub(crate) fn store_bytes(&self) -> u64 {
        const DELIVERY: u64 = 256;
        const LETTER: u64 = 1_100;
        const SUBSCRIPTIONS: u64 = 8 << 20;
        let rows = (self.max_events as u64).saturating_mul(DELIVERY);
        let letters = (self.dead_letters as u64).saturating_mul(LETTER);
        self.max_bytes
            .saturating_mul(2)
            .saturating_add(rows)
            .saturating_add(letters)
            .saturating_add(SUBSCRIPTIONS)
    }
}

/// The time of a call, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// For durations.
    pub(crate) ms: u64,
    /// For time stamps.
    pub(crate) unix_ms: u64,
}

pub(crate) struct Broker {
    limits: Limits,
    usage: Usage,
    subscriptions: Subscriptions,
    groups: Groups,
    retained: Retained,
    leases: Leases,
    dead: DeadLetters,
    /// Deliveries that wait in the queues of all subscriptions.
    queued: usize,
    next_event: u64,
    chance: Chance,
    dropped_letters: u64,
    /// None: nothing survives.
    log: Log,
}

impl Broker {
    /// One that holds all in memory.
    pub(crate) fn new(limits: Limits, now: Now, seed: u64) -> Self {
        Self::with_log(limits, ids::origin(now.unix_ms, seed), seed, None)
    }

    fn with_log(limits: Limits, origin: u64, seed: u64, log: Log) -> Self {
        static SHARED: OnceLock<SharedSeed> = OnceLock::new();
        let hasher = Hasher::with_seed(
            seed,
            SHARED.get_or_init(|| SharedSeed::from_u64(seed.rotate_left(32))),
        );
        Self {
            limits,
            usage: Rc::new(Cell::new(0)),
            subscriptions: Subscriptions::new(hasher.clone(), origin, log.clone()),
            groups: Groups::new(hasher, log.clone()),
            log,
            retained: Retained::default(),
            leases: Leases::new(origin),
            dead: DeadLetters::new(origin),
            queued: 0,
            next_event: origin,
            chance: Chance::new(seed),
            dropped_letters: 0,
        }
    }

    pub(crate) fn publish(&mut self, messages: Vec<Message>, now: Now) -> Result<Vec<String>> {
        self.tidy(now);
        let drafts = self.check(messages)?;
        let routes: Vec<_> =
            drafts.iter().map(|draft| self.subscriptions.route(&draft.name)).collect();
        self.fits(places(&routes), 0)?;
        Ok(self.deliver(drafts, &routes, now).map(ids::name).collect())
    }

    pub(crate) fn stage(
        &mut self,
        group: String,
        ttl_ms: u64,
        messages: Vec<Message>,
        now: Now,
    ) -> Result<()> {
        self.tidy(now);
        if ttl_ms == 0 {
            return Err(Error::InvalidArgument("`ttl-ms` is 0; write at least 1".to_owned()));
        }
        let drafts = self.check(messages)?;
        self.fits(drafts.len(), 0)?;
        self.groups.stage(group, drafts, now.ms.saturating_add(ttl_ms));
        Ok(())
    }

    pub(crate) fn release(&mut self, group: &str, now: Now) -> Result<u64> {
        self.tidy(now);
        // The room is made sure of before the group is touched, so that a
        // refusal leaves it whole.
        let drafts = self.groups.drafts(group);
        let routes: Vec<_> =
            drafts.iter().map(|draft| self.subscriptions.route(&draft.name)).collect();
        self.fits(places(&routes), routes.len())?;
        let drafts = self.groups.take(group);
        Ok(self.deliver(drafts, &routes, now).count() as u64)
    }

    pub(crate) fn discard(&mut self, group: &str, names: &[String], now: Now) -> u64 {
        self.tidy(now);
        let discarded = if names.is_empty() {
            self.groups.take(group).len()
        } else {
            self.groups.discard(group, names)
        };
        discarded as u64
    }

    pub(crate) fn subscribe(&mut self, terms: Subscription, now: Now) -> Result<()> {
        self.tidy(now);
        if terms.idle_ttl_ms == Some(0) {
            return Err(Error::InvalidArgument(
                "`idle-ttl-ms` is 0; write at least 1, or leave it out".to_owned(),
            ));
        }
        if let Some(index) = self.subscriptions.find(&terms.id)
            && let Some(existing) = self.subscriptions.get(index)
        {
            if existing.terms.pattern != terms.pattern {
                return Err(Error::Conflict(format!(
                    "subscription `{}` has the pattern `{}`; unsubscribe it first, or take another id",
                    terms.id, existing.terms.pattern
                )));
            }
            // Whoever asks is here again: that counts as a pull.
            self.subscriptions.set_terms(index, terms);
            self.subscriptions.touch(index, now.ms);
            return Ok(());
        }
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            let text = format!(
                "there are {MAX_SUBSCRIPTIONS} subscriptions; unsubscribe some that nobody needs"
            );
            return Err(Error::Unavailable(text));
        }
        let receives_retained = terms.retained;
        let index = self.subscriptions.add(terms, now.ms);
        if receives_retained {
            let matching = |kept: &&kept::Kept| self.subscriptions.matches(index, kept.body.name());
            let found: Vec<_> = self
                .retained
                .iter()
                .filter(matching)
                .map(|kept| (Rc::clone(&kept.body), kept.due))
                .collect();
            if let Err(full) = self.fits(found.len(), 0) {
                self.drop_subscription(index);
                return Err(full);
            }
            self.queued += found.len();
            if let Some(subscribed) = self.subscriptions.get_mut(index) {
                for (body, due) in found {
                    let body = Pair::new(body, subscribed.serial);
                    body.save(|unix| Stage::Waits { made: 0, due: unix(due) });
                    subscribed.queue.push_delayed(Pending { body, made: 0 }, due, now.ms);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn unsubscribe(&mut self, id: &str, now: Now) -> Result<()> {
        self.tidy(now);
        let index = self.find(id)?;
        self.drop_subscription(index);
        Ok(())
    }

    /// What has changed since this was asked last, as the batches in which to
    /// commit it. If one of them fails this broker is worth nothing any more:
    /// what it holds is not what the store has.
    pub(crate) fn take_changes(&self) -> Vec<Vec<Change>> {
        self.log.as_ref().map(|journal| journal.take()).unwrap_or_default()
    }

    /// How many dead letters were dropped since the last time this was asked.
    pub(crate) fn take_dropped_letters(&mut self) -> u64 {
        std::mem::take(&mut self.dropped_letters)
    }

    /// Lets go of what has outlived its time, but for leases and delays: those
    /// matter only to who asks for the subscription.
    fn tidy(&mut self, now: Now) {
        if let Some(journal) = &self.log {
            journal.begin(now);
        }
        self.groups.expire(now.ms);
        self.retained.trim(now.ms, self.limits.retain_events, self.limits.retain_bytes);
        while let Some(index) = self.subscriptions.idle(now.ms) {
            self.drop_subscription(index);
        }
    }

    fn find(&self, id: &str) -> Result<usize> {
        self.subscriptions
            .find(id)
            .ok_or_else(|| Error::NotFound(format!("there is no subscription `{id}`")))
    }

    fn check(&self, messages: Vec<Message>) -> Result<Vec<Draft>> {
        messages.into_iter().map(|message| Draft::new(message, &self.limits, &self.usage)).collect()
    }

    fn held(&self) -> usize {
        self.queued
            + self.leases.len()
            + self.groups.staged()
            + self.retained.len()
            + self.dead.len()
    }

    /// Whether so many more can be held when so many others go. The bytes were
    /// counted when the drafts were made.
    fn fits(&self, more: usize, freed: usize) -> Result<()> {
        let Limits { max_events, max_bytes, .. } = self.limits;
        let held = self.held().saturating_sub(freed);
        if held.saturating_add(more) > max_events {
            return Err(Error::Unavailable(format!(
                "{held} events are held and {more} more would exceed `max_events` ({max_events}); try again when \
                 subscribers have caught up, or raise it"
            )));
        }
        if self.usage.get() > max_bytes {
            return Err(Error::Unavailable(format!(
                "events would take {} bytes, more than `max_bytes` ({max_bytes}); try again when subscribers have caught \
                 up, or raise it",
                self.usage.get()
            )));
        }
        Ok(())
    }

    /// Publishes drafts along their routes and gives the numbers of the events.
    fn deliver(
        &mut self,
        drafts: Vec<Draft>,
        routes: &[Rc<[usize]>],
        now: Now,
    ) -> impl Iterator<Item = u64> + use<> {
        let first = self.next_event;
        for (draft, route) in drafts.into_iter().zip(routes) {
            let due = now.ms.saturating_add(draft.delay_ms);
            let body = Rc::new(Body::new(draft, self.next_event, now.unix_ms, &self.log));
            body.save(due, || self.subscriptions.serials(route));
            self.next_event = self.next_event.wrapping_add(1);
            for &index in route.iter() {
                if let Some(subscribed) = self.subscriptions.get_mut(index) {
                    subscribed.queue.push_delayed(
                        Pending { body: Pair::new(Rc::clone(&body), subscribed.serial), made: 0 },
                        due,
                        now.ms,
                    );
                    self.queued += 1;
                }
            }
            if route.is_empty() {
                let expires = now.ms.saturating_add(self.limits.retain_ms);
                self.retained.push(body, due, expires, &self.log);
            }
        }
        self.retained.trim(now.ms, self.limits.retain_events, self.limits.retain_bytes);
        first..self.next_event
    }

    fn drop_subscription(&mut self, index: usize) {
        let Some(mut dropped) = self.subscriptions.remove(index) else { return };
        self.queued -= dropped.queue.len();
        self.leases.expire(&mut dropped.ends, None);
        for number in dropped.dead {
            self.dead.take(number);
        }
    }
}

/// How many events are held once these are published: one for each
/// subscription, or one retained.
fn places(routes: &[Rc<[usize]>]) -> usize {
    routes.iter().map(|route| route.len().max(1)).sum()
}
