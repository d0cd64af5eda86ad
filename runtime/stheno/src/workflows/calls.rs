//! The calls into the provider, and the news that they bring.
//!
//! Starting and settling are gathered (`batch`). What a call has brought to an
//! end is told within the call (`ends`). As with events, a provider of one
//! instance cannot wait, so the host does: every call that can make something due
//! raises the activity, and who waits looks again then, or when the provider said
//! that something will be due.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stheno_contracts::workflows as contract;
use stheno_engine::{CallFuture, Clock, Coalescer, Guest, Provider, WorkflowsModule};
use tokio::sync::oneshot;

use super::args;
use super::batch::{SettleBatch, Start, StartBatch, pieces};
use super::ends::News;
use super::{RunDetail, RunPage, ScheduleStatus, WorkflowStatus};
use crate::events::door::Door;
use crate::ids::Ids;
use crate::{Error, ErrorKind};

/// How long a provider of many instances may wait in one pull, and so the
/// longest that going away or stopping waits for it.
pub(super) const PULL_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Calls {
    provider: Provider<WorkflowsModule>,
    start: Coalescer<StartBatch>,
    settle: Coalescer<SettleBatch>,
    news: Arc<News>,
    known: Arc<Known>,
    ids: Ids,
    clock: Clock,
    door: Door,
}

/// What a provider that lost its memory is told again.
#[derive(Default)]
struct Known {
    definitions: Mutex<BTreeMap<String, contract::Definition>>,
    schedules: Mutex<BTreeMap<String, contract::ScheduleDefinition>>,
}

fn lock<T>(known: &Mutex<T>) -> MutexGuard<'_, T> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether what the provider was given outlives the process.
fn is_durable(provider: &Provider<WorkflowsModule>) -> bool {
    provider.description().features.iter().any(|feature| feature == "durable")
}

/// What a pull brought.
pub(super) struct Pulled {
    pub(super) tasks: Vec<contract::Task>,
    pub(super) next_due: Option<Duration>,
}

impl Calls {
    pub(super) fn new(provider: Provider<WorkflowsModule>, clock: Clock) -> Self {
        let (news, known) = (Arc::new(News::new()), Arc::new(Known::default()));
        let (told, again) = (Arc::clone(&news), Arc::clone(&known));
        let durable = is_durable(&provider);
        provider.welcome(Box::new(move |guest| {
            told.raise();
            told.look_at_all();
            // A store has them all, with what became of them since.
            let again = (!durable).then(|| again.all());
            Box::pin(tell_again(guest, again))
        }));
        let waiting = provider.limits().queue.get() as usize;
        let start = StartBatch { provider: provider.clone(), news: Arc::clone(&news) };
        let settle = SettleBatch { provider: provider.clone(), news: Arc::clone(&news) };
        Self {
            start: Coalescer::new(start, waiting),
            settle: Coalescer::new(settle, waiting),
            provider,
            news,
            known,
            ids: Ids::new(),
            clock,
            door: Door::new(),
        }
    }

