//! Runs one day of the shop and prints how it went.
//!
//! Exit codes: 0 if every total is right, 1 if one is not or the day could not
//! be brought to its end, 2 for arguments that cannot be understood.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use stheno::config::{Config, ModuleName, process_env};
use stheno::{ProviderStatus, Runtime};
use storefront::{Feed, Grouped, Plan, Report, Work};

const USAGE: &str = "\
Run one day of a shop whose cache and events are served by Stheno

Usage: storefront [--config FILE]

  --config FILE  take the providers from this stheno.toml; without it every
                 module runs on its local provider
  --help         print this";

const ORDERS: u32 = 5_000;
const SEED: u64 = 1;
/// Every so many orders the first letter bounces once.
const BOUNCE_EVERY: u32 = 50;
const PATIENCE: Duration = Duration::from_secs(60);

enum Arguments {
    Run { config: Option<PathBuf> },
    Help,
}

/// What is wrong with the arguments is the error.
fn arguments() -> Result<Arguments, String> {
    let mut config = None;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--help" | "-h") => return Ok(Arguments::Help),
            Some("--config") if config.is_some() => return Err("--config is given twice".into()),
            Some("--config") => match arguments.next() {
                Some(file) => config = Some(PathBuf::from(file)),
                None => return Err("--config needs the path of a stheno.toml".into()),
            },
            _ => return Err(format!("{argument:?} is not an option of this program")),
        }
    }
    Ok(Arguments::Run { config })
}

#[tokio::main]
async fn main() -> ExitCode {
    let config = match arguments() {
        Ok(Arguments::Run { config }) => config,
        Ok(Arguments::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("error: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(config).await {
        Ok(wrong) if wrong.is_empty() => {
            println!("\nEvery total is what the input says.");
            ExitCode::SUCCESS
        }
        Ok(wrong) => {
            eprintln!("\nerror: the totals are not what the input says");
            for line in wrong {
                eprintln!("  {line}");
            }
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Gives what does not add up. The error is text for a person.
async fn run(config: Option<PathBuf>) -> Result<Vec<String>, String> {
    let config = match config {
        // `Debug` of a config's error is the report with lines and help.
        Some(file) => Config::load(file, &process_env).map_err(|error| format!("{error:?}"))?,
        None => Config::default(),
    };
    let began = Instant::now();
    let runtime = Runtime::builder().config(config).build().await;
    let runtime = runtime.map_err(|error| format!("{error:?}"))?;
    let start = began.elapsed();

    let plan =
        Plan { feed: Feed::generate(ORDERS, SEED), bounce_every: BOUNCE_EVERY, patience: PATIENCE };
    let report = storefront::open(&runtime, &plan).await;
    let status = runtime.status().await;
    let stopped = runtime.shutdown().await;
    let report = report.map_err(|error| format!("error: {error}"))?;
    stopped.map_err(|error| format!("error: stopping the providers: {error}"))?;

    print_modules(&report, &status);
    print_subscribers(&report);
    print_dead_letters(&report);
    print_times(&report, start);
    print_totals(&report);
    Ok(report.mismatches())
}

fn print_modules(report: &Report, status: &[ProviderStatus]) {
    println!("{:<8} {:<24} {:<8} {:<52} MEAN", "MODULE", "SERVED BY", "HEALTH", "DID");
    for provider in status {
        let served_by = format!("{} {}", provider.info.name, provider.info.version);
        let health = match &provider.health {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.kind().as_str().to_owned(),
        };
        let (did, work) = match provider.module {
            ModuleName::Cache => (cache_did(report), report.lookups),
            ModuleName::Events => (events_did(report), report.groups),
            // A module that the shop has no use for.
            _ => continue,
        };
        let Work { mean, .. } = work;
        let module = provider.module.to_string();
        println!("{module:<8} {served_by:<24} {health:<8} {did:<52} {mean:.1?}");
    }
}

fn cache_did(report: &Report) -> String {
    let (lookups, reads) = (Grouped(report.lookups.count), Grouped(report.catalogue_reads));
    format!("{lookups} prices looked up, {reads} of them computed")
}

fn events_did(report: &Report) -> String {
    let (groups, released) = (Grouped(report.groups.count), Grouped(report.released));
    let discarded = Grouped(report.discarded);
    format!("{groups} groups: {released} events out, {discarded} discarded")
}

fn print_subscribers(report: &Report) {
    println!("\nSUBSCRIBER RECEIVES         HANDLED  RETRIED  REPEATS  LEFT");
    for subscriber in &report.subscribers {
        println!(
            "{:<10} {:<14} {:>9} {:>8} {:>8} {:>5}",
            subscriber.id,
            subscriber.pattern,
            Grouped(subscriber.handled),
            Grouped(subscriber.later_attempts),
            Grouped(subscriber.repeats),
            Grouped(subscriber.left),
        );
    }
}

fn print_dead_letters(report: &Report) {
    println!("\nDEAD LETTERS (replayed: {})", report.replayed);
    for letter in &report.dead_letters {
        println!("{}: {}, {}", letter.subscription, letter.event.name, letter.reason);
    }
}

fn print_times(report: &Report, start: Duration) {
    let day = report.day;
    println!("\nTIME");
    for (part, time) in [
        ("starting the providers", start),
        ("taking all orders", day.orders),
        ("handling the rest", day.handling),
        ("dead letters", day.replay),
    ] {
        println!("{part:<24} {time:>9.1?}");
    }
}

fn print_totals(report: &Report) {
    println!("\n{:<16} {:>14} {:>14}", "TOTAL", "FOUND", "FROM THE INPUT");
    for ((name, found, money), (_, expected, _)) in
        report.found.rows().into_iter().zip(report.expected.rows())
    {
        let (found, expected) = (shown(found, money), shown(expected, money));
        println!("{name:<16} {found:>14} {expected:>14}");
    }
}

fn shown(number: u64, is_cents: bool) -> String {
    if is_cents {
        format!("{}.{:02}", Grouped(number / 100), number % 100)
    } else {
        Grouped(number).to_string()
    }
}
