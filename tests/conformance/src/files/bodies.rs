//! What was stored is byte for byte what is read, with its description.

use std::io;

use stheno::{Access, ErrorKind, Files, Range};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, fails, holds, names, pattern};

pub(crate) const CASES: &[Case] = cases! {
    Files:
    "files.body.bytes" => "What was stored is byte for byte what is read, whatever its size.", bytes;
    "files.body.stream" => "A body of unknown size that comes in pieces is stored whole.", stream;
    "files.body.large" => "A body of 32 MiB goes in and comes out in pieces.", large;
    "files.body.failed" => "An upload whose body fails leaves nothing.", failed;
    "files.body.given-up" => "An upload that is given up leaves nothing.", given_up;
    "files.body.unseen" => "A file is not visible before its upload is whole." [with "list"], unseen;
    "files.body.waits" =>
        "A call never waits for a body: 100 uploads of which nothing comes hold up nobody.", waits;
    "files.info.unchanged" =>
        "A file has the name, type, access, cache control and metadata that it was stored with, its size, and the time.",
        unchanged;
    "files.info.defaults" =>
        "A file without a type is `application/octet-stream`, and private unless said otherwise.", defaults;
    "files.info.etag" => "A body keeps its etag, which is visible ASCII without quotes.", etag;
    "files.info.etag-differs" =>
        "Two bodies that one key has had have two etags." [with "links"], etag_differs;
    "files.range.parts" =>
        "A range gives that part of the body; what reaches beyond the end ends there." [with "ranges"], ranges;
    "files.range.outside" =>
        "A range without a byte of the file is `invalid-argument` that names it." [with "ranges"], outside;
    "files.restart.kept" => "What was stored is there after a restart, with its description.", restart;
};

async fn bytes(s: Subject) -> Outcome {
    let all: Vec<u8> = (0..=255).collect();
    for body in [vec![], vec![0], all, b"a\r\nb\0".to_vec(), pattern(524_288), pattern(1_048_577)] {
        let stored = s.put("body.bin", &body).await?;
        equal("the size", stored.size, body.len() as u64)?;
        equal("the body", s.read(&stored.key).await?, body)?;
    }
    Ok(())
}

async fn stream(s: Subject) -> Outcome {
    let (mut writer, reader) = tokio::io::duplex(100);
    let body = pattern(10_000);
    let sent = body.clone();
    let writes = tokio::spawn(async move {
        for part in sent.chunks(333) {
            writer.write_all(part).await?;
        }
        writer.shutdown().await
    });
    let stored = s.api.put(s.file("stream"), reader).await?;
    writes.await??;
    equal("the size", stored.size, 10_000)?;
    equal("the body", s.read(&stored.key).await?, body)
}

async fn large(s: Subject) -> Outcome {
    const SIZE: u64 = 32 << 20;
    let stored = s.api.put(s.file("large"), tokio::io::repeat(7).take(SIZE)).await?;
    equal("the size", stored.size, SIZE)?;
    let mut download = s.api.get(&stored.key).await?;
    let (mut part, mut read) = (vec![0; 256 * 1024], 0);
    loop {
        let count = download.read(&mut part).await?;
        if count == 0 {
            break;
        }
        holds(part.iter().take(count).all(|&byte| byte == 7), || {
            format!("another byte came between {read} and {count} bytes later")
        })?;
        read += count as u64;
    }
    equal("how many bytes came", read, SIZE)
}

/// A body that fails after some bytes.
fn failing() -> impl tokio::io::AsyncRead + Send + 'static {
    struct Fails;

    impl tokio::io::AsyncRead for Fails {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(Err(io::Error::other("the client went away")))
        }
    }

    tokio::io::repeat(1).take(1_000_000).chain(Fails)
}

