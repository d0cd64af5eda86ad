//! Runs that begin by themselves.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use stheno_contracts::workflows as contract;

use super::args;
use super::run::same;
use crate::events::at;
use crate::{Error, ErrorKind};

/// Starts runs of a workflow by itself, whoever is there.
///
/// ```
/// use std::time::Duration;
///
/// use stheno::{Overlap, Schedule};
///
/// let nightly = Schedule::cron("nightly", "report", "0 3 * * *")
///     .time_zone("Europe/Berlin")
///     .overlap(Overlap::Skip)
///     .catch_up(true);
/// let often = Schedule::every("often", "sync", Duration::from_secs(30)).max_runs(10);
/// # let _ = (nightly, often);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// 1 to 240 bytes without control characters. Its runs are called by it, `@`,
    /// and the moment in Unix milliseconds.
    pub id: String,
    /// The workflow that is started.
    pub workflow: String,
    /// What each run is started with, at most 1 MiB.
    pub input: Vec<u8>,
    /// When.
    pub cadence: Cadence,
    /// What happens while the last run has not ended.
    pub overlap: Overlap,
    /// Whether moments that passed while nobody could serve are made up for by
    /// one run.
    pub catch_up: bool,
    /// How many runs it starts in all; then it is removed.
    pub max_runs: Option<u64>,
}

/// When a schedule starts runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cadence {
    /// When the calendar says so.
    Cron {
        /// Five fields (minute, hour, day of month, month, day of week), or six
        /// with seconds first.
        expression: String,
        /// Such as `Europe/Berlin`; `UTC`.
        time_zone: String,
    },
    /// From when the schedule was made, at least 1 s.
    Every(Duration),
}

/// What a schedule does while the last run that it started has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It starts none; that moment is passed over.
    #[default]
    Skip,
    /// It starts one regardless.
    Allow,
    /// It cancels that one and starts the new one.
    Replace,
}

/// A schedule and what it has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleStatus {
    /// The schedule.
    pub schedule: Schedule,
    /// When it is due next.
    pub next: Option<SystemTime>,
    /// Runs that it has started.
    pub runs: u64,
    /// Moments at which it started none, because of `overlap`.
    pub skipped: u64,
    /// The run that it started last.
    pub last_run: Option<String>,
}

impl Schedule {
    fn new(id: impl Into<String>, workflow: impl Into<String>, cadence: Cadence) -> Self {
        Self {
            id: id.into(),
            workflow: workflow.into(),
            input: b"null".to_vec(),
            cadence,
            overlap: Overlap::default(),
            catch_up: false,
            max_runs: None,
        }
    }

    /// By the calendar, in UTC if no time zone is said.
    pub fn cron(
        id: impl Into<String>,
        workflow: impl Into<String>,
        expression: impl Into<String>,
    ) -> Self {
        let cadence = Cadence::Cron { expression: expression.into(), time_zone: "UTC".into() };
        Self::new(id, workflow, cadence)
    }

    /// Again and again after this time, at least 1 s.
    pub fn every(id: impl Into<String>, workflow: impl Into<String>, interval: Duration) -> Self {
        Self::new(id, workflow, Cadence::Every(interval))
    }

    /// What each run is started with, as JSON; null if not said.
    ///
    /// # Errors
    ///
    /// `encoding` if it cannot be written as JSON.
    pub fn input<T: Serialize + ?Sized>(mut self, input: &T) -> Result<Self, Error> {
        self.input = serde_json::to_vec(input).map_err(|error| {
            Error::new(ErrorKind::Encoding, format!("the input of schedule {:?}: {error}", self.id))
        })?;
        Ok(self)
    }

    /// The time zone of a calendar, such as `Europe/Berlin`.
    #[must_use]
    pub fn time_zone(mut self, name: impl Into<String>) -> Self {
        if let Cadence::Cron { time_zone, .. } = &mut self.cadence {
            *time_zone = name.into();
        }
        self
    }

    /// What happens while the last run has not ended; [`Overlap::Skip`] if not
    /// said.
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Whether moments that passed while nobody could serve are made up for by
    /// one run; no if not said.
    #[must_use]
    pub fn catch_up(mut self, catch_up: bool) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// Removes the schedule when it has started so many runs.
    #[must_use]
    pub fn max_runs(mut self, runs: u64) -> Self {
        self.max_runs = Some(runs);
        self
    }

    pub(super) fn checked(self) -> Result<contract::ScheduleDefinition, Error> {
        if self.max_runs == Some(0) {
            return Err(Error::invalid("max_runs is 0, must be at least 1"));
        }
        Ok(contract::ScheduleDefinition {
            id: args::schedule_id("id", &self.id)?,
            workflow: args::name("workflow", &self.workflow)?,
            input: args::body("input", self.input)?,
            cadence: match self.cadence {
                Cadence::Cron { expression, time_zone } => {
                    let expression = args::name("expression", &expression)?;
                    let time_zone = args::name("time_zone", &time_zone)?;
                    contract::Cadence::Cron(contract::Cron { expression, time_zone })
                }
                Cadence::Every(interval) if interval < Duration::from_secs(1) => {
                    return Err(Error::invalid(format!(
                        "every is {interval:?}, must be at least 1 s"
                    )));
                }
                Cadence::Every(interval) => contract::Cadence::EveryMs(args::millis(interval)),
            },
            overlap: self.overlap.into(),
            catch_up: self.catch_up,
            max_runs: self.max_runs,
        })
    }
}

same!(Overlap = contract::Overlap { Skip, Allow, Replace });

impl From<contract::ScheduleStatus> for ScheduleStatus {
    fn from(status: contract::ScheduleStatus) -> Self {
        let definition = status.definition;
        let schedule = Schedule {
            id: definition.id,
            workflow: definition.workflow,
            input: definition.input,
            cadence: match definition.cadence {
                contract::Cadence::Cron(contract::Cron { expression, time_zone }) => {
                    Cadence::Cron { expression, time_zone }
                }
                contract::Cadence::EveryMs(ms) => Cadence::Every(Duration::from_millis(ms)),
            },
            overlap: definition.overlap.into(),
            catch_up: definition.catch_up,
            max_runs: definition.max_runs,
        };
        Self {
            schedule,
            next: status.next_ms.map(at),
            runs: status.runs,
            skipped: status.skipped,
            last_run: status.last_run,
        }
    }
}
