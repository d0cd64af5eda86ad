//! Runs by the clock.

use super::durable::{Store, digest};
use super::*;
use stheno_sdk::Error;
use stheno_sdk::workflows::{Cadence, Cron, Overlap, ScheduleDefinition};

fn every(ms: u64) -> ScheduleDefinition {
    ScheduleDefinition {
        id: "s".to_owned(),
        workflow: "w".to_owned(),
        input: b"tick".to_vec(),
        cadence: Cadence::EveryMs(ms),
        overlap: Overlap::Allow,
        catch_up: false,
        max_runs: None,
    }
}

fn scheduled(definition: ScheduleDefinition) -> Engine {
    let mut engine = with(vec![step("a", &[])]);
    engine.schedule(definition, at(0)).unwrap();
    engine
}

fn runs(engine: &mut Engine, ms: u64) -> Vec<String> {
    engine.tidy(at(ms));
    engine.by_serial.values().map(|&slot| engine.runs.get(slot).unwrap().id.to_string()).collect()
}

fn name(ms: u64) -> String {
    format!("s@{}", at(ms).unix_ms)
}

#[test]
fn each_moment_starts_one_run_named_after_it() {
    let mut engine = scheduled(every(1_000));
    assert_eq!(pull(&mut engine, 0).next_due_ms, Some(1_000));
    assert!(runs(&mut engine, 999).is_empty());
    assert_eq!(runs(&mut engine, 1_000), [name(1_000)]);
    assert_eq!(runs(&mut engine, 1_001), [name(1_000)]);
    assert_eq!(runs(&mut engine, 2_500), [name(1_000), name(2_000)]);
    let status = engine.schedules(at(2_500)).remove(0);
    assert_eq!((status.runs, status.skipped, status.next_ms), (2, 0, Some(at(3_000).unix_ms)));
    assert_eq!(status.last_run, Some(name(2_000)));
    assert_eq!(engine.get(&name(1_000), at(2_500)).unwrap().status.schedule.as_deref(), Some("s"));
    check(&engine);
}

#[test]
fn what_overlaps_is_skipped_or_replaced_as_it_says() {
    let mut engine = scheduled(ScheduleDefinition { overlap: Overlap::Skip, ..every(1_000) });
    assert_eq!(runs(&mut engine, 1_000).len(), 1);
    assert_eq!(runs(&mut engine, 2_000).len(), 1);
    assert_eq!(engine.schedules(at(2_000))[0].skipped, 1);
    act(&mut engine, "a", done(""), 2_000);
    assert_eq!(runs(&mut engine, 3_000).len(), 2);

    let mut engine = scheduled(ScheduleDefinition { overlap: Overlap::Replace, ..every(1_000) });
    runs(&mut engine, 1_000);
    assert_eq!(runs(&mut engine, 2_000).len(), 2);
    assert_eq!(state(&mut engine, &name(1_000), 2_000), RunState::Reverted);
    assert_eq!(state(&mut engine, &name(2_000), 2_000), RunState::Running);
    check(&engine);
}

#[test]
fn moments_that_nobody_could_serve_are_made_up_for_once_or_not_at_all() {
    for catch_up in [true, false] {
        let mut engine = scheduled(ScheduleDefinition { catch_up, ..every(60_000) });
        let expected = if catch_up { vec![name(600_000)] } else { Vec::new() };
        assert_eq!(runs(&mut engine, 650_000), expected);
        assert_eq!(engine.schedules(at(650_000))[0].next_ms, Some(at(660_000).unix_ms));
    }
}

