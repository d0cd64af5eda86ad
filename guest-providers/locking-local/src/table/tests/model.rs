//! Any history, against a model that looks at everything each time.

use std::collections::BTreeSet;

use proptest::prelude::*;
use stheno_sdk::locking::Lock;

use super::*;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const OWNERS: [Option<&str>; 3] = [None, Some("x"), Some("y")];

#[derive(Clone, Debug)]
enum Op {
    Acquire { keys: Vec<usize>, owner: usize, ttl: Option<u64>, wait: bool },
    Release(prop::sample::Index),
    Extend(prop::sample::Index, Option<u64>),
    ReleaseKeys { keys: Vec<usize>, owner: usize },
    ReleaseAll(usize),
    Abandon(prop::sample::Index),
    Poll,
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let keys = || prop::collection::vec(0..KEYS.len(), 1..4);
    let ttl = || prop::option::of(1..20_u64);
    prop_oneof![
        8 => (keys(), 0..OWNERS.len(), ttl(), any::<bool>())
            .prop_map(|(keys, owner, ttl, wait)| Op::Acquire { keys, owner, ttl, wait }),
        4 => any::<prop::sample::Index>().prop_map(Op::Release),
        2 => (any::<prop::sample::Index>(), ttl()).prop_map(|(at, ttl)| Op::Extend(at, ttl)),
        1 => (keys(), 0..OWNERS.len())
            .prop_map(|(keys, owner)| Op::ReleaseKeys { keys, owner }),
        1 => (0..OWNERS.len()).prop_map(Op::ReleaseAll),
        2 => any::<prop::sample::Index>().prop_map(Op::Abandon),
        3 => Just(Op::Poll),
        3 => (1..15_u64).prop_map(Op::Pass),
    ]
}

#[derive(Debug)]
struct Lease {
    id: u64,
    owner: Option<&'static str>,
    keys: BTreeSet<&'static str>,
    expires: Option<u64>,
    broken: bool,
}

#[derive(Debug)]
struct Waiter {
    ticket: String,
    owner: Option<&'static str>,
    keys: BTreeSet<&'static str>,
    ttl: Option<u64>,
    /// The lease that it was given.
    granted: Option<u64>,
}

#[derive(Default)]
struct Model {
    now: u64,
    ids: u64,
    leases: Vec<Lease>,
    /// In the order of coming.
    waiters: Vec<Waiter>,
}

impl Model {
    fn holder(&self, key: &str) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.keys.contains(key))
    }

    fn is_own(&self, key: &str, owner: Option<&str>) -> bool {
        owner.is_some() && self.holder(key).is_some_and(|lease| lease.owner == owner)
    }

    /// Whether it could have its keys, with those in front of it.
    fn is_free(
        &self,
        keys: &BTreeSet<&'static str>,
        owner: Option<&str>,
        front: &[Waiter],
    ) -> bool {
        keys.iter().all(|key| {
            self.is_own(key, owner)
                || (self.holder(key).is_none()
                    && !front.iter().any(|w| w.granted.is_none() && w.keys.contains(key)))
        })
    }

    fn grant(
        &mut self,
        keys: &BTreeSet<&'static str>,
        owner: Option<&'static str>,
        ttl: Option<u64>,
    ) -> u64 {
        self.free(keys);
        self.ids += 1;
        let (id, keys) = (self.ids, keys.clone());
        let expires = ttl.map(|ttl| self.now + ttl);
        self.leases.push(Lease { id, owner, keys, expires, broken: false });
        id
    }

    /// Takes keys from whoever has them.
    fn free(&mut self, keys: &BTreeSet<&'static str>) {
        for lease in &mut self.leases {
            let before = lease.keys.len();
            lease.keys.retain(|key| !keys.contains(key));
            lease.broken |= lease.keys.len() < before;
        }
        self.leases.retain(|lease| !lease.keys.is_empty());
    }

    /// Serves whoever can be served, until nobody can.
    fn settle(&mut self) {
        let now = self.now;
        self.leases.retain(|lease| lease.expires.is_none_or(|expires| expires > now));
        loop {
            let next = (0..self.waiters.len()).find(|&at| {
                let Waiter { keys, owner, granted, .. } = &self.waiters[at];
                let front = &self.waiters[..at];
                // In a queue, even the owner of a key waits for those in front.
                let first = !front.iter().any(|w| w.granted.is_none() && !w.keys.is_disjoint(keys));
                granted.is_none() && first && self.is_free(keys, *owner, &[])
            });
            let Some(at) = next else { break };
            let Waiter { keys, owner, ttl, .. } = &self.waiters[at];
            let (keys, owner, ttl) = (keys.clone(), *owner, *ttl);
            self.waiters[at].granted = Some(self.grant(&keys, owner, ttl));
        }
    }
}

