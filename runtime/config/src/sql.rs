//! `grants.sql`: databases that a provider sees as one role, through one schema.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::bounded::{self, bounded};
use crate::decode::{Decoder, Node, Why};
use crate::path::host_path;
use crate::stores::labelled;
use crate::{ByteSize, SqlUrl, StoreLabel};

const KEYS: &[&str] = &[
    "url",
    "schema",
    "role",
    "ca",
    SqlStatementTimeout::KEY,
    SqlMaxRows::KEY,
    SqlMaxBytes::KEY,
    SqlMaxStatement::KEY,
    SqlOperations::KEY,
    SqlByteRate::KEY,
    SqlInFlight::KEY,
    SqlConnections::KEY,
    SqlTransactions::KEY,
];
const EXAMPLE: &str = r#"sql.default = { url = "${DATABASE_URL}", schema = "shop_locking" }"#;

/// The granted bindings by their labels. Labels of all capabilities are alike.
pub type SqlGrants = BTreeMap<StoreLabel, SqlGrant>;

/// One database, seen as one role through one schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlGrant {
    /// Where the database is, and as whom to log in.
    pub url: SqlUrl,
    /// Where all names are looked up.
    pub schema: SqlName,
    /// The role to take on after the login; none is the one that logged in.
    pub role: Option<SqlName>,
    /// A file of certificates in PEM that are trusted instead of the system's.
    pub ca: Option<PathBuf>,
    /// How long a statement may take.
    pub statement_timeout: SqlStatementTimeout,
    /// How many rows a call may return.
    pub max_rows: SqlMaxRows,
    /// How large one request or one answer may be.
    pub max_bytes: SqlMaxBytes,
    /// How long the text of a statement may be.
    pub max_statement: SqlMaxStatement,
    /// How many statements may be sent.
    pub operations_per_second: SqlOperations,
    /// How much may be sent and received.
    pub bytes_per_second: SqlByteRate,
    /// How many calls may wait for the server at the same time.
    pub in_flight: SqlInFlight,
    /// How many connections may be open.
    pub connections: SqlConnections,
    /// How many transactions may be open.
    pub transactions: SqlTransactions,
}

bounded! {
    /// How long one statement may take. The server stops it then; who waits an
    /// eighth longer, connecting included, gets `timeout`.
    SqlStatementTimeout(Duration), key "statement_timeout", default Duration::from_secs(5),
    from Duration::from_millis(10), to Duration::from_secs(300)
}

bounded! {
    /// Rows that one call returns. More are `invalid-argument`.
    SqlMaxRows(u32), key "max_rows", default 10_000, from 1, to 10_000_000
}

bounded! {
    /// Bytes of one request, or of one answer. More are `invalid-argument`.
    SqlMaxBytes(ByteSize), key "max_bytes", default ByteSize::mib(16),
    from ByteSize::kib(1), to ByteSize::gib(1)
}

bounded! {
    /// Bytes of the text of one statement. A longer one is `invalid-argument`.
    SqlMaxStatement(ByteSize), key "max_statement", default ByteSize::kib(64),
    from ByteSize::kib(1), to ByteSize::mib(16)
}

bounded! {
    /// Statements in a second. Beyond it a call is `unavailable`, and nothing of
    /// it was sent.
    SqlOperations(u32), key "operations_per_second", default 100_000, from 1, to 100_000_000
}

bounded! {
    /// Bytes in a second, both ways. Beyond it a call is `unavailable`, and
    /// nothing of it was sent.
    SqlByteRate(ByteSize), key "bytes_per_second", default ByteSize::gib(1),
    from ByteSize::kib(1), to ByteSize::gib(1024)
}

bounded! {
    /// Calls that wait for the server at the same time. One more is
    /// `unavailable` at once.
    SqlInFlight(u32), key "in_flight", default 1_024, from 1, to 1_000_000
}

bounded! {
    /// Connections to the server. Who finds none free waits for one within the
    /// timeout.
    SqlConnections(u32), key "connections", default 8, from 1, to 1_024
}

bounded! {
    /// Transactions that are open at the same time, each on one of the
    /// connections. One more waits for one to end, and is `unavailable` after
    /// `statement_timeout`.
    SqlTransactions(u32), key "transactions", default 4, from 1, to 1_024
}

