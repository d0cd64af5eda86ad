//! `workflows-local` behind the embed API, in memory and in a store, beside what
//! an app would write for itself: from starting a run of three steps until its
//! result is there.
//!
//! The native equivalents do the least that makes a run go on where it was: the
//! steps are called in their order, and each result is recorded before the next
//! one begins, in a table or, where it is durable, in a file of the same kind,
//! committed together with those of other runs. They have no queue, no leases, no
//! attempts, and nothing that takes a run up again.

use std::path::Path;
use std::time::Duration;

use redb::{Database, TableDefinition};
use stheno::config::{ByteSize, Config, ModuleName, StoreGrant, StoreLabel, StoreSize};
use stheno::{Runtime, Step, StepContext, Workflow, Workflows};
use tokio::sync::{mpsc, oneshot};

use crate::measure::{Measured, Row, closed_loop};
use crate::native::NativeRuns;

const BENCH: &str = "workflows-local";
const WORKFLOW: &str = "order";
const CALLERS: usize = 64;
const STEPS: u64 = 3;
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("runs");

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let runs = NativeRuns::default();
    let baseline = closed_loop(CALLERS, span, move |caller, count| {
        let runs = runs.clone();
        async move {
            let (run, input) = (run_id(caller, count), caller as u64);
            let mut value = input;
            for _ in 0..STEPS {
                value = handle(value);
                runs.record(&run, serde_json::to_vec(&value)?).await;
            }
            runs.remove(&run).await;
            checked(input, value)
        }
    })
    .await?;
    measured(Config::default(), span, "in memory", ("table behind a lock", baseline), print)
        .await?;

    let folder = tempfile::tempdir()?;
    let writer = NativeWriter::open(&folder.path().join("native.redb"))?;
    let baseline = closed_loop(CALLERS, span, move |caller, count| {
        let writer = writer.clone();
        async move {
            let (run, input) = ((caller as u64) << 48 | count, caller as u64);
            let mut value = input;
            writer.write(run, Some(serde_json::to_vec(&value)?)).await?;
            for step in 1..=STEPS {
                value = handle(value);
                // The last result ends the run, which then leaves no row.
                let row = if step == STEPS { None } else { Some(serde_json::to_vec(&value)?) };
                writer.write(run, row).await?;
            }
            checked(input, value)
        }
    })
    .await?;
    let config = durable(&folder.path().join("workflows.redb"))?;
    measured(config, span, "durable", ("redb, one writer", baseline), print).await
}

/// Both ways to come to a result: in one call, and in two.
async fn measured(
    config: Config,
    span: Duration,
    place: &str,
    baseline: (&str, Measured),
    print: &mut impl FnMut(Row),
) -> anyhow::Result<()> {
    let runtime = Runtime::builder().config(config).build().await?;
    let workflows = runtime.workflows().clone();
    workflows.define(three_steps()).concurrency(256).await?;

    let row = |measured: Measured, how: &str| {
        measured.row(BENCH, &format!("3 steps, {place}, {how}"), CALLERS, Some(baseline))
    };
    let runs = workflows.clone();
    let at_once = closed_loop(CALLERS, span, move |caller, _| {
        let workflows = runs.clone();
        async move {
            let input = caller as u64;
            checked(input, workflows.run(WORKFLOW, &input).await?)
        }
    })
    .await?;
    print(row(at_once, "run"));

    let in_two = closed_loop(CALLERS, span, move |caller, _| {
        let workflows: Workflows = workflows.clone();
        async move {
            let input = caller as u64;
            let started = workflows.start(WORKFLOW, &input).await?;
            checked(input, workflows.wait(&started.run).await?.done()?)
        }
    })
    .await?;
    print(row(in_two, "start, wait"));
    runtime.shutdown().await?;
    Ok(())
}

/// What a step does: as good as nothing, so that the rest is what is measured.
fn handle(value: u64) -> u64 {
    value + 1
}

fn checked(input: u64, result: u64) -> anyhow::Result<()> {
    anyhow::ensure!(result == input + STEPS, "{input} became {result}");
    Ok(())
}

fn run_id(caller: usize, count: u64) -> String {
    format!("{caller}-{count}")
}

fn three_steps() -> Workflow {
    Workflow::new(WORKFLOW)
        .then(Step::new("first", async |step: StepContext| Ok(handle(step.input()?))))
        .then(Step::new("second", async |step: StepContext| Ok(handle(step.result("first")?))))
        .then(Step::new("third", async |step: StepContext| Ok(handle(step.result("second")?))))
}

fn durable(file: &Path) -> anyhow::Result<Config> {
    let mut config = Config::default();
    let workflows = config.modules.get_mut(ModuleName::Workflows);
    let max_size = StoreSize::new(ByteSize::gib(1))?;
    let grant = StoreGrant { path: file.to_owned(), max_size };
    workflows.grants.add_store(StoreLabel::new("default")?, grant);
    Ok(config)
}

/// The row of a run, or none where it has ended, and whom to tell.
type Waiting = (u64, Option<Vec<u8>>, oneshot::Sender<()>);

/// Group commit by hand.
#[derive(Clone)]
struct NativeWriter(mpsc::Sender<Waiting>);

impl NativeWriter {
    fn open(file: &Path) -> anyhow::Result<Self> {
        let database = Database::create(file)?;
        let (sender, mut receiver) = mpsc::channel::<Waiting>(1_024);
        std::thread::spawn(move || -> anyhow::Result<()> {
            while let Some(first) = receiver.blocking_recv() {
                let mut replies = Vec::new();
                let write = database.begin_write()?;
                {
                    let mut table = write.open_table(TABLE)?;
                    let mut one = Some(first);
                    while let Some((run, row, reply)) = one {
                        match row {
                            Some(row) => drop(table.insert(run, row.as_slice())?),
                            None => drop(table.remove(run)?),
                        }
                        replies.push(reply);
                        one = receiver.try_recv().ok();
                    }
                }
                write.commit()?;
                for reply in replies {
                    // A caller that went away does not want its answer.
                    let _ = reply.send(());
                }
            }
            Ok(())
        });
        Ok(Self(sender))
    }

    async fn write(&self, run: u64, row: Option<Vec<u8>>) -> anyhow::Result<()> {
        let (reply, answer) = oneshot::channel();
        self.0.send((run, row, reply)).await?;
        Ok(answer.await?)
    }
}
