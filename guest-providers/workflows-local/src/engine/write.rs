//! What stands in the rows of runs.

use super::Engine;
use super::rows::{self, CourseRow, Header, InvokeRow, Key, Part, Standing, StateRow, UndoRow};
use super::run::{Course, Run, Stand};
use stheno_sdk::workflows::RunState;

impl Engine {
    /// What stands in a row that differs; none if there is no such row any more.
    pub(super) fn write(&self, key: Key) -> Option<Vec<u8>> {
        let Key::Run(serial, part) = key else { return None };
        let run = self.runs.get(*self.by_serial.get(&serial)?)?;
        match part {
            Part::Header => Some(header(run)),
            Part::Invoke(place) => {
                let step = run.step(place).filter(|step| step.has_row())?;
                let row = InvokeRow {
                    outcome: step.outcome,
                    course: self.course(&step.course),
                    unknown: step.unknown,
                    ended_ms: step.ended_ms,
                    result: None,
                    faults: Vec::new(),
                };
                let faults: Vec<_> =
                    step.faults.iter().filter(|fault| !fault.compensation).collect();
                Some(rows::invoke(&row, step.result.as_deref(), faults.into_iter()))
            }
            Part::State => {
                if run.state == RunState::Running {
                    return None;
                }
                let row = StateRow {
                    state: run.state,
                    cause: None,
                    ended_ms: run.ended_ms,
                    finish: run.finish.as_ref().map(|course| self.course(course)),
                    told: run.told,
                };
                Some(rows::state(&row, run.cause.as_deref()))
            }
            Part::Undo(place) => {
                let step = run.step(place)?;
                let undo = step.undo.as_ref()?;
                let row = UndoRow {
                    course: self.course(&undo.course),
                    reverted_ms: undo.reverted_ms,
                    stuck: undo.stuck,
                    faults: Vec::new(),
                };
                let faults: Vec<_> =
                    step.faults.iter().filter(|fault| fault.compensation).collect();
                Some(rows::undo(&row, faults.into_iter()))
            }
        }
    }

    fn course(&self, course: &Course) -> CourseRow {
        let unix = |ms| self.log.as_ref().map_or(ms, |journal| journal.unix(ms));
        let standing = match course.stand {
            Stand::Idle => Standing::Idle,
            Stand::Due(_) => Standing::Due,
            Stand::Leased(slot) => match self.leases.at(slot) {
                Some((token, end)) => Standing::Leased {
                    slot: token.slot as u64,
                    number: token.number,
                    end: unix(end),
                },
                None => Standing::Due,
            },
            Stand::Backoff => Standing::Backoff,
            Stand::Waiting => Standing::Waiting,
            Stand::Stalled => Standing::Stalled,
            Stand::Nested => Standing::Nested,
        };
        CourseRow { standing, made: course.made, lost: course.lost, until: course.until.map(unix) }
    }
}

fn header(run: &Run) -> Vec<u8> {
    rows::header(&Header {
        id: run.id.to_string(),
        named: run.named,
        plan: run.plan.serial,
        input: run.input.clone(),
        started_ms: run.started_ms,
        parent: run.parent.as_ref().map(|parent| {
            (parent.serial, parent.step, parent.run_id.to_string(), parent.step_id.to_string())
        }),
        depth: run.depth,
        schedule: run.schedule.as_deref().map(str::to_owned),
    })
}
