//! The report, for a person or a script.

use std::fmt;
use std::time::Duration;

use serde_json::json;
use storefront::{Grouped, Report, Unit};

/// How the day went, with what only the program knows.
pub(crate) struct Outcome {
    pub(crate) report: Report,
    /// What does not add up.
    pub(crate) wrong: Vec<String>,
    /// Starting the providers.
    pub(crate) start: Duration,
    /// From there to the stop of all providers.
    pub(crate) whole: Duration,
}

impl Outcome {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        json!({
            "ok": self.wrong.is_empty(),
            "wrong": self.wrong,
            "start_ms": millis(self.start),
            "whole_ms": millis(self.whole),
            "report": self.report,
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { report, wrong, start, whole } = self;
        let mut modules = Table::new(["module", "served by", "did", "calls", "mean", "p99"]);
        for module in &report.modules {
            modules.row([
                module.module.clone(),
                module.served_by.join(", "),
                module.did.clone(),
                Grouped(module.work.calls).to_string(),
                time(module.work.mean_us),
                time(module.work.p99_us),
            ]);
        }
        let mut desks = Table::new(["desk", "receives", "handled", "retried", "left"]);
        for desk in &report.desks {
            let [handled, retried, left] =
                [desk.handled, desk.retried, desk.left].map(|count| Grouped(count).to_string());
            desks.row([desk.id.to_owned(), desk.pattern.to_owned(), handled, retried, left]);
        }
        let mut parts = Table::new(["time for", ""]);
        parts.row(["starting the providers".to_owned(), time(micros(*start))]);
        for part in &report.parts {
            parts.row([part.part.as_str().to_owned(), time(part.us)]);
        }
        parts.row(["all, with the stop".to_owned(), time(micros(*whole))]);
        let mut totals = Table::new(["total", "found", "from the input", ""]);
        let rows = report.found.rows().into_iter().zip(report.expected.rows());
        for ((name, found, unit), (_, expected, _)) in rows {
            let mark = if found == expected { "" } else { "WRONG" };
            totals.row([
                name.to_owned(),
                shown(found, unit),
                shown(expected, unit),
                mark.to_owned(),
            ]);
        }
        write!(f, "{modules}\n{desks}\n{parts}\n{totals}\n")?;
        if wrong.is_empty() {
            return writeln!(f, "Every total is what the input says.");
        }
        writeln!(f, "error: the totals are not what the input says")?;
        wrong.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

fn shown(number: u64, unit: Unit) -> String {
    match unit {
        Unit::Number => Grouped(number).to_string(),
        Unit::Cents => format!("{}.{:02}", Grouped(number / 100), number % 100),
    }
}

/// Columns as wide as what stands in them; those of figures are ranged right.
struct Table<const COLUMNS: usize> {
    head: [&'static str; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    fn new(head: [&'static str; COLUMNS]) -> Self {
        Self { head, rows: Vec::new() }
    }

    fn row(&mut self, row: [String; COLUMNS]) {
        self.rows.push(row);
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.head.map(str::to_uppercase);
        let lines = || std::iter::once(&head).chain(&self.rows);
        let columns: Vec<(usize, bool)> = (0..COLUMNS)
            .map(|column| {
                let cells = || lines().filter_map(|line| line.get(column));
                let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
                // The first cell below the head tells what the column has.
                let figures = cells().nth(1).is_some_and(|cell| is_figure(cell));
                (width, figures)
            })
            .collect();
        for (number, line) in lines().enumerate() {
            let cells = line.iter().zip(&columns).map(|(cell, (width, figures))| {
                if *figures { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
            if number == 0 {
                let rules = columns.iter().map(|(width, _)| "─".repeat(*width));
                writeln!(f, "{}", rules.collect::<Vec<_>>().join("  "))?;
            }
        }
        Ok(())
    }
}

/// Whether a cell is a number, with a unit or without.
fn is_figure(cell: &str) -> bool {
    cell.starts_with(|first: char| first.is_ascii_digit())
        && cell.split(' ').nth(1).is_none_or(|unit| unit.chars().count() <= 2)
}
