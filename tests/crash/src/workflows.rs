//! Runs that the killed process starts and works at. A run's input is its id,
//! so that what a nested run does is told under the name of the outer one.

use std::time::Duration;

use anyhow::{Context, ensure};
use stheno::{Failure, RunFilter, Step, StepContext, Workflow, Workflows};
use tokio::sync::Semaphore;

const LEASE: Duration = Duration::from_millis(100);
/// No number of dead processes uses them up.
const ATTEMPTS: u32 = 1_000;
/// Every third run fails for good at its last step.
const FAILS: usize = 3;

fn step(id: &'static str, fault: fn(usize, u32) -> Option<Failure>) -> Step {
    let run = move |step: StepContext| async move {
        let run = step.input::<String>()?;
        let number = run.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        if let Some(failure) = fault(number, step.attempt()) {
            return Err(failure);
        }
        println!("did {run} {id}");
        Ok(())
    };
    let undo = move |step: StepContext| async move {
        println!("undid {} {id}", step.input::<String>()?);
        Ok(())
    };
    let pause = Duration::from_millis(1);
    Step::new(id, run).compensate(undo).attempts(ATTEMPTS).backoff(pause, pause)
}

pub async fn define(workflows: &Workflows) -> anyhow::Result<()> {
    let inner = Workflow::new("inner").then(step("pack", |_, _| None));
    let busy = |_, attempt| (attempt == 1).then(|| Failure::retry("busy"));
    let never = |number: usize, _| number.is_multiple_of(FAILS).then(|| Failure::reject("never"));
    let order = Workflow::new("order")
        .then(step("take", |_, _| None))
        .together([step("left", |_, _| None), step("right", busy)])
        .then(Step::nested("nested", "inner"))
        .then(step("send", never));
    for workflow in [inner, order] {
        workflows.define(workflow).lease(LEASE).await?;
    }
    Ok(())
}

pub async fn start(workflows: &Workflows, room: &Semaphore, who: &str) -> anyhow::Result<()> {
    for number in 0_usize.. {
        let _place = room.acquire().await?;
        let run = format!("{who}-{number}");
        workflows.start("order", &run).id(&run).await?;
        println!("accepted {run}");
        workflows.wait(&run).await?;
    }
    Ok(())
}

/// Waits for the end of every run, and starts each again under its id.
pub async fn drain(workflows: &Workflows) -> anyhow::Result<()> {
    let mut after: Option<String> = None;
    loop {
        let filter = RunFilter { workflow: Some("order".to_owned()), ..RunFilter::default() };
        let page = workflows.list(filter, after.as_deref(), 100).await?;
        for status in page.items {
            let run = workflows.wait(&status.run).await.context("it does not end")?.status;
            println!("ended {} {}", run.run, run.state);
            let again = workflows.start("order", &run.run).id(&run.run).await?;
            ensure!(!again.new, "{} ran twice", run.run);
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
