//! What an operator may set.

use serde::Deserialize;
use stheno_sdk::{Duration, Size};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// For entries that come without a time to live.
    pub(crate) ttl: Duration,
    /// Larger values are compressed.
    pub(crate) compress_above: Size,
}

impl Default for Options {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(60 * 60), compress_above: Size::from_bytes(2 << 10) }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn nothing_written_means_an_hour_and_2_kib() {
        let options = stheno_sdk::options::parse::<Options>("{}").unwrap();
        assert_eq!(
            (options.ttl.as_millis(), options.compress_above.as_bytes()),
            (3_600_000, 2_048)
        );
    }

    #[test]
    fn an_unknown_option_is_named() {
        let err = stheno_sdk::options::parse::<Options>(r#"{"max_entries":1}"#).unwrap_err();
        assert!(format!("{err:?}").contains("`max_entries`"), "{err:?}");
    }
}
