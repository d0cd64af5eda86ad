//! The workflows whose handlers are in this process.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use stheno_contracts::workflows as contract;
use tokio::sync::watch;

use super::args::FINISH;
use super::context::{Finished, StepContext, release};
use super::outcome::failed;
use super::workflow::{Finisher, Handlers, Parts};
use crate::events::door::handling;
use crate::{Error, ErrorKind, Events};

/// A workflow that is served here.
pub(super) struct Served {
    pub(super) id: String,
    pub(super) selector: contract::Selector,
    /// How many of its handlers run at once.
    pub(super) concurrency: usize,
    pub(super) lease: Duration,
    handlers: BTreeMap<String, Handlers>,
    publishes: bool,
    finisher: Option<Finisher>,
    events: Events,
    /// How many of its handlers run, told to who stops it.
    pub(super) running: watch::Sender<usize>,
}

/// An attempt under way. Dropped, it is stopped.
pub(super) type Attempt = Pin<Box<dyn Future<Output = contract::Verdict> + Send>>;

impl Served {
    pub(super) fn new(parts: Parts, concurrency: usize, lease: Duration, events: Events) -> Self {
        let Parts { definition, handlers, publishes, finisher } = parts;
        let handled =
            |handlers: &Handlers| handlers.invoke.is_some() || handlers.compensate.is_some();
        let own = handlers.iter().filter(|(_, own)| handled(own));
        // By name, so that it gets no step that only another version of it knows.
        let mut steps: Vec<String> = own.map(|(id, _)| id.clone()).collect();
        if definition.finish {
            steps.push(FINISH.to_owned());
        }
        let selector = contract::Selector { workflow: definition.id.clone(), steps };
        let running = watch::channel(0).0;
        let id = definition.id;
        Self { id, selector, concurrency, lease, handlers, publishes, finisher, events, running }
    }

    /// The attempt that a task asks for, not begun.
    pub(super) fn attempt(self: &Arc<Self>, task: contract::Task) -> Attempt {
        let served = Arc::clone(self);
        let attempt = async move {
            match task.action {
                contract::Action::Finish(state) => served.finish(task, state).await,
                contract::Action::Invoke | contract::Action::Compensate => served.step(task).await,
            }
        };
        let attempt = AssertUnwindSafe(handling(attempt)).catch_unwind();
        Box::pin(attempt.map(|ended| {
            ended.unwrap_or_else(|panic| contract::Verdict::Failed(describe(panic.as_ref())))
        }))
    }

    async fn step(&self, task: contract::Task) -> contract::Verdict {
        let handlers = self.handlers.get(&task.step);
        let compensates = matches!(task.action, contract::Action::Compensate);
        let handler = handlers
            .and_then(|own| if compensates { own.compensate.clone() } else { own.invoke.clone() });
        let Some(handler) = handler else {
            let what = if compensates { "compensation" } else { "step" };
            return contract::Verdict::Failed(format!(
                "the process that took it has no handler for this {what}"
            ));
        };
        // It is gone when the attempt is, however that ends.
        let (_over, stop) = watch::channel(());
        let context = StepContext::new(task, stop, self.publishes);
        let verdict = handler(context.clone()).await;
        match verdict {
            contract::Verdict::Done(_) | contract::Verdict::Waiting => {
                match context.hand_over(&self.events).await {
                    Ok(()) => without_skip(verdict, compensates),
                    Err(error) => failed(error.into()),
                }
            }
            other => without_skip(other, compensates),
        }
    }

    async fn finish(&self, task: contract::Task, state: contract::RunState) -> contract::Verdict {
        if self.publishes
            && let Err(error) = release(&self.events, &task.run, state.into()).await
        {
            return failed(error.into());
        }
        match &self.finisher {
            Some(finisher) => finisher(Finished::new(task, state.into())).await,
            None => contract::Verdict::Done(Vec::new()),
        }
    }
}

/// A compensation that had nothing to do is done.
fn without_skip(verdict: contract::Verdict, compensates: bool) -> contract::Verdict {
    match verdict {
        contract::Verdict::Skipped if compensates => contract::Verdict::Done(Vec::new()),
        other => other,
    }
}

fn describe(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("without a word"))
}

/// All of them.
pub(super) struct Roster {
    served: Mutex<BTreeMap<String, Arc<Served>>>,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

impl Roster {
    pub(super) fn new() -> Self {
        Self { served: Mutex::default(), changes: watch::channel(1).0 }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Served>>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn all(&self) -> Vec<Arc<Served>> {
        self.lock().values().cloned().collect()
    }

    /// Whether nothing of this id is served yet.
    pub(super) fn check(&self, id: &str) -> Result<(), Error> {
        if self.lock().contains_key(id) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("this runtime serves a workflow with the id {id:?}; stop that one first"),
            ));
        }
        Ok(())
    }

    pub(super) fn add(&self, served: Arc<Served>) {
        self.lock().insert(served.id.clone(), served);
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(super) fn remove(&self, served: &Arc<Served>) {
        let mut all = self.lock();
        if all.get(&served.id).is_some_and(|known| Arc::ptr_eq(known, served)) {
            all.remove(&served.id);
        }
        drop(all);
        self.changes.send_modify(|changes| *changes += 1);
    }
}
