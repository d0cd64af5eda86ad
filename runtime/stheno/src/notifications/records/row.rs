//! How records stand in a file.
//!
//! | key | value |
//! |---|---|
//! | `v` | what the file is, and in which version |
//! | `r` NUMBER | the record, as JSON |
//! | `i` ID | its number |
//! | `k` SHA-256 of the idempotency key | its number |
//! | `p` NUMBER | nothing: it is pending |
//!
//! Numbers grow in the order in which notifications were asked for, and are
//! written big-endian, so that the order of the keys is that of the records. A key
//! of the caller's may be as long as a store's key may be, hence the digest.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::notifications::{Labels, Notification, NotificationStatus};
use crate::{Error, ErrorKind, JsonObject};

/// Under `v` in every file of records.
pub(super) const VERSION_KEY: &[u8] = b"v";
pub(super) const VERSION: &[u8] = b"stheno notification records 1";

pub(super) const RECORDS: u8 = b'r';
pub(super) const PENDING: u8 = b'p';
const IDS: u8 = b'i';
const KEYS: u8 = b'k';

/// The key of the row with this number in one of the tables by number.
pub(super) fn numbered(table: u8, number: u64) -> Vec<u8> {
    let mut key = vec![table];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The end of such a table.
pub(super) fn end(table: u8) -> Vec<u8> {
    vec![table.saturating_add(1)]
}

/// The number in the key of a table by number, or in a value.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.last_chunk::<8>()?;
    Some(u64::from_be_bytes(*digits))
}

pub(super) fn by_id(id: &str) -> Vec<u8> {
    [&[IDS], id.as_bytes()].concat()
}

pub(super) fn by_key(key: &str) -> Vec<u8> {
    let mut row = vec![KEYS];
    row.extend_from_slice(&Sha256::digest(key.as_bytes()));
    row
}

/// A record as it is written. What a later version adds has a default.
#[derive(Serialize, Deserialize)]
struct Row {
    id: String,
    channel: String,
    to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    attempts: u32,
    created: SystemTime,
    updated: SystemTime,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Pending,
    Success,
    Failure,
    Unknown,
}

/// A record as it stands in the file.
pub(super) fn written(record: &Notification) -> Result<Vec<u8>, Error> {
    let record = record.clone();
    let row = Row {
        id: record.id,
        channel: record.channel,
        to: record.to,
        template: record.template,
        data: record.data.map(JsonObject::into_string),
        labels: record.labels,
        key: record.idempotency_key,
        status: match record.status {
            NotificationStatus::Pending => Status::Pending,
            NotificationStatus::Success => Status::Success,
            NotificationStatus::Failure => Status::Failure,
            NotificationStatus::Unknown => Status::Unknown,
        },
        provider: record.provider,
        external_id: record.external_id,
        error: record.error,
        attempts: record.attempts,
        created: record.created,
        updated: record.updated,
    };
    serde_json::to_vec(&row).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("a record cannot be written: {error}"))
    })
}

/// The record that stands there.
pub(super) fn read(bytes: &[u8]) -> Result<Notification, Error> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Internal, format!("a record of the file cannot be read: {error}"))
    };
    let row: Row = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    let data = row.data.as_deref().map(JsonObject::parse).transpose();
    Ok(Notification {
        id: row.id,
        channel: row.channel,
        to: row.to,
        template: row.template,
        data: data.map_err(|error| unreadable(&error))?,
        labels: row.labels,
        idempotency_key: row.key,
        status: match row.status {
            Status::Pending => NotificationStatus::Pending,
            Status::Success => NotificationStatus::Success,
            Status::Failure => NotificationStatus::Failure,
            Status::Unknown => NotificationStatus::Unknown,
        },
        provider: row.provider,
        external_id: row.external_id,
        error: row.error,
        attempts: row.attempts,
        created: row.created,
        updated: row.updated,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::record;
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let bare = record("a", None);
        let full = Notification {
            template: Some("t".into()),
            data: Some(JsonObject::parse(r#"{"n": 1.50e400, "ü": "\u0000"}"#).unwrap()),
            labels: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
            status: NotificationStatus::Failure,
            provider: Some("p".into()),
            external_id: Some("x".into()),
            error: Some("why".into()),
            attempts: 3,
            updated: SystemTime::UNIX_EPOCH + Duration::new(1_800_000_000, 123_456_789),
            ..record("b", Some("the key"))
        };
        for record in [bare, full] {
            assert_eq!(read(&written(&record).unwrap()).unwrap(), record);
        }
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        let good = written(&record("a", None)).unwrap();
        for bytes in [&b""[..], b"{}", b"[]", &good[..good.len() - 1]] {
            assert_eq!(read(bytes).unwrap_err().kind(), ErrorKind::Internal);
        }
    }

    #[test]
    fn rows_of_a_table_are_in_the_order_of_their_numbers() {
        let keys = [0, 1, 255, 256, u64::MAX].map(|number| numbered(RECORDS, number));
        assert!(keys.is_sorted() && keys[4] < end(RECORDS));
        assert_eq!(number(&keys[3]), Some(256));
        assert_eq!(number(b"r"), None);
        // The longest key of a caller is none of a store.
        assert_eq!(by_key(&"k".repeat(1_024)).len(), 33);
    }
}
