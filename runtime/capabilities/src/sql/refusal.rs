//! What an error of the server means to a guest.
//!
//! Errors end up in logs, and the server quotes values in the messages of some: those
//! are told by their code, with a text of the host. Where it names tables, columns and
//! constraints alone, its message is told as it is; what it has beside that (`DETAIL`,
//! `HINT`, `CONTEXT`) never is.

use stheno_contracts::Error;
use tokio_postgres::error::DbError;

use crate::one_line;

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection is as good as before.
    Told(Error),
    /// The connection is of no more use.
    Broken(Error),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Told(error) | Failed::Broken(error) => error,
        }
    }
}

/// The meaning of what the server said.
pub(super) fn refusal(error: &DbError) -> Failed {
    let code = error.code().code();
    let (class, _) = code.split_at_checked(2).unwrap_or((code, ""));
    let text = one_line(&format!("{code} {}", meaning(error, class, code)));
    let meant = match (class, code) {
        ("23", _) => Error::Conflict(text),
        (_, "57014") => Error::Timeout(format!(
            "the server stopped the statement after statement_timeout ({text})"
        )),
        // The connection ends with these.
        ("08" | "57", _) => return Failed::Broken(Error::Unavailable(text)),
        ("40" | "53" | "58", _) | (_, "25006" | "55P03") => Error::Unavailable(text),
        (_, "0A000") if text.contains("cached plan") => {
            return Failed::Broken(Error::Unavailable(format!("{text}; try again")));
        }
        (_, "42501") => Error::Denied(format!(
            "the role of the binding may not do this ({text}); `stheno acl` prints what it needs"
        )),
        ("XX", _) => Error::Internal(text),
        _ => Error::InvalidArgument(text),
    };
    Failed::Told(meant)
}

/// The message of the server, or what stands for one that may quote a value.
fn meaning<'e>(error: &'e DbError, class: &str, code: &str) -> &'e str {
    match (class, code) {
        (_, "22001") => "a text is longer than its type takes",
        (_, "22003") => "a number is out of the range of its type",
        (_, "22004") => "null, where it is not taken",
        (_, "22007" | "22008") => "a date or time is none, or out of range",
        (_, "22012") => "division by zero",
        (_, "22021" | "22P05") => "a text has a character that the database cannot have",
        (_, "22023") => "an argument of a function is not one that it takes",
        (_, "22P02") => "invalid input syntax: a text does not have the form of its type",
        ("22", _) => "a value is not one that is taken where it stands",
        // Of the statement it says where; without that it is of a value that is a text
        // in some language, such as a path within JSON.
        (_, "42601") if error.position().is_none() => "a text has an error of syntax",
        ("0A" | "21" | "23" | "25" | "40" | "42" | "53" | "54" | "55" | "57" | "58" | "XX", _) => {
            error.message()
        }
        // Of functions that somebody wrote, among others.
        _ => "the server refuses that; its log says why",
    }
}
