//! Finding and clearing by tag.

use std::time::Duration;

use stheno::{Cache, MAX_KEY_BYTES, MAX_TAGS};

use super::Subject;
use crate::case::Case;
use crate::check::{CALLERS, Outcome, callers, equal, holds, unsupported};

pub(crate) const CASES: &[Case] = cases! {
    Cache:
    "cache.tags.union" =>
        "Every entry that carries at least one of the tags is found, once, with its value." [with "tags"],
        union;
    "cache.tags.none" => "A tag that nobody carries finds nothing and is not an error." [with "tags"], none;
    "cache.tags.twice" => "A tag that an entry has twice counts once." [with "tags"], twice;
    "cache.tags.most" => "An entry may have 64 tags." [with "tags"], most;
    "cache.tags.odd" =>
        "A tag has any characters, and tags that look alike are different tags." [with "tags"], odd;
    "cache.tags.clear" =>
        "Clearing tags removes every entry that carries one of them, and no other." [with "tags"], clear;
    "cache.tags.replaced" =>
        "Setting a key again replaces its tags: those that it had neither find nor clear it." [with "tags"],
        replaced;
    "cache.tags.deleted" =>
        "An entry that was deleted, or whose time has passed, is found by no tag." [with "tags"], deleted;
    "cache.tags.outlives" =>
        "A tag clears a long-lived entry also after a short-lived one with the same tag has gone." [with "tags"],
        outlives;
    "cache.tags.callers" =>
        "A tag clear removes every entry that had the tag when it began, whatever 64 callers do meanwhile." [with "tags"],
        clear_among_callers;
    "cache.tags.unsupported" =>
        "Without the feature `tags`, tags in `set`, `get-by-tags` and `clear-tags` answer `unsupported`." [without "tags"],
        without;
};

async fn union(s: Subject) -> Outcome {
    s.set_tagged("a", &["x"]).await?;
    s.set_tagged("b", &["x", "y"]).await?;
    s.set_tagged("c", &["y"]).await?;
    s.set_tagged("d", &["z"]).await?;
    equal("the keys with x or y", s.tagged(&["x", "y"]).await?, ["a", "b", "c"])?;
    equal("the keys with z", s.tagged(&["z"]).await?, ["d"])?;
    let hits = s.api.get_by_tags([s.own("z")]).await?;
    let values: Vec<_> = hits.into_iter().map(|hit| hit.value).collect();
    equal("the value of d", values, [b"d"])
}

async fn none(s: Subject) -> Outcome {
    s.set_tagged("a", &["x"]).await?;
    equal("the keys with a tag that nobody has", s.tagged(&["y"]).await?, [""; 0])?;
    s.api.clear_tags([s.own("y")]).await?;
    s.reads("a", Some("a")).await
}

async fn twice(s: Subject) -> Outcome {
    s.set_tagged("a", &["x", "x"]).await?;
    equal("the keys with x", s.tagged(&["x", "x"]).await?, ["a"])?;
    s.set_tagged("a", &["y"]).await?;
    equal("the keys with x after it was replaced", s.tagged(&["x"]).await?, [""; 0])
}

async fn most(s: Subject) -> Outcome {
    let own = s.own("");
    let tag = |at: usize| format!("{at}{}", "t".repeat(MAX_KEY_BYTES - own.len() - 2));
    let tags: Vec<String> = (10..10 + MAX_TAGS).map(tag).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    s.set_tagged("a", &tags).await?;
    for tag in &tags {
        equal("the keys with one of 64 tags", s.tagged(&[tag]).await?, ["a"])?;
    }
    if let Some(last) = tags.last() {
        s.api.clear_tags([s.own(last)]).await?;
    }
    equal("the keys with any of them after a clear", s.tagged(&tags).await?, [""; 0])
}

async fn odd(s: Subject) -> Outcome {
    let odd = ["a", "A", "a ", "a\0", "*", "a*", "a,b", "a:b", "ä", "a\u{308}", "🦀", "{a}", "%61"];
    for tag in odd {
        s.set_tagged(tag, &[tag]).await?;
    }
    for tag in odd {
        equal(&format!("the keys with {tag:?}"), s.tagged(&[tag]).await?, [tag])?;
    }
    for (at, tag) in odd.iter().enumerate() {
        s.api.clear_tags([s.own(tag)]).await?;
        let left = odd.get(at + 1..).unwrap_or_default();
        equal(&format!("what is left after {tag:?} was cleared"), s.present(&odd).await?, left)?;
    }
    Ok(())
}

