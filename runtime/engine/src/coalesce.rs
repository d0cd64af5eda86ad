//! Calls that arrive while one is under way share the next one.
//!
//! An instance serves one call at a time, so under load callers wait anyway;
//! waiting together they pay once for the crossing into the guest, and a
//! durable provider commits once for all of them. Nobody is made to wait for
//! company: a caller that finds nothing under way goes at once and alone.
//!
//! The caller whose turn it is leads: it takes what waits, up to the limits of
//! the [`Batch`], runs it as its own work, hands out the answers and passes the
//! lead to the next waiting caller. A leader that goes away leaves its batch
//! running ([`Detached`]); a caller that was given the lead and goes away before
//! it took it passes it on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use stheno_contracts::Error;
use tokio::sync::oneshot;

use crate::single::Detached;

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
    reply: oneshot::Sender<Message<B>>,
}

enum Message<B: Batch> {
    Answer(Result<B::Answer, Error>),
    /// Your request is the first of this batch: run it.
    Lead(B::Request, Vec<Waiting<B>>),
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
        let receiver = match self.shared.join(request)? {
            Joined::First(request) => return self.shared.lead(request, Vec::new()).await,
            Joined::Waits(receiver) => receiver,
        };
        let mut turn = Turn { shared: &self.shared, receiver };
        let message = (&mut turn.receiver).await;
        match message {
            Ok(Message::Answer(answer)) => answer,
            Ok(Message::Lead(request, others)) => self.shared.lead(request, others).await,
            Err(_) => Err(lost()),
        }
    }
}

/// What becomes of a request that has just come.
enum Joined<B: Batch> {
    /// Nothing is under way: it goes at once.
    First(B::Request),
    /// It is answered here.
    Waits(oneshot::Receiver<Message<B>>),
}

fn lost() -> Error {
    Error::Unavailable("the host is stopping".into())
}

/// A caller's turn to be answered, or to lead.
struct Turn<'a, B: Batch> {
    shared: &'a Arc<Shared<B>>,
    receiver: oneshot::Receiver<Message<B>>,
}

impl<B: Batch> Drop for Turn<'_, B> {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(Message::Lead(_, others)) = self.receiver.try_recv() {
            self.shared.pass_on(others.into());
        }
    }
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

    async fn lead(
        self: &Arc<Self>,
        request: B::Request,
        others: Vec<Waiting<B>>,
    ) -> Result<B::Answer, Error> {
        let shared = Arc::clone(self);
        Detached::new(async move {
            // Passes the lead on even if the batch panics.
            let turn = Lead(shared);
            let mut requests = Vec::with_capacity(others.len() + 1);
            let mut replies = Vec::with_capacity(others.len());
            requests.push(request);
            for waiting in others {
                requests.push(waiting.request);
                replies.push(waiting.reply);
            }
            let mut answers = turn.0.batch.run(requests).await.into_iter();
            let own = answers.next().unwrap_or_else(|| Err(lost()));
            for (reply, answer) in replies.into_iter().zip(answers) {
                // A caller that went away does not want its answer.
                let _ = reply.send(Message::Answer(answer));
            }
            own
        })
        .await
    }

    /// Gives the lead to the first of those that still wait.
    fn pass_on(&self, mut batch: VecDeque<Waiting<B>>) {
        loop {
            if batch.is_empty() {
                let mut state = self.lock();
                batch = self.gather(&mut state);
                if batch.is_empty() {
                    state.under_way = false;
                    return;
                }
            }
            let Some(Waiting { request, reply }) = batch.pop_front() else { continue };
            match reply.send(Message::Lead(request, batch.into())) {
                Ok(()) => return,
                Err(Message::Lead(_, others)) => batch = others.into(),
                Err(Message::Answer(_)) => return,
            }
        }
    }

    /// Takes the next batch from those that wait.
    fn gather(&self, state: &mut State<B>) -> VecDeque<Waiting<B>> {
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

struct Lead<B: Batch>(Arc<Shared<B>>);

impl<B: Batch> Drop for Lead<B> {
    fn drop(&mut self) {
        self.0.pass_on(VecDeque::new());
    }
}
