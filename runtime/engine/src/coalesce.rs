//! Calls that arrive while as many as may are under way share the next ones.
//!
//! An instance serves one call at a time, so under load callers wait anyway;
//! waiting together they pay once for the crossing into the guest, and a
//! durable provider commits once for all of them. Nobody is made to wait for
//! company: a caller that finds an instance free goes at once and alone.
//!
//! How many calls may be under way is a question of what a call costs. A few share out
//! those that wait into batches of a good size: with 64 callers of `cache-redis`, 3 side
//! by side do 159,000 sets a second, and 8 do 93,000 with nearly twice the processor
//! time for each (`stheno-bench cache-redis`, on two processors). But where a server is far away, a
//! caller that waits for a call to end loses more than a call of its own costs; so if
//! even the quickest of the latest calls took long, as many go as there are instances.
//!
//! The first caller makes its call itself. When that has ended and others wait, a
//! task takes them on, batch after batch, up to the limits of the [`Batch`],
//! until nobody waits. It is a task and not one of the waiting callers, because
//! everybody waits for it: a caller that is polled no more, or goes away, must
//! not hold up the others ([`Driven`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use stheno_contracts::Error;
use tokio::sync::oneshot;

use crate::driven::{Driven, stopping};

/// A call that takes so long waits for something else than this machine.
const LONG: Duration = Duration::from_millis(1);
/// So many calls tell how long one takes at least.
const OBSERVED: u32 = 64;

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

    /// Makes the call: an answer for each request, in their order. It is
    /// carried to its end whatever becomes of the callers, so it may use
    /// [`Provider::call_carried`](crate::Provider::call_carried).
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
    /// Calls side by side where one is quick, and where it takes long.
    few: usize,
    many: usize,
    max_waiting: usize,
}

struct State<B: Batch> {
    waiting: VecDeque<Waiting<B>>,
    under_way: usize,
    /// The quickest of the calls that were observed last, and of those since.
    quickest: Duration,
    so_far: Duration,
    observed: u32,
}

struct Waiting<B: Batch> {
    request: B::Request,
    reply: oneshot::Sender<Result<B::Answer, Error>>,
}

impl<B: Batch> Coalescer<B> {
    /// Gathers for `batch`, one call after the other; at most `max_waiting` callers
    /// wait.
    pub fn new(batch: B, max_waiting: usize) -> Self {
        Self::side_by_side(batch, max_waiting, 1, 1)
    }

    /// Gathers for `batch`, with up to `few` calls side by side, among which those that
    /// wait are shared out; up to `many` where each takes long.
    pub fn side_by_side(batch: B, max_waiting: usize, few: usize, many: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            under_way: 0,
            quickest: Duration::ZERO,
            so_far: Duration::MAX,
            observed: 0,
        };
        let (many, state) = (many.max(1), Mutex::new(state));
        let few = few.clamp(1, many);
        Self { shared: Arc::new(Shared { batch, state, few, many, max_waiting }) }
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
    /// One more may be under way: it goes at once.
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
        if state.under_way < self.places(&state) {
            state.under_way += 1;
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

    /// How many calls may be under way.
    fn places(&self, state: &State<B>) -> usize {
        if state.quickest < LONG { self.few } else { self.many }
    }

    /// Makes a call.
    async fn call(&self, requests: Vec<B::Request>) -> Vec<Result<B::Answer, Error>> {
        let begun = Instant::now();
        let answers = self.batch.run(requests).await;
        if self.few < self.many {
            self.lock().observe(begun.elapsed());
        }
        answers
    }

    /// The call of a caller that need not wait.
    async fn first(self: Arc<Self>, request: B::Request) -> Result<B::Answer, Error> {
        let turn = Turn(self);
        turn.0.call(vec![request]).await.pop().unwrap_or_else(|| Err(stopping()))
    }

    /// The calls of those that wait, until nobody does.
    async fn others(self: Arc<Self>) {
        let turn = Turn(self);
        loop {
            let_others_run().await;
            let batch = turn.0.gather(&mut turn.0.lock());
            if batch.is_empty() {
                return;
            }
            let (requests, replies): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|waiting| (waiting.request, waiting.reply)).unzip();
            let answers = turn.0.call(requests).await;
            for (reply, answer) in replies.into_iter().zip(answers) {
                // A caller that went away does not want its answer.
                let _ = reply.send(answer);
            }
        }
    }

