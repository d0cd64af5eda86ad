//! The locking module: `wit/deps/locking/locking.wit`.

mod arguments;
mod callers;
mod leases;
mod lists;
mod owners;
mod queue;
mod restart;

use std::time::Duration;

use stheno::{Error, Lease, Lock, Locking};
use tokio::task::JoinHandle;

use crate::case::Case;
use crate::check::{Fault, Outcome, holds, there};
use crate::subject::Subject as Of;

pub(crate) const CASES: &[&[Case]] = &[
    lifecycle!("locking", Locking),
    leases::CASES,
    owners::CASES,
    queue::CASES,
    lists::CASES,
    arguments::CASES,
    callers::CASES,
    restart::CASES,
];

type Subject = Of<Locking>;

const TTL: Duration = Duration::from_secs(30);
const TTL_MS: u64 = 30_000;

impl Subject {
    fn keys(&self, keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| self.own(key)).collect()
    }

    /// Locks keys that must be free, without an owner and for ever.
    async fn lock(&self, keys: &[&str]) -> Result<Lease, Fault> {
        Ok(self.api.try_acquire(self.keys(keys)).await?)
    }

    /// The same for an owner. The owner too is the case's own.
    async fn lock_as(&self, owner: &str, keys: &[&str]) -> Result<Lease, Fault> {
        Ok(self.api.try_acquire(self.keys(keys)).owner(self.own(owner)).await?)
    }

    /// The same without an owner for this long.
    async fn lock_for(&self, millis: u64, keys: &[&str]) -> Result<Lease, Fault> {
        Ok(self.api.try_acquire(self.keys(keys)).ttl(Duration::from_millis(millis)).await?)
    }

    /// Begins to wait for keys that must be taken, and returns once it does.
    async fn queue(&self, keys: &[&str]) -> Result<JoinHandle<Result<Lease, Error>>, Fault> {
        let (api, asked) = (self.api.clone(), self.keys(keys));
        self.queue_as(keys, async move { api.acquire(asked).await }).await
    }

    /// The same for somebody who asks otherwise.
    async fn queue_as(
        &self,
        keys: &[&str],
        acquires: impl Future<Output = Result<Lease, Error>> + Send + 'static,
    ) -> Result<JoinHandle<Result<Lease, Error>>, Fault> {
        let before = self.waiting(keys).await?;
        let waits = tokio::spawn(acquires);
        while self.waiting(keys).await? == before {
            holds(!waits.is_finished(), || format!("who must wait for {keys:?} did not"))?;
            tokio::task::yield_now().await;
        }
        Ok(waits)
    }

    /// How many wait for these keys.
    async fn waiting(&self, keys: &[&str]) -> Result<u64, Fault> {
        let locks = self.api.inspect(self.keys(keys)).await?;
        Ok(locks.into_iter().flatten().map(|lock| lock.waiting).sum())
    }

    async fn inspect(&self, key: &str) -> Result<Option<Lock>, Fault> {
        let mut locks = self.api.inspect([self.own(key)]).await?;
        there("an answer for the key", locks.pop())
    }

    #[track_caller]
    fn is_free(&self, key: &str) -> impl Future<Output = Outcome> {
        let place = std::panic::Location::caller();
        async move {
            match self.inspect(key).await? {
                None => Ok(()),
                Some(lock) => Err(Fault::at(place, format!("{key:?} is held, as {lock:?}"))),
            }
        }
    }

    #[track_caller]
    fn is_held(&self, key: &str) -> impl Future<Output = Result<Lock, Fault>> {
        let place = std::panic::Location::caller();
        async move {
            let lock = self.inspect(key).await?;
            lock.ok_or_else(|| Fault::at(place, format!("nobody holds {key:?}")))
        }
    }
}

/// What somebody who waits must get in the end.
async fn granted(waits: JoinHandle<Result<Lease, Error>>) -> Result<Lease, Fault> {
    Ok(waits.await??)
}
