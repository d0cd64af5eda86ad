//! Random histories, against a model that looks through a list for everything.

use std::collections::{BTreeMap, BTreeSet};

use super::durable::{Store, digest};
use super::histories::{IDS, Op, Spec, op};
use super::*;
use proptest::prelude::*;
use stheno_sdk::Glob;

/// Most calls of these histories fit into one batch, some do not.
const SMALL: usize = 400;

#[derive(Clone, Debug, PartialEq)]
enum State {
    Waits(u64),
    Leased(String, u64),
    Dead,
}

#[derive(Clone, Debug)]
struct Copy {
    subscription: &'static str,
    event: usize,
    made: u32,
    state: State,
}

struct Sub {
    pattern: &'static str,
    idle: Option<u64>,
    seen: u64,
}

/// A deadline, and messages with their payloads.
type Staged = (u64, Vec<(Spec, u32)>);

#[derive(Default)]
struct Model {
    now: u64,
    /// By order of publishing: what it was, and when it is first due.
    events: Vec<(Spec, u64)>,
    payloads: Vec<u32>,
    copies: Vec<Copy>,
    subs: BTreeMap<&'static str, Sub>,
    retained: Vec<(usize, u64)>,
    groups: BTreeMap<&'static str, Staged>,
}

impl Model {
    fn publish(&mut self, spec: Spec, payload: u32) {
        let event = self.events.len();
        let due = self.now.saturating_add(spec.delay_ms);
        let before = self.copies.len();
        for (&subscription, sub) in &self.subs {
            if Glob::new(sub.pattern).matches(spec.name) {
                self.copies.push(Copy { subscription, event, made: 0, state: State::Waits(due) });
            }
        }
        if self.copies.len() == before {
            self.retained.push((event, self.now + WIDE.retain_ms));
        }
        self.events.push((spec, due));
        self.payloads.push(payload);
    }

    fn attempts(&self, event: usize) -> u32 {
        self.events[event].0.attempts.unwrap_or(WIDE.attempts)
    }

    fn rank(&self, event: usize) -> (u32, usize) {
        (self.events[event].0.priority.unwrap_or(100), event)
    }

    /// Everything that time alone does.
    fn advance(&mut self) {
        let now = self.now;
        self.groups.retain(|_, group| now < group.0);
        self.retained.retain(|kept| now < kept.1);
        self.subs.retain(|_, sub| sub.idle.is_none_or(|idle| now < sub.seen.saturating_add(idle)));
        let gone: Vec<_> = IDS.into_iter().filter(|id| !self.subs.contains_key(id)).collect();
        self.copies.retain(|copy| !gone.contains(&copy.subscription));
        for at in 0..self.copies.len() {
            if let State::Leased(_, end) = self.copies[at].state
                && end <= now
            {
                let used_up = self.copies[at].made >= self.attempts(self.copies[at].event);
                self.copies[at].state = if used_up { State::Dead } else { State::Waits(now) };
            }
        }
    }

    fn due(&self, ids: &[&str]) -> Vec<usize> {
        let is_due = |copy: &Copy| {
            ids.contains(&copy.subscription)
                && matches!(copy.state, State::Waits(due) if due <= self.now)
        };
        let mut due: Vec<_> =
            (0..self.copies.len()).filter(|&at| is_due(&self.copies[at])).collect();
        due.sort_by_key(|&at| self.rank(self.copies[at].event));
        due
    }

    fn leased(&self, token: &str) -> Option<usize> {
        self.copies.iter().position(|copy| matches!(&copy.state, State::Leased(t, _) if t == token))
    }

    fn count(&self, id: &str, state: impl Fn(&State) -> bool) -> u64 {
        self.copies.iter().filter(|copy| copy.subscription == id && state(&copy.state)).count()
            as u64
    }
}

struct Run {
    broker: Broker,
    store: Store,
    model: Model,
    tokens: Vec<String>,
    /// Dead letters that were seen, by the broker's id.
    letters: Vec<(String, &'static str, u32)>,
    payload: u32,
}

fn own(id: &str) -> &'static str {
    IDS.into_iter().find(|own| *own == id).unwrap()
}

