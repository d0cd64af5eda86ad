//! Runs that the killed process starts, works at, completes and cancels.
//!
//! A run's input is its name and the process that began it. A nested run has that
//! of the outer one, so what it does is told under the name of the outer one. What
//! a step gives is a token that no other attempt gives.
//!
//! | line | after |
//! |---|---|
//! | `asking RUN` | a start of it is about to be called |
//! | `accepted RUN PROCESS new` | a start returned well, and it began with this process's input |
//! | `accepted RUN PROCESS old` | a start returned well: it was there |
//! | `cancelled RUN` | a cancel returned well |
//! | `completing RUN TOKEN` | its step that waits is about to be given this |
//! | `completed RUN TOKEN` | that returned well |
//! | `doing RUN STEP ATTEMPT PROCESS SEEN` | the step's handler was called; of `PROCESS` is the input |
//! | `did RUN STEP TOKEN` | the handler is about to return this |
//! | `undoing RUN STEP ATTEMPT PROCESS SEEN` | the step's compensation was called |
//! | `undid RUN STEP` | the compensation is about to return |
//! | `finished RUN STATE` | the end of it was told |
//! | `ended RUN STATE PROCESS SEEN` | it has ended, at the very end |
//! | `nested OUTER STATE` | so has a run that this one began |
//!
//! `SEEN` are the results that were given, `STEP=TOKEN`, with a space before each.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use stheno::{
    Error, ErrorKind, Failure, Outcome, RunDetail, RunFilter, RunState, RunStatus, Schedule, Step,
    StepContext, Workflow, Workflows,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::{LONG, event};

const LEASE: Duration = Duration::from_millis(100);
const ATTEMPTS: u32 = 3;
/// What becomes of a run stands last in its name.
const KINDS: [&str; 5] = ["whole", "failing", "cancelled", "completed", "refused"];
const SCHEDULE: &str = "tick";

fn kind(run: &str) -> &str {
    run.rsplit('-').next().unwrap_or(run)
}

fn workflow(run: &str) -> &'static str {
    if matches!(kind(run), "completed" | "refused") { "parcel" } else { "order" }
}

#[derive(Clone)]
pub(crate) struct Runs {
    workflows: Workflows,
    /// This process.
    process: Arc<str>,
    /// Runs whose end was told, with it.
    finished: watch::Sender<BTreeSet<String>>,
}

/// Makes tokens that no other attempt gives.
#[derive(Clone)]
struct Tokens(Arc<str>);

impl Tokens {
    fn next(&self) -> String {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        format!("{}.{}", self.0, MADE.fetch_add(1, Ordering::Relaxed))
    }
}

/// Says `STEP=TOKEN` of each.
fn seen<'a>(results: impl Iterator<Item = (&'a str, String)>) -> String {
    results.fold(String::new(), |mut seen, (step, token)| {
        // To a string it cannot fail.
        let _ = write!(seen, " {step}={token}");
        seen
    })
}

/// Says that a handler was called, and gives the name of its run.
///
/// A handler says all that it says before it waits for anything: so no attempt
/// that has lost its lease is heard after the one that has it.
fn called(verb: &str, step: &StepContext) -> Result<String, Failure> {
    let (run, process) = step.input::<(String, String)>()?;
    let run = if run.is_empty() { step.run().to_owned() } else { run };
    let mut results = Vec::new();
    for id in ["take", "left", "right", "fold", "pack", "gate", "send"] {
        results.extend(step.result_if_any::<String>(id)?.map(|token| (id, token)));
    }
    let seen = seen(results.into_iter());
    println!("{verb} {run} {} {} {process}{seen}", step.step(), step.attempt());
    Ok(run)
}

