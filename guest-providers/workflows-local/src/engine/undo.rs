//! How a run goes back: what was done is undone, a step only after all those
//! that came after it.

use stheno_sdk::workflows::{CauseKind, Fault, RunState};
use stheno_sdk::{Error, Result};

use super::bits::Bits;
use super::plan::Does;
use super::rows::Part;
use super::run::{Course, Job, Stand, Undo};
use super::{Engine, Now, cut};

impl Engine {
    /// Begins to undo what was done, now that nothing is under way.
    pub(super) fn turn_back(&mut self, slot: usize, now: Now) {
        self.clear_time(slot);
        let Some(run) = self.runs.get_mut(slot) else { return };
        run.state = RunState::Compensating;
        run.to_undo = Bits::default();
        for (step, place) in run.steps.iter().zip(0u16..) {
            if step.has_effect() {
                run.to_undo.insert(place);
            }
        }
        self.touch(slot, Part::State);
        self.undo(slot, now);
    }

    /// Begins every compensation that can begin, and ends the run if none is under
    /// way.
    pub(super) fn undo(&mut self, slot: usize, now: Now) {
        let Some(run) = self.runs.get(slot) else { return };
        let plan = std::rc::Rc::clone(&run.plan);
        let count = u16::try_from(run.steps.len()).unwrap_or(u16::MAX);
        // What comes after stands behind in the list, so one pass from its end is
        // enough, also where a step is undone at once.
        for step in (0..count).rev() {
            let Some(run) = self.runs.get_mut(slot) else { return };
            let Some(planned) = plan.step(step) else { continue };
            let blocked = !planned.descendants.and(run.to_undo).is_empty();
            if blocked || !run.to_undo.contains(step) {
                continue;
            }
            let Some(at) = run.step_mut(step).filter(|step| step.undo.is_none()) else { continue };
            let nests = matches!(planned.work, Does::Nested(..));
            let by_itself = !nests && !planned.compensates;
            at.undo = Some(Box::new(Undo {
                course: Course::NEW,
                reverted_ms: by_itself.then_some(now.unix_ms),
                stuck: false,
            }));
            if by_itself {
                run.to_undo.remove(step);
                self.touch(slot, Part::Undo(step));
            } else {
                run.undoing += 1;
                self.resume(slot, Job::Undo(step), now);
            }
        }
        self.settle_undo(slot, now);
    }

    fn settle_undo(&mut self, slot: usize, now: Now) {
        let Some(run) = self.runs.get(slot) else { return };
        if run.state != RunState::Compensating || run.undoing > 0 {
            return;
        }
        let state = if run.to_undo.is_empty() { RunState::Reverted } else { RunState::Failed };
        self.end(slot, state, now);
    }

    /// A step has been undone.
    pub(super) fn reverted(&mut self, slot: usize, step: u16, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let Some(undo) = run.step_mut(step).and_then(|step| step.undo.as_mut()) else { return };
        undo.reverted_ms = Some(now.unix_ms);
        run.to_undo.remove(step);
        run.undoing = run.undoing.saturating_sub(1);
        self.touch(slot, Part::Undo(step));
        self.undo(slot, now);
    }

    /// The compensation of a step has failed for good. Others go on as far as they
    /// can.
    pub(super) fn stick(&mut self, slot: usize, step: u16, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let Some(undo) = run.step_mut(step).and_then(|step| step.undo.as_mut()) else { return };
        undo.stuck = true;
        run.undoing = run.undoing.saturating_sub(1);
        self.touch(slot, Part::Undo(step));
        self.settle_undo(slot, now);
    }

    /// Tries a compensation again that is stuck, with all its attempts.
    pub(super) fn unstick(&mut self, slot: usize, step: u16, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let has_ended = run.has_ended();
        let Some(undo) = run.step_mut(step).and_then(|step| step.undo.as_mut()) else { return };
        undo.stuck = false;
        undo.course = Course::NEW;
        run.undoing += 1;
        if has_ended {
            run.state = RunState::Compensating;
            self.reopen(slot);
        }
        self.retry_child(slot, step, now);
        self.touch(slot, Part::Undo(step));
        self.resume(slot, Job::Undo(step), now);
    }

