//! Bodies that come to nothing, and a server that fails.

use std::time::{Duration, Instant};

use serde_json::json;
use stheno::config::{ModuleName, ObjectsTimeout};
use stheno::{Clock, ErrorKind, FileInfo, Files, NewFile, Runtime};
use stheno_test_support::{ObjectProcess, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{BUCKET, MINUTE, Own, PREFIX, broken, grant, on};
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
    until("parts are left", async || own.server.leftovers() == 0).await;
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

/// A store on a server that is a process of its own.
struct Apart {
    server: ObjectProcess,
    runtime: Runtime,
}

impl Apart {
    async fn start() -> Self {
        let program = env!("CARGO_BIN_EXE_stheno-modules-object-server");
        let server = ObjectProcess::start(program, &[BUCKET]);
        let mut grant = grant(&server.url(), PREFIX);
        grant.timeout = ObjectsTimeout::new(TIMEOUT).unwrap();
        let (clock, _) = Clock::manual();
        let runtime = crate::runtime(on(grant), clock).await.unwrap();
        Self { server, runtime }
    }

    fn files(&self) -> &Files {
        self.runtime.files()
    }

    async fn put(&self, name: &str) -> FileInfo {
        self.files().put_bytes(NewFile::new(name), b"body").await.unwrap()
    }

    /// Each call fails, and in time.
    async fn fails(&self, key: &str) {
        let files = self.files();
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
        // None makes a second request after one that failed.
        assert!(begun.elapsed() < 4 * TIMEOUT, "{:?}", begun.elapsed());
        let (a, b, c, d, e, f, g) = outcomes;
        for (at, outcome) in [a, b, c, d, e, f, g].into_iter().enumerate() {
            let kind = outcome.unwrap_err().kind();
            assert!(is_of_a_server(kind), "call {at}: {kind:?}");
        }
        let status = self.runtime.status().await;
        let status = status.iter().find(|it| it.module == ModuleName::Files).unwrap();
        assert!(status.health.is_err(), "it says that it cannot serve");
    }

    async fn works_again(&self, key: &str) {
        until("it does not recover by itself", async || match self.files().get(key).await {
            Ok(download) => {
                assert_eq!(download.bytes().await.unwrap(), b"body");
                true
            }
            Err(_) => false,
        })
        .await;
        let stored = self.put("again").await;
        assert_eq!(self.files().delete([stored.key]).await.unwrap(), [Ok(())]);
    }
}

fn is_of_a_server(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_calls_fail_in_time_until_it_is_back() {
    let mut apart = Apart::start().await;
    let key = apart.put("a").await.key;
    apart.server.kill();
    apart.fails(&key).await;
    // To make a link to upload needs no server.
    apart.files().upload_url(NewFile::new("later"), MINUTE).await.unwrap();
    apart.server.start_again();
    apart.works_again(&key).await;
    apart.server.hang();
    apart.fails(&key).await;
    apart.server.go_on();
    apart.works_again(&key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_or_hangs_within_a_body_makes_no_short_file() {
    let mut apart = Apart::start().await;
    // The deadline is short: on a busy machine storing so much may take several attempts.
    let mut stored = apart.files().put_bytes(NewFile::new("large"), pattern(64 << 20)).await;
    for _ in 0..10 {
        if stored.is_err() {
            stored = apart.files().put_bytes(NewFile::new("large"), pattern(64 << 20)).await;
        }
    }
    let key = stored.unwrap().key;
    for dies in [true, false] {
        let (mut send, receive) = tokio::io::duplex(1 << 20);
        let upload = tokio::spawn({
            let files = apart.files().clone();
            async move { files.put(NewFile::new("half"), receive).await }
        });
        send.write_all(&pattern(20 << 20)).await.unwrap();
        let mut download = apart.files().get(&key).await.unwrap();
        let mut begin = vec![0; 1_000];
        download.read_exact(&mut begin).await.unwrap();
        if dies {
            apart.server.kill()
        } else {
            apart.server.hang()
        }
        // The upload has all of its body now, and the server not.
        drop(send);
        let both = tokio::time::timeout(6 * TIMEOUT, async {
            tokio::join!(async { upload.await.unwrap().map(drop) }, async {
                download.bytes().await.map(drop)
            })
        });
        let (up, down) = both.await.expect("both end in time");
        for kind in [up.unwrap_err().kind(), down.unwrap_err().kind()] {
            assert!(is_of_a_server(kind), "{kind:?}");
        }
        if dies {
            apart.server.start_again()
        } else {
            apart.server.go_on()
        }
        assert_eq!(apart.files().stat(&key).await.unwrap().size, 64 << 20);
        let page = apart.files().list("", None, 10).await.unwrap();
        assert_eq!(page.files.len(), 1, "{page:?}");
    }
}
