//! Tasks: who takes which, and for how long.

use std::time::Duration;

use stheno::{TaskSelector, TaskVerdict, Workflows};

use super::{LEASE, LEASE_MS, Subject, done, failed, step, tried, what};
use crate::case::Case;
use crate::check::{Fault, Outcome, equal, holds, there};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.pull.selectors" =>
        "A worker takes tasks of the workflows that it names, and of those steps only if it names any.", selectors;
    "workflows.pull.max" => "`pull` takes at most as many as it is asked for, and the rest stays due.", max;
    "workflows.pull.next-due" =>
        "`pull` says when something will be due, so that who comes then finds it.", next_due;
    "workflows.leases.exclusive" => "What is leased is not given to anybody else meanwhile.", exclusive;
    "workflows.leases.expire" =>
        "A task whose worker vanishes is due again at the millisecond when the lease ends, under another token.",
        expire;
    "workflows.leases.uncounted" =>
        "An attempt that was lost with its worker does not count as failed, until that has happened too often.",
        uncounted;
    "workflows.leases.late" =>
        "Settling after the lease has ended gives the token back and records nothing.", late;
    "workflows.leases.extend" =>
        "An extended lease runs from the moment of the call; `extend` gives the tokens that are no longer leased.",
        extend;
    "workflows.leases.returned" =>
        "A returned task is due again at once, and the attempt does not count.", returned;
};

impl Subject {
    /// What of these steps is due.
    async fn of_steps(&self, workflow: &str, steps: &[&str]) -> Result<Vec<String>, Fault> {
        let steps = steps.iter().map(|&step| step.to_owned()).collect();
        let selector = TaskSelector { workflow: self.own(workflow), steps };
        let tasks = self.api.pull_now(vec![selector], super::ALL, LEASE).await?.tasks;
        let mut found: Vec<_> = tasks.iter().map(what).collect();
        found.sort_unstable();
        Ok(found)
    }
}

async fn selectors(s: Subject) -> Outcome {
    for workflow in ["v", "w", "x"] {
        s.define(workflow, vec![step("a", &[]), step("b", &[]), step("c", &[])]).await?;
        s.run(workflow, workflow).await?;
    }
    s.idle("nobody").await?;
    equal("what is due of no step of it", s.of_steps("w", &["d"]).await?, [""; 0])?;
    equal("what is due of one step", s.of_steps("w", &["b"]).await?, ["b"])?;
    equal("what is due of two", s.of_steps("w", &["a", "b"]).await?, ["a"])?;
    let both = [s.selector("v"), s.selector("w"), s.selector("nobody")].concat();
    let tasks = s.api.pull_now(both, super::ALL, LEASE).await?.tasks;
    let mut found: Vec<_> =
        tasks.iter().map(|task| format!("{} {}", s.short(&task.workflow), task.step)).collect();
    found.sort_unstable();
    equal("what is due of two workflows", found, ["v a", "v b", "v c", "w c"])?;
    s.does("x", ["a", "b", "c"]).await
}

async fn max(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &[]), step("c", &[])]).await?;
    s.run("w", "r").await?;
    let first = s.api.pull_now(s.selector("w"), 2, LEASE).await?;
    equal("how many were taken", first.tasks.len(), 2)?;
    equal("when more is due, with more due now", first.next_due, Some(Duration::ZERO))?;
    equal("how many were left", s.pull("w").await?.len(), 1)
}

async fn next_due(s: Subject) -> Outcome {
    let retries = stheno::Retries { initial: Duration::from_secs(20), ..tried(2) };
    let retries = stheno::Retries { max: Duration::from_secs(20), ..retries };
    s.define("w", vec![stheno::StepDefinition { retries, ..step("a", &[]) }]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, failed()).await?;
    let mut passed = 0;
    // Something else may be due by time earlier.
    for _ in 0..1_000 {
        let pulled = s.api.pull_now(s.selector("w"), super::ALL, LEASE).await?;
        if !pulled.tasks.is_empty() {
            return holds((10_000..=20_000).contains(&passed), || {
                format!("the wait was {passed} ms, expected half of 20000 ms to all of it")
            });
        }
        let next = there("the moment when something is due", pulled.next_due)?.as_millis();
        let next = u64::try_from(next).unwrap_or(u64::MAX);
        holds(next <= 20_000 - passed, || {
            format!("{passed} ms after the failure it says {next} ms, expected 20000 ms at most")
        })?;
        // Who is told 0 looks again at once.
        s.pass(next);
        passed += next;
    }
    Err(Fault::new("who comes when it says finds nothing"))
}

async fn exclusive(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.idle("w").await?;
    s.pass(LEASE_MS - 1);
    s.idle("w").await?;
    s.settle(&a, done("1")).await
}

async fn expire(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    let [first] = s.takes("w", ["a"]).await?;
    s.pass(LEASE_MS - 1);
    s.idle("w").await?;
    s.pass(1);
    let [second] = s.takes("w", ["a"]).await?;
    holds(first.token != second.token, || "both have one token".to_owned())?;
    equal("the input", second.input, first.input)?;
    s.stands("r", "running: a running").await
}

async fn uncounted(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "once").await?;
    s.takes("w", ["a"]).await?;
    s.pass(LEASE_MS);
    let [again] = s.takes("w", ["a"]).await?;
    equal("the attempt after one was lost", (again.attempt, again.attempts), (1, 1))?;
    s.settle(&again, done("1")).await?;
    s.stands("once", "done: a done").await?;
    s.run("w", "often").await?;
    for _ in 0..50 {
        if s.pull("w").await?.is_empty() {
            // As effect unknown, and without a handler that undoes it.
            return s.stands("often", "reverted: a reverted").await;
        }
        s.pass(LEASE_MS);
    }
    Ok(())
}

async fn late(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    let [first] = s.takes("w", ["a"]).await?;
    s.pass(LEASE_MS);
    s.is_lost(&first).await?;
    let [second] = s.takes("w", ["a"]).await?;
    s.is_lost(&first).await?;
    s.stands("r", "running: a running").await?;
    s.settle(&second, done("2")).await?;
    equal("the result", s.get("r").await?.result, Some(b"2".to_vec()))
}

async fn extend(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    for _ in 0..3 {
        s.pass(LEASE_MS - 1);
        let lost = s.api.extend(vec![a.token.clone()], LEASE).await?;
        equal("tokens that are no longer leased", lost, [""; 0])?;
    }
    s.api.extend(vec![a.token.clone()], Duration::from_millis(1)).await?;
    s.idle("w").await?;
    s.pass(1);
    let tokens = vec![a.token.clone(), "no such token".to_owned()];
    let lost = s.api.extend(tokens.clone(), LEASE).await?;
    equal("tokens that are no longer leased", lost, tokens)?;
    s.does("w", ["a"]).await
}

async fn returned(s: Subject) -> Outcome {
    let retries = tried(2);
    s.define("w", vec![stheno::StepDefinition { retries, ..step("a", &[]) }]).await?;
    s.run("w", "r").await?;
    for _ in 0..5 {
        let [a] = s.takes("w", ["a"]).await?;
        equal("the attempt", a.attempt, 1)?;
        s.settle(&a, TaskVerdict::Returned).await?;
    }
    s.does("w", ["a"]).await?;
    s.stands("r", "done: a done").await
}
