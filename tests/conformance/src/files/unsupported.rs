//! What a provider leaves out answers `unsupported`, and nothing worse.

use std::time::Duration;

use stheno::{Files, Range};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, unsupported};

pub(crate) const CASES: &[Case] = cases! {
    Files:
    "files.list.unsupported" => "Without the feature `list`, `list` answers `unsupported`." [without "list"], list;
    "files.copy.unsupported" =>
        "Without the feature `copy`, `copy` answers `unsupported`, and the file stays." [without "copy"], copy;
    "files.links.unsupported" =>
        "Without the feature `links`, `download-url` and `upload-url` answer `unsupported`." [without "links"], links;
    "files.range.unsupported" =>
        "Without the feature `ranges`, `get` with a range answers `unsupported`." [without "ranges"], ranges;
};

async fn list(s: Subject) -> Outcome {
    s.put("a", b"a").await?;
    unsupported("`list`", s.api.list(&s.name(""), None, 10).await)
}

async fn copy(s: Subject) -> Outcome {
    let key = s.put("a", b"a").await?.key;
    unsupported("`copy`", s.api.copy(&key, None).await)?;
    equal("the body", s.read(&key).await?, b"a")
}

async fn links(s: Subject) -> Outcome {
    let (key, minute) = (s.put("a", b"a").await?.key, Duration::from_secs(60));
    unsupported("`download-url`", s.api.download_url(&key, minute).await)?;
    unsupported("`upload-url`", s.api.upload_url(s.file("b"), minute).await)
}

async fn ranges(s: Subject) -> Outcome {
    let key = s.put("a", b"abc").await?.key;
    unsupported("`get` with a range", s.api.get_range(&key, Range::Last(1)).await)?;
    equal("the whole body", s.read(&key).await?, b"abc")
}
