//! Runs that begin by the clock.
//!
//! A moment is passed over if nobody could serve at it and the schedule does not
//! catch up: before this process began, or longer ago than a busy host may take
//! to call again.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use stheno_sdk::workflows::{
    Cadence, CauseKind, Overlap, RunState, ScheduleDefinition, ScheduleStatus,
};
use stheno_sdk::{Error, Result};

use super::cron::Rhythm;
use super::journal::Row;
use super::rows::{self, Key, ScheduleRow};
use super::starts::Begin;
use super::usage::Charge;
use super::{Engine, MAX_WORKFLOWS, Now};

/// How late a run may begin without being one that is made up for.
const GRACE_MS: u64 = 10_000;

/// How soon it is tried again to start a run for which there was no room.
const AGAIN_MS: u64 = 1_000;

/// What a schedule takes beyond its definition.
const BYTES: usize = 512;

pub(super) struct Schedule {
    pub(super) definition: ScheduleDefinition,
    id: Rc<str>,
    rhythm: Rhythm,
    /// From when an interval counts.
    pub(super) made_ms: u64,
    /// The next moment that was not decided on. Unix ms.
    pub(super) next_ms: u64,
    /// When it is looked at next: at that moment, or later if there was no room.
    looked_at_ms: u64,
    pub(super) runs: u64,
    pub(super) skipped: u64,
    pub(super) last_run: Option<Rc<str>>,
    /// The runs of it that have not ended.
    active: BTreeSet<u64>,
    row: Row,
    /// Given back with the schedule.
    _charge: Charge,
}

impl Schedule {
    fn save(&self) {
        self.row.put(|_| {
            rows::schedule(&ScheduleRow {
                definition: self.definition.clone(),
                made_ms: self.made_ms,
                next_ms: self.next_ms,
                runs: self.runs,
                skipped: self.skipped,
                last_run: self.last_run.as_deref().map(str::to_owned),
            })
        });
    }

    fn is_used_up(&self) -> bool {
        self.definition.max_runs.is_some_and(|max| self.runs >= max)
    }

    fn status(&self) -> ScheduleStatus {
        ScheduleStatus {
            definition: self.definition.clone(),
            next_ms: Some(self.next_ms),
            runs: self.runs,
            skipped: self.skipped,
            last_run: self.last_run.as_deref().map(str::to_owned),
        }
    }
}

/// What a schedule counts in `max_bytes`.
fn bytes(definition: &ScheduleDefinition) -> u64 {
    (BYTES + definition.id.len() + definition.input.len()) as u64
}

#[derive(Default)]
pub(super) struct Schedules {
    by_id: BTreeMap<Rc<str>, Schedule>,
    /// In Unix ms.
    due: BTreeSet<(u64, Rc<str>)>,
}

impl Schedules {
    /// When one is to be looked at next, in Unix ms.
    pub(super) fn next(&self) -> Option<u64> {
        self.due.first().map(|first| first.0)
    }

    pub(super) fn began(&mut self, id: &str, serial: u64) {
        if let Some(schedule) = self.by_id.get_mut(id) {
            schedule.active.insert(serial);
        }
    }

    pub(super) fn ended(&mut self, id: &str, serial: u64) {
        if let Some(schedule) = self.by_id.get_mut(id) {
            schedule.active.remove(&serial);
        }
    }

    fn insert(&mut self, schedule: Schedule) {
        self.remove(&Rc::clone(&schedule.id));
        self.due.insert((schedule.looked_at_ms, Rc::clone(&schedule.id)));
        self.by_id.insert(Rc::clone(&schedule.id), schedule);
    }

