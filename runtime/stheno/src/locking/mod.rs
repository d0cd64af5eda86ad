//! The locking module, as an app uses it.

mod args;
mod calls;
mod core;
mod execute;
mod lease;
mod leftovers;
mod waiters;

use std::sync::Arc;
use std::time::Duration;

use stheno_contracts::locking as contract;
use stheno_engine::{Clock, LockingModule, Provider};

use crate::{Error, ErrorKind};
use calls::Calls;

pub use args::{MAX_LOCK_KEY_BYTES, MAX_LOCK_KEYS};
pub use execute::{ExecuteOptions, Held};
pub use lease::{Lease, Lock, LockPage};

/// The locks, cheap to clone.
///
/// A lease is over all of its keys or over none. Among those who wait for a key,
/// who came first is served first, and a key that somebody waits for counts as
/// taken for whoever comes later. So nobody starves, and no two requests can
/// stand in each other's way, in whatever order they name their keys.
///
/// Who holds one lease while he waits for another can do that to somebody who
/// does the reverse: take all keys at once, or limit the wait.
#[derive(Clone)]
pub struct Locking {
    calls: Arc<Calls>,
}

impl Locking {
    pub(crate) fn new(provider: Provider<LockingModule>, clock: Clock) -> Self {
        Self { calls: Arc::new(Calls::new(provider, clock)) }
    }

    pub(crate) fn provider(&self) -> &Provider<LockingModule> {
        self.calls.core().provider()
    }

    /// Lets nobody wait any more; see
    /// [`Runtime::shutdown`](crate::Runtime::shutdown).
    pub(crate) fn close(&self) {
        self.calls.core().waiters().close();
    }

    /// Locks all of the keys, and waits until it can. Await the result, after
    /// setting what else is wanted:
    ///
    /// ```no_run
    /// # async fn example(locking: stheno::Locking) -> Result<(), stheno::Error> {
    /// use std::time::Duration;
    ///
    /// let lease = locking
    ///     .acquire(["stock:42", "stock:43"])
    ///     .ttl(Duration::from_secs(30))
    ///     .wait(Duration::from_secs(5))
    ///     .await?;
    /// // ... write, with lease.fence() ...
    /// lease.release().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// If the future is dropped, the place in the queue is given up, and a lease
    /// that it had been granted passes on.
    ///
    /// # Errors
    ///
    /// `timeout` if the keys were not free in time, `invalid-argument` for a bad
    /// key, owner or time to live, `conflict` if the owner holds some of the keys
    /// already and others are taken, `unavailable` when the provider is full, and
    /// what else it says. Then nothing is locked.
    pub fn acquire<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> Acquire<'_> {
        Acquire {
            locking: self,
            keys: args::lease_keys(keys),
            owner: None,
            ttl: None,
            wait: Wait::Forever,
        }
    }

    /// Locks all of the keys if they are free now. Await the result, as with
    /// [`Locking::acquire`].
    ///
    /// # Errors
    ///
    /// `conflict`, which names a key that is taken, and as for
    /// [`Locking::acquire`].
    pub fn try_acquire<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> Acquire<'_> {
        Acquire { wait: Wait::Not, ..self.acquire(keys) }
    }

    /// Has the lease of this name live for `ttl` from now; none for ever.
    ///
    /// # Errors
    ///
    /// `lost-lease` if one of its keys is no longer held, `invalid-argument` for
    /// a `ttl` of zero, and what the provider says.
    pub async fn extend(&self, token: &str, ttl: impl Into<Option<Duration>>) -> Result<(), Error> {
        let ttl_ms = args::ttl(ttl.into())?;
        self.calls.core().extend(args::given("token", token)?, ttl_ms).await
    }

    /// Ends the lease of this name, and says whether it was whole. What is left of
    /// it is freed in any case.
    ///
    /// # Errors
    ///
    /// What the provider says.
    pub async fn release(&self, token: &str) -> Result<bool, Error> {
        self.calls.release(args::given("token", token)?).await
    }

    /// Frees those of the keys that this owner holds, whatever their leases, and
    /// says how many those are. Without an owner it frees those that were
    /// acquired without one, and nobody else's.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a bad key or owner, and what the provider says.
    pub async fn release_keys<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        owner: Option<&str>,
    ) -> Result<u64, Error> {
        let keys = args::lease_keys(keys)?;
        self.calls.release_keys(keys, args::owner(owner)?).await
    }

    /// Frees all keys that this owner holds, and says how many. Without an owner
    /// it frees all that were acquired without one, and nobody else's. Who waits
    /// goes on waiting.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a bad owner, and what the provider says.
    pub async fn release_all(&self, owner: Option<&str>) -> Result<u64, Error> {
        self.calls.release_all(args::owner(owner)?).await
    }

    /// Who has these keys, in their order; none for one that nobody has.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a bad key or more than 1,000, and what the provider
    /// says.
    pub async fn inspect<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<Lock>>, Error> {
        let keys = args::many_keys(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let locks = self.calls.inspect(keys).await?;
        Ok(locks.into_iter().map(|lock| lock.map(Lock::from)).collect())
    }

    /// The keys that are held, ordered, of one owner if given.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a `max` of 0 or more than 1,000 or a bad owner, and
    /// what the provider says.
    pub async fn held(
        &self,
        owner: Option<&str>,
        after: Option<&str>,
        max: u32,
    ) -> Result<LockPage, Error> {
        if max == 0 || max as usize > args::MAX_ITEMS {
            return Err(Error::invalid(format!("max is {max}, must be 1 to {}", args::MAX_ITEMS)));
        }
        let after = after.map(|after| args::given("after", after)).transpose()?;
        let page = self.calls.held(args::owner(owner)?, after, max).await?;
        Ok(LockPage { items: page.items.into_iter().map(Lock::from).collect(), next: page.next })
    }
}

