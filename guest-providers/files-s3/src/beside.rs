//! Descriptions that are too long for a label.
//!
//! Each is an object of its own in a folder that no file can be in, under random
//! digits that the label of its file names. It is written before its file appears,
//! so a file that is seen has its description; and no two uploads share one, so a
//! file that was not stored changes nothing of one that was.
//!
//! What an upload left that came to nothing, or a link that nobody used, is found
//! and removed as others are written: [`Tidy`].

use std::fmt;
use std::str::FromStr;

use filing::Record;
use serde::{Deserialize, Serialize};

/// No step of a name begins with a dot.
const FOLDER: &str = ".stheno/";
const DIGITS: usize = 32;
/// Beyond what the host lets a caller describe a file with.
pub(crate) const BYTES: u64 = 256 * 1024;
/// How long a description may wait for its file: longer than a link is valid, and
/// its upload lasts.
const WAITS_MS: u64 = 8 * 24 * 60 * 60 * 1_000;
/// How many a page of files has at most: each is a request, one after the other.
pub(crate) const PAGE: usize = 50;
/// How many are looked at for each one that is written.
pub(crate) const LOOKS: u32 = 2;

/// The folder of the descriptions, below the prefix of all keys.
pub(crate) fn folder(prefix: &str) -> String {
    format!("{prefix}{FOLDER}")
}

/// Where a listing goes on that has come into the folder of the descriptions:
/// behind it, since no file is in it.
pub(crate) fn passed(prefix: &str, cursor: String) -> String {
    let folder = folder(prefix);
    if cursor.starts_with(&folder) { format!("{folder}~") } else { cursor }
}

/// What a description is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Mark(u128);

impl Mark {
    /// The key of the description.
    pub(crate) fn key(self, prefix: &str) -> String {
        format!("{prefix}{FOLDER}{self}")
    }

    /// Of the key of a description.
    pub(crate) fn of(prefix: &str, key: &str) -> Option<Self> {
        key.strip_prefix(prefix)?.strip_prefix(FOLDER)?.parse().ok()
    }
}

impl From<u128> for Mark {
    fn from(random: u128) -> Self {
        Self(random)
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> Self {
        mark.to_string()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Mark {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fits = text.len() == DIGITS && text.bytes().all(is_digit);
        let number = u128::from_str_radix(text, 16).ok().filter(|_| fits);
        number.map(Self).ok_or("a mark has 32 lower-case hexadecimal digits")
    }
}

impl TryFrom<String> for Mark {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What is written there.
#[derive(Serialize, Deserialize)]
pub(crate) struct Written {
    /// The file that it describes.
    pub(crate) key: String,
    pub(crate) record: Record,
}

/// Where the search for descriptions without a file is.
#[derive(Debug, Default)]
pub(crate) struct Tidy {
    cursor: Option<String>,
}

impl Tidy {
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Goes on there; after the last, from the first.
    pub(crate) fn goes_on(&mut self, cursor: Option<String>) {
        self.cursor = cursor;
    }

    /// Whether a description of this age has waited long enough.
    pub(crate) fn is_due(now_ms: u64, written_ms: u64) -> bool {
        now_ms.saturating_sub(written_ms) > WAITS_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is_one() {
        for number in [0, 1, u128::MAX] {
            let key = Mark::from(number).key("shop/");
            assert_eq!(Mark::of("shop/", &key), Some(Mark::from(number)));
            assert_eq!(Mark::of("", &key), None);
        }
        let digits = "0123456789abcdef0123456789abcdef";
        assert!(digits.parse::<Mark>().is_ok());
        for text in [
            "",
            "1",
            "+0000000000000000000000000000001",
            &digits.to_uppercase(),
            &format!("{digits}0"),
        ] {
            assert!(text.parse::<Mark>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_folder_of_descriptions_holds_no_file_and_is_passed_by_a_listing() {
        let key = Mark::from(7).key("shop/");
        assert!(filing::Key::parse("key", &key).is_err());
        assert_eq!(passed("shop/", key.clone()), "shop/.stheno/~");
        assert!(key.as_str() < "shop/.stheno/~");
        for other in ["shop/-a", "shop/.stheno", "shop/a", ".stheno/a"] {
            assert_eq!(passed("shop/", other.to_owned()), other);
        }
    }

    #[test]
    fn a_description_waits_longer_than_any_link_is_valid() {
        let week = 7 * 24 * 60 * 60 * 1_000;
        assert!(!Tidy::is_due(week, 0) && !Tidy::is_due(0, week));
        assert!(Tidy::is_due(2 * week, 0));
    }
}
