//! What happens where there is no more room.

use super::*;
use stheno_sdk::Error;

#[test]
fn an_id_that_was_given_is_remembered_and_a_start_beyond_that_names_the_option() {
    let limits = Limits { max_runs: 3, history: 1, ..WIDE };
    let mut engine = engine(limits);
    engine.define(definition("w", vec![step("a", &[])]), at(0)).unwrap();
    for _ in 0..5 {
        assert!(matches!(start(&mut engine, "w", None, 0), Started::Run(_)));
        act(&mut engine, "a", done(""), 0);
    }
    // Of those that nobody named one is kept, and gives way.
    assert_eq!(engine.runs.len(), 1);
    for run in ["r", "s", "t"] {
        begin(&mut engine, run, 0);
        act(&mut engine, "a", done(""), 0);
    }
    match start(&mut engine, "w", Some("u"), 0) {
        Started::Refused(Error::Unavailable(text)) => {
            assert!(text.contains("`max_runs`") && text.contains("`retention`"))
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(start(&mut engine, "w", Some("r"), 0), Started::Existing(_)));
    begin(&mut engine, "u", WIDE.retention_ms);
    check(&engine);
}

#[test]
fn bytes_are_bounded_and_runs_under_way_have_room_of_their_own() {
    let limits = Limits { max_bytes: 40_000, history: 0, ..WIDE };
    let mut engine = engine(limits);
    engine.define(definition("w", vec![step("a", &[])]), at(0)).unwrap();
    let empty = engine.usage.get();
    let request = |n: u8| unnamed("w", vec![n; 5_000]);
    let answers = engine.start((0..9).map(request).collect(), at(0));
    let began = answers.iter().filter(|answer| matches!(answer, Started::Run(_))).count();
    assert_eq!(began, 5);
    assert!(
        matches!(&answers[5], Started::Refused(Error::Unavailable(text)) if text.contains("`max_bytes`"))
    );
    let tasks = pull(&mut engine, 0).tasks;
    let large = |len: usize, task: &Task| {
        vec![Settling { token: task.token.clone(), verdict: Verdict::Done(vec![0; len]) }]
    };
    // Beyond all of it nothing is recorded, and the lease goes on.
    assert!(matches!(engine.settle(large(20_000, &tasks[0]), at(0)), Err(Error::Unavailable(_))));
    assert!(engine.settle(large(9_000, &tasks[0]), at(0)).unwrap().lost.is_empty());
    for task in &tasks[1..] {
        assert!(engine.settle(large(10, task), at(0)).unwrap().lost.is_empty());
    }
    assert_eq!((engine.runs.len(), engine.usage.get()), (0, empty));
    check(&engine);
}

#[test]
fn results_beyond_four_mebibytes_fail_the_step_and_what_it_did_is_undone() {
    let ids = ["a", "b", "c", "d", "e"];
    let steps = ids.iter().zip(1..).map(|(id, n)| step(id, &ids[n - 1..n - 1]));
    let mut engine = with(steps.collect());
    begin(&mut engine, "r", 0);
    for task in pull(&mut engine, 0).tasks {
        settle(&mut engine, &task.token, Verdict::Done(vec![0; 1 << 20]), 0);
    }
    assert_eq!(state(&mut engine, "r", 0), RunState::Compensating);
    let undone: usize =
        std::iter::repeat_with(|| pull(&mut engine, 0).tasks.len()).take_while(|&n| n > 0).sum();
    assert_eq!(undone, 5);
}

#[test]
fn a_pull_stops_at_its_bytes_and_says_that_there_is_more() {
    let mut engine = with(vec![step("a", &[])]);
    let request = |n: u8| unnamed("w", vec![n; 1 << 20]);
    engine.start((0..9).map(request).collect(), at(0));
    let pulled = pull(&mut engine, 0);
    assert_eq!((pulled.tasks.len(), pulled.next_due_ms), (4, Some(0)));
    let pulled = engine.pull(&[all("w"), all("w"), all("none")], 1, 100, at(0)).unwrap();
    assert_eq!((pulled.tasks.len(), pulled.next_due_ms), (1, Some(0)));
    assert!(matches!(engine.pull(&[], 1, 0, at(0)), Err(Error::InvalidArgument(_))));
}

#[test]
fn a_long_reason_is_cut_and_sixteen_faults_are_kept() {
    let retries = Retries { attempts: 99, initial_ms: 0, max_ms: 0, automatic: true };
    let mut engine = with(vec![Step { retries, ..step("a", &[]) }]);
    begin(&mut engine, "r", 0);
    let usage = engine.usage.get();
    for n in 0..20 {
        act(&mut engine, "a", Verdict::Failed("é".repeat(5_000)), n);
    }
    let faults = &engine.get("r", at(20)).unwrap().steps[0].faults;
    assert_eq!((faults.len(), faults[0].attempt, faults[0].reason.len()), (16, 5, 4 << 10));
    assert_eq!(engine.usage.get() - usage, 16 * ((4 << 10) + 64));
}
