//! The engine: workflows, their runs, and what is to be done for them.
//!
//! Nothing here calls the host: the time and the seed are given. This file holds
//! what all calls share. `starts` begins runs, `pull` and `settle` are what
//! workers do, `advance` carries a run on, `undo` back, `operate` is what an
//! operator does to a run, `look` what they see, `schedules` begins runs by the
//! clock, `history` keeps those that have ended.
//!
//! What one call begins in other runs (a nested run starts, or ends) is put on
//! the agenda and done before the call ends, so that nothing here calls itself.

mod advance;
mod bits;
mod coding;
mod condition;
mod cron;
mod definitions;
mod history;
mod ids;
mod journal;
mod lanes;
mod leases;
mod look;
mod operate;
mod plan;
mod pull;
mod restore;
mod rows;
mod run;
mod schedules;
mod settle;
mod starts;
mod time;
mod undo;
mod usage;
mod write;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use hashbrown::HashMap;
use slab::Slab;
use stheno_sdk::store::Change;
use stheno_sdk::workflows::{Definition, Ended};
use stheno_sdk::{Error, Result};

use advance::Act;
use ids::Chance;
use journal::{Log, Row};
use lanes::Workflows;
use leases::Leases;
use plan::Plan;
use rows::{Key, Part};
use run::{Job, Run};
use schedules::Schedules;
use time::Alarm;
use usage::Usage;

pub(crate) use restore::Restore;

type Hasher = SeedableRandomState;

/// More workflows, or schedules, than an app has names for them; each is a row
/// in every listing.
const MAX_WORKFLOWS: usize = 10_000;

/// A reason is for a person to read.
const MAX_REASON: usize = 4 << 10;

/// Bounds and defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Runs, ended ones too.
    pub(crate) max_runs: usize,
    /// Of everything that is held; runs start within three quarters.
    pub(crate) max_bytes: u64,
    pub(crate) retention_ms: u64,
    /// Ended runs that nobody named.
    pub(crate) history: usize,
    /// Attempts of a step that may be lost with their workers.
    pub(crate) lost_workers: u32,
}

impl Limits {
    /// The most that a store of so many bytes takes: what a row takes beyond what
    /// it holds is within what memory is counted for.
    pub(crate) fn store_bytes(&self) -> u64 {
        const SLACK: u64 = 8 << 20;
        self.max_bytes.saturating_add(SLACK)
    }

    /// From where on no run starts, so that those under way can end.
    fn start_bytes(&self) -> u64 {
        self.max_bytes - self.max_bytes / 4
    }
}

/// The time of a call, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// For durations.
    pub(crate) ms: u64,
    /// For time stamps.
    pub(crate) unix_ms: u64,
}

pub(crate) struct Engine {
    limits: Limits,
    usage: Usage,
    workflows: Workflows,
    runs: Slab<Run>,
    by_id: HashMap<Rc<str>, usize, Hasher>,
    /// In the order of starts.
    by_serial: BTreeMap<u64, usize>,
    leases: Leases,
    alarms: BTreeSet<(u64, usize, Alarm)>,
    schedules: Schedules,
    /// Ended runs by when they are forgotten.
    expiring: BTreeSet<(u64, usize)>,
    /// Those that nobody named, in the order in which they ended.
    droppable: BTreeSet<(u64, usize)>,
    agenda: VecDeque<Act>,
    /// Runs whose parent was forgotten.
    orphans: Vec<u64>,
    /// What ended, for whoever asks next.
    news: Vec<Ended>,
    next_serial: u64,
    /// The next place in a line, or among those that ended.
    next_place: u64,
    chance: Chance,
    /// None: nothing survives.
    log: Log,
}

impl Engine {
    /// One that holds all in memory.
    pub(crate) fn new(limits: Limits, now: Now, seed: u64) -> Self {
        Self::with_log(limits, ids::origin(now.unix_ms, seed), seed, None)
    }

    fn with_log(limits: Limits, origin: u64, seed: u64, log: Log) -> Self {
        static SHARED: OnceLock<SharedSeed> = OnceLock::new();
        let hasher = Hasher::with_seed(
            seed,
            SHARED.get_or_init(|| SharedSeed::from_u64(seed.rotate_left(32))),
        );
        Self {
            limits,
            usage: Rc::new(Cell::new(0)),
            workflows: Workflows::new(hasher.clone()),
            runs: Slab::new(),
            by_id: HashMap::with_hasher(hasher),
            by_serial: BTreeMap::new(),
            leases: Leases::new(origin),
            alarms: BTreeSet::new(),
            schedules: Schedules::default(),
            expiring: BTreeSet::new(),
            droppable: BTreeSet::new(),
            agenda: VecDeque::new(),
            orphans: Vec::new(),
            news: Vec::new(),
            next_serial: origin,
            next_place: 0,
            chance: Chance::new(seed),
            log,
        }
    }

