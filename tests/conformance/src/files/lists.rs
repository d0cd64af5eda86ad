//! Listing by prefix, page by page.

use stheno::{ErrorKind, Files};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, fails, there};

pub(crate) const CASES: &[Case] = cases! {
    Files:
    "files.list.prefix" =>
        "Files whose key begins with the prefix are listed, and no other; a whole key lists that file." [with "list"],
        prefix;
    "files.list.pages" =>
        "Pages of any size give every file once, in one order." [with "list"], pages;
    "files.list.changes" =>
        "A file that is there during the whole listing comes once, whatever comes and goes meanwhile." [with "list"],
        changes;
    "files.list.cursor" =>
        "A cursor that no page gave and that cannot be one is `invalid-argument`." [with "list"], cursor;
};

async fn prefix(s: Subject) -> Outcome {
    let mut all = Vec::new();
    for name in ["a/1", "a/2", "ab/1", "b"] {
        all.push(s.put(name, b"x").await?);
    }
    let own = s.name("");
    for (prefix, names) in [
        ("", 0..4),
        ("a", 0..3),
        ("a/", 0..2),
        ("ab", 2..3),
        ("b", 3..4),
        ("c", 0..0),
        ("a/1/", 0..0),
    ] {
        let mut expected: Vec<_> =
            all.get(names).unwrap_or_default().iter().map(|it| it.key.clone()).collect();
        expected.sort();
        let mut found = s.keys(&format!("{own}{prefix}"), 10).await?;
        found.sort();
        equal(&format!("what begins with {prefix:?}"), found, expected)?;
    }
    for file in all {
        let page = s.api.list(&file.key, None, 10).await?;
        equal("what a whole key lists", page.files, [file])?;
    }
    Ok(())
}

async fn pages(s: Subject) -> Outcome {
    for at in 0..4 {
        for name in ["a", "b/c", "b/d", "e-f"] {
            s.put(name, &[at]).await?;
        }
    }
    let own = s.name("");
    let whole = s.keys(&own, 1_000).await?;
    equal("how many there are", whole.len(), 16)?;
    for limit in [1, 2, 3, 7, 15, 16, 17] {
        equal(&format!("pages of {limit}"), &s.keys(&own, limit).await?, &whole)?;
    }
    Ok(())
}

async fn changes(s: Subject) -> Outcome {
    for at in 0..6 {
        s.put(&format!("{at}"), b"x").await?;
    }
    let own = s.name("");
    let all = s.keys(&own, 100).await?;
    let first = s.api.list(&own, None, 2).await?;
    let mut seen: Vec<_> = first.files.into_iter().map(|file| file.key).collect();
    let mut cursor = Some(there("a cursor after 2 of 6", first.cursor)?);
    // One that was listed, one that was not, and the last that was.
    let goes: Vec<_> = [0, 1, 3].iter().filter_map(|at| all.get(*at).map(String::as_str)).collect();
    s.api.delete(&goes).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
    s.put("9", b"x").await?;
    while let Some(next) = cursor {
        let page = s.api.list(&own, Some(&next), 2).await?;
        seen.extend(page.files.into_iter().map(|file| file.key));
        cursor = page.cursor;
    }
    let stayed: Vec<_> = all.iter().filter(|key| !goes.contains(&key.as_str())).collect();
    for key in &stayed {
        let times = seen.iter().filter(|it| it == key).count();
        equal("how often a file is listed that was always there", times, 1)?;
    }
    Ok(())
}

async fn cursor(s: Subject) -> Outcome {
    s.put("a", b"x").await?;
    let listed = s.api.list(&s.name(""), Some("../no page gave this\0"), 10).await;
    fails("a cursor that cannot be one", listed, ErrorKind::InvalidArgument).map(drop)
}
