//! Waiting for an instance, within a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use stheno_contracts::Error;

/// How many calls may wait at once.
pub(crate) struct Queue(Arc<Counted>);

struct Counted {
    limit: u32,
    waiting: AtomicU32,
}

/// A place in a [`Queue`]; dropping it leaves.
pub(crate) struct Place(Arc<Counted>);

impl Queue {
    pub(crate) fn new(limit: u32) -> Self {
        Self(Arc::new(Counted { limit, waiting: AtomicU32::new(0) }))
    }

    /// Joins the queue, or is turned away at once.
    pub(crate) fn join(&self, provider: &str) -> Result<Place, Error> {
        let limit = self.0.limit;
        self.0
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < limit).then_some(waiting + 1)
            })
            .map(|_| Place(Arc::clone(&self.0)))
            .map_err(|_| {
                Error::Unavailable(format!(
                    "{provider} is busy: limits.queue = {limit} calls wait already; try again later"
                ))
            })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
