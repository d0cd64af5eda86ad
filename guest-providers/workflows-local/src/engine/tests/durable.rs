//! A store beside the engine: at any moment it holds what the engine holds.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;
use crate::engine::Restore;
use crate::engine::journal::Journal;
use crate::engine::run::Course;
use proptest::prelude::*;
use stheno_sdk::Error;
use stheno_sdk::store::Change;

/// What a store keeps, without the disk.
#[derive(Clone, Default)]
pub(super) struct Store(pub(super) BTreeMap<Vec<u8>, Vec<u8>>);

impl Store {
    pub(super) fn commit(&mut self, batch: Vec<Change>) {
        for change in batch {
            match change {
                Change::Put(entry) => drop(self.0.insert(entry.key, entry.value)),
                Change::Delete(key) => drop(self.0.remove(&key)),
            }
        }
    }

    /// Commits all that the engine has changed, and says in how many batches.
    pub(super) fn save(&mut self, engine: &Engine) -> usize {
        let batches = engine.take_changes();
        let count = batches.len();
        batches.into_iter().for_each(|batch| self.commit(batch));
        count
    }

    pub(super) fn open(&self, limits: Limits, batch_bytes: usize, now: Now) -> Engine {
        let mut restore = Restore::default();
        for (key, value) in &self.0 {
            restore.add(key, value).unwrap();
        }
        let journal = Journal::with_batches_of(batch_bytes, now);
        restore.with_journal(journal, limits, now, 43).unwrap()
    }
}

/// Everything that the engine holds, as a text: what differs here is lost or
/// made up.
pub(super) fn digest(engine: &Engine) -> String {
    let mut text = String::new();
    let course = |course: &Course| {
        let stand = match course.stand {
            Stand::Due(_) => "due".to_owned(),
            Stand::Leased(slot) => {
                let (token, end) = engine.leases.at(slot).unwrap();
                format!("leased {} {end}", token.to_text())
            }
            other => format!("{other:?}"),
        };
        format!("{stand} {} {} {:?}", course.made, course.lost, course.until)
    };
    for &slot in engine.by_serial.values() {
        let run = engine.runs.get(slot).unwrap();
        let parent = run.parent.as_ref().map(|parent| (&parent.run_id, &parent.step_id));
        writeln!(
            text,
            "{} {} {} {:?} {:?} {:?} {} {:?} {parent:?} {} {:?} {} {} {:?} {} {:?} {} {:?} {:?}",
            run.serial,
            run.id,
            run.named,
            run.input,
            run.state,
            run.cause,
            run.started_ms,
            run.ended_ms,
            run.depth,
            run.schedule,
            run.open,
            run.undoing,
            run.to_undo,
            run.results,
            run.time_up,
            run.told,
            run.kept.map(|kept| kept.expires),
            run.finish.as_ref().map(course),
        )
        .unwrap();
        for (at, planned) in run.steps.iter().zip(&run.plan.steps) {
            let undo =
                at.undo.as_ref().map(|undo| (course(&undo.course), undo.reverted_ms, undo.stuck));
            let waits = (at.outcome == crate::engine::run::Outcome::Open).then_some(at.waits);
            writeln!(
                text,
                "  {} {:?} {} {waits:?} {} {:?} {:?} {:?} {:?} {undo:?}",
                planned.id,
                at.outcome,
                course(&at.course),
                at.unknown,
                at.ended_ms,
                at.result,
                at.faults,
                at.child,
            )
            .unwrap();
        }
    }
    let mut workflows: Vec<_> = engine.workflows.iter().collect();
    workflows.sort_by_key(|workflow| &workflow.id);
    for workflow in workflows {
        let plan = workflow.plan.as_ref().map(|plan| &plan.definition);
        writeln!(text, "{} {plan:?} {} {}", workflow.id, workflow.active, workflow.runs).unwrap();
    }
    for schedule in engine.schedules.iter() {
        writeln!(
            text,
            "{:?} {} {} {} {} {:?}",
            schedule.definition,
            schedule.made_ms,
            schedule.next_ms,
            schedule.runs,
            schedule.skipped,
            schedule.last_run
        )
        .unwrap();
    }
    writeln!(text, "{} bytes, {} to drop", engine.usage.get(), engine.droppable.len()).unwrap();
    text
}

