//! Looking without touching.

use stheno_sdk::locking::{Lock, LockPage};

use super::Table;
use super::keys::Key;

impl Table {
    pub(crate) fn inspect(&mut self, keys: &[String], now: u64) -> Vec<Option<Lock>> {
        self.advance(now);
        let look = |name: &String| {
            let key = self.keys.find(name).and_then(|id| self.keys.get(id))?;
            self.lock(key, now)
        };
        keys.iter().map(look).collect()
    }

    /// The keys after `after`. It looks at all that are held.
    pub(crate) fn held(
        &mut self,
        owner: Option<&str>,
        after: Option<&str>,
        max: u32,
        now: u64,
    ) -> LockPage {
        self.advance(now);
        let mut found: Vec<&Key> = self
            .keys
            .iter()
            .filter(|key| after.is_none_or(|after| key.name.as_str() > after))
            .filter(|key| {
                let lease = key.holder.and_then(|slot| self.leases.get(slot));
                lease.is_some_and(|lease| {
                    !lease.is_over(now) && owner.is_none_or(|owner| lease.is_of(Some(owner)))
                })
            })
            .collect();
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let max = max as usize;
        let more = found.len() > max;
        found.truncate(max);
        let next = found.last().filter(|_| more).map(|key| key.name.clone());
        LockPage { items: found.into_iter().filter_map(|key| self.lock(key, now)).collect(), next }
    }

    fn lock(&self, key: &Key, now: u64) -> Option<Lock> {
        let lease = self.leases.get(key.holder?).filter(|lease| !lease.is_over(now))?;
        Some(Lock {
            key: key.name.clone(),
            owner: lease.owner.clone(),
            fence: lease.fence,
            expires_in_ms: lease.expires.map(|expires| expires.saturating_sub(now)),
            waiting: key.queue.len() as u64,
        })
    }
}
