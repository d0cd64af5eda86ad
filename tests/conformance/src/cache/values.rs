//! What is read is what was last set.

use std::time::Duration;

use stheno::{Cache, MAX_KEY_BYTES, MAX_VALUE_BYTES, NewEntry};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, holds, pattern};

pub(crate) const CASES: &[Case] = cases! {
    Cache:
    "cache.values.bytes" =>
        "What is read is byte for byte what was set, whatever the bytes.", bytes;
    "cache.values.largest" => "A value may have 8 MiB.", largest;
    "cache.values.miss" =>
        "A key under which nothing is stored is a miss and not an error.", miss;
    "cache.values.order" =>
        "Values come in the order of the keys that were asked for, with none for a miss.", order;
    "cache.keys.odd" =>
        "A key has any characters, and keys that look alike are different keys.", odd_keys;
    "cache.keys.length" => "A key has 1 to 1,024 bytes.", key_lengths;
    "cache.set.last-wins" => "The last set of a key wins, also within one call.", last_wins;
    "cache.set.replaces" =>
        "Setting a key again replaces its value and its time to live.", replaces;
    "cache.delete.keys" => "A deleted key is a miss, and no other key is.", delete;
    "cache.delete.missing" =>
        "Deleting a key that is not there is not an error.", delete_missing;
    "cache.restart.values" =>
        "After a restart a key has the value that was last set, or it is a miss; and the cache serves.",
        restart;
};

async fn bytes(s: Subject) -> Outcome {
    let all: Vec<u8> = (0..=255).collect();
    for value in [vec![], vec![0], all, vec![0xff; 3], pattern(65_537)] {
        let key = s.own("k");
        s.api.set_bytes(&key, value.clone()).await?;
        equal("the value", s.api.get_bytes(&key).await?, Some(value))?;
    }
    Ok(())
}

async fn largest(s: Subject) -> Outcome {
    let value = pattern(MAX_VALUE_BYTES);
    let key = s.own("k");
    s.api.set_bytes(&key, value.clone()).await?;
    let found = s.api.get_bytes(&key).await?;
    holds(found.as_ref() == Some(&value), || {
        let bytes = found.as_ref().map(Vec::len);
        format!("a value of {MAX_VALUE_BYTES} bytes came back with {bytes:?} or with other bytes")
    })
}

async fn miss(s: Subject) -> Outcome {
    s.reads("never set", None).await?;
    let many = s.api.get_many_bytes([s.own("a"), s.own("b")]).await?;
    equal("two misses", many, vec![None, None])
}

async fn order(s: Subject) -> Outcome {
    for key in ["a", "b", "c"] {
        s.set(key, key).await?;
    }
    let asked = ["c", "none", "a", "c", "b"];
    let found = s.api.get_many_bytes(asked.iter().map(|key| s.own(key))).await?;
    let expected: Vec<_> =
        asked.iter().map(|key| (*key != "none").then(|| key.as_bytes().to_vec())).collect();
    equal("the values of c, none, a, c, b", found, expected)
}

/// Keys that a careless provider takes for each other, or for something else.
const ODD: &[&str] = &[
    " ",
    "  ",
    "a",
    "A",
    "a ",
    " a",
    "a\0",
    "a\0b",
    "\0",
    "\n",
    "a\nb",
    "a\r\nb",
    "\t",
    "*",
    "a*",
    "?",
    "[a]",
    "a/b",
    "a\\b",
    "../a",
    "a:b",
    "a::b",
    "{a}",
    "%61",
    "%",
    "\"",
    "'",
    "ä",
    "a\u{308}",
    "é",
    "e\u{301}",
    "日本",
    "🦀",
    "\u{feff}a",
    "\u{202e}a",
    "null",
    "0",
    "00",
    "-1",
    "true",
];

async fn odd_keys(s: Subject) -> Outcome {
    let entries = ODD.iter().map(|key| NewEntry::new(s.own(key), *key));
    s.api.set_many(entries.collect::<Vec<_>>()).await?;
    for key in ODD {
        s.reads(key, Some(key)).await?;
    }
    for (at, key) in ODD.iter().enumerate() {
        s.api.delete([s.own(key)]).await?;
        s.reads(key, None).await?;
        if let Some(next) = ODD.get(at + 1) {
            s.reads(next, Some(next)).await?;
        }
    }
    Ok(())
}

async fn key_lengths(s: Subject) -> Outcome {
    let own = s.own("");
    let longest = format!("{own}{}", "k".repeat(MAX_KEY_BYTES - own.len()));
    let sibling = format!("{own}{}j", "k".repeat(MAX_KEY_BYTES - own.len() - 1));
    s.api.set_bytes(&longest, "longest").await?;
    equal("a key that differs in its last byte", s.api.get_bytes(&sibling).await?, None)?;
    equal("the longest key", s.api.get_bytes(&longest).await?, Some(b"longest".to_vec()))?;
    // One byte cannot be a name of the case's own: it is removed again.
    s.api.set_bytes("k", own.as_bytes()).await?;
    equal("a key of one byte", s.api.get_bytes("k").await?, Some(own.into_bytes()))?;
    Ok(s.api.delete(["k"]).await?)
}

async fn last_wins(s: Subject) -> Outcome {
    s.set("k", "first").await?;
    s.set("k", "second").await?;
    s.reads("k", Some("second")).await?;
    let entry = |value: &str| NewEntry::new(s.own("k"), value);
    s.api.set_many([entry("third"), NewEntry::new(s.own("other"), ""), entry("fourth")]).await?;
    s.reads("k", Some("fourth")).await
}

async fn replaces(s: Subject) -> Outcome {
    let key = s.own("k");
    s.api.set_bytes(&key, "short").ttl(Duration::from_secs(1)).await?;
    s.pass(999);
    s.api.set_bytes(&key, "long").ttl(Duration::from_secs(10)).await?;
    s.pass(9_999);
    s.reads("k", Some("long")).await?;
    s.api.set_bytes(&key, "short").ttl(Duration::from_secs(1)).await?;
    s.pass(1_000);
    s.reads("k", None).await
}

async fn delete(s: Subject) -> Outcome {
    for key in ["a", "b", "c"] {
        s.set(key, key).await?;
    }
    s.api.delete([s.own("a"), s.own("c"), s.own("a")]).await?;
    equal("what is left of a, b and c", s.present(&["a", "b", "c"]).await?, vec!["b"])
}

async fn delete_missing(s: Subject) -> Outcome {
    s.api.delete([s.own("never set")]).await?;
    s.set("k", "v").await?;
    s.api.delete([s.own("never set"), s.own("k")]).await?;
    s.reads("k", None).await
}

async fn restart(s: Subject) -> Outcome {
    s.set("k", "old").await?;
    s.set("k", "new").await?;
    let key = s.own("deleted");
    s.api.set_bytes(&key, "v").await?;
    s.api.delete([&key]).await?;
    let s = s.restart().await?;
    let found = s.api.get_bytes(&s.own("k")).await?;
    holds(matches!(found.as_deref(), None | Some(b"new")), || {
        format!("after the restart the key has {found:?}, and `new` was set last")
    })?;
    s.reads("deleted", None).await?;
    s.set("k", "newer").await?;
    s.reads("k", Some("newer")).await
}
