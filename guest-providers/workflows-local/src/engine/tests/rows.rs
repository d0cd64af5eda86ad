//! Rows read back as what was written, and garbage brings no reader down.

use super::*;
use crate::engine::rows::{
    self, CourseRow, Header, InvokeRow, Key, Part, Standing, StateRow, UndoRow,
};
use crate::engine::run::Outcome;
use proptest::prelude::*;
use stheno_sdk::workflows::{Cause, CauseKind, Condition, Fault, Source, Test};

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        Just(Part::Header),
        any::<u16>().prop_map(Part::Invoke),
        Just(Part::State),
        any::<u16>().prop_map(Part::Undo),
    ]
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        Just(Key::Meta),
        any::<u64>().prop_map(Key::Plan),
        (any::<u64>(), part()).prop_map(|(serial, part)| Key::Run(serial, part)),
        any::<u64>().prop_map(Key::Schedule),
    ]
}

fn course() -> impl Strategy<Value = CourseRow> {
    let standing = prop_oneof![
        Just(Standing::Idle),
        Just(Standing::Due),
        any::<(u64, u64, u64)>().prop_map(|(slot, number, end)| Standing::Leased {
            slot,
            number,
            end
        }),
        Just(Standing::Backoff),
        Just(Standing::Waiting),
        Just(Standing::Stalled),
        Just(Standing::Nested),
    ];
    (standing, any::<(u32, u32, Option<u64>)>())
        .prop_map(|(standing, (made, lost, until))| CourseRow { standing, made, lost, until })
}

fn shown(faults: &[Fault]) -> String {
    format!("{faults:?}")
}

proptest! {
    #[test]
    fn keys_sort_as_what_they_are_about_and_read_back(one in key(), other in key()) {
        prop_assert_eq!(Key::decode(&one.encode()), Some(one));
        prop_assert_eq!(one.encode().cmp(&other.encode()), one.cmp(&other));
        prop_assert!(one.encode().len() <= Key::MAX_BYTES);
    }

    #[test]
    fn rows_read_back_as_what_was_written(
        texts in (".{0,9}", ".{0,9}", ".{0,9}"), course in course(), numbers: (u64, u16, u32, Option<u64>),
        flag: bool, data in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), schedule in prop::option::of(".{0,5}"),
    ) {
        let (id, other, reason) = texts;
        let (n, step, small, maybe) = numbers;
        let header = Header {
            id, named: flag, plan: n, input: data.clone().unwrap_or_default(), started_ms: n ^ 1,
            parent: maybe.map(|serial| (serial, step, other.clone(), reason.clone())), depth: small, schedule,
        };
        prop_assert_eq!(rows::read_header(&rows::header(&header)), Some(header));
        let faults = vec![Fault { at_ms: n, compensation: flag, attempt: small, reason: reason.clone() }; 2];
        let row = InvokeRow { outcome: Outcome::Skipped, course, unknown: flag, ended_ms: maybe, result: None, faults: Vec::new() };
        let back = rows::read_invoke(&rows::invoke(&row, data.as_deref(), faults.iter())).unwrap();
        prop_assert_eq!((back.outcome, back.course, back.unknown, back.ended_ms), (Outcome::Skipped, course, flag, maybe));
        prop_assert_eq!((back.result, shown(&back.faults)), (data, shown(&faults)));
        let cause = Cause { kind: CauseKind::TimedOut, step: Some(other), reason };
        let row = StateRow { state: RunState::Failed, cause: None, ended_ms: maybe, finish: Some(course), told: flag };
        let back = rows::read_state(&rows::state(&row, Some(&cause))).unwrap();
        prop_assert_eq!((back.state, back.ended_ms, back.finish, back.told), (RunState::Failed, maybe, Some(course), flag));
        prop_assert_eq!(format!("{:?}", back.cause), format!("{:?}", Some(cause)));
        let row = UndoRow { course, reverted_ms: maybe, stuck: flag, faults: Vec::new() };
        let back = rows::read_undo(&rows::undo(&row, faults.iter())).unwrap();
        prop_assert_eq!((back.course, back.reverted_ms, back.stuck, shown(&back.faults)), (course, maybe, flag, shown(&faults)));
    }

    #[test]
    fn garbage_brings_no_reader_down(row in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = (Key::decode(&row), rows::read_meta(&row), rows::read_header(&row), rows::read_invoke(&row));
        let _ = (rows::read_state(&row), rows::read_undo(&row), rows::read_plan(&row), rows::read_schedule(&row));
    }
}

#[test]
fn a_definition_reads_back_with_all_it_says() {
    let condition =
        |source, test| Condition { source, pointer: "/x".to_owned(), test, negated: true };
    let when = vec![
        condition(Source::Input, Test::Present),
        condition(Source::Step("a".to_owned()), Test::Truthy),
        condition(Source::Input, Test::Equals("1".to_owned())),
    ];
    let steps = vec![
        Step { on_failure: Failure::SkipTo("c".to_owned()), timeout_ms: Some(9), ..step("a", &[]) },
        Step { when, work: Work::Wait, on_failure: Failure::SkipRest, ..step("b", &["a"]) },
        Step {
            work: Work::Nested(("x".to_owned(), Some("a".to_owned()))),
            on_failure: Failure::Proceed,
            ..step("c", &["a", "b"])
        },
    ];
    let whole = Definition {
        result_from: Some("a".to_owned()),
        timeout_ms: Some(1),
        retention_ms: Some(2),
        finish: true,
        ..definition("w", steps)
    };
    let (back, in_force) = rows::read_plan(&rows::plan(&whole, true)).unwrap();
    assert_eq!((format!("{back:?}"), in_force), (format!("{whole:?}"), true));
}