#[derive(Default)]
struct History {
    model: Model,
    /// Token and model lease of all that were ever granted.
    tokens: Vec<(String, u64)>,
    tickets: Vec<String>,
    largest: u64,
}

impl History {
    fn learn(&mut self, grant: &Grant, id: u64) {
        assert!(!self.tokens.iter().any(|(token, _)| *token == grant.token));
        self.tokens.push((grant.token.clone(), id));
    }

    fn step(&mut self, table: &mut Table, op: Op) {
        let now = self.model.now;
        let names = |keys: &[usize]| keys.iter().map(|at| KEYS[*at]).collect::<Vec<_>>();
        match op {
            Op::Pass(ms) => {
                self.model.now += ms;
                self.model.settle();
            }
            Op::Acquire { keys, owner, ttl, wait } => {
                let (names, owner) = (names(&keys), OWNERS[owner]);
                let set: BTreeSet<_> = names.iter().copied().collect();
                let answer = ask(table, request(&names, owner, ttl, wait), now);
                let free = self.model.is_free(&set, owner, &self.model.waiters);
                let own = set.iter().any(|key| self.model.is_own(key, owner));
                match answer {
                    Answer::Granted(grant) => {
                        assert!(free);
                        assert!(grant.fence > self.largest);
                        let id = self.model.grant(&set, owner, ttl);
                        self.learn(&grant, id);
                    }
                    Answer::Queued(queued) => {
                        assert!(!free && wait && !own);
                        let ticket = queued.ticket;
                        self.tickets.push(ticket.clone());
                        let granted = None;
                        self.model.waiters.push(Waiter { ticket, owner, keys: set, ttl, granted });
                    }
                    Answer::Refused(Error::Conflict(_)) => assert!(!free && (own || !wait)),
                    Answer::Refused(other) => panic!("{other:?}"),
                }
            }
            Op::Release(at) if !self.tokens.is_empty() => {
                let (token, id) = at.get(&self.tokens).clone();
                let found = self.model.leases.iter().position(|lease| lease.id == id);
                let whole = found.is_some_and(|at| !self.model.leases[at].broken);
                found.map(|at| self.model.leases.remove(at));
                self.model.settle();
                let lost = table.exchange(vec![token.clone()], Vec::new(), now).lost;
                assert_eq!(lost, if whole { vec![] } else { vec![token] });
            }
            Op::Extend(at, ttl_ms) if !self.tokens.is_empty() => {
                let (token, id) = at.get(&self.tokens).clone();
                let mut found = self.model.leases.iter_mut().find(|lease| lease.id == id);
                let whole = found.as_ref().is_some_and(|lease| !lease.broken);
                if let (Some(lease), true) = (&mut found, whole) {
                    lease.expires = ttl_ms.map(|ttl| now + ttl);
                }
                let lost = table.extend(vec![Extension { token: token.clone(), ttl_ms }], now);
                assert_eq!(lost, if whole { vec![] } else { vec![token] });
            }
            Op::ReleaseKeys { keys, owner } => {
                let (names, owner) = (names(&keys), OWNERS[owner]);
                // One after the other, since who is next may be the same owner.
                let mut freed = 0;
                for name in &names {
                    if self.model.holder(name).is_some_and(|lease| lease.owner == owner) {
                        self.model.free(&BTreeSet::from([*name]));
                        self.model.settle();
                        freed += 1;
                    }
                }
                let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
                assert_eq!(table.release_keys(&names, owner, now).keys, freed);
            }
            Op::ReleaseAll(owner) => {
                let owner = OWNERS[owner];
                let held = |lease: &&Lease| lease.owner == owner;
                let freed: usize =
                    self.model.leases.iter().filter(held).map(|lease| lease.keys.len()).sum();
                self.model.leases.retain(|lease| lease.owner != owner);
                self.model.settle();
                assert_eq!(table.release_all(owner, now).keys, freed as u64);
            }
            Op::Abandon(at) if !self.tickets.is_empty() => {
                let ticket = at.get(&self.tickets).clone();
                if let Some(at) = self.model.waiters.iter().position(|w| w.ticket == ticket) {
                    let waiter = self.model.waiters.remove(at);
                    self.model.leases.retain(|lease| Some(lease.id) != waiter.granted);
                    self.model.settle();
                }
                table.abandon(&[ticket], now);
            }
            Op::Poll => self.poll(table),
            Op::Release(_) | Op::Extend(..) | Op::Abandon(_) => {}
        }
        self.check(table);
    }

