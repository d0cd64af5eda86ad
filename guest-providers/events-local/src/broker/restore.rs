//! A broker from the rows of its store.
//!
//! Rows come in the order of their keys, page by page. What a call left behind
//! that was cut short is recognised by what it lacks (see `journal`) and removed
//! with the first commit.

use std::collections::BTreeMap;
use std::rc::Rc;

use stheno_sdk::events::{Message, Subscription};
use stheno_sdk::{Error, Result};

use super::event::{Body, Draft, Pair, Pending};
use super::ids::Token;
use super::journal::Journal;
use super::kept::Dead;
use super::rows::{self, EventRow, GroupRow, Key, Stage};
use super::{Broker, Limits, Now, ids};

/// Gathers the rows.
#[derive(Default)]
pub(crate) struct Restore {
    /// Where the last broker counted from.
    origin: Option<u64>,
    intent: Option<u64>,
    subscriptions: Vec<(u64, Subscription)>,
    groups: BTreeMap<u64, GroupRow>,
    staged: BTreeMap<u64, Vec<(u32, Message)>>,
    events: Vec<(u64, EventRow)>,
    pairs: BTreeMap<u64, Vec<(u64, Stage)>>,
    retained: BTreeMap<u64, u64>,
    /// What means nothing any more.
    leftover: Vec<Key>,
}

fn damaged(what: &str) -> Error {
    Error::Internal(format!("{what} in the store cannot be read; it was changed by something else"))
}

impl Restore {
    /// Takes one row.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let foreign = || {
            Error::Unavailable(
                "the store holds something else than the events of an events-local of this \
                 version; grant it a file of its own"
                    .to_owned(),
            )
        };
        let key = Key::decode(key).ok_or_else(foreign)?;
        if key == Key::Meta {
            self.origin = Some(rows::read_meta(value).ok_or_else(foreign)?);
            return Ok(());
        }
        if self.origin.is_none() {
            return Err(foreign());
        }
        self.read(key, value).ok_or_else(|| damaged(&format!("the row {key:?}")))
    }

    fn read(&mut self, key: Key, value: &[u8]) -> Option<()> {
        match key {
            Key::Meta => {}
            Key::Intent => self.intent = Some(rows::read_number(value)?),
            Key::Subscription(serial) => {
                self.subscriptions.push((serial, rows::read_subscription(value)?));
            }
            Key::Group(number) => {
                self.groups.insert(number, rows::read_group(value)?);
            }
            Key::Staged(group, index) => {
                if self.groups.get(&group).is_some_and(|group| index < group.count) {
                    let message = rows::read_message(value)?;
                    self.staged.entry(group).or_default().push((index, message));
                } else {
                    self.leftover.push(key);
                }
            }
            Key::Event(number) => {
                if self.intent.is_some_and(|first| number >= first) {
                    self.leftover.push(key);
                } else {
                    self.events.push((number, rows::read_event(value)?));
                }
            }
            Key::Pair(event, serial) => {
                let stage = rows::read_stage(value)?;
                self.pairs.entry(event).or_default().push((serial, stage));
            }
            Key::Retained(event) => {
                self.retained.insert(event, rows::read_number(value)?);
            }
        }
        Some(())
    }

    /// The broker that had these rows, or a new one if there were none.
    pub(crate) fn finish(self, limits: Limits, now: Now, seed: u64) -> Result<Broker> {
        self.with_journal(Journal::new(now), limits, now, seed)
    }

    pub(super) fn with_journal(
        mut self,
        journal: Journal,
        limits: Limits,
        now: Now,
        seed: u64,
    ) -> Result<Broker> {
        let journal = Rc::new(journal);
        let mut origin = ids::origin(now.unix_ms, seed);
        if let Some(before) = self.origin {
            origin = ids::next_origin(origin, before);
        }
        journal.put(Key::Meta, rows::meta(origin));
        let mut broker = Broker::with_log(limits, origin, seed, Some(Rc::clone(&journal)));
        if self.intent.is_some() {
            journal.delete(Key::Intent);
        }
        for &key in &self.leftover {
            journal.delete(key);
        }
        let mut indices = BTreeMap::new();
        for (serial, terms) in std::mem::take(&mut self.subscriptions) {
            indices.insert(serial, broker.subscriptions.restore(serial, terms, now.ms));
        }
        self.restore_groups(&mut broker, now);
        let mut leases = Vec::new();
        for (number, row) in std::mem::take(&mut self.events) {
            let pairs = self.pairs.remove(&number).unwrap_or_default();
            let retained = self.retained.remove(&number);
            broker.restore_event(number, row, pairs, retained, &indices, &mut leases, now);
        }
        broker.restore_leases(leases, now);
        // What is left names events that are gone.
        for (event, pairs) in self.pairs {
            pairs.iter().for_each(|&(serial, _)| journal.delete(Key::Pair(event, serial)));
        }
        self.retained.keys().for_each(|&event| journal.delete(Key::Retained(event)));
        Ok(broker)
    }

    fn restore_groups(&mut self, broker: &mut Broker, now: Now) {
        for (number, GroupRow { name, end, count }) in std::mem::take(&mut self.groups) {
            let staged = self.staged.remove(&number).unwrap_or_default();
            let drafts = staged
                .into_iter()
                .map(|(index, message)| {
                    (index, Draft::checked(message, &broker.limits, &broker.usage))
                })
                .collect();
            broker.groups.restore(number, name, moment(end, now), count, drafts);
        }
    }
}

