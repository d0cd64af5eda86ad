//! How long callers wait for each module.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use stheno::config::ModuleName;

/// Calls of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// How many.
    pub calls: u64,
    /// How long a caller waited, on average, in microseconds.
    pub mean_us: u64,
    /// The longest that 99 of 100 callers waited, in microseconds.
    pub p99_us: u64,
}

/// The meters of all modules.
#[derive(Default)]
pub(crate) struct Meters {
    pub(crate) cache: Meter,
    pub(crate) events: Meter,
    pub(crate) locking: Meter,
    pub(crate) files: Meter,
    pub(crate) notifications: Meter,
    pub(crate) workflows: Meter,
    pub(crate) analytics: Meter,
}

impl Meters {
    /// What was measured of a module; none for one that the shop does not use.
    pub(crate) fn of(&self, module: ModuleName) -> Option<Work> {
        let meter = match module {
            ModuleName::Cache => &self.cache,
            ModuleName::Events => &self.events,
            ModuleName::Locking => &self.locking,
            ModuleName::Files => &self.files,
            ModuleName::Notifications => &self.notifications,
            ModuleName::Workflows => &self.workflows,
            ModuleName::Analytics => &self.analytics,
            _ => return None,
        };
        Some(meter.work())
    }
}

/// The microseconds that each call took: a day has some ten thousand.
#[derive(Default)]
pub(crate) struct Meter(Mutex<Vec<u64>>);

impl Meter {
    /// Does `work` and measures it.
    pub(crate) async fn time<F: Future>(&self, work: F) -> F::Output {
        let began = Instant::now();
        let output = work.await;
        self.since(began);
        output
    }

    /// Counts a call that began then and is over.
    pub(crate) fn since(&self, began: Instant) {
        self.open().push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn work(&self) -> Work {
        let mut all = self.open();
        all.sort_unstable();
        let calls = all.len() as u64;
        let p99 = all.get(all.len().saturating_sub(1) * 99 / 100);
        let mean_us = all.iter().sum::<u64>().checked_div(calls).unwrap_or(0);
        Work { calls, mean_us, p99_us: p99.copied().unwrap_or(0) }
    }

    fn open(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_call_of_a_hundred_is_beyond_p99() {
        let meter = Meter::default();
        assert_eq!(meter.work(), Work::default());
        *meter.open() = (0..99).map(|_| 10).chain([1_010]).collect();
        assert_eq!(meter.work(), Work { calls: 100, mean_us: 20, p99_us: 10 });
    }
}
