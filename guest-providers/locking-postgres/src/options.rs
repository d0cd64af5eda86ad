//! What an operator may set: nothing yet, and so whatever is written is refused by
//! its name.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn an_unknown_option_is_named() {
        let err = stheno_sdk::options::parse::<Options>(r#"{"max_keys":1}"#).unwrap_err();
        assert!(format!("{err:?}").contains("`max_keys`"), "{err:?}");
    }
}
