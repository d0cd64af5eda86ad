//! Arguments out of bounds are refused by name and change nothing.

use stheno::{Cache, MAX_KEY_BYTES, MAX_TAGS, MAX_VALUE_BYTES, NewEntry};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, refuses};

pub(crate) const CASES: &[Case] = cases! {
    Cache:
    "cache.arguments.set" =>
        "A key, value or tag out of bounds is `invalid-argument` that names it, and nothing of the call is stored.",
        set;
    "cache.arguments.keys" =>
        "A key out of bounds in `get` or `delete` is `invalid-argument` that names it, and removes nothing.",
        keys;
    "cache.arguments.tags" =>
        "A tag out of bounds in `get-by-tags` or `clear-tags` is `invalid-argument` that names it, and removes nothing." [with "tags"],
        tags;
    "cache.arguments.matching" =>
        "A pattern out of bounds is `invalid-argument` that names it, and removes nothing." [with "matching"],
        matching;
    "cache.arguments.empty" => "A call with no items does nothing and is not an error.", empty;
};

fn long() -> String {
    "k".repeat(MAX_KEY_BYTES + 1)
}

async fn set(s: Subject) -> Outcome {
    s.set("k", "old").await?;
    let good = || NewEntry::new(s.own("k"), "new");
    for (wrong, argument) in [
        (NewEntry::new("", "v"), "key"),
        (NewEntry::new(long(), "v"), "key"),
        (NewEntry::new(s.own("v"), vec![0; MAX_VALUE_BYTES + 1]), "value"),
        (good().tags(vec![s.own("t"); MAX_TAGS + 1]), "tag"),
        (good().tags([""]), "tag"),
        (good().tags([long()]), "tag"),
    ] {
        refuses(s.api.set_many([good(), wrong]).await, argument)?;
        s.reads("k", Some("old")).await?;
    }
    let many = (0..1_001).map(|_| good()).collect::<Vec<_>>();
    refuses(s.api.set_many(many).await, "entries")?;
    s.reads("k", Some("old")).await
}

async fn keys(s: Subject) -> Outcome {
    s.set("k", "v").await?;
    for wrong in [String::new(), long()] {
        refuses(s.api.get_bytes(&wrong).await, "key")?;
        refuses(s.api.delete([s.own("k"), wrong]).await, "key")?;
    }
    refuses(s.api.get_many_bytes(vec![s.own("k"); 1_001]).await, "keys")?;
    refuses(s.api.delete(vec![s.own("k"); 1_001]).await, "keys")?;
    s.reads("k", Some("v")).await
}

async fn tags(s: Subject) -> Outcome {
    s.set_tagged("k", &["t"]).await?;
    for wrong in [String::new(), long()] {
        refuses(s.api.get_by_tags([wrong.clone()]).await, "tag")?;
        refuses(s.api.clear_tags([s.own("t"), wrong]).await, "tag")?;
    }
    refuses(s.api.clear_tags(vec![s.own("t"); 1_001]).await, "tags")?;
    s.reads("k", Some("k")).await
}

async fn matching(s: Subject) -> Outcome {
    s.set("k", "v").await?;
    refuses(s.api.clear_matching("").await, "pattern")?;
    refuses(s.api.clear_matching(&"*".repeat(MAX_KEY_BYTES + 1)).await, "pattern")?;
    s.reads("k", Some("v")).await
}

async fn empty(s: Subject) -> Outcome {
    s.set("k", "v").await?;
    s.api.set_many([]).await?;
    s.api.delete::<&str>([]).await?;
    equal("no keys", s.api.get_many_bytes::<&str>([]).await?, vec![])?;
    s.reads("k", Some("v")).await
}
