//! What an operator may set.

use serde::Deserialize;
use stheno_sdk::options::invalid;
use stheno_sdk::{Duration, Result, Size};

use crate::address::Address;
use crate::names::{Keys, MAX_PREFIX};

/// As they are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    server: Option<String>,
    prefix: String,
    ttl: Duration,
    compress_above: Size,
    timeout: Duration,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            server: None,
            prefix: "stheno:".to_owned(),
            ttl: Duration::from_secs(60 * 60),
            compress_above: Size::from_bytes(2 << 10),
            timeout: Duration::from_secs(1),
        }
    }
}

/// As they are meant.
#[derive(Debug)]
pub(crate) struct Options {
    /// Where the server is.
    pub(crate) server: Address,
    /// All keys are made by it.
    pub(crate) keys: Keys,
    /// For entries that come without a time to live.
    pub(crate) ttl: Duration,
    /// Larger values are compressed.
    pub(crate) compress_above: usize,
    /// For one exchange with the server, connecting included.
    pub(crate) timeout: Duration,
}

impl Options {
    pub(crate) fn parse(json: &str) -> Result<Self> {
        let Written { server, prefix, ttl, compress_above, timeout } =
            stheno_sdk::options::parse(json)?;
        let server = server.as_deref().and_then(Address::parse).ok_or_else(|| {
            invalid(
                "server",
                "write the server's host and port, such as \"127.0.0.1:11211\", as they stand \
                 in `grants.sockets`; an IPv6 address goes in brackets",
            )
        })?;
        let keys = Keys::below(&prefix).ok_or_else(|| {
            let text =
                format!("write at most {MAX_PREFIX} visible ASCII characters, such as \"shop:\"");
            invalid("prefix", &text)
        })?;
        let compress_above = usize::try_from(compress_above.as_bytes()).unwrap_or(usize::MAX);
        Ok(Self { server, keys, ttl, compress_above, timeout })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Name;

    #[test]
    fn with_a_server_alone_the_rest_has_defaults() {
        let options = Options::parse(r#"{"server":"127.0.0.1:11211"}"#).unwrap();
        assert_eq!(options.server.to_string(), "127.0.0.1:11211");
        assert!(options.keys.entry(&Name::of("k")).as_str().starts_with("stheno:v:"));
        assert_eq!(
            (options.ttl.as_millis(), options.compress_above, options.timeout.as_millis()),
            (3_600_000, 2_048, 1_000)
        );
    }

    #[test]
    fn a_wrong_option_is_named_with_what_to_write() {
        for (json, key, advice) in [
            ("{}", "`server`", "127.0.0.1:11211"),
            (r#"{"server":"cache.example"}"#, "`server`", "port"),
            (r#"{"server":"a:1","prefix":"a b"}"#, "`prefix`", "ASCII"),
            (r#"{"server":"a:1","servers":[]}"#, "`servers`", "`server`"),
            (r#"{"server":"a:1","timeout":"0s"}"#, "`timeout`", "30s"),
        ] {
            let refusal = format!("{:?}", Options::parse(json).unwrap_err());
            assert!(refusal.contains(key) && refusal.contains(advice), "{json}: {refusal}");
        }
    }
}