async fn clear(s: Subject) -> Outcome {
    s.set_tagged("a", &["x"]).await?;
    s.set_tagged("b", &["x", "y"]).await?;
    s.set_tagged("c", &["y"]).await?;
    s.set_tagged("d", &["z"]).await?;
    s.set("e", "e").await?;
    s.api.clear_tags([s.own("x")]).await?;
    equal("what is left without x", s.present(&["a", "b", "c", "d", "e"]).await?, ["c", "d", "e"])?;
    s.api.clear_tags([s.own("y"), s.own("z")]).await?;
    equal("what is left without y and z", s.present(&["c", "d", "e"]).await?, ["e"])
}

async fn replaced(s: Subject) -> Outcome {
    s.set_tagged("a", &["old", "both"]).await?;
    s.set_tagged("a", &["new", "both"]).await?;
    equal("the keys with the old tag", s.tagged(&["old"]).await?, [""; 0])?;
    equal("the keys with either tag", s.tagged(&["new", "both"]).await?, ["a"])?;
    s.api.clear_tags([s.own("old")]).await?;
    s.reads("a", Some("a")).await?;
    s.api.clear_tags([s.own("both")]).await?;
    s.reads("a", None).await
}

async fn deleted(s: Subject) -> Outcome {
    s.set_tagged("a", &["x"]).await?;
    s.api.delete([s.own("a")]).await?;
    equal("the keys with x after the delete", s.tagged(&["x"]).await?, [""; 0])?;
    let (key, tag) = (s.own("b"), s.own("x"));
    s.api.set_bytes(&key, "b").ttl(Duration::from_secs(1)).tags([tag]).await?;
    s.pass(999);
    equal("the keys with x in time", s.tagged(&["x"]).await?, ["b"])?;
    s.pass(1);
    equal("the keys with x after their time", s.tagged(&["x"]).await?, [""; 0])
}

async fn outlives(s: Subject) -> Outcome {
    for (key, secs) in [("long", 100), ("short", 1), ("shorter", 1)] {
        let ttl = Duration::from_secs(secs);
        s.api.set_bytes(&s.own(key), key).ttl(ttl).tags([s.own("x")]).await?;
    }
    s.pass(50_000);
    equal("the keys with the tag", s.tagged(&["x"]).await?, ["long"])?;
    s.api.clear_tags([s.own("x")]).await?;
    s.reads("long", None).await
}

async fn clear_among_callers(s: Subject) -> Outcome {
    let all: Vec<String> = (0..CALLERS).map(|n| format!("k{n}")).collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    for name in &names {
        s.set_tagged(name, &["x"]).await?;
    }
    callers(|n| {
        let (api, tag) = (s.api.clone(), s.own("x"));
        let other = s.own(&format!("other{n}"));
        async move {
            if n % 8 == 0 {
                return Ok(api.clear_tags([tag]).await?);
            }
            api.set_bytes(&other, "v").tags([format!("{tag}{n}")]).await?;
            equal("an entry with another tag", api.get_bytes(&other).await?, Some(b"v".to_vec()))
        }
    })
    .await?;
    let left = s.present(&names).await?;
    holds(left.is_empty(), || format!("after the tag was cleared these are there: {left:?}"))?;
    equal("the keys with the tag", s.tagged(&["x"]).await?, [""; 0])
}

async fn without(s: Subject) -> Outcome {
    let key = s.own("k");
    unsupported("`get-by-tags`", s.api.get_by_tags([s.own("x")]).await)?;
    unsupported("`clear-tags`", s.api.clear_tags([s.own("x")]).await)?;
    unsupported("`set` with a tag", s.api.set_bytes(&key, "v").tags([s.own("x")]).await)?;
    s.reads("k", None).await?;
    s.set("k", "v").await?;
    s.reads("k", Some("v")).await
}
