//! What a durable engine keeps in its store, row by row.
//!
//! | key | value |
//! |---|---|
//! | `Meta` | what this store is, and where names were counted from last |
//! | `Plan(serial)` | a definition, and whether it is the one in force |
//! | `Run(serial, Header)` | what a run was started with |
//! | `Run(serial, Invoke(step))` | how far a step is, and its result |
//! | `Run(serial, State)` | how far the run is, once it is not just running |
//! | `Run(serial, Undo(step))` | how far the compensation of a step is |
//! | `Schedule(serial)` | a schedule and what it has done |
//!
//! A row is written when what it holds changes, and nothing is written twice: a
//! result stands in the row of its step, which does not change once the step has
//! ended. A step without a row has not begun, or is due for the first time; which
//! of the two, the others say. Moments are kept in Unix time.

use stheno_sdk::workflows::{Cause, CauseKind, Fault, RunState, ScheduleDefinition};

use super::coding::{Input, Output};
use super::run::Outcome;

pub(super) use super::definitions::{
    definition, read_definition, read_schedule_definition, schedule_definition,
};

/// Says that a store is one of ours, and how its rows are written.
const FORMAT: &str = "workflows-local 1";

/// Which row of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Header,
    Invoke(u16),
    State,
    Undo(u16),
}

/// What a row is about. Rows are read in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Meta,
    Plan(u64),
    Run(u64, Part),
    Schedule(u64),
}

impl Key {
    /// The longest one.
    pub(super) const MAX_BYTES: usize = 12;

    /// The run that the row belongs to.
    pub(super) fn run(self) -> Option<u64> {
        match self {
            Self::Run(serial, _) => Some(serial),
            _ => None,
        }
    }

    pub(super) fn encode(self) -> Vec<u8> {
        let mut key = Vec::with_capacity(Self::MAX_BYTES);
        let (tag, serial) = match self {
            Self::Meta => (0, None),
            Self::Plan(serial) => (1, Some(serial)),
            Self::Run(serial, _) => (2, Some(serial)),
            Self::Schedule(serial) => (3, Some(serial)),
        };
        key.push(tag);
        if let Some(serial) = serial {
            key.extend_from_slice(&serial.to_be_bytes());
        }
        if let Self::Run(_, part) = self {
            let (tag, step) = match part {
                Part::Header => (0, None),
                Part::Invoke(step) => (1, Some(step)),
                Part::State => (2, None),
                Part::Undo(step) => (3, Some(step)),
            };
            key.push(tag);
            if let Some(step) = step {
                key.extend_from_slice(&step.to_be_bytes());
            }
        }
        key
    }

    pub(super) fn decode(key: &[u8]) -> Option<Self> {
        let (&tag, rest) = key.split_first()?;
        let serial = || rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let decoded = match tag {
            0 => Self::Meta,
            1 => Self::Plan(serial()?),
            2 => {
                let (&part, step) = rest.get(8..)?.split_first()?;
                let step = || step.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                let part = match part {
                    0 => Part::Header,
                    1 => Part::Invoke(step()?),
                    2 => Part::State,
                    3 => Part::Undo(step()?),
                    _ => return None,
                };
                Self::Run(serial()?, part)
            }
            3 => Self::Schedule(serial()?),
            _ => return None,
        };
        // One key, one spelling.
        (decoded.encode() == key).then_some(decoded)
    }
}

/// Where a job stands, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Idle,
    Due,
    Leased { slot: u64, number: u64, end: u64 },
    Backoff,
    Waiting,
    Stalled,
    Nested,
}

/// A job as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CourseRow {
    pub(super) standing: Standing,
    pub(super) made: u32,
    pub(super) lost: u32,
    pub(super) until: Option<u64>,
}

/// What a run was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: String,
    pub(super) named: bool,
    pub(super) plan: u64,
    pub(super) input: Vec<u8>,
    pub(super) started_ms: u64,
    /// Serial, step, id of the run and of the step.
    pub(super) parent: Option<(u64, u16, String, String)>,
    pub(super) depth: u32,
    pub(super) schedule: Option<String>,
}

/// A step as it is kept.
pub(super) struct InvokeRow {
    pub(super) outcome: Outcome,
    pub(super) course: CourseRow,
    pub(super) unknown: bool,
    pub(super) ended_ms: Option<u64>,
    pub(super) result: Option<Vec<u8>>,
    pub(super) faults: Vec<Fault>,
}

