//! The logic. It does not call the host, so that `cargo test` can run it.

use std::collections::HashMap;

use stheno_sdk::cache::Entry;

struct Stored {
    value: Vec<u8>,
    deadline: u64,
}

pub(crate) struct Store {
    ttl_ms: u64,
    entries: HashMap<String, Stored>,
}

impl Store {
    pub(crate) fn new(ttl_ms: u64) -> Self {
        Self { ttl_ms, entries: HashMap::new() }
    }

    pub(crate) fn get(&mut self, key: &str, now: u64) -> Option<Vec<u8>> {
        let stored = self.entries.get(key)?;
        if now < stored.deadline {
            return Some(stored.value.clone());
        }
        self.entries.remove(key);
        None
    }

    /// A time to live of 0 is over at once: the next `get` removes the entry.
    pub(crate) fn set(&mut self, entry: Entry, now: u64) {
        let deadline = now.saturating_add(entry.ttl_ms.unwrap_or(self.ttl_ms));
        self.entries.insert(entry.key, Stored { value: entry.value, deadline });
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.entries.retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Store};

    #[test]
    fn an_entry_lives_until_its_time_is_over() {
        let mut store = Store::new(10);
        store.set(Entry { key: "k".into(), value: b"v".to_vec(), ttl_ms: None, tags: vec![] }, 5);
        assert_eq!(store.get("k", 14), Some(b"v".to_vec()));
        assert_eq!(store.get("k", 15), None);
    }
}
