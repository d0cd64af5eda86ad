//! What is wrong with a config, for people and for programs.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};
use serde::Serialize;

use crate::Place;
use crate::source::Source;

/// One mistake, for programs: what `--json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The file as it was named; `null` for a config built in code.
    pub file: Option<String>,
    /// The line, from 1; `null` where the mistake has no line.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The place, such as `modules.cache.limits.memory`; empty for the whole
    /// file.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// A mistake on its way to a [`ConfigError`], not yet tied to a source.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) span: Option<Range<usize>>,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Everything that is wrong with a config: at least one [`Problem`].
///
/// `Display` is one line with the first mistake and its position. `Debug` is
/// the whole list as a person reads it, because that is what a `main` which
/// returns the error prints. As a miette [`Diagnostic`] each mistake has its
/// source line, a label and a help text.
///
/// Neither holds the value of a variable. Text in the file that looks secret
/// by its key (`token`, `password`, ...) is masked.
#[derive(Clone)]
pub struct ConfigError(Box<Reports>);

#[derive(Clone)]
struct Reports {
    first: Report,
    rest: Vec<Report>,
}

#[derive(Clone)]
struct Report {
    problem: Problem,
    source: Option<Arc<NamedSource<String>>>,
    label: Option<SourceSpan>,
}

impl ConfigError {
    /// An error of these faults, in the order of the file; `None` if there
    /// are none.
    pub(crate) fn from_faults(mut faults: Vec<Fault>, source: Option<&Source>) -> Option<Self> {
        faults.sort_by_key(|fault| fault.span.as_ref().map_or(usize::MAX, |span| span.start));
        let mut reports = faults.into_iter().map(|fault| Report::new(fault, source));
        let first = reports.next()?;
        Some(Self(Box::new(Reports { first, rest: reports.collect() })))
    }

    /// An error of this one fault.
    pub(crate) fn one(fault: Fault, source: Option<&Source>) -> Self {
        Self(Box::new(Reports { first: Report::new(fault, source), rest: Vec::new() }))
    }

    /// An error about a file of which there is no text to show.
    pub(crate) fn without_text(
        file: &str,
        at: Option<crate::source::Position>,
        message: String,
        help: String,
    ) -> Self {
        let problem = Problem {
            file: Some(file.to_owned()),
            line: at.map(|at| at.line),
            column: at.map(|at| at.column),
            place: String::new(),
            message,
            help,
        };
        let first = Report { problem, source: None, label: None };
        Self(Box::new(Reports { first, rest: Vec::new() }))
    }

    /// Both errors as one, so that an operator sees all mistakes at once.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let Reports { first, rest } = *other.0;
        self.0.rest.push(first);
        self.0.rest.extend(rest);
        self
    }

    /// All mistakes, for programs. Never empty.
    pub fn problems(&self) -> Vec<Problem> {
        self.reports().map(|report| report.problem.clone()).collect()
    }

    fn reports(&self) -> impl Iterator<Item = &Report> {
        std::iter::once(&self.0.first).chain(&self.0.rest)
    }

    fn only(&self) -> Option<&Report> {
        self.0.rest.is_empty().then_some(&self.0.first)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.first.problem)?;
        match self.0.rest.len() {
            0 => Ok(()),
            1 => f.write_str(" (and one more mistake)"),
            more => write!(f, " (and {more} more mistakes)"),
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, report) in self.reports().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}\n  help: {}", report.problem, report.problem.help)?;
        }
        Ok(())
    }
}

impl Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.only()?.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.only()?.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.only()?.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.0.rest.is_empty() {
            return None;
        }
        Some(Box::new(self.reports().map(|report| report as &dyn Diagnostic)))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.message)
    }
}

impl Report {
    fn new(fault: Fault, source: Option<&Source>) -> Self {
        let span = fault.span.as_ref();
        let at = source.zip(span).map(|(source, span)| source.position(span.start));
        Self {
            problem: Problem {
                file: source.map(|source| source.name.clone()),
                line: at.map(|at| at.line),
                column: at.map(|at| at.column),
                place: fault.place.to_string(),
                message: fault.message,
                help: fault.help,
            },
            source: source.map(Source::shared),
            label: source.zip(span).map(|(source, span)| source.label(span)),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.problem, f)
    }
}

impl Error for Report {}

impl Diagnostic for Report {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.problem.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = self.label?;
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(
            Some("here".to_owned()),
            label,
        ))))
    }
}