/// Checks that two hold the same, and shows the lines that differ.
pub(super) fn same(found: &Engine, expected: &Engine) {
    let (found, expected) = (digest(found), digest(expected));
    let differ: Vec<_> =
        found.lines().zip(expected.lines()).filter(|(one, other)| one != other).collect();
    assert!(found == expected, "found and expected differ: {differ:#?}");
}

/// A batch so small that most calls need several.
const SMALL: usize = 60;

fn open(store: &Store, ms: u64) -> Engine {
    store.open(WIDE, 1 << 20, at(ms))
}

fn durable() -> (Engine, Store) {
    let mut store = Store::default();
    let mut engine = open(&store, 0);
    engine.define(definition("w", vec![step("a", &[]), step("b", &["a"])]), at(0)).unwrap();
    store.save(&engine);
    (engine, store)
}

#[test]
fn a_run_goes_on_in_another_process_with_its_leases_and_their_tokens() {
    let (mut engine, mut store) = durable();
    begin(&mut engine, "r", 0);
    let task = one(&mut engine, "a", 0);
    store.save(&engine);
    // Another process counts its time from another moment.
    let later = |ms: u64| Now { ms, unix_ms: at(50).unix_ms + ms };
    let mut engine = store.open(WIDE, 1 << 20, later(0));
    let nothing = engine.pull(&[all("w")], 9, 100, later(49)).unwrap();
    assert_eq!((nothing.tasks.len(), nothing.next_due_ms), (0, Some(1)));
    let outcome = Settling { token: task.token, verdict: done("x") };
    assert!(engine.settle(vec![outcome], later(49)).unwrap().lost.is_empty());
    let next = engine.pull(&[all("w")], 9, 100, later(50)).unwrap().tasks;
    assert_eq!(
        (next[0].step.as_str(), &next[0].results),
        ("b", &vec![("a".to_owned(), b"x".to_vec())])
    );
}

#[test]
fn a_lease_of_a_process_that_is_gone_runs_out() {
    let (mut engine, mut store) = durable();
    begin(&mut engine, "r", 0);
    let task = one(&mut engine, "a", 0);
    store.save(&engine);
    let mut engine = open(&store, 100);
    let again = one(&mut engine, "a", 100);
    assert_ne!(again.token, task.token);
    assert_eq!(settle(&mut engine, &task.token, done("x"), 100).lost, [task.token]);
    check(&engine);
}

#[test]
fn a_step_costs_a_row_when_leased_and_none_when_due_and_what_is_forgotten_leaves_none() {
    let (mut engine, mut store) = durable();
    let rows = store.0.len();
    begin(&mut engine, "r", 0);
    assert_eq!((store.save(&engine), store.0.len()), (1, rows + 1));
    let task = one(&mut engine, "a", 0);
    assert_eq!((store.save(&engine), store.0.len()), (1, rows + 2));
    settle(&mut engine, &task.token, done("x"), 0);
    assert_eq!((store.save(&engine), store.0.len()), (1, rows + 2));
    assert_eq!(
        (pull(&mut engine, 0).tasks.len(), store.save(&engine), store.0.len()),
        (1, 1, rows + 3)
    );
    engine.defined(at(0));
    assert_eq!(store.save(&engine), 0);
    engine.cancel("r", "no".to_owned(), at(0)).unwrap();
    pull(&mut engine, 100);
    let undo = pull(&mut engine, 100).tasks;
    assert!(undo.is_empty());
    store.save(&engine);
    let mut engine = open(&store, 100);
    assert_eq!(state(&mut engine, "r", 100), RunState::Compensating);
    for ms in [200, 201] {
        for task in pull(&mut engine, ms).tasks {
            settle(&mut engine, &task.token, done(""), ms);
        }
    }
    assert_eq!(state(&mut engine, "r", 201), RunState::Reverted);
    store.save(&engine);
    engine.tidy(at(201 + WIDE.retention_ms));
    store.save(&engine);
    assert_eq!(store.0.len(), rows);
    engine.undefine("w", at(201 + WIDE.retention_ms)).unwrap();
    store.save(&engine);
    // What the store is remains, and nothing else.
    assert_eq!((store.0.len(), engine.usage.get()), (1, 0));
}

