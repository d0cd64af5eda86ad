//! Many callers at the same time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stheno::{ErrorKind, Overlap, RunState, TaskVerdict, Workflows};

use super::{LEASE, Subject, done, step, undoable, waits};
use crate::case::Case;
use crate::check::{CALLERS, Outcome, callers, equal, fails, holds};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.callers.one-id" =>
        "Of 64 callers who start one run id at the same time one starts it, and it runs once.", one_id;
    "workflows.callers.own" =>
        "What 64 callers start at the same time runs, each run once and on its own input.", own;
    "workflows.callers.pull" =>
        "Of 64 callers who pull at the same time no two are given the same task, and none is left out.", pull;
    "workflows.callers.settle" =>
        "Of 64 callers who settle one task at the same time the outcome of one is recorded, and he is told so.",
        settle;
    "workflows.callers.complete" =>
        "Of 64 callers who complete one step at the same time one does, and the others are told `conflict`.",
        complete;
    "workflows.callers.cancel" =>
        "Of 64 callers who cancel one run at the same time one does, and what was done is undone once.", cancel;
    "workflows.callers.refused" => "A caller whose start is refused costs the others nothing.", refused;
    "workflows.callers.moment" =>
        "One moment of a schedule starts one run, however many callers have it looked at." [with "schedules"],
        moment;
};

const EACH: usize = 5;

async fn one_id(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    let new = Arc::new(AtomicUsize::new(0));
    callers(|n| {
        let (api, workflow, run, new) = (s.api.clone(), s.own("w"), s.own("r"), Arc::clone(&new));
        async move {
            let started = api.start(&workflow, &n).id(run).await?;
            new.fetch_add(usize::from(started.new), Ordering::Relaxed);
            Ok(())
        }
    })
    .await?;
    equal("how many were told that they started it", new.load(Ordering::Relaxed), 1)?;
    s.does("w", ["a"]).await?;
    s.idle("w").await
}

/// Each starts runs whose input is their id.
async fn start(s: &Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"])]).await?;
    callers(|n| {
        let (api, workflow) = (s.api.clone(), s.own("w"));
        let runs: [String; EACH] = std::array::from_fn(|round| s.own(&format!("{n} {round}")));
        async move {
            for run in runs {
                let started = api.start_bytes(&workflow, run.clone().into_bytes()).id(&run).await?;
                equal("whether it is new", started.new, true)?;
            }
            Ok(())
        }
    })
    .await
}

async fn own(s: Subject) -> Outcome {
    start(&s).await?;
    for step in ["a", "b"] {
        let tasks = s.pull("w").await?;
        equal("how many are due", tasks.len(), CALLERS * EACH)?;
        let runs: BTreeSet<_> = tasks.iter().map(|task| task.run.as_str()).collect();
        equal("how many runs they are of", runs.len(), CALLERS * EACH)?;
        for task in &tasks {
            let found = (task.step.as_str(), task.input.as_slice());
            equal("the step and the input", found, (step, task.run.as_bytes()))?;
        }
        let verdict = |task: stheno::Task| (task.token, TaskVerdict::Done(task.input));
        let lost = s.api.settle(tasks.into_iter().map(verdict).collect()).await?;
        equal("tokens lost at once", lost, [""; 0])?;
    }
    s.idle("w").await
}

async fn pull(s: Subject) -> Outcome {
    start(&s).await?;
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    callers(|_| {
        let (api, selector, seen) = (s.api.clone(), s.selector("w"), Arc::clone(&seen));
        async move {
            loop {
                let tasks = api.pull_now(selector.clone(), 3, LEASE).await?.tasks;
                if tasks.is_empty() {
                    return Ok(());
                }
                for task in tasks {
                    let name = format!("{} of {}", task.step, task.run);
                    let fresh =
                        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
                    holds(fresh, || format!("{name} was given to two callers"))?;
                    let lost = api.settle(vec![(task.token, done("1"))]).await?;
                    equal("leases lost at once", lost, [""; 0])?;
                }
            }
        }
    })
    .await?;
    let count = seen.lock().unwrap_or_else(PoisonError::into_inner).len();
    equal("how many tasks were given", count, CALLERS * EACH * 2)?;
    let running = stheno::RunFilter { states: vec![RunState::Running], ..Default::default() };
    let running = stheno::RunFilter { workflow: Some(s.own("w")), ..running };
    equal("the runs that have not ended", s.list(running).await?, [""; 0])
}

