//! Ids that no other process gives.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Gives ids: a random half that is drawn once, and a count.
pub(crate) struct Ids {
    prefix: u64,
    next: AtomicU64,
}

impl Ids {
    pub(crate) fn new() -> Self {
        Self { prefix: Uuid::new_v4().as_u64_pair().1, next: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> String {
        format!("{:016x}{:08x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
