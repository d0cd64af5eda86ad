//! A run and its steps, as they are kept.

use std::collections::VecDeque;
use std::rc::Rc;

use stheno_sdk::workflows::{Cause, Fault, RunState, StepState};

use super::bits::Bits;
use super::plan::Plan;
use super::usage::Charge;

/// Faults of a step that are kept.
pub(super) const MAX_FAULTS: usize = 16;

/// What an attempt is made at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    Invoke(u16),
    Undo(u16),
    Finish,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Nothing is to be done now.
    Idle,
    /// In its line, at this place.
    Due(u64),
    /// In this slot of the leases.
    Leased(usize),
    Backoff,
    Waiting,
    Stalled,
    /// The run that it began has not ended.
    Nested,
}

/// A job on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    pub(super) stand: Stand,
    /// Attempts so far, without those that were lost or returned.
    pub(super) made: u32,
    /// Attempts lost with their workers.
    pub(super) lost: u32,
    /// Its alarm: when the back-off, or the time of the attempt, is over.
    pub(super) until: Option<u64>,
}

impl Course {
    pub(super) const NEW: Self = Self { stand: Stand::Idle, made: 0, lost: 0, until: None };
}

/// What came of a step itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has not ended.
    Open,
    Done,
    Failed,
    Skipped,
    PassedOver,
}

/// A compensation that has begun.
pub(super) struct Undo {
    pub(super) course: Course,
    pub(super) reverted_ms: Option<u64>,
    pub(super) stuck: bool,
}

/// One step of a run.
pub(super) struct StepRun {
    pub(super) course: Course,
    pub(super) outcome: Outcome,
    /// Steps directly before it that have not ended.
    pub(super) waits: u16,
    /// An attempt timed out or was lost, so that it may have done something.
    pub(super) unknown: bool,
    pub(super) ended_ms: Option<u64>,
    pub(super) result: Option<Box<[u8]>>,
    pub(super) faults: VecDeque<Fault>,
    /// The serial of the run that it began.
    pub(super) child: Option<u64>,
    pub(super) undo: Option<Box<Undo>>,
}

impl StepRun {
    pub(super) fn new(waits: usize) -> Self {
        Self {
            course: Course::NEW,
            outcome: Outcome::Open,
            waits: u16::try_from(waits).unwrap_or(u16::MAX),
            unknown: false,
            ended_ms: None,
            result: None,
            faults: VecDeque::new(),
            child: None,
            undo: None,
        }
    }

    /// Whether it has done something, or may have.
    pub(super) fn has_effect(&self) -> bool {
        self.outcome == Outcome::Done || self.unknown
    }

    pub(super) fn state(&self) -> StepState {
        let stand = match &self.undo {
            Some(undo) if undo.reverted_ms.is_some() => return StepState::Reverted,
            Some(undo) if undo.stuck => return StepState::Stuck,
            Some(undo) => undo.course.stand,
            None => match self.outcome {
                Outcome::Open => self.course.stand,
                Outcome::Done => return StepState::Done,
                Outcome::Failed => return StepState::Failed,
                Outcome::Skipped => return StepState::Skipped,
                Outcome::PassedOver => return StepState::PassedOver,
            },
        };
        match stand {
            Stand::Waiting => StepState::Waiting,
            Stand::Stalled => StepState::Stalled,
            _ if self.undo.is_some() => StepState::Compensating,
            Stand::Idle => StepState::Pending,
            Stand::Due(_) | Stand::Leased(_) | Stand::Backoff | Stand::Nested => StepState::Running,
        }
    }

    /// Whether the store has a row for it. What has none is made out of the rest:
    /// it has not begun, was passed over, is due for the first time, or is where
    /// the run that it began is.
    pub(super) fn has_row(&self) -> bool {
        let touched = self.course.made > 0 || self.course.lost > 0 || !self.faults.is_empty();
        match (self.outcome, self.course.stand) {
            (Outcome::Open, Stand::Nested) => {
                self.course.until.is_some() || !self.faults.is_empty()
            }
            (Outcome::Open, Stand::Idle | Stand::Due(_)) | (Outcome::PassedOver, _) => {
                touched || self.unknown
            }
            _ => true,
        }
    }
}