    /// Takes the next batch from those that wait.
    fn gather(&self, state: &mut State<B>) -> VecDeque<Waiting<B>> {
        // Not while there are more than may be, now that calls are quick.
        if state.under_way > self.places(state) {
            return VecDeque::new();
        }
        state.waiting.retain(|waiting| !waiting.reply.is_closed());
        // The others that are under way will take their share.
        let share = state.waiting.len().div_ceil(self.places(state));
        let max_requests = self.batch.max_requests().min(share);
        let max_weight = self.batch.max_weight();
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

impl<B: Batch> State<B> {
    fn observe(&mut self, took: Duration) {
        self.so_far = self.so_far.min(took);
        // The first quick one is enough to know that they can be.
        self.quickest = self.quickest.min(took);
        self.observed += 1;
        if self.observed == OBSERVED {
            self.quickest = std::mem::replace(&mut self.so_far, Duration::MAX);
            self.observed = 0;
        }
    }
}

/// A call under way. Its end, even by a panic, is the next one's turn.
struct Turn<B: Batch>(Arc<Shared<B>>);

impl<B: Batch> Drop for Turn<B> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.waiting.is_empty() || state.under_way > self.0.places(&state) {
            state.under_way -= 1;
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                drop(state);
                runtime.spawn(Arc::clone(&self.0).others());
            }
            // The host is stopping. Who waits is told so by the loss of what was
            // to answer him.
            Err(_) => {
                state.under_way -= 1;
                state.waiting.clear();
            }
        }
    }
}

