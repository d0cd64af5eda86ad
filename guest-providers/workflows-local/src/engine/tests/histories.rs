//! Random histories: whatever happens, what is observed keeps the promises, what
//! is kept twice agrees, and the store holds what memory holds.

use std::collections::{BTreeMap, BTreeSet};

use super::durable::{Store, same};
use super::*;
use proptest::prelude::*;
use stheno_sdk::workflows::{
    Action, Cadence, Condition, Overlap, ScheduleDefinition, Source, Test,
};

#[derive(Clone, Debug)]
enum Op {
    Define(usize, bool),
    Undefine(usize),
    Start(usize, Option<u8>),
    Pull(Vec<usize>, u32, u64),
    Settle(prop::sample::Index, Verdict),
    Extend(prop::sample::Index, u64),
    Complete(prop::sample::Index, usize, Verdict),
    Retry(prop::sample::Index, usize),
    Cancel(prop::sample::Index),
    Schedule(usize, u8, bool),
    Unschedule,
    Pass(u64),
    /// Goes on with an engine that was loaded from the store.
    Restart,
}

const WORKFLOWS: [&str; 5] = ["line", "net", "parent", "manual", "timed"];

/// What a workflow is; another version has one step more.
fn workflow(which: usize, longer: bool) -> Definition {
    let twice = Retries { attempts: 2, initial_ms: 20, max_ms: 40, automatic: true };
    let when = |source, test| Condition { source, pointer: "/n".to_owned(), test, negated: false };
    let mut steps = match which {
        0 => vec![step("a", &[]), Step { retries: twice, ..step("b", &["a"]) }],
        1 => vec![
            Step { retries: twice, on_failure: Failure::Proceed, ..step("a", &[]) },
            Step { on_failure: Failure::SkipTo("d".to_owned()), ..step("b", &[]) },
            Step {
                when: vec![when(Source::Step("b".to_owned()), Test::Truthy)],
                ..step("c", &["a", "b"])
            },
            Step { compensates: false, ..step("d", &["c"]) },
            Step {
                when: vec![when(Source::Input, Test::Present)],
                on_failure: Failure::SkipRest,
                ..step("e", &["a"])
            },
        ],
        2 => vec![
            step("a", &[]),
            Step {
                work: Work::Nested(("line".to_owned(), Some("a".to_owned()))),
                timeout_ms: Some(90),
                ..step("b", &["a"])
            },
            Step {
                work: Work::Nested(("net".to_owned(), None)),
                on_failure: Failure::Proceed,
                retries: twice,
                ..step("c", &[])
            },
            step("d", &["b", "c"]),
        ],
        3 => vec![
            Step { retries: Retries { automatic: false, ..twice }, ..step("a", &[]) },
            Step { work: Work::Wait, retries: twice, ..step("b", &["a"]) },
        ],
        _ => vec![
            Step { timeout_ms: Some(30), retries: twice, ..step("a", &[]) },
            Step {
                work: Work::Wait,
                timeout_ms: Some(40),
                on_failure: Failure::SkipRest,
                ..step("b", &["a"])
            },
            step("c", &["a"]),
        ],
    };
    if longer {
        steps.push(step("last", &["a"]));
    }
    Definition {
        finish: which % 2 == 1,
        timeout_ms: (which >= 3).then_some(150),
        ..definition(WORKFLOWS[which], steps)
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        6 => prop::sample::select(&["{\"n\":1}", "{\"n\":0}", "no json"][..]).prop_map(done),
        1 => Just(Verdict::Skipped),
        1 => Just(Verdict::Waiting),
        2 => Just(failed()),
        2 => Just(Verdict::Rejected("no".to_owned())),
        1 => Just(Verdict::Returned),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let which = || 0..WORKFLOWS.len();
    let index = any::<prop::sample::Index>;
    let span = || prop_oneof![3 => Just(25u64), 2 => Just(60u64), 1 => Just(u64::MAX)];
    prop_oneof![
        2 => (which(), any::<bool>()).prop_map(|(w, l)| Op::Define(w, l)),
        1 => which().prop_map(Op::Undefine),
        8 => (which(), prop::option::of(0u8..4)).prop_map(|(w, r)| Op::Start(w, r)),
        12 => (prop::collection::vec(which(), 1..4), 0u32..5, span()).prop_map(|(w, m, l)| Op::Pull(w, m, l)),
        20 => (index(), verdict()).prop_map(|(i, v)| Op::Settle(i, v)),
        2 => (index(), span()).prop_map(|(i, l)| Op::Extend(i, l)),
        6 => (index(), 0usize..3, verdict()).prop_map(|(i, s, v)| Op::Complete(i, s, v)),
        4 => (index(), 0usize..3).prop_map(|(i, s)| Op::Retry(i, s)),
        3 => index().prop_map(Op::Cancel),
        1 => (which(), 0u8..3, any::<bool>()).prop_map(|(w, o, c)| Op::Schedule(w, o, c)),
        1 => Just(Op::Unschedule),
        8 => prop_oneof![4 => 1u64..60, 1 => Just(400), 1 => Just(1_000)].prop_map(Op::Pass),
        2 => Just(Op::Restart),
    ]
}

/// A batch so small that some calls need several.
const SMALL: usize = 400;

struct History {
    engine: Engine,
    store: Store,
    limits: Limits,
    now: u64,
    tokens: Vec<String>,
    /// Tasks by their tokens, and whether a token was settled.
    tasks: BTreeMap<String, (Task, bool)>,
    /// Whether no id is ever given again, so that ids say which run is meant.
    remembers: bool,
    /// Steps whose result was taken, by run.
    settled: BTreeSet<(String, String)>,
    /// Compensations that were taken as done.
    undone: BTreeSet<(String, String)>,
}

impl History {
    fn new(limits: Limits, remembers: bool) -> Self {
        let store = Store::default();
        let mut engine = store.open(limits, SMALL, at(0));
        for which in 0..WORKFLOWS.len() {
            engine.define(workflow(which, false), at(0)).unwrap();
        }
        Self {
            engine,
            store,
            limits,
            now: 0,
            tokens: Vec::new(),
            tasks: BTreeMap::new(),
            remembers,
            settled: BTreeSet::new(),
            undone: BTreeSet::new(),
        }
    }

    fn run(&self, index: prop::sample::Index) -> Option<String> {
        let runs: Vec<_> = self.engine.by_serial.values().collect();
        (!runs.is_empty()).then(|| self.engine.runs.get(**index.get(&runs)).unwrap().id.to_string())
    }

    fn step(&mut self, op: Op) {
        let now = at(self.now);
        match op {
            Op::Define(which, longer) => self.engine.define(workflow(which, longer), now).unwrap(),
            Op::Undefine(which) => drop(self.engine.undefine(WORKFLOWS[which], now)),
            Op::Start(which, name) => {
                let name = name.map(|n| format!("run {n}"));
                start(&mut self.engine, WORKFLOWS[which], name.as_deref(), self.now);
            }
            Op::Pull(which, max, lease) => {
                let selectors: Vec<_> = which.iter().map(|&which| all(WORKFLOWS[which])).collect();
                let pulled = self.engine.pull(&selectors, max, lease, now).unwrap();
                assert!(pulled.tasks.len() <= max as usize);
                pulled.tasks.into_iter().for_each(|task| self.take(task));
                let due = |engine: &Engine| {
                    which.iter().any(|&which| {
                        let workflow = engine.workflows.find(WORKFLOWS[which]);
                        let workflow = workflow.and_then(|place| engine.workflows.get(place));
                        workflow.is_some_and(|workflow| {
                            workflow.lanes.iter().any(|lane| !lane.is_empty())
                        })
                    })
                };
                assert_eq!(pulled.next_due_ms == Some(0), due(&self.engine));
            }
            Op::Settle(index, verdict) => {
                let Some(token) = self.pick(index) else { return };
                let lost = settle(&mut self.engine, &token, verdict.clone(), self.now).lost;
                let was_settled = &mut self.tasks.get_mut(&token).unwrap().1;
                if lost.is_empty() {
                    assert!(!*was_settled, "a token was taken twice");
                    *was_settled = true;
                    self.note(&token, &verdict);
                } else {
                    assert_eq!(lost, [token]);
                }
            }
            Op::Extend(index, lease) => {
                let Some(token) = self.pick(index) else { return };
                let lost =
                    self.engine.extend(vec![token.clone(), token.clone()], lease, now).unwrap();
                assert!(lost.is_empty() || lost == [token.clone(), token.clone()]);
                assert!(!self.tasks[&token].1 || !lost.is_empty());
            }
            Op::Complete(index, step, verdict) => {
                let Some(run) = self.run(index) else { return };
                let step = ["a", "b", "c"][step];
                let _ = self.engine.complete(&run, step, verdict, now);
            }
            Op::Retry(index, step) => {
                let Some(run) = self.run(index) else { return };
                let _ = self.engine.retry(&run, ["a", "b", "c"][step], now);
            }
            Op::Cancel(index) => {
                let Some(run) = self.run(index) else { return };
                let _ = self.engine.cancel(&run, "enough".to_owned(), now);
            }
            Op::Schedule(which, overlap, catch_up) => {
                let overlap =
                    [Overlap::Skip, Overlap::Allow, Overlap::Replace][usize::from(overlap)];
                let definition = ScheduleDefinition {
                    id: "every".to_owned(),
                    workflow: WORKFLOWS[which].to_owned(),
                    input: b"{}".to_vec(),
                    cadence: Cadence::EveryMs(1_000),
                    overlap,
                    // Otherwise who begins anew gives up a moment that waits for room.
                    catch_up: catch_up || !self.remembers,
                    max_runs: Some(5),
                };
                let _ = self.engine.schedule(definition, now);
            }
            Op::Unschedule => drop(self.engine.unschedule("every", now)),
            Op::Pass(ms) => self.now += ms,
            Op::Restart => {
                self.engine.tidy(now);
                self.store.save(&self.engine);
                self.engine = self.store.open(self.limits, SMALL, now);
            }
        }
        self.engine.tidy(at(self.now));
        check(&self.engine);
        self.check_runs();
        self.store.save(&self.engine);
        let kept = self.store.open(self.limits, SMALL, at(self.now));
        check(&kept);
        same(&kept, &self.engine);
    }

    fn pick(&self, index: prop::sample::Index) -> Option<String> {
        // Mostly of the last ones, which still hold.
        let from = self.tokens.len().saturating_sub(6);
        (!self.tokens.is_empty()).then(|| index.get(&self.tokens[from..]).clone())
    }

    /// A task came: may it?
    fn take(&mut self, task: Task) {
        let detail = self.engine.get(&task.run, at(self.now)).unwrap();
        let slot = *self.engine.by_id.get(task.run.as_str()).unwrap();
        let plan = std::rc::Rc::clone(&self.engine.runs.get(slot).unwrap().plan);
        let key = (task.run.clone(), task.step.clone());
        let states: BTreeMap<_, _> =
            detail.steps.iter().map(|step| (step.id.as_str(), step)).collect();
        match task.action {
            Action::Invoke => {
                assert_eq!(detail.status.state, RunState::Running);
                assert!(
                    !self.remembers || !self.settled.contains(&key),
                    "asked again for a result"
                );
                let place = plan.find(&task.step).unwrap();
                for before in plan.step(place).unwrap().ancestors.iter() {
                    let before = states[&*plan.step(before).unwrap().id];
                    assert!(before.ended_ms.is_some() || before.state == StepState::PassedOver);
                    let given = task
                        .results
                        .iter()
                        .find(|(id, _)| *id == before.id)
                        .map(|(_, result)| result);
                    assert_eq!(given, before.result.as_ref());
                }
            }
            Action::Compensate => {
                assert_eq!(detail.status.state, RunState::Compensating);
                assert!(!self.remembers || !self.undone.contains(&key), "undone twice");
                let place = plan.find(&task.step).unwrap();
                for after in plan.step(place).unwrap().descendants.iter() {
                    let after = states[&*plan.step(after).unwrap().id].state;
                    use StepState::{Failed, PassedOver, Reverted, Skipped};
                    assert!(matches!(after, Reverted | Failed | PassedOver | Skipped), "{after:?}");
                }
            }
            Action::Finish(state) => assert_eq!(state, detail.status.state),
        }
        assert!(self.tasks.insert(task.token.clone(), (task.clone(), false)).is_none());
        self.tokens.push(task.token);
    }

    fn note(&mut self, token: &str, verdict: &Verdict) {
        let task = &self.tasks[token].0;
        let key = (task.run.clone(), task.step.clone());
        match (task.action, verdict) {
            (Action::Invoke, Verdict::Done(_)) => drop(self.settled.insert(key)),
            (Action::Compensate, Verdict::Done(_)) => drop(self.undone.insert(key)),
            _ => {}
        }
    }

    /// What holds for every run at any time.
    fn check_runs(&self) {
        for (_, run) in &self.engine.runs {
            let states: Vec<_> = run.steps.iter().map(super::super::run::StepRun::state).collect();
            use StepState::{Done, Failed, PassedOver, Reverted, Skipped, Stuck};
            match run.state {
                RunState::Done => assert!(
                    states.iter().all(|s| matches!(s, Done | Failed | Skipped | PassedOver))
                ),
                // None is left out.
                RunState::Reverted => {
                    assert!(
                        states
                            .iter()
                            .all(|s| matches!(s, Reverted | Failed | Skipped | PassedOver))
                    );
                    assert!(
                        run.steps.iter().all(|step| !step.has_effect() || step.state() == Reverted)
                    );
                }
                RunState::Failed => assert!(states.contains(&Stuck)),
                RunState::Running => assert!(
                    states.iter().any(|s| !matches!(s, Done | Failed | Skipped | PassedOver))
                ),
                RunState::Stopping => assert!(run.open > 0),
                RunState::Compensating => assert!(run.undoing > 0),
            }
        }
    }

    /// Whatever stands, with workers who do what they are given all comes to an
    /// end.
    fn come_to_an_end(&mut self) {
        let _ = self.engine.unschedule("every", at(self.now));
        let selectors = WORKFLOWS.map(all);
        // Some leases hold for ever.
        for token in self.tokens.clone() {
            if settle(&mut self.engine, &token, done("{}"), self.now).lost.is_empty() {
                self.note(&token, &done("{}"));
            }
        }
        for _ in 0..200 {
            self.now += 30;
            let tasks = self.engine.pull(&selectors, 1_000, 20, at(self.now)).unwrap().tasks;
            tasks.iter().for_each(|task| self.take(task.clone()));
            for task in tasks {
                settle(&mut self.engine, &task.token, done("{}"), self.now);
                self.note(&task.token, &done("{}"));
            }
            let ids: Vec<_> = self.engine.runs.iter().map(|(_, run)| run.id.to_string()).collect();
            for run in &ids {
                for step in ["a", "b", "c", "d", "e", "last"] {
                    let _ = self.engine.complete(run, step, done("{}"), at(self.now));
                    let _ = self.engine.retry(run, step, at(self.now));
                }
            }
            check(&self.engine);
        }
        for (_, run) in &self.engine.runs {
            assert!(
                matches!(run.state, RunState::Done | RunState::Reverted),
                "{:?} {}",
                run.state,
                run.id
            );
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_promises_are_kept_and_the_store_has_what_memory_has(
        ops in prop::collection::vec(op(), 1..80)
    ) {
        let mut history = History::new(WIDE, true);
        ops.into_iter().for_each(|op| history.step(op));
        history.come_to_an_end();
    }

    #[test]
    fn where_there_is_little_room_the_store_has_what_memory_has(
        ops in prop::collection::vec(op(), 1..80)
    ) {
        let limits = Limits { max_runs: 8, retention_ms: 200, history: 2, ..WIDE };
        let mut history = History::new(limits, false);
        ops.into_iter().for_each(|op| history.step(op));
    }
}