    pub(super) fn provider(&self) -> &Provider<WorkflowsModule> {
        &self.provider
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Closed when the runtime stops.
    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    pub(super) fn news(&self) -> &News {
        &self.news
    }

    /// Whether what it was given outlives the process.
    pub(super) fn is_durable(&self) -> bool {
        is_durable(&self.provider)
    }

    /// An id that no run has.
    pub(super) fn new_id(&self) -> String {
        self.ids.next()
    }

    /// Makes a call that may have made something due, or ended a run.
    async fn call<R: Send + 'static>(
        &self,
        call: impl for<'a> FnOnce(Guest<'a, WorkflowsModule>, Arc<News>) -> CallFuture<'a, R>
        + Send
        + 'static,
    ) -> Result<R, Error> {
        let news = Arc::clone(&self.news);
        let answer = self.provider.call(move |guest| call(guest, news)).await?;
        self.news.raise();
        Ok(answer)
    }

    pub(super) async fn define(&self, definition: contract::Definition) -> Result<(), Error> {
        let _inside = self.door.enter()?;
        let told = definition.clone();
        self.call(move |guest, _| {
            Box::pin(async move { guest.module.call_define(guest.store, &told).await })
        })
        .await?;
        lock(&self.known.definitions).insert(definition.id.clone(), definition);
        Ok(())
    }

    pub(super) async fn undefine(&self, workflow: String) -> Result<(), Error> {
        let id = workflow.clone();
        let removed = self.call(move |guest, _| {
            Box::pin(async move { guest.module.call_undefine(guest.store, &id).await })
        });
        let removed = removed.await;
        // One that is gone already is forgotten too.
        if removed.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::NotFound) {
            lock(&self.known.definitions).remove(&workflow);
            lock(&self.known.schedules).retain(|_, schedule| schedule.workflow != workflow);
        }
        removed
    }

    pub(super) async fn defined(&self) -> Result<Vec<WorkflowStatus>, Error> {
        let all = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_defined(guest.store).await })
        });
        Ok(all.await?.into_iter().map(WorkflowStatus::from).collect())
    }

    pub(super) async fn start(&self, start: Start) -> Result<contract::Started, Error> {
        let _inside = self.door.enter()?;
        Ok(self.start.ask(start).await?)
    }

    /// One look at what is due. A provider of many instances may wait for `wait`
    /// meanwhile.
    pub(super) async fn pull(
        &self,
        selectors: Vec<contract::Selector>,
        max: u32,
        wait: Duration,
        lease: Duration,
    ) -> Result<Pulled, Error> {
        args::page(max)?;
        let lease_ms = args::at_least_a_moment("lease", lease)?;
        let wait_ms = args::millis(wait);
        let news = Arc::clone(&self.news);
        let pulled = self.provider.call(move |guest| {
            Box::pin(async move {
                let store = guest.store;
                let pulled =
                    guest.module.call_pull(store, &selectors, max, wait_ms, lease_ms).await?;
                Ok(pulled.map(|pulled| {
                    news.ended(pulled.ended);
                    let next_due = pulled.next_due_ms.map(Duration::from_millis);
                    Pulled { tasks: pulled.tasks, next_due }
                }))
            })
        });
        Ok(pulled.await?)
    }

    /// Looks again and again until something is due or `wait` has passed. It
    /// looks in a task of its own: if who asked goes away meanwhile, what was
    /// pulled for him is given back.
    pub(super) async fn pull_waiting(
        self: &Arc<Self>,
        selectors: Vec<contract::Selector>,
        max: u32,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<contract::Task>, Error> {
        let calls = Arc::clone(self);
        let mut stop = self.door.wait_inside();
        let (mut reply, answer) = oneshot::channel();
        tokio::spawn(async move {
            let gone = async {
                tokio::select! {
                    () = reply.closed() => {}
                    // An error is a runtime that was dropped, so it stops too.
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            };
            let pulled = calls.look(selectors, max, wait, lease, gone).await;
            // Where it cannot be sent it is dropped, which gives it back.
            let _ = reply.send(pulled.map(|tasks| Unclaimed { tasks, calls, stop }));
        });
        match answer.await {
            Ok(pulled) => pulled.map(Unclaimed::claim),
            Err(_) => Err(Error::new(ErrorKind::Internal, "the pull ended without an answer")),
        }
    }

    /// Looks until something is due, `wait` has passed, or `gone` has ended. A
    /// call under way is never dropped: what it brings is leased already.
    async fn look(
        &self,
        selectors: Vec<contract::Selector>,
        max: u32,
        wait: Duration,
        lease: Duration,
        gone: impl Future<Output = ()>,
    ) -> Result<Vec<contract::Task>, Error> {
        tokio::pin!(gone);
        let mut activity = self.news.activity();
        let deadline = self.clock.monotonic().saturating_add(wait);
        let mut by_time = false;
        loop {
            activity.mark_unchanged();
            let now = self.clock.monotonic();
            let left = deadline.saturating_sub(now);
            let wait = if self.provider.is_single() { Duration::ZERO } else { left.min(PULL_WAIT) };
            let pulled = self.pull(selectors.clone(), max, wait, lease).await?;
            if std::mem::take(&mut by_time) {
                // What time has brought may be for others.
                self.news.raise();
            }
            if !pulled.tasks.is_empty() || self.clock.monotonic() >= deadline {
                return Ok(pulled.tasks);
            }
            let again =
                pulled.next_due.map_or(deadline, |due| deadline.min(now.saturating_add(due)));
            tokio::select! {
                biased;
                () = &mut gone => return Ok(Vec::new()),
                _ = activity.changed() => {}
                () = self.clock.sleep_until(again) => by_time = true,
            }
        }
    }

    /// Records outcomes, all together. Gives the tokens that were lost.
    pub(super) async fn settle(
        &self,
        outcomes: Vec<contract::Outcome>,
    ) -> Result<Vec<String>, Error> {
        let mut lost = Vec::new();
        for piece in pieces(outcomes) {
            lost.extend(self.settle.ask(piece).await?);
        }
        Ok(lost)
    }

    pub(super) async fn extend(
        &self,
        tokens: Vec<String>,
        lease_ms: u64,
    ) -> Result<Vec<String>, Error> {
        let extended = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_extend(guest.store, &tokens, lease_ms).await })
        });
        Ok(extended.await?)
    }

    pub(super) async fn complete(
        &self,
        run: String,
        step: String,
        verdict: contract::Verdict,
    ) -> Result<(), Error> {
        self.call(move |guest, news| {
            Box::pin(async move {
                let completed =
                    guest.module.call_complete(guest.store, &run, &step, &verdict).await?;
                Ok(completed.map(|settled| news.ended(settled.ended)))
            })
        })
        .await
    }

    pub(super) async fn retry(&self, run: String, step: String) -> Result<(), Error> {
        let _inside = self.door.enter()?;
        self.call(move |guest, _| {
            Box::pin(async move { guest.module.call_retry(guest.store, &run, &step).await })
        })
        .await
    }

    pub(super) async fn cancel(&self, run: String, reason: String) -> Result<(), Error> {
        self.call(move |guest, news| {
            Box::pin(async move {
                let cancelled = guest.module.call_cancel(guest.store, &run, &reason).await?;
                Ok(cancelled.map(|settled| news.ended(settled.ended)))
            })
        })
        .await
    }

    pub(super) async fn get(&self, run: String) -> Result<RunDetail, Error> {
        let found = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_get(guest.store, &run).await })
        });
        Ok(found.await?.into())
    }

    pub(super) async fn list(
        &self,
        filter: contract::Filter,
        after: Option<String>,
        max: u32,
    ) -> Result<RunPage, Error> {
        args::page(max)?;
        let page = self.provider.call(move |guest| {
            Box::pin(async move {
                guest.module.call_list(guest.store, &filter, after.as_deref(), max).await
            })
        });
        Ok(page.await?.into())
    }

    pub(super) async fn schedule(
        &self,
        schedule: contract::ScheduleDefinition,
    ) -> Result<(), Error> {
        let _inside = self.door.enter()?;
        let told = schedule.clone();
        self.call(move |guest, _| {
            Box::pin(async move { guest.module.call_schedule(guest.store, &told).await })
        })
        .await?;
        // One that vanishes by itself would begin to count anew.
        let mut known = lock(&self.known.schedules);
        if schedule.max_runs.is_none() {
            known.insert(schedule.id.clone(), schedule);
        } else {
            known.remove(&schedule.id);
        }
        Ok(())
    }

    pub(super) async fn unschedule(&self, id: String) -> Result<(), Error> {
        let schedule = id.clone();
        let removed = self.call(move |guest, _| {
            Box::pin(async move { guest.module.call_unschedule(guest.store, &schedule).await })
        });
        let removed = removed.await;
        if removed.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::NotFound) {
            lock(&self.known.schedules).remove(&id);
        }
        removed
    }

    pub(super) async fn schedules(&self) -> Result<Vec<ScheduleStatus>, Error> {
        let all = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_schedules(guest.store).await })
        });
        Ok(all.await?.into_iter().map(ScheduleStatus::from).collect())
    }
}