/// A run's state as it is kept.
pub(super) struct StateRow {
    pub(super) state: RunState,
    pub(super) cause: Option<Cause>,
    pub(super) ended_ms: Option<u64>,
    pub(super) finish: Option<CourseRow>,
    pub(super) told: bool,
}

/// A compensation as it is kept.
pub(super) struct UndoRow {
    pub(super) course: CourseRow,
    pub(super) reverted_ms: Option<u64>,
    pub(super) stuck: bool,
    pub(super) faults: Vec<Fault>,
}

/// A schedule as it is kept.
pub(super) struct ScheduleRow {
    pub(super) definition: ScheduleDefinition,
    pub(super) made_ms: u64,
    pub(super) next_ms: u64,
    pub(super) runs: u64,
    pub(super) skipped: u64,
    pub(super) last_run: Option<String>,
}

pub(super) fn meta(origin: u64) -> Vec<u8> {
    Output::default().text(FORMAT).number(origin).end()
}

/// The origin, if the store is one of ours.
pub(super) fn read_meta(row: &[u8]) -> Option<u64> {
    let mut row = Input::new(row);
    (row.bytes()? == FORMAT.as_bytes()).then_some(())?;
    let origin = row.number()?;
    row.end(origin)
}

fn write_course(out: Output, course: CourseRow) -> Output {
    let CourseRow { standing, made, lost, until } = course;
    let out = match standing {
        Standing::Idle => out.tag(0),
        Standing::Due => out.tag(1),
        Standing::Leased { slot, number, end } => {
            out.tag(2).number(slot).number(number).number(end)
        }
        Standing::Backoff => out.tag(3),
        Standing::Waiting => out.tag(4),
        Standing::Stalled => out.tag(5),
        Standing::Nested => out.tag(6),
    };
    out.small(made).small(lost).maybe(until, Output::number)
}

fn read_course(row: &mut Input<'_>) -> Option<CourseRow> {
    let standing = match row.tag()? {
        0 => Standing::Idle,
        1 => Standing::Due,
        2 => Standing::Leased { slot: row.number()?, number: row.number()?, end: row.number()? },
        3 => Standing::Backoff,
        4 => Standing::Waiting,
        5 => Standing::Stalled,
        6 => Standing::Nested,
        _ => return None,
    };
    let (made, lost) = (row.small()?, row.small()?);
    Some(CourseRow { standing, made, lost, until: row.maybe(Input::number)? })
}

fn write_fault(out: Output, fault: &Fault) -> Output {
    let Fault { at_ms, compensation, attempt, reason } = fault;
    out.number(*at_ms).flag(*compensation).small(*attempt).text(reason)
}

fn read_fault(row: &mut Input<'_>) -> Option<Fault> {
    Some(Fault {
        at_ms: row.number()?,
        compensation: row.flag()?,
        attempt: row.small()?,
        reason: row.text()?,
    })
}

pub(super) fn header(header: &Header) -> Vec<u8> {
    Output::default()
        .text(&header.id)
        .flag(header.named)
        .number(header.plan)
        .bytes(&header.input)
        .number(header.started_ms)
        .maybe(header.parent.as_ref(), |out, (serial, step, run, id)| {
            out.number(*serial).small((*step).into()).text(run).text(id)
        })
        .small(header.depth)
        .maybe(header.schedule.as_deref(), Output::text)
        .end()
}

pub(super) fn read_header(row: &[u8]) -> Option<Header> {
    let mut row = Input::new(row);
    let header = Header {
        id: row.text()?,
        named: row.flag()?,
        plan: row.number()?,
        input: row.bytes()?.to_vec(),
        started_ms: row.number()?,
        parent: row.maybe(|row| Some((row.number()?, row.place()?, row.text()?, row.text()?)))?,
        depth: row.small()?,
        schedule: row.maybe(Input::text)?,
    };
    row.end(header)
}

pub(super) fn invoke<'f>(
    row: &InvokeRow,
    result: Option<&[u8]>,
    faults: impl ExactSizeIterator<Item = &'f Fault>,
) -> Vec<u8> {
    let outcome = match row.outcome {
        Outcome::Open => 0,
        Outcome::Done => 1,
        Outcome::Failed => 2,
        Outcome::Skipped => 3,
        Outcome::PassedOver => 4,
    };
    write_course(Output::default().tag(outcome), row.course)
        .flag(row.unknown)
        .maybe(row.ended_ms, Output::number)
        .maybe(result, Output::bytes)
        .list(faults, write_fault)
        .end()
}