fn step(
    id: &'static str,
    tokens: &Tokens,
    fault: fn(&StepContext, &str) -> Option<Failure>,
) -> Step {
    let tokens = tokens.clone();
    let run = move |step: StepContext| {
        let tokens = tokens.clone();
        async move {
            let run = called("doing", &step)?;
            if let Some(failure) = fault(&step, kind(&run)) {
                return Err(failure);
            }
            let token = tokens.next();
            println!("did {run} {id} {token}");
            if id == "take" && step.workflow() == "order" {
                step.publish_event(event(&format!("run:{run}")))?;
            }
            // One that does not return when it is first polled.
            if id == "right" {
                tokio::task::yield_now().await;
            }
            Ok(token)
        }
    };
    let undo = move |step: StepContext| async move {
        let run = called("undoing", &step)?;
        if id == "left" && step.attempt() == 1 {
            return Err(Failure::retry("busy"));
        }
        println!("undid {run} {id}");
        Ok(())
    };
    let pause = Duration::from_millis(1);
    Step::new(id, run).compensate(undo).attempts(ATTEMPTS).backoff(pause, pause)
}

impl Runs {
    /// Defines the workflows and serves them.
    pub(crate) async fn define(
        workflows: Workflows,
        process: &str,
        finished: Vec<String>,
    ) -> anyhow::Result<Self> {
        let process: Arc<str> = process.into();
        let finished = watch::Sender::new(finished.into_iter().collect());
        let runs = Self { workflows, process: Arc::clone(&process), finished };
        let tokens = &Tokens(process);
        let well = |_: &StepContext, _: &str| None;

        let packing = Workflow::new("packing")
            .then(step("fold", tokens, well))
            .then(step("pack", tokens, well));
        let told = runs.finished.clone();
        let order = Workflow::new("order")
            .then(step("take", tokens, well))
            .together([
                step("left", tokens, well),
                step("right", tokens, |step, _| {
                    (step.attempt() == 1).then(|| Failure::retry("busy"))
                }),
            ])
            .then(Step::nested("pack", "packing"))
            .then(step("send", tokens, |_, kind| {
                (kind == "failing").then(|| Failure::reject("nobody lives there"))
            }))
            .publishes()
            .on_finish(move |run| {
                let told = told.clone();
                async move {
                    let line = format!("{} {}", run.run, run.state);
                    println!("finished {line}");
                    told.send_if_modified(|told| told.insert(line));
                    Ok(())
                }
            });
        let gate = Step::new("gate", |step: StepContext| async move {
            called("doing", &step)?;
            Ok(Outcome::<()>::Waiting)
        });
        let parcel = Workflow::new("parcel")
            .then(step("take", tokens, well))
            .then(gate)
            .then(step("send", tokens, well));
        let tick = Workflow::new("tick").then(step("take", tokens, well));
        for workflow in [packing, order, parcel, tick] {
            runs.workflows.define(workflow).lease(LEASE).await?;
        }
        // It goes on as it was, if it is there.
        let schedule = Schedule::every(SCHEDULE, "tick", Duration::from_secs(1)).catch_up(true);
        runs.workflows.schedule(schedule.input(&("", SCHEDULE))?).await?;
        Ok(runs)
    }

    /// Starts a run, if it is not there.
    pub(crate) async fn begin(&self, run: &str) -> anyhow::Result<bool> {
        let process = &*self.process;
        println!("asking {run}");
        let started = self.workflows.start(workflow(run), &(run, process)).id(run).await?;
        println!("accepted {run} {process} {}", if started.new { "new" } else { "old" });
        Ok(started.new)
    }

    /// Starts one run after the other. Those that wait are left to the next
    /// process.
    pub(crate) async fn start(&self, starter: usize) -> anyhow::Result<()> {
        for (number, kind) in KINDS.iter().cycle().enumerate() {
            let run = format!("{}-{starter}-{number}-{kind}", self.process);
            self.begin(&run).await?;
            if *kind == "cancelled" {
                // It comes so far meanwhile.
                for _ in 0..number % 16 {
                    self.workflows.get(&run).await?;
                }
                self.workflows.cancel(&run, "not wanted").await?;
                println!("cancelled {run}");
            }
            if workflow(&run) == "order" {
                self.workflows.wait(&run).await?;
            }
        }
        Ok(())
    }

