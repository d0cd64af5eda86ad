//! `grants.redis`: servers that a provider sees through a prefix of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::bounded::{self, bounded};
use crate::decode::{Decoder, Node, Why};
use crate::stores::labelled;
use crate::{ByteSize, RedisUrl, StoreLabel};

const KEYS: &[&str] = &[
    "url",
    "prefix",
    "scripts",
    "timeout",
    "operations_per_second",
    "bytes_per_second",
    "max_bytes",
    "in_flight",
    "connections",
];
const EXAMPLE: &str = r#"redis.default = { url = "${REDIS_URL}", prefix = "shop:cache:" }"#;
const SCRIPTS_EXAMPLE: &str = "scripts = [\"the SHA-256 of a script, in lower-case hex\"]";

/// The granted bindings by their labels. Labels of all capabilities are alike.
pub type RedisGrants = BTreeMap<StoreLabel, RedisGrant>;

/// One server, seen through one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisGrant {
    /// Where the server is, and as whom to log in.
    pub url: RedisUrl,
    /// What every key begins with.
    pub prefix: RedisPrefix,
    /// The scripts that may run.
    pub scripts: BTreeSet<ScriptDigest>,
    /// How long an operation may take.
    pub timeout: RedisTimeout,
    /// How many commands may be sent.
    pub operations_per_second: RedisOperations,
    /// How much may be sent and received.
    pub bytes_per_second: RedisByteRate,
    /// How large one request or one reply may be.
    pub max_bytes: RedisMaxBytes,
    /// How many calls may wait for the server at the same time.
    pub in_flight: RedisInFlight,
    /// How many connections may be open beside the shared one.
    pub connections: RedisConnections,
}

bounded! {
    /// How long one operation may take, its connection included. Who waits
    /// longer gets `timeout`.
    RedisTimeout(Duration), key "timeout", default Duration::from_secs(2),
    from Duration::from_millis(10), to Duration::from_secs(60)
}

bounded! {
    /// Commands in a second. Beyond it a call is `unavailable`, and nothing of
    /// it was sent.
    RedisOperations(u32), key "operations_per_second", default 1_000_000,
    from 1, to 100_000_000
}

bounded! {
    /// Bytes in a second, both ways. Beyond it a call is `unavailable`, and
    /// nothing of it was sent.
    RedisByteRate(ByteSize), key "bytes_per_second", default ByteSize::gib(1),
    from ByteSize::kib(1), to ByteSize::gib(1024)
}

bounded! {
    /// Bytes of one request, or of one reply. A larger request is
    /// `invalid-argument`; a larger reply ends the connection that it comes
    /// over, with `unavailable` for all who wait on it.
    RedisMaxBytes(ByteSize), key "max_bytes", default ByteSize::mib(32),
    from ByteSize::kib(1), to ByteSize::gib(1)
}

bounded! {
    /// Calls that wait for the server at the same time. One more is
    /// `unavailable` at once.
    RedisInFlight(u32), key "in_flight", default 1_024, from 1, to 1_000_000
}

bounded! {
    /// Connections for commands that wait and for transactions with conditions;
    /// all else shares one more. Who finds none free waits for one within the
    /// timeout.
    RedisConnections(u32), key "connections", default 8, from 1, to 1_024
}

impl RedisGrant {
    /// A binding with the default quotas and no scripts.
    #[must_use]
    pub fn new(url: RedisUrl, prefix: RedisPrefix) -> Self {
        Self {
            url,
            prefix,
            scripts: BTreeSet::new(),
            timeout: RedisTimeout::default(),
            operations_per_second: RedisOperations::default(),
            bytes_per_second: RedisByteRate::default(),
            max_bytes: RedisMaxBytes::default(),
            in_flight: RedisInFlight::default(),
            connections: RedisConnections::default(),
        }
    }
}

/// What every key of a binding begins with: 1 to 256 visible ASCII characters,
/// none of which a pattern or an access rule of Redis takes for more than
/// itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedisPrefix(String);

