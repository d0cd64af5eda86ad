//! Functions of the workflows.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::client::{Answer, Client, encoded};
use super::{text_or_stdin, watch};
use crate::failure::Failure;
use crate::output;

#[derive(Subcommand)]
pub(super) enum Function {
    /// Define a workflow, or replace its definition for the runs to come
    #[command(name = "workflows.define")]
    Define {
        id: String,
        /// Such as {"steps": [{"id": "charge"}]}; - reads it from stdin
        definition: String,
    },
    /// Forget a definition, and the schedules that start it; runs go on
    #[command(name = "workflows.undefine")]
    Undefine { id: String },
    /// Print all definitions as JSON lines
    #[command(name = "workflows.definitions")]
    Definitions,
    /// Start a run and print its id
    #[command(name = "workflows.start")]
    Start(NewRun),
    /// Start a run, wait for it and print its result; exit code 1 if it is not done
    #[command(name = "workflows.run")]
    Run {
        #[command(flatten)]
        new: NewRun,
        /// How long to wait, at most 5m
        #[arg(long, default_value = "5m", value_name = "DURATION")]
        wait: String,
    },
    /// Print a run with its steps
    #[command(name = "workflows.get")]
    Get {
        run: String,
        /// How long to wait for its end, at most 5m
        #[arg(long, default_value = "0s", value_name = "DURATION")]
        wait: String,
    },
    /// Print runs as JSON lines, the one that started last first
    #[command(name = "workflows.list")]
    List {
        /// Only of this workflow
        #[arg(long, value_name = "ID")]
        workflow: Option<String>,
        /// Only in this state; may be repeated
        #[arg(long, value_name = "STATE")]
        state: Vec<String>,
        /// Only begun by a step of this run
        #[arg(long, value_name = "RUN")]
        parent: Option<String>,
        /// Only begun by this schedule
        #[arg(long, value_name = "ID")]
        schedule: Option<String>,
        /// Go on after an earlier page
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        max: u32,
    },
    /// Say that a run must not go on; what was done is compensated
    #[command(name = "workflows.cancel")]
    Cancel {
        run: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// End a step that waits, with a result
    #[command(name = "workflows.complete")]
    Complete {
        run: String,
        step: String,
        #[command(flatten)]
        result: Body,
    },
    /// Fail a step that waits, for good
    #[command(name = "workflows.fail")]
    Fail { run: String, step: String, reason: String },
    /// Try a step again now, with all its attempts
    #[command(name = "workflows.retry")]
    Retry { run: String, step: String },
    /// Make a schedule, or replace it
    #[command(name = "workflows.schedule")]
    Schedule(NewSchedule),
    /// Remove a schedule; runs that it started go on
    #[command(name = "workflows.unschedule")]
    Unschedule { id: String },
    /// Print all schedules as JSON lines
    #[command(name = "workflows.schedules")]
    Schedules,
    /// Take due tasks and print them as JSON lines; settle each one's token
    #[command(name = "workflows.pull")]
    Pull {
        workflow: String,
        /// Only of this step; may be repeated
        #[arg(long, value_name = "ID")]
        step: Vec<String>,
        /// At most so many
        #[arg(long, default_value_t = 1, value_name = "COUNT")]
        max: u32,
        /// How long to wait for the first one, at most 5m
        #[arg(long, default_value = "0s", value_name = "DURATION")]
        wait: String,
        /// What is not settled by then is due again
        #[arg(long, default_value = "30s", value_name = "DURATION")]
        lease: String,
    },
    /// Record what came of an attempt; exit code 1 if it was lost
    #[command(name = "workflows.settle")]
    Settle {
        /// What the pull printed
        token: String,
        #[arg(value_enum)]
        verdict: Verdict,
        #[command(flatten)]
        result: Body,
        /// Why it failed or was rejected
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lease tasks for longer; exit code 1 if one was lost
    #[command(name = "workflows.extend")]
    Extend {
        #[arg(required = true, value_name = "TOKEN")]
        tokens: Vec<String>,
        /// From now
        #[arg(long, default_value = "30s", value_name = "DURATION")]
        lease: String,
    },
    /// Print runs as they end, as JSON lines, until it is interrupted
    #[command(name = "workflows.watch")]
    Watch {
        /// Only of this workflow
        #[arg(long, value_name = "ID")]
        workflow: Option<String>,
        /// Only this run
        #[arg(long)]
        run: Option<String>,
        /// End after so many
        #[arg(long)]
        count: Option<u64>,
    },
}

/// A body: JSON, or bytes.
#[derive(Args)]
pub(super) struct Body {
    /// JSON; - reads it from stdin [default: null]
    #[arg(value_name = "JSON")]
    body: Option<String>,
    /// It is bytes, not JSON
    #[arg(long, requires = "body")]
    raw: bool,
}

fn as_json(bytes: &[u8]) -> Result<Box<RawValue>, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::other(
            format!("the body is not JSON: {error}"),
            "write text in double quotes within single ones: '\"text\"', or send bytes as they \
             are with --raw",
        )
    })
}

