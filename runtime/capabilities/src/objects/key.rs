//! Keys of a guest, parsed.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use stheno_contracts::Error;

/// The most bytes of a key with its prefix: what S3 takes.
pub(super) const KEY_BYTES: usize = 1_024;

/// A key below the prefix: steps that are not empty and do not climb, and
/// nothing that another reader could take for such a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// With the prefix.
    whole: String,
    prefix: usize,
}

impl Key {
    /// Takes a key as a guest has it. `argument` is what the guest calls it.
    pub(super) fn parse(prefix: &str, argument: &str, text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::InvalidArgument(format!(
                "{argument} is empty, must name an object"
            )));
        }
        fits(prefix, argument, text)?;
        if let Some(why) = leads_elsewhere(text, false) {
            return Err(Error::Denied(format!("{argument} {text:?} {why}")));
        }
        Ok(Self { whole: format!("{prefix}{text}"), prefix: prefix.len() })
    }

    /// As the server has it.
    pub(super) fn whole(&self) -> &str {
        &self.whole
    }

    /// As the guest has it.
    pub(super) fn own(&self) -> &str {
        self.whole.get(self.prefix..).unwrap_or_default()
    }

    /// As the source of a copy: `BUCKET/KEY`, percent-encoded, so that nothing
    /// in the key can name another bucket or a version.
    pub(super) fn as_source(&self, bucket: &str) -> String {
        const ENCODED: &AsciiSet =
            &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
        format!("{bucket}/{}", utf8_percent_encode(&self.whole, ENCODED))
    }
}

/// What keys of a listing begin with, with the prefix of the binding: held to
/// what a key is, but it may be empty or end anywhere.
pub(super) fn list_prefix(prefix: &str, text: &str) -> Result<String, Error> {
    fits(prefix, "prefix", text)?;
    match leads_elsewhere(text, true) {
        Some(why) => Err(Error::Denied(format!("prefix {text:?} {why}"))),
        None => Ok(format!("{prefix}{text}")),
    }
}

/// Where a listing goes on, with the prefix. It is compared with keys and names
/// none, so it may be anything that a server can be told.
pub(super) fn list_cursor(prefix: &str, text: &str) -> Result<String, Error> {
    fits(prefix, "cursor", text)?;
    Ok(format!("{prefix}{text}"))
}

fn fits(prefix: &str, argument: &str, text: &str) -> Result<(), Error> {
    let most = KEY_BYTES.saturating_sub(prefix.len());
    if text.len() > most {
        return Err(Error::InvalidArgument(format!(
            "{argument} has {} bytes, at most {most} behind the prefix of the binding",
            text.len()
        )));
    }
    // The last two cannot stand in XML, as control characters cannot.
    if text.contains(|c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) {
        return Err(Error::InvalidArgument(format!("{argument} has control characters")));
    }
    Ok(())
}

/// Why somebody on the way might read the text as a place outside. `open` says
/// that its last step may be unfinished, or empty.
fn leads_elsewhere(text: &str, open: bool) -> Option<&'static str> {
    if text.contains('\\') {
        return Some("has a backslash");
    }
    if hides(text) {
        return Some(
            "has a percent-encoded `.`, `/`, `\\`, `%` or control character; keys are not encoded",
        );
    }
    let mut steps = text.split('/').peekable();
    while let Some(step) = steps.next() {
        let last = steps.peek().is_none();
        match step {
            "" if open && last => {}
            "" => return Some("has an empty step, or begins or ends with `/`"),
            "." | ".." => return Some("has a step `.` or `..`"),
            _ => {}
        }
    }
    None
}

/// Whether a server or proxy that decodes, be it again and again, would see what a
/// key cannot have: `%2e` is a dot, and `%%32e` becomes one in two steps.
fn hides(text: &str) -> bool {
    let mut read = text.as_bytes().to_vec();
    loop {
        let forbidden = |byte: u8| b"./\\%".contains(&byte) || byte.is_ascii_control();
        if read.windows(3).filter_map(encoded).any(forbidden) {
            return true;
        }
        let decoded: Vec<u8> = percent_decode(&read).collect();
        if decoded.len() == read.len() {
            return false;
        }
        read = decoded;
    }
}