    pub(crate) fn define(&mut self, definition: Definition, now: Now) -> Result<()> {
        self.tidy(now);
        if let Some(place) = self.workflows.find(&definition.id)
            && let Some(workflow) = self.workflows.get(place)
            && let Some(plan) = &workflow.plan
            && rows::definition(&plan.definition) == rows::definition(&definition)
        {
            // Nothing is new; who starts again says it all again.
            return Ok(());
        }
        if self.workflows.find(&definition.id).is_none() && self.workflows.len() >= MAX_WORKFLOWS {
            return Err(Error::Unavailable(format!(
                "there are {MAX_WORKFLOWS} workflows; undefine some that nobody starts"
            )));
        }
        let serial = self.take_serial();
        let plan = self.make_plan(definition, serial)?;
        if self.usage.get() > self.limits.max_bytes {
            let workflow = plan.workflow;
            drop(plan);
            self.workflows.tidy(workflow);
            return Err(self.full());
        }
        plan.row.put(|_| rows::plan(&plan.definition, true));
        let Some(workflow) = self.workflows.get_mut(plan.workflow) else { return Ok(()) };
        if let Some(old) = workflow.define(plan) {
            old.row.put(|_| rows::plan(&old.definition, false));
        }
        Ok(())
    }

    /// Checks a definition and makes lines for its steps.
    fn make_plan(&mut self, definition: Definition, serial: u64) -> Result<Plan> {
        let place = self.workflows.open(&definition.id);
        let row = Row::new(&self.log, Key::Plan(serial));
        let workflows = &mut self.workflows;
        let lane = |id: &Rc<str>| workflows.get_mut(place).map_or(0, |workflow| workflow.lane(id));
        let plan = Plan::new(definition, serial, place, row, &self.usage, lane);
        if plan.is_err() {
            self.workflows.tidy(place);
        }
        plan
    }

    pub(crate) fn undefine(&mut self, id: &str, now: Now) -> Result<()> {
        self.tidy(now);
        let missing = || Error::NotFound(format!("there is no workflow `{id}`"));
        let place = self.workflows.find(id).ok_or_else(missing)?;
        let workflow = self.workflows.get_mut(place).ok_or_else(missing)?;
        let plan = workflow.plan.take().ok_or_else(missing)?;
        plan.row.put(|_| rows::plan(&plan.definition, false));
        drop(plan);
        self.workflows.tidy(place);
        self.drop_schedules_of(id);
        Ok(())
    }

    /// What has changed since this was asked last, as the batches in which to
    /// commit it. If one of them fails this engine is worth nothing any more:
    /// what it holds is not what the store has.
    pub(crate) fn take_changes(&self) -> Vec<Vec<Change>> {
        self.log.as_ref().map(|journal| journal.take(|key| self.write(key))).unwrap_or_default()
    }

    /// What ended since this was asked last.
    fn take_news(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.news)
    }

    fn take_serial(&mut self) -> u64 {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        serial
    }

    fn take_place(&mut self) -> u64 {
        let place = self.next_place;
        self.next_place = place.wrapping_add(1);
        place
    }

    fn touch(&self, slot: usize, part: Part) {
        if let Some(journal) = &self.log
            && let Some(run) = self.runs.get(slot)
        {
            journal.touch(Key::Run(run.serial, part));
        }
    }

    /// Says that what is known of a job differs.
    fn touch_job(&self, slot: usize, job: Job) {
        self.touch(
            slot,
            match job {
                Job::Invoke(step) => Part::Invoke(step),
                Job::Undo(step) => Part::Undo(step),
                Job::Finish => Part::State,
            },
        );
    }

    /// The place of a run that has not outlived its retention.
    fn find(&mut self, id: &str, now: Now) -> Result<usize> {
        self.find_slot(id, now).ok_or_else(|| Error::NotFound(format!("there is no run `{id}`")))
    }

    fn find_slot(&mut self, id: &str, now: Now) -> Option<usize> {
        let slot = *self.by_id.get(id)?;
        let is_over = |run: &Run| run.kept.is_some_and(|kept| kept.expires <= now.ms);
        if self.runs.get(slot).is_some_and(is_over) {
            self.forget(slot);
            return None;
        }
        Some(slot)
    }

    fn full(&self) -> Error {
        Error::Unavailable(format!(
            "runs and definitions take {} bytes and `max_bytes` is {}; try again when runs have ended, \
             shorten `retention`, or raise `max_bytes`",
            self.usage.get(),
            self.limits.max_bytes
        ))
    }
}

/// Cuts a reason to what is kept of it.
fn cut(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    reason
}

/// The moment of this process's clock that a Unix time stands for. Never stays
/// never, and what is long past is as good as now.
fn moment(unix_ms: u64, now: Now) -> u64 {
    if unix_ms == u64::MAX {
        return unix_ms;
    }
    if unix_ms >= now.unix_ms {
        now.ms.saturating_add(unix_ms - now.unix_ms)
    } else {
        now.ms.saturating_sub(now.unix_ms - unix_ms)
    }
}
