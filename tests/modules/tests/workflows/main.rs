//! The workflows module, over every provider of it.
//!
//! Each file holds the promises of one kind. A property is a function of a
//! [`Subject`]; [`for_every_provider!`] makes a test of it for each provider, so
//! that a failure is named `FILE::PROVIDER::PROPERTY`.
//!
//! Most properties give handlers that note what they do in a [`Log`]. The clock
//! stands still unless a property moves it.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

macro_rules! for_every_provider {
    ($($property:ident),* $(,)?) => {
        for_every_provider! { @module workflows_local, WORKFLOWS_LOCAL, $($property),* }
        for_every_provider! {
            @module workflows_local_durable, WORKFLOWS_LOCAL_DURABLE, $($property),*
        }
    };
    // What only those do whose runs end with them, or only the others.
    (forgetful: $($property:ident),* $(,)?) => {
        for_every_provider! { @module forgetful_workflows_local, WORKFLOWS_LOCAL, $($property),* }
    };
    (durable: $($property:ident),* $(,)?) => {
        for_every_provider! {
            @module durable_workflows_local, WORKFLOWS_LOCAL_DURABLE, $($property),*
        }
    };
    (@module $module:ident, $provider:ident, $($property:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $property() {
                    let subject = $crate::Subject::start(&$crate::$provider).await;
                    let property = super::$property(subject);
                    // What never comes is a failure, and not a test without end.
                    tokio::time::timeout($crate::NEVER, property).await.expect("it never came");
                }
            )*
        }
    };
}

mod arguments;
mod bounds;
mod callers;
mod cancelling;
mod durable;
mod ends;
mod events;
mod failures;
mod leases;
mod lists;
mod nested;
mod runs;
mod schedules;
mod steps;
mod stopping;
mod timeouts;
mod waiting;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value};
use stheno::config::{
    ByteSize, CompileCache, Config, ConfigError, ModuleName, ProviderConfig, Resolve, StoreGrant,
    StoreLabel, StoreSize,
};
use stheno::{
    Clock, Error, ErrorKind, Failure, ManualClock, RunDetail, RunState, Runtime, Step, StepContext,
    StepState, Workflow, WorkflowWorker, Workflows,
};
use stheno_test_support::{compile_cache, guest};
use tempfile::TempDir;

/// So long a property may wait in real time.
const NEVER: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// A provider of workflows.
struct Provider {
    name: &'static str,
    /// Whether it is granted a store.
    durable: bool,
}

static WORKFLOWS_LOCAL: Provider = Provider { name: "workflows-local", durable: false };
static WORKFLOWS_LOCAL_DURABLE: Provider = Provider { name: "workflows-local", durable: true };

/// Workflows that nobody else uses, on a clock that stands still.
struct Subject {
    provider: &'static Provider,
    runtime: Runtime,
    workflows: Workflows,
    clock: ManualClock,
    time: Clock,
    config: ProviderConfig,
    /// Where its store is.
    folder: TempDir,
}

impl Subject {
    async fn start(provider: &'static Provider) -> Self {
        Self::with_options(provider, Value::Object(Map::new())).await.unwrap()
    }

    async fn with_options(
        provider: &'static Provider,
        options: Value,
    ) -> Result<Self, ConfigError> {
        let mut config = ProviderConfig::new(Resolve::File(guest(provider.name)));
        let Value::Object(options) = options else { panic!("options are an object") };
        config.options = options;
        Self::with(provider, config).await
    }

