//! An engine from the rows of its store.
//!
//! Rows come in the order of their keys, page by page. What they do not say, or
//! what a call that was cut short did not come to write, follows from the rest:
//! a run is taken as its rows have it, and then goes on as any other.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use stheno_sdk::workflows::{CauseKind, Definition, RunState};
use stheno_sdk::{Error, Result};

use super::bits::Bits;
use super::ids::Token;
use super::journal::{Journal, Row};
use super::plan::{Plan, Then};
use super::rows::{
    self, CourseRow, Header, InvokeRow, Key, Part, ScheduleRow, Standing, StateRow, UndoRow,
};
use super::run::{self, Course, Job, MAX_FAULTS, Outcome, Parent, Run, Stand, StepRun, Undo};
use super::time::Alarm;
use super::usage::Charge;
use super::{Engine, Limits, Now, ids, moment};

/// The rows of one run.
#[derive(Default)]
struct RunRows {
    header: Option<Header>,
    invoke: Vec<(u16, InvokeRow)>,
    state: Option<StateRow>,
    undo: Vec<(u16, UndoRow)>,
}

/// Gathers the rows.
#[derive(Default)]
pub(crate) struct Restore {
    /// Where the last engine counted from.
    origin: Option<u64>,
    plans: Vec<(u64, Definition, bool)>,
    runs: BTreeMap<u64, RunRows>,
    schedules: Vec<(u64, ScheduleRow)>,
}

/// A lease from the store: token, end, run and job.
type Leased = (Token, u64, usize, Job);

fn damaged(what: &str) -> Error {
    Error::Internal(format!("{what} in the store cannot be read; it was changed by something else"))
}

impl Restore {
    /// Takes one row.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let foreign = || {
            Error::Unavailable(
                "the store holds something else than the runs of a workflows-local of this \
                 version; grant it a file of its own"
                    .to_owned(),
            )
        };
        let key = Key::decode(key).ok_or_else(foreign)?;
        if key == Key::Meta {
            self.origin = Some(rows::read_meta(value).ok_or_else(foreign)?);
            return Ok(());
        }
        if self.origin.is_none() {
            return Err(foreign());
        }
        self.read(key, value).ok_or_else(|| damaged(&format!("the row {key:?}")))
    }

    fn read(&mut self, key: Key, value: &[u8]) -> Option<()> {
        match key {
            Key::Meta => {}
            Key::Plan(serial) => {
                let (definition, in_force) = rows::read_plan(value)?;
                self.plans.push((serial, definition, in_force));
            }
            Key::Run(serial, part) => {
                let run = self.runs.entry(serial).or_default();
                match part {
                    Part::Header => run.header = Some(rows::read_header(value)?),
                    Part::Invoke(step) => run.invoke.push((step, rows::read_invoke(value)?)),
                    Part::State => run.state = Some(rows::read_state(value)?),
                    Part::Undo(step) => run.undo.push((step, rows::read_undo(value)?)),
                }
            }
            Key::Schedule(serial) => self.schedules.push((serial, rows::read_schedule(value)?)),
        }
        Some(())
    }

    /// The engine that had these rows, or a new one if there were none.
    pub(crate) fn finish(self, limits: Limits, now: Now, seed: u64) -> Result<Engine> {
        self.with_journal(Journal::new(now), limits, now, seed)
    }

    pub(super) fn with_journal(
        self,
        journal: Journal,
        limits: Limits,
        now: Now,
        seed: u64,
    ) -> Result<Engine> {
        let journal = Rc::new(journal);
        let mut origin = ids::origin(now.unix_ms, seed);
        if let Some(before) = self.origin {
            origin = ids::next_origin(origin, before);
        }
        journal.put(Key::Meta, rows::meta(origin));
        let mut engine = Engine::with_log(limits, origin, seed, Some(Rc::clone(&journal)));
        let mut plans = BTreeMap::new();
        for (serial, definition, in_force) in self.plans {
            engine.next_serial = engine.next_serial.max(serial.saturating_add(1));
            let plan = engine.restore_plan(serial, definition, in_force)?;
            plans.insert(serial, plan);
        }
        let (mut leases, mut taken, mut slots) = (Vec::new(), BTreeSet::new(), Vec::new());
        for (serial, mut rows) in self.runs {
            engine.next_serial = engine.next_serial.max(serial.saturating_add(1));
            let plan = rows.header.as_ref().and_then(|header| plans.get(&header.plan));
            let plan = plan.cloned();
            match (rows.header.take(), plan) {
                (Some(header), Some(plan)) => {
                    let slot = engine.restore_run(serial, header, &plan, rows, &mut leases, now);
                    slots.push(slot);
                }
                (header, _) => {
                    // What is left of a run that was being forgotten.
                    let delete = |part| journal.delete(Key::Run(serial, part));
                    header.iter().for_each(|_| delete(Part::Header));
                    rows.state.iter().for_each(|_| delete(Part::State));
                    rows.invoke.iter().for_each(|(step, _)| delete(Part::Invoke(*step)));
                    rows.undo.iter().for_each(|(step, _)| delete(Part::Undo(*step)));
                }
            }
        }
        // A place that cannot be is that of a lease that has run out.
        let most = limits.max_runs.saturating_mul(super::plan::MAX_STEPS);
        leases.retain(|&(token, _, slot, job): &Leased| {
            let is_good = token.slot < most && taken.insert(token.slot);
            if !is_good
                && let Some(course) = engine.runs.get_mut(slot).and_then(|run| run.course_mut(job))
            {
                course.stand = Stand::Idle;
            }
            is_good
        });
        engine.leases.restore(leases);
        engine.link_children(&slots);
        for (serial, row) in self.schedules {
            engine.next_serial = engine.next_serial.max(serial.saturating_add(1));
            if engine.workflows.find(&row.definition.workflow).is_some() {
                engine.restore_schedule(serial, row, now);
            } else {
                journal.delete(Key::Schedule(serial));
            }
        }
        for slot in slots {
            engine.take_up(slot, now);
        }
        engine.work(now);
        engine.keep_all(now);
        engine.trim();
        engine.news.clear();
        drop(plans);
        Ok(engine)
    }
}

