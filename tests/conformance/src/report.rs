//! What a run found.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// What a run found. As JSON it is for programs, as text for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The module that was tested.
    pub module: String,
    /// What the provider calls itself.
    pub provider: String,
    /// How many guarantees it keeps.
    pub passed: usize,
    /// How many it does not.
    pub failed: usize,
    /// How many it leaves out.
    pub skipped: usize,
    /// Each of them, in the order in which they were checked.
    pub cases: Vec<CaseReport>,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// The case.
    pub id: &'static str,
    /// What it checks.
    pub guarantee: &'static str,
    /// How it ended.
    pub status: Status,
    /// Why, where it did not pass.
    pub detail: Option<String>,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The provider keeps the guarantee.
    Passed,
    /// It does not.
    Failed,
    /// It leaves the feature out.
    Skipped,
}

impl Report {
    pub(crate) fn new(
        module: String,
        provider: String,
        cases: Vec<CaseReport>,
        took: Duration,
    ) -> Self {
        let count = |status| cases.iter().filter(|case| case.status == status).count();
        Self {
            module,
            provider,
            passed: count(Status::Passed),
            failed: count(Status::Failed),
            skipped: count(Status::Skipped),
            cases,
            took,
        }
    }

    /// The last line for a person.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { module, provider, passed, failed, skipped, cases: _, took } = self;
        format!(
            "{module} by {provider}: {passed} passed, {failed} failed, {skipped} skipped in {:.1} s",
            took.as_secs_f64()
        )
    }
}

/// A line for each case, and the summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            writeln!(f, "{case}")?;
        }
        f.write_str(&self.summary())
    }
}

/// One line; for a case that did not pass its reason too, and the guarantee
/// where it failed.
impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, guarantee, status, detail, took } = self;
        let detail = detail.as_deref().unwrap_or("no reason was given");
        match status {
            Status::Passed => write!(f, "  ✓ {id} ({} ms)", took.as_millis()),
            Status::Failed => {
                write!(f, "  ✗ {id} ({} ms)\n      {guarantee}", took.as_millis())?;
                detail.lines().try_for_each(|line| write!(f, "\n      {line}"))
            }
            Status::Skipped => write!(f, "  – {id}: {detail}"),
        }
    }
}