fn payload(data: &[u8]) -> u32 {
    u32::from_le_bytes(data.try_into().unwrap())
}

impl Run {
    fn messages(&mut self, specs: &[Spec]) -> (Vec<Message>, Vec<u32>) {
        let mut numbers = Vec::new();
        let messages = specs.iter().map(|spec| {
            self.payload += 1;
            numbers.push(self.payload);
            Message {
                delay_ms: spec.delay_ms,
                priority: spec.priority,
                attempts: spec.attempts,
                ..message(spec.name, &self.payload.to_le_bytes())
            }
        });
        (messages.collect(), numbers)
    }

    fn step(&mut self, op: Op) {
        let now = at(self.model.now);
        self.model.advance();
        match op {
            Op::Publish(specs) => {
                let (messages, numbers) = self.messages(&specs);
                let ids = self.broker.publish(messages, now).unwrap();
                assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), specs.len());
                specs.into_iter().zip(numbers).for_each(|(spec, n)| self.model.publish(spec, n));
            }
            Op::Stage(group, ttl, specs) => {
                let (messages, numbers) = self.messages(&specs);
                self.broker.stage(group.to_owned(), ttl, messages, now).unwrap();
                if !specs.is_empty() || self.model.groups.contains_key(group) {
                    let staged = self.model.groups.entry(group).or_default();
                    staged.0 = now.ms.saturating_add(ttl);
                    staged.1.extend(specs.into_iter().zip(numbers));
                }
            }
            Op::Release(group) => {
                let staged = self.model.groups.remove(group).unwrap_or_default().1;
                assert_eq!(self.broker.release(group, now).unwrap(), staged.len() as u64);
                staged.into_iter().for_each(|(spec, n)| self.model.publish(spec, n));
            }
            Op::Discard(group, names) => {
                let staged = self.model.groups.remove(group).unwrap_or_default();
                let (gone, left): (Vec<_>, Vec<_>) = staged.1.into_iter().partition(|(spec, _)| {
                    names.is_empty() || names.iter().any(|name| name == spec.name)
                });
                assert_eq!(self.broker.discard(group, &names, now), gone.len() as u64);
                if !left.is_empty() {
                    self.model.groups.insert(group, (staged.0, left));
                }
            }
            Op::Subscribe(id, pattern, retained, idle) => {
                let terms =
                    Subscription { retained, idle_ttl_ms: idle, ..subscription(id, pattern) };
                let result = self.broker.subscribe(terms, now);
                match self.model.subs.get_mut(id) {
                    Some(sub) if sub.pattern != pattern => {
                        assert!(matches!(result, Err(stheno_sdk::Error::Conflict(_))));
                    }
                    Some(sub) => {
                        result.unwrap();
                        (sub.idle, sub.seen) = (idle, now.ms);
                    }
                    None => {
                        result.unwrap();
                        self.model.subs.insert(id, Sub { pattern, idle, seen: now.ms });
                        let kept = self.model.retained.clone();
                        for (event, _) in kept.into_iter().filter(|_| retained) {
                            let (spec, due) = &self.model.events[event];
                            if Glob::new(pattern).matches(spec.name) {
                                let state = State::Waits(*due);
                                self.model.copies.push(Copy {
                                    subscription: id,
                                    event,
                                    made: 0,
                                    state,
                                });
                            }
                        }
                    }
                }
            }
            Op::Unsubscribe(id) => {
                assert_eq!(
                    self.broker.unsubscribe(id, now).is_ok(),
                    self.model.subs.remove(id).is_some()
                );
                self.model.copies.retain(|copy| copy.subscription != id);
            }
            Op::Pull(ids, max, lease) => self.pull(&ids, max, lease),
            Op::Settle(index, verdict) => {
                let Some(token) = self.pick_token(index) else { return };
                let lost = settle(&mut self.broker, &token, verdict.clone(), now.ms);
                let Some(found) = self.model.leased(&token) else {
                    assert_eq!(lost, [token]);
                    return;
                };
                assert!(lost.is_empty());
                let attempts = self.model.attempts(self.model.copies[found].event);
                let copy = &mut self.model.copies[found];
                copy.state = match verdict {
                    Verdict::Handled => {
                        self.model.copies.remove(found);
                        return;
                    }
                    Verdict::Rejected(_) => State::Dead,
                    Verdict::Failed(_) if copy.made >= attempts => State::Dead,
                    Verdict::Failed(_) => State::Waits(now.ms + 10),
                    Verdict::Returned => {
                        copy.made -= 1;
                        State::Waits(now.ms)
                    }
                };
            }
            Op::Extend(index, lease) => {
                let Some(token) = self.pick_token(index) else { return };
                let lost =
                    self.broker.extend(vec![token.clone(), token.clone()], lease, now).unwrap();
                match self.model.leased(&token) {
                    None => assert_eq!(lost, [token.clone(), token]),
                    Some(found) => {
                        assert!(lost.is_empty());
                        self.model.copies[found].state =
                            State::Leased(token, now.ms.saturating_add(lease));
                    }
                }
            }
            Op::Letters(of) => self.letters(of),
            Op::Replay(index) => {
                let Some((id, found)) = self.pick_letter(index) else { return };
                assert_eq!(self.broker.replay(&[id.clone(), id], now), u64::from(found.is_some()));
                if let Some(found) = found {
                    self.model.copies[found].made = 0;
                    self.model.copies[found].state = State::Waits(now.ms);
                }
            }
            Op::Remove(index) => {
                let Some((id, found)) = self.pick_letter(index) else { return };
                assert_eq!(self.broker.remove_letters(&[id], now), u64::from(found.is_some()));
                found.map(|found| self.model.copies.remove(found));
            }
            Op::Status => self.status(),
            Op::Pass(ms) => self.model.now += ms,
            Op::Restart => {
                // What has outlived its time is gone before, as in the model.
                self.broker.tidy(now);
                self.store.save(&self.broker);
                self.broker = self.store.open(WIDE, SMALL, now);
                // Nobody is idle while nobody could pull.
                self.model.subs.values_mut().for_each(|sub| sub.seen = now.ms);
            }
        }
        check(&self.broker);
        self.store.save(&self.broker);
        let kept = self.store.open(WIDE, SMALL, at(self.model.now));
        check(&kept);
        let now = at(self.model.now);
        assert_eq!(digest(&kept, now), digest(&self.broker, now));
    }

    fn pick_token(&self, index: prop::sample::Index) -> Option<String> {
        (!self.tokens.is_empty()).then(|| index.get(&self.tokens).clone())
    }

    /// A letter seen before, and where it is if it is still dead. A letter
    /// that died, was replayed and died again has another id.
    fn pick_letter(&mut self, index: prop::sample::Index) -> Option<(String, Option<usize>)> {
        self.letters(None);
        if self.letters.is_empty() {
            return None;
        }
        let (id, subscription, n) = self.letters[index.index(self.letters.len())].clone();
        let now = at(self.model.now);
        let still = self
            .broker
            .dead_letters(None, None, 1_000, now)
            .unwrap()
            .items
            .iter()
            .any(|letter| letter.id == id);
        let found = self.model.copies.iter().position(|copy| {
            still
                && copy.state == State::Dead
                && copy.subscription == subscription
                && self.model.payloads[copy.event] == n
        });
        Some((id, found))
    }

    fn pull(&mut self, ids: &[&'static str], max: u32, lease: u64) {
        let now = at(self.model.now);
        let named: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
        let result = self.broker.pull(&named, max, lease, now);
        if ids.iter().any(|id| !self.model.subs.contains_key(id)) {
            assert!(matches!(result, Err(stheno_sdk::Error::NotFound(_))));
            return;
        }
        for id in ids {
            self.model.subs.get_mut(id).unwrap().seen = now.ms;
        }
        let pulled = result.unwrap();
        let due = self.model.due(ids);
        assert_eq!(pulled.deliveries.len(), due.len().min(max as usize));
        // One event for several subscriptions has one rank: which of them
        // comes first is open.
        let mut open: Vec<usize> = due.clone();
        for (delivery, &expected) in pulled.deliveries.iter().zip(&due) {
            let n = payload(&delivery.event.data);
            let found = *open
                .iter()
                .find(|&&at| {
                    let copy = &self.model.copies[at];
                    self.model.payloads[copy.event] == n
                        && copy.subscription == delivery.subscription
                })
                .expect("a delivery that is not due");
            open.retain(|&at| at != found);
            let (event, expected) =
                (self.model.copies[found].event, self.model.copies[expected].event);
            assert_eq!(self.model.rank(event), self.model.rank(expected));
            let attempts = self.model.attempts(event);
            let copy = &mut self.model.copies[found];
            copy.made += 1;
            assert_eq!((delivery.attempt, delivery.attempts), (copy.made, attempts));
            copy.state = State::Leased(delivery.token.clone(), now.ms.saturating_add(lease));
            assert!(!self.tokens.contains(&delivery.token), "a token was given twice");
            self.tokens.push(delivery.token.clone());
        }
        let left = self.model.due(ids);
        let anything = self
            .model
            .copies
            .iter()
            .any(|copy| ids.contains(&copy.subscription) && copy.state != State::Dead);
        assert_eq!(pulled.next_due_ms == Some(0), !left.is_empty());
        assert_eq!(pulled.next_due_ms.is_some(), anything);
    }

    fn letters(&mut self, of: Option<&'static str>) {
        let now = at(self.model.now);
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let page = match self.broker.dead_letters(of, after.as_deref(), 2, now) {
                Ok(page) => page,
                Err(_) => {
                    assert!(of.is_some_and(|id| !self.model.subs.contains_key(id)));
                    return;
                }
            };
            listed.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut seen: Vec<_> =
            listed.iter().map(|l| (own(&l.subscription), payload(&l.event.data))).collect();
        seen.sort_unstable();
        let dead = self.model.copies.iter().filter(|copy| copy.state == State::Dead);
        let mut expected: Vec<_> = dead
            .filter(|copy| of.is_none_or(|id| copy.subscription == id))
            .map(|copy| (copy.subscription, self.model.payloads[copy.event]))
            .collect();
        expected.sort_unstable();
        assert_eq!(seen, expected);
        for letter in listed {
            let known = (letter.id, own(&letter.subscription), payload(&letter.event.data));
            if !self.letters.contains(&known) {
                self.letters.push(known);
            }
        }
    }

    fn status(&mut self) {
        let status = self.broker.status(at(self.model.now));
        let seen: Vec<_> = status
            .iter()
            .map(|s| (s.subscription.id.as_str(), s.waiting, s.leased, s.dead))
            .collect();
        let expected: Vec<_> = self
            .model
            .subs
            .keys()
            .map(|&id| {
                let waiting = self.model.count(id, |state| matches!(state, State::Waits(_)));
                let leased = self.model.count(id, |state| matches!(state, State::Leased(..)));
                (id, waiting, leased, self.model.count(id, |state| *state == State::Dead))
            })
            .collect();
        assert_eq!(seen, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_history_goes_as_in_the_model_and_leaves_nothing_behind(ops in prop::collection::vec(op(), 1..100)) {
        let mut run = Run {
            broker: Store::default().open(WIDE, SMALL, at(0)),
            store: Store::default(),
            model: Model::default(),
            tokens: Vec::new(),
            letters: Vec::new(),
            payload: 0,
        };
        for op in ops {
            run.step(op);
        }
        run.model.advance();
        run.status();
        let end = at(u64::MAX);
        for id in IDS {
            let _ = run.broker.unsubscribe(id, end);
        }
        run.broker.tidy(end);
        check(&run.broker);
        prop_assert_eq!((run.broker.held(), run.broker.usage.get()), (0, 0));
    }
}