async fn failed(s: Subject) -> Outcome {
    fails("an upload that fails", s.api.put(s.file("f"), failing()).await, ErrorKind::Unavailable)?;
    if s.trial().target().has("list") {
        equal("what it left", s.keys(&s.name(""), 10).await?, [""; 0])?;
    }
    if s.trial().target().has("links") {
        let kept = s.api.upload_url(s.file("f"), std::time::Duration::from_secs(60)).await?;
        let put = s.api.put_kept(s.file("f"), &kept.key, failing()).await;
        fails("an upload to a kept key that fails", put, ErrorKind::Unavailable)?;
        s.is_gone(&kept.key).await?;
        s.api.put_kept(s.file("f"), &kept.key, &b"whole"[..]).await?;
        equal("the body", s.read(&kept.key).await?, b"whole")?;
    }
    Ok(())
}

async fn given_up(s: Subject) -> Outcome {
    let (mut writer, reader) = tokio::io::duplex(16);
    let (api, file) = (s.api.clone(), s.file("f"));
    let upload = tokio::spawn(async move { api.put(file, reader).await });
    // It has begun, since it has read more than the pipe holds.
    writer.write_all(&[1; 100]).await?;
    upload.abort();
    let ended = upload.await;
    holds(ended.is_err(), || format!("an upload ended that nobody waited for: {ended:?}"))?;
    let written = writer.write_all(&[1; 100]).await;
    holds(written.is_err(), || "the body was still being read".to_owned())?;
    if s.trial().target().has("list") {
        equal("what it left", s.keys(&s.name(""), 10).await?, [""; 0])?;
    }
    let stored = s.put("f", b"whole").await?;
    equal("the body of another", s.read(&stored.key).await?, b"whole")
}

async fn unseen(s: Subject) -> Outcome {
    let (mut writer, reader) = tokio::io::duplex(16);
    let (api, file) = (s.api.clone(), s.file("f"));
    let upload = tokio::spawn(async move { api.put(file, reader).await });
    writer.write_all(&[1; 100]).await?;
    equal("what is listed during the upload", s.keys(&s.name(""), 10).await?, [""; 0])?;
    drop(writer);
    let stored = upload.await??;
    equal("what is listed after it", s.keys(&s.name(""), 10).await?, [stored.key])
}

async fn waits(s: Subject) -> Outcome {
    let mut uploads = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..100 {
        let (end, body) = tokio::io::duplex(16);
        ends.push(end);
        let (api, file) = (s.api.clone(), s.file("silent"));
        uploads.push(tokio::spawn(async move { api.put(file, body).await }));
    }
    for at in 0..5 {
        let stored = s.put("quick", &[at]).await?;
        equal("the body", s.read(&stored.key).await?, [at])?;
    }
    let ended = uploads.iter().filter(|upload| upload.is_finished()).count();
    equal("how many silent uploads have ended", ended, 0)?;
    drop(ends);
    for upload in uploads {
        equal("the size of a silent one", upload.await??.size, 0)?;
    }
    Ok(())
}

async fn unchanged(s: Subject) -> Outcome {
    s.pass(5_000);
    let file = s
        .file("a b/ü.csv")
        .content_type("text/csv; charset=utf-8")
        .public()
        .cache_control("max-age=60")
        .metadata("order.id_1-a", "1001 ü")
        .metadata("empty", "");
    let stored = s.api.put_bytes(file.clone(), b"a,b").await?;
    for info in [&stored, &s.api.stat(&stored.key).await?, s.api.get(&stored.key).await?.info()] {
        equal("the description", info, &stored)?;
    }
    equal("the name", &stored.name, &file.name)?;
    equal("the size", stored.size, 3)?;
    equal("the type", stored.content_type.as_str(), "text/csv; charset=utf-8")?;
    equal("the access", stored.access, Access::Public)?;
    equal("the cache control", stored.cache_control.as_deref(), Some("max-age=60"))?;
    let mut metadata = stored.metadata.clone();
    metadata.sort();
    let mut expected = file.metadata;
    expected.sort();
    equal("the metadata", metadata, expected)?;
    let modified = stored.modified.duration_since(std::time::SystemTime::UNIX_EPOCH);
    let seconds = modified.unwrap_or_default().as_secs();
    // The test clock begins with the year 2000.
    equal("the time in seconds", seconds, 946_684_805)
}

