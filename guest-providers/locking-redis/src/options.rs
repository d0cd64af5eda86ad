//! What an operator may set.

use serde::Deserialize;
use stheno_sdk::Whole;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Requests that wait, in all processes together.
    pub(crate) max_waiting: Whole<1, 10_000_000>,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_waiting: Whole::nearest(100_000) }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use stheno_sdk::options::parse;

    #[test]
    fn nothing_written_means_what_the_readme_says() {
        assert_eq!(parse::<Options>("{}").unwrap().max_waiting.get(), 100_000);
    }

    #[test]
    fn what_does_not_do_is_named() {
        for (json, key) in [
            (r#"{"max_waiting":0}"#, "`max_waiting`"),
            (r#"{"max_waits":1}"#, "`max_waits`"),
            (r#"{"max_keys":1}"#, "`max_keys`"),
        ] {
            let error = format!("{:?}", parse::<Options>(json).unwrap_err());
            assert!(error.contains(key), "{json}: {error}");
        }
    }
}
