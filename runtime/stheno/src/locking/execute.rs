//! A job under a lock.
//!
//! The lease is renewed by a task of its own, so that a job that keeps its thread
//! for long does not lose it. When the lease is lost nevertheless, the job's
//! future is dropped where it stands: what it would do next it must not do.

use std::sync::Arc;
use std::time::Duration;

use stheno_engine::Clock;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::core::Core;
use super::{Locking, args, lost};
use crate::{Error, ErrorKind};

/// How [`Locking::execute`] locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecuteOptions {
    /// How long to wait for the keys; 5 s if not said. Zero does not wait.
    pub timeout: Duration,
    /// How long the keys stay locked if this process dies, and how long the job
    /// goes on if the provider cannot be reached; 30 s if not said. The lease is
    /// renewed each third of it.
    pub ttl: Duration,
}

impl Default for ExecuteOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), ttl: Duration::from_secs(30) }
    }
}

/// What a job knows of its lease. Cheap to clone, so that it can be given to
/// whatever the job starts beside itself.
#[derive(Clone, Debug)]
pub struct Held {
    fence: u64,
    ended: watch::Receiver<bool>,
}

impl Held {
    /// See [`Lease::fence`](crate::Lease::fence).
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether the keys are locked no more: the lease was lost, or the job is
    /// over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        // Without a sender the job is over.
        *self.ended.borrow() || self.ended.has_changed().is_err()
    }

    /// Waits until the keys are locked no more: the lease was lost, or the job is
    /// over. The job itself need not look: it is dropped then.
    pub async fn ended(&mut self) {
        // An error is a sender that is gone: the job is over.
        let _ = self.ended.wait_for(|ended| *ended).await;
    }
}

impl Locking {
    /// Runs `job` while all of the keys are locked, by nobody else in particular,
    /// and gives what it gave.
    ///
    /// ```no_run
    /// # async fn example(locking: stheno::Locking) -> Result<(), stheno::Error> {
    /// use stheno::ExecuteOptions;
    ///
    /// let left = locking
    ///     .execute(["stock:42"], ExecuteOptions::default(), |held| async move {
    ///         // ... take one, with held.fence() ...
    ///         41
    ///     })
    ///     .await?;
    /// # let _ = left; Ok(()) }
    /// ```
    ///
    /// The keys are free when this returns, whatever the job gave. If it panics,
    /// or if the future is dropped, they are soon after.
    ///
    /// # Errors
    ///
    /// `timeout` if the keys were not free in time; then the job was not called.
    /// `lost-lease` if the lease was lost: the job was dropped where it stood, or
    /// had ended without knowing. And as for [`Locking::acquire`].
    pub async fn execute<K, J, F>(
        &self,
        keys: impl IntoIterator<Item = K>,
        options: ExecuteOptions,
        job: J,
    ) -> Result<F::Output, Error>
    where
        K: Into<String>,
        J: FnOnce(Held) -> F,
        F: Future,
    {
        let ExecuteOptions { timeout, ttl } = options;
        let core = self.calls.core();
        let restarts = core.restarts();
        // An owner of its own, so that an ownerless release does not free it.
        let owner = format!("execute:{}", uuid::Uuid::new_v4());
        let asked = core.clock().monotonic();
        let lease = self.acquire(keys).owner(owner).ttl(ttl).wait(timeout).await?;
        let (sender, ended) = watch::channel(false);
        let held = Held { fence: lease.fence(), ended };
        let mut lost_lease = held.clone();
        let keeper = Keeper {
            core: Arc::clone(core),
            token: lease.token().to_owned(),
            ttl,
            asked,
            // At most so long; how much less, the provider says at the first renewal.
            deadline: core.clock().monotonic().saturating_add(ttl),
            restarts,
        };
        let _keeping = Keeping(tokio::spawn(keeper.keep(sender)));
        let output = tokio::select! {
            biased;
            () = lost_lease.ended() => return Err(lost_in_job()),
            output = job(held) => output,
        };
        match lease.release().await {
            Ok(()) => Ok(output),
            Err(error) if error.kind() == ErrorKind::LostLease => Err(lost_in_job()),
            Err(error) => {
                tracing::warn!(%error, "the keys of a job are not free yet");
                Ok(output)
            }
        }
    }
}

fn lost_in_job() -> Error {
    Error::new(
        ErrorKind::LostLease,
        "the lease was lost during the job; what it did after that somebody else may have undone",
    )
}

/// Ends the keeper with the job.
struct Keeping(JoinHandle<()>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Keeper {
    core: Arc<Core>,
    token: String,
    ttl: Duration,
    /// When it was asked for: the lease is not older than that.
    asked: Duration,
    /// When the lease ends if it is not renewed.
    deadline: Duration,
    restarts: watch::Receiver<()>,
}

impl Keeper {
    /// Renews until the lease is lost, and says so then.
    async fn keep(mut self, ended: watch::Sender<bool>) {
        let clock = self.core.clock().clone();
        let third = (self.ttl / 3).max(Duration::from_millis(1));
        // So at once where it was waited for: the grant may have been long on its way.
        let mut next = self.asked.saturating_add(third);
        loop {
            tokio::select! {
                () = clock.sleep_until(next) => {}
                // A provider that lost its memory knows nothing of this lease.
                _ = self.restarts.changed() => {}
            }
            let now = clock.monotonic();
            next = match self.renew(&clock).await {
                Ok(()) => now.saturating_add(third),
                Err(error) if error.kind() == ErrorKind::LostLease => break,
                Err(error) => {
                    tracing::warn!(%error, "a lease could not be renewed and is tried again");
                    now.saturating_add((third / 8).max(Duration::from_millis(1)))
                }
            };
        }
        ended.send_replace(true);
    }

    async fn renew(&mut self, clock: &Clock) -> Result<(), Error> {
        let asked = clock.monotonic();
        let ttl_ms = args::ttl(Some(self.ttl))?;
        tokio::select! {
            biased;
            renewed = self.core.extend(self.token.clone(), ttl_ms) => match renewed {
                Ok(()) => {
                    self.deadline = asked.saturating_add(self.ttl);
                    Ok(())
                }
                Err(_) if clock.monotonic() >= self.deadline => Err(lost()),
                Err(error) => Err(error),
            },
            () = clock.sleep_until(self.deadline) => Err(lost()),
        }
    }
}
