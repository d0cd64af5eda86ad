//! What time alone does.

use stheno_sdk::workflows::{CauseKind, RunState};

use super::run::{Job, Outcome, Stand};
use super::{Engine, Now};

/// Alarms that ring in one call; what is left is done by the next.
const MAX_RINGS: usize = 10_000;

/// What an alarm of a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// Its back-off or the time of its attempt is over.
    Course(Job),
    /// The time of the run is up.
    Run,
}

impl Engine {
    /// Does what has come due by time alone. Every call begins with it.
    pub(super) fn tidy(&mut self, now: Now) {
        if let Some(journal) = &self.log {
            journal.begin(now);
        }
        while let Some((end, lost)) = self.leases.expire(now.ms) {
            for (slot, job) in lost {
                self.lose(slot, job, end, now);
            }
        }
        for _ in 0..MAX_RINGS {
            let Some(&(_, slot, alarm)) = self.alarms.first().filter(|first| first.0 <= now.ms)
            else {
                break;
            };
            self.alarms.pop_first();
            self.ring(slot, alarm, now);
        }
        self.work(now);
        self.fire(now);
        self.work(now);
        self.expire(now);
    }

    /// When time alone does something next, on this process's clock.
    pub(super) fn next_moment(&self, now: Now) -> Option<u64> {
        let alarm = self.alarms.first().map(|first| first.0);
        let schedule = self.schedules.next().map(|unix| super::moment(unix, now));
        [alarm, schedule, self.leases.next()].into_iter().flatten().min()
    }

    pub(super) fn set_alarm(&mut self, slot: usize, job: Job, at: u64) {
        if let Some(course) = self.runs.get_mut(slot).and_then(|run| run.course_mut(job)) {
            course.until = Some(at);
            self.alarms.insert((at, slot, Alarm::Course(job)));
        }
    }

    /// Takes a job out of whatever it stands in: its line, its lease, its alarm.
    pub(super) fn lift(&mut self, slot: usize, job: Job) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let workflow = run.plan.workflow;
        let lane = lane_of(run, job);
        let Some(course) = run.course_mut(job) else { return };
        let stand = std::mem::replace(&mut course.stand, Stand::Idle);
        if let Some(at) = course.until.take() {
            self.alarms.remove(&(at, slot, Alarm::Course(job)));
        }
        match stand {
            Stand::Due(place) => {
                if let Some(workflow) = self.workflows.get_mut(workflow)
                    && let Some(lane) = workflow.lanes.get_mut(lane)
                {
                    lane.remove(&place);
                }
            }
            Stand::Leased(lease) => self.leases.end(lease),
            Stand::Idle | Stand::Backoff | Stand::Waiting | Stand::Stalled | Stand::Nested => {}
        }
        self.touch_job(slot, job);
    }

    /// Puts a job into its line.
    pub(super) fn make_due(&mut self, slot: usize, job: Job) {
        let place = self.take_place();
        let Some(run) = self.runs.get_mut(slot) else { return };
        let (workflow, lane) = (run.plan.workflow, lane_of(run, job));
        let Some(course) = run.course_mut(job) else { return };
        course.stand = Stand::Due(place);
        if let Some(workflow) = self.workflows.get_mut(workflow)
            && let Some(lane) = workflow.lanes.get_mut(lane)
        {
            lane.insert(place, (slot, job));
        }
        self.touch_job(slot, job);
    }

    /// Lets a job wait before it is tried again.
    pub(super) fn back_off(&mut self, slot: usize, job: Job, until: u64, now: Now) {
        if until <= now.ms {
            self.resume(slot, job, now);
            return;
        }
        if let Some(course) = self.runs.get_mut(slot).and_then(|run| run.course_mut(job)) {
            course.stand = Stand::Backoff;
        }
        self.set_alarm(slot, job, until);
        self.touch_job(slot, job);
    }

    fn ring(&mut self, slot: usize, alarm: Alarm, now: Now) {
        match alarm {
            Alarm::Run => self.run_out(slot, now),
            Alarm::Course(job) => {
                let Some(course) = self.runs.get_mut(slot).and_then(|run| run.course_mut(job))
                else {
                    return;
                };
                course.until = None;
                match course.stand {
                    Stand::Backoff => {
                        course.stand = Stand::Idle;
                        self.resume(slot, job, now);
                    }
                    Stand::Leased(_) | Stand::Waiting | Stand::Nested => {
                        self.time_out(slot, job, now);
                    }
                    Stand::Idle | Stand::Due(_) | Stand::Stalled => {}
                }
            }
        }
    }

    /// The time of an attempt is over, whatever it still does.
    fn time_out(&mut self, slot: usize, job: Job, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let (Job::Invoke(step) | Job::Undo(step)) = job else { return };
        let ms = run.plan.step(step).and_then(|step| step.timeout_ms).unwrap_or_default();
        let stand = run.course(job).map(|course| course.stand);
        if let (Some(step), Job::Invoke(_)) = (run.step_mut(step), job) {
            step.unknown = true;
        }
        self.lift(slot, job);
        let reason = format!("it took longer than {ms} ms");
        if stand == Some(Stand::Nested) && matches!(job, Job::Invoke(_)) {
            self.cancel_child(slot, step, &reason);
            self.fail(slot, job, reason, true, now);
        } else {
            self.fail(slot, job, reason, false, now);
        }
    }

    /// The time of the run is up.
    fn run_out(&mut self, slot: usize, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        run.time_up = None;
        let ms = run.plan.definition.timeout_ms.unwrap_or_default();
        let reason = format!("the run took longer than {ms} ms");
        match run.state {
            RunState::Running => self.stop(slot, CauseKind::TimedOut, None, reason, now),
            RunState::Stopping => self.halt(slot, Some(&reason), now),
            _ => {}
        }
    }

    /// The lease of an attempt has ended, and nobody settled it.
    fn lose(&mut self, slot: usize, job: Job, end: u64, now: Now) {
        let Some(run) = self.runs.get_mut(slot) else { return };
        let Some(course) = run.course_mut(job) else { return };
        // The lease is gone already.
        course.stand = Stand::Idle;
        if course.until.is_some_and(|until| until <= end) {
            self.time_out(slot, job, now);
            return;
        }
        course.made = course.made.saturating_sub(1);
        course.lost = course.lost.saturating_add(1);
        let lost = course.lost;
        if let (Job::Invoke(step), state) = (job, run.state) {
            let Some(step) = run.step_mut(step) else { return };
            step.unknown = true;
            if state != RunState::Running {
                self.lift(slot, job);
                self.close(slot, job, Outcome::Failed, now);
                return;
            }
        }
        self.lift(slot, job);
        if lost > self.limits.lost_workers && job != Job::Finish {
            let reason = format!(
                "it was lost {lost} times with whoever did it, more often than `lost_workers` allows"
            );
            self.fail(slot, job, reason, true, now);
        } else if job == Job::Finish {
            self.repeat_finish(slot, now);
        } else {
            self.make_due(slot, job);
        }
    }
}

fn lane_of(run: &super::Run, job: Job) -> usize {
    match job {
        Job::Invoke(step) | Job::Undo(step) => run.plan.step(step).map_or(0, |step| step.lane),
        Job::Finish => super::lanes::FINISH,
    }
}
