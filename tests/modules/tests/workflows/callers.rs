//! Many callers at the same time.

use std::sync::Arc;

use stheno::{ErrorKind, RunError, RunFilter, RunState, Step, StepContext, StepState, Workflow};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::{Log, Subject, assert_kind};

const CALLERS: usize = 64;
const ROUNDS: usize = 10;

async fn all_end_well<T: 'static>(mut tasks: JoinSet<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        all.push(ended.unwrap());
    }
    all
}

impl Subject {
    async fn none_is_left(&self) {
        let states = vec![RunState::Running, RunState::Stopping, RunState::Compensating];
        let filter = || RunFilter { states: states.clone(), ..RunFilter::default() };
        while !self.workflows.list(filter(), None, 1).await.unwrap().items.is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

async fn each_gets_the_result_of_its_own_run(subject: Subject) {
    let echo = |id: &str| {
        Step::new(id, async |step: StepContext| {
            let input: (usize, usize) = step.input()?;
            if input.1.is_multiple_of(2) {
                tokio::task::yield_now().await;
            }
            Ok(input)
        })
    };
    let last = Step::new("last", async |step: StepContext| {
        let (b, c): ((usize, usize), (usize, usize)) = (step.result("b")?, step.result("c")?);
        assert_eq!(b, c);
        Ok((step.run().to_owned(), b))
    });
    let workflow = Workflow::new("w").then(echo("a")).together([echo("b"), echo("c")]).then(last);
    subject.define(workflow).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let workflows = subject.workflows.clone();
        callers.spawn(async move {
            for round in 0..ROUNDS {
                let input = (caller, round);
                let id = format!("{caller}.{round}");
                let run = workflows.run("w", &input).id(&id).await;
                let result: (String, (usize, usize)) = run.unwrap();
                assert_eq!(result, (id, input));
                // One without an id gets its own as well.
                let result: (String, (usize, usize)) = workflows.run("w", &input).await.unwrap();
                assert_eq!(result.1, input);
            }
        });
    }
    all_end_well(callers).await;
}

async fn a_run_that_is_completed_and_cancelled_at_once_ends_as_one_of_them_said(subject: Subject) {
    let log = Log::default();
    let workflow = Workflow::new("w").then(log.step("a")).then(Step::wait("gate"));
    subject.define(workflow).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let workflows = subject.workflows.clone();
        callers.spawn(async move {
            let id = caller.to_string();
            workflows.start("w", &caller).id(&id).await.unwrap();
            while workflows.get(&id).await.unwrap().step("gate").unwrap().state
                != StepState::Waiting
            {
                tokio::task::yield_now().await;
            }
            let cancels = caller % 4 != 0;
            let (completed, cancelled) =
                tokio::join!(workflows.complete(&id, "gate", &id), async {
                    if cancels { Some(workflows.cancel(&id, "no").await) } else { None }
                });
            // Neither is ever too late: one that stops waits for its gate, and one
            // that is done can be cancelled.
            completed.unwrap();
            cancelled.unwrap_or(Ok(())).unwrap();
            let run = workflows.wait(&id).await.unwrap();
            if cancels {
                assert_eq!(run.status.state, RunState::Reverted);
            } else {
                assert_eq!(run.result_as::<String>().unwrap(), id);
            }
            cancels
        });
    }
    let reverted = all_end_well(callers).await.into_iter().filter(|cancels| *cancels).count();
    assert_eq!((log.count("a"), log.count("undo a")), (CALLERS, reverted));
    subject.none_is_left().await;
}

