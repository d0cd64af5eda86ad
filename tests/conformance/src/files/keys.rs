//! Keys: made by the provider, one for each upload, and never a way out.

use std::collections::BTreeSet;
use std::time::Duration;

use stheno::{ErrorKind, Files, NewFile};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, holds};

pub(crate) const CASES: &[Case] = cases! {
    Files:
    "files.keys.unique" =>
        "Each upload gets a key of its own, also under one name; no later one gets that of a removed file.",
        unique;
    "files.keys.odd" => "A name has letters of any language, spaces and signs.", odd;
    "files.keys.climbing" =>
        "A name that climbs, is absolute, empty in a step or has control characters is refused or stays a plain name.",
        climbing;
    "files.keys.guessed" =>
        "A key that no upload gave, climbing or not, reads nothing, copies nothing and removes nothing.",
        guessed;
};

async fn unique(s: Subject) -> Outcome {
    let mut keys = BTreeSet::new();
    for round in 0..10_u8 {
        let stored = s.put("same.txt", &[round]).await?;
        holds(keys.insert(stored.key.clone()), || format!("{} was given twice", stored.key))?;
        equal("the name", stored.name, s.name("same.txt"))?;
        if round % 2 == 0 {
            s.delete_one(&stored.key).await??;
        } else {
            equal("the body", s.read(&stored.key).await?, [round])?;
        }
    }
    Ok(())
}

async fn odd(s: Subject) -> Outcome {
    for name in
        ["a b", "a.b.c", "no-extension", "ä", "日本.png", "🦀", "a&b=c", "a+b", "a'b", "(1)", "a%b"]
    {
        let stored = s.put(name, name.as_bytes()).await?;
        equal("the name", &stored.name, &s.name(name))?;
        equal("the body", s.read(&stored.key).await?, name.as_bytes())?;
        let described = s.api.stat(&stored.key).await?;
        equal("the description", described, stored)?;
    }
    Ok(())
}

/// Ways up, and other names that mean something to some system.
const CLIMBING: &[&str] = &[
    ".",
    "..",
    "../escape",
    "a/../../escape",
    "a/..",
    "/escape",
    "//escape",
    "a//b",
    "a/",
    "\\escape",
    "..\\escape",
    "C:\\escape",
    "%2e%2e/escape",
    "..%2fescape",
    "..%c0%afescape",
    "a\0b",
    "../escape\0.txt",
    "a\nb",
    "a\rb",
    ".stheno",
    ".stheno/x",
    "~/escape",
    " ",
    "\u{ff0e}\u{ff0e}\u{ff0f}escape",
];

async fn climbing(s: Subject) -> Outcome {
    for name in CLIMBING {
        match s.api.put_bytes(NewFile::new(*name), b"x").await {
            Err(error) => {
                equal(
                    &format!("how {name:?} is refused"),
                    error.kind(),
                    ErrorKind::InvalidArgument,
                )?;
                holds(error.message().contains("name"), || {
                    format!("the refusal of {name:?} does not name `name`: {}", error.message())
                })?;
            }
            Ok(stored) => {
                let climbs =
                    name.split(['/', '\\']).any(|step| step == "..") || name.starts_with('/');
                holds(!climbs, || format!("{name:?} was taken, as {}", stored.key))?;
                equal("the name", stored.name.as_str(), *name)?;
                equal("the body", s.read(&stored.key).await?, b"x")?;
                s.delete_one(&stored.key).await??;
            }
        }
    }
    Ok(())
}

async fn guessed(s: Subject) -> Outcome {
    let stored = s.put("secret.txt", b"secret").await?.key;
    let near = [
        format!("{stored}x"),
        format!("./{stored}"),
        format!("/{stored}"),
        format!("x/../{stored}"),
        s.name("secret.txt"),
        stored.to_uppercase(),
    ];
    let near = near.iter().map(String::as_str).filter(|key| *key != stored);
    for key in CLIMBING.iter().copied().chain(near) {
        let kinds = [
            s.api.stat(key).await.err(),
            s.api.get(key).await.err(),
            match s.trial().target().has("copy") {
                true => s.api.copy(key, None).await.err(),
                false => s.api.stat(key).await.err(),
            },
            match s.trial().target().has("links") {
                true => s.api.download_url(key, Duration::from_secs(9)).await.err(),
                false => s.api.stat(key).await.err(),
            },
        ];
        for error in kinds {
            let kind = error.map(|error| error.kind());
            holds(matches!(kind, Some(ErrorKind::InvalidArgument | ErrorKind::NotFound)), || {
                format!(
                    "asked for {key:?} it gave {kind:?}, expected `invalid-argument` or `not-found`"
                )
            })?;
        }
        // Removing what is not there is no error; what cannot be a key may be one.
        if let Err(error) = s.delete_one(key).await? {
            equal("how a key is refused", error.kind(), ErrorKind::InvalidArgument)?;
        }
    }
    equal("the body of what was there", s.read(&stored).await?, b"secret")
}
