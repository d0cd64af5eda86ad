//! Who receives what.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use hashbrown::HashMap;
use slab::Slab;
use stheno_sdk::Glob;
use stheno_sdk::events::Subscription;

use super::Hasher;
use super::journal::{Log, Row};
use super::leases::Ends;
use super::queue::Queue;
use super::rows::{self, Key};

/// How many places the routes may take together before they are forgotten:
/// names come from outside, and each may be new.
const ROUTE_PLACES: usize = 1 << 16;

/// One subscription and all that it holds, but for what is leased and dead:
/// those are kept by number, because they are asked for by number.
pub(super) struct Subscribed {
    pub(super) terms: Subscription,
    /// Its name in the store, never given twice.
    pub(super) serial: u64,
    row: Row,
    glob: Glob,
    pub(super) queue: Queue,
    pub(super) ends: Ends,
    pub(super) dead: BTreeSet<u64>,
    /// When it vanishes unless somebody pulls.
    idle_end: Option<u64>,
}

#[derive(Default)]
struct Routes {
    by_name: HashMap<Box<str>, Rc<[usize]>, Hasher>,
    places: usize,
}

pub(super) struct Subscriptions {
    all: Slab<Subscribed>,
    by_id: BTreeMap<String, usize>,
    idle_ends: BTreeSet<(u64, usize)>,
    routes: Routes,
    next_serial: u64,
    log: Log,
}

impl Subscriptions {
    pub(super) fn new(hasher: Hasher, origin: u64, log: Log) -> Self {
        Self {
            next_serial: origin,
            log,
            all: Slab::new(),
            by_id: BTreeMap::new(),
            idle_ends: BTreeSet::new(),
            routes: Routes { by_name: HashMap::with_hasher(hasher), places: 0 },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Subscribed> {
        self.all.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Subscribed> {
        self.all.get_mut(index)
    }

    /// Ordered by id.
    pub(super) fn indices(&self) -> Vec<usize> {
        self.by_id.values().copied().collect()
    }

    pub(super) fn add(&mut self, terms: Subscription, now: u64) -> usize {
        let serial = self.next_serial;
        self.next_serial = self.next_serial.wrapping_add(1);
        let index = self.restore(serial, terms, now);
        self.save(index);
        index
    }

    /// Takes one as the store has it.
    pub(super) fn restore(&mut self, serial: u64, terms: Subscription, now: u64) -> usize {
        self.forget_routes();
        let id = terms.id.clone();
        let index = self.all.insert(Subscribed {
            glob: Glob::new(&terms.pattern),
            terms,
            serial,
            row: Row::new(&self.log, Key::Subscription(serial)),
            queue: Queue::default(),
            ends: Ends::default(),
            dead: BTreeSet::new(),
            idle_end: None,
        });
        self.by_id.insert(id, index);
        self.touch(index, now);
        index
    }

    /// Other terms for the same id and pattern.
    pub(super) fn set_terms(&mut self, index: usize, terms: Subscription) {
        let Some(subscribed) = self.all.get_mut(index) else { return };
        let old = &subscribed.terms;
        let same = old.retained == terms.retained && old.idle_ttl_ms == terms.idle_ttl_ms;
        if !same {
            subscribed.terms = terms;
            self.save(index);
        }
    }

    fn save(&self, index: usize) {
        if let Some(subscribed) = self.all.get(index) {
            subscribed.row.put(|_| rows::subscription(&subscribed.terms));
        }
    }

    /// The serials of those at the indices.
    pub(super) fn serials(&self, indices: &[usize]) -> Vec<u64> {
        indices.iter().filter_map(|&index| self.all.get(index)).map(|s| s.serial).collect()
    }

    pub(super) fn remove(&mut self, index: usize) -> Option<Subscribed> {
        let removed = self.all.try_remove(index)?;
        self.forget_routes();
        self.by_id.remove(&removed.terms.id);
        if let Some(end) = removed.idle_end {
            self.idle_ends.remove(&(end, index));
        }
        Some(removed)
    }

    /// Counts the time that nobody pulls from now on.
    pub(super) fn touch(&mut self, index: usize, now: u64) {
        let Some(subscribed) = self.all.get_mut(index) else { return };
        let end = subscribed.terms.idle_ttl_ms.map(|ttl| now.saturating_add(ttl));
        if end == subscribed.idle_end {
            return;
        }
        if let Some(old) = std::mem::replace(&mut subscribed.idle_end, end) {
            self.idle_ends.remove(&(old, index));
        }
        if let Some(end) = end {
            self.idle_ends.insert((end, index));
        }
    }

    /// One that nobody has pulled for as long as it was to live.
    pub(super) fn idle(&self, now: u64) -> Option<usize> {
        self.idle_ends.first().filter(|end| end.0 <= now).map(|end| end.1)
    }

    /// The subscriptions whose pattern matches the name.
    pub(super) fn route(&mut self, name: &str) -> Rc<[usize]> {
        if let Some(route) = self.routes.by_name.get(name) {
            return Rc::clone(route);
        }
        let route: Rc<[usize]> =
            self.all.iter().filter(|(_, s)| s.glob.matches(name)).map(|(index, _)| index).collect();
        let places = 32 + name.len() / 4 + route.len();
        if self.routes.places + places > ROUTE_PLACES {
            self.forget_routes();
        }
        self.routes.places += places;
        self.routes.by_name.insert(name.into(), Rc::clone(&route));
        route
    }

    pub(super) fn matches(&self, index: usize, name: &str) -> bool {
        self.all.get(index).is_some_and(|subscribed| subscribed.glob.matches(name))
    }

    #[cfg(test)]
    pub(super) fn route_places(&self) -> usize {
        self.routes.places
    }

    fn forget_routes(&mut self) {
        self.routes.by_name.clear();
        self.routes.places = 0;
    }
}