    async fn with(
        provider: &'static Provider,
        mut config: ProviderConfig,
    ) -> Result<Self, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        if provider.durable {
            config.grants.add_store(StoreLabel::new("default").unwrap(), store(folder.path()));
        }
        Self::on(provider, config, folder, Clock::manual()).await
    }

    /// The same provider, stopped and started, by another runtime.
    async fn restart(self) -> Self {
        let Self { provider, runtime, workflows, clock, time, config, folder } = self;
        runtime.shutdown().await.unwrap();
        drop((runtime, workflows));
        Self::on(provider, config, folder, (time, clock)).await.unwrap()
    }

    async fn on(
        provider: &'static Provider,
        config: ProviderConfig,
        folder: TempDir,
        (time, clock): (Clock, ManualClock),
    ) -> Result<Self, ConfigError> {
        let mut whole = Config::default();
        let cache = compile_cache(env!("CARGO_TARGET_TMPDIR"));
        whole.runtime.compile_cache = CompileCache::Folder(cache);
        let builder = Runtime::builder().config(whole).clock(time.clone());
        let runtime = builder.provider(ModuleName::Workflows, config.clone()).build().await?;
        let workflows = runtime.workflows().clone();
        Ok(Self { provider, runtime, workflows, clock, time, config, folder })
    }

    fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    async fn define(&self, workflow: Workflow) -> WorkflowWorker {
        self.workflows.define(workflow).await.unwrap()
    }

    /// Starts a run of this id, on the input null.
    async fn begin(&self, workflow: &str, run: &str) {
        assert!(self.workflows.start(workflow, &()).id(run).await.unwrap().new);
    }

    async fn get(&self, run: &str) -> RunDetail {
        self.workflows.get(run).await.unwrap()
    }

    /// Runs to the end, whatever that is.
    async fn end_of(&self, workflow: &str, run: &str) -> RunDetail {
        self.begin(workflow, run).await;
        self.workflows.wait(run).await.unwrap()
    }

    /// Waits until a step is in this state.
    async fn until(&self, run: &str, step: &str, state: StepState) {
        while self.get(run).await.step(step).unwrap().state != state {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a step has failed so often.
    async fn until_faults(&self, run: &str, step: &str, faults: usize) {
        while self.get(run).await.step(step).unwrap().faults.len() != faults {
            tokio::task::yield_now().await;
        }
    }

    async fn until_run(&self, run: &str, state: RunState) {
        while self.get(run).await.status.state != state {
            tokio::task::yield_now().await;
        }
    }
}

/// A store in this folder.
fn store(folder: &Path) -> StoreGrant {
    let max_size = StoreSize::new(ByteSize::gib(1)).unwrap();
    StoreGrant { path: folder.join("workflows.redb"), max_size }
}

fn assert_kind<T>(result: Result<T, Error>, kind: ErrorKind) -> String {
    let Err(error) = result else { panic!("it was accepted") };
    assert_eq!(error.kind(), kind, "{error}");
    error.message().to_owned()
}

/// The states of a run's steps.
fn states(run: &RunDetail) -> Vec<StepState> {
    run.steps.iter().map(|step| step.state).collect()
}

/// What handlers did, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, what: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|noted| *noted == what).count()
    }

    async fn until(&self, what: &str, count: usize) {
        while self.count(what) < count {
            tokio::task::yield_now().await;
        }
    }

    /// A step that notes its id and gives it, and notes `undo ID` when it is
    /// undone.
    fn step(&self, id: &str) -> Step {
        let (run, undo) = (self.clone(), self.clone());
        Step::new(id, move |step: StepContext| {
            let run = run.clone();
            async move {
                run.note(step.step());
                Ok(step.step().to_owned())
            }
        })
        .compensate(move |step: StepContext| {
            let undo = undo.clone();
            async move {
                undo.note(format!("undo {}", step.step()));
                Ok(())
            }
        })
    }

    /// One that notes its id and then fails so often before it is done.
    fn failing(&self, id: &str, times: u32, fail: fn() -> Failure) -> Step {
        let run = self.clone();
        Step::new(id, move |step: StepContext| {
            let run = run.clone();
            async move {
                run.note(step.step());
                if step.attempt() <= times { Err(fail()) } else { Ok(step.attempt()) }
            }
        })
    }
}

fn busy() -> Failure {
    Failure::retry("busy")
}

fn never() -> Failure {
    Failure::reject("never")
}