/// A call on an engine, and its name.
type Call = (&'static str, fn(&mut Engine));

#[test]
fn a_call_cut_short_between_two_batches_leaves_each_run_whole() {
    let calls: [Call; 4] = [
        ("start", |engine| {
            let request = |n: u8| unnamed("w", vec![n; 40]);
            engine.start((0..4).map(request).collect(), at(2));
        }),
        ("settle", |engine| {
            let tasks = pull(engine, 2).tasks;
            let verdicts = [done("x"), failed(), Verdict::Waiting];
            let outcomes = tasks
                .into_iter()
                .zip(verdicts)
                .map(|(task, verdict)| Settling { token: task.token, verdict });
            engine.settle(outcomes.collect(), at(2)).unwrap();
        }),
        ("cancel", |engine| drop(engine.cancel("up", "no".to_owned(), at(2)).unwrap())),
        ("undefine", |engine| engine.undefine("w", at(2)).unwrap()),
    ];
    for (name, call) in calls {
        let mut store = Store::default();
        let mut engine = store.open(WIDE, SMALL, at(0));
        engine.define(definition("w", vec![step("a", &[]), step("b", &["a"])]), at(0)).unwrap();
        let nested = Step { work: Work::Nested(("w".to_owned(), None)), ..step("n", &[]) };
        engine.define(definition("up", vec![nested]), at(0)).unwrap();
        for run in ["r", "s"] {
            begin(&mut engine, run, 0);
        }
        start(&mut engine, "up", Some("up"), 0);
        store.save(&engine);
        call(&mut engine);
        let batches = engine.take_changes();
        assert!(name == "undefine" || batches.len() > 1, "{name} fits into one batch");
        for batch in batches {
            store.commit(batch);
            let mut found = store.open(WIDE, SMALL, at(2));
            check(&found);
            // What it made of the rest it writes too, and all can go on to an end.
            let mut tidied = store.clone();
            tidied.save(&found);
            assert_eq!(digest(&tidied.open(WIDE, SMALL, at(2))), digest(&found), "{name}");
            for ms in (200..2_000).step_by(200) {
                let tasks = found.pull(&[all("w"), all("up")], 1_000, 100, at(ms)).unwrap().tasks;
                let settle = |task: Task| Settling { token: task.token, verdict: done("y") };
                found.settle(tasks.into_iter().map(settle).collect(), at(ms)).unwrap();
                for run in ["r", "s"] {
                    let _ = found.complete(run, "a", done("z"), at(ms));
                }
                for (_, run) in found
                    .runs
                    .iter()
                    .map(|(slot, run)| (slot, run.id.to_string()))
                    .collect::<Vec<_>>()
                {
                    let _ = found.complete(&run, "a", done("z"), at(ms));
                }
            }
            check(&found);
            assert!(found.runs.iter().all(|(_, run)| run.has_ended()), "{name}");
        }
        assert_eq!(digest(&store.open(WIDE, SMALL, at(2))), digest(&engine), "{name}");
    }
}

#[test]
fn names_are_not_given_again_though_the_clock_went_back() {
    let mut store = Store::default();
    let mut engine = open(&store, 1_000_000);
    engine.define(definition("w", vec![step("a", &[])]), at(1_000_000)).unwrap();
    let Started::Run(first) = start(&mut engine, "w", None, 1_000_000) else { panic!("refused") };
    store.save(&engine);
    let mut engine = open(&store, 0);
    let Started::Run(second) = start(&mut engine, "w", None, 0) else { panic!("refused") };
    assert!(second > first, "{first} {second}");
}

#[test]
fn a_store_of_something_else_is_refused_and_left_alone() {
    for rows in [
        vec![(&b"anything"[..], &b"else"[..])],
        vec![(&[0][..], &b"workflows-local 9"[..])],
        vec![(&[1, 0, 0, 0, 0, 0, 0, 0, 1][..], &b"no meta row before"[..])],
    ] {
        let mut restore = Restore::default();
        let refused = rows.iter().find_map(|(key, value)| restore.add(key, value).err());
        assert!(
            matches!(refused, Some(Error::Unavailable(text)) if text.contains("file of its own"))
        );
    }
}

proptest! {
    #[test]
    fn no_row_brings_the_loading_down(
        rows in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..14), prop::collection::vec(any::<u8>(), 0..60), 0..9)
    ) {
        let mut restore = Restore::default();
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.insert(0, (vec![0], crate::engine::rows::meta(9)));
        if rows.iter().all(|(key, value)| restore.add(key, value).is_ok()) {
            restore.finish(WIDE, at(0), 1).unwrap();
        }
    }
}