impl Engine {
    fn restore_plan(
        &mut self,
        serial: u64,
        definition: Definition,
        in_force: bool,
    ) -> Result<Rc<Plan>> {
        let place = self.workflows.open(&definition.id);
        let row = Row::new(&self.log, Key::Plan(serial));
        let id = definition.id.clone();
        let workflows = &mut self.workflows;
        let lane = |id: &Rc<str>| workflows.get_mut(place).map_or(0, |workflow| workflow.lane(id));
        let plan = Plan::new(definition, serial, place, row, &self.usage, lane)
            .map_err(|_| damaged(&format!("the definition of the workflow `{id}`")))?;
        let plan = Rc::new(plan);
        if in_force && let Some(workflow) = self.workflows.get_mut(place) {
            workflow.plan = Some(Rc::clone(&plan));
        }
        Ok(plan)
    }

    /// Takes a run as its rows have it.
    fn restore_run(
        &mut self,
        serial: u64,
        header: Header,
        plan: &Rc<Plan>,
        rows: RunRows,
        leases: &mut Vec<Leased>,
        now: Now,
    ) -> usize {
        let Header { id, named, input, started_ms, parent, depth, schedule, .. } = header;
        let RunRows { invoke, state, undo, .. } = rows;
        let state = state.unwrap_or(StateRow {
            state: RunState::Running,
            cause: None,
            ended_ms: None,
            finish: None,
            told: false,
        });
        let bytes = run::bytes(&id, &input, plan.steps.len());
        let mut charge = Charge::new(bytes, &self.usage);
        charge.add(state.cause.as_ref().map_or(0, |cause| cause.reason.len()));
        let parent = parent.map(|(serial, step, run_id, step_id)| Parent {
            serial,
            step,
            run_id: Rc::from(run_id),
            step_id: Rc::from(step_id),
        });
        let mut run = Run {
            serial,
            id: Rc::from(id),
            named,
            plan: Rc::clone(plan),
            input,
            state: state.state,
            cause: state.cause.map(Box::new),
            started_ms,
            ended_ms: state.ended_ms,
            parent,
            depth,
            schedule: schedule.map(Rc::from),
            steps: plan.steps.iter().map(|_| StepRun::new(0)).collect(),
            open: 0,
            undoing: 0,
            to_undo: Bits::default(),
            results: 0,
            time_up: None,
            finish: None,
            told: state.told,
            kept: None,
            charge,
        };
        let mut courses = Vec::new();
        for (place, row) in invoke {
            let Some(step) = run.steps.get_mut(usize::from(place)) else { continue };
            step.outcome = row.outcome;
            step.unknown = row.unknown;
            step.ended_ms = row.ended_ms;
            run.results += row.result.as_ref().map_or(0, Vec::len);
            run.charge.add(row.result.as_ref().map_or(0, Vec::len));
            step.result = row.result.map(Vec::into_boxed_slice);
            step.faults.extend(row.faults);
            courses.push((Job::Invoke(place), row.course));
        }
        for (place, row) in undo {
            let Some(step) = run.steps.get_mut(usize::from(place)) else { continue };
            let UndoRow { course, reverted_ms, stuck, faults } = row;
            step.undo = Some(Box::new(Undo { course: Course::NEW, reverted_ms, stuck }));
            step.faults.extend(faults);
            courses.push((Job::Undo(place), course));
        }
        if let Some(course) = state.finish {
            run.finish = Some(Course::NEW);
            courses.push((Job::Finish, course));
        }
        for step in &mut run.steps {
            while step.faults.len() > MAX_FAULTS {
                step.faults.pop_front();
            }
            let faults = step.faults.iter().map(|fault| fault.reason.len() + run::FAULT_BYTES);
            run.charge.add(faults.sum());
        }
        let slot = self.insert(run);
        for (job, row) in courses {
            self.restore_course(slot, job, row, leases, now);
        }
        slot
    }