/// A body on its way; JSON stays as it was written.
#[derive(Default)]
struct Encoded {
    json: Option<Box<RawValue>>,
    base64: Option<String>,
}

impl Encoded {
    fn of(body: Body) -> Result<Self, Failure> {
        let Some(text) = body.body else { return Ok(Self::default()) };
        let bytes = text_or_stdin(text)?;
        if body.raw {
            return Ok(Self { json: None, base64: Some(BASE64_STANDARD.encode(bytes)) });
        }
        Ok(Self { json: Some(as_json(&bytes)?), base64: None })
    }
}

#[derive(Args)]
pub(super) struct NewRun {
    workflow: String,
    #[command(flatten)]
    input: Body,
    /// A run id runs once [default: one that no run has]
    #[arg(long, value_name = "ID")]
    run: Option<String>,
}

#[derive(Serialize)]
struct StartBody {
    workflow: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_base64: Option<String>,
}

impl NewRun {
    async fn start(self, client: &Client) -> Result<Answer, Failure> {
        let Self { workflow, input, run } = self;
        let Encoded { json: input, base64: input_base64 } = Encoded::of(input)?;
        let body = StartBody { workflow, run, input, input_base64 };
        client.post("/v1/workflows/start", &body).await
    }
}

#[derive(Args)]
pub(super) struct NewSchedule {
    id: String,
    workflow: String,
    #[command(flatten)]
    input: Body,
    /// Such as '0 3 * * *'
    #[arg(long, conflicts_with = "every", required_unless_present = "every")]
    cron: Option<String>,
    /// Of --cron [default: UTC]
    #[arg(long, value_name = "NAME", requires = "cron")]
    time_zone: Option<String>,
    /// At least 1s
    #[arg(long, value_name = "DURATION")]
    every: Option<String>,
    /// What happens while the last run has not ended: skip, allow or replace
    #[arg(long, default_value = "skip")]
    overlap: String,
    /// Make up by one run for what was missed while nobody could serve
    #[arg(long)]
    catch_up: bool,
    /// Remove it when it has started so many runs
    #[arg(long, value_name = "COUNT")]
    max_runs: Option<u64>,
}

#[derive(Serialize)]
struct ScheduleBody {
    workflow: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<String>,
    overlap: String,
    catch_up: bool,
    max_runs: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// Done, with the result
    Done,
    /// There was nothing to do
    Skipped,
    /// It goes on elsewhere, until the step is completed
    Waiting,
    /// Tried again if attempts are left
    Failed,
    /// Failed for good
    Rejected,
    /// Not tried: due again at once
    Returned,
}

