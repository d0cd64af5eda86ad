//! Removing and copying.

use stheno::{ErrorKind, Files};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, fails, holds, names};

pub(crate) const CASES: &[Case] = cases! {
    Files:
    "files.delete.many" =>
        "Of several keys each has its own result, in their order; one that is not there is no error.", many;
    "files.delete.gone" => "A removed file can be neither described nor opened.", gone;
    "files.delete.refused" =>
        "A key that cannot be one is refused for itself, and the others are removed all the same.", refused;
    "files.stat.missing" =>
        "Describing or opening a file that is not there is `not-found` and names the key.", missing;
    "files.copy.apart" =>
        "A copy has a key of its own, the same body and description, and shares nothing with the first." [with "copy"],
        copy;
    "files.copy.described" => "A copy is described as the call says, if it says so." [with "copy"], described;
    "files.copy.missing" => "Copying a file that is not there is `not-found` and names the key." [with "copy"],
        copy_missing;
};

async fn many(s: Subject) -> Outcome {
    let a = s.put("a", b"a").await?.key;
    let b = s.put("folder/b", b"b").await?.key;
    let kept = s.put("folder/c", b"c").await?.key;
    let missing = format!("{a}x");
    let results = s.api.delete([&a, &missing, &b]).await?;
    equal("the results", results, [Ok(()), Ok(()), Ok(())])?;
    for key in [&a, &b] {
        s.is_gone(key).await?;
    }
    equal("the results for what is gone", s.api.delete([&a, &b]).await?, [Ok(()), Ok(())])?;
    equal("the body of another", s.read(&kept).await?, b"c")?;
    equal("the results for no keys", s.api.delete::<&str>([]).await?, [])
}

async fn gone(s: Subject) -> Outcome {
    let key = s.put("a", b"a").await?.key;
    s.delete_one(&key).await??;
    s.is_gone(&key).await
}

async fn refused(s: Subject) -> Outcome {
    let a = s.put("a", b"a").await?.key;
    let b = s.put("b", b"b").await?.key;
    let results = s.api.delete([a.as_str(), "", "../a", "a\0", b.as_str()]).await?;
    let kinds: Vec<_> = results.into_iter().map(|it| it.err().map(|error| error.kind())).collect();
    let wrong = Some(ErrorKind::InvalidArgument);
    equal("how each ends", kinds, [None, wrong, wrong, wrong, None])?;
    s.is_gone(&a).await?;
    s.is_gone(&b).await
}

async fn missing(s: Subject) -> Outcome {
    let key = s.name("missing");
    names("describing it", s.api.stat(&key).await, ErrorKind::NotFound, "missing")?;
    names("opening it", s.api.get(&key).await, ErrorKind::NotFound, "missing")
}

async fn copy(s: Subject) -> Outcome {
    let file =
        s.file("a.txt").content_type("text/plain").cache_control("no-store").metadata("k", "v");
    let first = s.api.put_bytes(file, b"body").await?;
    let second = s.api.copy(&first.key, None).await?;
    holds(first.key != second.key, || "both have one key".to_owned())?;
    let about = |it: &stheno::FileInfo| {
        let it = it.clone();
        (it.name, it.size, it.content_type, it.access, it.cache_control, it.metadata)
    };
    equal("the description", about(&second), about(&first))?;
    s.delete_one(&first.key).await??;
    equal("the body of the copy", s.read(&second.key).await?, b"body")
}

async fn described(s: Subject) -> Outcome {
    let first = s.api.put_bytes(s.file("a.txt").content_type("text/plain"), b"body").await?;
    let second = s.api.copy(&first.key, Some(s.file("b.md").metadata("k", "v"))).await?;
    equal("the name", &second.name, &s.name("b.md"))?;
    equal("the type", second.content_type.as_str(), "application/octet-stream")?;
    equal("the metadata", second.metadata, [("k".to_owned(), "v".to_owned())])?;
    equal("the body", s.read(&second.key).await?, b"body")?;
    equal("the first", s.api.stat(&first.key).await?, first)
}

async fn copy_missing(s: Subject) -> Outcome {
    let copied = s.api.copy(&s.name("missing"), None).await;
    names("copying it", copied, ErrorKind::NotFound, "missing")?;
    let key = s.put("a", b"a").await?.key;
    let wrong = s.api.copy(&key, Some(stheno::NewFile::new(""))).await;
    fails("copying to no name", wrong, ErrorKind::InvalidArgument).map(drop)
}