    fn restore_course(
        &mut self,
        slot: usize,
        job: Job,
        row: CourseRow,
        leases: &mut Vec<Leased>,
        now: Now,
    ) {
        let Some(course) = self.runs.get_mut(slot).and_then(|run| run.course_mut(job)) else {
            return;
        };
        let CourseRow { standing, made, lost, until } = row;
        course.made = made;
        course.lost = lost;
        course.stand = match standing {
            // What is due is put into its line when the run is taken up.
            Standing::Idle | Standing::Due => Stand::Idle,
            Standing::Leased { slot: place, number, end } => {
                let place = usize::try_from(place).unwrap_or(usize::MAX);
                leases.push((Token { slot: place, number }, moment(end, now), slot, job));
                Stand::Leased(place)
            }
            Standing::Backoff => Stand::Backoff,
            Standing::Waiting => Stand::Waiting,
            Standing::Stalled => Stand::Stalled,
            Standing::Nested => Stand::Nested,
        };
        if let Some(until) = until {
            let at = moment(until, now);
            course.until = Some(at);
            self.alarms.insert((at, slot, Alarm::Course(job)));
        }
    }

    /// Lets nested steps know the runs that they began: a run names its parent.
    fn link_children(&mut self, slots: &[usize]) {
        for &slot in slots {
            let Some(run) = self.runs.get(slot) else { continue };
            let (serial, Some(parent)) = (run.serial, run.parent.clone()) else { continue };
            let Some(&above) = self.by_serial.get(&parent.serial) else { continue };
            let Some(step) = self.runs.get_mut(above).and_then(|run| run.step_mut(parent.step))
            else {
                continue;
            };
            step.child = Some(serial);
            if step.outcome == Outcome::Open {
                step.course.stand = Stand::Nested;
                step.course.made = step.course.made.max(1);
            }
        }
    }