    fn poll(&mut self, table: &mut Table) {
        let polled = table.poll(self.tickets.clone(), self.model.now);
        let mut turns = polled.turns.into_iter();
        for ticket in self.tickets.clone() {
            let at = self.model.waiters.iter().position(|waiter| waiter.ticket == ticket);
            let Some(at) = at else {
                assert!(matches!(turns.next(), Some((t, Turn::Gone)) if t == ticket));
                continue;
            };
            let Some(id) = self.model.waiters[at].granted else { continue };
            self.model.waiters.remove(at);
            let whole = self.model.leases.iter().any(|lease| lease.id == id && !lease.broken);
            match turns.next() {
                Some((t, Turn::Granted(grant))) if t == ticket => {
                    assert!(whole);
                    self.learn(&grant, id);
                }
                Some((t, Turn::Gone)) if t == ticket => assert!(!whole),
                other => panic!("{ticket}: {other:?}"),
            }
        }
        assert!(turns.next().is_none());
        assert!(polled.woken.is_empty());
    }

    /// What is to be seen is what the model says.
    fn check(&mut self, table: &mut Table) {
        let now = self.model.now;
        let page = table.held(None, None, 100, now);
        let seen: Vec<_> = page
            .items
            .iter()
            .map(|l| (l.key.as_str(), l.owner.as_deref(), l.expires_in_ms))
            .collect();
        let mut expected: Vec<(&str, Option<&str>, Option<u64>)> = Vec::new();
        for key in KEYS {
            if let Some(lease) = self.model.holder(key) {
                expected.push((key, lease.owner, lease.expires.map(|e| e - now)));
            }
        }
        assert_eq!(seen, expected);
        for Lock { key, waiting, fence, .. } in page.items {
            let in_line = self.model.waiters.iter().filter(|w| w.granted.is_none());
            assert_eq!(waiting, in_line.filter(|w| w.keys.contains(key.as_str())).count() as u64);
            self.largest = self.largest.max(fence);
        }
        let waited = |lease: &&Lease| {
            let mut waiters = self.model.waiters.iter().filter(|w| w.granted.is_none());
            waiters.any(|w| !w.keys.is_disjoint(&lease.keys))
        };
        let due = self.model.leases.iter().filter(waited).filter_map(|lease| lease.expires).min();
        assert_eq!(table.next_due(now), due.map(|due| due - now));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn every_history_goes_as_in_the_model_and_leaves_nothing_behind(
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let (mut table, mut history) = (table(), History::default());
        for op in ops {
            history.step(&mut table, op);
        }
        let now = history.model.now;
        table.abandon(&history.tickets, now);
        let tokens = history.tokens.iter().map(|(token, _)| token.clone()).collect();
        table.exchange(tokens, Vec::new(), now);
        // What was never polled nor released expires, or its owner lets it go.
        for owner in OWNERS {
            table.release_all(owner, now);
        }
        assert_empty(&mut table);
    }
}