/// The byte that `%XX` is.
fn encoded(three: &[u8]) -> Option<u8> {
    let digits = three.strip_prefix(b"%").filter(|two| two.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Key, Error> {
        Key::parse("own/", "key", text)
    }

    #[test]
    fn plain_keys_are_taken_as_they_are() {
        for text in [
            "a",
            "a/b.c",
            "..a",
            "a..",
            "...",
            "ü/漢字",
            "a b+c=d&e?f#g",
            "100%",
            "50%zz",
            "a%20b",
            "own/a",
        ] {
            let key = parse(text).unwrap();
            assert_eq!((key.own(), key.whole()), (text, format!("own/{text}").as_str()));
        }
        assert!(parse(&"a".repeat(1_020)).is_ok());
    }

    #[test]
    fn what_leads_elsewhere_is_denied_and_what_no_server_takes_is_invalid() {
        for text in [
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../../b",
            "a/..",
            "./a",
            "a/./b",
            "a\\b",
            "..\\a",
            "%2e%2e/a",
            "%2E%2e%2Fa",
            "a%2fb",
            "a%5cb",
            "%252e%252e/a",
            "%%32e%%32e/a",
            "%2%65/a",
            "a%%32fb",
            "%%%33%32e/a",
            "a%00",
            "a%0d%0ab",
            "a%7F",
            "//other-bucket/a",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), "denied", "{text:?}: {error:?}");
        }
        for text in ["", "a\0b", "a\r\nb", "\u{85}", "a\u{ffff}", &"a".repeat(1_021)] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), "invalid-argument", "{text:?}: {error:?}");
        }
    }

    #[test]
    fn a_prefix_of_a_listing_may_end_anywhere_but_not_lead_out() {
        for text in ["", "a", "a/", "a/b", "a/.x", "..a"] {
            assert_eq!(list_prefix("own/", text).unwrap(), format!("own/{text}"));
        }
        for text in ["/", "..", "../", "a/..", "a//", "//", "a/../b", "%2e%2e/", ".", "a\\"] {
            assert_eq!(list_prefix("own/", text).unwrap_err().kind(), "denied", "{text:?}");
        }
    }

    #[test]
    fn a_source_of_a_copy_names_this_bucket_and_no_version() {
        let source = parse("a b/ü?versionId=x&%20#+").unwrap().as_source("bucket");
        assert_eq!(source, "bucket/own/a%20b/%C3%BC%3FversionId%3Dx%26%2520%23%2B");
    }

    proptest! {
        #[test]
        fn a_key_that_is_taken_stays_below_its_prefix_however_often_it_is_decoded(
            text in "(/|\\.|\\.\\.|%2[eEfF]|%3[235]|%65|[25eEfc]|%5c|%25|%|\\\\|a|own|\n|ü|//){0,10}|\\PC{0,40}"
        ) {
            let Ok(key) = parse(&text) else { return Ok(()) };
            prop_assert_eq!(key.own(), text.as_str());
            let mut read = key.whole().to_owned();
            for _ in 0..8 {
                let path = read.strip_prefix("own/").unwrap();
                let steps: Vec<_> = path.split(['/', '\\']).collect();
                prop_assert!(steps.iter().all(|step| !["", ".", ".."].contains(step)), "{read}");
                prop_assert!(!read.contains(|c: char| c.is_ascii_control()), "{read:?}");
                read = percent_encoding::percent_decode_str(&read).decode_utf8_lossy().into_owned();
            }
            let source = key.as_source("bucket");
            prop_assert!(source.starts_with("bucket/own/"));
            prop_assert!(source.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~%".contains(&b)));
        }

        #[test]
        fn no_listing_leads_above_the_prefix(text in "(/|\\.\\.|%2e|a|\\\\){0,8}|\\PC{0,40}") {
            if let Ok(prefix) = list_prefix("own/", &text) {
                prop_assert!(prefix.starts_with("own/"));
                prop_assert!(prefix.split('/').all(|step| step != ".."));
            }
        }
    }
}