/// The run and the step that began a run.
#[derive(Clone)]
pub(super) struct Parent {
    pub(super) serial: u64,
    pub(super) step: u16,
    pub(super) run_id: Rc<str>,
    pub(super) step_id: Rc<str>,
}

/// Since when and how long a run that has ended is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) expires: u64,
    /// Its place among those that ended.
    pub(super) place: u64,
}

/// A run.
pub(super) struct Run {
    /// Its place in the order of starts. Never given twice.
    pub(super) serial: u64,
    pub(super) id: Rc<str>,
    /// Whether who started it gave the id, so that it must be remembered.
    pub(super) named: bool,
    pub(super) plan: Rc<Plan>,
    pub(super) input: Vec<u8>,
    pub(super) state: RunState,
    pub(super) cause: Option<Box<Cause>>,
    pub(super) started_ms: u64,
    pub(super) ended_ms: Option<u64>,
    pub(super) parent: Option<Parent>,
    /// How many runs are above it.
    pub(super) depth: u32,
    pub(super) schedule: Option<Rc<str>>,
    pub(super) steps: Vec<StepRun>,
    /// Steps that have not ended.
    pub(super) open: usize,
    /// Compensations that have begun and not ended.
    pub(super) undoing: usize,
    /// Steps that are still to be compensated.
    pub(super) to_undo: Bits,
    /// Bytes of all results.
    pub(super) results: usize,
    /// Its alarm: when its time is up.
    pub(super) time_up: Option<u64>,
    /// The task that tells how it ended, until that is done.
    pub(super) finish: Option<Course>,
    /// Whether that task was done.
    pub(super) told: bool,
    pub(super) kept: Option<Kept>,
    pub(super) charge: Charge,
}

impl Run {
    pub(super) fn step(&self, step: u16) -> Option<&StepRun> {
        self.steps.get(usize::from(step))
    }

    pub(super) fn step_mut(&mut self, step: u16) -> Option<&mut StepRun> {
        self.steps.get_mut(usize::from(step))
    }

    pub(super) fn course(&self, job: Job) -> Option<&Course> {
        match job {
            Job::Invoke(step) => self.step(step).map(|step| &step.course),
            Job::Undo(step) => self.step(step)?.undo.as_ref().map(|undo| &undo.course),
            Job::Finish => self.finish.as_ref(),
        }
    }

    pub(super) fn course_mut(&mut self, job: Job) -> Option<&mut Course> {
        match job {
            Job::Invoke(step) => self.step_mut(step).map(|step| &mut step.course),
            Job::Undo(step) => self.step_mut(step)?.undo.as_mut().map(|undo| &mut undo.course),
            Job::Finish => self.finish.as_mut(),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, RunState::Done | RunState::Reverted | RunState::Failed)
    }

    /// When a step could begin: when the last of those before it ended.
    pub(super) fn begins_ms(&self, step: u16) -> u64 {
        let Some(planned) = self.plan.step(step) else { return self.started_ms };
        let ended = planned.ancestors.iter().filter_map(|step| self.step(step)?.ended_ms);
        ended.max().unwrap_or(self.started_ms).max(self.started_ms)
    }

    /// The result of a step, if it has one.
    pub(super) fn result_of(&self, step: u16) -> Option<&[u8]> {
        self.step(step)?.result.as_deref()
    }

    pub(super) fn blame(&mut self, step: u16, fault: Fault) {
        let bytes = fault.reason.len() + FAULT_BYTES;
        let Some(step) = self.steps.get_mut(usize::from(step)) else { return };
        step.faults.push_back(fault);
        self.charge.add(bytes);
        if step.faults.len() > MAX_FAULTS
            && let Some(oldest) = step.faults.pop_front()
        {
            self.charge.sub(oldest.reason.len() + FAULT_BYTES);
        }
    }
}

/// What a fault takes beyond its reason.
pub(super) const FAULT_BYTES: usize = 64;

/// What a run counts in `max_bytes` when it begins.
pub(super) fn bytes(id: &str, input: &[u8], steps: usize) -> u64 {
    const RUN: usize = 512;
    const STEP: usize = 192;
    (RUN + 2 * id.len() + input.len() + STEP * steps) as u64
}
