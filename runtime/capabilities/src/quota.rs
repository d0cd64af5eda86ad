//! So much in a second.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A bucket that fills at a rate, and holds what comes in one second.
pub(crate) struct Quota {
    per_second: f64,
    level: Mutex<(Instant, f64)>,
}

impl Quota {
    pub(crate) fn new(per_second: u64) -> Self {
        let per_second = per_second as f64;
        Self { per_second, level: Mutex::new((Instant::now(), per_second)) }
    }

    /// Takes `amount`, if it is there. What is more than comes in a second waits
    /// for a full bucket and is paid for by those after it: or it never could be.
    pub(crate) fn take(&self, amount: usize) -> bool {
        let (amount, full) = (amount as f64, self.per_second);
        self.with(|level| {
            let may = *level >= amount.min(full);
            if may {
                *level -= amount;
            }
            may
        })
    }

    /// Takes what was only known afterwards.
    pub(crate) fn charge(&self, amount: usize) {
        self.with(|level| *level -= amount as f64);
    }

    fn with<R>(&self, use_it: impl FnOnce(&mut f64) -> R) -> R {
        let now = Instant::now();
        let mut guard = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, level) = &mut *guard;
        let more = now.saturating_duration_since(*then).as_secs_f64() * self.per_second;
        *then = now;
        *level = (*level + more).min(self.per_second);
        use_it(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_a_second_is_let_through_and_no_more() {
        let quota = Quota::new(1);
        assert!(quota.take(1));
        assert!(!quota.take(1));
        // Debts are paid before anything else.
        let quota = Quota::new(1_000);
        assert!(quota.take(1_000_000_000));
        assert!(!quota.take(1));
        let quota = Quota::new(1_000);
        quota.charge(1_000_000_000);
        assert!(!quota.take(1));
    }
}
