//! What a restart leaves.

use std::time::Duration;

use stheno::{
    ErrorKind, Overlap, Retries, RunState, StepDefinition, TaskVerdict, WorkflowDefinition,
    Workflows,
};

use super::schedules::TEN;
use super::{
    LEASE, LEASE_MS, Subject, done, failed, rejected, results, step, tried, undoable, waits,
};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, names};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.restart.runs" =>
        "Definitions and runs survive a restart, with their inputs, results and states, and go on." [with "durable"],
        runs;
    "workflows.restart.definitions" =>
        "A run keeps its own definition over a restart, also one that was replaced or removed." [with "durable"],
        definitions;
    "workflows.restart.settled" =>
        "What was settled before a restart is not asked for after it." [with "durable"], settled;
    "workflows.restart.leases" =>
        "A lease outlives a restart: until it ends its token can be settled, then the task is due again." [with "durable"],
        leases;
    "workflows.restart.retries" =>
        "Attempts that were made and the wait for the next one survive a restart." [with "durable"], retries;
    "workflows.restart.timeouts" =>
        "The times of steps and runs go on over a restart." [with "durable"], timeouts;
    "workflows.restart.waiting" =>
        "A step that waits or is stalled before a restart does so after it." [with "durable"], waiting;
    "workflows.restart.undo" =>
        "A run that is stopping or compensated when the restart comes goes on undoing." [with "durable"], undo;
    "workflows.restart.ended" =>
        "A run that ended before a restart is retained as long as without one, and its id is not run again." [with "durable"],
        ended;
    "workflows.restart.finish" => "A last task that was not done comes after a restart." [with "durable"], finish;
    "workflows.restart.nested" =>
        "A nested run and its parent find each other again after a restart." [with "durable" "nested"], nested;
    "workflows.restart.schedules" =>
        "Schedules survive a restart with what they have counted, and go on at their moments." [with "durable" "schedules"],
        schedules;
    "workflows.restart.missed" =>
        "Of the moments that passed while nobody could serve, a schedule that catches up makes up for the last, and no other for any." [with "durable" "schedules"],
        missed;
    "workflows.restart.forgets" =>
        "Without the feature `durable` a restart begins empty, and the provider serves." [without "durable"],
        forgets;
};

async fn runs(s: Subject) -> Outcome {
    let steps = vec![step("a", &[]), step("b", &["a"]), step("c", &["b"])];
    s.define("w", steps).await?;
    let input: Vec<u8> = (0..=255).collect();
    s.run_on("w", "r", input.clone()).await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, TaskVerdict::Done(b"\0\xff".to_vec())).await?;
    s.run("w", "q").await?;
    let before = (s.get("r").await?, s.get("q").await?, s.api.definitions().await?);
    let s = s.restart().await?;
    let after = (s.get("r").await?, s.get("q").await?, s.api.definitions().await?);
    equal("the first run", after.0, before.0)?;
    equal("the second run", after.1, before.1)?;
    equal("the definitions", after.2, before.2)?;
    let [b, q] = s.takes("w", ["b", "a"]).await?;
    equal("the input", b.input, input)?;
    equal("the results", b.results, [("a".to_owned(), b"\0\xff".to_vec())])?;
    s.settle(&q, done("1")).await?;
    s.run("w", "new").await?;
    s.does("w", ["a", "b"]).await
}

