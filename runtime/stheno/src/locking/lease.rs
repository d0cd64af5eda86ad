//! What an app has when it has locked something.

use std::time::Duration;

use super::args;
use super::core::Hold;
use super::{Locking, lost};
use crate::Error;

/// Locked keys. They are free again when it is dropped, soon after; or when its
/// time to live has passed without an [`extend`](Lease::extend), whether anybody
/// notices or not. Who writes where that matters sends the
/// [`fence`](Lease::fence) along.
#[must_use = "the keys are free again once this is dropped"]
pub struct Lease {
    hold: Hold,
    locking: Locking,
    ttl: Option<Duration>,
}

impl Lease {
    pub(super) fn new(hold: Hold, locking: Locking, ttl: Option<Duration>) -> Self {
        Self { hold, locking, ttl }
    }

    /// Grows with every lease, whatever its keys. What the lock protects can
    /// remember the largest and refuse smaller ones: they come from a holder
    /// that has lost its lease and has not noticed.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.hold.fence()
    }

    /// The lease's name, for [`Locking::extend`] and [`Locking::release`].
    #[must_use]
    pub fn token(&self) -> &str {
        self.hold.token()
    }

    /// The time to live that was asked for; none never expires.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// Has the lease live for `ttl` from now; none for ever.
    ///
    /// # Errors
    ///
    /// `lost-lease` if one of its keys is no longer held, `invalid-argument` for
    /// a `ttl` of zero, and what the provider says.
    pub async fn extend(&mut self, ttl: impl Into<Option<Duration>>) -> Result<(), Error> {
        let ttl = ttl.into();
        let ttl_ms = args::ttl(ttl)?;
        self.hold.core().extend(self.hold.token().to_owned(), ttl_ms).await?;
        self.ttl = ttl;
        Ok(())
    }

    /// Frees the keys, and returns when they are free.
    ///
    /// # Errors
    ///
    /// `lost-lease` if one of its keys was no longer held, so that somebody else
    /// may have had it meanwhile; the others are free. Beyond that what the
    /// provider says: then it is tried again, as if the lease had been dropped.
    pub async fn release(mut self) -> Result<(), Error> {
        // Responsible until it is done, for the case that nobody waits for it.
        let whole = self.locking.calls.release(self.hold.token().to_owned()).await?;
        let _released = self.hold.let_go();
        if whole { Ok(()) } else { Err(lost()) }
    }

    /// Leaves the keys locked and gives the lease's name: from now on it ends
    /// only by [`Locking::release`] or by its time to live.
    #[must_use = "without its name the lease ends with its time to live only"]
    pub fn keep(mut self) -> String {
        self.hold.let_go()
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("token", &self.token())
            .field("fence", &self.fence())
            .field("ttl", &self.ttl)
            .finish()
    }
}

/// A key and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The key.
    pub key: String,
    /// Whose it is; none if it was acquired without an owner.
    pub owner: Option<String>,
    /// The lease's fence.
    pub fence: u64,
    /// When it expires; none never does.
    pub expires_in: Option<Duration>,
    /// How many wait for the key.
    pub waiting: u64,
}

/// Some of the keys that are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockPage {
    /// Ordered by key.
    pub items: Vec<Lock>,
    /// Give it as `after` for the next page; none after the last.
    pub next: Option<String>,
}