async fn of_64_who_complete_a_step_one_does_and_of_64_who_cancel_too(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(Step::wait("gate")).then(log.step("b"))).await;
    for round in 0..ROUNDS {
        let id = round.to_string();
        subject.begin("w", &id).await;
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (workflows, id) = (subject.workflows.clone(), id.clone());
            callers.spawn(async move { (caller, workflows.complete(&id, "gate", &caller).await) });
        }
        let answers = all_end_well(callers).await;
        let mut won = Vec::new();
        for (caller, answer) in answers {
            match answer {
                Ok(()) => won.push(caller),
                refused => drop(assert_kind(refused, ErrorKind::Conflict)),
            }
        }
        assert_eq!(won.len(), 1);
        let run = subject.workflows.wait(&id).await.unwrap();
        let result = run.step("gate").unwrap().result.clone().unwrap();
        assert_eq!(result, won[0].to_string().into_bytes());

        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (workflows, id) = (subject.workflows.clone(), id.clone());
            callers.spawn(async move { workflows.cancel(&id, "no").await });
        }
        let mut cancelled = 0;
        for answer in all_end_well(callers).await {
            match answer {
                Ok(()) => cancelled += 1,
                refused => drop(assert_kind(refused, ErrorKind::Conflict)),
            }
        }
        assert_eq!(cancelled, 1);
        subject.until_run(&id, RunState::Reverted).await;
    }
    assert_eq!((log.count("b"), log.count("undo b")), (ROUNDS, ROUNDS));
}

async fn callers_that_go_away_leave_whole_runs_behind(subject: Subject) {
    let log = Log::default();
    subject.define(Workflow::new("w").then(log.step("a")).then(log.step("b"))).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let workflows = subject.workflows.clone();
        callers.spawn(async move {
            for round in 0..ROUNDS {
                // Some are dropped before, some while, some after they began.
                let id = format!("{caller}.{round}");
                let run = workflows.run::<String>("w", &()).id(&id);
                let mut run = run.into_future();
                for _ in 0..(caller + round) % 7 {
                    if futures_util::poll!(&mut run).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    all_end_well(callers).await;
    // Who comes again finds each of them, or begins it.
    for caller in 0..CALLERS {
        for round in 0..ROUNDS {
            let id = format!("{caller}.{round}");
            let result: String = subject.workflows.run("w", &()).id(&id).await.unwrap();
            assert_eq!(result, "b");
        }
    }
    subject.none_is_left().await;
    let runs = CALLERS * ROUNDS;
    assert_eq!((log.count("a"), log.count("b")), (runs, runs), "each once");
}

async fn what_one_caller_gets_wrong_costs_no_other(subject: Subject) {
    let step = Step::new("a", async |step: StepContext| Ok(step.input::<usize>()?));
    subject.define(Workflow::new("w").then(step)).await;
    subject.define(Workflow::new("other").then(Step::wait("a"))).await;
    subject.begin("other", "taken").await;
    let go = Arc::new(Semaphore::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (workflows, go) = (subject.workflows.clone(), Arc::clone(&go));
        callers.spawn(async move {
            // All at the same moment, so that they go in one call.
            go.acquire().await.unwrap().forget();
            let (workflow, id) = match caller % 4 {
                0 => ("nobody", format!("r{caller}")),
                1 => ("w", "taken".to_owned()),
                _ => ("w", format!("r{caller}")),
            };
            match (caller % 4, workflows.run::<usize>(workflow, &caller).id(id).await) {
                (0, Err(RunError::Call(error))) => assert_eq!(error.kind(), ErrorKind::NotFound),
                (1, Err(RunError::Call(error))) => assert_eq!(error.kind(), ErrorKind::Conflict),
                (_, result) => assert_eq!(result.unwrap(), caller),
            }
        });
    }
    go.add_permits(CALLERS);
    all_end_well(callers).await;
}

for_every_provider! {
    each_gets_the_result_of_its_own_run,
    a_run_that_is_completed_and_cancelled_at_once_ends_as_one_of_them_said,
    of_64_who_complete_a_step_one_does_and_of_64_who_cancel_too,
    callers_that_go_away_leave_whole_runs_behind,
    what_one_caller_gets_wrong_costs_no_other,
}
