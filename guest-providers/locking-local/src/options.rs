//! What an operator may set.

use serde::Deserialize;
use stheno_sdk::Whole;

use crate::table::Limits;

type Count = Whole<1, 10_000_000>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Keys that are held or waited for.
    max_keys: Count,
    /// Requests that wait.
    max_waiting: Count,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_keys: Whole::nearest(1_000_000), max_waiting: Whole::nearest(100_000) }
    }
}

impl Options {
    pub(crate) fn limits(&self) -> Limits {
        let count = |n: Count| usize::try_from(n.get()).unwrap_or(usize::MAX);
        Limits { max_keys: count(self.max_keys), max_waiting: count(self.max_waiting) }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use stheno_sdk::{Error, options::parse};

    #[test]
    fn nothing_written_means_what_the_readme_says() {
        let limits = parse::<Options>("{}").unwrap().limits();
        assert_eq!((limits.max_keys, limits.max_waiting), (1_000_000, 100_000));
    }

    #[test]
    fn what_does_not_do_is_named() {
        for (json, key) in [
            (r#"{"max_keys":0}"#, "`max_keys`"),
            (r#"{"max_waiting":-1}"#, "`max_waiting`"),
            (r#"{"max_waits":1}"#, "`max_waits`"),
        ] {
            match parse::<Options>(json) {
                Err(Error::InvalidArgument(text)) => assert!(text.contains(key), "{json}: {text}"),
                other => panic!("{json}: {other:?}"),
            }
        }
    }
}