    /// Where the run of a nested step is stuck, that is where to try again.
    fn retry_child(&mut self, slot: usize, step: u16, now: Now) {
        let child = self.runs.get(slot).and_then(|run| run.step(step)?.child);
        let mut failed: Vec<usize> =
            child.and_then(|child| self.by_serial.get(&child).copied()).into_iter().collect();
        while let Some(slot) = failed.pop() {
            let Some(run) = self.runs.get(slot).filter(|run| run.state == RunState::Failed) else {
                continue;
            };
            let is_stuck =
                |step: &super::run::StepRun| step.undo.as_ref().is_some_and(|undo| undo.stuck);
            let stuck: Vec<u16> = (0u16..)
                .zip(&run.steps)
                .filter(|(_, step)| is_stuck(step))
                .map(|(place, _)| place)
                .collect();
            for step in stuck {
                let child = self.runs.get(slot).and_then(|run| run.step(step)?.child);
                failed.extend(child.and_then(|child| self.by_serial.get(&child).copied()));
                let Some(run) = self.runs.get_mut(slot) else { continue };
                let has_ended = run.has_ended();
                let undo = run.step_mut(step).and_then(|step| step.undo.as_mut());
                let Some(undo) = undo else { continue };
                undo.stuck = false;
                undo.course = Course::NEW;
                run.undoing += 1;
                if has_ended {
                    run.state = RunState::Compensating;
                    self.reopen(slot);
                }
                self.touch(slot, Part::Undo(step));
                self.resume(slot, Job::Undo(step), now);
            }
        }
    }

    /// Undoes a nested step as far as its run lets it: cancels that run, or sees
    /// what has become of it.
    pub(super) fn undo_child(&mut self, slot: usize, step: u16, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let reason = run.cause.as_ref().map(|cause| cause.reason.clone()).unwrap_or_default();
        let Some(at) = run.step_mut(step) else { return };
        let child = at.child;
        let Some(undo) = at.undo.as_mut() else { return };
        if undo.reverted_ms.is_some() || undo.stuck {
            return;
        }
        undo.course.stand = Stand::Nested;
        undo.course.made = undo.course.made.max(1);
        self.touch(slot, Part::Undo(step));
        let child = child.and_then(|child| self.by_serial.get(&child).copied());
        let Some((child, state, id)) = child
            .and_then(|child| self.runs.get(child).map(|run| (child, run.state, run.id.clone())))
        else {
            // It never began, or is gone with what it did.
            self.lift(slot, Job::Undo(step));
            self.reverted(slot, step, now);
            return;
        };
        match state {
            RunState::Running | RunState::Done => {
                let _ = self.cancel_at(child, reason, now);
            }
            RunState::Stopping | RunState::Compensating => {}
            RunState::Reverted => {
                self.lift(slot, Job::Undo(step));
                self.reverted(slot, step, now);
            }
            RunState::Failed => {
                self.lift(slot, Job::Undo(step));
                let fault = Fault {
                    at_ms: now.unix_ms,
                    compensation: true,
                    attempt: 1,
                    reason: format!("its run `{id}` is failed"),
                };
                if let Some(run) = self.runs.get_mut(slot) {
                    run.blame(step, fault);
                }
                self.stick(slot, step, now);
            }
        }
    }

    /// Says that a run must not go on.
    pub(super) fn cancel_at(&mut self, slot: usize, reason: String, now: Now) -> Result<()> {
        let Some(run) = self.runs.get_mut(slot) else { return Ok(()) };
        match run.state {
            RunState::Running => {
                self.stop(slot, CauseKind::Cancelled, None, reason, now);
                Ok(())
            }
            RunState::Done => {
                let reason = cut(reason);
                run.charge.add(reason.len());
                let kind = CauseKind::Cancelled;
                run.cause =
                    Some(Box::new(stheno_sdk::workflows::Cause { kind, step: None, reason }));
                self.reopen(slot);
                self.turn_back(slot, now);
                Ok(())
            }
            RunState::Stopping | RunState::Compensating | RunState::Reverted | RunState::Failed => {
                Err(Error::Conflict(format!(
                    "the run `{}` is {}; only one that is running or done can be cancelled",
                    run.id,
                    name(run.state)
                )))
            }
        }
    }
}

/// A state as a person reads it.
pub(super) fn name(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Stopping => "stopping",
        RunState::Compensating => "compensating",
        RunState::Done => "done",
        RunState::Reverted => "reverted",
        RunState::Failed => "failed",
    }
}
