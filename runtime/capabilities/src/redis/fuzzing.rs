//! The parser, for a fuzz target.

use super::admit::admit;

/// What is sent for a guest's command, and which of the guest's arguments are keys;
/// none if it is refused.
#[must_use]
pub fn redis_command(arguments: &[Vec<u8>], prefix: &str) -> Option<(Vec<u8>, Vec<usize>)> {
    let admitted = admit(arguments).ok()?;
    Some((admitted.write(prefix, None).get_packed_command(), admitted.keys()))
}
