//! Links that expire.

use std::time::Duration;

use stheno::{ErrorKind, Files, LinkUse};

use super::Subject;
use crate::case::Case;
use crate::check::{Fault, Outcome, equal, fails, holds, names, one, there};

pub(crate) const CASES: &[Case] = cases! {
    Files:
    "files.links.download" =>
        "A private file can be read by a link until it expires, and by no plain URL." [with "links"], download;
    "files.links.missing" =>
        "A link to a file that is not there is `not-found` and names the key." [with "links"], missing;
    "files.links.upload" =>
        "A link to upload keeps a key that nobody else gets, under which nothing is visible until the upload is whole." [with "links"],
        upload;
    "files.links.once" =>
        "A kept key is filled once: while a file is there another upload is `conflict` and changes nothing." [with "links"],
        once;
    "files.links.only-its-name" =>
        "A kept key is filled only under the name that it was kept for, and a key that was not kept is filled by nobody." [with "links"],
        only_its_name;
    "files.public.url" =>
        "A public file has a URL that encodes each step of its key and keeps the slashes.", public;
};

const MINUTE: Duration = Duration::from_secs(60);

/// The token of a link that the host serves; a provider's own address has none.
fn token(url: &str) -> Option<&str> {
    url.split_once("/v1/files/link?token=").map(|(_, token)| token)
}

async fn download(s: Subject) -> Outcome {
    let stored = s.put("secret", b"s").await?;
    equal("the plain URL", stored.url, None)?;
    let url = s.api.download_url(&stored.key, MINUTE).await?;
    let Some(token) = token(&url) else {
        return holds(url.starts_with("https://") || url.starts_with("http://"), || {
            format!("the link is no URL: {url}")
        });
    };
    let allowed = LinkUse::Read { store: s.api.id().to_owned(), key: stored.key };
    equal("what it allows", s.api.redeem(token)?, allowed)?;
    s.pass(59_999);
    s.api.redeem(token)?;
    s.pass(1);
    fails("the link after a minute", s.api.redeem(token), ErrorKind::Denied).map(drop)
}

async fn missing(s: Subject) -> Outcome {
    let link = s.api.download_url(&s.name("missing"), MINUTE).await;
    names("a link to it", link, ErrorKind::NotFound, "missing")
}

async fn upload(s: Subject) -> Outcome {
    let file = s.file("up/a.csv").content_type("text/csv").metadata("k", "v");
    let kept = s.api.upload_url(file.clone(), MINUTE).await?;
    let other = s.api.upload_url(file.clone(), MINUTE).await?;
    let put = s.api.put_bytes(file.clone(), b"x").await?;
    holds(kept.key != other.key && kept.key != put.key, || "a key was given twice".to_owned())?;
    s.is_gone(&kept.key).await?;
    if let Some(token) = token(&kept.url) {
        let (store, key) = (s.api.id().to_owned(), kept.key.clone());
        let allowed = LinkUse::Write { store, key, file: file.clone() };
        equal("what the link allows", s.api.redeem(token)?, allowed)?;
    }
    let stored = s.api.put_kept(file, &kept.key, &b"a,b"[..]).await?;
    equal("the key", &stored.key, &kept.key)?;
    equal("the type", stored.content_type.as_str(), "text/csv")?;
    equal("the body", s.read(&kept.key).await?, b"a,b")
}

async fn once(s: Subject) -> Outcome {
    let kept = s.api.upload_url(s.file("a.txt"), MINUTE).await?.key;
    let fill = async |body: &'static [u8]| {
        s.api.put_kept(s.file("a.txt"), &kept, body).await.map_err(|error| error.kind())
    };
    let both = tokio::join!(fill(b"one"), fill(b"two"));
    let (won, lost) = match both {
        (Ok(_), Err(lost)) => ("one", lost),
        (Err(lost), Ok(_)) => ("two", lost),
        both => return Err(Fault::new(format!("two uploads to one key gave {both:?}"))),
    };
    equal("how the other ended", lost, ErrorKind::Conflict)?;
    equal("a third", fill(b"three").await.err(), Some(ErrorKind::Conflict))?;
    equal("the body", s.read(&kept).await?, won.as_bytes())?;
    if s.trial().target().has("list") {
        let listed = s.keys(&s.name(""), 10).await?;
        equal("what is listed", one("files", listed)?, kept)?;
    }
    Ok(())
}

async fn only_its_name(s: Subject) -> Outcome {
    let kept = s.api.upload_url(s.file("a.txt"), MINUTE).await?.key;
    for (name, key) in
        [("b.txt", kept.clone()), ("a.txt", s.name("a.txt")), ("a.txt", "../a.txt".to_owned())]
    {
        let put = s.api.put_kept(s.file(name), &key, &b"x"[..]).await;
        fails(&format!("{name:?} under {key:?}"), put, ErrorKind::InvalidArgument)?;
    }
    s.is_gone(&kept).await
}

async fn public(s: Subject) -> Outcome {
    let stored = s.api.put_bytes(s.file("a b/ü&c.txt").public(), b"x").await?;
    let url = there("the URL of a public file", stored.url)?;
    holds(url.contains("/a%20b/") && url.contains("%C3%BC%26c"), || {
        format!("the key is {} and the URL {url}", stored.key)
    })
}
