//! `analytics-local` with one fault at a time.

// The logic is the real provider's, so that nothing is wrong but the fault.
#[path = "../../../../../guest-providers/analytics-local/src/journal.rs"]
mod journal;
#[path = "../../../../../guest-providers/analytics-local/src/line.rs"]
mod line;
#[path = "../../../../../guest-providers/analytics-local/src/options.rs"]
mod options;

use faulty_support::split;
use serde::Deserialize;
use stheno_sdk::analytics::{Analytics, Event, Identity};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock};

use journal::Journal;
use options::Options;

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    #[default]
    None,
    /// The last event of a batch is lost.
    LosesLast,
    /// A batch is written in the reverse order.
    Reverses,
    /// Numbers are what a float makes of them.
    RoundsNumbers,
    /// Nothing is written before a flush, and a stop does not flush.
    ForgetsOnStop,
    /// Nothing is written at a flush but only at a stop.
    IgnoresFlush,
    /// A group without an actor is an error.
    RefusesGroups,
}

struct Faulty {
    fault: Fault,
    journal: Option<Journal>,
    kept: Vec<u8>,
}

impl Faulty {
    fn take(&mut self, lines: &[u8]) -> Result<()> {
        self.kept.extend_from_slice(lines);
        match self.fault {
            Fault::ForgetsOnStop | Fault::IgnoresFlush => Ok(()),
            _ => self.write(),
        }
    }

    fn write(&mut self) -> Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        if self.kept.is_empty() {
            return Ok(());
        }
        let lines = std::mem::take(&mut self.kept);
        let wrote = journal.append(clock::unix_ms(), &lines).and_then(|()| journal.sync());
        wrote
            .map_err(|error| Error::Unavailable(format!("{}: {error}", journal.folder().display())))
    }
}

fn rounded(properties: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(properties);
    value.map_or_else(|_| properties.to_owned(), |value| value.to_string())
}

impl Lifecycle for Faulty {
    fn describe() -> Description {
        let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        Description::new(name, version, Instances::One, &[])
    }

    fn start(options: &str) -> Result<Self> {
        let (fault, options) = split(options)?;
        let journal = stheno_sdk::options::parse::<Options>(&options)?.journal()?;
        Ok(Self { fault, journal, kept: Vec::new() })
    }

    fn stop(&mut self) -> Result<()> {
        if self.fault == Fault::ForgetsOnStop { Ok(()) } else { self.write() }
    }
}

impl Analytics for Faulty {
    fn track(&mut self, mut events: Vec<Event>) -> Result<()> {
        match self.fault {
            Fault::LosesLast if events.len() > 1 => drop(events.pop()),
            Fault::Reverses => events.reverse(),
            Fault::RoundsNumbers => {
                for properties in events.iter_mut().filter_map(|event| event.properties.as_mut()) {
                    *properties = rounded(properties);
                }
            }
            Fault::RefusesGroups if events.iter().any(|event| event.actor.is_none()) => {
                return Err(Error::InvalidArgument("actor is missing".to_owned()));
            }
            _ => {}
        }
        let lines = line::events(&events)?;
        self.take(&lines)
    }

    fn identify(&mut self, identities: Vec<Identity>) -> Result<()> {
        let lines = line::identities(&identities)?;
        self.take(&lines)
    }

    fn flush(&mut self) -> Result<()> {
        if self.fault == Fault::IgnoresFlush { Ok(()) } else { self.write() }
    }
}

stheno_sdk::export_analytics_provider!(Faulty);
