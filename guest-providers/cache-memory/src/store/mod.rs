//! The cache itself: a slab of entries with four ways into it (by key, by tag,
//! by last use, by deadline), each of constant cost per entry.
//!
//! Nothing here calls the host: the time is an argument and the seed was given.

mod recency;
mod tags;
mod wheel;

#[cfg(test)]
mod tests;

use std::hash::BuildHasher;
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use hashbrown::HashTable;
use slab::Slab;
use smallvec::SmallVec;
use stheno_sdk::Glob;
use stheno_sdk::cache::Entry;

use recency::Recency;
use tags::{TagRef, Tags};
use wheel::Wheel;

/// What an entry takes beyond its key, value and tags: its place in the slab
/// (64), in the wheel (24), in the order of use (8), in the key table (at most
/// 12), two allocator headers (16), and what growing vectors keep in reserve.
/// Measured it is 155 to 206 bytes, depending on how far a vector has grown.
pub(crate) const ENTRY_OVERHEAD: u64 = 192;

/// What carrying a tag takes beyond its name: the references both ways and,
/// as if it were the only one to carry it, the tag's own record.
pub(crate) const TAG_OVERHEAD: u64 = 64;

/// How many entries one call looks at to find expired ones, beyond eight for
/// each item of the call. An entry is moved at most ten times in its life and
/// usually three, so that dead entries go faster than new ones come.
const SWEEP: usize = 16;

/// The bounds of a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For entries that come without a time to live.
    pub(crate) ttl_ms: u64,
    pub(crate) max_entries: usize,
    /// Keys, values, tags and overhead together.
    pub(crate) max_bytes: u64,
}

/// An entry that does not fit even into an empty store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) key: String,
    pub(crate) weight: u64,
    pub(crate) max_bytes: u64,
}

struct Stored {
    key: String,
    value: Vec<u8>,
    tags: SmallVec<[TagRef; 2]>,
    hash: u64,
}

pub(crate) struct Store {
    limits: Limits,
    hasher: SeedableRandomState,
    by_key: HashTable<u32>,
    slots: Slab<Stored>,
    recency: Recency,
    deadlines: Wheel,
    tags: Tags,
    bytes: u64,
}

fn length(n: usize) -> u64 {
    n as u64
}

fn weight<'a>(key: &str, value: &[u8], tags: impl Iterator<Item = &'a str>) -> u64 {
    let tags: u64 = tags.map(|tag| TAG_OVERHEAD + length(tag.len())).sum();
    ENTRY_OVERHEAD + length(key.len()) + length(value.len()) + tags
}