async fn defaults(s: Subject) -> Outcome {
    let stored = s.put("plain", b"x").await?;
    equal("the type", stored.content_type.as_str(), "application/octet-stream")?;
    equal("the access", stored.access, Access::Private)?;
    equal("the plain URL of a private file", stored.url, None)?;
    equal("the metadata", stored.metadata, [])
}

async fn etag(s: Subject) -> Outcome {
    let stored = s.put("a", b"one").await?;
    s.pass(1_000);
    equal("the etag later", &s.api.stat(&stored.key).await?.etag, &stored.etag)?;
    holds(stored.etag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'), || {
        format!("the etag is {:?}", stored.etag)
    })
}

async fn etag_differs(s: Subject) -> Outcome {
    let kept = s.api.upload_url(s.file("a"), std::time::Duration::from_secs(60)).await?.key;
    let mut etags = std::collections::BTreeSet::new();
    // As long as each other, and of one moment.
    for body in [b"one", b"two", b"one"] {
        let stored = s.api.put_kept(s.file("a"), &kept, &body[..]).await?;
        holds(etags.insert(stored.etag.clone()), || format!("{} was given twice", stored.etag))?;
        s.delete_one(&kept).await??;
    }
    Ok(())
}

async fn ranges(s: Subject) -> Outcome {
    let key = s.put("ten", b"0123456789").await?.key;
    for (range, offset, expected) in [
        (Range::From(0), 0, "0123456789"),
        (Range::From(9), 9, "9"),
        (Range::Span { offset: 2, length: 3 }, 2, "234"),
        (Range::Span { offset: 8, length: 100 }, 8, "89"),
        (Range::Span { offset: 0, length: u64::MAX }, 0, "0123456789"),
        (Range::Last(3), 7, "789"),
        (Range::Last(100), 0, "0123456789"),
    ] {
        let part = s.api.get_range(&key, range).await?;
        equal(&format!("where {range:?} begins"), part.offset(), offset)?;
        equal(&format!("the length of {range:?}"), part.length(), expected.len() as u64)?;
        equal("the size of the whole", part.info().size, 10)?;
        equal(&format!("the bytes of {range:?}"), part.bytes().await?, expected.as_bytes())?;
    }
    Ok(())
}

async fn outside(s: Subject) -> Outcome {
    let key = s.put("ten", b"0123456789").await?.key;
    let empty = s.put("empty", b"").await?.key;
    for (key, range) in [
        (&key, Range::From(10)),
        (&key, Range::From(u64::MAX)),
        (&key, Range::Span { offset: 10, length: 1 }),
        (&key, Range::Span { offset: 0, length: 0 }),
        (&key, Range::Last(0)),
        (&empty, Range::From(0)),
        (&empty, Range::Last(1)),
    ] {
        let part = s.api.get_range(key, range).await;
        names(&format!("{range:?}"), part, ErrorKind::InvalidArgument, "range")?;
    }
    let missing = s.api.get_range(&s.name("missing"), Range::From(0)).await;
    fails("a range of a missing file", missing, ErrorKind::NotFound).map(drop)
}

async fn restart(s: Subject) -> Outcome {
    let body = pattern(100_000);
    let stored = s.api.put_bytes(s.file("a").metadata("k", "v"), body.clone()).await?;
    let removed = s.put("b", b"b").await?.key;
    s.delete_one(&removed).await??;
    let s = s.restart().await?;
    equal("the description", s.api.stat(&stored.key).await?, stored.clone())?;
    equal("the body", s.read(&stored.key).await?, body)?;
    s.is_gone(&removed).await
}