/// Goes to the end of the thread's queue of tasks. Those that have just been
/// answered stand there, and most of them ask again: then they are in the next
/// batch and not in the one after it.
async fn let_others_run() {
    let mut went = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut went, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Waker};

    use tokio::sync::Semaphore;

    use super::*;

    /// Doubles numbers, at most four or a sum of 100 at a time, each batch when
    /// it is allowed to. Refuses 13, and panics at 99.
    struct Doubling {
        allowed: Semaphore,
        batches: Mutex<Vec<Vec<u32>>>,
    }

    impl Batch for Doubling {
        type Request = u32;
        type Answer = u32;

        fn max_requests(&self) -> usize {
            4
        }

        fn max_weight(&self) -> usize {
            100
        }

        fn weight(&self, request: &u32) -> usize {
            *request as usize
        }

        async fn run(&self, requests: Vec<u32>) -> Vec<Result<u32, Error>> {
            self.allowed.acquire().await.unwrap().forget();
            self.batches.lock().unwrap().push(requests.clone());
            let double = |n: u32| match n {
                13 => Err(Error::Conflict("unlucky".into())),
                99 => panic!("told to"),
                n => Ok(n * 2),
            };
            requests.into_iter().map(double).collect()
        }
    }

    fn doubling(allowed: usize, max_waiting: usize) -> Coalescer<Doubling> {
        let allowed = Semaphore::new(allowed);
        Coalescer::new(Doubling { allowed, batches: Mutex::default() }, max_waiting)
    }

    impl Coalescer<Doubling> {
        fn batches(&self) -> Vec<Vec<u32>> {
            self.batch().batches.lock().unwrap().clone()
        }
    }

    /// Polls once: the request is made, or waits.
    macro_rules! begin {
        ($future:expr) => {{
            let mut future = Box::pin($future);
            let first = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(first.is_pending());
            future
        }};
    }

    #[tokio::test]
    async fn who_comes_during_a_call_shares_the_next_within_its_bounds() {
        let gather = doubling(0, 100);
        let asked = [1, 2, 3, 4, 5, 6, 60, 50, 200, 7].map(|n| begin!(gather.ask(n)));
        gather.batch().allowed.add_permits(100);
        let mut answers = Vec::new();
        for asked in asked {
            answers.push(asked.await.unwrap());
        }
        assert_eq!(answers, [2, 4, 6, 8, 10, 12, 120, 100, 400, 14]);
        let batches: [&[u32]; 6] = [&[1], &[2, 3, 4, 5], &[6, 60], &[50], &[200], &[7]];
        assert_eq!(gather.batches(), batches);
    }

    #[tokio::test]
    async fn as_many_as_may_are_under_way_and_share_out_who_waits() {
        let batch = Doubling { allowed: Semaphore::new(0), batches: Mutex::default() };
        let gather = Coalescer::side_by_side(batch, 100, 2, 2);
        let asked = [1, 2, 3, 4, 5, 6, 7].map(|n| begin!(gather.ask(n)));
        gather.batch().allowed.add_permits(100);
        let mut answers = Vec::new();
        for asked in asked {
            answers.push(asked.await.unwrap());
        }
        assert_eq!(answers, [2, 4, 6, 8, 10, 12, 14]);
        let batches = gather.batches();
        assert_eq!(batches[..2], [[1], [2]]);
        // Of five that wait the first takes three, and of two the next takes one.
        assert_eq!(batches[2..4], [vec![3, 4, 5], vec![6]]);
        assert!(matches!(gather.ask(8).await, Ok(16)));
    }

    #[test]
    fn more_go_side_by_side_where_even_the_quickest_takes_long_until_one_does_not() {
        let batch = Doubling { allowed: Semaphore::new(0), batches: Mutex::default() };
        let shared = Coalescer::side_by_side(batch, 100, 2, 8).shared;
        let mut state = shared.lock();
        assert_eq!(shared.places(&state), 2);
        for _ in 0..OBSERVED {
            assert_eq!(shared.places(&state), 2);
            state.observe(3 * LONG);
        }
        assert_eq!(shared.places(&state), 8);
        state.observe(LONG / 2);
        assert_eq!(shared.places(&state), 2);
        // That one counts until so many were seen without any like it.
        for _ in 1..2 * OBSERVED {
            assert_eq!(shared.places(&state), 2);
            state.observe(2 * LONG);
        }
        assert_eq!(shared.places(&state), 8);
    }

    #[tokio::test]
    async fn each_gets_his_own_answer_and_no_more_wait_than_may() {
        let gather = doubling(0, 2);
        let asked = [1, 13, 2].map(|n| begin!(gather.ask(n)));
        assert!(matches!(gather.ask(3).await, Err(Error::Unavailable(_))));
        gather.batch().allowed.add_permits(2);
        let [first, unlucky, last] = asked;
        assert!(matches!(first.await, Ok(2)));
        assert!(matches!(unlucky.await, Err(Error::Conflict(_))));
        assert!(matches!(last.await, Ok(4)));
    }

    #[tokio::test]
    async fn who_goes_away_before_his_turn_is_not_asked_for_and_after_it_changes_nothing() {
        let gather = doubling(0, 100);
        let [first, gone, stays] = [1, 2, 3].map(|n| begin!(gather.ask(n)));
        drop((first, gone));
        gather.batch().allowed.add_permits(2);
        assert!(matches!(stays.await, Ok(6)));
        assert_eq!(gather.batches(), [[1], [3]]);
    }

    #[tokio::test]
    async fn callers_that_are_polled_no_more_hold_nobody_up() {
        let gather = doubling(100, 100);
        let lying = {
            let _none = gather.batch().allowed.try_acquire_many(100).unwrap();
            [1, 2].map(|n| begin!(gather.ask(n)))
        };
        assert!(matches!(gather.ask(3).await, Ok(6)));
        for (lying, answer) in lying.into_iter().zip([2, 4]) {
            assert_eq!(lying.await.ok(), Some(answer));
        }
    }

    #[tokio::test]
    async fn a_batch_that_panics_passes_the_turn_on() {
        let gather = Arc::new(doubling(0, 100));
        let panics = tokio::spawn({
            let gather = Arc::clone(&gather);
            async move { gather.ask(99).await }
        });
        while gather.shared.lock().under_way == 0 {
            tokio::task::yield_now().await;
        }
        let mut after = pin!(gather.ask(1));
        assert!(after.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        gather.batch().allowed.add_permits(2);
        assert!(panics.await.unwrap_err().is_panic());
        assert!(matches!(after.await, Ok(2)));
        gather.batch().allowed.add_permits(1);
        assert!(matches!(gather.ask(2).await, Ok(4)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_is_forgotten_whatever_the_order_of_things() {
        let gather = Arc::new(doubling(100_000, 100));
        let answered = Arc::new(AtomicU32::new(0));
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..64_u32 {
            let (gather, answered) = (Arc::clone(&gather), Arc::clone(&answered));
            callers.spawn(async move {
                for n in 0..200 {
                    let number = 200 + caller * 1_000 + n;
                    assert_eq!(gather.ask(number).await.ok(), Some(number * 2));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        callers.join_all().await;
        assert_eq!(answered.load(Ordering::Relaxed), 64 * 200);
        // The last turn ends by itself.
        while gather.shared.lock().under_way > 0 {
            tokio::task::yield_now().await;
        }
    }
}
