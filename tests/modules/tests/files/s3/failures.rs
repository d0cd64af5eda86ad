//! Bodies that come to nothing, and a server that fails.

use std::pin::pin;
use std::time::{Duration, Instant};

use serde_json::json;
use stheno::config::{ModuleName, ObjectsGrant, ObjectsTimeout};
use stheno::{ErrorKind, NewFile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{BUCKET, MINUTE, Own, PREFIX, broken};
use crate::pattern;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_upload_leaves_nothing_on_the_server() {
    let own = Own::start(json!({})).await;
    let files = own.files();
    let error = files.put(NewFile::new("broken"), broken(30 << 20)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // And one that is given up in the middle.
    let (mut send, receive) = tokio::io::duplex(1 << 20);
    let upload = tokio::spawn({
        let files = files.clone();
        async move { files.put(NewFile::new("given-up"), receive).await }
    });
    send.write_all(&pattern(30 << 20)).await.unwrap();
    assert!(own.server.leftovers() > 0, "parts are on the server");
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    let begun = Instant::now();
    while own.server.leftovers() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "parts are left");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(own.list().await.is_empty() && own.objects().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_fails_is_no_empty_one() {
    let own = Own::start(json!({})).await;
    let key = own.put(NewFile::new("a")).await.key;
    // A request that changes nothing is sent three times.
    for _ in 0..3 {
        own.server.answer(&format!("GET /{BUCKET}"), 503, "SlowDown");
    }
    let kind = own.files().list("", None, 10).await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Unavailable);
    own.server.answer(&format!("GET /{BUCKET}"), 403, "AccessDenied");
    assert_eq!(own.files().list("", None, 10).await.unwrap_err().kind(), ErrorKind::Denied);
    // What one of its files is cannot be told.
    own.server.answer(&format!("HEAD /{BUCKET}/{PREFIX}a"), 403, "");
    assert_eq!(own.files().list("", None, 10).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(own.list().await, [key]);
}

const TIMEOUT: Duration = Duration::from_millis(500);

/// What becomes of each call without a server: each in time.
async fn is_without_a_server(own: &Own, key: &str) {
    let files = own.files();
    let begun = Instant::now();
    let outcomes = tokio::join!(
        async { files.put_bytes(NewFile::new("b"), b"b").await.map(drop) },
        async { files.get(key).await.map(drop) },
        async { files.stat(key).await.map(drop) },
        async { files.list("", None, 10).await.map(drop) },
        async { files.delete([key]).await.map(drop) },
        async { files.copy(key, None).await.map(drop) },
        async { files.download_url(key, MINUTE).await.map(drop) },
    );
    // A call makes two requests at most.
    assert!(begun.elapsed() < 6 * TIMEOUT, "{:?}", begun.elapsed());
    let (a, b, c, d, e, f, g) = outcomes;
    for (at, outcome) in [a, b, c, d, e, f, g].into_iter().enumerate() {
        let kind = outcome.unwrap_err().kind();
        let expected = matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout);
        assert!(expected, "call {at}: {kind:?}");
    }
    let status = own.runtime.status().await;
    let status = status.iter().find(|it| it.module == ModuleName::Files).unwrap();
    assert!(status.health.is_err(), "it says that it cannot serve");
}

async fn works_again(own: &Own, key: &str) {
    let begun = Instant::now();
    loop {
        if let Ok(download) = own.files().get(key).await {
            assert_eq!(download.bytes().await.unwrap(), b"body");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not recover by itself");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stored = own.put(NewFile::new("again")).await;
    assert_eq!(own.files().delete([stored.key]).await.unwrap(), [Ok(())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_calls_fail_in_time_until_it_is_back() {
    let short = |grant: &mut ObjectsGrant| grant.timeout = ObjectsTimeout::new(TIMEOUT).unwrap();
    let mut own = Own::with(json!({}), short).await;
    let key = own.put(NewFile::new("a")).await.key;
    own.server.kill();
    is_without_a_server(&own, &key).await;
    // To make a link to upload needs no server.
    own.files().upload_url(NewFile::new("later"), MINUTE).await.unwrap();
    own.server.start_again();
    works_again(&own, &key).await;
    own.server.hang();
    is_without_a_server(&own, &key).await;
    own.server.go_on();
    works_again(&own, &key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_or_hangs_within_a_body_makes_no_short_file() {
    let short = |grant: &mut ObjectsGrant| grant.timeout = ObjectsTimeout::new(TIMEOUT).unwrap();
    let mut own = Own::with(json!({}), short).await;
    let body = pattern(64 << 20);
    let key = own.files().put_bytes(NewFile::new("large"), body).await.unwrap().key;
    for dies in [true, false] {
        let (mut send, receive) = tokio::io::duplex(1 << 20);
        let upload = tokio::spawn({
            let files = own.files().clone();
            async move { files.put(NewFile::new("half"), receive).await }
        });
        send.write_all(&pattern(20 << 20)).await.unwrap();
        let mut download = own.files().get(&key).await.unwrap();
        let mut begin = vec![0; 1_000];
        download.read_exact(&mut begin).await.unwrap();
        if dies {
            own.server.kill()
        } else {
            own.server.hang()
        }
        drop(send);
        let begun = Instant::now();
        let kind = upload.await.unwrap().unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout), "{kind:?}");
        assert!(begun.elapsed() < 6 * TIMEOUT, "{:?}", begun.elapsed());
        if dies {
            // One that hangs goes on with what it has begun to send.
            let read = pin!(download.bytes());
            let kind = tokio::time::timeout(6 * TIMEOUT, read).await.unwrap().unwrap_err().kind();
            assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout), "{kind:?}");
            own.server.start_again();
        } else {
            own.server.go_on();
        }
        assert_eq!(own.files().stat(&key).await.unwrap().size, 64 << 20);
        assert_eq!(own.list().await, std::slice::from_ref(&key));
    }
}
