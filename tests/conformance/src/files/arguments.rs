//! Arguments out of bounds are refused by name and change nothing.

use std::time::Duration;

use stheno::{Files, NewFile};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, refuses};

pub(crate) const CASES: &[Case] = cases! {
    Files:
    "files.arguments.put" =>
        "A name or description out of bounds is `invalid-argument` that names it, and nothing is stored.", put;
    "files.arguments.most" => "The longest description that is allowed is kept whole.", most;
    "files.arguments.keys" =>
        "A key out of bounds is `invalid-argument` that names it, in every function that takes one.", keys;
    "files.arguments.list" =>
        "A prefix or limit out of bounds is `invalid-argument` that names it." [with "list"], list;
    "files.arguments.links" =>
        "An expiry out of bounds is `invalid-argument` that names it." [with "links"], links;
};

async fn put(s: Subject) -> Outcome {
    let long = "n".repeat(2_000);
    let pairs = (0..33).map(|n| (n.to_string(), String::new())).collect();
    for (file, argument) in [
        (NewFile::new(""), "name"),
        (NewFile::new(&long), "name"),
        (s.file("a\0"), "name"),
        (s.file("a").content_type(""), "content_type"),
        (s.file("a").content_type("a\nb"), "content_type"),
        (s.file("a").content_type("ä"), "content_type"),
        (s.file("a").cache_control(&long), "cache_control"),
        (s.file("a").metadata("Upper", ""), "metadata"),
        (s.file("a").metadata("", ""), "metadata"),
        (s.file("a").metadata("k", &long), "metadata"),
        (s.file("a").metadata("k", "a\nb"), "metadata"),
        (s.file("a").metadata("k", "1").metadata("k", "2"), "metadata"),
        (NewFile { metadata: pairs, ..s.file("a") }, "metadata"),
    ] {
        refuses(s.api.put_bytes(file, b"x").await, argument)?;
    }
    if s.trial().target().has("list") {
        equal("what was stored", s.keys(&s.name(""), 10).await?, [""; 0])?;
    }
    Ok(())
}

async fn most(s: Subject) -> Outcome {
    let mut file = s.file("a").content_type("t".repeat(255)).cache_control("c".repeat(255));
    file.metadata = (0..32).map(|n| (format!("{n:0128}"), "v".repeat(1_024))).collect();
    let stored = s.api.put_bytes(file.clone(), b"x").await?;
    let found = s.api.stat(&stored.key).await?;
    equal("the type", found.content_type, "t".repeat(255))?;
    equal("the cache control", found.cache_control, file.cache_control)?;
    let mut metadata = found.metadata;
    metadata.sort();
    equal("the metadata", metadata, file.metadata)
}

async fn keys(s: Subject) -> Outcome {
    for key in [String::new(), "k".repeat(1_025)] {
        refuses(s.api.stat(&key).await, "key")?;
        refuses(s.api.get(&key).await, "key")?;
        refuses(s.api.copy(&key, None).await, "key")?;
        refuses(s.api.download_url(&key, Duration::from_secs(9)).await, "key")?;
        refuses(s.delete_one(&key).await?, "key")?;
        refuses(s.api.put_kept(s.file("a"), &key, &b"x"[..]).await, "key")?;
    }
    let kept = s.put("a", b"x").await?.key;
    refuses(s.api.delete(vec![kept.as_str(); 1_001]).await, "keys")?;
    equal("the body of what was there", s.read(&kept).await?, b"x")
}

async fn list(s: Subject) -> Outcome {
    for limit in [0, 1_001, u32::MAX] {
        refuses(s.api.list("", None, limit).await, "limit")?;
    }
    refuses(s.api.list(&"p".repeat(1_025), None, 1).await, "prefix")?;
    for cursor in [String::new(), "c".repeat(1_025)] {
        refuses(s.api.list("", Some(&cursor), 1).await, "cursor")?;
    }
    Ok(())
}

async fn links(s: Subject) -> Outcome {
    let key = s.put("a", b"x").await?.key;
    for expires in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(604_801)] {
        refuses(s.api.download_url(&key, expires).await, "expires")?;
        refuses(s.api.upload_url(s.file("b"), expires).await, "expires")?;
    }
    refuses(s.api.upload_url(NewFile::new(""), Duration::from_secs(9)).await, "name")
}
