//! An analytics provider that fails as its options say, and else writes the
//! names of what it got to `/out/got`, a line each.

use std::fs::OpenOptions;
use std::io::Write;

use serde::Deserialize;
use stheno_sdk::analytics::{Analytics, Event, Identity};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, options};

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fail {
    Unavailable,
    InvalidArgument,
    /// Never returns.
    Loop,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    fail: Fail,
    /// How many of the first calls fail.
    times: u32,
    /// An event of this name is always refused.
    poison: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { fail: Fail::Unavailable, times: 0, poison: None }
    }
}

struct Failing(Options);

impl Failing {
    fn got(&mut self, names: &[String]) -> Result<()> {
        let text = "as the options say".to_owned();
        if self.0.times > 0 {
            self.0.times -= 1;
            return Err(match self.0.fail {
                Fail::Unavailable => Error::Unavailable(text),
                Fail::InvalidArgument => Error::InvalidArgument(text),
                Fail::Loop => loop {
                    std::hint::spin_loop();
                },
            });
        }
        if self.0.poison.as_ref().is_some_and(|poison| names.contains(poison)) {
            return Err(Error::InvalidArgument(text));
        }
        let mut lines = names.join("\n");
        lines.push('\n');
        OpenOptions::new()
            .append(true)
            .create(true)
            .open("/out/got")
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(|error| Error::Internal(error.to_string()))
    }
}

impl Lifecycle for Failing {
    fn describe() -> Description {
        Description::new("failing-analytics", env!("CARGO_PKG_VERSION"), Instances::One, &[])
    }

    fn start(json: &str) -> Result<Self> {
        options::parse(json).map(Self)
    }
}

impl Analytics for Failing {
    fn track(&mut self, events: Vec<Event>) -> Result<()> {
        let names: Vec<_> = events.into_iter().map(|event| event.name).collect();
        self.got(&names)
    }

    fn identify(&mut self, identities: Vec<Identity>) -> Result<()> {
        let names: Vec<_> =
            identities.into_iter().map(|identity| identity.actor.unwrap_or_default()).collect();
        self.got(&names)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

stheno_sdk::export_analytics_provider!(Failing);
