//! `modules.notifications.records`: the file that keeps what became of
//! notifications.

use std::path::PathBuf;
use std::time::Duration;

use crate::ByteSize;
use crate::bounded::{self, bounded};
use crate::decode::{Decoder, Node, Why};
use crate::path::host_path;

const PATH: &str = "path";
const PATH_EXAMPLE: &str = r#"path = "./data/notifications.redb""#;
const EXAMPLE: &str = r#"records = { path = "./data/notifications.redb" }"#;
const DAY: u64 = 24 * 60 * 60;

bounded! {
    /// How long a record is kept after its status changed last. Default 30d, from
    /// 1m to 3650d.
    ///
    /// As long is its idempotency key known: later it sends again.
    RecordsRetention(Duration), key "retention", default Duration::from_secs(30 * DAY), from Duration::from_secs(60), to Duration::from_secs(3_650 * DAY)
}

bounded! {
    /// How large the records may become together. Default 256MiB, from 4MiB to
    /// 1TiB.
    ///
    /// Beyond it the oldest go before their time.
    RecordsSize(ByteSize), key "max_size", default ByteSize::mib(256), from ByteSize::mib(4), to ByteSize::gib(1024)
}

/// A file of the host in which notifications are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsFile {
    /// The file. It is made at the first start.
    pub path: PathBuf,
    /// How long a record is kept.
    pub retention: RecordsRetention,
    /// How large the records may become together.
    pub max_size: RecordsSize,
}

impl RecordsFile {
    /// This file, with what holds where nothing else is written.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            retention: RecordsRetention::DEFAULT,
            max_size: RecordsSize::DEFAULT,
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let base = decoder.base;
        let keys = [PATH, RecordsRetention::KEY, RecordsSize::KEY];
        let section = decoder.section(node, &keys, EXAMPLE)?;
        let retention = bounded::decode(decoder, &section);
        let max_size = bounded::decode(decoder, &section);
        let Some(path) = section.get(PATH) else {
            decoder.fault(
                node,
                format!("the records have no `{PATH}`"),
                format!("write {EXAMPLE}, or leave `records` out to keep them in memory"),
            );
            return None;
        };
        let path = decoder.parsed(&path, "a file", PATH_EXAMPLE, |text| {
            if text.ends_with('/') {
                return Err(Why::reason("it is a folder"));
            }
            host_path(text, base)
        })?;
        Some(Self { path, retention, max_size })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Config, ConfigError};

    fn read(text: &str) -> Result<Option<RecordsFile>, ConfigError> {
        let config = Config::parse(text, "stheno.toml", Path::new("/etc"), &|_| None)?;
        Ok(config.modules.notification_records)
    }

    #[test]
    fn records_are_in_memory_unless_a_file_is_named() {
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("[modules.notifications]\nid = \"a\"\n").unwrap(), None);
        let alone = "[modules.notifications]\nrecords = { path = \"./n.redb\" }\n";
        assert_eq!(read(alone).unwrap(), Some(RecordsFile::new("/etc/n.redb")));
    }

    #[test]
    fn one_file_is_for_all_providers_of_a_list() {
        let list = "[modules.notifications.records]\npath = \"/n\"\nretention = \"7d\"\n\
                    max_size = \"1GiB\"\n[[modules.notifications.providers]]\nid = \"a\"\n\
                    default = true\n";
        let records = read(list).unwrap().unwrap();
        assert_eq!(records.retention.get(), Duration::from_secs(7 * DAY));
        assert_eq!(records.max_size.get(), ByteSize::gib(1));
        let within = "[[modules.notifications.providers]]\nid = \"a\"\ndefault = true\n\
                      records = { path = \"/n\" }\n";
        let problems = read(within).unwrap_err().problems();
        assert!(problems[0].message.contains("no key `records`"), "{problems:?}");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (records, told) in [
            ("{}", "have no `path`"),
            ("\"./n\"", "must be a table"),
            ("{ path = 1 }", "must be a string with a file"),
            ("{ path = \"./n/\" }", "it is a folder"),
            ("{ path = \"n\", retention = \"1s\" }", "between 1m and 3650d"),
            ("{ path = \"n\", retention = 30 }", "must be a string with a duration"),
            ("{ path = \"n\", max_size = \"1MiB\" }", "between 4MiB and 1TiB"),
            ("{ path = \"n\", max = \"1GiB\" }", "no key `max`"),
        ] {
            let text = format!("[modules.notifications]\nrecords = {records}\n");
            let problems = read(&text).unwrap_err().problems();
            let found = problems
                .iter()
                .any(|problem| problem.message.contains(told) && problem.line == Some(2));
            assert!(found, "{text}: {problems:?}");
        }
    }
}
