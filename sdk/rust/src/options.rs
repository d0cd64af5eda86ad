//! The options of the config, read into a type.

use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Reads the JSON object that `start` is given into `T`, which derives
/// `Deserialize` with `#[serde(deny_unknown_fields)]`.
///
/// # Errors
///
/// `invalid-argument` that names the key as the operator wrote it
/// (`backoff.initial`) and says what to write there.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    // Serde would also read a list as the values of the keys in their order.
    if !json.trim_start().starts_with('{') {
        return Err(Error::InvalidArgument("options are not a JSON object".to_owned()));
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    let parsed = serde_path_to_error::deserialize(&mut reader)
        .map_err(|err| (err.path().to_string(), err.into_inner()))
        .and_then(|options| reader.end().map(|()| options).map_err(|err| (".".to_owned(), err)));
    parsed.map_err(|(path, err)| {
        if !err.is_data() {
            return Error::InvalidArgument(format!("options are not one JSON object: {err}"));
        }
        // The operator wrote TOML: a place in the JSON says nothing to them.
        let text = err.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        if path == "." {
            Error::InvalidArgument(format!("options: {text}"))
        } else {
            invalid(&path, text)
        }
    })
}

/// The error for an option whose value does not do: names the key and says
/// what to write.
#[must_use]
pub fn invalid(key: &str, what_to_write: &str) -> Error {
    Error::InvalidArgument(format!("option `{key}`: {what_to_write}"))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::{Duration, Error, Size, Whole};
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Options {
        ttl: Option<Duration>,
        max_bytes: Option<Size>,
        max_entries: Option<Whole<1, 100>>,
        nested: Nested,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Nested {
        age: Option<Duration>,
    }

    fn refusal(json: &str) -> String {
        match parse::<Options>(json) {
            Err(Error::InvalidArgument(text)) => text,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn good_options_are_read() {
        let options: Options =
            parse(r#"{"ttl":"1h","max_bytes":"8KiB","max_entries":7,"nested":{"age":"2s"}}"#)
                .unwrap();
        assert_eq!(options.ttl, Some(Duration::from_secs(3600)));
        assert_eq!(options.max_bytes, Some(Size::from_bytes(8192)));
        assert_eq!(options.max_entries.map(Whole::get), Some(7));
        assert_eq!(options.nested.age, Some(Duration::from_secs(2)));
    }

    #[test]
    fn an_error_names_the_key_and_what_to_write() {
        for (json, key, advice) in [
            (r#"{"tll":"1h"}"#, "`tll`", "`ttl`"),
            (r#"{"ttl":30}"#, "`ttl`", "\"30s\""),
            (r#"{"ttl":"soon"}"#, "`ttl`", "\"30s\""),
            (r#"{"max_bytes":"64MB"}"#, "`max_bytes`", "\"64MiB\""),
            (r#"{"max_entries":0}"#, "`max_entries`", "from 1 to 100"),
            (r#"{"max_entries":"many"}"#, "`max_entries`", "from 1 to 100"),
            (r#"{"max_entries":-1}"#, "`max_entries`", "from 1 to 100"),
            (r#"{"nested":{"age":"old"}}"#, "`nested.age`", "\"30s\""),
            (r#"{"nested":{"size":1}}"#, "`size`", "`age`"),
            (r#"{"nested":7}"#, "`nested`", "struct Nested"),
        ] {
            let text = refusal(json);
            assert!(text.contains(key) && text.contains(advice), "{json}: {text}");
            assert!(!text.contains("line"), "{json}: {text}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["", "{", "[1", "7", "{}{}"] {
            assert!(refusal(json).starts_with("options"), "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_text_brings_the_parser_down(json in "\\PC{0,40}") {
            let _ = parse::<Options>(&json);
        }
    }
}