    fn remove(&mut self, id: &str) -> Option<Schedule> {
        let schedule = self.by_id.remove(id)?;
        self.due.remove(&(schedule.looked_at_ms, Rc::clone(&schedule.id)));
        Some(schedule)
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Schedule> {
        self.by_id.values()
    }
}

impl Engine {
    /// Makes a schedule, or replaces it.
    pub(crate) fn schedule(&mut self, definition: ScheduleDefinition, now: Now) -> Result<()> {
        self.tidy(now);
        if self.plan_of(&definition.workflow).is_none() {
            return Err(Error::NotFound(format!(
                "the workflow `{}` is not defined",
                definition.workflow
            )));
        }
        if definition.max_runs == Some(0) {
            return Err(Error::InvalidArgument(
                "`max-runs` is 0; write at least 1, or leave it out".to_owned(),
            ));
        }
        let old = self.schedules.by_id.get(definition.id.as_str());
        if old.is_none() && self.schedules.by_id.len() >= MAX_WORKFLOWS {
            return Err(Error::Unavailable(format!(
                "there are {MAX_WORKFLOWS} schedules; remove some that nobody needs"
            )));
        }
        // The same rhythm goes on as it was: who starts again says it all again.
        let same = old.filter(|old| same_cadence(&old.definition, &definition));
        let made_ms = same.map_or(now.unix_ms, |old| old.made_ms);
        let rhythm = Rhythm::new(&definition.cadence, made_ms)?;
        let next_ms = match same {
            Some(old) => Some(old.next_ms),
            None => rhythm.after(now.unix_ms),
        };
        let next_ms = next_ms.ok_or_else(|| {
            Error::InvalidArgument(match definition.cadence {
                Cadence::Cron(_) => {
                    "the cron expression is never due; write one that is".to_owned()
                }
                Cadence::EveryMs(ms) => {
                    format!("`every-ms` is {ms}, which is never due; write less")
                }
            })
        })?;
        let (runs, skipped, last_run) =
            old.map_or((0, 0, None), |old| (old.runs, old.skipped, old.last_run.clone()));
        let charge = Charge::new(bytes(&definition), &self.usage);
        if self.usage.get() > self.limits.max_bytes {
            drop(charge);
            return Err(self.full());
        }
        // Where the row goes with the old one, it is written after that.
        self.schedules.remove(&definition.id);
        let serial = self.take_serial();
        let row = Row::new(&self.log, Key::Schedule(serial));
        let id: Rc<str> = Rc::from(definition.id.as_str());
        let active = self.active_of(&id);
        let schedule = Schedule {
            definition,
            id,
            rhythm,
            made_ms,
            next_ms,
            looked_at_ms: next_ms,
            runs,
            skipped,
            last_run,
            active,
            row,
            _charge: charge,
        };
        if !schedule.is_used_up() {
            schedule.save();
            self.schedules.insert(schedule);
        }
        Ok(())
    }

    /// Removes a schedule.
    pub(crate) fn unschedule(&mut self, id: &str, now: Now) -> Result<()> {
        self.tidy(now);
        let removed = self.schedules.remove(id);
        removed.map(drop).ok_or_else(|| Error::NotFound(format!("there is no schedule `{id}`")))
    }

    /// All schedules, ordered by id.
    pub(crate) fn schedules(&mut self, now: Now) -> Vec<ScheduleStatus> {
        self.tidy(now);
        self.schedules.by_id.values().map(Schedule::status).collect()
    }

    pub(super) fn drop_schedules_of(&mut self, workflow: &str) {
        let of = |schedule: &&Schedule| schedule.definition.workflow == workflow;
        let gone: Vec<_> = self
            .schedules
            .by_id
            .values()
            .filter(of)
            .map(|schedule| Rc::clone(&schedule.id))
            .collect();
        for id in gone {
            self.schedules.remove(&id);
        }
    }

    /// Starts what is due by the clock.
    pub(super) fn fire(&mut self, now: Now) {
        while self.schedules.next().is_some_and(|next| next <= now.unix_ms) {
            let Some((_, id)) = self.schedules.due.pop_first() else { return };
            let Some(schedule) = self.schedules.by_id.remove(&id) else { continue };
            if let Some(schedule) = self.fire_one(schedule, now) {
                self.schedules.insert(schedule);
            }
        }
    }

    /// What becomes of a schedule that is due; nothing if it is at its end.
    fn fire_one(&mut self, mut schedule: Schedule, now: Now) -> Option<Schedule> {
        self.plan_of(&schedule.definition.workflow)?;
        let moment = schedule.rhythm.last(schedule.next_ms, now.unix_ms);
        let is_late = now.unix_ms - moment > GRACE_MS;
        if !is_late || schedule.definition.catch_up {
            let wait = match self.begin_scheduled(&mut schedule, moment, now) {
                Ok(()) => false,
                // There is no room: the moment is not given up at once.
                Err(Error::Unavailable(_)) => true,
                Err(_) => false,
            };
            if wait {
                schedule.looked_at_ms = now.unix_ms.saturating_add(AGAIN_MS);
                return Some(schedule);
            }
        }
        schedule.next_ms = schedule.rhythm.after(now.unix_ms)?;
        schedule.looked_at_ms = schedule.next_ms;
        if schedule.is_used_up() {
            return None;
        }
        schedule.save();
        Some(schedule)
    }

