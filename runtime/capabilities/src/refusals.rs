//! What was refused, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use stheno_config::StoreLabel;
use stheno_contracts::Error;

/// How often calls through one binding were refused before anything was sent.
pub(crate) struct Refusals {
    provider: String,
    label: StoreLabel,
    /// What the log says of one, such as `Redis was denied`.
    what: &'static str,
    count: AtomicU64,
}

impl Refusals {
    pub(crate) fn new(provider: &str, label: &StoreLabel, what: &'static str) -> Self {
        let (provider, label) = (provider.to_owned(), label.clone());
        Self { provider, label, what, count: AtomicU64::new(0) }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts one, and says so in the log: the first ones, and then ever fewer.
    pub(crate) fn add(&self, error: &Error) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(
                provider = self.provider,
                binding = self.label.as_str(),
                count,
                reason = error.message(),
                "{}",
                self.what
            );
        }
    }
}