impl SqlGrant {
    /// A binding with the default limits, as the role that logs in.
    #[must_use]
    pub fn new(url: SqlUrl, schema: SqlName) -> Self {
        Self {
            url,
            schema,
            role: None,
            ca: None,
            statement_timeout: SqlStatementTimeout::default(),
            max_rows: SqlMaxRows::default(),
            max_bytes: SqlMaxBytes::default(),
            max_statement: SqlMaxStatement::default(),
            operations_per_second: SqlOperations::default(),
            bytes_per_second: SqlByteRate::default(),
            in_flight: SqlInFlight::default(),
            connections: SqlConnections::default(),
            transactions: SqlTransactions::default(),
        }
    }

    /// The role that statements are made as.
    #[must_use]
    pub fn acts_as(&self) -> &str {
        self.role.as_ref().map_or_else(|| self.url.user(), SqlName::as_str)
    }
}

/// The name of a schema or of a role: 1 to 63 lower-case letters, digits and `_`,
/// none that PostgreSQL keeps for itself (`pg_...`, `information_schema`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SqlName(String);

/// A text is not a [`SqlName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SqlNameError {
    /// Its length or its characters.
    #[error("it must have 1 to 63 lower-case letters, digits and `_`, and not begin with a digit")]
    Characters,
    /// A name of PostgreSQL's own.
    #[error("PostgreSQL keeps this name for itself")]
    Reserved,
}

impl SqlName {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// It has other characters, or is one of PostgreSQL's own.
    pub fn new(text: &str) -> Result<Self, SqlNameError> {
        let lawful = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=63).contains(&text.len())
            || !text.bytes().all(lawful)
            || text.starts_with(|first: char| first.is_ascii_digit())
        {
            return Err(SqlNameError::Characters);
        }
        if text.starts_with("pg_") || ["information_schema", "none"].contains(&text) {
            return Err(SqlNameError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name. It stands for itself in quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SqlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Reads the table of labels.
pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> SqlGrants {
    let all = labelled(decoder, node, EXAMPLE, decode_one);
    all.into_iter().map(|(label, _, grant)| (label, grant)).collect()
}

fn decode_one(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<SqlGrant> {
    let section = decoder.section(node, KEYS, EXAMPLE)?;
    for key in ["url", "schema"] {
        if section.get(key).is_none() {
            decoder.fault(node, format!("the binding has no `{key}`"), format!("write {EXAMPLE}"));
        }
    }
    let url = section.get("url").and_then(|node| {
        decoder.secret(
            &node,
            "the URL of a PostgreSQL database",
            r#"url = "${DATABASE_URL}""#,
            |text| SqlUrl::new(text).map_err(|error| Why::with_help(error, error.help())),
        )
    });
    let schema = section.get("schema").and_then(|node| {
        decoder.parsed(&node, "the name of a schema", r#"schema = "shop_locking""#, |text| {
            SqlName::new(text).map_err(Why::reason)
        })
    });
    let role = match section.get("role") {
        None => None,
        Some(node) => Some(decoder.parsed(
            &node,
            "the name of a role",
            r#"role = "shop_locking""#,
            |text| SqlName::new(text).map_err(Why::reason),
        )?),
    };
    let ca = match section.get("ca") {
        None => None,
        Some(node) => {
            let base = decoder.base;
            let parse = |text: &str| host_path(text, base);
            Some(decoder.parsed(&node, "a file", r#"ca = "./ca.pem""#, parse)?)
        }
    };
    let statement_timeout = bounded::decode(decoder, &section);
    let max_rows = bounded::decode(decoder, &section);
    let max_bytes = bounded::decode(decoder, &section);
    let max_statement = bounded::decode(decoder, &section);
    let operations_per_second = bounded::decode(decoder, &section);
    let bytes_per_second = bounded::decode(decoder, &section);
    let in_flight = bounded::decode(decoder, &section);
    let connections = bounded::decode(decoder, &section);
    let transactions = bounded::decode(decoder, &section);
    Some(SqlGrant {
        url: url?,
        schema: schema?,
        role,
        ca,
        statement_timeout,
        max_rows,
        max_bytes,
        max_statement,
        operations_per_second,
        bytes_per_second,
        in_flight,
        connections,
        transactions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_itself_in_quotes_and_none_of_the_servers_own() {
        for good in ["a", "_", "shop_locking", "a1", &"a".repeat(63)] {
            assert_eq!(SqlName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "A", "1a", "a-b", "a.b", "a\"", "a'", "ü", "a\0", &"a".repeat(64)] {
            assert_eq!(SqlName::new(bad), Err(SqlNameError::Characters), "{bad:?}");
        }
        for own in ["pg_catalog", "pg_", "information_schema", "none"] {
            assert_eq!(SqlName::new(own), Err(SqlNameError::Reserved), "{own:?}");
        }
    }
}
