//! Keys and tags of any characters are themselves and no other's.

use stheno::{MAX_KEY_BYTES, NewEntry};

use crate::Subject;

/// All of ASCII, each alone and within a word, and what else tends to be
/// mistaken for something.
pub(crate) fn odd_keys() -> Vec<String> {
    let mut keys = Vec::new();
    for byte in 0..128_u8 {
        let character = char::from(byte);
        keys.push(character.to_string());
        keys.push(format!("a{character}b"));
    }
    let words = [
        // Names that languages have for something of their own.
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "toString",
        "undefined",
        "null",
        "None",
        "NaN",
        "true",
        "0",
        "-0",
        "00",
        "1e3",
        "__dict__",
        "self",
        // Escapes, paths, wildcards, quotes.
        "\\n",
        "\\0",
        "\\u0000",
        "%00",
        "%2e%2e",
        "../..",
        "/",
        "C:\\",
        "*",
        "**",
        "?*",
        "[a-z]",
        "(.*)",
        "${HOME}",
        "{}",
        "\"",
        "'",
        "`",
        "';--",
        "<a href=\"x\">",
        "a,b",
        "a;b",
        "k:v",
        // White space, control characters, line ends.
        "ab ",
        " ab",
        "ab\0",
        "\0ab",
        "a\r\nb",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        // Beyond ASCII: one and the same to the eye, or to some comparison.
        "é",
        "e\u{301}",
        "ß",
        "SS",
        "ss",
        "İ",
        "i",
        "I",
        "ı",
        "ſ",
        "K",
        "\u{212a}",
        "Å",
        "\u{212b}",
        "ﬁ",
        "fi",
        "\u{feff}",
        "\u{feff}k",
        "k",
        "\u{200b}",
        "\u{202e}abc",
        "日本語",
        "🦀",
        "👩‍👩‍👧‍👦",
        "👩👩👧👦",
        "\u{10ffff}",
        "\u{ffff}",
        "\u{fffd}",
        "\u{e000}",
        "\u{d7ff}",
    ];
    keys.extend(words.map(str::to_owned));
    keys.push("k".repeat(MAX_KEY_BYTES));
    keys.push("k".repeat(MAX_KEY_BYTES - 1));
    keys.push("é".repeat(MAX_KEY_BYTES / 2));
    keys.push("🦀".repeat(MAX_KEY_BYTES / 4));
    keys.sort();
    keys.dedup();
    keys
}

async fn every_key_is_a_key_of_its_own(subject: Subject) {
    let keys = odd_keys();
    let value = |at: usize| format!("value {at}").into_bytes();
    let entries = keys.iter().enumerate().map(|(at, key)| NewEntry::new(key, value(at)));
    subject.cache.set_many(entries).await.unwrap();
    let values = subject.cache.get_many_bytes(&keys).await.unwrap();
    for (at, (key, found)) in keys.iter().zip(values).enumerate() {
        assert_eq!(found, Some(value(at)), "{key:?}");
    }
    // Taking away every second one leaves the others.
    let (gone, kept): (Vec<_>, Vec<_>) = keys.iter().enumerate().partition(|(at, _)| at % 2 == 0);
    subject.cache.delete(gone.iter().map(|(_, key)| key)).await.unwrap();
    for (_, key) in gone {
        assert_eq!(subject.cache.get_bytes(key).await.unwrap(), None, "{key:?}");
    }
    for (at, key) in kept {
        assert_eq!(subject.cache.get_bytes(key).await.unwrap(), Some(value(at)), "{key:?}");
    }
}

async fn every_tag_is_a_tag_of_its_own(subject: Subject) {
    let tags = odd_keys();
    let entries =
        tags.iter().enumerate().map(|(at, tag)| NewEntry::new(format!("k{at}"), "").tags([tag]));
    subject.cache.set_many(entries).await.unwrap();
    for (at, tag) in tags.iter().enumerate() {
        assert_eq!(subject.tagged(&[tag]).await, [format!("k{at}")], "{tag:?}");
    }
    for (at, tag) in tags.iter().enumerate() {
        subject.cache.clear_tags([tag]).await.unwrap();
        let keys = (0..tags.len()).map(|at| format!("k{at}"));
        let left = subject.cache.get_many_bytes(keys).await.unwrap();
        let gone = left.iter().filter(|value| value.is_none()).count();
        assert_eq!(gone, at + 1, "{tag:?}");
    }
}

async fn a_found_entry_carries_its_key_as_it_was_set(subject: Subject) {
    let keys = odd_keys();
    let entries = keys.iter().map(|key| NewEntry::new(key, key.as_bytes()).tags(["all"]));
    subject.cache.set_many(entries).await.unwrap();
    let mut hits = subject.cache.get_by_tags(["all"]).await.unwrap();
    hits.sort_by(|one, other| one.key.cmp(&other.key));
    let found: Vec<_> = hits.iter().map(|hit| hit.key.clone()).collect();
    assert_eq!(found, keys);
    for hit in hits {
        assert_eq!(hit.value, hit.key.into_bytes());
    }
}

for_every_provider! {
    every_key_is_a_key_of_its_own,
    every_tag_is_a_tag_of_its_own,
    a_found_entry_carries_its_key_as_it_was_set,
}
