//! How runs begin.

use std::rc::Rc;

use stheno_sdk::workflows::{RunState, StartRequest, Started};
use stheno_sdk::{Error, Result};

use super::bits::Bits;
use super::rows::Part;
use super::run::{self, Parent, Run, StepRun};
use super::usage::Charge;
use super::{Engine, Now, ids};

/// Runs that are nested in each other.
const MAX_DEPTH: u32 = 32;

/// A run that is to begin.
#[derive(Default)]
pub(super) struct Begin<'b> {
    pub(super) workflow: &'b str,
    pub(super) id: Option<String>,
    /// Whether who starts it gave the id.
    pub(super) named: bool,
    pub(super) input: Vec<u8>,
    /// The run and the step that begin it.
    pub(super) parent: Option<(usize, u16)>,
    pub(super) schedule: Option<Rc<str>>,
}

impl Engine {
    /// Starts runs, an answer for each request.
    pub(crate) fn start(&mut self, requests: Vec<StartRequest>, now: Now) -> Vec<Started> {
        self.tidy(now);
        requests.into_iter().map(|request| self.start_one(request, now)).collect()
    }

    fn start_one(&mut self, request: StartRequest, now: Now) -> Started {
        let StartRequest { workflow, run: id, named, input } = request;
        if let Some(slot) = self.find_slot(&id, now)
            && let Some(existing) = self.runs.get(slot)
        {
            return if existing.plan.definition.id == workflow {
                Started::Existing(id)
            } else {
                Started::Refused(Error::Conflict(format!(
                    "the run `{id}` is one of the workflow `{}`; take another id",
                    existing.plan.definition.id
                )))
            };
        }
        let id = Some(id);
        let begin = Begin { workflow: &workflow, id, named, input, ..Begin::default() };
        match self.begin_run(begin, now) {
            Ok(serial) => {
                let slot = self.by_serial.get(&serial);
                let id = slot.and_then(|&slot| self.runs.get(slot)).map(|run| run.id.to_string());
                // Afterwards, because a run that ends at once may not be kept.
                self.work(now);
                self.trim();
                Started::Run(id.unwrap_or_default())
            }
            Err(error) => Started::Refused(error),
        }
    }

    /// Begins a run whose id is free, and gives its serial.
    pub(super) fn begin_run(&mut self, begin: Begin<'_>, now: Now) -> Result<u64> {
        let Begin { workflow, id, named, input, parent, schedule } = begin;
        let missing = || Error::NotFound(format!("the workflow `{workflow}` is not defined"));
        let place = self.workflows.find(workflow).ok_or_else(missing)?;
        let plan = self.workflows.get(place).and_then(|workflow| workflow.plan.clone());
        let plan = plan.ok_or_else(missing)?;
        let parent = parent.and_then(|(slot, step)| self.parent_of(slot, step));
        let (parent, depth) = match parent {
            Some((_, depth)) if depth > MAX_DEPTH => {
                return Err(Error::NotFound(format!(
                    "more than {MAX_DEPTH} runs are nested in each other"
                )));
            }
            Some((parent, depth)) => (Some(parent), depth),
            None => (None, 0),
        };
        let serial = self.free_serial(id.is_none());
        let id: Rc<str> = Rc::from(id.unwrap_or_else(|| ids::name(serial)));
        let bytes = run::bytes(&id, &input, plan.steps.len());
        self.make_room(bytes)?;
        let steps: Vec<_> = plan.steps.iter().map(|step| StepRun::new(step.after.len())).collect();
        let run = Run {
            serial,
            id: Rc::clone(&id),
            named,
            input,
            state: RunState::Running,
            cause: None,
            started_ms: now.unix_ms,
            ended_ms: None,
            parent,
            depth,
            schedule,
            open: steps.len(),
            steps,
            undoing: 0,
            to_undo: Bits::default(),
            results: 0,
            time_up: None,
            finish: None,
            told: false,
            kept: None,
            charge: Charge::new(bytes, &self.usage),
            plan: Rc::clone(&plan),
        };
        let slot = self.insert(run);
        self.touch(slot, Part::Header);
        self.set_time(slot, now);
        self.begin_first(slot, now);
        Ok(serial)
    }

    /// Takes a run in, and counts it.
    pub(super) fn insert(&mut self, run: Run) -> usize {
        let (serial, id, has_ended) = (run.serial, Rc::clone(&run.id), run.has_ended());
        if let (Some(schedule), false) = (&run.schedule, has_ended) {
            self.schedules.began(schedule, serial);
        }
        if let Some(workflow) = self.workflows.get_mut(run.plan.workflow) {
            workflow.runs += 1;
            workflow.active += u64::from(!has_ended);
        }
        let slot = self.runs.insert(run);
        self.by_id.insert(id, slot);
        self.by_serial.insert(serial, slot);
        slot
    }

    /// Begins the steps that wait for no other.
    pub(super) fn begin_first(&mut self, slot: usize, now: Now) {
        let Some(run) = self.runs.get(slot) else { return };
        let plan = Rc::clone(&run.plan);
        let mut skipped = Vec::new();
        for (planned, place) in plan.steps.iter().zip(0u16..) {
            if planned.after.is_empty() && !self.begin(slot, place, now) {
                self.skip(slot, place, now);
                skipped.push(place);
            }
        }
        self.advance(slot, skipped, now);
    }

    fn parent_of(&self, slot: usize, step: u16) -> Option<(Parent, u32)> {
        let run = self.runs.get(slot)?;
        let parent = Parent {
            serial: run.serial,
            step,
            run_id: Rc::clone(&run.id),
            step_id: Rc::clone(&run.plan.step(step)?.id),
        };
        Some((parent, run.depth.saturating_add(1)))
    }

    /// A serial; one whose name is free if it is to be the name.
    fn free_serial(&mut self, is_name: bool) -> u64 {
        loop {
            let serial = self.take_serial();
            if !is_name || !self.by_id.contains_key(ids::name(serial).as_str()) {
                return serial;
            }
        }
    }

    /// Makes room for a run, where what has ended and nobody named can go.
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        let start_bytes = self.limits.start_bytes();
        loop {
            let has_place = self.runs.len() < self.limits.max_runs;
            let has_bytes = self.usage.get().saturating_add(bytes) <= start_bytes;
            if has_place && has_bytes {
                return Ok(());
            }
            if self.drop_oldest() {
                continue;
            }
            return Err(if has_place {
                Error::Unavailable(format!(
                    "runs take {} bytes and {bytes} more would exceed three quarters of `max_bytes` ({}), from where \
                     on none starts; try again when runs have ended, shorten `retention`, or raise `max_bytes`",
                    self.usage.get(),
                    self.limits.max_bytes
                ))
            } else {
                Error::Unavailable(format!(
                    "there are {} runs, those included that have ended and whose ids must be remembered, and \
                     `max_runs` is {}; try again when some have ended, shorten `retention`, or raise `max_runs`",
                    self.runs.len(),
                    self.limits.max_runs
                ))
            });
        }
    }
}

/// What an error says.
pub(super) fn text(error: Error) -> String {
    match error {
        Error::NotFound(text)
        | Error::Conflict(text)
        | Error::InvalidArgument(text)
        | Error::Denied(text)
        | Error::Timeout(text)
        | Error::Unavailable(text)
        | Error::LostLease(text)
        | Error::Unsupported(text)
        | Error::Internal(text) => text,
    }
}
