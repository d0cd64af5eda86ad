//! How a run goes on: steps begin when those before them have ended, and what
//! becomes of the run when one of them fails.

use stheno_sdk::workflows::{Cause, CauseKind, Ended, Fault, RunState};

use super::plan::{Does, Then};
use super::rows::Part;
use super::run::{Course, Job, Outcome, Stand};
use super::starts::Begin;
use super::time::Alarm;
use super::{Engine, Now, cut, moment};

/// What one run does to another. Runs are named by their serials, since they may
/// be gone by then.
pub(super) enum Act {
    /// Starts the run of a nested step.
    Nest(u64, u16),
    /// Cancels a run, because of its parent.
    Cancel(u64, String),
    /// Tells a step that the run it began has ended.
    ChildEnded(u64, u16),
    /// Looks how far the run of a nested step is that is to be undone.
    UndoChild(u64, u16),
}

/// How a finished run is told of again: after a second first, and at most every
/// five minutes.
const FINISH_INITIAL_MS: u64 = 1_000;
const FINISH_MAX_MS: u64 = 5 * 60 * 1_000;

impl Engine {
    /// Does what runs do to each other, until nothing is left.
    pub(super) fn work(&mut self, now: Now) {
        while let Some(act) = self.agenda.pop_front() {
            let slot = |engine: &Self, serial| engine.by_serial.get(&serial).copied();
            match act {
                Act::Nest(serial, step) => {
                    if let Some(slot) = slot(self, serial) {
                        self.nest(slot, step, now);
                    }
                }
                Act::Cancel(serial, reason) => {
                    if let Some(slot) = slot(self, serial) {
                        // One that cannot be cancelled is on its way, or was.
                        let _ = self.cancel_at(slot, reason, now);
                    }
                }
                Act::ChildEnded(serial, step) => {
                    if let Some(slot) = slot(self, serial) {
                        self.child_ended(slot, step, now);
                    }
                }
                Act::UndoChild(serial, step) => {
                    if let Some(slot) = slot(self, serial) {
                        self.undo_child(slot, step, now);
                    }
                }
            }
        }
    }

    /// Begins a step. False if it is skipped instead.
    pub(super) fn begin(&mut self, slot: usize, step: u16, now: Now) -> bool {
        let Some(run) = self.runs.get(slot) else { return true };
        let Some(planned) = run.plan.step(step) else { return true };
        let holds = planned.when.iter().all(|(source, condition)| {
            condition.holds(match source {
                None => Some(&run.input),
                Some(step) => run.result_of(*step),
            })
        });
        if holds {
            self.resume(slot, Job::Invoke(step), now);
        }
        holds
    }

    /// Makes an attempt possible: now, by a worker or by whoever completes it.
    pub(super) fn resume(&mut self, slot: usize, job: Job, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let serial = run.serial;
        let (work, timeout) = match job {
            Job::Finish => (None, None),
            Job::Invoke(step) | Job::Undo(step) => {
                let Some(planned) = run.plan.step(step) else { return };
                (Some(&planned.work), planned.timeout_ms)
            }
        };
        match (job, work) {
            (Job::Invoke(step), Some(Does::Nested(..))) => {
                self.agenda.push_back(Act::Nest(serial, step));
            }
            (Job::Invoke(_), Some(Does::Wait)) => {
                if let Some(course) = run.course_mut(job) {
                    course.stand = Stand::Waiting;
                    course.made = course.made.saturating_add(1);
                }
                if let Some(timeout) = timeout {
                    self.set_alarm(slot, job, now.ms.saturating_add(timeout));
                }
                self.touch_job(slot, job);
            }
            (Job::Undo(step), Some(Does::Nested(..))) => {
                self.agenda.push_back(Act::UndoChild(serial, step));
            }
            _ => self.make_due(slot, job),
        }
    }

