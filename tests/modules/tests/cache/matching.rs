//! Patterns: `*` is any run of characters, everything else is itself.

use std::time::Duration;

use stheno::NewEntry;

use crate::Subject;
use crate::keys::odd_keys;

const KEYS: &[&str] = &[
    "a",
    "aa",
    "aaa",
    "ab",
    "abc",
    "aXc",
    "a.c",
    "a*c",
    "a**c",
    "a?c",
    "a\\c",
    "a\nc",
    "a\0c",
    "ac",
    "bc",
    "cab",
    "abcabc",
    "abab",
    "aba",
    "x",
    "[a]",
    "[abc]",
    "(a|b)",
    "^a$",
    "a+",
    "{a,b}",
    "\\d",
    "%",
    "_",
    "order:1",
    "order:1:item",
    "order:",
    "Order:1",
    "日本",
    "日",
    "本日",
    "é",
    "e\u{301}",
    "🦀",
    "🦀🦀",
    " ",
    "a b",
];

const PATTERNS: &[&str] = &[
    "*",
    "**",
    "a*",
    "*a",
    "*a*",
    "a*c",
    "a**c",
    "a*b*c",
    "*b*",
    "*c*a*",
    "aa*",
    "*aa",
    "a*a",
    "aa*aa",
    "ab*ab",
    "a*ba",
    "abc*abc",
    "a.c",
    "a?c",
    "a?*",
    "[a]",
    "[a*",
    "(a|b)",
    "(*)",
    "^*$",
    "a+",
    "{*}",
    "\\d",
    "\\*",
    "%",
    "_",
    "order:*",
    "order:*:*",
    "*:item",
    "日*",
    "*日",
    "日*本",
    "é*",
    "e*",
    "🦀*",
    "*🦀*🦀*",
    " *",
    "* *",
    "*\n*",
    "a\0*",
    "none",
    "none*",
    "*none*",
    "a*none",
];

/// What the contract says, tried the slow way.
fn matches(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
        (Some((one, pattern)), Some((other, text))) => one == other && matches(pattern, text),
        _ => false,
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

async fn exactly_the_keys_that_match_are_cleared(subject: Subject) {
    for pattern in PATTERNS {
        subject.cache.set_many(KEYS.iter().map(|&key| NewEntry::new(key, key))).await.unwrap();
        subject.cache.clear_matching(pattern).await.unwrap();
        let left = subject.present(KEYS).await;
        let pattern_chars = chars(pattern);
        let expected: Vec<_> =
            KEYS.iter().copied().filter(|key| !matches(&pattern_chars, &chars(key))).collect();
        assert_eq!(left, expected, "{pattern:?}");
    }
}

async fn what_was_cleared_is_found_by_no_tag(subject: Subject) {
    let entries = ["a1", "a2", "b1"].map(|key| NewEntry::new(key, "").tags(["t"]));
    subject.cache.set_many(entries).await.unwrap();
    subject.cache.clear_matching("a*").await.unwrap();
    assert_eq!(subject.tagged(&["t"]).await, ["b1"]);
    subject.cache.clear_matching("*").await.unwrap();
    assert!(subject.tagged(&["t"]).await.is_empty());
    subject.cache.set_bytes("a1", "again").await.unwrap();
    assert!(subject.tagged(&["t"]).await.is_empty());
    assert_eq!(subject.read("a1").await.as_deref(), Some("again"));
}

/// A matcher that tries again after each star would not end in the time of a
/// call.
async fn no_pattern_is_slow(subject: Subject) {
    let key = "a".repeat(1_000);
    subject.cache.set_bytes(&key, "v").ttl(Duration::MAX).await.unwrap();
    let pattern = format!("{}b", "a*".repeat(500));
    subject.cache.clear_matching(&pattern).await.unwrap();
    assert_eq!(subject.read(&key).await.as_deref(), Some("v"));
    let pattern = "*a".repeat(500);
    subject.cache.clear_matching(&pattern).await.unwrap();
    assert_eq!(subject.read(&key).await, None);
}

async fn a_pattern_without_a_star_is_one_key_whatever_its_characters(subject: Subject) {
    let keys: Vec<_> = odd_keys().into_iter().filter(|key| !key.contains('*')).collect();
    let entries = keys.iter().map(|key| NewEntry::new(key, ""));
    subject.cache.set_many(entries).await.unwrap();
    for (at, key) in keys.iter().enumerate() {
        subject.cache.clear_matching(key).await.unwrap();
        let left = subject.cache.get_many_bytes(&keys).await.unwrap();
        assert!(left[at].is_none(), "{key:?} is still there");
        assert_eq!(left.iter().flatten().count(), keys.len() - at - 1, "{key:?}");
    }
}

for_providers_that_match! {
    a_pattern_without_a_star_is_one_key_whatever_its_characters,
    exactly_the_keys_that_match_are_cleared,
    what_was_cleared_is_found_by_no_tag,
    no_pattern_is_slow,
}
