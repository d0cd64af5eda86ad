//! Calls that arrive while one is under way share the next one.
//!
//! An instance serves one call at a time, so under load callers wait anyway;
//! waiting together they pay once for the crossing into the guest, and a
//! durable provider commits once for all of them. Nobody is made to wait for
//! company: a caller that finds nothing under way goes at once and alone.
//!
//! The first caller makes its call itself. When that has ended and others wait, a
//! task takes them on, batch after batch, up to the limits of the [`Batch`],
//! until nobody waits. It is a task and not one of the waiting callers, because
//! everybody waits for it: a caller that is polled no more, or goes away, must
//! not hold up the others ([`Driven`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use stheno_contracts::Error;
use tokio::sync::oneshot;

use crate::driven::{Driven, stopping};

/// How one kind of call is made for many callers.
pub trait Batch: Send + Sync + 'static {
    /// What one caller asks.
    type Request: Send + 'static;
    /// What it gets.
    type Answer: Send + 'static;

    /// The most requests in one batch.
    fn max_requests(&self) -> usize;

    /// The most weight in one batch; one request may weigh more, alone.
    fn max_weight(&self) -> usize;

    /// The weight of one request.
    fn weight(&self, request: &Self::Request) -> usize;

    /// Makes the call: an answer for each request, in their order.
    fn run(
        &self,
        requests: Vec<Self::Request>,
    ) -> impl Future<Output = Vec<Result<Self::Answer, Error>>> + Send;
}

/// Gathers requests into batches.
pub struct Coalescer<B: Batch> {
    shared: Arc<Shared<B>>,
}

struct Shared<B: Batch> {
    batch: B,
    state: Mutex<State<B>>,
    max_waiting: usize,
}

struct State<B: Batch> {
    waiting: VecDeque<Waiting<B>>,
    under_way: bool,
}

struct Waiting<B: Batch> {
    request: B::Request,
    reply: oneshot::Sender<Result<B::Answer, Error>>,
}

impl<B: Batch> Coalescer<B> {
    /// Gathers for `batch`; at most `max_waiting` callers wait.
    pub fn new(batch: B, max_waiting: usize) -> Self {
        let state = State { waiting: VecDeque::new(), under_way: false };
        Self { shared: Arc::new(Shared { batch, state: Mutex::new(state), max_waiting }) }
    }

    /// How the calls are made.
    pub fn batch(&self) -> &B {
        &self.shared.batch
    }

    /// Asks, alone or in company.
    ///
    /// # Errors
    ///
    /// What the batch answered to this request; `unavailable` when too many
    /// wait already.
    pub async fn ask(&self, request: B::Request) -> Result<B::Answer, Error> {
        match self.shared.join(request)? {
            Joined::First(request) => {
                Driven::carried(Arc::clone(&self.shared).first(request)).await
            }
            Joined::Waits(answer) => answer.await.unwrap_or_else(|_| Err(stopping())),
        }
    }
}

/// What becomes of a request that has just come.
enum Joined<B: Batch> {
    /// Nothing is under way: it goes at once.
    First(B::Request),
    /// It is answered here.
    Waits(oneshot::Receiver<Result<B::Answer, Error>>),
}

impl<B: Batch> Shared<B> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, request: B::Request) -> Result<Joined<B>, Error> {
        let mut state = self.lock();
        if !state.under_way {
            state.under_way = true;
            return Ok(Joined::First(request));
        }
        if state.waiting.len() >= self.max_waiting {
            return Err(Error::Unavailable(format!(
                "busy: limits.queue = {} calls wait already; try again later",
                self.max_waiting
            )));
        }
        let (reply, receiver) = oneshot::channel();
        state.waiting.push_back(Waiting { request, reply });
        Ok(Joined::Waits(receiver))
    }

    /// The call of a caller that found nothing under way.
    async fn first(self: Arc<Self>, request: B::Request) -> Result<B::Answer, Error> {
        let turn = Turn(self);
        turn.0.batch.run(vec![request]).await.pop().unwrap_or_else(|| Err(stopping()))
    }

    /// The calls of those that waited, all of them.
    async fn others(self: Arc<Self>, mut batch: VecDeque<Waiting<B>>) {
        let turn = Turn(self);
        while !batch.is_empty() {
            let (requests, replies): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.request, waiting.reply)).unzip();
            let answers = turn.0.batch.run(requests).await;
            for (reply, answer) in replies.into_iter().zip(answers) {
                // A caller that went away does not want its answer.
                let _ = reply.send(answer);
            }
            batch = turn.0.gather(&mut turn.0.lock());
        }
    }

    /// Takes the next batch from those that wait.
    fn gather(&self, state: &mut State<B>) -> VecDeque<Waiting<B>> {
        state.waiting.retain(|waiting| !waiting.reply.is_closed());
        let (max_requests, max_weight) = (self.batch.max_requests(), self.batch.max_weight());
        let mut weight = 0_usize;
        let mut count = 0;
        for waiting in state.waiting.iter().take(max_requests) {
            weight = weight.saturating_add(self.batch.weight(&waiting.request));
            if count > 0 && weight > max_weight {
                break;
            }
            count += 1;
        }
        state.waiting.drain(..count).collect()
    }
}

/// A call under way. Its end, even by a panic, is the next one's turn.
struct Turn<B: Batch>(Arc<Shared<B>>);

impl<B: Batch> Drop for Turn<B> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let batch = self.0.gather(&mut state);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !batch.is_empty() => {
                drop(state);
                runtime.spawn(Arc::clone(&self.0).others(batch));
            }
            // Nobody waits; or the host is stopping, and who waits is told so
            // by the loss of what was to answer him.
            _ => {
                state.under_way = false;
                state.waiting.clear();
            }
        }
    }
}
