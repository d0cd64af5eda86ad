//! A provider that is full. Where that is it says itself; one with more room than
//! a case fills is never full.

use stheno::{Condition, ErrorKind, MAX_RUN_BODY_BYTES, StepDefinition, Workflows};

use super::{LEASE, Subject, done, step};
use crate::case::Case;
use crate::check::{Fault, Outcome, equal, fails, holds, one};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.full.refused" =>
        "A run for which there is no room is `unavailable` and is not started, and those that were started go on.",
        refused;
    "workflows.full.named" =>
        "For want of room only runs are forgotten that have ended and that nobody named, the oldest first.", named;
};

/// So many runs of 1 MiB.
const RUNS: usize = 64;

async fn refused(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    let workflow = s.own("w");
    let mut started = 0;
    while started < RUNS {
        let id = s.own(&started.to_string());
        match s.api.start_bytes(&workflow, vec![0; MAX_RUN_BODY_BYTES]).id(&id).await {
            Ok(run) => holds(run.new, || format!("{id} is not new"))?,
            Err(error) => {
                fails(
                    "a run for which there is no room",
                    Err::<(), _>(error),
                    ErrorKind::Unavailable,
                )?;
                fails("looking it up", s.api.get(&id).await, ErrorKind::NotFound)?;
                break;
            }
        }
        started += 1;
    }
    holds(started > 0, || "there is no room for one run".to_owned())?;
    for run in 0..started {
        let pulled = s.api.pull_now(s.selector("w"), 1, LEASE).await?;
        let task = one(&format!("what is due as number {run}"), pulled.tasks)?;
        holds(task.input.len() == MAX_RUN_BODY_BYTES, || "the input is not whole".to_owned())?;
        s.settle(&task, done("1")).await?;
    }
    for run in 0..started {
        s.stands(&run.to_string(), "done: a done").await?;
    }
    Ok(())
}

async fn named(s: Subject) -> Outcome {
    // Its runs end as they begin.
    let when = vec![Condition::input("").present()];
    s.define("w", vec![StepDefinition { when, ..step("a", &[]) }]).await?;
    s.run_on("w", "named", "").await?;
    let workflow = s.own("w");
    let mut started = Vec::new();
    for _ in 0..RUNS {
        match s.api.start_bytes(&workflow, vec![0; MAX_RUN_BODY_BYTES]).await {
            Ok(run) => started.push(run.run),
            Err(error) => {
                fails(
                    "a run for which there is no room",
                    Err::<(), _>(error),
                    ErrorKind::Unavailable,
                )?;
                break;
            }
        }
    }
    s.stands("named", "done: a skipped").await?;
    equal("whether it is new", s.start("w", "named", "").await?, false)?;
    let mut forgotten = 0;
    for (at, run) in started.iter().enumerate() {
        match s.api.get(run).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound && forgotten == at => forgotten += 1,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Fault::new(format!(
                    "run {at} of {} is gone before older ones",
                    started.len()
                )));
            }
            Err(error) => return Err(error.into()),
        }
    }
    holds(forgotten < started.len() || started.is_empty(), || "none of them is there".to_owned())
}
