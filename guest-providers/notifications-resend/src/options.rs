//! What an operator may set.

use mail::{Url, mailbox};
use serde::Deserialize;
use stheno_sdk::{Result, options};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Who sends what does not say so itself.
    pub(crate) from: Option<String>,
    pub(crate) url: Url,
}

impl Default for Options {
    fn default() -> Self {
        Self { from: None, url: Url::known("https://api.resend.com") }
    }
}

pub(crate) fn parse(json: &str) -> Result<Options> {
    let options: Options = options::parse(json)?;
    if let Some(from) = &options.from {
        mailbox("from", from).map_err(|_| {
            options::invalid("from", "write \"shop@example.com\" or \"Shop <shop@example.com>\"")
        })?;
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_named() {
        assert!(parse("{}").is_ok());
        assert!(parse(r#"{"from":"Shop <shop@example.com>"}"#).is_ok());
        for (json, key) in [
            (r#"{"from":"shop"}"#, "`from`"),
            (r#"{"url":"api.resend.com"}"#, "`url`"),
            (r#"{"api_key":"re_1"}"#, "`api_key`"),
        ] {
            let text = format!("{:?}", parse(json).unwrap_err());
            assert!(text.contains(key), "{json}: {text}");
        }
    }
}
