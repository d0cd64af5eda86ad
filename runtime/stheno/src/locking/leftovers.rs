//! What has to be done though nobody waits for it: leases to be ended and places in
//! the queue to be given up.
//!
//! It cannot be left at one attempt. A server that is away for the moment in which a
//! lease is dropped would leave keys locked, without a time to live for ever, in a
//! process that is alive and well. So one task goes on until it is done, in batches,
//! for as long as anybody has the module; both calls can be made twice without harm.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stheno_contracts::Error as Contract;

use super::core::{Core, pause};
use crate::Error;

/// Leases or places in one call.
const AT_ONCE: usize = 256;
/// The most that are remembered: beyond it the oldest are left to their time to live.
const MOST: usize = 100_000;
/// How often it is tried where the provider fails in itself.
const ATTEMPTS: u32 = 5;

#[derive(Default)]
pub(super) struct Leftovers(Mutex<State>);

#[derive(Default)]
struct State {
    tokens: Vec<String>,
    tickets: Vec<String>,
    /// Whether instances may have been granted what they were not told of.
    doubts: bool,
    driven: bool,
}

/// One call.
enum Step {
    End(Vec<String>),
    GiveUp(Vec<String>),
    Settle,
}

impl Leftovers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Step> {
        let mut state = self.lock();
        if !state.tokens.is_empty() {
            return Some(Step::End(first(&mut state.tokens)));
        }
        if !state.tickets.is_empty() {
            return Some(Step::GiveUp(first(&mut state.tickets)));
        }
        if std::mem::take(&mut state.doubts) {
            return Some(Step::Settle);
        }
        state.driven = false;
        None
    }

    fn put_back(&self, step: Step) {
        let mut state = self.lock();
        match step {
            Step::End(mut tokens) => state.tokens.append(&mut tokens),
            Step::GiveUp(mut tickets) => state.tickets.append(&mut tickets),
            Step::Settle => state.doubts = true,
        }
    }
}

fn first(all: &mut Vec<String>) -> Vec<String> {
    let too_many = all.len().saturating_sub(MOST);
    all.drain(..too_many);
    all.drain(..all.len().min(AT_ONCE)).collect()
}

impl Core {
    /// Ends a lease, soon.
    pub(super) fn end_later(self: &Arc<Self>, token: String) {
        self.later(|state| state.tokens.push(token));
    }

    /// Gives up a place in the queue, soon.
    pub(super) fn give_up_later(self: &Arc<Self>, ticket: String) {
        self.later(|state| state.tickets.push(ticket));
    }

    /// Has each instance deal with what it may have been granted unheard, soon.
    pub(super) fn settle_later(self: &Arc<Self>) {
        self.later(|state| state.doubts = true);
    }

    fn later(self: &Arc<Self>, add: impl FnOnce(&mut State)) {
        // Without a runtime the process ends; what outlives it is the time to live.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut state = self.leftovers().lock();
        add(&mut state);
        if !std::mem::replace(&mut state.driven, true) {
            runtime.spawn(drive(Arc::clone(self)));
        }
    }

    async fn do_step(self: &Arc<Self>, step: &Step) -> Result<(), Contract> {
        match step {
            Step::End(tokens) => {
                self.exchange(Arc::new(tokens.clone()), Arc::default()).await?.map(drop)
            }
            Step::GiveUp(tickets) => self.abandon(tickets.clone()).await,
            Step::Settle => self.settle().await,
        }
    }
}

async fn drive(mut core: Arc<Core>) {
    let mut failures = 0;
    while let Some(step) = core.leftovers().next() {
        let Err(error) = core.do_step(&step).await else {
            failures = 0;
            continue;
        };
        let comes_back = matches!(error, Contract::Timeout(_) | Contract::Unavailable(_));
        let again = (comes_back || failures < ATTEMPTS) && !core.waiters().is_closed();
        if failures == 0 || !again {
            let error = Error::from(error);
            tracing::warn!(%error, again, "locks that were let go are not free yet");
        }
        failures = if again { failures.saturating_add(1) } else { 0 };
        if again {
            core.leftovers().put_back(step);
        }
        // Nobody else may have the module any more, and then this ends.
        let known = Arc::downgrade(&core);
        drop(core);
        pause(failures).await;
        match known.upgrade() {
            Some(still) => core = still,
            None => return,
        }
    }
}