fn lost() -> Error {
    Error::new(
        ErrorKind::LostLease,
        "the lease has expired, was released, or its owner has acquired the keys again",
    )
}

/// Keys about to be locked: await it.
#[must_use = "nothing is locked until it is awaited"]
pub struct Acquire<'a> {
    locking: &'a Locking,
    keys: Result<Vec<String>, Error>,
    owner: Option<String>,
    ttl: Option<Duration>,
    wait: Wait,
}

enum Wait {
    Not,
    AtMost(Duration),
    Forever,
}

impl Acquire<'_> {
    /// Who acquires: 1 to 255 bytes without control characters. The same owner may
    /// acquire its keys again, which gives it a new lease and a new fence and
    /// loses it the earlier one. Without an owner everybody is somebody else.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// How long the lease lives from the moment it is granted, at least 1 ms.
    /// Without one it never expires.
    pub fn ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// How long to wait at most. Zero does not wait, as
    /// [`Locking::try_acquire`].
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = if wait.is_zero() { Wait::Not } else { Wait::AtMost(wait) };
        self
    }

    async fn run(self) -> Result<Lease, Error> {
        let keys = self.keys?;
        let owner = match self.owner {
            Some(owner) => args::owner(Some(&owner))?,
            None => None,
        };
        let ttl_ms = args::ttl(self.ttl)?;
        let wait = !matches!(self.wait, Wait::Not);
        let request = contract::Request { keys, owner, ttl_ms, wait };
        let calls = &self.locking.calls;
        let hold = match self.wait {
            Wait::Not | Wait::Forever => calls.acquire(request).await?,
            Wait::AtMost(limit) => {
                let clock = calls.core().clock();
                let deadline = clock.monotonic().saturating_add(limit);
                tokio::select! {
                    biased;
                    hold = calls.acquire(request) => hold?,
                    () = clock.sleep_until(deadline) => {
                        return Err(Error::new(
                            ErrorKind::Timeout,
                            format!("the keys were not free within {limit:?}; nothing is locked"),
                        ));
                    }
                }
            }
        };
        Ok(Lease::new(hold, self.locking.clone(), self.ttl))
    }
}

impl<'a> IntoFuture for Acquire<'a> {
    type Output = Result<Lease, Error>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl From<contract::Lock> for Lock {
    fn from(lock: contract::Lock) -> Self {
        Self {
            key: lock.key,
            owner: lock.owner,
            fence: lock.fence,
            expires_in: lock.expires_in_ms.map(Duration::from_millis),
            waiting: lock.waiting,
        }
    }
}
