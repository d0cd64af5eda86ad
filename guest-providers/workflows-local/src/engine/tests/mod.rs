//! The engine at its guarantees, through random histories, and beside a store.

mod bounds;
mod durable;
mod guarantees;
mod histories;
mod rows;
mod schedules;

use std::sync::atomic::{AtomicU64, Ordering};

use stheno_sdk::workflows::{
    Definition, Failure, Outcome as Settling, Pulled, Retries, RunState, Selector, Settled,
    StartRequest, Started, Step, StepState, Task, Verdict, Work,
};

use super::run::Stand;
use super::time::Alarm;
use super::{Engine, Job, Limits, Now};

/// Bounds that no test meets by chance.
const WIDE: Limits = Limits {
    max_runs: 100_000,
    max_bytes: 64 << 20,
    retention_ms: 1_000_000,
    history: 10_000,
    lost_workers: 1,
};

fn at(ms: u64) -> Now {
    Now { ms, unix_ms: 1_700_000_000_000u64.saturating_add(ms) }
}

fn engine(limits: Limits) -> Engine {
    Engine::new(limits, at(0), 42)
}

/// A step with a handler and a compensation, tried once. With this back-off a
/// retry waits 5 to 10 ms, so whatever is drawn it is due 10 ms later and not at
/// once.
fn step(id: &str, after: &[&str]) -> Step {
    Step {
        id: id.to_owned(),
        after: after.iter().map(|&id| id.to_owned()).collect(),
        when: Vec::new(),
        work: Work::Handler,
        retries: Retries { attempts: 1, initial_ms: 10, max_ms: 10, automatic: true },
        timeout_ms: None,
        on_failure: Failure::Revert,
        compensates: true,
    }
}

fn definition(id: &str, steps: Vec<Step>) -> Definition {
    Definition {
        id: id.to_owned(),
        steps,
        result_from: None,
        timeout_ms: None,
        retention_ms: None,
        finish: false,
    }
}

/// An engine with one workflow, `w`.
fn with(steps: Vec<Step>) -> Engine {
    let mut engine = engine(WIDE);
    engine.define(definition("w", steps), at(0)).unwrap();
    engine
}

fn request(workflow: &str, run: &str, input: &[u8]) -> StartRequest {
    let (workflow, run) = (workflow.to_owned(), run.to_owned());
    StartRequest { workflow, run, named: true, input: input.to_vec() }
}

/// With an id that a host has made up.
fn unnamed(workflow: &str, input: Vec<u8>) -> StartRequest {
    static MADE_UP: AtomicU64 = AtomicU64::new(0);
    let run = format!("made-up-{}", MADE_UP.fetch_add(1, Ordering::Relaxed));
    StartRequest { workflow: workflow.to_owned(), run, named: false, input }
}

fn start(engine: &mut Engine, workflow: &str, run: Option<&str>, ms: u64) -> Started {
    let request = match run {
        Some(run) => request(workflow, run, b"{\"n\":1}"),
        None => unnamed(workflow, b"{\"n\":1}".to_vec()),
    };
    engine.start(vec![request], at(ms)).pop().unwrap()
}

fn begin(engine: &mut Engine, run: &str, ms: u64) {
    assert!(matches!(start(engine, "w", Some(run), ms), Started::Run(id) if id == run));
}

fn all(workflow: &str) -> Selector {
    Selector { workflow: workflow.to_owned(), steps: Vec::new() }
}

fn pull(engine: &mut Engine, ms: u64) -> Pulled {
    engine.pull(&[all("w")], 1_000, 100, at(ms)).unwrap()
}

/// Pulls and expects one task, of this step.
fn one(engine: &mut Engine, step: &str, ms: u64) -> Task {
    let mut tasks = pull(engine, ms).tasks;
    assert_eq!(tasks.iter().map(|task| task.step.as_str()).collect::<Vec<_>>(), [step]);
    tasks.remove(0)
}

