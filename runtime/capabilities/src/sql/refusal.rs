//! What an error of the server means to a guest.

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
    let text = one_line(&format!("{code} {}", error.message()));
    let (class, _) = code.split_at_checked(2).unwrap_or((code, ""));
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
