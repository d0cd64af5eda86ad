//! Serving workflows: the loop's life, and how a workflow comes to it.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::calls::Calls;
use super::desk::{Desk, LEASE, Phase};
use super::roster::{Roster, Served};
use super::run::RunState;
use super::{RunFilter, Workflow, Workflows, args};
use crate::{Error, Events};

/// How many handlers of one workflow run at once, unless said otherwise.
const CONCURRENCY: usize = 64;

/// The loop of one runtime.
pub(super) struct Service {
    roster: Arc<Roster>,
    events: Events,
    phase: watch::Sender<Phase>,
    /// The last round of draining in which it had nothing to do.
    idle: watch::Receiver<u64>,
    rounds: AtomicU64,
    task: Mutex<Option<JoinHandle<()>>>,
    /// Held while a workflow is being defined here, so that no id is taken twice.
    defining: tokio::sync::Mutex<()>,
}

impl Service {
    pub(super) fn begin(calls: Arc<Calls>, events: Events) -> Self {
        let roster = Arc::new(Roster::new());
        let (phase, told) = watch::channel(Phase::Serving);
        let (tell_idle, idle) = watch::channel(0);
        let desk = Desk::new(calls, Arc::clone(&roster));
        let task = Mutex::new(Some(tokio::spawn(desk.run(told, tell_idle))));
        let (rounds, defining) = (AtomicU64::new(0), tokio::sync::Mutex::new(()));
        Self { roster, events, phase, idle, rounds, task, defining }
    }

    /// Has the loop go on until nothing is due, and says whether anything was.
    pub(super) async fn handle_due(&self, calls: &Calls) -> bool {
        if calls.is_durable() {
            return false;
        }
        let mut activity = calls.news().activity();
        let mut any = false;
        loop {
            activity.mark_unchanged();
            let round = self.rounds.fetch_add(1, Ordering::Relaxed) + 1;
            self.phase.send_replace(Phase::Draining(round));
            // An error is a loop that has ended, which is idle as well.
            let _ = self.idle.clone().wait_for(|idle| *idle >= round).await;
            if !activity.has_changed().unwrap_or(false) {
                return any;
            }
            any = true;
        }
    }

    /// Ends the loop after the attempts that it has begun.
    pub(super) async fn stop(&self, calls: &Calls) {
        self.phase.send_replace(Phase::Stopping);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by itself; a panic in it has been reported.
            let _ = task.await;
        }
        if !calls.is_durable() {
            tell_what_is_lost(calls).await;
        }
    }
}

/// Runs that wait for something, or that nobody here handles.
async fn tell_what_is_lost(calls: &Calls) {
    let states = RunState::ALL.into_iter().filter(|state| !state.is_ended()).collect();
    let Ok(filter) = (RunFilter { states, ..RunFilter::default() }).checked() else { return };
    if let Ok(page) = calls.list(filter, None, args::MAX_ITEMS as u32).await
        && !page.items.is_empty()
    {
        let runs = page.items.len();
        let more = page.next.is_some();
        tracing::warn!(
            runs,
            more,
            "the provider keeps runs in its memory, and these had not ended when it stops"
        );
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Stopping);
    }
}

/// A workflow about to be defined and served: await it.
#[must_use = "nothing is defined until it is awaited"]
pub struct Define<'a> {
    workflows: &'a Workflows,
    workflow: Workflow,
    concurrency: usize,
    lease: Duration,
}

impl<'a> Define<'a> {
    pub(super) fn new(workflows: &'a Workflows, workflow: Workflow) -> Self {
        Self { workflows, workflow, concurrency: CONCURRENCY, lease: LEASE }
    }

    /// How many of its handlers run at once in this process; 64 if not said, at
    /// least 1.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// How long its tasks are leased at a time, 30 seconds if not said. A lease is
    /// renewed while its handler runs; if this process dies, its tasks wait for so
    /// long. Of all workflows that a runtime serves the shortest counts.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

impl<'a> IntoFuture for Define<'a> {
    type Output = Result<WorkflowWorker, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { workflows, workflow, concurrency, lease } = self;
            args::at_least_a_moment("lease", lease)?;
            if concurrency == 0 {
                return Err(Error::invalid("concurrency is 0, must be at least 1"));
            }
            let service = &workflows.service;
            let parts = workflow.into_parts();
            let definition = parts.definition.clone().checked()?;
            let _alone = service.defining.lock().await;
            service.roster.check(&definition.id)?;
            workflows.calls.define(definition).await?;
            let served = Served::new(parts, concurrency, lease, service.events.clone());
            let served = Arc::new(served);
            service.roster.add(Arc::clone(&served));
            Ok(WorkflowWorker { workflows: workflows.clone(), served })
        })
    }
}

/// A workflow that this process serves. It goes on without this handle, until the
/// runtime shuts down.
pub struct WorkflowWorker {
    workflows: Workflows,
    served: Arc<Served>,
}

impl WorkflowWorker {
    /// The id of its workflow.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.served.id
    }

    /// Takes no more tasks and waits for the handlers that have begun. The
    /// definition stays, and runs wait for whoever serves it next.
    pub async fn stop(self) {
        self.workflows.service.roster.remove(&self.served);
        // The sender is held here, so this ends with the last handler.
        let _ = self.served.running.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Stops, and forgets the definition with the schedules that start it. Runs
    /// under way wait for whoever serves it next.
    ///
    /// # Errors
    ///
    /// What the provider says.
    pub async fn undefine(self) -> Result<(), Error> {
        let (workflows, id) = (self.workflows.clone(), self.served.id.clone());
        self.stop().await;
        workflows.remove_definition(&id).await
    }
}