    fn begin_scheduled(&mut self, schedule: &mut Schedule, moment: u64, now: Now) -> Result<()> {
        let run_id = format!("{}@{moment}", schedule.id);
        if let Some(slot) = self.find_slot(&run_id, now) {
            // It began, and the process ended before that was noted; or somebody
            // has taken the id.
            let Some(run) = self.runs.get(slot) else { return Ok(()) };
            let is_ours = run.schedule.as_deref() == Some(&*schedule.id);
            if is_ours && schedule.last_run.as_deref() != Some(run_id.as_str()) {
                schedule.runs += 1;
                schedule.last_run = Some(Rc::from(run_id));
            }
            return Ok(());
        }
        if !schedule.active.is_empty() {
            match schedule.definition.overlap {
                Overlap::Skip => {
                    schedule.skipped += 1;
                    return Ok(());
                }
                Overlap::Allow => {}
                Overlap::Replace => {
                    for serial in &schedule.active {
                        let Some(&slot) = self.by_serial.get(serial) else { continue };
                        if self.runs.get(slot).is_some_and(|run| run.state == RunState::Running) {
                            let reason = format!("the run `{run_id}` takes its place");
                            self.stop(slot, CauseKind::Cancelled, None, reason, now);
                        }
                    }
                }
            }
        }
        let begin = Begin {
            workflow: &schedule.definition.workflow,
            id: Some(run_id.clone()),
            input: schedule.definition.input.clone(),
            schedule: Some(Rc::clone(&schedule.id)),
            ..Begin::default()
        };
        self.begin_run(begin, now)?;
        schedule.runs += 1;
        schedule.last_run = Some(Rc::from(run_id));
        // Those that ended or began meanwhile could not be noted in it.
        schedule.active = self.active_of(&schedule.id);
        Ok(())
    }

    /// The runs of a schedule that have not ended.
    fn active_of(&self, id: &str) -> BTreeSet<u64> {
        let is_active = |run: &super::Run| run.schedule.as_deref() == Some(id) && !run.has_ended();
        let runs = self.runs.iter().map(|(_, run)| run);
        runs.filter(|run| is_active(run)).map(|run| run.serial).collect()
    }

    fn plan_of(&self, workflow: &str) -> Option<&Rc<super::Plan>> {
        self.workflows.get(self.workflows.find(workflow)?)?.plan.as_ref()
    }

    /// Takes a schedule from the store. It begins where it was, or after what
    /// nobody could serve.
    pub(super) fn restore_schedule(&mut self, serial: u64, row: ScheduleRow, now: Now) {
        let Ok(rhythm) = Rhythm::new(&row.definition.cadence, row.made_ms) else { return };
        let mut next_ms = row.next_ms;
        if next_ms < now.unix_ms && !row.definition.catch_up {
            let Some(next) = rhythm.after(now.unix_ms.saturating_sub(1)) else { return };
            next_ms = next;
        }
        let id: Rc<str> = Rc::from(row.definition.id.as_str());
        let schedule = Schedule {
            _charge: Charge::new(bytes(&row.definition), &self.usage),
            active: self.active_of(&id),
            row: Row::new(&self.log, Key::Schedule(serial)),
            definition: row.definition,
            id,
            rhythm,
            made_ms: row.made_ms,
            next_ms,
            looked_at_ms: next_ms,
            runs: row.runs,
            skipped: row.skipped,
            last_run: row.last_run.map(Rc::from),
        };
        if next_ms != row.next_ms {
            schedule.save();
        }
        self.schedules.insert(schedule);
    }
}

/// Whether two are due at the same moments, whatever else they say.
fn same_cadence(one: &ScheduleDefinition, other: &ScheduleDefinition) -> bool {
    let bare = |definition: &ScheduleDefinition| {
        let bare = ScheduleDefinition {
            id: String::new(),
            workflow: String::new(),
            input: Vec::new(),
            cadence: definition.cadence.clone(),
            overlap: Overlap::Skip,
            catch_up: false,
            max_runs: None,
        };
        rows::schedule_definition(super::coding::Output::default(), &bare).end()
    };
    bare(one) == bare(other)
}
