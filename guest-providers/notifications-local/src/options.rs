//! What an operator may set.

use serde::Deserialize;
use stheno_sdk::{Size, Whole};

use crate::outbox::Limits;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    outbox: Whole<0, 1_000_000>,
    outbox_bytes: Size,
}

impl Default for Options {
    fn default() -> Self {
        Self { outbox: Whole::nearest(1_000), outbox_bytes: Size::from_mib(16) }
    }
}

impl Options {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            messages: usize::try_from(self.outbox.get()).unwrap_or(usize::MAX),
            bytes: usize::try_from(self.outbox_bytes.as_bytes()).unwrap_or(usize::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use stheno_sdk::options::parse;

    #[test]
    fn nothing_written_means_what_the_readme_says() {
        let limits = parse::<Options>("{}").unwrap().limits();
        assert_eq!((limits.messages, limits.bytes), (1_000, 16 << 20));
    }

    #[test]
    fn wrong_options_are_named() {
        for (json, key) in [
            (r#"{"outbox":-1}"#, "`outbox`"),
            (r#"{"outbox_bytes":"many"}"#, "`outbox_bytes`"),
            (r#"{"outbox_size":1}"#, "`outbox_size`"),
        ] {
            let text = format!("{:?}", parse::<Options>(json).unwrap_err());
            assert!(text.contains(key), "{json}: {text}");
        }
    }
}
