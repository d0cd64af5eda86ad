//! Says how far the day is, while it lasts: on a terminal in one line that changes,
//! elsewhere a line now and then. It goes to stderr.

use std::io::{IsTerminal, Write as _, stderr};
use std::time::Duration;

use storefront::{Grouped, Part, Progress};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// A terminal is written to no more often.
const FRAME: Duration = Duration::from_millis(100);
/// Elsewhere there is a line for so many orders.
const STRIDE: u64 = 1_000;

/// Returns when the day is over.
pub(crate) async fn show(progress: watch::Receiver<Progress>) {
    if stderr().is_terminal() { redraw(progress).await } else { list(progress).await }
}

async fn redraw(mut progress: watch::Receiver<Progress>) {
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while progress.changed().await.is_ok() {
        frames.tick().await;
        let line = line(&progress.borrow_and_update());
        // Back to the start, and away with what stood there.
        eprint!("\r\x1b[2K{line}");
        // Nothing is lost where it cannot be shown.
        let _ = stderr().flush();
    }
    eprint!("\r\x1b[2K");
}

async fn list(mut progress: watch::Receiver<Progress>) {
    let mut last = (Part::Opening, 0);
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        let step = (now.part, now.tally.served / STRIDE);
        if step != last {
            last = step;
            eprintln!("{}", line(&now));
        }
    }
}

fn line(progress: &Progress) -> String {
    let Progress { part, expected, tally } = progress;
    format!(
        "{:<24} {:>5} of {} served, {} completed, {} undone or refused",
        part.as_str(),
        Grouped(tally.served),
        Grouped(*expected),
        Grouped(tally.completed),
        Grouped(tally.cancelled()),
    )
}
