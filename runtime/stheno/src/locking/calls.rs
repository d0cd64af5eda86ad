//! The calls into the provider.
//!
//! Acquiring and releasing are gathered, both in one batch: first all that is let
//! go, then all that is wanted. Where many instances serve, two batches are
//! under way, which share out who waits.
//!
//! A batch in which a single instance dies is made again one request at a time, so
//! that a request that kills it costs nobody else theirs; what was granted in it
//! died with it. Where many serve, what was done is done, and each caller gets the
//! error.

use std::sync::Arc;

use stheno_contracts::Error as Contract;
use stheno_contracts::locking as contract;
use stheno_engine::{Batch, Clock, Coalescer, LockingModule, Provider};

use super::core::{Answered, Core, Hold};
use super::waiters::{Place, Turn};
use crate::{Error, ErrorKind};

/// The most requests in one batch, and about the most bytes.
const BATCH_REQUESTS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;
/// Batches under way where many instances serve and a call is quick: the next is written
/// while the server has one. With more they only get smaller, and cost the server more for each
/// request: with 2, 3 and 4 `locking-redis` does 65,000, 57,000 and 45,000 pairs a second
/// for 64 callers (`stheno-bench locking-redis`, on two processors).
const SIDE_BY_SIDE: usize = 2;

pub(super) struct Calls {
    core: Arc<Core>,
    gathered: Coalescer<Operations>,
}

/// What is gathered.
enum Operation {
    Acquire(contract::Request),
    Release(String),
}

/// What came of it.
enum Done {
    Held(Hold),
    Waits(Place),
    /// Whether the lease was still there.
    Released(bool),
}

struct Operations(Arc<Core>);

impl Calls {
    pub(super) fn new(provider: Provider<LockingModule>, clock: Clock) -> Self {
        let core = Core::new(provider, clock);
        let limits = core.provider().limits();
        let waiting = limits.queue.get() as usize;
        let many = if core.provider().is_single() { 1 } else { limits.instances.get() as usize };
        let operations = Operations(Arc::clone(&core));
        let gathered = Coalescer::side_by_side(operations, waiting, SIDE_BY_SIDE, many);
        Self { core, gathered }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    async fn ask(&self, operation: Operation) -> Result<Done, Contract> {
        self.gathered.ask(operation).await
    }

    /// Acquires, and waits for its turn if the request says so.
    pub(super) async fn acquire(&self, mut request: contract::Request) -> Result<Hold, Error> {
        loop {
            match self.ask(Operation::Acquire(request)).await? {
                Done::Held(hold) => return Ok(hold),
                Done::Waits(mut place) => match place.turn().await? {
                    Turn::Held(hold) => return Ok(hold),
                    Turn::Again(again) => request = again,
                },
                Done::Released(_) => return Err(mixed_up()),
            }
        }
    }

    /// Ends a lease, and says whether it was still there.
    pub(super) async fn release(&self, token: String) -> Result<bool, Error> {
        match self.ask(Operation::Release(token)).await? {
            Done::Released(released) => Ok(released),
            Done::Held(_) | Done::Waits(_) => Err(mixed_up()),
        }
    }

    pub(super) async fn release_keys(
        &self,
        keys: Vec<String>,
        owner: Option<String>,
    ) -> Result<u64, Error> {
        let freed = self.core.call(move |mut guest, core| {
            Box::pin(async move {
                let (store, owner) = (&mut *guest.store, owner.as_deref());
                match guest.module.call_release_keys(store, &keys, owner).await? {
                    Ok(freed) => {
                        core.wake(&mut guest, freed.woken).await?.ok();
                        Ok(Ok(freed.keys))
                    }
                    Err(error) => Ok(Err(error)),
                }
            })
        });
        Ok(freed.await?)
    }

    pub(super) async fn release_all(&self, owner: Option<String>) -> Result<u64, Error> {
        let freed = self.core.call(move |mut guest, core| {
            Box::pin(async move {
                let store = &mut *guest.store;
                match guest.module.call_release_all(store, owner.as_deref()).await? {
                    Ok(freed) => {
                        core.wake(&mut guest, freed.woken).await?.ok();
                        Ok(Ok(freed.keys))
                    }
                    Err(error) => Ok(Err(error)),
                }
            })
        });
        Ok(freed.await?)
    }

    pub(super) async fn inspect(
        &self,
        keys: Vec<String>,
    ) -> Result<Vec<Option<contract::Lock>>, Error> {
        let asked = keys.len();
        let locks = self.core.call(move |guest, _| {
            Box::pin(async move { guest.module.call_inspect(guest.store, &keys).await })
        });
        let locks = locks.await?;
        if locks.len() == asked { Ok(locks) } else { Err(mixed_up()) }
    }

    pub(super) async fn held(
        &self,
        owner: Option<String>,
        after: Option<String>,
        max: u32,
    ) -> Result<contract::LockPage, Error> {
        let page = self.core.call(move |guest, _| {
            Box::pin(async move {
                let (owner, after) = (owner.as_deref(), after.as_deref());
                guest.module.call_held(guest.store, owner, after, max).await
            })
        });
        Ok(page.await?)
    }
}

fn mixed_up() -> Error {
    Error::new(ErrorKind::Internal, "the provider answered something else than was asked")
}

impl Operations {
    async fn alone(&self, operation: Operation) -> Result<Done, Contract> {
        let (tokens, requests) = match operation {
            Operation::Release(token) => (vec![token], Vec::new()),
            Operation::Acquire(request) => (Vec::new(), vec![request]),
        };
        let releases = !tokens.is_empty();
        let mut done = self.0.exchange(Arc::new(tokens), Arc::new(requests)).await??;
        if releases {
            return Ok(Done::Released(done.lost.is_empty()));
        }
        done.answers.pop().map_or_else(|| Err(no_answer()), |answer| answer.map(Done::from))
    }
}

impl From<Answered> for Done {
    fn from(answered: Answered) -> Self {
        match answered {
            Answered::Held(hold) => Self::Held(hold),
            Answered::Waits(place) => Self::Waits(place),
        }
    }
}

fn no_answer() -> Contract {
    Contract::Internal("the provider gave fewer answers than it got requests".into())
}

impl Batch for Operations {
    type Request = Operation;
    type Answer = Done;

