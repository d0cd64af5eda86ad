//! Runs one day of the shop and prints how it went.
//!
//! Exit codes: 0 if every total is right, 1 if one is not or the day could not be
//! brought to its end, 2 for arguments that cannot be understood.

mod print;
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use stheno::Runtime;
use stheno::config::{Config, process_env};
use storefront::{Day, Feed, Plan, Progress};
use tokio::sync::watch;

use print::Outcome;

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const PATIENCE: Duration = Duration::from_secs(60);

/// Run one day of a shop whose infrastructure is Stheno's
#[derive(Parser)]
#[command(name = "storefront")]
struct Arguments {
    /// Take the providers from this stheno.toml; without it from the storefront's own
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take `orders.jsonl` and `catalogue.jsonl` from this folder; without it from
    /// the storefront's own
    #[arg(long, value_name = "FOLDER")]
    feed: Option<PathBuf>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    match run(arguments).await {
        Ok(outcome) => {
            if json {
                println!("{}", outcome.to_json());
            } else {
                print!("{outcome}");
            }
            if outcome.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The error is text for a person.
async fn run(arguments: Arguments) -> Result<Outcome, String> {
    let here = PathBuf::from(HERE);
    let config = arguments.config.unwrap_or_else(|| here.join("stheno.toml"));
    // `Debug` of a config's error is the report with lines and help.
    let config = Config::load(config, &process_env).map_err(|error| format!("{error:?}"))?;
    let feed = Feed::read(&arguments.feed.unwrap_or_else(|| here.join("feed")))
        .map_err(|error| format!("error: {error}"))?;

    let began = Instant::now();
    let runtime = Runtime::builder().config(config).build().await;
    let runtime = runtime.map_err(|error| format!("{error:?}"))?;
    let start = began.elapsed();

    let plan = Plan { day: today(), feed, patience: PATIENCE };
    let (sender, receiver) = watch::channel(Progress::new(&plan.feed));
    let shown = tokio::spawn(progress::show(receiver));
    let report = storefront::open(&runtime, &plan, sender).await;
    // It ends with the day.
    let _ = shown.await;
    let stopped = runtime.shutdown().await;
    let report = report.map_err(|error| format!("error: {error}"))?;
    stopped.map_err(|error| format!("error: stopping the providers: {error}"))?;
    Ok(Outcome { wrong: report.mismatches(), report, start, whole: began.elapsed() })
}

/// Each run is a day of its own.
fn today() -> Day {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Day::new(&now.as_millis().to_string())
}
