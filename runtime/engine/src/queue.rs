//! Waiting for an instance, within a limit.

use std::sync::atomic::{AtomicU32, Ordering};

use stheno_contracts::Error;

/// How many calls may wait at once.
pub(crate) struct Queue {
    limit: u32,
    waiting: AtomicU32,
}

/// A place in a [`Queue`]; dropping it leaves.
pub(crate) struct Place<'a>(&'a Queue);

impl Queue {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, waiting: AtomicU32::new(0) }
    }

    /// Joins the queue, or is turned away at once.
    pub(crate) fn join(&self, provider: &str) -> Result<Place<'_>, Error> {
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                (waiting < self.limit).then_some(waiting + 1)
            })
            .map(|_| Place(self))
            .map_err(|_| {
                Error::Unavailable(format!(
                    "{provider} is busy: limits.queue = {} calls wait already; try again later",
                    self.limit
                ))
            })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
