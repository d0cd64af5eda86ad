//! The parser, for a fuzz target.

use super::admit::{May, admit};

/// Whether a statement on rows is sent.
#[must_use]
pub fn sql_statement(text: &str) -> bool {
    admit(text, May::UseRows).is_ok()
}
