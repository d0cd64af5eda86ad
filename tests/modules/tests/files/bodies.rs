//! What was stored is what is read, whole or not at all.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use stheno::{Access, ErrorKind, NewFile};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::{Subject, pattern};

for_every_provider![
    any_body_is_read_as_it_was_stored,
    a_stream_is_read_as_it_was_sent,
    a_body_that_fails_leaves_nothing,
    an_upload_that_is_given_up_leaves_nothing,
    what_was_said_of_a_file_is_kept,
    a_copy_shares_nothing_with_its_original,
    a_file_outlives_a_restart,
    a_download_that_has_begun_ends_although_the_file_is_removed,
];

// F1: upload gives a key and a url; the bytes are equal.
async fn any_body_is_read_as_it_was_stored(s: Subject) {
    // Text that is base64 is not decoded, and neither is anything else changed.
    for body in [&b""[..], b"abcd", b"\0\xff\xfe\r\n", "ü\u{feff}".as_bytes(), &pattern(3_000_000)]
    {
        let stored = s.files.put_bytes(NewFile::new("a.bin").public(), body).await.unwrap();
        assert_eq!(stored.size, body.len() as u64);
        assert!(s.read(&stored.key).await == body, "{} bytes", body.len());
        let url = format!("https://files.example/files/{}", stored.key);
        assert_eq!(stored.url, Some(url));
        assert_eq!(s.files.stat(&stored.key).await.unwrap(), stored);
        assert_eq!(s.files.get(&stored.key).await.unwrap().info(), &stored);
    }
}

// F2: upload as a stream, and download as one.
async fn a_stream_is_read_as_it_was_sent(s: Subject) {
    let body = pattern(5_000_000);
    let (mut send, receive) = tokio::io::duplex(1_000);
    let sending = tokio::spawn({
        let body = body.clone();
        async move { tokio::io::AsyncWriteExt::write_all(&mut send, &body).await }
    });
    let stored = s.files.put(NewFile::new("s"), receive).await.unwrap();
    sending.await.unwrap().unwrap();
    let mut download = s.files.get(&stored.key).await.unwrap();
    let mut read = Vec::new();
    let mut part = vec![0; 777];
    loop {
        let count = download.read(&mut part).await.unwrap();
        if count == 0 {
            break;
        }
        read.extend_from_slice(&part[..count]);
    }
    assert!(read == body);
}

/// Gives some bytes and then fails, or stays silent for ever.
struct Breaking {
    left: usize,
    fails: bool,
}

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return if self.fails {
                Poll::Ready(Err(io::Error::other("the line went dead")))
            } else {
                Poll::Pending
            };
        }
        let count = self.left.min(buffer.remaining());
        buffer.put_slice(&vec![7; count]);
        self.left -= count;
        Poll::Ready(Ok(()))
    }
}

async fn a_body_that_fails_leaves_nothing(s: Subject) {
    for left in [0, 1, 2_000_000] {
        let body = Breaking { left, fails: true };
        let error = s.files.put(NewFile::new("broken"), body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("the line went dead"), "{error}");
    }
    assert!(s.keys("", 10).await.is_empty());
}

async fn an_upload_that_is_given_up_leaves_nothing(s: Subject) {
    for left in [0, 2_000_000] {
        let upload = s.files.put(NewFile::new("silent"), Breaking { left, fails: false });
        let mut upload = Box::pin(upload);
        for _ in 0..1_000 {
            assert!(futures_util::poll!(&mut upload).is_pending());
            tokio::task::yield_now().await;
        }
    }
    assert!(s.keys("", 10).await.is_empty());
    assert_eq!(s.put("after", b"x").await.size, 1);
}

// F12: the original file name, Cache-Control and metadata are kept.
async fn what_was_said_of_a_file_is_kept(s: Subject) {
    let file = NewFile::new("fotos/Zürich & See.jpg")
        .content_type("image/jpeg")
        .cache_control("public, max-age=60")
        .metadata("order", "1001")
        .metadata("note", "ä\"'<>")
        .public();
    let stored = s.files.put_bytes(file, b"jpeg").await.unwrap();
    assert_eq!(stored.name, "fotos/Zürich & See.jpg");
    assert_eq!(stored.content_type, "image/jpeg");
    assert_eq!(stored.cache_control.as_deref(), Some("public, max-age=60"));
    assert_eq!(stored.access, Access::Public);
    let pairs = [("order", "1001"), ("note", "ä\"'<>")].map(|(k, v)| (k.into(), v.into()));
    assert_eq!(stored.metadata, pairs);
    assert_eq!(stored.modified, std::time::UNIX_EPOCH + s.runtime.clock().unix());
    let plain = s.put("plain", b"").await;
    assert_eq!(plain.content_type, "application/octet-stream");
    assert_eq!((plain.access, plain.url), (Access::Private, None));
}

async fn a_copy_shares_nothing_with_its_original(s: Subject) {
    let body = pattern(1_200_000);
    let file = NewFile::new("a.txt").content_type("text/plain").metadata("k", "v");
    let first = s.files.put_bytes(file, body.clone()).await.unwrap();
    let same = s.files.copy(&first.key, None).await.unwrap();
    let other = NewFile::new("b/c.txt").public();
    let other = s.files.copy(&first.key, Some(other)).await.unwrap();
    assert_ne!(same.key, first.key);
    assert_eq!((&same.name, &same.metadata), (&first.name, &first.metadata));
    assert_eq!((other.name.as_str(), other.access), ("b/c.txt", Access::Public));
    assert!(other.metadata.is_empty());
    s.files.delete([&first.key]).await.unwrap()[0].clone().unwrap();
    for key in [same.key, other.key] {
        assert!(s.read(&key).await == body);
    }
    let gone = s.files.copy(&first.key, None).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

async fn a_file_outlives_a_restart(s: Subject) {
    let stored = s.put("kept.txt", b"kept").await;
    let s = s.restarted().await;
    assert_eq!(s.files.stat(&stored.key).await.unwrap(), stored);
    assert_eq!(s.read(&stored.key).await, b"kept");
}

async fn a_download_that_has_begun_ends_although_the_file_is_removed(s: Subject) {
    let body = pattern(4_000_000);
    let stored = s.put("a", &body).await;
    let mut download = s.files.get(&stored.key).await.unwrap();
    let mut begin = vec![0; 10];
    download.read_exact(&mut begin).await.unwrap();
    s.files.delete([&stored.key]).await.unwrap()[0].clone().unwrap();
    begin.extend(download.bytes().await.unwrap());
    assert!(begin == body);
    let gone = s.files.get(&stored.key).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}
