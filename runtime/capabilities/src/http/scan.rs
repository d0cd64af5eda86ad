//! Finds secrets in what comes back, also where they are cut into pieces.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use memchr::memmem::Finder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use stheno_config::HttpSecret;

/// What stays as it is in a URL.
pub(super) const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The texts that no response may have: each secret, each long part of one, be it
/// between spaces or what a variable put there, and all as URLs and JSON write them.
#[derive(Clone)]
pub(super) struct Needles(Arc<[Finder<'static>]>);

/// A response had a secret in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leak;

impl Needles {
    /// `None` if there is nothing to look for.
    pub(super) fn of<'s>(secrets: impl Iterator<Item = &'s HttpSecret>) -> Option<Self> {
        let mut texts = Vec::new();
        for secret in secrets {
            let value = secret.expose_secret();
            spell(value, &mut texts);
            for part in value.split(' ').chain(secret.expose_variables()) {
                spell(part, &mut texts);
            }
            // `Basic` is no cipher: a server that repeats the password has it.
            let pair = value.strip_prefix("Basic ").and_then(|pair| STANDARD.decode(pair).ok());
            if let Some(pair) = pair.and_then(|pair| String::from_utf8(pair).ok()) {
                spell(&pair, &mut texts);
                if let Some((_, password)) = pair.split_once(':') {
                    spell(password, &mut texts);
                }
            }
        }
        texts.sort();
        texts.dedup();
        let finders: Arc<[_]> =
            texts.iter().map(|text| Finder::new(text.as_bytes()).into_owned()).collect();
        (!finders.is_empty()).then_some(Self(finders))
    }

    /// Looks at the head of a response, or at its trailers.
    pub(super) fn in_headers(&self, headers: &HeaderMap) -> Result<(), Leak> {
        let found = |text: &[u8]| self.0.iter().any(|finder| finder.find(text).is_some());
        let found =
            headers.iter().any(|(name, value)| found(name.as_ref()) || found(value.as_bytes()));
        if found { Err(Leak) } else { Ok(()) }
    }

    /// Begins to look at a body.
    pub(super) fn scan(&self) -> Scan {
        Scan { needles: self.clone(), held: Bytes::new() }
    }

    /// How many bytes at the end of `text` may be the beginning of a secret.
    fn undecided(&self, text: &[u8]) -> usize {
        let undecided = |finder: &Finder<'_>| {
            let needle = finder.needle();
            let longest = text.len().min(needle.len().saturating_sub(1));
            (1..=longest)
                .rev()
                .find(|&length| {
                    text.get(text.len() - length..).is_some_and(|end| needle.starts_with(end))
                })
                .unwrap_or_default()
        };
        self.0.iter().map(undecided).max().unwrap_or_default()
    }
}

/// Adds a text and how it looks in a URL and in JSON, if it is long enough to be
/// told from others.
fn spell(text: &str, texts: &mut Vec<String>) {
    if text.len() < HttpSecret::MIN_LENGTH {
        return;
    }
    texts.push(text.to_owned());
    let encoded = utf8_percent_encode(text, ENCODED).to_string();
    texts.push(lower_case(&encoded, "%", 2));
    texts.push(encoded);
    for by_number in ESCAPED_BY_NUMBER {
        for slash in [false, true] {
            let escaped = json(text, by_number, slash);
            texts.push(lower_case(&escaped, "\\u", 4));
            texts.push(escaped);
        }
    }
}

/// Which characters writers of JSON escape by their number though they need not:
/// none, what Go takes for HTML, PHP for that and for quotes, and .NET for more.
const ESCAPED_BY_NUMBER: [&str; 5] = ["", "&<>", "&<>'", "&<>'\"", "&<>'\"+`"];

