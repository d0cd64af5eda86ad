//! What an operator may set.

use serde::Deserialize;
use stheno_sdk::{Duration, Result, Size, Whole, options};

use crate::engine::Limits;

type Count = Whole<1, 50_000_000>;
type CountOrNone = Whole<0, 50_000_000>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    max_runs: Count,
    max_bytes: Size,
    /// For workflows whose definition does not say.
    retention: Duration,
    history: Option<CountOrNone>,
    lost_workers: Whole<0, 1_000_000>,
    /// Whether runs must survive. Not written: if a store is granted.
    durable: Option<bool>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_runs: Whole::nearest(100_000),
            max_bytes: Size::from_mib(64),
            retention: Duration::from_secs(60 * 60),
            history: None,
            lost_workers: Whole::nearest(3),
            durable: None,
        }
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
                 { path = \"./data/workflows.redb\", max_size = \"1GiB\" }",
            )),
            (Some(false), true) => Err(options::invalid(
                "durable",
                "a store is granted, which makes runs survive; remove `grants.store.default`, or \
                 write true",
            )),
            _ => Ok(()),
        }
    }

    /// Fails where options contradict each other: what has ended must leave room
    /// for what has not.
    pub(crate) fn limits(&self) -> Result<Limits> {
        let max_runs = count(self.max_runs);
        // What is not written scales down with what is.
        let history = self.history.map_or((max_runs / 10).min(10_000), count);
        if history >= max_runs {
            return Err(options::invalid(
                "history",
                &format!("write a number below `max_runs` ({max_runs}), which includes it"),
            ));
        }
        Ok(Limits {
            max_runs,
            max_bytes: self.max_bytes.as_bytes(),
            retention_ms: self.retention.as_millis(),
            history,
            lost_workers: u32::try_from(self.lost_workers.get()).unwrap_or(u32::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use stheno_sdk::{Result, options::parse};

    fn limits(json: &str) -> Result<crate::engine::Limits> {
        parse::<Options>(json)?.limits()
    }

    #[test]
    fn nothing_written_means_what_the_readme_says() {
        let limits = limits("{}").unwrap();
        assert_eq!((limits.max_runs, limits.max_bytes), (100_000, 64 << 20));
        assert_eq!((limits.retention_ms, limits.history), (3_600_000, 10_000));
        assert_eq!(limits.lost_workers, 3);
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
    fn what_has_ended_scales_down_with_small_bounds() {
        assert_eq!(limits(r#"{"max_runs":50}"#).unwrap().history, 5);
        assert_eq!(limits(r#"{"max_runs":1}"#).unwrap().history, 0);
        assert_eq!(limits(r#"{"max_runs":2,"history":1,"lost_workers":0}"#).unwrap().history, 1);
    }

    #[test]
    fn options_that_contradict_each_other_are_named() {
        for (json, key) in [
            (r#"{"max_runs":10,"history":10}"#, "`history`"),
            (r#"{"max_runs":0}"#, "`max_runs`"),
            (r#"{"retention":"never"}"#, "`retention`"),
            (r#"{"lost_workers":-1}"#, "`lost_workers`"),
            (r#"{"max_age":1}"#, "max_age"),
        ] {
            let text = format!("{:?}", limits(json).unwrap_err());
            assert!(text.contains(key), "{json}: {text}");
        }
    }
}