/// A lease from the store, and of which subscription.
struct Kept {
    token: Token,
    index: usize,
    end: u64,
    pending: Pending,
}

impl Broker {
    #[expect(clippy::too_many_arguments, reason = "the rows of one event, and where they go")]
    fn restore_event(
        &mut self,
        number: u64,
        row: EventRow,
        pairs: Vec<(u64, Stage)>,
        retained: Option<u64>,
        indices: &BTreeMap<u64, usize>,
        leases: &mut Vec<Kept>,
        now: Now,
    ) {
        self.next_event = self.next_event.max(number.saturating_add(1));
        let EventRow { message, published, due, routes } = row;
        let draft = Draft::checked(message, &self.limits, &self.usage);
        let body = Rc::new(Body::new(draft, number, published, &self.log));
        pairs.iter().for_each(|&(serial, _)| body.has_row(serial));
        let due = moment(due, now);
        let new = |serial: &u64| !pairs.iter().any(|(other, _)| other == serial);
        let untouched: Vec<_> = routes.into_iter().filter(new).collect();
        let first = untouched.into_iter().map(|serial| (serial, None));
        for (serial, stage) in first.chain(pairs.into_iter().map(|(s, stage)| (s, Some(stage)))) {
            let Some(&index) = indices.get(&serial) else { continue };
            if stage == Some(Stage::Done) {
                continue;
            }
            let pending = |made| Pending { body: Pair::new(Rc::clone(&body), serial), made };
            let Some(subscribed) = self.subscriptions.get_mut(index) else { continue };
            match stage {
                Some(Stage::Leased { made, end, slot, number }) => {
                    let slot = usize::try_from(slot).unwrap_or(usize::MAX);
                    let (token, end) = (Token { slot, number }, moment(end, now));
                    leases.push(Kept { token, index, end, pending: pending(made) });
                }
                Some(Stage::Dead { made, letter, died, reason }) => {
                    subscribed.dead.insert(letter);
                    let body = pending(made).body;
                    let dead = Dead { body, subscription: index, made, reason, died_ms: died };
                    self.dead.insert(letter, dead);
                }
                Some(Stage::Waits { made, due }) => {
                    subscribed.queue.push_delayed(pending(made), moment(due, now), now.ms);
                    self.queued += 1;
                }
                None | Some(Stage::Done) => {
                    subscribed.queue.push_delayed(pending(0), due, now.ms);
                    self.queued += 1;
                }
            }
        }
        if let Some(expires) = retained {
            self.retained.restore(body, due, moment(expires, now), &self.log);
        }
    }

    /// Leases go on where they were. One whose place cannot be has run out.
    fn restore_leases(&mut self, leases: Vec<Kept>, now: Now) {
        let mut batches = BTreeMap::new();
        let mut taken = std::collections::BTreeSet::new();
        let mut kept = Vec::with_capacity(leases.len());
        for Kept { token, index, end, pending } in leases {
            let possible = token.slot < self.limits.max_events && token.number < u64::MAX;
            if !possible || !taken.insert(token.slot) {
                self.requeue(index, pending, now.ms, now);
                continue;
            }
            let Some(subscribed) = self.subscriptions.get_mut(index) else { continue };
            subscribed.ends.leased += 1;
            let batch = *batches
                .entry((index, end))
                .or_insert_with(|| self.leases.open(index, end, &mut subscribed.ends));
            kept.push((token, batch, pending));
        }
        self.leases.restore(kept);
    }
}

/// The moment of this process's clock that a Unix time stands for. Never stays
/// never, and what is long past is as good as now.
fn moment(unix_ms: u64, now: Now) -> u64 {
    if unix_ms == u64::MAX {
        return unix_ms;
    }
    if unix_ms >= now.unix_ms {
        now.ms.saturating_add(unix_ms - now.unix_ms)
    } else {
        now.ms.saturating_sub(now.unix_ms - unix_ms)
    }
}