    /// Starts the run of a nested step.
    fn nest(&mut self, slot: usize, step: u16, now: Now) {
        let Some(run) = self.runs.get(slot) else { return };
        let is_open = run
            .step(step)
            .is_some_and(|step| step.outcome == Outcome::Open && step.course.stand == Stand::Idle);
        if !is_open || run.state != RunState::Running {
            return;
        }
        let Some(planned) = run.plan.step(step) else { return };
        let Does::Nested(workflow, from) = &planned.work else { return };
        let input = match from {
            None => run.input.clone(),
            Some(from) => run.result_of(*from).unwrap_or_default().to_vec(),
        };
        let timeout = planned.timeout_ms;
        let started = self.begin_run(
            Begin {
                workflow: &workflow.clone(),
                input,
                parent: Some((slot, step)),
                ..Begin::default()
            },
            now,
        );
        let job = Job::Invoke(step);
        let Some(run) = self.runs.get_mut(slot) else { return };
        let Some(step) = run.step_mut(step) else { return };
        step.course.made = step.course.made.saturating_add(1);
        match started {
            Ok(child) => {
                step.child = Some(child);
                step.course.stand = Stand::Nested;
                if let Some(timeout) = timeout {
                    self.set_alarm(slot, job, now.ms.saturating_add(timeout));
                }
                self.touch_job(slot, job);
                // It may have had nothing to do.
                let ended = self.by_serial.get(&child).and_then(|&child| self.runs.get(child));
                if ended.is_some_and(super::Run::has_ended)
                    && let Job::Invoke(step) = job
                {
                    self.child_ended(slot, step, now);
                }
            }
            Err(error) => {
                let gone = matches!(error, stheno_sdk::Error::NotFound(_));
                self.fail(slot, job, super::starts::text(error), gone, now);
            }
        }
    }

    fn child_ended(&mut self, slot: usize, step: u16, now: Now) {
        let Some(run) = self.runs.get(slot) else { return };
        let Some(at) = run.step(step) else { return };
        let child = at.child.and_then(|child| self.by_serial.get(&child));
        let Some(child) = child.and_then(|&child| self.runs.get(child)) else { return };
        if at.undo.as_ref().is_some_and(|undo| undo.course.stand == Stand::Nested) {
            self.undo_child(slot, step, now);
            return;
        }
        if at.outcome != Outcome::Open || at.course.stand != Stand::Nested {
            return;
        }
        let job = Job::Invoke(step);
        if child.state == RunState::Done {
            let result = child.result_of(child.plan.result_from).map(<[u8]>::to_vec);
            self.lift(slot, job);
            self.done(slot, step, result, now);
        } else if child.has_ended() {
            let why = child.cause.as_ref().map_or("", |cause| cause.reason.as_str());
            let how = if child.state == RunState::Reverted { "reverted" } else { "failed" };
            let reason = format!("its run `{}` is {how}: {why}", child.id);
            self.lift(slot, job);
            self.fail(slot, job, reason, true, now);
        }
    }

    /// Puts the end of a nested run on the agenda.
    pub(super) fn cancel_child(&mut self, slot: usize, step: u16, reason: &str) {
        let child = self.runs.get(slot).and_then(|run| run.step(step)?.child);
        if let Some(child) = child {
            self.agenda.push_back(Act::Cancel(child, reason.to_owned()));
        }
    }

    /// A step is done, with a result if it has one.
    pub(super) fn done(&mut self, slot: usize, step: u16, result: Option<Vec<u8>>, now: Now) {
        const MAX_RESULTS: usize = 4 << 20;
        let Some(run) = self.runs.get_mut(slot) else { return };
        let results = run.results + result.as_ref().map_or(0, Vec::len);
        if results > MAX_RESULTS {
            // What it did it has done.
            if let Some(step) = run.step_mut(step) {
                step.unknown = true;
            }
            let reason = format!(
                "the results of the run would have {results} bytes; return less, at most {MAX_RESULTS} together"
            );
            self.fail(slot, Job::Invoke(step), reason, true, now);
            return;
        }
        run.results = results;
        run.charge.add(result.as_ref().map_or(0, Vec::len));
        if let Some(step) = run.step_mut(step) {
            step.result = result.map(Vec::into_boxed_slice);
        }
        self.close(slot, Job::Invoke(step), Outcome::Done, now);
    }

    /// An attempt has failed.
    pub(super) fn fail(&mut self, slot: usize, job: Job, reason: String, for_good: bool, now: Now) {
        let reason = cut(reason);
        let Some(run) = self.runs.get_mut(slot) else { return };
        let (Job::Invoke(step) | Job::Undo(step)) = job else {
            self.repeat_finish(slot, now);
            return;
        };
        let Some(course) = run.course(job) else { return };
        let made = course.made;
        let fault = Fault {
            at_ms: now.unix_ms,
            compensation: matches!(job, Job::Undo(_)),
            attempt: made.max(1),
            reason: reason.clone(),
        };
        run.blame(step, fault);
        let Some(retries) = run.plan.step(step).map(|step| step.retries) else { return };
        let is_stopping = matches!(job, Job::Invoke(_)) && run.state != RunState::Running;
        if is_stopping {
            self.close(slot, job, Outcome::Failed, now);
        } else if for_good || made >= retries.attempts {
            match job {
                Job::Invoke(step) => self.give_up(slot, step, reason, now),
                _ => self.stick(slot, step, now),
            }
        } else if retries.automatic {
            let wait = wait_after(made, retries.initial_ms, retries.max_ms);
            let wait = wait - self.chance.up_to(wait / 2);
            self.back_off(slot, job, now.ms.saturating_add(wait), now);
        } else {
            if let Some(course) = run.course_mut(job) {
                course.stand = Stand::Stalled;
            }
            self.touch_job(slot, job);
        }
    }

