//! Time, as providers and the host's own loops see it.
//!
//! There is one clock for a whole runtime, and everything takes time from it:
//! `stheno:host/clock`, `wasi:clocks` and the loops that wait for a delayed
//! event. A test that runs on [`Clock::manual`] therefore never sleeps: it moves
//! the time and everything that was due happens.
//!
//! Limits are the exception: CPU and wall time of a call are measured in real
//! time, since a guest must not outlive them because a clock stands still.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use stheno_contracts::host;
use tokio::sync::watch;
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

use crate::Capabilities;

/// A source of time, cheap to clone.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System { origin: Instant },
    Manual(Arc<watch::Sender<Duration>>),
}

/// 2000-01-01T00:00:00Z: where a manual clock begins, so that time stamps taken
/// from it look like time stamps.
const MANUAL_EPOCH: Duration = Duration::from_secs(946_684_800);

/// Time for this long is far enough ahead to be never, and small enough for
/// every timer.
const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System { origin: Instant::now() })
    }

    /// A clock that stands still until it is moved.
    #[must_use]
    pub fn manual() -> (Self, ManualClock) {
        let now = Arc::new(watch::channel(Duration::ZERO).0);
        (Self(Source::Manual(Arc::clone(&now))), ManualClock(now))
    }

    /// Time since some fixed moment; never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System { origin } => origin.elapsed(),
            Source::Manual(now) => *now.borrow(),
        }
    }

    /// Time since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix(&self) -> Duration {
        match &self.0 {
            Source::System { .. } => {
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
            }
            Source::Manual(now) => MANUAL_EPOCH + *now.borrow(),
        }
    }

    /// Waits for `duration` of this clock's time.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.monotonic().saturating_add(duration)).await;
    }

    /// Waits until [`Clock::monotonic`] is `moment`. Whoever waits again after
    /// doing something else in between waits no longer for it.
    pub async fn sleep_until(&self, moment: Duration) {
        match &self.0 {
            Source::System { origin } => {
                let left = moment.saturating_sub(origin.elapsed());
                tokio::time::sleep(left.min(NEVER)).await;
            }
            Source::Manual(now) => {
                // The sender is alive: `self` holds it.
                let _ = now.subscribe().wait_for(|now| *now >= moment).await;
            }
        }
    }
}

/// Moves a [`Clock::manual`].
#[derive(Clone)]
pub struct ManualClock(Arc<watch::Sender<Duration>>);

impl ManualClock {
    /// Moves the time ahead and wakes whoever waited for it.
    pub fn advance(&self, duration: Duration) {
        self.0.send_modify(|now| *now = now.saturating_add(duration));
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl host::clock::Host for Capabilities {
    fn unix_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(millis(self.shared().clock.unix()))
    }

    fn monotonic_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(millis(self.shared().clock.monotonic()))
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.unix()
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.monotonic().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn a_manual_sleep_ends_when_the_time_is_moved_past_it_and_not_before() {
        let (clock, hand) = Clock::manual();
        let mut sleep = pin!(clock.sleep(Duration::from_millis(10)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(sleep.as_mut().poll(&mut context).is_pending());
        hand.advance(Duration::from_millis(9));
        assert!(sleep.as_mut().poll(&mut context).is_pending());
        hand.advance(Duration::from_millis(1));
        assert_eq!(sleep.as_mut().poll(&mut context), Poll::Ready(()));
    }

    #[test]
    fn a_manual_clock_moves_both_times_alike() {
        let (clock, hand) = Clock::manual();
        let before = (clock.monotonic(), clock.unix());
        hand.advance(Duration::from_secs(5));
        assert_eq!(clock.monotonic() - before.0, Duration::from_secs(5));
        assert_eq!(clock.unix() - before.1, Duration::from_secs(5));
    }
}
