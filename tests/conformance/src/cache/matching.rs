//! Clearing by pattern.

use stheno::Cache;

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, unsupported};

pub(crate) const CASES: &[Case] = cases! {
    Cache:
    "cache.matching.star" =>
        "`*` stands for any run of characters, none included, wherever it stands and however often." [with "matching"],
        star;
    "cache.matching.whole" => "A pattern must match the whole key." [with "matching"], whole;
    "cache.matching.literal" =>
        "Every character of a pattern but `*` stands for itself." [with "matching"], literal;
    "cache.matching.all" => "`*` alone removes everything." [with "matching"], all;
    "cache.matching.unsupported" =>
        "Without the feature `matching`, `clear-matching` answers `unsupported` and removes nothing." [without "matching"],
        without;
};

const KEYS: &[&str] = &["order:1:a", "order:12:a", "order:1:b", "orders", "1:order", "order:"];

/// Stores all of the keys, clears, and looks at what is left.
async fn leaves(s: &Subject, keys: &[&str], pattern: &str, left: &[&str]) -> Outcome {
    for key in keys {
        s.set(key, key).await?;
    }
    s.api.clear_matching(&s.own(pattern)).await?;
    equal(&format!("what {pattern:?} leaves"), s.present(keys).await?, left)
}

async fn star(s: Subject) -> Outcome {
    leaves(&s, KEYS, "order:*", &["orders", "1:order"]).await?;
    leaves(&s, KEYS, "order:*:a", &["order:1:b", "orders", "1:order", "order:"]).await?;
    leaves(&s, KEYS, "*:a", &["order:1:b", "orders", "1:order", "order:"]).await?;
    leaves(&s, KEYS, "*1*:*", &["orders", "order:"]).await?;
    leaves(&s, KEYS, "o**r*1*b", &["order:1:a", "order:12:a", "orders", "1:order", "order:"])
        .await?;
    leaves(&s, KEYS, "order*", &["1:order"]).await
}

async fn whole(s: Subject) -> Outcome {
    leaves(&s, KEYS, "order", KEYS).await?;
    leaves(&s, KEYS, "order:1", KEYS).await?;
    leaves(&s, KEYS, "orders", &["order:1:a", "order:12:a", "order:1:b", "1:order", "order:"]).await
}

async fn literal(s: Subject) -> Outcome {
    let keys = ["a.b", "axb", "a?b", "a[bc]", "ab", "a\\*", "a(b|c)", "^a", "a$", "ä", "a\nb"];
    for pattern in ["a.b", "a?b", "a[bc]", "a\\*", "a(b|c)", "^a", "a$"] {
        let left: Vec<&str> = keys.iter().copied().filter(|key| *key != pattern).collect();
        leaves(&s, &keys, pattern, &left).await?;
    }
    leaves(&s, &keys, "a*b", &["a[bc]", "a\\*", "a(b|c)", "^a", "a$", "ä"]).await
}

async fn all(s: Subject) -> Outcome {
    for key in KEYS {
        s.set(key, key).await?;
    }
    s.api.clear_matching("*").await?;
    equal("what is left of all keys", s.present(KEYS).await?, [""; 0])
}

async fn without(s: Subject) -> Outcome {
    s.set("k", "v").await?;
    unsupported("`clear-matching`", s.api.clear_matching(&s.own("*")).await)?;
    s.reads("k", Some("v")).await
}
