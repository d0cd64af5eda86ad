//! What `up` logs, and where.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::failure::Failure;

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends logs to stderr. `RUST_LOG` says which; without it those from `level`
/// on.
pub(crate) fn start(format: LogFormat, level: LevelFilter) -> Result<(), Failure> {
    let filter = EnvFilter::builder().with_default_directive(level.into());
    let filter = filter.from_env().map_err(|error| {
        Failure::other(
            format!("RUST_LOG cannot be understood: {error}"),
            "write a level, as in RUST_LOG=debug, or one for a part, as in RUST_LOG=stheno=debug",
        )
    })?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => logs.json().init(),
    }
    Ok(())
}