#[derive(Serialize)]
struct OutcomeBody {
    token: String,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct CompleteBody {
    run: String,
    step: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_base64: Option<String>,
}

#[derive(Deserialize)]
struct Started {
    run: String,
}

#[derive(Deserialize)]
struct Run {
    state: String,
    cause: Option<Cause>,
    result: Option<Box<RawValue>>,
    result_base64: Option<String>,
}

#[derive(Deserialize)]
struct Cause {
    kind: String,
    step: Option<String>,
    reason: String,
}

/// The list in an answer, whatever it is of.
#[derive(Deserialize)]
struct List {
    #[serde(alias = "workflows", alias = "schedules", alias = "tasks")]
    runs: Vec<Box<RawValue>>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Lost {
    lost: Vec<String>,
}

const DEFINITION: &str = "/v1/workflows/definition";
const SCHEDULE: &str = "/v1/workflows/schedule";

impl Function {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<(), Failure> {
        match self {
            Self::Define { id, definition } => {
                let body = as_json(&text_or_stdin(definition)?)?;
                let query = [("id", id.as_str())];
                client.ask(Method::PUT, DEFINITION, &query, encoded(&body)?).await?.print()
            }
            Self::Undefine { id } => {
                let query = [("id", id.as_str())];
                client.ask(Method::DELETE, DEFINITION, &query, Vec::new()).await?.print()
            }
            Self::Definitions => lines(&client.get("/v1/workflows/definitions", &[]).await?, json),
            Self::Start(new) => {
                let answer = new.start(client).await?;
                if json {
                    return answer.print();
                }
                output::line(&answer.read::<Started>()?.run)?;
                Ok(())
            }
            Self::Run { new, wait } => {
                let Started { run } = new.start(client).await?.read()?;
                let query = [("run", run.as_str()), ("wait", wait.as_str())];
                result(&client.get("/v1/workflows/run", &query).await?, &run, json)
            }
            Self::Get { run, wait } => {
                let query = [("run", run.as_str()), ("wait", wait.as_str())];
                client.get("/v1/workflows/run", &query).await?.print()
            }
            Self::List { workflow, state, parent, schedule, after, max } => {
                let max = max.to_string();
                let mut query = vec![("max", max.as_str())];
                query.extend(state.iter().map(|state| ("state", state.as_str())));
                for (name, value) in [
                    ("workflow", &workflow),
                    ("parent", &parent),
                    ("schedule", &schedule),
                    ("after", &after),
                ] {
                    query.extend(value.as_deref().map(|value| (name, value)));
                }
                lines(&client.get("/v1/workflows/runs", &query).await?, json)
            }
            Self::Cancel { run, reason } => {
                let body = json!({"run": run, "reason": reason});
                client.post("/v1/workflows/cancel", &body).await?.print()
            }
            Self::Complete { run, step, result } => {
                let Encoded { json: result, base64: result_base64 } = Encoded::of(result)?;
                let body = CompleteBody { run, step, result, result_base64 };
                client.post("/v1/workflows/complete", &body).await?.print()
            }
            Self::Fail { run, step, reason } => {
                let body =
                    json!({"run": run, "step": step, "verdict": "rejected", "reason": reason});
                client.post("/v1/workflows/complete", &body).await?.print()
            }
            Self::Retry { run, step } => {
                let body = json!({"run": run, "step": step});
                client.post("/v1/workflows/retry", &body).await?.print()
            }
            Self::Schedule(new) => schedule(client, new).await,
            Self::Unschedule { id } => {
                let query = [("id", id.as_str())];
                client.ask(Method::DELETE, SCHEDULE, &query, Vec::new()).await?.print()
            }
            Self::Schedules => lines(&client.get("/v1/workflows/schedules", &[]).await?, json),
            Self::Pull { workflow, step, max, wait, lease } => {
                let selector = json!({"workflow": workflow, "steps": step});
                let body =
                    json!({"workflows": [selector], "max": max, "wait": wait, "lease": lease});
                lines(&client.post("/v1/workflows/pull", &body).await?, json)
            }
            Self::Settle { token, verdict, result, reason } => {
                let Encoded { json: result, base64: result_base64 } = Encoded::of(result)?;
                let outcome = OutcomeBody { token, verdict, result, result_base64, reason };
                let body = Outcomes { outcomes: [outcome] };
                kept(&client.post("/v1/workflows/settle", &body).await?, json)
            }
            Self::Extend { tokens, lease } => {
                let body = json!({"tokens": tokens, "lease": lease});
                kept(&client.post("/v1/workflows/extend", &body).await?, json)
            }
            Self::Watch { workflow, run, count } => {
                let mut query = Vec::new();
                query.extend(workflow.as_deref().map(|workflow| ("workflow", workflow)));
                query.extend(run.as_deref().map(|run| ("run", run)));
                watch::run(client, "/v1/workflows/watch", &query, count).await
            }
        }
    }
}

#[derive(Serialize)]
struct Outcomes {
    outcomes: [OutcomeBody; 1],
}

async fn schedule(client: &Client, new: NewSchedule) -> Result<(), Failure> {
    let Encoded { json: input, base64: input_base64 } = Encoded::of(new.input)?;
    let body = ScheduleBody {
        workflow: new.workflow,
        input,
        input_base64,
        cron: new.cron,
        time_zone: new.time_zone,
        every: new.every,
        overlap: new.overlap,
        catch_up: new.catch_up,
        max_runs: new.max_runs,
    };
    let query = [("id", new.id.as_str())];
    client.ask(Method::PUT, SCHEDULE, &query, encoded(&body)?).await?.print()
}

/// Prints the result of a run that is done; fails with the cause of another.
fn result(answer: &Answer, id: &str, json: bool) -> Result<(), Failure> {
    let run: Run = answer.read()?;
    if json {
        answer.print()?;
        return if run.state == "done" { Ok(()) } else { Err(Failure::Told) };
    }
    if run.state != "done" {
        let why = run.cause.map(|Cause { kind, step, reason }| {
            let step = step.map(|step| format!(" in step {step:?}")).unwrap_or_default();
            format!(": {kind}{step}: {reason}")
        });
        return Err(Failure::Answer {
            kind: run.state,
            message: format!("the run {id:?} is not done{}", why.unwrap_or_default()),
        });
    }
    match (run.result, run.result_base64) {
        (Some(result), _) => output::line(result.get())?,
        (None, Some(base64)) => match BASE64_STANDARD.decode(base64) {
            Ok(bytes) => output::bytes(&bytes)?,
            Err(error) => {
                return Err(Failure::other(
                    format!("the answer cannot be understood: {error}"),
                    "the server may have another version; compare with `stheno --version`",
                ));
            }
        },
        (None, None) => {}
    }
    Ok(())
}

fn lines(answer: &Answer, json: bool) -> Result<(), Failure> {
    if json {
        return answer.print();
    }
    let List { runs, next } = answer.read()?;
    for one in runs {
        output::line(one.get())?;
    }
    if let Some(next) = next {
        eprintln!("there are more: --after {next}");
    }
    Ok(())
}

/// Fails if a lease was lost.
fn kept(answer: &Answer, json: bool) -> Result<(), Failure> {
    if json {
        answer.print()?;
    }
    let lost = answer.read::<Lost>()?.lost;
    if lost.is_empty() {
        return Ok(());
    }
    if !json {
        eprintln!("error: lost-lease: {} ran out, or was settled before", lost.join(", "));
    }
    Err(Failure::Told)
}