fn settle(engine: &mut Engine, token: &str, verdict: Verdict, ms: u64) -> Settled {
    engine.settle(vec![Settling { token: token.to_owned(), verdict }], at(ms)).unwrap()
}

fn done(result: &str) -> Verdict {
    Verdict::Done(result.as_bytes().to_vec())
}

fn failed() -> Verdict {
    Verdict::Failed("why".to_owned())
}

/// Pulls the one task there is, of this step, and settles it.
fn act(engine: &mut Engine, step: &str, verdict: Verdict, ms: u64) -> Settled {
    let task = one(engine, step, ms);
    let settled = settle(engine, &task.token, verdict, ms);
    check(engine);
    settled
}

fn state(engine: &mut Engine, run: &str, ms: u64) -> RunState {
    engine.get(run, at(ms)).unwrap().status.state
}

fn states(engine: &mut Engine, run: &str, ms: u64) -> Vec<StepState> {
    engine.get(run, at(ms)).unwrap().steps.iter().map(|step| step.state).collect()
}

/// Checks that what is kept twice agrees.
fn check(engine: &Engine) {
    let (mut leased, mut due, mut alarms, mut kept) = (0, 0, 0, 0);
    for (slot, run) in &engine.runs {
        let count = run.steps.len() as u16;
        let jobs =
            (0..count).map(Job::Invoke).chain((0..count).map(Job::Undo)).chain([Job::Finish]);
        for job in jobs {
            let Some(course) = run.course(job) else { continue };
            match course.stand {
                Stand::Leased(lease) => {
                    assert!(engine.leases.at(lease).is_some());
                    leased += 1;
                }
                Stand::Due(place) => {
                    let workflow = engine.workflows.get(run.plan.workflow).unwrap();
                    assert!(
                        workflow.lanes.iter().any(|lane| lane.get(&place) == Some(&(slot, job)))
                    );
                    due += 1;
                }
                _ => {}
            }
            if let Some(until) = course.until {
                assert!(engine.alarms.contains(&(until, slot, Alarm::Course(job))));
                alarms += 1;
            }
        }
        if let Some(at) = run.time_up {
            assert!(engine.alarms.contains(&(at, slot, Alarm::Run)));
            alarms += 1;
        }
        let open = run.steps.iter().filter(|step| step.outcome == super::run::Outcome::Open);
        assert_eq!(run.open, open.count());
        let undoing = run.steps.iter().filter_map(|step| step.undo.as_ref());
        let undoing = undoing.filter(|undo| undo.reverted_ms.is_none() && !undo.stuck);
        assert_eq!(run.undoing, undoing.count());
        kept += usize::from(run.kept.is_some());
        assert!(!run.has_ended() || run.ended_ms.is_some());
        assert_eq!(engine.by_serial.get(&run.serial), Some(&slot));
        assert_eq!(engine.by_id.get(&run.id), Some(&slot));
    }
    assert_eq!(
        (leased, alarms, kept),
        (engine.leases.len(), engine.alarms.len(), engine.expiring.len())
    );
    assert!(engine.leases.is_clean());
    let workflows: Vec<_> = engine.workflows.iter().collect();
    assert_eq!(
        due,
        workflows.iter().flat_map(|workflow| &workflow.lanes).map(|lane| lane.len()).sum::<usize>()
    );
    assert_eq!(
        engine.runs.len() as u64,
        workflows.iter().map(|workflow| workflow.runs).sum::<u64>()
    );
    let active = engine.runs.iter().filter(|(_, run)| !run.has_ended()).count() as u64;
    assert_eq!(active, workflows.iter().map(|workflow| workflow.active).sum::<u64>());
    assert!(engine.agenda.is_empty() && engine.orphans.is_empty());
    assert!(engine.droppable.len() <= engine.limits.history);
    assert!(engine.runs.len() <= engine.limits.max_runs);
    assert_eq!(
        (engine.by_id.len(), engine.by_serial.len()),
        (engine.runs.len(), engine.runs.len())
    );
}
