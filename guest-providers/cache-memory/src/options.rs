//! What an operator may set.

use serde::Deserialize;
use stheno_sdk::{Duration, Size, Whole};

use crate::store::Limits;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// For entries that come without a time to live.
    ttl: Duration,
    max_entries: Whole<1, 50_000_000>,
    max_bytes: Size,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(60 * 60),
            max_entries: Whole::nearest(100_000),
            max_bytes: Size::from_mib(64),
        }
    }
}

impl Options {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            ttl_ms: self.ttl.as_millis(),
            max_entries: usize::try_from(self.max_entries.get()).unwrap_or(usize::MAX),
            max_bytes: self.max_bytes.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn nothing_written_means_an_hour_100_000_entries_and_64_mib() {
        let limits = stheno_sdk::options::parse::<Options>("{}").unwrap().limits();
        assert_eq!(
            (limits.ttl_ms, limits.max_entries, limits.max_bytes),
            (3_600_000, 100_000, 64 << 20)
        );
    }

    #[test]
    fn an_unknown_option_is_named() {
        let err = stheno_sdk::options::parse::<Options>(r#"{"max_entry":1}"#).unwrap_err();
        assert!(format!("{err:?}").contains("`max_entry`"), "{err:?}");
    }
}
