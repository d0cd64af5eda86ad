//! How a case says what it expected and what it found.

use std::fmt::Debug;
use std::panic::Location;

use stheno::config::ConfigError;
use stheno::{Error, ErrorKind};
use tokio::task::JoinSet;

/// How a case ends.
pub(crate) type Outcome = Result<(), Fault>;

/// How much of a value is shown.
const SHOWN: usize = 300;

/// Why a provider does not keep a guarantee, with the place of the check.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl Fault {
    #[track_caller]
    pub(crate) fn new(detail: impl Into<String>) -> Self {
        Self::at(Location::caller(), detail)
    }

    /// For a check that several cases share, whose caller is the place to look at.
    pub(crate) fn at(place: &Location<'_>, detail: impl Into<String>) -> Self {
        Self(format!("{} ({}:{})", detail.into(), place.file(), place.line()))
    }

    pub(crate) fn into_detail(self) -> String {
        self.0
    }
}

impl From<Error> for Fault {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::new(format!("a call failed that must succeed: {error}"))
    }
}

impl From<ConfigError> for Fault {
    #[track_caller]
    fn from(error: ConfigError) -> Self {
        Self::new(format!("the provider did not start: {error}"))
    }
}

impl From<std::io::Error> for Fault {
    #[track_caller]
    fn from(error: std::io::Error) -> Self {
        Self::new(format!("reading or writing failed: {error}"))
    }
}

impl From<tokio::task::JoinError> for Fault {
    #[track_caller]
    fn from(error: tokio::task::JoinError) -> Self {
        Self::new(format!("a caller of the suite ended early: {error}"))
    }
}

/// A value for a person: not longer than a few lines.
fn shown(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => {
            format!("{}... ({} characters)", text.get(..end).unwrap_or(""), text.len())
        }
        None => text,
    }
}

/// What was found must be what was expected.
#[track_caller]
pub(crate) fn equal<F: Debug + PartialEq<E>, E: Debug>(
    what: &str,
    found: F,
    expected: E,
) -> Outcome {
    equal_at(Location::caller(), what, found, expected)
}

/// The same for a check that several cases share.
pub(crate) fn equal_at<F: Debug + PartialEq<E>, E: Debug>(
    place: &Location<'_>,
    what: &str,
    found: F,
    expected: E,
) -> Outcome {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (shown(&found), shown(&expected));
    Err(Fault::at(place, format!("{what}: found {found}, expected {expected}")))
}

/// This must be true.
#[track_caller]
pub(crate) fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(Fault::new(otherwise())) }
}

/// Something must be there.
#[track_caller]
pub(crate) fn there<T>(what: &str, found: Option<T>) -> Result<T, Fault> {
    found.ok_or_else(|| Fault::new(format!("{what} is not there")))
}

/// There must be exactly one.
#[track_caller]
pub(crate) fn one<T: Debug>(what: &str, found: Vec<T>) -> Result<T, Fault> {
    match <[T; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(found) => Err(Fault::new(format!("{what}: found {}, expected one", shown(&found)))),
    }
}

/// The call must fail in this way. Gives what it said.
#[track_caller]
pub(crate) fn fails<T: Debug>(
    what: &str,
    result: Result<T, Error>,
    kind: ErrorKind,
) -> Result<Error, Fault> {
    match result {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => {
            Err(Fault::new(format!("{what}: answered `{error}`, expected `{}`", kind.as_str())))
        }
        Ok(value) => Err(Fault::new(format!(
            "{what}: succeeded with {}, expected `{}`",
            shown(&value),
            kind.as_str()
        ))),
    }
}

/// The call must fail in this way, and name what is wrong.
#[track_caller]
pub(crate) fn names<T: Debug>(
    what: &str,
    result: Result<T, Error>,
    kind: ErrorKind,
    argument: &str,
) -> Outcome {
    let error = fails(what, result, kind)?;
    holds(error.message().contains(argument), || {
        format!("{what}: the message `{}` does not name `{argument}`", error.message())
    })
}

/// The argument must be refused by name.
#[track_caller]
pub(crate) fn refuses<T: Debug>(result: Result<T, Error>, argument: &str) -> Outcome {
    names(&format!("a wrong `{argument}`"), result, ErrorKind::InvalidArgument, argument)
}

/// A function of a feature that the provider leaves out.
#[track_caller]
pub(crate) fn unsupported<T: Debug>(function: &str, result: Result<T, Error>) -> Outcome {
    fails(function, result, ErrorKind::Unsupported).map(drop)
}

/// How many callers a case has that is about concurrency.
pub(crate) const CALLERS: usize = 64;

/// [`CALLERS`] at the same time, each with its number; all must end well.
pub(crate) async fn callers<F>(caller: impl Fn(usize) -> F) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let mut all: JoinSet<Outcome> = (0..CALLERS).map(caller).collect();
    while let Some(ended) = all.join_next().await {
        ended??;
    }
    Ok(())
}

/// Bytes that repeat at no power of two.
pub(crate) fn pattern(size: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(size).collect()
}