    /// A step has failed for good while the run goes on.
    fn give_up(&mut self, slot: usize, step: u16, reason: String, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let Some(then) = run.plan.step(step).map(|step| step.on_failure) else { return };
        match then {
            Then::Revert => {
                self.shut(slot, step, Outcome::Failed, now);
                let id =
                    self.runs.get(slot).and_then(|run| Some(run.plan.step(step)?.id.to_string()));
                self.stop(slot, CauseKind::StepFailed, id, reason, now);
            }
            Then::Proceed => self.close(slot, Job::Invoke(step), Outcome::Failed, now),
            Then::PassOver(steps) => {
                self.shut(slot, step, Outcome::Failed, now);
                for step in steps.iter() {
                    let is_open = |run: &super::Run| {
                        run.step(step).is_some_and(|step| step.outcome == Outcome::Open)
                    };
                    if self.runs.get(slot).is_some_and(is_open) {
                        self.shut(slot, step, Outcome::PassedOver, now);
                    }
                }
                self.advance(slot, vec![step], now);
            }
        }
    }

    /// A condition of a step does not hold.
    pub(super) fn skip(&mut self, slot: usize, step: u16, now: Now) {
        self.shut(slot, step, Outcome::Skipped, now);
    }

    /// Notes that a step has ended, and nothing more.
    fn shut(&mut self, slot: usize, step: u16, outcome: Outcome, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let Some(at) = run.step_mut(step) else { return };
        at.outcome = outcome;
        if outcome != Outcome::PassedOver {
            at.ended_ms = Some(now.unix_ms);
        }
        run.open = run.open.saturating_sub(1);
        self.touch(slot, Part::Invoke(step));
    }

    /// A step has ended: others may begin, or the run ends.
    pub(super) fn close(&mut self, slot: usize, job: Job, outcome: Outcome, now: Now) {
        if let Job::Invoke(step) = job {
            self.shut(slot, step, outcome, now);
            self.advance(slot, vec![step], now);
        }
    }

    /// Begins what can begin once these steps have ended.
    pub(super) fn advance(&mut self, slot: usize, mut ended: Vec<u16>, now: Now) {
        while let Some(step) = ended.pop() {
            let Some(run) = self.runs.get_mut(slot) else { return };
            let plan = std::rc::Rc::clone(&run.plan);
            let Some(planned) = plan.step(step) else { continue };
            for &next in &planned.before {
                let Some(run) = self.runs.get_mut(slot) else { return };
                let is_running = run.state == RunState::Running;
                let Some(at) = run.step_mut(next) else { continue };
                at.waits = at.waits.saturating_sub(1);
                if at.waits > 0 {
                    continue;
                }
                let outcome = at.outcome;
                match outcome {
                    // What comes after it waits for those before it all the same.
                    Outcome::PassedOver => ended.push(next),
                    Outcome::Open if is_running && !self.begin(slot, next, now) => {
                        self.skip(slot, next, now);
                        ended.push(next);
                    }
                    _ => {}
                }
            }
        }
        self.settle_state(slot, now);
    }

    /// Ends the run, or turns it back, if nothing is under way any more.
    pub(super) fn settle_state(&mut self, slot: usize, now: Now) {
        let Some(run) = self.runs.get(slot) else { return };
        match run.state {
            RunState::Running if run.open == 0 => self.end(slot, RunState::Done, now),
            RunState::Stopping if run.open == 0 => self.turn_back(slot, now),
            _ => {}
        }
    }