pub(super) fn read_invoke(row: &[u8]) -> Option<InvokeRow> {
    let mut row = Input::new(row);
    let outcome = match row.tag()? {
        0 => Outcome::Open,
        1 => Outcome::Done,
        2 => Outcome::Failed,
        3 => Outcome::Skipped,
        4 => Outcome::PassedOver,
        _ => return None,
    };
    let read = InvokeRow {
        outcome,
        course: read_course(&mut row)?,
        unknown: row.flag()?,
        ended_ms: row.maybe(Input::number)?,
        result: row.maybe(|row| row.bytes().map(<[u8]>::to_vec))?,
        faults: row.list(read_fault)?,
    };
    row.end(read)
}

pub(super) fn state(row: &StateRow, cause: Option<&Cause>) -> Vec<u8> {
    let state = match row.state {
        RunState::Running => 0,
        RunState::Stopping => 1,
        RunState::Compensating => 2,
        RunState::Done => 3,
        RunState::Reverted => 4,
        RunState::Failed => 5,
    };
    Output::default()
        .tag(state)
        .maybe(cause, |out, Cause { kind, step, reason }| {
            let kind = match kind {
                CauseKind::StepFailed => 0,
                CauseKind::Cancelled => 1,
                CauseKind::TimedOut => 2,
            };
            out.tag(kind).maybe(step.as_deref(), Output::text).text(reason)
        })
        .maybe(row.ended_ms, Output::number)
        .maybe(row.finish, write_course)
        .flag(row.told)
        .end()
}

pub(super) fn read_state(row: &[u8]) -> Option<StateRow> {
    let mut row = Input::new(row);
    let state = match row.tag()? {
        0 => RunState::Running,
        1 => RunState::Stopping,
        2 => RunState::Compensating,
        3 => RunState::Done,
        4 => RunState::Reverted,
        5 => RunState::Failed,
        _ => return None,
    };
    let cause = row.maybe(|row| {
        let kind = match row.tag()? {
            0 => CauseKind::StepFailed,
            1 => CauseKind::Cancelled,
            2 => CauseKind::TimedOut,
            _ => return None,
        };
        Some(Cause { kind, step: row.maybe(Input::text)?, reason: row.text()? })
    })?;
    let ended_ms = row.maybe(Input::number)?;
    let read =
        StateRow { state, cause, ended_ms, finish: row.maybe(read_course)?, told: row.flag()? };
    row.end(read)
}

pub(super) fn undo<'f>(row: &UndoRow, faults: impl ExactSizeIterator<Item = &'f Fault>) -> Vec<u8> {
    write_course(Output::default(), row.course)
        .maybe(row.reverted_ms, Output::number)
        .flag(row.stuck)
        .list(faults, write_fault)
        .end()
}

pub(super) fn read_undo(row: &[u8]) -> Option<UndoRow> {
    let mut row = Input::new(row);
    let read = UndoRow {
        course: read_course(&mut row)?,
        reverted_ms: row.maybe(Input::number)?,
        stuck: row.flag()?,
        faults: row.list(read_fault)?,
    };
    row.end(read)
}

pub(super) fn plan(definition: &stheno_sdk::workflows::Definition, in_force: bool) -> Vec<u8> {
    let mut row = vec![u8::from(in_force)];
    row.extend(self::definition(definition));
    row
}

pub(super) fn read_plan(row: &[u8]) -> Option<(stheno_sdk::workflows::Definition, bool)> {
    let (&in_force, rest) = row.split_first()?;
    Some((read_definition(rest)?, in_force == 1))
}

pub(super) fn schedule(row: &ScheduleRow) -> Vec<u8> {
    schedule_definition(Output::default(), &row.definition)
        .number(row.made_ms)
        .number(row.next_ms)
        .number(row.runs)
        .number(row.skipped)
        .maybe(row.last_run.as_deref(), Output::text)
        .end()
}

pub(super) fn read_schedule(row: &[u8]) -> Option<ScheduleRow> {
    let mut row = Input::new(row);
    let read = ScheduleRow {
        definition: read_schedule_definition(&mut row)?,
        made_ms: row.number()?,
        next_ms: row.number()?,
        runs: row.number()?,
        skipped: row.number()?,
        last_run: row.maybe(Input::text)?,
    };
    row.end(read)
}
