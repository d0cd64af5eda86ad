//! Definitions of workflows and schedules, as they are kept in rows.

use stheno_sdk::workflows::{
    Cadence, Condition, Cron, Definition, Failure, Overlap, Retries, ScheduleDefinition, Source,
    Step, Test, Work,
};

use super::coding::{Input, Output};

pub(super) fn definition(definition: &Definition) -> Vec<u8> {
    Output::default()
        .text(&definition.id)
        .list(definition.steps.iter(), step)
        .maybe(definition.result_from.as_deref(), Output::text)
        .maybe(definition.timeout_ms, Output::number)
        .maybe(definition.retention_ms, Output::number)
        .flag(definition.finish)
        .end()
}

pub(super) fn read_definition(row: &[u8]) -> Option<Definition> {
    let mut row = Input::new(row);
    let definition = Definition {
        id: row.text()?,
        steps: row.list(read_step)?,
        result_from: row.maybe(Input::text)?,
        timeout_ms: row.maybe(Input::number)?,
        retention_ms: row.maybe(Input::number)?,
        finish: row.flag()?,
    };
    row.end(definition)
}

fn step(out: Output, step: &Step) -> Output {
    let out = out
        .text(&step.id)
        .list(step.after.iter(), |out, id| out.text(id))
        .list(step.when.iter(), condition);
    let out = match &step.work {
        Work::Handler => out.tag(0),
        Work::Wait => out.tag(1),
        Work::Nested((workflow, input)) => {
            out.tag(2).text(workflow).maybe(input.as_deref(), Output::text)
        }
    };
    let Retries { attempts, initial_ms, max_ms, automatic } = step.retries;
    let out = out.small(attempts).number(initial_ms).number(max_ms).flag(automatic);
    let out = out.maybe(step.timeout_ms, Output::number);
    match &step.on_failure {
        Failure::Revert => out.tag(0),
        Failure::Proceed => out.tag(1),
        Failure::SkipTo(id) => out.tag(2).text(id),
        Failure::SkipRest => out.tag(3),
    }
    .flag(step.compensates)
}

fn read_step(row: &mut Input<'_>) -> Option<Step> {
    let id = row.text()?;
    let after = row.list(Input::text)?;
    let when = row.list(read_condition)?;
    let work = match row.tag()? {
        0 => Work::Handler,
        1 => Work::Wait,
        2 => Work::Nested((row.text()?, row.maybe(Input::text)?)),
        _ => return None,
    };
    let retries = Retries {
        attempts: row.small()?,
        initial_ms: row.number()?,
        max_ms: row.number()?,
        automatic: row.flag()?,
    };
    let timeout_ms = row.maybe(Input::number)?;
    let on_failure = match row.tag()? {
        0 => Failure::Revert,
        1 => Failure::Proceed,
        2 => Failure::SkipTo(row.text()?),
        3 => Failure::SkipRest,
        _ => return None,
    };
    let compensates = row.flag()?;
    Some(Step { id, after, when, work, retries, timeout_ms, on_failure, compensates })
}

fn condition(out: Output, condition: &Condition) -> Output {
    let out = match &condition.source {
        Source::Input => out.tag(0),
        Source::Step(id) => out.tag(1).text(id),
    };
    let out = out.text(&condition.pointer);
    match &condition.test {
        Test::Present => out.tag(0),
        Test::Truthy => out.tag(1),
        Test::Equals(json) => out.tag(2).text(json),
    }
    .flag(condition.negated)
}

fn read_condition(row: &mut Input<'_>) -> Option<Condition> {
    let source = match row.tag()? {
        0 => Source::Input,
        1 => Source::Step(row.text()?),
        _ => return None,
    };
    let pointer = row.text()?;
    let test = match row.tag()? {
        0 => Test::Present,
        1 => Test::Truthy,
        2 => Test::Equals(row.text()?),
        _ => return None,
    };
    Some(Condition { source, pointer, test, negated: row.flag()? })
}

pub(super) fn schedule_definition(out: Output, definition: &ScheduleDefinition) -> Output {
    let out = out.text(&definition.id).text(&definition.workflow).bytes(&definition.input);
    let out = match &definition.cadence {
        Cadence::Cron(cron) => out.tag(0).text(&cron.expression).text(&cron.time_zone),
        Cadence::EveryMs(ms) => out.tag(1).number(*ms),
    };
    out.tag(match definition.overlap {
        Overlap::Skip => 0,
        Overlap::Allow => 1,
        Overlap::Replace => 2,
    })
    .flag(definition.catch_up)
    .maybe(definition.max_runs, Output::number)
}

pub(super) fn read_schedule_definition(row: &mut Input<'_>) -> Option<ScheduleDefinition> {
    let (id, workflow, input) = (row.text()?, row.text()?, row.bytes()?.to_vec());
    let cadence = match row.tag()? {
        0 => Cadence::Cron(Cron { expression: row.text()?, time_zone: row.text()? }),
        1 => Cadence::EveryMs(row.number()?),
        _ => return None,
    };
    let overlap = match row.tag()? {
        0 => Overlap::Skip,
        1 => Overlap::Allow,
        2 => Overlap::Replace,
        _ => return None,
    };
    let (catch_up, max_runs) = (row.flag()?, row.maybe(Input::number)?);
    Some(ScheduleDefinition { id, workflow, input, cadence, overlap, catch_up, max_runs })
}
