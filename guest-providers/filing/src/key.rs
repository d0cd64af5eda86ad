//! Which names a file may have, and the keys that are made of them.
//!
//! A key is a path below whatever the provider keeps its files in. A name becomes
//! a key by a mark in its last step, before the extension: the time and 80 random
//! bits, 26 characters that sort by time (the form is that of a ULID). So no two
//! uploads share a key, and nobody guesses one.
//!
//! A name that cannot be a path is refused and never mended: two names must not
//! become one, and who sends `../x` should hear of it. What other systems would
//! read as a way up is refused too (backslashes, percent-encoded dots and
//! slashes), since keys end up in URLs and in other people's scripts.
//!
//! The bounds are those of the narrowest store, so that whatever one provider
//! holds another holds too.

use percent_encoding::percent_decode;
use stheno_sdk::{Error, Result};

/// The longest key, and the longest step: what every file system can hold.
const KEY_BYTES: usize = 1_024;
const STEP_BYTES: usize = 255;
const STEPS: usize = 32;
const MARK_CHARS: usize = 26;
/// Crockford's base 32: no letters that look like digits.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A path below the place of a provider's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

/// Says why a text can be neither a name nor a key.
///
/// # Errors
///
/// What is wrong, to be said after what the text is called.
pub fn check(text: &str) -> std::result::Result<(), String> {
    let wrong = |why: &str| Err(why.to_owned());
    if text.is_empty() {
        return wrong("is empty");
    }
    if text.len() > KEY_BYTES {
        return Err(format!("has {} bytes, at most {KEY_BYTES} are allowed", text.len()));
    }
    if text.starts_with('/') {
        return wrong("begins with `/`, must be relative");
    }
    // The last two cannot stand in XML, as control characters cannot.
    if text.contains(|c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) {
        return wrong("has a control character");
    }
    if text.contains('\\') {
        return wrong("has a backslash, must part folders with `/`");
    }
    if text.split('/').count() > STEPS {
        return Err(format!("has more than {STEPS} steps"));
    }
    text.split('/').try_for_each(step)
}

/// Refuses a text that no listing gave as its cursor. That may be a path which
/// is no key, since others may put files into the folder; it is compared with
/// and never opened.
///
/// # Errors
///
/// `invalid-argument`.
pub fn check_cursor(text: &str) -> Result<()> {
    if text.split('/').any(|step| matches!(step, "" | "." | "..")) {
        return Err(Error::InvalidArgument(format!("cursor {text:?} is of no listing")));
    }
    Ok(())
}

/// Whether a key may begin so. A listing of what none can begin with is empty.
#[must_use]
pub fn may_begin(prefix: &str) -> bool {
    check(prefix).is_ok() || check(&format!("{prefix}x")).is_ok()
}

fn step(step: &str) -> std::result::Result<(), String> {
    let wrong = |why: &str| Err(format!("has the step {step:?}, which {why}"));
    if step.is_empty() {
        return wrong("is empty");
    }
    if step == ".." || step == "." {
        return wrong("climbs");
    }
    if step.starts_with('.') {
        return wrong("begins with a dot: such names are reserved");
    }
    if step.trim() != step {
        return wrong("begins or ends with a space");
    }
    if step.len() > STEP_BYTES {
        return Err(format!("has a step of {} bytes, at most {STEP_BYTES}", step.len()));
    }
    if hides(step) {
        return wrong(
            "holds a percent-encoded dot, slash, backslash, percent or control character",
        );
    }
    Ok(())
}