impl Store {
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        static SHARED: OnceLock<SharedSeed> = OnceLock::new();
        let shared = SHARED.get_or_init(|| SharedSeed::from_u64(seed.rotate_left(32)));
        Self {
            limits,
            hasher: SeedableRandomState::with_seed(seed, shared),
            by_key: HashTable::new(),
            slots: Slab::new(),
            recency: Recency::new(),
            deadlines: Wheel::new(),
            tags: Tags::new(),
            bytes: 0,
        }
    }

    /// Frees some of what has expired; called at the begin of a call with
    /// `items` arguments. A `get` never relies on it.
    pub(crate) fn sweep(&mut self, items: usize, now: u64) {
        let mut steps = SWEEP + 8 * items;
        while let Some(id) = self.deadlines.pop_due(now, &mut steps) {
            self.forget(id);
        }
    }

    pub(crate) fn get(&mut self, key: &str, now: u64) -> Option<&[u8]> {
        let id = self.find(self.hash(key), key)?;
        if self.deadlines.deadline(id) <= now {
            self.take(id);
            return None;
        }
        self.recency.touch(id);
        self.slots.get(id as usize).map(|stored| stored.value.as_slice())
    }

    /// Every live entry with at least one of the tags, once.
    pub(crate) fn get_by_tags(
        &mut self,
        tags: &[String],
        now: u64,
    ) -> impl Iterator<Item = (&str, &[u8])> {
        let mut ids: Vec<u32> = Vec::new();
        for tag in tags {
            if let Some(tag) = self.tags.find(self.hash(tag), tag) {
                ids.extend(self.tags.members(tag));
            }
        }
        if tags.len() > 1 {
            ids.sort_unstable();
            ids.dedup();
        }
        ids.retain(|&id| {
            let live = now < self.deadlines.deadline(id);
            if live {
                self.recency.touch(id);
            } else {
                self.take(id);
            }
            live
        });
        let slots = &self.slots;
        ids.into_iter()
            .filter_map(|id| slots.get(id as usize))
            .map(|stored| (stored.key.as_str(), stored.value.as_slice()))
    }

    /// Stores the entries in their order.
    ///
    /// One that can never fit refuses the whole call. What stood under its key
    /// is removed all the same: whoever set it must not read the value from
    /// before, as if the call had never been.
    pub(crate) fn set(&mut self, entries: Vec<Entry>, now: u64) -> Result<(), TooLarge> {
        let max_bytes = self.limits.max_bytes;
        let mut refusal = None;
        for entry in &entries {
            let weight = weight(&entry.key, &entry.value, entry.tags.iter().map(String::as_str));
            if weight > max_bytes && entry.ttl_ms != Some(0) {
                self.remove(&entry.key);
                refusal.get_or_insert_with(|| TooLarge {
                    key: entry.key.clone(),
                    weight,
                    max_bytes,
                });
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        for entry in entries {
            self.set_one(entry, now);
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some(id) = self.find(self.hash(key), key) {
            self.take(id);
        }
    }

    pub(crate) fn clear_tag(&mut self, tag: &str) {
        let Some(tag) = self.tags.find(self.hash(tag), tag) else {
            return;
        };
        // From the end: leaving as the last member moves no other. The tag is
        // gone with its last member, so the number is asked for one time more
        // than it has members at most.
        for _ in 0..self.tags.members(tag).len() {
            if let Some(&id) = self.tags.members(tag).last() {
                self.take(id);
            }
        }
    }

    pub(crate) fn clear_matching(&mut self, pattern: &Glob) {
        if let Some(key) = pattern.literal() {
            self.remove(key);
            return;
        }
        if pattern.is_any() {
            // Anew instead of one by one: this also gives the tables back.
            self.by_key = HashTable::new();
            self.slots = Slab::new();
            self.recency = Recency::new();
            self.deadlines = Wheel::new();
            self.tags = Tags::new();
            self.bytes = 0;
            return;
        }
        let matching: Vec<u32> = self
            .slots
            .iter()
            .filter(|(_, stored)| pattern.matches(&stored.key))
            .map(|(id, _)| id as u32)
            .collect();
        for id in matching {
            self.take(id);
        }
    }

    fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text.as_bytes())
    }

    fn find(&self, hash: u64, key: &str) -> Option<u32> {
        let same = |&id: &u32| self.slots.get(id as usize).is_some_and(|stored| stored.key == key);
        self.by_key.find(hash, same).copied()
    }

    fn set_one(&mut self, entry: Entry, now: u64) {
        let ttl_ms = entry.ttl_ms.unwrap_or(self.limits.ttl_ms);
        if ttl_ms == 0 {
            self.remove(&entry.key);
            return;
        }
        let deadline = now.saturating_add(ttl_ms);
        let hash = self.hash(&entry.key);
        match self.find(hash, &entry.key) {
            Some(id) => self.replace(id, entry, deadline),
            None => self.insert(hash, entry, deadline),
        }
        while self.bytes > self.limits.max_bytes || self.by_key.len() > self.limits.max_entries {
            // What is dead goes before what is merely old. Never the new
            // entry: it is the newest, and it fits alone.
            let dead = self.deadlines.pop_due(now, &mut { SWEEP });
            match dead.or_else(|| self.recency.oldest()) {
                Some(id) if dead.is_some() => self.forget(id),
                Some(id) => self.take(id),
                None => return,
            }
        }
    }

    fn insert(&mut self, hash: u64, entry: Entry, deadline: u64) {
        let Entry { key, value, tags, .. } = entry;
        let id = self.slots.insert(Stored { key, value, tags: SmallVec::new(), hash }) as u32;
        self.tag(id, tags);
        self.bytes += self.weigh(id);
        let slots = &self.slots;
        self.by_key
            .insert_unique(hash, id, |&id| slots.get(id as usize).map_or(0, |stored| stored.hash));
        self.deadlines.insert(id, deadline);
        self.recency.insert(id);
    }

    fn replace(&mut self, id: u32, entry: Entry, deadline: u64) {
        self.bytes -= self.weigh(id);
        let Some(stored) = self.slots.get_mut(id as usize) else { return };
        stored.value = entry.value;
        // Most sets carry the tags that the entry already has.
        let same = stored.tags.len() == entry.tags.len()
            && stored.tags.iter().zip(&entry.tags).all(|(old, new)| self.tags.name(old.tag) == new);
        if !same {
            let old = std::mem::take(&mut stored.tags);
            self.untag(&old);
            self.tag(id, entry.tags);
        }
        self.bytes += self.weigh(id);
        self.deadlines.remove(id);
        self.deadlines.insert(id, deadline);
        self.recency.touch(id);
    }

    fn weigh(&self, id: u32) -> u64 {
        let names = |stored: &Stored| {
            weight(
                &stored.key,
                &stored.value,
                stored.tags.iter().map(|tag| self.tags.name(tag.tag)),
            )
        };
        self.slots.get(id as usize).map_or(0, names)
    }

    fn tag(&mut self, id: u32, names: Vec<String>) {
        let mut refs = SmallVec::<[TagRef; 2]>::new();
        for name in names {
            let tag = self.tags.intern(self.hash(&name), name);
            if refs.iter().all(|other| other.tag != tag) {
                refs.push(self.tags.join(tag, id));
            }
        }
        if let Some(stored) = self.slots.get_mut(id as usize) {
            stored.tags = refs;
        }
    }

    fn untag(&mut self, refs: &[TagRef]) {
        for &left in refs {
            let Some(moved) = self.tags.leave(left) else { continue };
            if let Some(stored) = self.slots.get_mut(moved as usize)
                && let Some(tag) = stored.tags.iter_mut().find(|tag| tag.tag == left.tag)
            {
                tag.place = left.place;
            }
        }
    }

    /// Removes an entry.
    fn take(&mut self, id: u32) {
        self.deadlines.remove(id);
        self.forget(id);
    }

    /// Removes an entry that the wheel has already given out.
    fn forget(&mut self, id: u32) {
        self.bytes -= self.weigh(id);
        let Some(stored) = self.slots.try_remove(id as usize) else { return };
        if let Ok(found) = self.by_key.find_entry(stored.hash, |&other| other == id) {
            found.remove();
        }
        self.recency.remove(id);
        self.untag(&stored.tags);
    }
}
