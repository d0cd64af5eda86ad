//! The loop behind a subscriber: pull, run the handlers, settle.
//!
//! Handlers are polled once where they are pulled. One that is done by then,
//! as those that only compute or hand over are, costs no task; one that waits
//! gets a task of its own. Outcomes are settled in batches, whatever is there
//! when there is nothing else to do first.
//!
//! A pull under way is never dropped: the deliveries that it was about to bring
//! would be leased to nobody until their lease ran out. And it is never left
//! unpolled while the loop waits for another call: a provider of one instance
//! serves in the order of arrival, so that call would wait for the pull and the
//! pull for the loop. Hence it has a task of its own.
//!
//! All waits are until a moment and not for a duration, since the loop begins
//! them again whenever anything else happens.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use stheno_contracts::events as contract;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::args::MAX_ITEMS;
use super::calls::{Calls, PULL_WAIT};
use super::door::handling;
use super::subscriber::Handler;
use super::{Delivery, Pulled};
use crate::{Error, ErrorKind};

/// The most deliveries in one pull.
const BATCH: usize = 256;
/// How long handlers may go on once the subscriber is to stop; then they are
/// cut off and their events given back.
const GRACE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Without news, look again after this long: another process may have published.
const IDLE: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    pub(super) calls: Arc<Calls>,
    pub(super) subscription: contract::Subscription,
    pub(super) handler: Handler,
    pub(super) concurrency: usize,
    pub(super) lease: Duration,
}

/// What a subscriber is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Go on.
    Serving,
    /// Go on, and tell when in this round nothing was due and no handler ran.
    Draining(u64),
    /// End what was begun, and then.
    Stopping,
}

type Pull = JoinHandle<Result<Pulled, Error>>;

/// When to pull next.
enum Next {
    Now,
    /// On news, or at this moment of the clock.
    At(Duration),
}

impl Worker {
    pub(super) async fn run(self, mut phase: watch::Receiver<Phase>, idle: watch::Sender<u64>) {
        let clock = self.calls.clock().clone();
        let mut activity = self.calls.activity();
        let mut running: JoinSet<(String, contract::Verdict)> = JoinSet::new();
        let mut leased: HashSet<String> = HashSet::new();
        let mut outcomes = Vec::new();
        let mut pull: Option<Pull> = None;
        // When the pull began, and in which round of draining if no handler ran.
        let mut pull_began = Duration::ZERO;
        let mut quiet_round = None;
        let mut next = Next::Now;
        let mut pause = FIRST_PAUSE;
        let mut renew_at = Duration::ZERO;
        loop {
            let now = clock.monotonic();
            let current = *phase.borrow_and_update();
            if current == Phase::Stopping && pull.is_none() {
                break;
            }
            if let Phase::Draining(round) = current
                && running.is_empty()
                && pull.is_none()
                && *idle.borrow() < round
                // After a failure it waits as it does otherwise.
                && pause == FIRST_PAUSE
            {
                next = Next::Now;
            }
            if leased.is_empty() {
                renew_at = now.saturating_add(self.lease / 3);
            } else if now >= renew_at {
                self.renew(&leased).await;
                renew_at = now.saturating_add(self.lease / 3);
            }
            let room = self.concurrency.saturating_sub(running.len());
            if pull.is_none() && room > 0 && matches!(next, Next::Now) {
                activity.mark_unchanged();
                pull_began = now;
                pull = Some(self.pull(room.min(BATCH)));
                quiet_round = match current {
                    Phase::Draining(round) if running.is_empty() => Some(round),
                    _ => None,
                };
            }
            let wait_until = match (&pull, &next) {
                (None, Next::At(moment)) if room > 0 => Some(*moment),
                _ => None,
            };
            tokio::select! {
                biased;
                Some(pulled) = conditional(&mut pull) => {
                    pull = None;
                    next = match pulled.unwrap_or_else(|ended| Err(lost(&ended))) {
                        Ok(pulled) => {
                            pause = FIRST_PAUSE;
                            let due = pulled.next_due;
                            let any = !pulled.deliveries.is_empty();
                            for delivery in pulled.deliveries {
                                if current == Phase::Stopping {
                                    outcomes.push(outcome(delivery.token, contract::Verdict::Returned));
                                } else {
                                    self.begin(delivery, &mut running, &mut leased, &mut outcomes);
                                }
                            }
                            if let (false, Some(round)) = (any, quiet_round) {
                                idle.send_replace(round);
                            }
                            match due {
                                Some(Duration::ZERO) => Next::Now,
                                _ if any => Next::Now,
                                Some(due) => Next::At(pull_began.saturating_add(due)),
                                None if self.calls.provider().is_single() => Next::At(Duration::MAX),
                                None => Next::At(clock.monotonic().saturating_add(IDLE)),
                            }
                        }
                        Err(error) => {
                            self.explain(&error).await;
                            let wait = pause;
                            pause = (pause * 2).min(LONGEST_PAUSE);
                            Next::At(clock.monotonic().saturating_add(wait))
                        }
                    };
                }
                Some(done) = running.join_next() => {
                    finished(done, &mut leased, &mut outcomes);
                }
                _ = activity.changed(), if wait_until.is_some() => next = Next::Now,
                () = clock.sleep_until(wait_until.unwrap_or_default()), if wait_until.is_some() => {
                    next = Next::Now;
                }
                () = clock.sleep_until(renew_at), if !leased.is_empty() => {}
                _ = phase.changed() => {}
            }
            while let Some(done) = running.try_join_next() {
                finished(done, &mut leased, &mut outcomes);
            }
            self.settle(&mut outcomes).await;
        }
        self.finish(running, leased).await;
    }