async fn definitions(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"])]).await?;
    s.define("v", vec![step("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.run("v", "q").await?;
    s.define("w", vec![step("x", &[])]).await?;
    s.api.remove_definition(&s.own("v")).await?;
    let s = s.restart().await?;
    let started = s.api.start_bytes(&s.own("v"), Vec::new()).id(s.own("new")).await;
    names("starting what was removed", started, ErrorKind::NotFound, &s.own("v"))?;
    s.run("w", "new").await?;
    s.does("w", ["a", "x"]).await?;
    s.does("w", ["b"]).await?;
    s.does("v", ["a"]).await?;
    s.does("v", ["b"]).await?;
    for (run, steps) in [("r", "a done, b done"), ("q", "a done, b done"), ("new", "x done")] {
        s.stands(run, &format!("done: {steps}")).await?;
    }
    Ok(())
}

async fn settled(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &[]), step("c", &["a", "b"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a", "b"]).await?;
    let s = s.restart().await?;
    s.does("w", ["c"]).await?;
    let s = s.restart().await?;
    s.idle("w").await?;
    s.stands("r", "done: a done, b done, c done").await
}

async fn leases(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &[])]).await?;
    s.run("w", "r").await?;
    let [a, b] = s.takes("w", ["a", "b"]).await?;
    let s = s.restart().await?;
    s.idle("w").await?;
    s.settle(&a, done("1")).await?;
    // A second went by between the two.
    s.pass(LEASE_MS - 1_001);
    s.idle("w").await?;
    s.pass(1);
    let lost = s.api.extend(vec![b.token.clone()], LEASE).await?;
    equal("tokens that are no longer leased", lost, [b.token])?;
    let [again] = s.takes("w", ["b"]).await?;
    equal("the attempt", again.attempt, 1)?;
    s.settle(&again, done("2")).await?;
    s.stands("r", "done: a done, b done").await
}

async fn retries(s: Subject) -> Outcome {
    let retries = Retries { initial: TEN, max: TEN, ..tried(3) };
    s.define("w", vec![StepDefinition { retries, ..step("a", &[]) }]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, failed()).await?;
    let s = s.restart().await?;
    s.pass(3_999);
    s.idle("w").await?;
    s.pass(5_001);
    let [a] = s.takes("w", ["a"]).await?;
    equal("the attempt and how many there are", (a.attempt, a.attempts), (2, 3))?;
    equal("how many failures there are", s.step("r", "a").await?.faults.len(), 1)?;
    s.settle(&a, done("1")).await
}

async fn timeouts(s: Subject) -> Outcome {
    let limited = |step| StepDefinition { timeout: Some(TEN), ..step };
    s.define("step", vec![limited(undoable("a", &[]))]).await?;
    s.define("wait", vec![limited(waits("a", &[])), undoable("b", &[])]).await?;
    let run = s.workflow("run", vec![undoable("a", &[]), undoable("b", &["a"])]);
    s.api.put_definition(WorkflowDefinition { timeout: Some(TEN), ..run }).await?;
    for workflow in ["step", "wait", "run"] {
        s.run(workflow, workflow).await?;
    }
    let [of_step] = s.takes("step", ["a"]).await?;
    s.does("wait", ["b"]).await?;
    s.does("run", ["a"]).await?;
    let s = s.restart().await?;
    s.pass(8_999);
    s.tick().await?;
    s.stands("step", "running: a running").await?;
    s.stands("wait", "running: a waiting, b done").await?;
    s.stands("run", "running: a done, b running").await?;
    s.pass(1);
    s.is_lost(&of_step).await?;
    s.does("step", ["undo a"]).await?;
    s.does("wait", ["undo b"]).await?;
    s.does("run", ["undo a"]).await
}

async fn waiting(s: Subject) -> Outcome {
    let by_hand = Retries { automatic: false, ..tried(2) };
    let steps = vec![
        waits("a", &[]),
        StepDefinition { retries: by_hand, ..step("b", &[]) },
        step("c", &[]),
        step("d", &["a", "b", "c"]),
    ];
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    let [b, c] = s.takes("w", ["b", "c"]).await?;
    s.settle(&b, failed()).await?;
    s.settle(&c, TaskVerdict::Waiting).await?;
    let s = s.restart().await?;
    s.pass(LEASE_MS);
    s.idle("w").await?;
    s.stands("r", "running: a waiting, b stalled, c waiting, d pending").await?;
    s.complete("r", "a", done("1")).await?;
    s.complete("r", "c", done("3")).await?;
    s.retry("r", "b").await?;
    let [b] = s.takes("w", ["b"]).await?;
    equal("the attempt", b.attempt, 2)?;
    s.settle(&b, done("2")).await?;
    let [d] = s.takes("w", ["d"]).await?;
    equal("the results", results(&d), [("a", "1"), ("b", "2"), ("c", "3")])
}

async fn undo(s: Subject) -> Outcome {
    let steps = vec![undoable("a", &[]), undoable("b", &["a"]), undoable("c", &["a"])];
    s.define("w", [steps, vec![step("d", &["a"])]].concat()).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let [b, c, d] = s.takes("w", ["b", "c", "d"]).await?;
    s.settle(&b, done("2")).await?;
    s.settle(&d, rejected()).await?;
    let s = s.restart().await?;
    s.stands("r", "stopping: a done, b done, c running, d failed").await?;
    s.settle(&c, done("3")).await?;
    let [b, c] = s.takes("w", ["undo b", "undo c"]).await?;
    s.settle(&b, rejected()).await?;
    s.settle(&c, TaskVerdict::Waiting).await?;
    let s = s.restart().await?;
    s.stands("r", "compensating: a done, b stuck, c waiting, d failed").await?;
    s.complete("r", "c", done("")).await?;
    let s = s.restart().await?;
    s.stands("r", "failed: a done, b stuck, c reverted, d failed").await?;
    s.retry("r", "b").await?;
    let s = s.restart().await?;
    s.does("w", ["undo b"]).await?;
    let s = s.restart().await?;
    s.does("w", ["undo a"]).await?;
    s.stands("r", "reverted: a reverted, b reverted, c reverted, d failed").await
}

async fn ended(s: Subject) -> Outcome {
    let short = s.workflow("w", vec![step("a", &[])]);
    s.api.put_definition(WorkflowDefinition { retention: Some(TEN), ..short }).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let before = s.get("r").await?;
    let s = s.restart().await?;
    equal("the run", s.get("r").await?, before)?;
    equal("whether it is new", s.start("w", "r", "").await?, false)?;
    s.pass(8_999);
    s.stands("r", "done: a done").await?;
    s.pass(1);
    fails("looking it up", s.api.get(&s.own("r")).await, ErrorKind::NotFound)?;
    let s = s.restart().await?;
    s.run("w", "r").await
}

async fn finish(s: Subject) -> Outcome {
    let telling = s.workflow("w", vec![step("a", &[])]);
    s.api.put_definition(WorkflowDefinition { finish: true, ..telling }).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let s = s.restart().await?;
    let [last] = s.takes("w", ["finish done"]).await?;
    equal("the results", results(&last), [("a", "\"a\"")])?;
    s.settle(&last, failed()).await?;
    let s = s.restart().await?;
    s.pass(LEASE_MS);
    s.does("w", ["finish done"]).await?;
    let s = s.restart().await?;
    s.pass(LEASE_MS);
    s.idle("w").await
}

async fn nested(s: Subject) -> Outcome {
    s.define("child", vec![undoable("c", &[])]).await?;
    s.define("w", vec![s.nested("n", "child", &[]), step("b", &["n"])]).await?;
    s.run_on("w", "r", "5").await?;
    let s = s.restart().await?;
    let [c] = s.takes("child", ["c"]).await?;
    equal("the input", &c.input, b"5")?;
    let s = s.restart().await?;
    s.settle(&c, done("7")).await?;
    let s = s.restart().await?;
    let [b] = s.takes("w", ["b"]).await?;
    equal("the results", results(&b), [("n", "7")])?;
    s.settle(&b, rejected()).await?;
    let s = s.restart().await?;
    s.stands("r", "compensating: n compensating, b failed").await?;
    s.does("child", ["undo c"]).await?;
    s.stands("r", "reverted: n reverted, b failed").await
}

async fn schedules(s: Subject) -> Outcome {
    s.define("w", vec![waits("a", &[])]).await?;
    s.api.schedule(s.every_ten("s", "w").overlap(Overlap::Skip).max_runs(2)).await?;
    s.goes_by(10_000).await?;
    s.goes_by(10_000).await?;
    let before = s.schedules().await?;
    let s = s.restart().await?;
    equal("the schedules", s.schedules().await?, before)?;
    s.goes_by(8_999).await?;
    let status = s.scheduled("s").await?;
    equal("what it has counted", (status.runs, status.skipped), (1, 1))?;
    s.goes_by(1).await?;
    // The run of before the restart has not ended.
    let status = s.scheduled("s").await?;
    equal("what it has counted", (status.runs, status.skipped), (1, 2))?;
    let run = crate::check::one("the runs", s.runs_of("s").await?)?;
    s.complete(&run, "a", done("1")).await?;
    s.goes_by(10_000).await?;
    equal("how many runs there are", s.runs_of("s").await?.len(), 2)?;
    equal("how many schedules are left", s.schedules().await?.len(), 0)
}

async fn missed(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    for (id, catch_up) in [("makes up", true), ("does not", false)] {
        let schedule = s.every_ten(id, "w").overlap(Overlap::Allow).catch_up(catch_up);
        s.api.schedule(schedule).await?;
    }
    let first = s.next("makes up").await?;
    let trial = s.stop().await?;
    trial.pass(1_009_000);
    let s = Subject::begin(trial).await?;
    s.tick().await?;
    let last = first + 990_000;
    equal("the runs of one", s.runs_of("makes up").await?, [format!("makes up@{last}")])?;
    equal("the runs of the other", s.runs_of("does not").await?, [""; 0])?;
    for id in ["makes up", "does not"] {
        equal("when it is due", s.next(id).await?, last + 10_000)?;
    }
    s.goes_by(1_000).await?;
    equal("runs of one", s.runs_of("makes up").await?.len(), 2)?;
    equal("runs of the other", s.runs_of("does not").await?.len(), 1)
}

async fn forgets(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    let s = s.restart().await?;
    fails("looking up a run of before", s.api.get(&s.own("r")).await, ErrorKind::NotFound)?;
    let started = s.api.start_bytes(&s.own("w"), Vec::new()).id(s.own("r")).await;
    fails("starting a workflow of before", started, ErrorKind::NotFound)?;
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    equal("the state", s.get("r").await?.status.state, RunState::Done)?;
    s.pass(Duration::from_secs(60).as_secs());
    s.idle("w").await
}
