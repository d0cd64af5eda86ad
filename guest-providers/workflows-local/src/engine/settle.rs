//! What workers give back.

use stheno_sdk::workflows::{Outcome as Settling, RunState, Settled, Verdict};
use stheno_sdk::{Error, Result};

use super::ids::Token;
use super::pull::lease_end;
use super::run::{Job, Outcome, Stand};
use super::{Engine, Now};

impl Engine {
    /// Records what came of attempts.
    pub(crate) fn settle(&mut self, outcomes: Vec<Settling>, now: Now) -> Result<Settled> {
        self.tidy(now);
        self.has_room_for(outcomes.iter().map(|outcome| &outcome.verdict))?;
        let mut lost = Vec::new();
        for Settling { token, verdict } in outcomes {
            match self.leased(&token, now) {
                Some((slot, job, _)) => {
                    self.record(slot, job, verdict, now);
                    self.work(now);
                }
                None => lost.push(token),
            }
        }
        self.trim();
        Ok(Settled { lost, ended: self.take_news() })
    }

    /// Prolongs leases and gives the tokens that were not leased any more.
    pub(crate) fn extend(
        &mut self,
        tokens: Vec<String>,
        lease_ms: u64,
        now: Now,
    ) -> Result<Vec<String>> {
        let end = lease_end(lease_ms, now)?;
        self.tidy(now);
        let mut batch = None;
        let mut lost = Vec::new();
        for text in tokens {
            let Some((slot, job, token)) = self.leased(&text, now) else {
                lost.push(text);
                continue;
            };
            let batch = *batch.get_or_insert_with(|| self.leases.open(end));
            self.leases.move_to(token.slot, batch);
            self.touch_job(slot, job);
        }
        Ok(lost)
    }

    /// Ends a step, or a compensation, that waits.
    pub(crate) fn complete(
        &mut self,
        run: &str,
        step: &str,
        verdict: Verdict,
        now: Now,
    ) -> Result<Settled> {
        if matches!(verdict, Verdict::Waiting | Verdict::Returned) {
            return Err(Error::InvalidArgument(
                "the verdict is `waiting` or `returned`; write `done`, `skipped`, `failed` or `rejected`"
                    .to_owned(),
            ));
        }
        self.tidy(now);
        // Before the run is looked for, since what has ended may give way.
        self.has_room_for([&verdict].into_iter())?;
        let (slot, step) = self.find_step(run, step, now)?;
        let waits = |job| {
            let course = self.runs.get(slot).and_then(|run| run.course(job));
            course.is_some_and(|course| course.stand == Stand::Waiting)
        };
        let job = [Job::Invoke(step), Job::Undo(step)].into_iter().find(|&job| waits(job));
        let job = job.ok_or_else(|| self.conflict(slot, step, "it does not wait"))?;
        self.record(slot, job, verdict, now);
        self.work(now);
        self.trim();
        Ok(Settled { lost: Vec::new(), ended: self.take_news() })
    }

    /// The run, the job and the token of a lease that still holds.
    fn leased(&self, text: &str, now: Now) -> Option<(usize, Job, Token)> {
        let token = Token::parse(text)?;
        let (slot, job) = self.leases.find(token, now.ms)?;
        let run = self.runs.get(slot)?;
        let is_over = |at: Option<u64>| at.is_some_and(|at| at <= now.ms);
        // What time has ended is ended, also if its alarm has not rung yet.
        if is_over(run.course(job)?.until)
            || (matches!(job, Job::Invoke(_)) && is_over(run.time_up))
        {
            return None;
        }
        Some((slot, job, token))
    }

    /// Whether there is room for these results.
    fn has_room_for<'v>(&mut self, verdicts: impl Iterator<Item = &'v Verdict>) -> Result<()> {
        let bytes: usize = verdicts
            .map(|verdict| match verdict {
                Verdict::Done(result) => result.len(),
                Verdict::Failed(reason) | Verdict::Rejected(reason) => reason.len(),
                Verdict::Skipped | Verdict::Waiting | Verdict::Returned => 0,
            })
            .sum();
        while self.usage.get().saturating_add(bytes as u64) > self.limits.max_bytes {
            if bytes == 0 || !self.drop_oldest() {
                break;
            }
        }
        if bytes > 0 && self.usage.get().saturating_add(bytes as u64) > self.limits.max_bytes {
            return Err(self.full());
        }
        Ok(())
    }

    /// Records what came of an attempt that is leased or waits.
    fn record(&mut self, slot: usize, job: Job, verdict: Verdict, now: Now) {
        if matches!(verdict, Verdict::Waiting) && job != Job::Finish {
            self.wait(slot, job);
            return;
        }
        self.lift(slot, job);
        match (job, verdict) {
            (Job::Invoke(step), Verdict::Done(result)) => self.done(slot, step, Some(result), now),
            (Job::Invoke(_), Verdict::Skipped) => self.close(slot, job, Outcome::Skipped, now),
            (Job::Undo(step), Verdict::Done(_) | Verdict::Skipped) => {
                self.reverted(slot, step, now);
            }
            (Job::Finish, Verdict::Done(_) | Verdict::Skipped) => self.told(slot, now),
            (_, Verdict::Failed(reason)) => self.fail(slot, job, reason, false, now),
            (_, Verdict::Rejected(reason)) => self.fail(slot, job, reason, true, now),
            (_, Verdict::Returned) => self.give_back(slot, job, now),
            (_, Verdict::Waiting) => self.repeat_finish(slot, now),
        }
    }

    /// An attempt goes on elsewhere. Its time goes on too.
    fn wait(&mut self, slot: usize, job: Job) {
        let Some(course) = self.runs.get_mut(slot).and_then(|run| run.course_mut(job)) else {
            return;
        };
        if let Stand::Leased(lease) = std::mem::replace(&mut course.stand, Stand::Waiting) {
            self.leases.end(lease);
        }
        self.touch_job(slot, job);
    }

    /// An attempt was not made.
    fn give_back(&mut self, slot: usize, job: Job, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let is_running = run.state == RunState::Running;
        let Some(course) = run.course_mut(job) else { return };
        course.made = course.made.saturating_sub(1);
        match job {
            Job::Invoke(step) if !is_running => {
                let has_failed = run.step(step).is_some_and(|step| !step.faults.is_empty());
                let outcome = if has_failed { Outcome::Failed } else { Outcome::PassedOver };
                self.close(slot, job, outcome, now);
            }
            _ => self.make_due(slot, job),
        }
    }

    /// Somebody knows how the run has ended.
    fn told(&mut self, slot: usize, now: Now) {
        if let Some(run) = self.runs.get_mut(slot) {
            run.finish = None;
            run.told = true;
        }
        self.touch(slot, super::Part::State);
        self.keep(slot, now);
    }

    /// The place of a run, and of a step of it.
    pub(super) fn find_step(&mut self, run: &str, step: &str, now: Now) -> Result<(usize, u16)> {
        let slot = self.find(run, now)?;
        let place = self.runs.get(slot).and_then(|run| run.plan.find(step));
        let place = place
            .ok_or_else(|| Error::NotFound(format!("the run `{run}` has no step `{step}`")))?;
        Ok((slot, place))
    }

    pub(super) fn conflict(&self, slot: usize, step: u16, why: &str) -> Error {
        let Some(run) = self.runs.get(slot) else { return Error::Internal(String::new()) };
        let step = run.plan.step(step).map(|step| step.id.to_string()).unwrap_or_default();
        Error::Conflict(format!("the step `{step}` of the run `{}`: {why}", run.id))
    }
}
