//! What the contract promises, one by one.

use super::*;
use stheno_sdk::Error;
use stheno_sdk::workflows::{Action, CauseKind, Condition, Filter, Source, Test};

#[test]
fn steps_run_in_their_order_with_the_results_before_them_and_the_last_gives_the_runs() {
    let mut engine = with(vec![step("a", &[]), step("b", &["a"]), step("c", &["b"])]);
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", done("1"), 0);
    act(&mut engine, "b", done("2"), 1);
    let task = one(&mut engine, "c", 2);
    assert_eq!(task.results, [("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())]);
    assert_eq!((task.attempt, task.attempts), (1, 1));
    assert!(matches!(task.action, Action::Invoke));
    let settled = settle(&mut engine, &task.token, done("3"), 2);
    assert_eq!((settled.ended[0].run.as_str(), settled.ended[0].state), ("r", RunState::Done));
    let run = engine.get("r", at(2)).unwrap();
    assert_eq!((run.result, run.status.ended_ms), (Some(b"3".to_vec()), Some(at(2).unix_ms)));
    assert_eq!(run.steps[1].began_ms, Some(at(0).unix_ms));
    // A settled result is never asked for again.
    assert_eq!(settle(&mut engine, &task.token, done("4"), 2).lost, [task.token]);
}

#[test]
fn what_is_side_by_side_is_due_at_once_and_what_joins_waits_for_all() {
    let mut engine = with(vec![step("a", &[]), step("b", &[]), step("c", &["a", "b"])]);
    begin(&mut engine, "r", 0);
    let tasks = pull(&mut engine, 0).tasks;
    assert_eq!(tasks.len(), 2);
    settle(&mut engine, &tasks[0].token, done(""), 0);
    assert!(pull(&mut engine, 0).tasks.is_empty());
    settle(&mut engine, &tasks[1].token, done(""), 0);
    one(&mut engine, "c", 0);
}

#[test]
fn one_id_runs_once() {
    let mut engine = with(vec![step("a", &[])]);
    engine.define(definition("other", vec![step("a", &[])]), at(0)).unwrap();
    let request = || request("w", "r", b"");
    let answers = engine.start(vec![request(), request()], at(0));
    assert!(matches!(&answers[..], [Started::Run(one), Started::Existing(two)] if one == two));
    assert!(matches!(
        start(&mut engine, "other", Some("r"), 0),
        Started::Refused(Error::Conflict(_))
    ));
    assert!(matches!(
        start(&mut engine, "none", Some("s"), 0),
        Started::Refused(Error::NotFound(_))
    ));
    act(&mut engine, "a", done(""), 0);
    assert!(matches!(
        start(&mut engine, "w", Some("r"), WIDE.retention_ms - 1),
        Started::Existing(_)
    ));
    // Forgotten, it is free.
    begin(&mut engine, "r", WIDE.retention_ms);
    check(&engine);
}

#[test]
fn a_failed_attempt_waits_and_is_tried_again_as_often_as_it_says() {
    let retries = Retries { attempts: 3, initial_ms: 100, max_ms: 150, automatic: true };
    let mut engine = with(vec![Step { retries, ..step("a", &[]) }]);
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", failed(), 0);
    let waiting = pull(&mut engine, 0);
    assert!(waiting.tasks.is_empty() && (50..=100).contains(&waiting.next_due_ms.unwrap()));
    assert_eq!(states(&mut engine, "r", 0), [StepState::Running]);
    let task = one(&mut engine, "a", 100);
    assert_eq!((task.attempt, task.attempts), (2, 3));
    settle(&mut engine, &task.token, failed(), 100);
    assert!((75..=150).contains(&pull(&mut engine, 100).next_due_ms.unwrap()));
    // Given back it does not count.
    act(&mut engine, "a", Verdict::Returned, 250);
    let task = one(&mut engine, "a", 250);
    assert_eq!(task.attempt, 3);
    settle(&mut engine, &task.token, failed(), 250);
    let run = engine.get("r", at(250)).unwrap();
    assert_eq!((run.status.state, run.steps[0].faults.len()), (RunState::Reverted, 3));
    let cause = run.status.cause.unwrap();
    assert_eq!(
        (cause.kind, cause.step.as_deref(), cause.reason.as_str()),
        (CauseKind::StepFailed, Some("a"), "why")
    );
}

#[test]
fn a_rejected_attempt_is_not_tried_again() {
    let retries = Retries { attempts: 9, initial_ms: 10, max_ms: 10, automatic: true };
    let mut engine = with(vec![Step { retries, ..step("a", &[]) }]);
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", Verdict::Rejected("no".to_owned()), 0);
    assert_eq!(state(&mut engine, "r", 0), RunState::Reverted);
    assert_eq!(states(&mut engine, "r", 0), [StepState::Failed]);
}

#[test]
fn what_is_not_automatic_is_stalled_until_somebody_retries() {
    let retries = Retries { attempts: 2, initial_ms: 10, max_ms: 10, automatic: false };
    let mut engine = with(vec![Step { retries, ..step("a", &[]) }]);
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", failed(), 0);
    let nothing = pull(&mut engine, 1_000);
    assert_eq!((nothing.tasks.len(), nothing.next_due_ms), (0, None));
    assert_eq!(states(&mut engine, "r", 1_000), [StepState::Stalled]);
    engine.retry("r", "a", at(1_000)).unwrap();
    assert!(matches!(engine.retry("r", "a", at(1_000)), Err(Error::Conflict(_))));
    assert!(matches!(engine.retry("r", "b", at(1_000)), Err(Error::NotFound(_))));
    assert_eq!(one(&mut engine, "a", 1_000).attempt, 2);
}

#[test]
fn a_lost_attempt_is_due_again_until_that_happens_too_often_and_then_compensated() {
    let mut engine = with(vec![step("a", &[])]);
    begin(&mut engine, "r", 0);
    let first = one(&mut engine, "a", 0);
    assert_eq!(pull(&mut engine, 40).next_due_ms, Some(60));
    let second = one(&mut engine, "a", 100);
    assert_eq!(second.attempt, 1);
    assert_eq!(settle(&mut engine, &first.token, done(""), 101).lost, [first.token]);
    // The second time is one more than `lost_workers`.
    let undo = one(&mut engine, "a", 200);
    assert!(matches!(undo.action, Action::Compensate));
    settle(&mut engine, &undo.token, done(""), 200);
    assert_eq!(states(&mut engine, "r", 200), [StepState::Reverted]);
    check(&engine);
}

#[test]
fn a_lease_that_is_extended_holds_and_one_that_is_gone_is_told() {
    let mut engine = with(vec![step("a", &[])]);
    begin(&mut engine, "r", 0);
    let task = one(&mut engine, "a", 0);
    assert!(engine.extend(vec![task.token.clone()], 500, at(99)).unwrap().is_empty());
    assert!(pull(&mut engine, 598).tasks.is_empty());
    let unknown = vec![task.token.clone(), "1.1".to_owned(), "x".to_owned()];
    assert_eq!(
        engine.extend(unknown, 500, at(599)).unwrap(),
        [task.token, "1.1".to_owned(), "x".to_owned()]
    );
    check(&engine);
}

#[test]
fn an_attempt_beyond_its_time_is_not_listened_to_and_its_effect_is_undone() {
    let slow = Step { timeout_ms: Some(30), ..step("a", &[]) };
    let mut engine = with(vec![slow]);
    begin(&mut engine, "r", 0);
    let task = one(&mut engine, "a", 0);
    assert_eq!(task.deadline_in_ms, Some(30));
    // A longer lease does not make it longer.
    assert!(engine.extend(vec![task.token.clone()], 500, at(10)).unwrap().is_empty());
    assert_eq!(settle(&mut engine, &task.token, done(""), 30).lost, [task.token]);
    assert_eq!(act(&mut engine, "a", done(""), 30).ended[0].state, RunState::Reverted);
}

#[test]
fn what_was_done_is_undone_in_reverse_each_after_all_that_came_after_it() {
    let steps = vec![step("a", &[]), step("b", &["a"]), step("c", &["a"]), step("d", &["b", "c"])];
    let mut engine = with(steps);
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", done("1"), 0);
    for task in pull(&mut engine, 0).tasks {
        settle(&mut engine, &task.token, done("2"), 0);
    }
    act(&mut engine, "d", Verdict::Rejected("no".to_owned()), 0);
    assert_eq!(state(&mut engine, "r", 0), RunState::Compensating);
    let both = pull(&mut engine, 0).tasks;
    assert_eq!(both.iter().map(|task| task.step.as_str()).collect::<Vec<_>>(), ["c", "b"]);
    // With its own result and those before it.
    assert_eq!(both[0].results, [("a".to_owned(), b"1".to_vec()), ("c".to_owned(), b"2".to_vec())]);
    settle(&mut engine, &both[0].token, done(""), 0);
    assert!(pull(&mut engine, 0).tasks.is_empty());
    settle(&mut engine, &both[1].token, done(""), 0);
    act(&mut engine, "a", done(""), 0);
    assert_eq!(
        states(&mut engine, "r", 0),
        [StepState::Reverted, StepState::Reverted, StepState::Reverted, StepState::Failed]
    );
}

#[test]
fn what_is_under_way_is_waited_for_and_nothing_more_begins() {
    let mut engine = with(vec![step("a", &[]), step("b", &[]), step("c", &["a"])]);
    begin(&mut engine, "r", 0);
    let tasks = pull(&mut engine, 0).tasks;
    engine.cancel("r", "enough".to_owned(), at(1)).unwrap();
    assert!(matches!(engine.cancel("r", "again".to_owned(), at(1)), Err(Error::Conflict(_))));
    settle(&mut engine, &tasks[0].token, done(""), 1);
    assert_eq!(state(&mut engine, "r", 1), RunState::Stopping);
    assert!(pull(&mut engine, 1).tasks.is_empty());
    // A failure now is not tried again.
    settle(&mut engine, &tasks[1].token, failed(), 1);
    act(&mut engine, "a", done(""), 1);
    assert_eq!(
        states(&mut engine, "r", 1),
        [StepState::Reverted, StepState::Failed, StepState::PassedOver]
    );
    assert!(matches!(engine.cancel("none", String::new(), at(1)), Err(Error::NotFound(_))));
}

#[test]
fn a_run_that_is_done_can_be_cancelled_as_long_as_it_is_retained() {
    let plain = Step { compensates: false, ..step("b", &["a"]) };
    let mut engine = with(vec![step("a", &[]), plain]);
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", done(""), 0);
    act(&mut engine, "b", done(""), 0);
    engine.cancel("r", "changed my mind".to_owned(), at(5)).unwrap();
    // Without a handler it is taken as undone.
    assert_eq!(states(&mut engine, "r", 5), [StepState::Compensating, StepState::Reverted]);
    act(&mut engine, "a", done(""), 5);
    assert_eq!(state(&mut engine, "r", 5), RunState::Reverted);
    assert!(matches!(engine.get("r", at(5 + WIDE.retention_ms)), Err(Error::NotFound(_))));
}

#[test]
fn a_compensation_that_fails_for_good_makes_the_run_failed_and_retry_goes_on() {
    let mut engine = with(vec![step("a", &[]), step("b", &["a"])]);
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", done(""), 0);
    act(&mut engine, "b", done(""), 0);
    engine.cancel("r", "no".to_owned(), at(0)).unwrap();
    assert_eq!(act(&mut engine, "b", failed(), 0).ended[0].state, RunState::Failed);
    assert_eq!(states(&mut engine, "r", 0), [StepState::Done, StepState::Stuck]);
    engine.retry("r", "b", at(1)).unwrap();
    assert_eq!(state(&mut engine, "r", 1), RunState::Compensating);
    act(&mut engine, "b", done(""), 1);
    act(&mut engine, "a", done(""), 1);
    assert_eq!(state(&mut engine, "r", 1), RunState::Reverted);
}

#[test]
fn when_the_time_of_a_run_is_up_what_is_under_way_is_stopped_and_undone() {
    let mut engine = engine(WIDE);
    let timed = Definition {
        timeout_ms: Some(50),
        ..definition("w", vec![step("a", &[]), step("b", &["a"])])
    };
    engine.define(timed, at(0)).unwrap();
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", done(""), 0);
    let task = one(&mut engine, "b", 20);
    assert_eq!(task.deadline_in_ms, Some(30));
    assert_eq!(pull(&mut engine, 20).next_due_ms, Some(30));
    assert_eq!(engine.extend(vec![task.token.clone()], 100, at(50)).unwrap(), [task.token]);
    act(&mut engine, "b", done(""), 60);
    act(&mut engine, "a", done(""), 60);
    let status = engine.get("r", at(60)).unwrap().status;
    assert_eq!(
        (status.state, status.cause.unwrap().kind),
        (RunState::Reverted, CauseKind::TimedOut)
    );
}

#[test]
fn a_failure_may_be_proceeded_from_or_pass_over_what_comes_after() {
    let steps = |on_failure: Failure| {
        vec![
            Step { on_failure, ..step("a", &[]) },
            step("b", &["a"]),
            step("c", &["b"]),
            step("d", &["c"]),
        ]
    };
    let after = |on_failure: Failure| {
        let mut engine = with(steps(on_failure));
        begin(&mut engine, "r", 0);
        act(&mut engine, "a", failed(), 0);
        check(&engine);
        states(&mut engine, "r", 0)
    };
    use StepState::{Failed, PassedOver, Pending, Running};
    assert_eq!(after(Failure::Proceed), [Failed, Running, Pending, Pending]);
    assert_eq!(after(Failure::SkipTo("c".to_owned())), [Failed, PassedOver, Running, Pending]);
    assert_eq!(after(Failure::SkipTo("b".to_owned())), [Failed, Running, Pending, Pending]);
    assert_eq!(after(Failure::SkipRest), [Failed, PassedOver, PassedOver, PassedOver]);
    assert_eq!(after(Failure::Revert), [Failed, PassedOver, PassedOver, PassedOver]);
}

#[test]
fn a_condition_that_does_not_hold_skips_its_step_and_what_comes_after_goes_on() {
    let when = |source, equals: &str| Condition {
        source,
        pointer: "/n".to_owned(),
        test: Test::Equals(equals.to_owned()),
        negated: false,
    };
    let mut engine = with(vec![
        Step { when: vec![when(Source::Input, "2")], ..step("a", &[]) },
        Step { when: vec![when(Source::Input, "1.0")], ..step("b", &["a"]) },
        Step { when: vec![when(Source::Step("b".to_owned()), "3")], ..step("c", &["b"]) },
    ]);
    begin(&mut engine, "r", 0);
    act(&mut engine, "b", done("{\"n\":4}"), 0);
    assert_eq!(
        states(&mut engine, "r", 0),
        [StepState::Skipped, StepState::Done, StepState::Skipped]
    );
    let run = engine.get("r", at(0)).unwrap();
    assert_eq!((run.status.state, run.result), (RunState::Done, None));
}

#[test]
fn a_step_waits_until_it_is_completed_or_its_time_is_over() {
    let wait = Step { work: Work::Wait, timeout_ms: Some(50), ..step("b", &["a"]) };
    let mut engine = with(vec![step("a", &[]), wait]);
    for run in ["r", "s"] {
        begin(&mut engine, run, 0);
        assert!(matches!(engine.complete(run, "a", done(""), at(0)), Err(Error::Conflict(_))));
        act(&mut engine, "a", Verdict::Waiting, 0);
        assert_eq!(states(&mut engine, run, 0), [StepState::Waiting, StepState::Pending]);
        engine.complete(run, "a", done("1"), at(0)).unwrap();
        assert_eq!(states(&mut engine, run, 0), [StepState::Done, StepState::Waiting]);
        check(&engine);
    }
    assert_eq!(
        engine.complete("r", "b", done("2"), at(49)).unwrap().ended[0].state,
        RunState::Done
    );
    assert!(matches!(engine.complete("s", "b", done("2"), at(50)), Err(Error::Conflict(_))));
    assert!(matches!(engine.complete("x", "b", done("2"), at(50)), Err(Error::NotFound(_))));
    assert!(matches!(
        engine.complete("s", "b", Verdict::Returned, at(50)),
        Err(Error::InvalidArgument(_))
    ));
    assert_eq!(state(&mut engine, "s", 50), RunState::Compensating);
}

fn nested() -> Engine {
    let mut engine = engine(WIDE);
    engine.define(definition("child", vec![step("x", &[]), step("y", &["x"])]), at(0)).unwrap();
    let nest = Step {
        work: Work::Nested(("child".to_owned(), Some("a".to_owned()))),
        ..step("n", &["a"])
    };
    engine.define(definition("w", vec![step("a", &[]), nest, step("z", &["n"])]), at(0)).unwrap();
    engine
}

fn child(engine: &mut Engine, step: &str, verdict: Verdict, ms: u64) -> Task {
    let task = engine.pull(&[all("child")], 9, 100, at(ms)).unwrap().tasks.remove(0);
    assert_eq!(task.step, step);
    settle(engine, &task.token, verdict, ms);
    check(engine);
    task
}

#[test]
fn a_nested_run_gives_its_result_to_its_step_and_is_cancelled_to_undo_it() {
    let mut engine = nested();
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", done("input"), 0);
    let task = child(&mut engine, "x", done("1"), 0);
    assert_eq!(task.input, b"input");
    child(&mut engine, "y", done("2"), 0);
    let z = one(&mut engine, "z", 0);
    assert_eq!(z.results[1], ("n".to_owned(), b"2".to_vec()));
    let id = engine.get("r", at(0)).unwrap().steps[1].child.clone().unwrap();
    assert_eq!(
        engine.get(&id, at(0)).unwrap().status.parent,
        Some(("r".to_owned(), "n".to_owned()))
    );
    settle(&mut engine, &z.token, Verdict::Rejected("no".to_owned()), 0);
    assert_eq!(states(&mut engine, "r", 0)[1], StepState::Compensating);
    child(&mut engine, "y", done(""), 0);
    child(&mut engine, "x", done(""), 0);
    assert_eq!(state(&mut engine, &id, 0), RunState::Reverted);
    act(&mut engine, "a", done(""), 0);
    assert_eq!(state(&mut engine, "r", 0), RunState::Reverted);
}

#[test]
fn a_nested_run_that_does_not_get_to_done_fails_its_step() {
    let mut engine = nested();
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", done(""), 0);
    child(&mut engine, "x", failed(), 0);
    assert_eq!(
        states(&mut engine, "r", 0),
        [StepState::Compensating, StepState::Failed, StepState::PassedOver]
    );
}

#[test]
fn a_stuck_nested_run_makes_its_parent_failed_and_one_retry_is_enough_for_both() {
    let mut engine = nested();
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", done(""), 0);
    child(&mut engine, "x", done(""), 0);
    child(&mut engine, "y", done(""), 0);
    act(&mut engine, "z", failed(), 0);
    child(&mut engine, "y", failed(), 0);
    assert_eq!(state(&mut engine, "r", 0), RunState::Failed);
    engine.retry("r", "n", at(1)).unwrap();
    check(&engine);
    child(&mut engine, "y", done(""), 1);
    child(&mut engine, "x", done(""), 1);
    act(&mut engine, "a", done(""), 1);
    assert_eq!(state(&mut engine, "r", 1), RunState::Reverted);
}

#[test]
fn a_workflow_that_nests_itself_comes_to_an_end() {
    let nest = Step { work: Work::Nested(("w".to_owned(), None)), ..step("a", &[]) };
    let mut engine = with(vec![nest]);
    begin(&mut engine, "r", 0);
    check(&engine);
    assert_eq!(state(&mut engine, "r", 0), RunState::Reverted);
}

#[test]
fn the_last_task_tells_how_the_run_has_ended_until_somebody_knows() {
    let mut engine = engine(WIDE);
    let tells = Definition { finish: true, ..definition("w", vec![step("a", &[])]) };
    engine.define(tells, at(0)).unwrap();
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", done("1"), 0);
    let only_steps = Selector { workflow: "w".to_owned(), steps: vec!["a".to_owned()] };
    assert!(engine.pull(&[only_steps], 9, 100, at(0)).unwrap().tasks.is_empty());
    let task = one(&mut engine, "", 0);
    assert!(matches!(task.action, Action::Finish(RunState::Done)));
    assert_eq!((task.attempts, task.results.clone()), (0, vec![("a".to_owned(), b"1".to_vec())]));
    settle(&mut engine, &task.token, Verdict::Rejected("later".to_owned()), 0);
    // It is retained as long as nobody knows.
    let late = 10 * WIDE.retention_ms;
    assert_eq!(state(&mut engine, "r", late), RunState::Done);
    act(&mut engine, "", done(""), late);
    assert!(matches!(engine.get("r", at(late + 1)), Err(Error::NotFound(_))));
}

#[test]
fn a_run_keeps_the_definition_it_was_started_with() {
    let mut engine = with(vec![step("a", &[]), step("b", &["a"])]);
    begin(&mut engine, "r", 0);
    engine.define(definition("w", vec![step("c", &[])]), at(0)).unwrap();
    act(&mut engine, "a", done(""), 0);
    engine.undefine("w", at(0)).unwrap();
    assert!(engine.defined(at(0)).is_empty());
    act(&mut engine, "b", done(""), 0);
    assert_eq!(state(&mut engine, "r", 0), RunState::Done);
    assert!(matches!(engine.undefine("w", at(0)), Err(Error::NotFound(_))));
}

#[test]
fn a_definition_that_is_refused_leaves_the_one_before_it_at_work() {
    let limits = Limits { max_bytes: 20_000, ..WIDE };
    let mut engine = engine(limits);
    engine.define(definition("w", vec![step("a", &[])]), at(0)).unwrap();
    let wrong = engine.define(definition("w", vec![step("a", &["b"])]), at(0));
    assert!(matches!(wrong, Err(Error::InvalidArgument(_))));
    let many: Vec<_> = (0..200).map(|n| step(&n.to_string(), &[])).collect();
    let large = engine.define(definition("w", many), at(0));
    assert!(matches!(large, Err(Error::Unavailable(_))));
    begin(&mut engine, "r", 0);
    act(&mut engine, "a", done(""), 0);
    assert_eq!(state(&mut engine, "r", 0), RunState::Done);
    check(&engine);
}

#[test]
fn a_definition_that_is_wrong_names_the_step() {
    let nested = |input: &str| Work::Nested(("w".to_owned(), Some(input.to_owned())));
    let on = |id: &str| Condition {
        source: Source::Step(id.to_owned()),
        pointer: String::new(),
        test: Test::Present,
        negated: false,
    };
    let none = Retries { attempts: 0, initial_ms: 0, max_ms: 0, automatic: true };
    for wrong in [
        step("bad", &["later"]),
        step("a", &[]),
        step("finish", &[]),
        Step { when: vec![on("b")], ..step("bad", &["a"]) },
        Step {
            when: vec![Condition { pointer: "x".to_owned(), ..on("a") }],
            ..step("bad", &["a"])
        },
        Step { work: nested("b"), ..step("bad", &["a"]) },
        Step { on_failure: Failure::SkipTo("a".to_owned()), ..step("bad", &["a"]) },
        Step { retries: none, ..step("bad", &[]) },
        Step { timeout_ms: Some(0), ..step("bad", &[]) },
    ] {
        let mut engine = engine(WIDE);
        let id = wrong.id.clone();
        let steps = vec![step("a", &[]), step("b", &[]), wrong, step("later", &[])];
        let error = engine.define(definition("w", steps), at(0)).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidArgument(text) if text.contains(&format!("step `{id}`"))),
            "{error:?}"
        );
        assert_eq!((engine.usage.get(), engine.workflows.len()), (0, 0));
    }
}

#[test]
fn runs_are_listed_newest_first_and_a_cursor_stays_true_when_others_begin() {
    let mut engine = with(vec![step("a", &[])]);
    for run in ["1", "2", "3", "4"] {
        begin(&mut engine, run, run.parse().unwrap());
    }
    engine.cancel("2", String::new(), at(5)).unwrap();
    let filter = |states: &[RunState]| Filter {
        workflow: Some("w".to_owned()),
        states: states.to_vec(),
        parent: None,
        schedule: None,
        started_from_ms: None,
        started_before_ms: Some(at(4).unix_ms),
    };
    let page = engine.list(&filter(&[]), None, 2, at(5)).unwrap();
    let ids = |page: &stheno_sdk::workflows::RunPage| {
        page.items.iter().map(|run| run.run.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&page), ["3", "2"]);
    begin(&mut engine, "5", 5);
    let rest = engine.list(&filter(&[]), page.next.as_deref(), 2, at(5)).unwrap();
    assert_eq!((ids(&rest), rest.next), (vec!["1".to_owned()], None));
    let running = engine.list(&filter(&[RunState::Running]), None, 9, at(5)).unwrap();
    assert_eq!(ids(&running), ["3", "1"]);
    assert!(matches!(
        engine.list(&filter(&[]), Some("?"), 9, at(5)),
        Err(Error::InvalidArgument(_))
    ));
}