/// How one writer of JSON would have it. Some write `/` as `\/`.
fn json(text: &str, by_number: &str, slash: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if by_number.contains(c) => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            '"' | '\\' => escaped.extend(['\\', c]),
            '/' if slash => escaped.push_str("\\/"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The same with numbers in lower case: so many digits behind what begins each.
/// Where a text has `\u` of its own, one more spelling is searched for in vain.
fn lower_case(escaped: &str, begins: &str, digits: usize) -> String {
    let mut pieces = escaped.split(begins);
    let mut lower = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        lower.push_str(begins);
        match piece.split_at_checked(digits) {
            Some((number, rest)) => {
                lower.push_str(&number.to_ascii_lowercase());
                lower.push_str(rest);
            }
            None => lower.push_str(piece),
        }
    }
    lower
}

/// One body on its way to the guest.
pub(super) struct Scan {
    needles: Needles,
    /// The end of what came, which may be the beginning of a secret.
    held: Bytes,
}

impl Scan {
    /// Takes a piece of the body and gives what the guest may have of it now.
    pub(super) fn pass(&mut self, piece: Bytes) -> Result<Bytes, Leak> {
        let mut text = if self.held.is_empty() {
            piece
        } else {
            let mut joined = BytesMut::with_capacity(self.held.len() + piece.len());
            joined.extend_from_slice(&self.held);
            joined.extend_from_slice(&piece);
            joined.freeze()
        };
        if self.needles.0.iter().any(|finder| finder.find(&text).is_some()) {
            self.held = Bytes::new();
            return Err(Leak);
        }
        let held = self.needles.undecided(&text);
        self.held = text.split_off(text.len() - held);
        Ok(text)
    }

    /// What was held back, when the body has ended.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;
    use stheno_config::{SecretName, SecretPlace};

    fn needles(values: &[&str]) -> Needles {
        let secrets: Vec<_> = values
            .iter()
            .map(|&value| {
                let name = SecretName::new("key").unwrap();
                HttpSecret::new(name, SecretPlace::Body, value).unwrap()
            })
            .collect();
        Needles::of(secrets.iter()).unwrap()
    }

    /// What a guest gets of a body that comes in these pieces.
    fn read(needles: &Needles, pieces: &[&[u8]]) -> (Vec<u8>, Result<(), Leak>) {
        let mut scan = needles.scan();
        let mut got = Vec::new();
        for piece in pieces {
            match scan.pass(Bytes::copy_from_slice(piece)) {
                Ok(bytes) => got.extend_from_slice(&bytes),
                Err(leak) => return (got, Err(leak)),
            }
        }
        got.extend_from_slice(&scan.rest());
        (got, Ok(()))
    }

    #[test]
    fn a_secret_is_found_whole_in_part_and_as_urls_and_json_write_it() {
        let needles = needles(&["Bearer sk/live\"0123"]);
        for text in [
            "you sent Bearer sk/live\"0123",
            "key sk/live\"0123 is wrong",
            "?key=sk%2Flive%220123&",
            r#"{"key":"sk/live\"0123"}"#,
            r#"{"key":"sk\/live\"0123"}"#,
        ] {
            assert_eq!(read(&needles, &[text.as_bytes()]).1, Err(Leak), "{text}");
        }
        assert_eq!(read(&needles, &[b"Bearer sk/live"]), (b"Bearer sk/live".to_vec(), Ok(())));
    }

    #[test]
    fn a_secret_is_found_however_a_writer_of_urls_or_json_escapes_it() {
        let needles = needles(&["ab+c/d&e<f>g'h\"i\\j"]);
        for text in [
            "ab%2Bc%2Fd%26e%3Cf%3Eg%27h%22i%5Cj",
            "ab%2bc%2fd%26e%3cf%3eg%27h%22i%5cj",
            // JavaScript, Go, PHP without and with its flags, .NET.
            r#""ab+c/d&e<f>g'h\"i\\j""#,
            r#""ab+c/d\u0026e\u003cf\u003eg'h\"i\\j""#,
            r#""ab+c\/d&e<f>g'h\"i\\j""#,
            r#""ab+c\/d\u0026e\u003Cf\u003Eg\u0027h\u0022i\\j""#,
            r#""ab\u002Bc/d\u0026e\u003Cf\u003Eg\u0027h\u0022i\\j""#,
        ] {
            let (whole, end) = read(&needles, &[text.as_bytes()]);
            assert_eq!((whole, end), (Vec::new(), Err(Leak)), "{text}");
            // Also byte by byte, and then not even its beginning gets through.
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            let (got, end) = read(&needles, &bytes);
            assert_eq!(end, Err(Leak), "{text}");
            assert!(got.len() <= 1, "{text}: {}", String::from_utf8_lossy(&got));
        }
    }

    #[test]
    fn what_a_variable_put_there_is_a_secret_without_what_stands_before_it() {
        let name = SecretName::new("authorization").unwrap();
        let secret = HttpSecret::new(name, SecretPlace::Body, "key=AAAA+bcd0123,v=1").unwrap();
        let secret = secret.with_variables(["AAAA+bcd0123".to_owned(), "1".to_owned()]);
        let needles = Needles::of(std::iter::once(&secret)).unwrap();
        for text in ["invalid key AAAA+bcd0123", r#"{"key":"AAAA\u002bbcd0123"}"#] {
            assert_eq!(read(&needles, &[text.as_bytes()]).1, Err(Leak), "{text}");
        }
        // One that is too short to be told from other text is not.
        assert_eq!(read(&needles, &[b"v=1"]), (b"v=1".to_vec(), Ok(())));
    }

    #[test]
    fn the_password_within_basic_is_a_secret_too() {
        // user:correct-horse
        let needles = needles(&["Basic dXNlcjpjb3JyZWN0LWhvcnNl"]);
        assert_eq!(read(&needles, &[b"hello correct-horse"]).1, Err(Leak));
    }

    #[test]
    fn headers_are_looked_at_too() {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static("https://a/?key=0123456789"));
        assert_eq!(needles(&["0123456789"]).in_headers(&headers), Err(Leak));
        assert_eq!(needles(&["0123456780"]).in_headers(&headers), Ok(()));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_a_secret_does_not_pass(
            before in "[ab0]{0,12}", after in "[ab0]{0,12}", cuts in proptest::collection::vec(0..40_usize, 0..8),
        ) {
            let needles = needles(&["aabaabab0"]);
            let text = format!("{before}aabaabab0{after}");
            let (got, end) = read(&needles, &pieces(text.as_bytes(), cuts));
            prop_assert_eq!(end, Err(Leak));
            // Not even its beginning.
            let first = text.find("aabaabab0").unwrap();
            prop_assert!(got.len() <= first);
        }

        #[test]
        fn a_body_without_a_secret_comes_through_byte_for_byte(
            text in "[ab0]{0,40}", cuts in proptest::collection::vec(0..40_usize, 0..8),
        ) {
            let needles = needles(&["aabaabab0", "bbbbbbbbb0"]);
            prop_assume!(!text.contains("aabaabab0") && !text.contains("bbbbbbbbb0"));
            let (got, end) = read(&needles, &pieces(text.as_bytes(), cuts));
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(got, text.as_bytes());
        }
    }

    fn pieces(text: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
        cuts.retain(|&cut| cut <= text.len());
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&text[from..cut]);
            from = cut;
        }
        pieces.push(&text[from..]);
        pieces
    }
}
