//! What a handler gets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use stheno_contracts::workflows as contract;
use tokio::sync::watch;

use super::run::{RunState, read};
use crate::events::args::at_most;
use crate::{Error, ErrorKind, Events, Group, NewEvent};

/// How long a run's events are kept after the last one was staged: longer than
/// any run that is worth waiting for.
const GROUP_TTL: Duration = Duration::from_secs(60 * 60 * 24 * 3_650);
/// The longest name of a group.
const MAX_GROUP_BYTES: usize = 255;

/// One attempt at a step, as its handler sees it. Cheap to clone.
#[derive(Clone)]
pub struct StepContext(Arc<Attempt>);

struct Attempt {
    task: contract::Task,
    /// When it began and how long it may take.
    deadline: Option<Duration>,
    stop: StopSignal,
    /// None where the workflow publishes none.
    events: Option<Mutex<Vec<NewEvent>>>,
}

impl StepContext {
    pub(super) fn new(task: contract::Task, stop: watch::Receiver<()>, publishes: bool) -> Self {
        Self(Arc::new(Attempt {
            deadline: task.deadline_in_ms.map(Duration::from_millis),
            task,
            stop: StopSignal(stop),
            events: publishes.then(Mutex::default),
        }))
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.0.task.run
    }

    /// The workflow.
    #[must_use]
    pub fn workflow(&self) -> &str {
        &self.0.task.workflow
    }

    /// The step.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.0.task.step
    }

    /// Which attempt this is, from 1. One that was lost with its process is not
    /// counted, so a handler may see the same one twice.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.task.attempt
    }

    /// How many attempts there are.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.task.attempts
    }

    /// How long the attempt may take, from when it began; then it is stopped.
    /// None is no limit.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        self.0.deadline
    }

    /// A key under which the outside world may remember what this step of this
    /// run has done, so that a second attempt does not do it twice. It is the same
    /// for every attempt, and another one for the compensation.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let action = match self.0.task.action {
            contract::Action::Compensate => "/compensate",
            contract::Action::Invoke | contract::Action::Finish(_) => "",
        };
        format!("{}/{}{action}", self.run(), self.step())
    }

    /// The run's input, read from JSON.
    ///
    /// # Errors
    ///
    /// `encoding` if it is not a `T`.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(self.input_bytes(), || "the input of the run".into())
    }

    /// The run's input.
    #[must_use]
    pub fn input_bytes(&self) -> &[u8] {
        &self.0.task.input
    }

    /// The result of a step, read from JSON: one that this step comes after,
    /// directly or through others; in a compensation also its own.
    ///
    /// # Errors
    ///
    /// `not-found` if there is none: the step is not one of those, or was skipped
    /// or failed; `encoding` if it is not a `T`.
    pub fn result<T: DeserializeOwned>(&self, step: &str) -> Result<T, Error> {
        let result = self.result_bytes(step).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!(
                    "there is no result of step {step:?} here: it has none, or {:?} does not come \
                     after it",
                    self.step()
                ),
            )
        })?;
        read(result, || format!("the result of step {step:?}"))
    }

    /// As [`StepContext::result`], but none where there is no result.
    ///
    /// # Errors
    ///
    /// `encoding` if it is not a `T`.
    pub fn result_if_any<T: DeserializeOwned>(&self, step: &str) -> Result<Option<T>, Error> {
        let result = self.result_bytes(step);
        result.map(|result| read(result, || format!("the result of step {step:?}"))).transpose()
    }

    /// The result of a step, if there is one.
    #[must_use]
    pub fn result_bytes(&self, step: &str) -> Option<&[u8]> {
        let results = &self.0.task.results;
        results.iter().find(|(id, _)| id == step).map(|(_, result)| result.as_slice())
    }

    /// Publishes an event with `data` as JSON, if this attempt is done. What a
    /// step publishes is held back until the run has ended, and then released
    /// once if it is done, and forgotten otherwise. What a compensation publishes
    /// is published when it is done.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for what is out of bounds, or where the workflow does
    /// not say [`Workflow::publishes`](super::Workflow::publishes); `encoding` if
    /// the body cannot be written as JSON.
    pub fn publish<T: Serialize + ?Sized>(&self, name: &str, data: &T) -> Result<(), Error> {
        self.publish_event(NewEvent::json(name, data)?)
    }

    /// As [`StepContext::publish`], with all that an event may have.
    ///
    /// # Errors
    ///
    /// As for [`StepContext::publish`].
    pub fn publish_event(&self, event: NewEvent) -> Result<(), Error> {
        let Some(events) = &self.0.events else {
            return Err(Error::invalid(format!(
                "the workflow {:?} publishes no events; say Workflow::publishes() where it is \
                 defined",
                self.workflow()
            )));
        };
        event.clone().checked()?;
        let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
        at_most("the events of one attempt", events.len() + 1)?;
        events.push(event);
        Ok(())
    }

    /// What tells whatever the handler has started beside itself that the attempt
    /// is over.
    #[must_use]
    pub fn stop_signal(&self) -> StopSignal {
        self.0.stop.clone()
    }

    /// Hands over what the attempt has published, once it is done.
    pub(super) async fn hand_over(&self, events: &Events) -> Result<(), Error> {
        let Some(own) = &self.0.events else { return Ok(()) };
        let own = std::mem::take(&mut *own.lock().unwrap_or_else(PoisonError::into_inner));
        if own.is_empty() {
            return Ok(());
        }
        match self.0.task.action {
            contract::Action::Compensate => events.publish_all(own).await.map(drop),
            contract::Action::Invoke | contract::Action::Finish(_) => {
                group(events, self.run()).stage(own).await
            }
        }
    }
}

