//! The keys that are held or waited for, found by name or by number.
//!
//! A key's hash is kept beside it: most keys live for one lease, and forgetting
//! one must not cost what finding it did.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;

/// A key's number, as long as it is held or waited for.
pub(super) type KeyId = usize;

pub(super) struct Key {
    pub(super) name: String,
    hash: u64,
    /// The lease that holds it.
    pub(super) holder: Option<usize>,
    /// The tickets of those who wait for it, the first one in front.
    pub(super) queue: VecDeque<u64>,
}

#[derive(Default)]
pub(super) struct Keys {
    by_name: HashTable<KeyId>,
    keys: Slab<Key>,
    hasher: RandomState,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn find(&self, name: &str) -> Option<KeyId> {
        let hash = self.hasher.hash_one(name);
        let is = |id: &KeyId| self.keys.get(*id).is_some_and(|key| key.name == name);
        self.by_name.find(hash, is).copied()
    }

    /// The key of this name, made if need be.
    pub(super) fn enter(&mut self, name: String) -> KeyId {
        let hash = self.hasher.hash_one(name.as_str());
        let keys = &mut self.keys;
        let is = |id: &KeyId| keys.get(*id).is_some_and(|key| key.name == name);
        if let Some(id) = self.by_name.find(hash, is) {
            return *id;
        }
        let id = keys.insert(Key { name, hash, holder: None, queue: VecDeque::new() });
        let rehash = |id: &KeyId| keys.get(*id).map_or(0, |key| key.hash);
        self.by_name.insert_unique(hash, id, rehash);
        id
    }

    pub(super) fn get(&self, id: KeyId) -> Option<&Key> {
        self.keys.get(id)
    }

    pub(super) fn get_mut(&mut self, id: KeyId) -> Option<&mut Key> {
        self.keys.get_mut(id)
    }

    /// Forgets a key that nobody holds or waits for, and says whether it did.
    pub(super) fn forget_idle(&mut self, id: KeyId) -> bool {
        let Some(key) = self.keys.get(id) else { return true };
        if key.holder.is_some() || !key.queue.is_empty() {
            return false;
        }
        if let Ok(entry) = self.by_name.find_entry(key.hash, |found| *found == id) {
            entry.remove();
        }
        self.keys.remove(id);
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(|(_, key)| key)
    }
}
