//! Starting runs, and waiting for them.

use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stheno_contracts::workflows as contract;

use super::batch::Start;
use super::calls::Calls;
use super::ends::Waiter;
use super::run::{RunDetail, RunError};
use super::{Workflows, args};
use crate::{Error, ErrorKind};

/// How soon who waits looks for himself, first and at most. News of this process
/// reach him at once; these are for a provider that other processes share.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LAST_LOOK: Duration = Duration::from_secs(1);
/// ... and where no other process can end a run.
const SELDOM: Duration = Duration::from_secs(5);

/// A run that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Its id.
    pub run: String,
    /// False: a run of this id is there, under way or retained, and nothing was
    /// started.
    pub new: bool,
}

/// A run about to begin: await it.
#[must_use = "nothing is started until it is awaited"]
pub struct StartRun<'a> {
    workflows: &'a Workflows,
    workflow: &'a str,
    input: Result<Vec<u8>, Error>,
    id: Option<String>,
}

/// A run about to begin, which is waited for: await it.
#[must_use = "nothing is started until it is awaited"]
pub struct RunWorkflow<'a, R> {
    start: StartRun<'a>,
    result: PhantomData<fn() -> R>,
}

impl<'a> StartRun<'a> {
    pub(super) fn json<T: Serialize + ?Sized>(
        workflows: &'a Workflows,
        workflow: &'a str,
        input: &T,
    ) -> Self {
        let input = serde_json::to_vec(input).map_err(|error| {
            let text = format!("the input of a run of {workflow:?}: {error}");
            Error::new(ErrorKind::Encoding, text)
        });
        Self { workflows, workflow, input, id: None }
    }

    pub(super) fn bytes(workflows: &'a Workflows, workflow: &'a str, input: Vec<u8>) -> Self {
        Self { workflows, workflow, input: Ok(input), id: None }
    }

    /// The run's id: 1 to 255 bytes without control characters. A run id runs
    /// once. Without one it gets an id that no run has, and a provider that needs the
    /// room may forget it before its retention is over.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    fn checked(self) -> Result<(&'a Calls, Start), Error> {
        let calls = &self.workflows.calls;
        let named = self.id.is_some();
        let run = match self.id {
            Some(id) => args::name("id", &id)?,
            None => calls.new_id(),
        };
        let workflow = args::name("workflow", self.workflow)?;
        let input = args::body("input", self.input?)?;
        Ok((calls, Start { workflow, run, named, input }))
    }
}

fn started(answer: contract::Started) -> Result<Started, Error> {
    match answer {
        contract::Started::Run(run) => Ok(Started { run, new: true }),
        contract::Started::Existing(run) => Ok(Started { run, new: false }),
        contract::Started::Refused(error) => Err(error.into()),
    }
}

impl<'a> IntoFuture for StartRun<'a> {
    type Output = Result<Started, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (calls, start) = self.checked()?;
            started(calls.start(start).await?)
        })
    }
}

impl<'a, R> RunWorkflow<'a, R> {
    pub(super) fn new(start: StartRun<'a>) -> Self {
        Self { start, result: PhantomData }
    }

    /// The run's id: 1 to 255 bytes without control characters. A run id runs
    /// once: if there is such a run, that one is waited for. Without one it gets
    /// an id that no run has.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.start = self.start.id(id);
        self
    }
}

impl<'a, R: DeserializeOwned + 'a> IntoFuture for RunWorkflow<'a, R> {
    type Output = Result<R, RunError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (calls, start) = self.start.checked()?;
            let run = start.run.clone();
            // Before it begins, so that its end is not missed.
            let waiter = calls.news().wait(&run)?;
            let begun = started(calls.start(start).await?)?;
            ended(calls, waiter, run, !begun.new).await?.done()
        })
    }
}

/// Waits until a run has ended. `look` at once, or only on news.
pub(super) async fn ended(
    calls: &Calls,
    mut waiter: Waiter<'_>,
    run: String,
    mut look: bool,
) -> Result<RunDetail, Error> {
    let clock = calls.clock();
    let alone = calls.provider().is_single();
    let mut pause = if alone { SELDOM } else { FIRST_LOOK };
    loop {
        if look {
            match calls.get(run.clone()).await {
                Ok(found) if found.status.state.is_ended() => return Ok(found),
                Ok(_) => {}
                // The run is not over because the provider cannot say so now.
                Err(error) if error.is_retryable() => {}
                Err(error) => return Err(error),
            }
        }
        let again = clock.monotonic().saturating_add(pause);
        pause = if alone { SELDOM } else { (pause * 2).min(LAST_LOOK) };
        tokio::select! {
            biased;
            news = waiter.news() => news?,
            () = clock.sleep_until(again) => {}
        }
        look = true;
    }
}
