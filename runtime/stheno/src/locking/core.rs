//! What all calls of the locking module share: the provider, and those who wait.
//!
//! What a call brings is dealt with while the provider's instance is still held,
//! inside the call. So where a single instance serves, news are taken in in the
//! order in which they were made: a ticket is known before any call can grant it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stheno_contracts::Error as Contract;
use stheno_contracts::locking as contract;
use stheno_engine::{CallFuture, Clock, Guest, LockingModule, Provider};
use tokio::sync::watch;

use super::leftovers::Leftovers;
use super::waiters::{Place, Waiters};
use crate::Error;

/// How long a provider of many instances may wait in one poll.
const POLL_WAIT_MS: u64 = 1_000;
/// The same where `limits.instances` allows only one.
const POLL_BETWEEN_MS: u64 = 20;

pub(super) struct Core {
    provider: Provider<LockingModule>,
    clock: Clock,
    waiters: Waiters,
    leftovers: Leftovers,
    /// The largest fence seen.
    fence: AtomicU64,
    /// Changes when the provider has lost what it held.
    restarts: watch::Sender<()>,
}

/// A lease that somebody is responsible for: dropped, it is released.
pub(super) struct Hold {
    core: Arc<Core>,
    /// None once nobody is responsible any more.
    token: Option<String>,
    fence: u64,
}

/// What an exchange came to.
pub(super) struct Exchange {
    /// The tokens whose lease was not there any more, or not whole.
    pub(super) lost: Vec<String>,
    /// Of each request, in their order.
    pub(super) answers: Vec<Result<Answered, Contract>>,
}

/// What a request came to that was not refused.
pub(super) enum Answered {
    Held(Hold),
    Waits(Place),
}

impl Core {
    pub(super) fn new(provider: Provider<LockingModule>, clock: Clock) -> Arc<Self> {
        let core = Arc::new(Self {
            provider,
            clock,
            waiters: Waiters::default(),
            leftovers: Leftovers::default(),
            fence: AtomicU64::new(0),
            restarts: watch::channel(()).0,
        });
        // Weak: the provider is the core's own.
        let told = Arc::downgrade(&core);
        core.provider.welcome(Box::new(move |guest| {
            let fence = told.upgrade().map(|core| {
                core.restarts.send_replace(());
                core.waiters.look_at_all();
                core.fence.load(Ordering::Relaxed)
            });
            Box::pin(guest.module.call_resume(guest.store, fence.unwrap_or_default()))
        }));
        core
    }