#[test]
fn a_schedule_goes_on_after_a_restart_and_its_runs_with_it() {
    for catch_up in [true, false] {
        let mut store = Store::default();
        let mut engine = store.open(WIDE, 1 << 20, at(0));
        engine.define(definition("w", vec![step("a", &[])]), at(0)).unwrap();
        let schedule = ScheduleDefinition { catch_up, overlap: Overlap::Skip, ..every(1_000) };
        engine.schedule(schedule.clone(), at(0)).unwrap();
        assert_eq!(runs(&mut engine, 1_000).len(), 1);
        store.save(&engine);
        assert_eq!(digest(&store.open(WIDE, 1 << 20, at(1_000))), digest(&engine));
        let mut engine = store.open(WIDE, 1 << 20, at(1_500));
        // Who starts again says it all again, which changes nothing.
        engine.schedule(schedule, at(1_500)).unwrap();
        assert_eq!(runs(&mut engine, 2_000).len(), 1);
        assert_eq!(engine.schedules(at(2_000))[0].skipped, 1);
        act(&mut engine, "a", done(""), 2_000);
        store.save(&engine);
        let mut engine = store.open(WIDE, 1 << 20, at(4_500));
        assert_eq!(runs(&mut engine, 4_500).len(), 1 + usize::from(catch_up));
        assert_eq!(runs(&mut engine, 5_000).contains(&name(5_000)), !catch_up);
    }
}

#[test]
fn a_moment_whose_run_began_before_the_cut_starts_no_second_one() {
    let mut store = Store::default();
    let mut engine = store.open(WIDE, 60, at(0));
    engine.define(definition("w", vec![step("a", &[])]), at(0)).unwrap();
    engine.schedule(ScheduleDefinition { catch_up: true, ..every(1_000) }, at(0)).unwrap();
    store.save(&engine);
    runs(&mut engine, 1_000);
    // The run is written first, and then the process ends.
    store.commit(engine.take_changes().remove(0));
    let mut engine = store.open(WIDE, 60, at(1_000));
    assert_eq!(runs(&mut engine, 1_000), [name(1_000)]);
    let status = engine.schedules(at(1_000)).remove(0);
    assert_eq!((status.runs, status.last_run), (1, Some(name(1_000))));
}

#[test]
fn it_ends_with_its_last_run_and_with_its_workflow() {
    let mut engine = scheduled(ScheduleDefinition { max_runs: Some(2), ..every(1_000) });
    runs(&mut engine, 1_000);
    assert_eq!(engine.schedules(at(1_000)).len(), 1);
    runs(&mut engine, 2_000);
    assert!(engine.schedules(at(2_000)).is_empty());

    let mut engine = scheduled(every(1_000));
    engine.undefine("w", at(0)).unwrap();
    assert!(engine.schedules(at(0)).is_empty());
    assert!(matches!(engine.unschedule("s", at(0)), Err(Error::NotFound(_))));
}

#[test]
fn a_run_for_which_there_is_no_room_is_tried_again() {
    let mut engine = engine(Limits { max_runs: 1, history: 0, ..WIDE });
    engine.define(definition("w", vec![step("a", &[])]), at(0)).unwrap();
    engine.schedule(every(5_000), at(0)).unwrap();
    assert!(matches!(start(&mut engine, "w", None, 0), Started::Run(_)));
    assert_eq!(runs(&mut engine, 5_000).len(), 1);
    act(&mut engine, "a", done(""), 5_500);
    assert!(runs(&mut engine, 5_500).is_empty());
    assert_eq!(runs(&mut engine, 6_000), [name(5_000)]);
}

#[test]
fn a_schedule_that_is_wrong_says_what_to_write() {
    let mut engine = with(vec![step("a", &[])]);
    let cron = |expression: &str| {
        Cadence::Cron(Cron { expression: expression.to_owned(), time_zone: "UTC".to_owned() })
    };
    for wrong in [
        every(10),
        ScheduleDefinition { max_runs: Some(0), ..every(1_000) },
        ScheduleDefinition { cadence: cron("* *"), ..every(1_000) },
        ScheduleDefinition { cadence: cron("0 0 30 2 *"), ..every(1_000) },
    ] {
        assert!(
            matches!(engine.schedule(wrong, at(0)), Err(Error::InvalidArgument(text)) if text.contains("write"))
        );
    }
    let other = ScheduleDefinition { workflow: "none".to_owned(), ..every(1_000) };
    assert!(matches!(engine.schedule(other, at(0)), Err(Error::NotFound(_))));
    assert!(engine.schedules(at(0)).is_empty());
}