    /// Runs that wait, or soon will.
    pub(crate) async fn waiting(&self) -> anyhow::Result<Vec<RunStatus>> {
        let states = vec![RunState::Running];
        let workflow = Some("parcel".to_owned());
        self.all(RunFilter { workflow, states, ..RunFilter::default() }).await
    }

    /// Ends the steps that wait.
    pub(crate) async fn complete(&self, waiting: Vec<RunStatus>) -> anyhow::Result<()> {
        let tokens = Tokens(Arc::clone(&self.process));
        for RunStatus { run, .. } in waiting {
            let token = tokens.next();
            println!("completing {run} {token}");
            let completed = if kind(&run) == "refused" {
                self.workflows.fail(&run, "gate", "refused").await
            } else {
                self.workflows.complete(&run, "gate", &token).await
            };
            match completed {
                Ok(()) => println!("completed {run} {token}"),
                // It does not wait yet, or no more.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for the end of every run, and starts each again under its id.
    pub(crate) async fn drain(&self) -> anyhow::Result<()> {
        timeout(LONG, self.complete_all()).await.context("a step waits without end")??;
        self.check_schedule().await?;
        self.workflows.unschedule(SCHEDULE).await?;
        let mut orders = BTreeSet::new();
        let all = self.all(RunFilter::default()).await?;
        let own = all.into_iter().filter(|status| status.parent.is_none());
        for RunStatus { run, workflow, .. } in own {
            let ended = timeout(LONG, self.workflows.wait(&run)).await;
            let ended = ended.with_context(|| format!("{run} does not end"))??;
            tell_end(&ended)?;
            let again = self.workflows.start(&workflow, &("", "again")).id(&run).await?;
            ensure!(!again.new, "{run} ran twice");
            if workflow == "order" {
                orders.insert(format!("{run} {}", ended.status.state));
            }
        }
        // One that is done is undone if the outer run fails, so these come last.
        for RunStatus { parent, state, .. } in self.all(RunFilter::default()).await? {
            if let Some((outer, _)) = parent {
                println!("nested {outer} {state}");
            }
        }
        let mut finished = self.finished.subscribe();
        let told = timeout(LONG, finished.wait_for(|told| orders.is_subset(told))).await;
        let untold = || orders.difference(&self.finished.borrow()).cloned().collect::<Vec<_>>();
        told.with_context(|| format!("of these the end was not told: {:?}", untold()))??;
        Ok(())
    }

    async fn complete_all(&self) -> anyhow::Result<()> {
        loop {
            let waiting = self.waiting().await?;
            if waiting.is_empty() {
                return Ok(());
            }
            self.complete(waiting).await?;
        }
    }

    /// A schedule counts every run that it has started, and no other.
    async fn check_schedule(&self) -> anyhow::Result<()> {
        let filter = RunFilter { schedule: Some(SCHEDULE.to_owned()), ..RunFilter::default() };
        let before = self.all(filter.clone()).await?.len() as u64;
        let counted = self.workflows.schedules().await?;
        let counted = counted.first().context("the schedule is gone")?.runs;
        let after = self.all(filter).await?.len() as u64;
        ensure!((before..=after).contains(&counted), "{counted} of {before} to {after} runs");
        Ok(())
    }

    async fn all(&self, filter: RunFilter) -> anyhow::Result<Vec<RunStatus>> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self.workflows.list(filter.clone(), after.as_deref(), 1_000).await?;
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }
}

fn tell_end(run: &RunDetail) -> Result<(), Error> {
    let (_, process) = run.input_as::<(String, String)>()?;
    let results = run.steps.iter().filter_map(|step| {
        let result = step.result.as_deref()?;
        let token = String::from_utf8_lossy(result).trim_matches('"').to_owned();
        Some((step.id.as_str(), token))
    });
    println!("ended {} {} {process}{}", run.status.run, run.status.state, seen(results));
    Ok(())
}
