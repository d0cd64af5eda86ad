//! The benchmarks behind `docs/performance.md`.
//!
//! Each measurement stands beside its native equivalent, taken in the same
//! process just before it: absolute figures drift with the machine, the ratio
//! much less. Run them with `./justw bench [NAME] [--json]`.

mod analytics_local;
mod cache_memory;
mod cache_redis;
mod events_durable;
mod events_local;
mod files_local;
mod files_s3;
mod http;
mod locking_local;
mod locking_postgres;
mod locking_redis;
mod measure;
mod native;
mod start;
mod transfer;
mod workflows_local;

use std::path::Path;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use stheno_test_support::ObjectServer;

use measure::Row;

/// Measures Stheno beside its native equivalents.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything if not said.
    #[arg(value_enum)]
    bench: Option<Bench>,
    /// One JSON object per line instead of a table.
    #[arg(long)]
    json: bool,
    /// How long each case runs, in milliseconds.
    #[arg(long, default_value_t = 3_000)]
    millis: u64,
    /// How many threads run the callers.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// The cache on its local provider.
    CacheMemory,
    /// The cache on Redis.
    CacheRedis,
    /// The events on their local provider.
    EventsLocal,
    /// The locks on their local provider.
    LockingLocal,
    /// The locks on Redis.
    LockingRedis,
    /// The locks on PostgreSQL.
    LockingPostgres,
    /// The events on their local provider, in a store.
    EventsDurable,
    /// The analytics on their local provider, in files.
    AnalyticsLocal,
    /// The workflows on their local provider, in memory and in a store.
    WorkflowsLocal,
    /// The files on their local provider.
    FilesLocal,
    /// The files on S3.
    FilesS3,
    /// A request through a guest.
    Http,
    /// From `stheno up` to ready.
    Start,
}

fn main() -> anyhow::Result<()> {
    // No benchmark is called like a folder: one has started this as its server.
    if std::env::args_os().nth(1).is_some_and(|first| Path::new(&first).is_absolute()) {
        ObjectServer::serve_as_told();
    }
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(arguments.threads)
        .enable_all()
        .build()?;
    let span = Duration::from_millis(arguments.millis);
    let wanted = |bench| arguments.bench.is_none_or(|only| only == bench);
    let mut print = Printer { json: arguments.json, headed: false };
    if wanted(Bench::CacheMemory) {
        runtime.block_on(cache_memory::run(span, &mut |row| print.row(&row)))?;
    }
    if wanted(Bench::CacheRedis) {
        runtime.block_on(cache_redis::run(span, &mut |row| print.row(&row)))?;
    }
    if wanted(Bench::EventsLocal) {
        runtime.block_on(events_local::run(span, &mut |row| print.row(&row)))?;
    }
    if wanted(Bench::LockingLocal) {
        runtime.block_on(locking_local::run(span, &mut |row| print.row(&row)))?;
    }
    if wanted(Bench::LockingRedis) {
        runtime.block_on(locking_redis::run(span, &mut |row| print.row(&row)))?;
    }
    if wanted(Bench::LockingPostgres) {
        runtime.block_on(locking_postgres::run(span, &mut |row| print.row(&row)))?;
    }
    if wanted(Bench::EventsDurable) {
        runtime.block_on(events_durable::run(span, &mut |row| print.row(&row)))?;
    }
    if wanted(Bench::AnalyticsLocal) {
        runtime.block_on(analytics_local::run(span, &mut |row| print.row(&row)))?;
    }
    if wanted(Bench::WorkflowsLocal) {
        runtime.block_on(workflows_local::run(span, &mut |row| print.row(&row)))?;
    }
    if wanted(Bench::FilesLocal) {
        runtime.block_on(files_local::run(&mut |row| print.row(&row)))?;
    }
    if wanted(Bench::FilesS3) {
        runtime.block_on(files_s3::run(&mut |row| print.row(&row)))?;
    }
    if wanted(Bench::Http) {
        runtime.block_on(http::run(span, &mut |row| print.row(&row)))?;
    }
    if wanted(Bench::Start) {
        runtime.block_on(start::run(&mut |row| print.row(&row)))?;
    }
    Ok(())
}

struct Printer {
    json: bool,
    headed: bool,
}

impl Printer {
    fn row(&mut self, row: &Row) {
        if self.json {
            println!("{}", serde_json::json!(row));
            return;
        }
        if !std::mem::replace(&mut self.headed, true) {
            println!(
                "{:<15} {:<34} {:>7} {:>12} {:>9} {:>9} {:>8}  {:<22} {:>12} {:>6}",
                "bench",
                "case",
                "callers",
                "ops/s",
                "p50 µs",
                "p99 µs",
                "CPU µs",
                "baseline",
                "its ops/s",
                "ratio"
            );
        }
        let (baseline, its, ratio) = match (&row.baseline, row.baseline_ops_per_s, row.ratio) {
            (Some(name), Some(its), Some(ratio)) => {
                (name.as_str(), format!("{its:.0}"), format!("{ratio:.2}"))
            }
            _ => ("-", "-".into(), "-".into()),
        };
        println!(
            "{:<15} {:<34} {:>7} {:>12.0} {:>9.2} {:>9.2} {:>8.3}  {baseline:<22} {its:>12} {ratio:>6}",
            row.bench,
            row.case,
            row.callers,
            row.ops_per_s,
            row.p50_us,
            row.p99_us,
            row.cpu_us_per_op,
        );
    }
}
