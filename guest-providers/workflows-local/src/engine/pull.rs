//! What workers take.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::rc::Rc;

use stheno_sdk::workflows::{Action, Pulled, Selector, Task};
use stheno_sdk::{Error, Result};

use super::run::{Job, Stand};
use super::{Engine, Now};

/// What one call gives at most: the contract's bound on items, and a bound on
/// bytes so that the answer, which is a copy, fits into the instance.
const MAX_ITEMS: usize = 1_000;
const MAX_ANSWER_BYTES: usize = 4 << 20;

impl Engine {
    pub(crate) fn pull(
        &mut self,
        selectors: &[Selector],
        max: u32,
        lease_ms: u64,
        now: Now,
    ) -> Result<Pulled> {
        let end = lease_end(lease_ms, now)?;
        self.tidy(now);
        let lanes = self.select(selectors);
        let max = usize::try_from(max).unwrap_or(MAX_ITEMS).min(MAX_ITEMS);
        let mut tasks = Vec::with_capacity(max.min(64));
        let mut room = MAX_ANSWER_BYTES;
        let mut batch = None;
        // Whose first task came due first.
        let mut fronts: BinaryHeap<_> =
            lanes.iter().filter_map(|&lane| self.front(lane)).map(Reverse).collect();
        while tasks.len() < max && room > 0 {
            let Some(Reverse((_, lane))) = fronts.pop() else { break };
            let Some((slot, job)) = self.take_front(lane) else { continue };
            fronts.extend(self.front(lane).map(Reverse));
            let batch = *batch.get_or_insert_with(|| self.leases.open(end));
            if let Some(task) = self.lease(slot, job, batch, now) {
                room = room.saturating_sub(weight(&task));
                tasks.push(task);
            }
        }
        let next_due_ms = if fronts.is_empty() {
            self.next_moment(now).map(|next| next.saturating_sub(now.ms))
        } else {
            Some(0)
        };
        Ok(Pulled { tasks, next_due_ms, ended: self.take_news() })
    }

    /// The lines that these selectors name, each once.
    fn select(&self, selectors: &[Selector]) -> BTreeSet<(usize, usize)> {
        let mut lanes = BTreeSet::new();
        for Selector { workflow: id, steps } in selectors {
            let Some(place) = self.workflows.find(id) else { continue };
            let Some(workflow) = self.workflows.get(place) else { continue };
            if steps.is_empty() {
                lanes.extend((0..workflow.lanes.len()).map(|lane| (place, lane)));
            } else {
                let found = steps.iter().filter_map(|step| workflow.find_lane(step));
                lanes.extend(found.map(|lane| (place, lane)));
            }
        }
        lanes
    }

    /// When what is first in a line came due.
    fn front(&self, lane: (usize, usize)) -> Option<(u64, (usize, usize))> {
        let first = self.workflows.get(lane.0)?.lanes.get(lane.1)?.first_key_value()?;
        Some((*first.0, lane))
    }

    fn take_front(&mut self, (workflow, lane): (usize, usize)) -> Option<(usize, Job)> {
        let lane = self.workflows.get_mut(workflow)?.lanes.get_mut(lane)?;
        lane.pop_first().map(|(_, task)| task)
    }

    fn lease(&mut self, slot: usize, job: Job, batch: usize, now: Now) -> Option<Task> {
        let token = self.leases.lease(slot, job, batch);
        let run = self.runs.get_mut(slot)?;
        let (workflow, run_id) = (run.plan.definition.id.clone(), run.id.to_string());
        let plan = Rc::clone(&run.plan);
        let course = run.course_mut(job)?;
        course.made = course.made.saturating_add(1);
        course.stand = Stand::Leased(token.slot);
        let attempt = course.made;
        let mut task = Task {
            token: token.to_text(),
            workflow,
            run: run_id,
            step: String::new(),
            action: Action::Finish(run.state),
            attempt,
            attempts: 0,
            input: run.input.clone(),
            results: Vec::new(),
            deadline_in_ms: None,
        };
        let of = |step: u16| Some((plan.step(step)?.id.to_string(), run.result_of(step)?.to_vec()));
        match job {
            Job::Finish => task.results.extend(of(plan.result_from)),
            Job::Invoke(step) | Job::Undo(step) => {
                let planned = plan.step(step)?;
                task.step = planned.id.to_string();
                task.attempts = planned.retries.attempts;
                task.results.extend(planned.ancestors.iter().filter_map(of));
                let is_undo = matches!(job, Job::Undo(_));
                let mut time_up = run.time_up;
                task.action = if is_undo {
                    task.results.extend(of(step));
                    time_up = None;
                    Action::Compensate
                } else {
                    Action::Invoke
                };
                let own = planned.timeout_ms.map(|timeout| now.ms.saturating_add(timeout));
                let deadline = own.into_iter().chain(time_up).min();
                task.deadline_in_ms = deadline.map(|at| at.saturating_sub(now.ms));
                if let Some(own) = own {
                    self.set_alarm(slot, job, own);
                }
            }
        }
        self.touch_job(slot, job);
        Some(task)
    }
}

/// When leases of so many milliseconds end.
pub(super) fn lease_end(lease_ms: u64, now: Now) -> Result<u64> {
    if lease_ms == 0 {
        return Err(Error::InvalidArgument("`lease-ms` is 0; write at least 1".to_owned()));
    }
    Ok(now.ms.saturating_add(lease_ms))
}

fn weight(task: &Task) -> usize {
    const TASK: usize = 256;
    let results: usize = task.results.iter().map(|(id, result)| id.len() + result.len()).sum();
    TASK + task.input.len() + results
}