    pub(super) fn provider(&self) -> &Provider<LockingModule> {
        &self.provider
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    pub(super) fn leftovers(&self) -> &Leftovers {
        &self.leftovers
    }

    pub(super) fn restarts(&self) -> watch::Receiver<()> {
        self.restarts.subscribe()
    }

    pub(super) fn hold(self: &Arc<Self>, grant: contract::Grant) -> Hold {
        self.fence.fetch_max(grant.fence, Ordering::Relaxed);
        Hold { core: Arc::clone(self), token: Some(grant.token), fence: grant.fence }
    }

    /// A call. One that fails may have cost the provider its memory, so those
    /// who wait ask again.
    pub(super) async fn call<R: Send + 'static>(
        self: &Arc<Self>,
        call: impl for<'a> FnOnce(Guest<'a, LockingModule>, Arc<Self>) -> CallFuture<'a, R>
        + Send
        + 'static,
    ) -> Result<R, Contract> {
        let core = Arc::clone(self);
        let result = self.provider.call(move |guest| call(guest, core)).await;
        if matches!(
            result,
            Err(Contract::Internal(_) | Contract::Timeout(_) | Contract::Unavailable(_))
        ) {
            self.waiters.look_at_all();
        }
        result
    }

    /// Within a call that has succeeded: hands on what these tickets were granted.
    pub(super) fn wake<'a>(
        self: &'a Arc<Self>,
        guest: &'a mut Guest<'_, LockingModule>,
        mut woken: Vec<String>,
    ) -> CallFuture<'a, ()> {
        Box::pin(async move {
            while !woken.is_empty() {
                match guest.module.call_poll(&mut *guest.store, &woken, 0).await? {
                    Ok(polled) => woken = self.take(polled),
                    // What cannot be told now is told when it is looked again.
                    Err(_) => {
                        self.waiters.look_at_all();
                        break;
                    }
                }
            }
            Ok(Ok(()))
        })
    }

    /// Takes in what a poll found, and gives the tickets to be polled next.
    fn take(self: &Arc<Self>, polled: contract::Polled) -> Vec<String> {
        for (ticket, turn) in polled.turns {
            let hold = match turn {
                contract::Turn::Granted(grant) => Some(self.hold(grant)),
                contract::Turn::Gone => None,
            };
            if let Some(hold) = self.waiters.tell(&ticket, hold)
                && !self.provider.is_single()
            {
                self.keep(ticket, hold);
            }
        }
        self.waiters.due_in(&self.clock, polled.next_due_ms);
        polled.woken
    }

    /// Asks after these tickets, or, of none, what time has brought.
    pub(super) async fn poll(self: &Arc<Self>, tickets: Vec<String>) -> Result<(), Contract> {
        self.poll_for(tickets, 0).await
    }

    /// As [`Core::poll`], and waits in the provider if there is nothing to say.
    pub(super) async fn listen(self: Arc<Self>, tickets: Vec<String>) -> Result<(), Contract> {
        // A call that waits has an instance to itself; with one for all it would hold
        // up everybody.
        let alone = self.provider.limits().instances.get() == 1;
        let wait_ms = if alone { POLL_BETWEEN_MS } else { POLL_WAIT_MS };
        self.poll_for(tickets, wait_ms).await
    }

    async fn poll_for(
        self: &Arc<Self>,
        tickets: Vec<String>,
        wait_ms: u64,
    ) -> Result<(), Contract> {
        self.call(move |mut guest, core| {
            Box::pin(async move {
                let polled = guest.module.call_poll(&mut *guest.store, &tickets, wait_ms).await?;
                match polled {
                    Ok(polled) => {
                        let woken = core.take(polled);
                        core.wake(&mut guest, woken).await?.ok();
                        Ok(Ok(()))
                    }
                    Err(error) => Ok(Err(error)),
                }
            })
        })
        .await
    }

    /// Gives up places in the queue.
    pub(super) async fn abandon(self: &Arc<Self>, tickets: Vec<String>) -> Result<(), Contract> {
        self.call(move |mut guest, core| {
            Box::pin(async move {
                match guest.module.call_abandon(&mut *guest.store, &tickets).await? {
                    Ok(woken) => {
                        core.wake(&mut guest, woken).await?.ok();
                        Ok(Ok(()))
                    }
                    Err(error) => Ok(Err(error)),
                }
            })
        })
        .await
    }

    /// Ends leases and serves requests, both in one call.
    ///
    /// The outer error is that of a call that came to no end, the inner one what the
    /// provider says.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        tokens: Arc<Vec<String>>,
        requests: Arc<Vec<contract::Request>>,
    ) -> Result<Result<Exchange, Contract>, Contract> {
        let wants = !requests.is_empty();
        let exchanged = self.call(move |mut guest, core| {
            Box::pin(async move {
                let store = &mut *guest.store;
                let exchanged = match guest.module.call_exchange(store, &tokens, &requests).await? {
                    Ok(exchanged) => exchanged,
                    Err(error) => return Ok(Ok(Err(error))),
                };
                let contract::Exchanged { lost, answers, woken } = exchanged;
                // First, so that a ticket of this very call is known when it is told.
                let answers = core.answered(&requests, answers);
                if !woken.is_empty() {
                    core.wake(&mut guest, woken).await?.ok();
                }
                Ok(Ok(Ok(Exchange { lost, answers })))
            })
        });
        let exchanged = exchanged.await;
        if let Ok(Err(Contract::Timeout(_) | Contract::Unavailable(_))) = &exchanged
            && wants
            && !self.provider.is_single()
        {
            self.settle_later();
        }
        exchanged
    }

    /// Asks each instance that has nothing to do: with what it is asked it sends what it
    /// has to give up, and without load it might not be asked again.
    pub(super) async fn settle(self: &Arc<Self>) -> Result<(), Contract> {
        let core = Arc::clone(self);
        self.provider
            .visit(move |guest| {
                let core = Arc::clone(&core);
                Box::pin(async move {
                    let polled = guest.module.call_poll(guest.store, &[], 0).await?;
                    Ok(polled.map(|polled| drop(core.take(polled))))
                })
            })
            .await
    }

    /// Takes responsibility for what was granted.
    fn answered(
        self: &Arc<Self>,
        requests: &[contract::Request],
        answers: Vec<contract::Answer>,
    ) -> Vec<Result<Answered, Contract>> {
        let take = |(request, answer): (&contract::Request, _)| match answer {
            contract::Answer::Granted(grant) => Ok(Answered::Held(self.hold(grant))),
            contract::Answer::Queued(queued) => {
                Ok(Answered::Waits(self.place(queued, request.clone())))
            }
            contract::Answer::Refused(error) => Err(error),
        };
        // What was granted for a request that is none is nobody's, and expires.
        requests.iter().zip(answers).map(take).collect()
    }

    /// Sets a lease's time to live.
    pub(super) async fn extend(
        self: &Arc<Self>,
        token: String,
        ttl_ms: Option<u64>,
    ) -> Result<(), Error> {
        let lost = self.call(move |guest, _| {
            Box::pin(async move {
                let extensions = [contract::Extension { token, ttl_ms }];
                guest.module.call_extend(guest.store, &extensions).await
            })
        });
        let lost = lost.await?;
        // The moment that somebody waits for may be another now.
        self.waiters.look();
        if lost.is_empty() { Ok(()) } else { Err(super::lost()) }
    }
}

impl Hold {
    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn fence(&self) -> u64 {
        self.fence
    }

    pub(super) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Leaves the lease to whoever gets its token.
    pub(super) fn let_go(&mut self) -> String {
        self.token.take().unwrap_or_default()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.core.end_later(token);
        }
    }
}

/// A wait of real time before asking again a provider that fails.
pub(super) async fn pause(failures: u32) {
    let wait = Duration::from_millis(25).saturating_mul(1 << failures.min(5));
    tokio::time::sleep(wait).await;
}