type All = (Vec<contract::Definition>, Vec<contract::ScheduleDefinition>);

impl Known {
    fn all(&self) -> All {
        let definitions = lock(&self.definitions).values().cloned().collect();
        (definitions, lock(&self.schedules).values().cloned().collect())
    }
}

async fn tell_again(
    guest: Guest<'_, WorkflowsModule>,
    again: Option<All>,
) -> stheno_engine::Called<()> {
    let (definitions, schedules) = again.unwrap_or_default();
    for definition in &definitions {
        if let Err(error) = guest.module.call_define(&mut *guest.store, definition).await? {
            return Ok(Err(error));
        }
    }
    for schedule in &schedules {
        if let Err(error) = guest.module.call_schedule(&mut *guest.store, schedule).await? {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// What was pulled for somebody and not handed to him yet; given back if that
/// never happens.
struct Unclaimed {
    tasks: Vec<contract::Task>,
    calls: Arc<Calls>,
    /// Held so that [`Door::close`] waits.
    stop: tokio::sync::watch::Receiver<bool>,
}

impl Unclaimed {
    fn claim(mut self) -> Vec<contract::Task> {
        std::mem::take(&mut self.tasks)
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        // Without a runtime the process ends, and the lease with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tasks = std::mem::take(&mut self.tasks);
            let (calls, stop) = (Arc::clone(&self.calls), self.stop.clone());
            runtime.spawn(async move {
                give_back(&calls, tasks).await;
                drop(stop);
            });
        }
    }
}

/// Makes tasks that nobody took due again.
async fn give_back(calls: &Calls, tasks: Vec<contract::Task>) {
    let verdict = contract::Verdict::Returned;
    let outcomes = tasks
        .into_iter()
        .map(|task| contract::Outcome { token: task.token, verdict: verdict.clone() })
        .collect();
    if let Err(error) = calls.settle(outcomes).await {
        tracing::warn!(%error, "tasks that nobody waited for come again after their lease");
    }
}