    fn pull(&self, max: usize) -> Pull {
        let calls = Arc::clone(&self.calls);
        let id = self.subscription.id.clone();
        let lease = self.lease;
        let wait = if calls.provider().is_single() { Duration::ZERO } else { PULL_WAIT };
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        tokio::spawn(async move { calls.pull(id, max, wait, lease).await })
    }

    /// Runs the handler as far as it comes by itself.
    fn begin(
        &self,
        delivery: Delivery,
        running: &mut JoinSet<(String, contract::Verdict)>,
        leased: &mut HashSet<String>,
        outcomes: &mut Vec<contract::Outcome>,
    ) {
        let Delivery { token, event, .. } = delivery;
        let handler = Arc::clone(&self.handler);
        let handled = AssertUnwindSafe(handling(async move { handler(event).await }));
        let mut handling = Box::pin(handled.catch_unwind().map(|result| match result {
            Ok(Ok(())) => contract::Verdict::Handled,
            Ok(Err(failure)) => failure.verdict(),
            Err(panic) => contract::Verdict::Failed(describe(panic.as_ref())),
        }));
        // A waker that does nothing is enough: what is not done now is polled
        // again by its task.
        match handling.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(verdict) => outcomes.push(outcome(token, verdict)),
            Poll::Pending => {
                leased.insert(token.clone());
                running.spawn(async move { (token, handling.await) });
            }
        }
    }

    /// Records outcomes. If they cannot be recorded together they are tried
    /// once each, so that one that the provider cannot bear costs no other; what
    /// then fails is delivered again when its lease runs out.
    async fn settle(&self, outcomes: &mut Vec<contract::Outcome>) {
        while !outcomes.is_empty() {
            let some = outcomes.drain(..outcomes.len().min(MAX_ITEMS)).collect();
            self.settle_some(some).await;
        }
    }

    async fn settle_some(&self, all: Vec<contract::Outcome>) {
        let again = (all.len() > 1).then(|| all.clone());
        let mut lost = 0;
        match (self.calls.settle(all).await, again) {
            (Ok(tokens), _) => lost += tokens.len(),
            (Err(error), None) => self.unsettled(&error),
            (Err(_), Some(again)) => {
                for one in again {
                    match self.calls.settle(vec![one]).await {
                        Ok(tokens) => lost += tokens.len(),
                        Err(error) => self.unsettled(&error),
                    }
                }
            }
        }
        if lost > 0 {
            tracing::warn!(
                subscription = self.subscription.id,
                lost,
                "events were handled after their lease had run out, and come again"
            );
        }
    }

    fn unsettled(&self, error: &Error) {
        tracing::error!(
            subscription = self.subscription.id,
            %error,
            "an outcome was not recorded, the event comes again"
        );
    }

    async fn renew(&self, leased: &HashSet<String>) {
        let tokens: Vec<_> = leased.iter().cloned().collect();
        let lease_ms = super::args::millis(self.lease);
        for tokens in tokens.chunks(MAX_ITEMS) {
            if let Err(error) = self.calls.extend(tokens.to_vec(), lease_ms).await {
                let subscription = &self.subscription.id;
                tracing::warn!(subscription, %error, "leases were not renewed, events may come again");
            }
        }
    }

    /// A pull failed. A subscription that somebody removed is made again: as
    /// long as its subscriber lives, it is wanted.
    async fn explain(&self, error: &Error) {
        let subscription = &self.subscription.id;
        if error.kind() == ErrorKind::NotFound {
            tracing::warn!(subscription, "the subscription was removed, it is made again");
            if let Err(error) = self.calls.subscribe(self.subscription.clone()).await {
                tracing::error!(subscription, %error, "the subscription cannot be made again");
            }
        } else {
            tracing::error!(subscription, %error, "events cannot be pulled, trying again");
        }
    }

    /// Lets handlers end, and gives back the events of those that do not.
    async fn finish(
        &self,
        mut running: JoinSet<(String, contract::Verdict)>,
        mut leased: HashSet<String>,
    ) {
        let mut outcomes = Vec::new();
        let clock = self.calls.clock();
        let grace = tokio::time::sleep(GRACE);
        tokio::pin!(grace);
        let mut renew_at = clock.monotonic();
        loop {
            if clock.monotonic() >= renew_at && !leased.is_empty() {
                self.renew(&leased).await;
                renew_at = clock.monotonic().saturating_add(self.lease / 3);
            }
            tokio::select! {
                biased;
                done = running.join_next() => match done {
                    Some(done) => finished(done, &mut leased, &mut outcomes),
                    None => break,
                },
                () = clock.sleep_until(renew_at), if !leased.is_empty() => {}
                () = &mut grace => {
                    running.abort_all();
                    let given_back = leased.drain();
                    outcomes.extend(
                        given_back.map(|token| outcome(token, contract::Verdict::Returned)),
                    );
                    break;
                }
            }
        }
        self.settle(&mut outcomes).await;
    }
}

fn outcome(token: String, verdict: contract::Verdict) -> contract::Outcome {
    contract::Outcome { token, verdict }
}

fn finished(
    done: Result<(String, contract::Verdict), tokio::task::JoinError>,
    leased: &mut HashSet<String>,
    outcomes: &mut Vec<contract::Outcome>,
) {
    // Handlers catch their panics, so this is always the outcome; a task that
    // the runtime cancelled leaves its event to the lease.
    if let Ok((token, verdict)) = done {
        leased.remove(&token);
        outcomes.push(outcome(token, verdict));
    }
}

/// What became of a pull whose task did not end.
fn lost(ended: &tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, format!("the pull ended without an answer: {ended}"))
}

/// Awaits what may not be there.
async fn conditional<F: Future + Unpin>(future: &mut Option<F>) -> Option<F::Output> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}

fn describe(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("without a word"))
}