    fn max_requests(&self) -> usize {
        BATCH_REQUESTS
    }

    fn max_weight(&self) -> usize {
        BATCH_BYTES
    }

    fn weight(&self, operation: &Operation) -> usize {
        match operation {
            Operation::Acquire(request) => request.keys.iter().map(String::len).sum(),
            Operation::Release(token) => token.len(),
        }
    }

    async fn run(&self, mut operations: Vec<Operation>) -> Vec<Result<Done, Contract>> {
        if operations.len() == 1
            && let Some(operation) = operations.pop()
        {
            return vec![self.alone(operation).await];
        }
        let (mut tokens, mut requests) = (Vec::new(), Vec::new());
        let mut order = Vec::with_capacity(operations.len());
        for operation in operations {
            order.push(matches!(operation, Operation::Release(_)));
            match operation {
                Operation::Acquire(request) => requests.push(request),
                Operation::Release(token) => tokens.push(token),
            }
        }
        let (tokens, requests) = (Arc::new(tokens), Arc::new(requests));
        let exchanged = self.0.exchange(Arc::clone(&tokens), Arc::clone(&requests)).await;
        let mut tokens = recover(tokens).into_iter();
        let exchange = match exchanged {
            Ok(Ok(exchange)) => exchange,
            Err(_) if self.0.provider().is_single() => {
                let mut requests = recover(requests).into_iter();
                let mut answers = Vec::with_capacity(order.len());
                for is_release in order {
                    let operation = if is_release {
                        tokens.next().map(Operation::Release)
                    } else {
                        requests.next().map(Operation::Acquire)
                    };
                    if let Some(operation) = operation {
                        answers.push(self.alone(operation).await);
                    }
                }
                return answers;
            }
            Ok(Err(error)) | Err(error) => {
                return order.into_iter().map(|_| Err(error.clone())).collect();
            }
        };
        let mut answers = exchange.answers.into_iter();
        let mut released = tokens.map(|token| Done::Released(!exchange.lost.contains(&token)));
        order
            .into_iter()
            .map(|is_release| match is_release {
                true => released.next().ok_or_else(no_answer),
                false => answers.next().ok_or_else(no_answer)?.map(Done::from),
            })
            .collect()
    }
}

/// What a call was made with.
fn recover<T: Clone>(items: Arc<Vec<T>>) -> Vec<T> {
    Arc::try_unwrap(items).unwrap_or_else(|shared| shared.as_ref().clone())
}
