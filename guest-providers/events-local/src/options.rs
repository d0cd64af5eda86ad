//! What an operator may set.

use serde::Deserialize;
use stheno_sdk::{Duration, Result, Size, Whole, options};

use crate::broker::{Backoff, Limits};

type Count = Whole<1, 50_000_000>;
type CountOrNone = Whole<0, 50_000_000>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// For events that come without.
    attempts: Whole<1, 1_000_000>,
    backoff: BackoffOptions,
    max_events: Count,
    max_bytes: Size,
    retain: RetainOptions,
    dead_letters: Option<CountOrNone>,
    /// Whether events must survive. Not written: if a store is granted.
    durable: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BackoffOptions {
    initial: Duration,
    max: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetainOptions {
    age: Duration,
    events: Option<CountOrNone>,
    bytes: Option<Size>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            attempts: Whole::nearest(5),
            backoff: BackoffOptions::default(),
            max_events: Whole::nearest(100_000),
            max_bytes: Size::from_mib(64),
            retain: RetainOptions::default(),
            dead_letters: None,
            durable: None,
        }
    }
}

impl Default for BackoffOptions {
    fn default() -> Self {
        Self { initial: Duration::from_millis(500), max: Duration::from_secs(60) }
    }
}

impl Default for RetainOptions {
    fn default() -> Self {
        Self { age: Duration::from_secs(60 * 60), events: None, bytes: None }
    }
}

fn count<const MIN: u64>(n: Whole<MIN, 50_000_000>) -> usize {
    usize::try_from(n.get()).unwrap_or(usize::MAX)
}

impl Options {
    /// Fails where what was asked for is not what was granted. The grant
    /// decides; the option is for who wants to be told.
    pub(crate) fn check_durable(&self, granted: bool) -> Result<()> {
        match (self.durable, granted) {
            (Some(true), false) => Err(options::invalid(
                "durable",
                "no store is granted; add this line below the module: grants.store.default = \
                 { path = \"./data/events.redb\", max_size = \"1GiB\" }",
            )),
            (Some(false), true) => Err(options::invalid(
                "durable",
                "a store is granted, which makes events survive; remove `grants.store.default`, or \
                 write true",
            )),
            _ => Ok(()),
        }
    }

    /// Fails where options contradict each other: kept events that nobody asks
    /// for must leave room for those that somebody waits for.
    pub(crate) fn limits(&self) -> Result<Limits> {
        let max_events = count(self.max_events);
        let max_bytes = self.max_bytes.as_bytes();
        // What is not written scales down with what is.
        let kept = (max_events / 10).clamp(1, 10_000);
        let retain_events = self.retain.events.map_or(kept, count);
        let dead_letters = self.dead_letters.map_or(kept, count);
        let retain_bytes = self.retain.bytes.map_or((max_bytes / 4).min(16 << 20), Size::as_bytes);
        if retain_events.saturating_add(dead_letters) >= max_events {
            return Err(options::invalid(
                "max_events",
                &format!(
                    "{max_events} leaves no room beside `retain.events` ({retain_events}) and `dead_letters` \
                     ({dead_letters}), which it includes; write a larger number, or smaller ones there"
                ),
            ));
        }
        if retain_bytes >= max_bytes {
            return Err(options::invalid(
                "retain.bytes",
                "write a size below `max_bytes`, which includes it",
            ));
        }
        if self.backoff.initial > self.backoff.max {
            return Err(options::invalid(
                "backoff.initial",
                "write a duration of at most `backoff.max`",
            ));
        }
        Ok(Limits {
            attempts: u32::try_from(self.attempts.get()).unwrap_or(u32::MAX),
            backoff: Backoff {
                initial_ms: self.backoff.initial.as_millis(),
                max_ms: self.backoff.max.as_millis(),
            },
            max_events,
            max_bytes,
            retain_ms: self.retain.age.as_millis(),
            retain_events,
            retain_bytes,
            dead_letters,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use stheno_sdk::{Result, options::parse};

    fn limits(json: &str) -> Result<crate::broker::Limits> {
        parse::<Options>(json)?.limits()
    }

    #[test]
    fn nothing_written_means_what_the_readme_says() {
        let limits = limits("{}").unwrap();
        assert_eq!(
            (limits.attempts, limits.backoff.initial_ms, limits.backoff.max_ms),
            (5, 500, 60_000)
        );
        assert_eq!((limits.max_events, limits.max_bytes), (100_000, 64 << 20));
        assert_eq!(
            (limits.retain_ms, limits.retain_events, limits.retain_bytes),
            (3_600_000, 10_000, 16 << 20)
        );
        assert_eq!(limits.dead_letters, 10_000);
    }

    #[test]
    fn durable_is_what_the_grant_says_or_an_error_that_names_the_line() {
        let check = |json: &str, granted| parse::<Options>(json)?.check_durable(granted);
        for (json, granted) in [
            ("{}", false),
            ("{}", true),
            (r#"{"durable":true}"#, true),
            (r#"{"durable":false}"#, false),
        ] {
            check(json, granted).unwrap();
        }
        for (json, granted) in [(r#"{"durable":true}"#, false), (r#"{"durable":false}"#, true)] {
            let text = format!("{:?}", check(json, granted).unwrap_err());
            assert!(text.contains("`durable`") && text.contains("grants.store.default"), "{text}");
        }
    }

    #[test]
    fn what_is_kept_scales_down_with_small_bounds() {
        let limits = limits(r#"{"max_events":10,"max_bytes":"8KiB"}"#).unwrap();
        assert_eq!((limits.retain_events, limits.dead_letters, limits.retain_bytes), (1, 1, 2048));
    }

    #[test]
    fn options_that_contradict_each_other_are_named() {
        for (json, key) in [
            (r#"{"max_events":100,"dead_letters":99}"#, "`max_events`"),
            (r#"{"max_bytes":"1KiB","retain":{"bytes":"1KiB"}}"#, "`retain.bytes`"),
            (r#"{"backoff":{"initial":"2m"}}"#, "`backoff.initial`"),
            (r#"{"attempts":0}"#, "`attempts`"),
            (r#"{"retain":{"age":"never"}}"#, "`retain.age`"),
        ] {
            let text = format!("{:?}", limits(json).unwrap_err());
            assert!(text.contains(key), "{json}: {text}");
        }
    }
}