/// A text is not a [`RedisPrefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it must have 1 to 256 visible ASCII characters other than `* ? [ ] ^ \\ \" '`")]
pub struct RedisPrefixError;

impl RedisPrefix {
    /// Takes a prefix.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Self, RedisPrefixError> {
        let lawful = |byte: u8| byte.is_ascii_graphic() && !b"*?[]^\\\"'".contains(&byte);
        if (1..=256).contains(&text.len()) && text.bytes().all(lawful) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RedisPrefixError)
        }
    }

    /// The prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedisPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The SHA-256 of a script, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScriptDigest(String);

/// A text is not a [`ScriptDigest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it does not have 64 digits of lower-case hex")]
pub struct ScriptDigestError;

impl ScriptDigest {
    /// Takes a digest.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn new(text: &str) -> Result<Self, ScriptDigestError> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ScriptDigestError)
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<[u8; 32]> for ScriptDigest {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl std::borrow::Borrow<str> for ScriptDigest {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Reads the table of labels.
pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> RedisGrants {
    let all = labelled(decoder, node, EXAMPLE, decode_one);
    all.into_iter().map(|(label, _, grant)| (label, grant)).collect()
}

fn decode_one(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<RedisGrant> {
    let section = decoder.section(node, KEYS, EXAMPLE)?;
    for key in ["url", "prefix"] {
        if section.get(key).is_none() {
            decoder.fault(node, format!("the binding has no `{key}`"), format!("write {EXAMPLE}"));
        }
    }
    let url = section.get("url").and_then(|node| {
        decoder.secret(&node, "the URL of a Redis server", r#"url = "${REDIS_URL}""#, |text| {
            RedisUrl::new(text).map_err(|error| Why::with_help(error, error.help()))
        })
    });
    let prefix = section.get("prefix").and_then(|node| {
        decoder.parsed(&node, "a prefix", r#"prefix = "shop:cache:""#, |text| {
            RedisPrefix::new(text).map_err(Why::reason)
        })
    });
    let mut scripts = BTreeSet::new();
    let nodes = section.get("scripts").and_then(|node| decoder.array(&node, SCRIPTS_EXAMPLE));
    for node in nodes.unwrap_or_default() {
        let digest = decoder.parsed(&node, "a SHA-256", SCRIPTS_EXAMPLE, |text| {
            ScriptDigest::new(text).map_err(Why::reason)
        });
        scripts.extend(digest);
    }
    let timeout = bounded::decode(decoder, &section);
    let operations_per_second = bounded::decode(decoder, &section);
    let bytes_per_second = bounded::decode(decoder, &section);
    let max_bytes = bounded::decode(decoder, &section);
    let in_flight = bounded::decode(decoder, &section);
    let connections = bounded::decode(decoder, &section);
    Some(RedisGrant {
        url: url?,
        prefix: prefix?,
        scripts,
        timeout,
        operations_per_second,
        bytes_per_second,
        max_bytes,
        in_flight,
        connections,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_nothing_but_itself_in_patterns_and_rules() {
        for good in ["a", "shop:cache:", "{shop}/1.2-3_4|", &"a".repeat(256)] {
            assert_eq!(RedisPrefix::new(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "a*", "a?", "[a]", "a\\", "^", "a\n", "ü", "\"", "'"] {
            assert_eq!(RedisPrefix::new(bad), Err(RedisPrefixError), "{bad:?}");
        }
        assert!(RedisPrefix::new(&"a".repeat(257)).is_err());
    }

    #[test]
    fn a_digest_is_lower_case_hex_of_32_bytes() {
        let digest = ScriptDigest::new(&"0af9".repeat(16)).unwrap();
        assert_eq!(
            ScriptDigest::from(*[[0x0a, 0xf9]; 16].as_flattened().first_chunk().unwrap()),
            digest
        );
        for bad in ["", "0af9", &"0AF9".repeat(16), &"g".repeat(64), &"ü".repeat(32)] {
            assert!(ScriptDigest::new(bad).is_err(), "{bad:?}");
        }
    }
}