/// Whether whoever decodes a step, be it again and again, would see what a step may
/// not have: `%2e` is a dot, and `%%32e` becomes one in two steps.
fn hides(step: &str) -> bool {
    let mut read = step.as_bytes().to_vec();
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

impl Key {
    /// A key that was given by a caller, who calls it `argument`.
    ///
    /// # Errors
    ///
    /// `invalid-argument` if it cannot be one.
    pub fn parse(argument: &str, text: &str) -> Result<Self> {
        match check(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(why) => Err(Error::InvalidArgument(format!("{argument} {why}"))),
        }
    }

    /// A new key for `name`, below `prefix`. Of `random` 80 bits are used.
    ///
    /// # Errors
    ///
    /// `invalid-argument` if no key can be made of the name.
    pub fn made(prefix: &str, name: &str, unix_ms: u64, random: u128) -> Result<Self> {
        let refused = |why: String| Error::InvalidArgument(format!("name {why}"));
        check(name).map_err(refused)?;
        let (stem, extension) = parted(name);
        let key = format!("{prefix}{stem}-{}{extension}", mark(unix_ms, random));
        check(&key).map_err(|why| refused(format!("makes a key that {why}")))?;
        Ok(Self(key))
    }

    /// The key, if it is one that [`Key::made`] may have made for `name`.
    ///
    /// # Errors
    ///
    /// `invalid-argument`.
    pub fn kept_for(self, prefix: &str, name: &str) -> Result<Self> {
        let (stem, extension) = parted(name);
        let mark = self
            .0
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix(stem))
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(extension));
        let fits =
            |mark: &str| mark.len() == MARK_CHARS && mark.bytes().all(|c| DIGITS.contains(&c));
        if check(name).is_ok() && mark.is_some_and(fits) {
            Ok(self)
        } else {
            Err(Error::InvalidArgument(format!(
                "key {:?} was not kept for an upload of {name:?}",
                self.0
            )))
        }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its text, to be handed on.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A name before and after the place of its mark. What follows the last dot of
/// the last step is an extension if it is short and there is something before
/// it.
fn parted(name: &str) -> (&str, &str) {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name.rfind('.') {
        Some(dot) if dot > last && name.len() - dot <= 17 => name.split_at(dot),
        _ => (name, ""),
    }
}

/// 48 bits of time, then 80 random ones.
fn mark(unix_ms: u64, random: u128) -> String {
    let bits = u128::from(unix_ms) << 80 | random >> 48;
    let digit = |at: usize| {
        let five = (bits >> (5 * (MARK_CHARS - 1 - at))) & 31;
        DIGITS.get(five as usize).map_or('0', |&digit| char::from(digit))
    };
    (0..MARK_CHARS).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_767_225_600_000;

    #[test]
    fn a_key_keeps_folders_name_and_extension() {
        let key = |name: &str| Key::made("", name, NOW, 0).unwrap().into_string();
        assert_eq!(
            key("invoices/2026/a b.pdf"),
            "invoices/2026/a b-01KDVDNA000000000000000000.pdf"
        );
        assert_eq!(key("v1.2/README"), "v1.2/README-01KDVDNA000000000000000000");
        assert_eq!(key("a.tar.gz"), "a.tar-01KDVDNA000000000000000000.gz");
        let prefixed = Key::made("shop/", "a.txt", NOW, u128::MAX).unwrap();
        assert_eq!(prefixed.as_str(), "shop/a-01KDVDNA00ZZZZZZZZZZZZZZZZ.txt");
    }

    #[test]
    fn names_that_climb_hide_or_are_too_long_are_refused() {
        let long = "x".repeat(10_000);
        let step = "x".repeat(256);
        let steps = "x/".repeat(32) + "x";
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/../b",
            "a/..",
            "a/.",
            "./a",
            "/a",
            "//a",
            "a//b",
            "a/",
            "/",
            "\\a",
            "a\\..\\b",
            "..\\x",
            "C:\\x",
            "a\0b",
            "a\nb",
            "a\u{7f}",
            "a\u{85}b",
            ".stheno",
            ".stheno/x",
            ".htaccess",
            "a/.git/config",
            " a",
            "a ",
            "a/ b",
            "\u{a0}a",
            "%2e%2e/x",
            "%2E%2e%2Fx",
            "..%2fx",
            "a%2fb",
            "a%5cb",
            "a%00b",
            "%252e%252e%252fx",
            "a%0ab",
            "%%32e%%32e/a",
            "a%%32fb",
            "a\u{ffff}",
            long.as_str(),
            step.as_str(),
            steps.as_str(),
        ] {
            assert!(Key::made("", name, NOW, 0).is_err(), "{name:?}");
            assert!(Key::parse("key", name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        for name in [
            "a",
            "a..b",
            "a...",
            "100%",
            "50% off.txt",
            "a&b=c?d#e.txt",
            "übung.pdf",
            "请求.png",
            "report 10:30.csv",
            "a'b\"c.txt",
            "%zz",
            "a+b",
            "\u{ff0e}\u{ff0e}",
            "…",
        ] {
            assert!(Key::made("", name, NOW, 0).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn a_key_begins_only_with_what_can_go_on() {
        for prefix in ["", "a", "a/", "a/b", "a ", "a/b ", "100%", "a%2", "..a", "a.", "shop/a-01"]
        {
            let begins = may_begin(prefix);
            assert_eq!(begins, !prefix.starts_with('.'), "{prefix:?}");
        }
        let whole = ["x".repeat(254).as_str(); 4].join("/") + "/xyz";
        assert_eq!(whole.len(), 1_023);
        assert!(may_begin(&whole) && may_begin(&format!("{whole}x")));
        for prefix in
            [".", "..", "/", "a//", "../", "a/.", "a/../b", "\\", "a\nb", "%2e", " ", "a/ "]
        {
            assert!(!may_begin(prefix), "{prefix:?}");
        }
    }

    #[test]
    fn only_a_kept_key_fits_its_name() {
        let key = Key::made("p/", "a/b.txt", NOW, 7).unwrap();
        assert!(key.clone().kept_for("p/", "a/b.txt").is_ok());
        for (prefix, name) in [("", "a/b.txt"), ("p/", "a/c.txt"), ("p/", "a/b"), ("p/", "b.txt")] {
            assert!(key.clone().kept_for(prefix, name).is_err(), "{prefix} {name}");
        }
        let plain = Key::parse("key", "p/a/b-x.txt").unwrap();
        assert!(plain.kept_for("p/", "a/b.txt").is_err());
    }

    proptest! {
        #[test]
        fn a_key_is_a_path_that_stays_below_and_means_one_name(
            name in "(\\.|/|\\\\|%2e|%2F|\\x00| |a|é|-|\\.\\.){0,12}", ms in 0..1_u64 << 48, random: u128
        ) {
            if let Ok(key) = Key::made("", &name, ms, random) {
                let normal = |part: Component<'_>| matches!(part, Component::Normal(_));
                prop_assert!(Path::new(key.as_str()).components().all(normal));
                prop_assert_eq!(Key::parse("key", key.as_str()).unwrap(), key.clone());
                let step_count = name.split('/').count();
                prop_assert_eq!(key.as_str().split('/').count(), step_count);
                prop_assert!(key.kept_for("", &name).is_ok());
            }
        }

        #[test]
        fn a_key_may_begin_with_whatever_it_begins_with(name in "(/|%2|\\.| |a|é|-){0,12}") {
            if let Ok(key) = Key::made("", &name, NOW, 0) {
                let key = key.as_str();
                for (at, _) in key.char_indices() {
                    prop_assert!(may_begin(&key[..at]), "{:?}", &key[..at]);
                }
            }
        }

        #[test]
        fn two_uploads_of_one_name_have_two_keys(ms in 0..1_u64 << 48, one in 0..1_u128 << 80, other in 0..1_u128 << 80) {
            let key = |random: u128| Key::made("", "a.txt", ms, random << 48).unwrap();
            prop_assert_eq!(key(one) == key(other), one == other);
        }

        #[test]
        fn marks_sort_by_time(one in 0..1_u64 << 48, other in 0..1_u64 << 48, random: u128) {
            prop_assert_eq!(mark(one, random) < mark(other, random), one < other);
        }
    }
}
