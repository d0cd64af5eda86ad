//! What is known of a day when it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use stheno::config::ModuleName;
use stheno::{DeadLetter, Runtime};

use crate::desks::{DESKS, Office};
use crate::error::Error;
use crate::meter::{Meters, Work};
use crate::totals::{Totals, Unit};

/// How a day went.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What it must come to, from the input alone.
    pub expected: Totals,
    /// What it came to.
    pub found: Totals,
    /// What each module did.
    pub modules: Vec<ModuleReport>,
    /// What each desk did.
    pub desks: Vec<DeskReport>,
    /// Events that were given up, and replayed after the cause was mended.
    pub dead_letters: u64,
    /// How often the cache did not have a price and the catalogue was read.
    pub catalogue_reads: u64,
    /// The fewest reads that can give right prices.
    pub fewest_reads: u64,
    /// How long the parts of the day took.
    pub parts: Vec<PartReport>,
}

/// What a module did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModuleReport {
    /// Its name.
    pub module: String,
    /// The components that served it, with their versions.
    pub served_by: Vec<String>,
    /// What a provider said that cannot serve.
    pub unhealthy: Option<String>,
    /// In words.
    pub did: String,
    /// How long callers waited.
    #[serde(flatten)]
    pub work: Work,
}

/// What a desk did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeskReport {
    /// The id of its subscription.
    pub id: &'static str,
    /// What it receives.
    pub pattern: &'static str,
    /// Events that it handled, each counted once.
    pub handled: u64,
    /// Those that took more than one attempt.
    pub retried: u64,
    /// What is left in its subscription and was not there in the morning.
    pub left: u64,
}

/// How long a part took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// Which part.
    pub part: Part,
    /// In microseconds.
    pub us: u64,
}

/// A part of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The desks are opened.
    Opening,
    /// Orders before noon.
    Morning,
    /// Orders from noon on, with other prices.
    Afternoon,
    /// What the desks have still to do.
    Desks,
    /// Dead letters are listed, mended and replayed.
    DeadLetters,
    /// The sums are made.
    Closing,
}

impl Part {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening the desks",
            Self::Morning => "orders of the morning",
            Self::Afternoon => "orders of the afternoon",
            Self::Desks => "what the desks had left",
            Self::DeadLetters => "dead letters",
            Self::Closing => "closing",
        }
    }
}

/// What the report is made of, beside what modules and desks know themselves.
pub(crate) struct Evening {
    pub(crate) expected: Totals,
    pub(crate) found: Totals,
    pub(crate) catalogue_reads: u64,
    pub(crate) fewest_reads: u64,
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// By subscription.
    pub(crate) left: BTreeMap<String, u64>,
}

pub(crate) async fn write(
    runtime: &Runtime,
    office: &Office,
    meters: &Meters,
    evening: Evening,
    parts: Vec<(Part, Duration)>,
) -> Result<Report, Error> {
    let Evening { expected, found, catalogue_reads, fewest_reads, dead_letters, left } = evening;
    let books = office.books();
    let desks = DESKS.map(|(id, pattern)| {
        let desk = books.desks.get(id);
        DeskReport {
            id,
            pattern,
            handled: desk.map_or(0, |desk| desk.handled.len() as u64),
            retried: desk.map_or(0, |desk| desk.retried),
            left: left.get(id).copied().unwrap_or(0),
        }
    });
    drop(books);
    let handled: u64 = desks.iter().map(|desk| desk.handled).sum();
    let n = Grouped;
    let letters = meters.notifications.work().calls;
    let say = |module| match module {
        ModuleName::Cache => {
            format!(
                "{} prices looked up, {} read",
                n(meters.cache.work().calls),
                n(catalogue_reads)
            )
        }
        ModuleName::Events => {
            format!("{} events handled by {} desks", n(handled), desks.len())
        }
        ModuleName::Locking => format!("{} orders, each under a lock", n(found.visits)),
        ModuleName::Workflows => {
            let Totals { runs_done, runs_reverted, steps_undone, .. } = found;
            let [done, reverted, undone] = [runs_done, runs_reverted, steps_undone].map(n);
            format!("{done} runs done, {reverted} reverted: {undone} steps undone")
        }
        ModuleName::Files => format!("{} invoices written and read", n(found.invoices)),
        ModuleName::Notifications => {
            format!("{} letters, asked for {} times", n(found.letters), n(letters))
        }
        ModuleName::Analytics => format!("{} visits and events tracked", n(found.tracked)),
        _ => String::new(),
    };
    let mut modules = Vec::new();
    for provider in runtime.status().await {
        let served_by = format!("{} {}", provider.info.name, provider.info.version);
        let unhealthy = provider.health.err().map(|error| error.to_string());
        let module = provider.module.to_string();
        let Some(work) = meters.of(provider.module) else { continue };
        match modules.last_mut() {
            // One of several that serve the same module.
            Some(ModuleReport { module: last, served_by: all, unhealthy: first, .. })
                if *last == module =>
            {
                all.push(served_by);
                *first = first.take().or(unhealthy);
            }
            _ => modules.push(ModuleReport {
                module,
                served_by: vec![served_by],
                unhealthy,
                did: say(provider.module),
                work,
            }),
        }
    }
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Ok(Report {
        expected,
        found,
        modules,
        desks: desks.into(),
        dead_letters: dead_letters.len() as u64,
        catalogue_reads,
        fewest_reads,
        parts: parts.into_iter().map(|(part, time)| PartReport { part, us: us(time) }).collect(),
    })
}

impl Report {
    /// What does not add up, a sentence each; empty if all is well.
    #[must_use]
    pub fn mismatches(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let rows = self.expected.rows().into_iter().zip(self.found.rows());
        for ((name, expected, unit), (_, found, _)) in rows.filter(|((_, a, _), (_, b, _))| a != b)
        {
            let unit = if unit == Unit::Cents { " cents" } else { "" };
            let name = name.trim_start();
            wrong.push(format!("{name}: {found}{unit}, but the input says {expected}{unit}"));
        }
        if self.catalogue_reads < self.fewest_reads {
            wrong.push(format!(
                "the catalogue was read {} times, so some price was stale: {} are needed",
                self.catalogue_reads, self.fewest_reads
            ));
        }
        for desk in self.desks.iter().filter(|desk| desk.left > 0) {
            wrong.push(format!("{} has {} events left", desk.id, desk.left));
        }
        for module in &self.modules {
            if let Some(error) = &module.unhealthy {
                wrong.push(format!("{} cannot serve: {error}", module.module));
            }
        }
        wrong
    }
}

/// A number with thousands set apart.
pub struct Grouped(pub u64);

impl std::fmt::Display for Grouped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::new();
        for (n, digit) in digits.chars().enumerate() {
            if n > 0 && (digits.len() - n).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}