    /// The run cannot go on.
    pub(super) fn stop(
        &mut self,
        slot: usize,
        kind: CauseKind,
        step: Option<String>,
        reason: String,
        now: Now,
    ) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let cause = Cause { kind, step, reason: cut(reason) };
        run.state = RunState::Stopping;
        run.charge.add(cause.reason.len());
        let is_over = (kind == CauseKind::TimedOut).then(|| cause.reason.clone());
        run.cause = Some(Box::new(cause));
        self.touch(slot, Part::State);
        self.halt(slot, is_over.as_deref(), now);
    }

    /// Leaves out what is not under way. `is_over`: nor is anything listened to
    /// that is, for this reason.
    pub(super) fn halt(&mut self, slot: usize, is_over: Option<&str>, now: Now) {
        let Some(run) = self.runs.get(slot) else { return };
        let count = u16::try_from(run.steps.len()).unwrap_or(u16::MAX);
        for step in 0..count {
            let job = Job::Invoke(step);
            let Some(at) = self.runs.get(slot).and_then(|run| run.step(step)) else { continue };
            if at.outcome != Outcome::Open {
                continue;
            }
            let (stand, has_failed) = (at.course.stand, !at.faults.is_empty());
            match stand {
                Stand::Idle | Stand::Due(_) | Stand::Backoff | Stand::Stalled => {
                    self.lift(slot, job);
                    let outcome = if has_failed { Outcome::Failed } else { Outcome::PassedOver };
                    self.shut(slot, step, outcome, now);
                }
                Stand::Nested => {
                    let reason = self.runs.get(slot).and_then(|run| run.cause.as_ref());
                    let reason = reason.map(|cause| cause.reason.clone()).unwrap_or_default();
                    self.cancel_child(slot, step, &reason);
                }
                Stand::Leased(_) | Stand::Waiting => {
                    let Some(reason) = is_over else { continue };
                    self.lift(slot, job);
                    let Some(run) = self.runs.get_mut(slot) else { return };
                    let Some(at) = run.step_mut(step) else { continue };
                    at.unknown = true;
                    let fault = Fault {
                        at_ms: now.unix_ms,
                        compensation: false,
                        attempt: at.course.made.max(1),
                        reason: reason.to_owned(),
                    };
                    run.blame(step, fault);
                    self.shut(slot, step, Outcome::Failed, now);
                }
            }
        }
        self.settle_state(slot, now);
    }

    /// The run has ended in this state.
    pub(super) fn end(&mut self, slot: usize, state: RunState, now: Now) {
        self.clear_time(slot);
        let Some(run) = self.runs.get_mut(slot) else { return };
        run.state = state;
        run.ended_ms = Some(now.unix_ms);
        self.news.push(Ended { run: run.id.to_string(), state });
        let (serial, tells) = (run.serial, run.plan.definition.finish);
        if let Some(parent) = &run.parent {
            self.agenda.push_back(Act::ChildEnded(parent.serial, parent.step));
        }
        if let Some(schedule) = &run.schedule {
            self.schedules.ended(schedule, serial);
        }
        if tells {
            run.finish = Some(Course::NEW);
        }
        let workflow = run.plan.workflow;
        if let Some(workflow) = self.workflows.get_mut(workflow) {
            workflow.active = workflow.active.saturating_sub(1);
        }
        self.touch(slot, Part::State);
        if tells {
            self.make_due(slot, Job::Finish);
        } else {
            self.keep(slot, now);
        }
    }

    /// A run that had ended goes on.
    pub(super) fn reopen(&mut self, slot: usize) {
        self.lift(slot, Job::Finish);
        self.keep_no_more(slot);
        let Some(run) = self.runs.get_mut(slot) else { return };
        run.finish = None;
        run.told = false;
        run.ended_ms = None;
        if let Some(schedule) = &run.schedule {
            self.schedules.began(schedule, run.serial);
        }
        let workflow = run.plan.workflow;
        if let Some(workflow) = self.workflows.get_mut(workflow) {
            workflow.active += 1;
        }
        self.touch(slot, Part::State);
    }

    /// The time of the run does not matter any more.
    pub(super) fn clear_time(&mut self, slot: usize) {
        if let Some(at) = self.runs.get_mut(slot).and_then(|run| run.time_up.take()) {
            self.alarms.remove(&(at, slot, Alarm::Run));
        }
    }

    /// Tells again later how the run has ended.
    pub(super) fn repeat_finish(&mut self, slot: usize, now: Now) {
        let Some(course) = self.runs.get(slot).and_then(|run| run.finish.as_ref()) else { return };
        let made = course.made.saturating_add(course.lost);
        let wait = wait_after(made, FINISH_INITIAL_MS, FINISH_MAX_MS);
        let wait = wait - self.chance.up_to(wait / 2);
        self.back_off(slot, Job::Finish, now.ms.saturating_add(wait), now);
    }

    /// Lets the time of a run begin.
    pub(super) fn set_time(&mut self, slot: usize, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        if let Some(timeout) = run.plan.definition.timeout_ms {
            let at = moment(run.started_ms.saturating_add(timeout), now);
            run.time_up = Some(at);
            self.alarms.insert((at, slot, Alarm::Run));
        }
    }
}

/// The longest wait after so many failed attempts.
fn wait_after(made: u32, initial_ms: u64, max_ms: u64) -> u64 {
    let doubled = 1u64.checked_shl(made.saturating_sub(1)).unwrap_or(u64::MAX);
    initial_ms.saturating_mul(doubled).min(max_ms)
}
