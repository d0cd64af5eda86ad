//! What a provider writes: `stheno:host/log`, standard output and error.
//!
//! A line is data from a stranger. It carries the provider's name in a field of
//! its own, control characters are escaped so that no line can pass for another
//! one, text beyond [`LINE_BYTES`] is cut, and lines beyond the provider's rate
//! are counted instead of written.

mod stdio;

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use stheno_contracts::host::log::{Host, Level};

use crate::{Capabilities, Clock};

pub(crate) use stdio::Stdio;

/// The longest line; the contract says so too.
const LINE_BYTES: usize = 16 * 1024;

/// How many lines a provider may write: so many per second, and as many at
/// once after a quiet second.
pub struct RateLimit {
    per_second: u32,
    clock: Clock,
    window: Mutex<Window>,
}

struct Window {
    began: Duration,
    written: u32,
    dropped: u64,
}

impl RateLimit {
    /// At most `per_second` lines in any second of `clock`.
    #[must_use]
    pub fn new(per_second: u32, clock: Clock) -> Self {
        let window = Window { began: clock.monotonic(), written: 0, dropped: 0 };
        Self { per_second, clock, window: Mutex::new(window) }
    }

    /// Asks to write a line. `Some(n)` allows it and says that `n` lines were
    /// dropped since the last one that was allowed.
    pub(crate) fn admit(&self) -> Option<u64> {
        let now = self.clock.monotonic();
        let mut window = self.window.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if now.saturating_sub(window.began) >= Duration::from_secs(1) {
            window.began = now;
            window.written = 0;
        }
        if window.written >= self.per_second {
            window.dropped += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.dropped))
    }
}

/// Makes one line out of whatever a guest wrote: control characters are escaped,
/// and what is longer than a log line may be is cut.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut end = text.len().min(LINE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (kept, cut) = text.split_at(end);
    let mut line = String::with_capacity(kept.len());
    for character in kept.chars() {
        if character.is_control() {
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    if !cut.is_empty() {
        let _ = write!(line, " ... ({} bytes cut)", cut.len());
    }
    line
}

/// Writes one line for a provider, if its rate allows.
pub(crate) fn write(shared: &crate::Shared, level: Level, text: &str) {
    let Some(dropped) = shared.log.admit() else { return };
    let provider = &*shared.name;
    if dropped > 0 {
        tracing::warn!(provider, dropped, "log lines dropped, the provider writes too many");
    }
    let line = one_line(text);
    match level {
        Level::Trace => tracing::trace!(provider, "{line}"),
        Level::Debug => tracing::debug!(provider, "{line}"),
        Level::Info => tracing::info!(provider, "{line}"),
        Level::Warn => tracing::warn!(provider, "{line}"),
        Level::Error => tracing::error!(provider, "{line}"),
    }
}

impl Host for Capabilities {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        write(self.shared(), level, &message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_pass_for_two() {
        assert_eq!(one_line("a\nINFO forged\u{1b}[2K\r"), "a\\nINFO forged\\u{1b}[2K\\r");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = one_line(&"é".repeat(LINE_BYTES));
        assert!(line.starts_with('é'));
        assert!(line.ends_with(&format!("({LINE_BYTES} bytes cut)")), "{}", &line[LINE_BYTES..]);
    }

    #[test]
    fn lines_beyond_the_rate_are_counted_and_the_next_second_is_free_again() {
        let (clock, hand) = Clock::manual();
        let limit = RateLimit::new(2, clock);
        assert_eq!(limit.admit(), Some(0));
        assert_eq!(limit.admit(), Some(0));
        assert_eq!(limit.admit(), None);
        assert_eq!(limit.admit(), None);
        hand.advance(Duration::from_secs(1));
        assert_eq!(limit.admit(), Some(2));
        assert_eq!(limit.admit(), Some(0));
    }
}