async fn settle(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    let recorded = Arc::new(Mutex::new(Vec::new()));
    callers(|n| {
        let (api, token, recorded) = (s.api.clone(), a.token.clone(), Arc::clone(&recorded));
        async move {
            let lost = api.settle(vec![(token, done(&n.to_string()))]).await?;
            if lost.is_empty() {
                recorded.lock().unwrap_or_else(PoisonError::into_inner).push(n.to_string());
            }
            Ok(())
        }
    })
    .await?;
    let recorded = std::mem::take(&mut *recorded.lock().unwrap_or_else(PoisonError::into_inner));
    let recorded = crate::check::one("those who were told that it was recorded", recorded)?;
    equal("the result", s.get("r").await?.result, Some(recorded.into_bytes()))
}

async fn complete(s: Subject) -> Outcome {
    s.define("w", vec![waits("a", &[])]).await?;
    s.run("w", "r").await?;
    let won = Arc::new(Mutex::new(Vec::new()));
    callers(|n| {
        let (api, run, won) = (s.api.clone(), s.own("r"), Arc::clone(&won));
        async move {
            match api.settle_waiting(&run, "a", done(&n.to_string())).await {
                Ok(()) => won.lock().unwrap_or_else(PoisonError::into_inner).push(n.to_string()),
                refused => drop(fails("completing it too", refused, ErrorKind::Conflict)?),
            }
            Ok(())
        }
    })
    .await?;
    let won = std::mem::take(&mut *won.lock().unwrap_or_else(PoisonError::into_inner));
    let won = crate::check::one("those who completed it", won)?;
    equal("the result", s.get("r").await?.result, Some(won.into_bytes()))
}

async fn cancel(s: Subject) -> Outcome {
    s.define("w", vec![undoable("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await?;
    let won = Arc::new(AtomicUsize::new(0));
    callers(|_| {
        let (api, run, won) = (s.api.clone(), s.own("r"), Arc::clone(&won));
        async move {
            match api.cancel(&run, "no more").await {
                Ok(()) => drop(won.fetch_add(1, Ordering::Relaxed)),
                refused => drop(fails("cancelling it too", refused, ErrorKind::Conflict)?),
            }
            Ok(())
        }
    })
    .await?;
    equal("how many cancelled it", won.load(Ordering::Relaxed), 1)?;
    s.does("w", ["undo a"]).await?;
    s.idle("w").await?;
    s.stands("r", "reverted: a reverted, b passed-over").await
}

async fn refused(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    callers(|n| {
        let (api, run) = (s.api.clone(), s.own(&n.to_string()));
        let workflow = s.own(if n % 4 == 0 { "no such workflow" } else { "w" });
        async move {
            let started = api.start_bytes(&workflow, Vec::new()).id(run).await;
            if n % 4 == 0 {
                let missing = fails("a workflow that is not there", started, ErrorKind::NotFound);
                return missing.map(drop);
            }
            equal("whether it is new", started?.new, true)
        }
    })
    .await?;
    equal("how many are due", s.pull("w").await?.len(), CALLERS - CALLERS / 4)
}

async fn moment(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.api.schedule(s.every_ten("s", "w").overlap(Overlap::Allow)).await?;
    for n in 1..=EACH {
        s.pass(10_000);
        callers(|_| {
            let (api, selector) = (s.api.clone(), s.selector("nobody"));
            async move { Ok(api.pull_now(selector, 1, LEASE).await.map(drop)?) }
        })
        .await?;
        equal("how many runs there are", s.runs_of("s").await?.len(), n)?;
    }
    equal("how many it counts", s.scheduled("s").await?.runs, EACH as u64)?;
    equal("how many are due", s.pull("w").await?.len(), EACH)
}
