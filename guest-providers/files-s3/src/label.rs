//! What stands on an object: its description, as headers.
//!
//! The whole description is one pair of the object's metadata, `stheno`, in JSON
//! that is ASCII. Pairs of its own for each of the caller's would lose their
//! order, and what is not ASCII; some servers change the case of names.
//!
//! S3 takes 2 KiB of metadata, and the contract allows a file some 37 KiB. What is
//! longer stands in an object of its own, which the label names (`beside`).

use filing::Record;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use stheno_sdk::objects::{Access, Description, Info};
use stheno_sdk::{Error, Result};

use crate::beside::Mark;
use crate::options::{Disposition, Options};

/// The name of the pair.
const NAME: &str = "stheno";
/// What S3 takes, names and values together.
const METADATA_BYTES: usize = 2_048;
/// The longest value of a header of its own.
const HEADER_BYTES: usize = 255;

/// What a label says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Label {
    /// The description.
    File(Record),
    /// Where the description is.
    Beside(Mark),
}

impl Label {
    /// The label of an object; none if no provider of this kind put one there.
    pub(crate) fn read(object: &Info) -> Option<Self> {
        let (_, text) = object.metadata.iter().find(|(name, _)| name.eq_ignore_ascii_case(NAME))?;
        serde_json::from_str(text).ok()
    }

    fn text(&self) -> Result<String> {
        let json = serde_json::to_string(self);
        json.map(|json| ascii(&json)).map_err(unwritten)
    }
}

pub(crate) fn unwritten(error: serde_json::Error) -> Error {
    Error::Internal(format!("a description cannot be written: {error}"))
}

/// How the object of a file is described. If that does not fit, its label names
/// `mark`, under which the caller puts the rest; that is the second result.
pub(crate) fn describe(
    options: &Options,
    record: &Record,
    mark: Mark,
) -> Result<(Description, Option<Mark>)> {
    let whole = Label::File(record.clone()).text()?;
    let (text, beside) = if NAME.len() + whole.len() <= METADATA_BYTES {
        (whole, None)
    } else {
        (Label::Beside(mark).text()?, Some(mark))
    };
    let description = Description {
        content_type: header(record.content_type()),
        cache_control: record.cache_control().and_then(header),
        content_disposition: Some(disposition(options.disposition, record.name())),
        metadata: vec![(NAME.to_owned(), text)],
        access: options.acl.of(record.is_public()),
    };
    Ok((description, beside))
}

/// How an object is described that is no file, and that nobody else may read.
pub(crate) fn internal(options: &Options) -> Description {
    let private = options.acl.of(false).map(|_| Access::Private);
    Description { access: private, ..Description::of("application/json") }
}

/// A header without what HTTP drops.
fn header(text: &str) -> Option<String> {
    let text = text.trim_matches(' ');
    (!text.is_empty()).then(|| text.to_owned())
}

/// JSON without what a header cannot have, or a server may change: what is not
/// ASCII, and all spaces but single ones.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0; 2];
    let mut last = '{';
    for c in json.chars() {
        if c.is_ascii_graphic() || (c == ' ' && last != ' ') {
            text.push(c);
        } else {
            // Such stand only within strings.
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
        last = c;
    }
    text
}

/// With the last step of the name, if it fits.
fn disposition(kind: Disposition, name: &str) -> String {
    let kind = match kind {
        Disposition::Attachment => "attachment",
        Disposition::Inline => "inline",
    };
    let step = name.rsplit('/').next().unwrap_or(name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._ ()".contains(&byte);
    let named = if step.bytes().all(plain) {
        format!("{kind}; filename=\"{step}\"")
    } else {
        format!("{kind}; filename*=UTF-8''{}", encoded(step, false))
    };
    if named.len() <= HEADER_BYTES { named } else { kind.to_owned() }
}

/// Percent-encoded but for what is unreserved, and slashes if they are to stay.
pub(crate) fn encoded(text: &str, keep_slashes: bool) -> String {
    const STEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    const STEPS: &AsciiSet = &STEP.remove(b'/');
    utf8_percent_encode(text, if keep_slashes { STEPS } else { STEP }).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stheno_sdk::files::{Access, NewFile};

    use super::*;

    fn file() -> NewFile {
        NewFile {
            name: "a/b c.txt".to_owned(),
            content_type: Some("text/plain".to_owned()),
            access: Access::Private,
            cache_control: None,
            metadata: Vec::new(),
        }
    }

    fn labelled(metadata: Vec<(String, String)>) -> Info {
        Info {
            size: 0,
            etag: String::new(),
            modified_ms: 0,
            content_type: None,
            cache_control: None,
            content_disposition: None,
            metadata,
        }
    }

    #[test]
    fn a_description_is_headers_that_servers_and_browsers_know() {
        let record = Record::new(file(), "x", Some(1), 2);
        let (description, beside) = describe(&Options::default(), &record, Mark::from(3)).unwrap();
        assert_eq!(beside, None);
        assert_eq!(description.content_type.as_deref(), Some("text/plain"));
        assert_eq!(
            description.content_disposition.as_deref(),
            Some("attachment; filename=\"b c.txt\"")
        );
        assert_eq!((description.cache_control, description.access), (None, None));
        let upper = vec![("STHENO".to_owned(), description.metadata[0].1.clone())];
        assert_eq!(Label::read(&labelled(upper)), Some(Label::File(record)));
    }

    #[test]
    fn the_name_that_a_browser_saves_a_file_under_ends_no_header() {
        let shown = |name: &str| disposition(Disposition::Inline, name);
        assert_eq!(shown("a/b.txt"), "inline; filename=\"b.txt\"");
        assert_eq!(shown("a\"; x=\"b"), "inline; filename*=UTF-8''a%22%3B%20x%3D%22b");
        assert_eq!(shown("ü/é.pdf"), "inline; filename*=UTF-8''%C3%A9.pdf");
        assert_eq!(shown(&"é".repeat(100)), "inline");
    }

    #[test]
    fn what_has_no_label_or_a_strange_one_is_no_file() {
        for metadata in [
            vec![],
            vec![("original-filename".to_owned(), "a".to_owned())],
            vec![(NAME.to_owned(), String::new())],
            vec![(NAME.to_owned(), "{\"file\":{}}".to_owned())],
            vec![(NAME.to_owned(), "{\"beside\":\"../../a\"}".to_owned())],
        ] {
            assert_eq!(Label::read(&labelled(metadata.clone())), None, "{metadata:?}");
        }
    }

    proptest! {
        #[test]
        fn a_label_fits_into_headers_and_says_what_was_written(
            name in "\\PC{1,300}", value in "[ a\\PC]{0,40}", pairs in 0..32_usize, mark: u64, by: u128
        ) {
            let metadata = (0..pairs).map(|at| (format!("k{at}"), value.clone())).collect();
            let record = Record::new(NewFile { name, metadata, ..file() }, "x", Some(1), mark);
            let by = Mark::from(by);
            let (description, beside) = describe(&Options::default(), &record, by).unwrap();
            let bytes: usize = description.metadata.iter().map(|(k, v)| k.len() + v.len()).sum();
            prop_assert!(bytes <= METADATA_BYTES);
            let (_, text) = &description.metadata[0];
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
            prop_assert!(!text.contains("  "));
            let said = description.content_disposition.unwrap();
            prop_assert!(said.len() <= HEADER_BYTES && said.bytes().all(|b| (b' '..127).contains(&b)));
            let read = Label::read(&labelled(description.metadata)).unwrap();
            prop_assert_eq!(read, if beside.is_some() { Label::Beside(by) } else { Label::File(record) });
        }
    }
}