    /// Lets a run go on from where its rows have it.
    fn take_up(&mut self, slot: usize, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let plan = Rc::clone(&run.plan);
        let goes_on = run.state == RunState::Running;
        if !goes_on {
            // Of those without a row nothing was made any more.
            for step in run.steps.iter_mut().filter(|step| !step.has_row()) {
                if step.course.stand != Stand::Nested {
                    step.outcome = Outcome::PassedOver;
                }
            }
        }
        let mut failed = None;
        for (planned, place) in plan.steps.iter().zip(0u16..) {
            let Some(Outcome::Failed) = run.step(place).map(|step| step.outcome) else { continue };
            match planned.on_failure {
                _ if !goes_on => {}
                Then::Proceed => {}
                Then::Revert => failed = Some(place),
                Then::PassOver(steps) => {
                    for step in steps.iter() {
                        if let Some(step) = run.step_mut(step)
                            && step.outcome == Outcome::Open
                        {
                            step.outcome = Outcome::PassedOver;
                        }
                    }
                }
            }
        }
        run.open = run.steps.iter().filter(|step| step.outcome == Outcome::Open).count();
        for (planned, place) in plan.steps.iter().zip(0u16..) {
            // One that is passed over waits too, for the sake of those after it.
            let holds = |step: &&u16| {
                run.step(**step).is_some_and(|step| step.outcome == Outcome::Open || step.waits > 0)
            };
            let waits = planned.after.iter().filter(holds).count();
            if let Some(step) = run.step_mut(place) {
                step.waits = u16::try_from(waits).unwrap_or(u16::MAX);
            }
        }
        match run.state {
            RunState::Running => {
                self.set_time(slot, now);
                self.take_up_steps(slot, now);
                if let Some(place) = failed {
                    let fault = self.runs.get(slot).and_then(|run| run.step(place)?.faults.back());
                    let reason = fault.map(|fault| fault.reason.clone()).unwrap_or_default();
                    let id = plan.step(place).map(|step| step.id.to_string());
                    self.stop(slot, CauseKind::StepFailed, id, reason, now);
                }
            }
            RunState::Stopping => {
                self.set_time(slot, now);
                self.halt(slot, None, now);
            }
            RunState::Compensating => self.take_up_undo(slot, now),
            RunState::Done | RunState::Reverted | RunState::Failed => {
                self.take_up_undo(slot, now);
                let finish = self.runs.get(slot).and_then(|run| run.finish.as_ref());
                if finish.is_some_and(|course| course.stand == Stand::Idle) {
                    self.make_due(slot, Job::Finish);
                }
            }
        }
        // Where a call was cut short, this run has ended and its parent does not
        // know.
        if let Some(run) = self.runs.get(slot).filter(|run| run.has_ended())
            && let Some(parent) = &run.parent
        {
            self.agenda.push_back(super::Act::ChildEnded(parent.serial, parent.step));
        }
    }

    fn take_up_steps(&mut self, slot: usize, now: Now) {
        let Some(count) = self.runs.get(slot).map(|run| run.steps.len()) else { return };
        for place in 0..u16::try_from(count).unwrap_or(u16::MAX) {
            let Some(run) = self.runs.get(slot).filter(|run| run.state == RunState::Running) else {
                return;
            };
            let Some(step) = run.step(place) else { continue };
            let begins = step.waits == 0
                && step.outcome == Outcome::Open
                && step.course.stand == Stand::Idle;
            if !begins {
                continue;
            }
            if step.has_row() {
                self.resume(slot, Job::Invoke(place), now);
            } else if !self.begin(slot, place, now) {
                self.skip(slot, place, now);
                self.advance(slot, vec![place], now);
            }
        }
        self.settle_state(slot, now);
    }

    fn take_up_undo(&mut self, slot: usize, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        if run.state == RunState::Done {
            return;
        }
        let is_left = |step: &StepRun| {
            step.has_effect() && step.undo.as_ref().is_none_or(|undo| undo.reverted_ms.is_none())
        };
        let mut resumed = Vec::new();
        for (step, place) in run.steps.iter().zip(0u16..) {
            if is_left(step) {
                run.to_undo.insert(place);
            }
            let Some(undo) = &step.undo else { continue };
            if undo.reverted_ms.is_none() && !undo.stuck {
                run.undoing += 1;
                if matches!(undo.course.stand, Stand::Idle | Stand::Nested) {
                    resumed.push(place);
                }
            }
        }
        if run.state == RunState::Compensating {
            for place in resumed {
                self.resume(slot, Job::Undo(place), now);
            }
            self.undo(slot, now);
        }
    }

    /// Lets the retention of what has ended go on, the first that ended first.
    fn keep_all(&mut self, now: Now) {
        let ended = self.runs.iter().filter(|(_, run)| run.has_ended());
        let mut ended: Vec<_> = ended.map(|(slot, run)| (run.ended_ms, run.serial, slot)).collect();
        ended.sort_unstable();
        for (_, _, slot) in ended {
            self.keep(slot, now);
        }
    }
}
