//! A provider that keeps dying is started again ever more slowly, so that it does
//! not cost its neighbours the processor.

use std::time::Duration;

use stheno_contracts::Error;
use tokio::time::Instant;

/// How soon the next instance may be started.
#[derive(Default)]
pub(crate) struct Restarts {
    deaths: u32,
    last: Option<Instant>,
}

impl Restarts {
    /// So many deaths in a row are answered at once.
    const FREE: u32 = 5;
    /// After so long without a death the earlier ones are forgotten.
    const FORGIVEN_AFTER: Duration = Duration::from_secs(60);
    const FIRST_WAIT: Duration = Duration::from_millis(100);
    const LONGEST_WAIT: Duration = Duration::from_secs(30);

    /// An instance died, or could not be started.
    pub(crate) fn died(&mut self, now: Instant) {
        if self.last.is_some_and(|last| now - last > Self::FORGIVEN_AFTER) {
            self.deaths = 0;
        }
        self.deaths = self.deaths.saturating_add(1);
        self.last = Some(now);
    }

    /// Whether an instance may be started now.
    ///
    /// # Errors
    ///
    /// `unavailable`, with how long it has to wait.
    pub(crate) fn may_start(&self, provider: &str, now: Instant) -> Result<(), Error> {
        self.wait(now).map_or(Ok(()), |wait| {
            Err(Error::Unavailable(format!(
                "{provider} keeps failing and is started again in {} ms",
                wait.as_millis()
            )))
        })
    }

    /// How long a new instance has to wait, if it has to.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let beyond = self.deaths.checked_sub(Self::FREE + 1)?;
        let wait = Self::FIRST_WAIT.saturating_mul(1 << beyond.min(20)).min(Self::LONGEST_WAIT);
        let since = now.saturating_duration_since(self.last?);
        wait.checked_sub(since).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_deaths_are_answered_at_once_and_later_ones_ever_more_slowly() {
        let mut restarts = Restarts::default();
        let now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..Restarts::FREE + 20 {
            restarts.died(now);
            waits.push(restarts.wait(now));
        }
        let free = Restarts::FREE as usize;
        assert!(waits[..free].iter().all(Option::is_none));
        assert!(waits[free..].windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(waits[free], Some(Restarts::FIRST_WAIT));
        assert_eq!(waits.last(), Some(&Some(Restarts::LONGEST_WAIT)));
    }

    #[test]
    fn a_wait_ends_and_a_long_life_is_a_clean_slate() {
        let mut restarts = Restarts::default();
        let now = Instant::now();
        for _ in 0..=Restarts::FREE {
            restarts.died(now);
        }
        assert!(restarts.wait(now).is_some());
        assert!(restarts.wait(now + Restarts::FIRST_WAIT).is_none());
        let later = now + Restarts::FORGIVEN_AFTER + Duration::from_secs(1);
        restarts.died(later);
        assert!(restarts.wait(later).is_none());
    }
}
