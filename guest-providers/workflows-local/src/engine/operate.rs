//! What an operator does to a run.

use stheno_sdk::Result;
use stheno_sdk::workflows::{RunState, Settled};

use super::run::{Job, Stand};
use super::{Engine, Now};

impl Engine {
    /// Tries a step again now.
    pub(crate) fn retry(&mut self, run: &str, step: &str, now: Now) -> Result<()> {
        self.tidy(now);
        let (slot, step) = self.find_step(run, step, now)?;
        let at = self.runs.get(slot).and_then(|run| run.step(step));
        if at.is_some_and(|step| step.undo.as_ref().is_some_and(|undo| undo.stuck)) {
            self.unstick(slot, step, now);
        } else {
            let waits = |job| {
                let course = self.runs.get(slot).and_then(|run| run.course(job));
                course.is_some_and(|course| matches!(course.stand, Stand::Stalled | Stand::Backoff))
            };
            let job = [Job::Invoke(step), Job::Undo(step)].into_iter().find(|&job| waits(job));
            let why = "it is not stalled, does not wait for its back-off, and is not stuck";
            let job = job.ok_or_else(|| self.conflict(slot, step, why))?;
            self.lift(slot, job);
            self.resume(slot, job, now);
        }
        self.work(now);
        Ok(())
    }

    /// Says that a run must not go on.
    pub(crate) fn cancel(&mut self, run: &str, reason: String, now: Now) -> Result<Settled> {
        self.tidy(now);
        let slot = self.find(run, now)?;
        self.cancel_at(slot, reason, now)?;
        self.work(now);
        self.trim();
        Ok(Settled { lost: Vec::new(), ended: self.take_news() })
    }

    /// Whether a run is in one of these states; any if there are none.
    pub(super) fn is_in(state: RunState, states: &[RunState]) -> bool {
        states.is_empty() || states.contains(&state)
    }
}
