//! Paths of requests: which ones lie below what was granted.

use std::fmt;

use thiserror::Error;

/// A path that a grant is about, and what is below it: `/v3/` covers
/// `/v3/mail`, `/v3` covers `/v3` and `/v3/mail`, neither covers `/v30`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(String);

/// Why a path cannot be granted, or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("it does not begin with `/`")]
    Relative,
    /// It has a query, a fragment, a space or characters beyond ASCII.
    #[error("it has a `?`, a `#`, a space or characters beyond ASCII")]
    Characters,
    /// A step is `.` or `..`, as some server might read it.
    #[error("it has a `.` or `..` step, as it stands or encoded")]
    Climbs,
    /// A control character is encoded in it.
    #[error("it has an encoded control character")]
    Control,
    /// It is encoded over and over.
    #[error("it is percent-encoded several times over")]
    Encoded,
}

impl PathPrefix {
    /// Takes a path.
    ///
    /// # Errors
    ///
    /// It is not one, or climbs.
    pub fn new(text: &str) -> Result<Self, PathError> {
        check_path(text)?;
        if !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#')) {
            return Err(PathError::Characters);
        }
        Ok(Self(text.to_owned()))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path`, which has passed [`check_path`], is this one or below it.
    pub fn covers(&self, path: &str) -> bool {
        match path.strip_prefix(self.as_str()) {
            Some(rest) => rest.is_empty() || rest.starts_with('/') || self.0.ends_with('/'),
            None => false,
        }
    }
}

impl Default for PathPrefix {
    /// All paths.
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How often a path may be encoded over before nobody can say what it means.
const DECODINGS: usize = 3;

/// Checks that no server can read a path as one that climbs out of where it
/// begins: servers decode before or after they cut it at the slashes, some take
/// a backslash for one, and some cut a step at its `;`.
///
/// # Errors
///
/// It is relative, climbs in one of these readings, or hides what it is.
pub fn check_path(path: &str) -> Result<(), PathError> {
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    let mut read = path.as_bytes().to_vec();
    for _ in 0..=DECODINGS {
        if read.iter().any(u8::is_ascii_control) {
            return Err(PathError::Control);
        }
        let climbs = |step: &[u8]| {
            let step = step.split(|&b| b == b';').next().unwrap_or_default();
            matches!(step, b"." | b"..")
        };
        if read.split(|b| matches!(b, b'/' | b'\\')).any(climbs) {
            return Err(PathError::Climbs);
        }
        match decoded(&read) {
            Some(next) => read = next,
            None => return Ok(()),
        }
    }
    Err(PathError::Encoded)
}

/// One layer of percent-encoding less; `None` if there is none.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut read = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some((&first, after)) = rest.split_first() {
        let byte = match after {
            [high, low, ..] if first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match byte {
            Some((high, low)) => {
                read.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
                changed = true;
            }
            None => {
                read.push(first);
                rest = after;
            }
        }
    }
    changed.then_some(read)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_prefix_ends_where_a_step_ends() {
        let open = PathPrefix::new("/v3").unwrap();
        let closed = PathPrefix::new("/v3/").unwrap();
        for (path, open_covers, closed_covers) in [
            ("/v3", true, false),
            ("/v3/", true, true),
            ("/v3/mail/send", true, true),
            ("/v30", false, false),
            ("/", false, false),
            ("/V3/", false, false),
            ("/%763/", false, false),
        ] {
            assert_eq!(open.covers(path), open_covers, "{path}");
            assert_eq!(closed.covers(path), closed_covers, "{path}");
        }
        assert!(PathPrefix::default().covers("/"));
        assert!(PathPrefix::default().covers("/a"));
    }

    #[test]
    fn a_path_that_some_server_reads_as_climbing_is_refused() {
        for path in [
            "/v3/../admin",
            "/v3/..",
            "/..",
            "/v3/./x",
            "/v3/%2e%2e/admin",
            "/v3/.%2E/admin",
            "/v3/..%2fadmin",
            "/v3/..%5cadmin",
            "/v3/..\\admin",
            "/v3/..;x=1/admin",
            "/v3/..%3b/admin",
            "/v3/%252e%252e/admin",
            "/v3/%25252e%25252e/admin",
        ] {
            assert_eq!(check_path(path), Err(PathError::Climbs), "{path}");
        }
        assert_eq!(check_path("/a%00"), Err(PathError::Control));
        assert_eq!(check_path("/a%0d%0aX:y"), Err(PathError::Control));
        assert_eq!(check_path("/%2525252561"), Err(PathError::Encoded));
        assert_eq!(check_path("x"), Err(PathError::Relative));
        assert_eq!(check_path(""), Err(PathError::Relative));
        for path in ["/", "//", "/a/...", "/a%2Fb", "/.well-known/x", "/a;b", "/100%", "/%zz", "/ä"]
        {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_path_that_passes_does_not_climb_once_decoded(path in "/(\\.|%2e|%2E|%25|/|%2f|\\\\|;|a|%5c|2|e|%){0,12}") {
            if check_path(&path).is_ok() {
                let mut read = path.into_bytes();
                for _ in 0..20 {
                    let steps: Vec<&[u8]> = read.split(|b| matches!(b, b'/' | b'\\')).collect();
                    prop_assert!(!steps.contains(&b"..".as_slice()) && !steps.contains(&b".".as_slice()));
                    match decoded(&read) {
                        Some(next) => read = next,
                        None => break,
                    }
                }
            }
        }

        #[test]
        fn no_path_panics_the_check(path in "\\PC*") {
            let _ = check_path(&path);
        }
    }
}
