//! What can be seen.

use stheno_sdk::workflows::{
    Filter, RunDetail, RunPage, RunState, RunStatus, StepStatus, WorkflowStatus,
};
use stheno_sdk::{Error, Result};

use super::run::{Outcome, Run, Stand};
use super::{Engine, Now, ids};

/// What one page gives at most.
const MAX_ITEMS: usize = 1_000;

impl Engine {
    /// All definitions, ordered by id.
    pub(crate) fn defined(&mut self, now: Now) -> Vec<WorkflowStatus> {
        self.tidy(now);
        let status = |workflow: &super::lanes::Workflow| {
            let definition = workflow.plan.as_ref()?.definition.clone();
            Some(WorkflowStatus { definition, active: workflow.active })
        };
        let mut all: Vec<_> = self.workflows.iter().filter_map(status).collect();
        all.sort_by(|one, other| one.definition.id.cmp(&other.definition.id));
        all
    }

    /// A run with its steps.
    pub(crate) fn get(&mut self, id: &str, now: Now) -> Result<RunDetail> {
        self.tidy(now);
        let slot = self.find(id, now)?;
        let missing = || Error::NotFound(format!("there is no run `{id}`"));
        let run = self.runs.get(slot).ok_or_else(missing)?;
        let steps = (0u16..).zip(&run.steps).map(|(place, _)| self.step_status(run, place));
        Ok(RunDetail {
            status: status(run),
            input: run.input.clone(),
            result: (run.state == RunState::Done)
                .then(|| run.result_of(run.plan.result_from).map(<[u8]>::to_vec))
                .flatten(),
            steps: steps.collect::<Option<_>>().ok_or_else(missing)?,
        })
    }

    fn step_status(&self, run: &Run, place: u16) -> Option<StepStatus> {
        let (planned, step) = (run.plan.step(place)?, run.step(place)?);
        let course = step.undo.as_ref().map_or(&step.course, |undo| &undo.course);
        let has_begun = match step.outcome {
            Outcome::Open => step.course.stand != Stand::Idle,
            Outcome::Done | Outcome::Failed => true,
            Outcome::Skipped | Outcome::PassedOver => step.course.made > 0 || step.unknown,
        };
        let child = step.child.and_then(|child| self.by_serial.get(&child));
        Some(StepStatus {
            id: planned.id.to_string(),
            state: step.state(),
            attempts: course.made,
            began_ms: has_begun.then(|| run.begins_ms(place)),
            ended_ms: step.ended_ms,
            reverted_ms: step.undo.as_ref().and_then(|undo| undo.reverted_ms),
            faults: step.faults.iter().cloned().collect(),
            child: child.and_then(|&child| Some(self.runs.get(child)?.id.to_string())),
            result: step.result.as_deref().map(<[u8]>::to_vec),
        })
    }

    /// Runs, the one that started last first.
    pub(crate) fn list(
        &mut self,
        filter: &Filter,
        after: Option<&str>,
        max: u32,
        now: Now,
    ) -> Result<RunPage> {
        self.tidy(now);
        let end = match after {
            None => u64::MAX,
            Some(cursor) => ids::parse_name(cursor).ok_or_else(|| {
                Error::InvalidArgument(format!(
                    "`after` is `{cursor}`; write the `next` of the page before, or leave it out"
                ))
            })?,
        };
        let max = usize::try_from(max).unwrap_or(MAX_ITEMS).min(MAX_ITEMS);
        let mut items = Vec::new();
        let mut last = None;
        for (&serial, &slot) in self.by_serial.range(..end).rev() {
            let Some(run) = self.runs.get(slot).filter(|run| shows(run, filter, now)) else {
                continue;
            };
            if items.len() == max {
                // There is one more.
                return Ok(RunPage { items, next: last.or(after.map(str::to_owned)) });
            }
            items.push(status(run));
            last = Some(ids::name(serial));
        }
        Ok(RunPage { items, next: None })
    }
}

/// Whether a run is there, and all that the filter gives holds.
fn shows(run: &Run, filter: &Filter, now: Now) -> bool {
    let Filter { workflow, states, parent, schedule, started_from_ms, started_before_ms } = filter;
    let matches = |wanted: &Option<String>, found: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
    };
    run.kept.is_none_or(|kept| now.ms < kept.expires)
        && matches(workflow, Some(&run.plan.definition.id))
        && Engine::is_in(run.state, states)
        && matches(parent, run.parent.as_ref().map(|parent| &*parent.run_id))
        && matches(schedule, run.schedule.as_deref())
        && started_from_ms.is_none_or(|from| run.started_ms >= from)
        && started_before_ms.is_none_or(|before| run.started_ms < before)
}

fn status(run: &Run) -> RunStatus {
    RunStatus {
        run: run.id.to_string(),
        workflow: run.plan.definition.id.clone(),
        state: run.state,
        cause: run.cause.as_deref().cloned(),
        started_ms: run.started_ms,
        ended_ms: run.ended_ms,
        parent: run
            .parent
            .as_ref()
            .map(|parent| (parent.run_id.to_string(), parent.step_id.to_string())),
        schedule: run.schedule.as_deref().map(str::to_owned),
    }
}