/// The group of a run's events.
fn group(events: &Events, run: &str) -> Group {
    let plain = format!("workflow-run:{run}");
    let name = if plain.len() <= MAX_GROUP_BYTES {
        plain
    } else {
        let digest = Sha256::digest(run.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("workflow-run-sha256:{hex}")
    };
    events.group(name).ttl(GROUP_TTL)
}

/// Releases the events of a run that is done, and forgets those of another.
pub(super) async fn release(events: &Events, run: &str, state: RunState) -> Result<(), Error> {
    let group = group(events, run);
    let count = if state == RunState::Done { group.release().await } else { group.discard().await };
    count.map(drop)
}

/// Tells that an attempt is over: it ended, was stopped because its time was up
/// or its lease was lost, or the runtime stops. Cheap to clone.
///
/// The handler itself need not look: its future is dropped then.
#[derive(Clone, Debug)]
pub struct StopSignal(watch::Receiver<()>);

impl StopSignal {
    /// Whether the attempt is over.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Waits until the attempt is over.
    pub async fn stopped(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// A run that has ended, as the closure given to
/// [`Workflow::on_finish`](super::Workflow::on_finish) gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The run.
    pub run: String,
    /// The workflow.
    pub workflow: String,
    /// How it has ended.
    pub state: RunState,
    /// What it was started with.
    pub input: Vec<u8>,
    /// What it gave, if it is done and gave something.
    pub result: Option<Vec<u8>>,
}

impl Finished {
    pub(super) fn new(task: contract::Task, state: RunState) -> Self {
        Self {
            run: task.run,
            workflow: task.workflow,
            state,
            input: task.input,
            result: task.results.into_iter().next_back().map(|(_, result)| result),
        }
    }

    /// The input, read from JSON.
    ///
    /// # Errors
    ///
    /// `encoding` if it is not a `T`.
    pub fn input_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(&self.input, || format!("the input of run {:?}", self.run))
    }

    /// The result, read from JSON. A run without one gave null.
    ///
    /// # Errors
    ///
    /// `encoding` if it is not a `T`.
    pub fn result_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let result = self.result.as_deref().unwrap_or(b"null");
        read(result, || format!("the result of run {:?}", self.run))
    }
}
