//! `analytics-local`: the analytics module in files of JSON lines, or on the
//! log.
//!
//! This file is the seam to the host: it reads the clock and logs. `line` writes
//! what a line is, `journal` keeps the files; neither calls the host, and both
//! are tested natively.

mod journal;
mod line;
mod options;

use stheno_sdk::analytics::{Analytics, Event, Identity};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock, log};

use journal::Journal;
use options::Options;

struct AnalyticsLocal {
    /// None: the log alone.
    journal: Option<Journal>,
}

impl AnalyticsLocal {
    fn write(&mut self, lines: &[u8]) -> Result<()> {
        match &mut self.journal {
            Some(journal) => journal.append(clock::unix_ms(), lines).map_err(|error| {
                Error::Unavailable(format!("{}: {error}", journal.folder().display()))
            }),
            None => {
                for line in String::from_utf8_lossy(lines).lines() {
                    log::debug(line);
                }
                Ok(())
            }
        }
    }

    fn sync(&mut self) -> Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal
            .sync()
            .map_err(|error| Error::Unavailable(format!("{}: {error}", journal.folder().display())))
    }
}

impl Lifecycle for AnalyticsLocal {
    fn describe() -> Description {
        Description::new("analytics-local", env!("CARGO_PKG_VERSION"), Instances::One, &[])
    }

    fn start(options: &str) -> Result<Self> {
        let journal = stheno_sdk::options::parse::<Options>(options)?.journal()?;
        Ok(Self { journal })
    }

    fn stop(&mut self) -> Result<()> {
        self.sync()
    }
}

impl Analytics for AnalyticsLocal {
    fn track(&mut self, events: Vec<Event>) -> Result<()> {
        let lines = line::events(&events)?;
        self.write(&lines)
    }

    fn identify(&mut self, identities: Vec<Identity>) -> Result<()> {
        let lines = line::identities(&identities)?;
        self.write(&lines)
    }

    fn flush(&mut self) -> Result<()> {
        self.sync()
    }
}

stheno_sdk::export_analytics_provider!(AnalyticsLocal);
