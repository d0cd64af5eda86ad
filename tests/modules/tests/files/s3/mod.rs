//! What is particular to files in a bucket.

mod descriptions;
mod failures;
mod links;

use std::time::Duration;

use serde_json::{Value, json};
use stheno::config::{ByteSize, MemoryLimit, ObjectsGrant, ProviderConfig};
use stheno::{Clock, ErrorKind, FileInfo, Files, ManualClock, NewFile, Runtime};
use stheno_test_support::ObjectServer;
use tokio::io::AsyncReadExt;

use crate::places::{BUCKET, grant, on};

const MINUTE: Duration = Duration::from_secs(60);
const PREFIX: &str = "own/";

/// A store on a server of its own.
struct Own {
    server: ObjectServer,
    runtime: Runtime,
    clock: ManualClock,
}

impl Own {
    async fn start(options: Value) -> Self {
        Self::with(options, |_| {}).await
    }

    async fn with(options: Value, change: impl FnOnce(&mut ObjectsGrant)) -> Self {
        let server = ObjectServer::start(&[BUCKET]);
        let mut grant = grant(&server.url(), PREFIX);
        change(&mut grant);
        let mut provider = on(grant);
        let Value::Object(options) = options else { panic!("options are an object") };
        provider.options = options;
        Self::serve(server, provider).await
    }

    async fn serve(server: ObjectServer, provider: ProviderConfig) -> Self {
        let (clock, hand) = Clock::manual();
        let runtime = crate::runtime(provider, clock).await.unwrap();
        Self { server, runtime, clock: hand }
    }

    fn files(&self) -> &Files {
        self.runtime.files()
    }

    async fn put(&self, file: NewFile) -> FileInfo {
        self.files().put_bytes(file, b"body").await.unwrap()
    }

    async fn list(&self) -> Vec<String> {
        let page = self.files().list("", None, 1_000).await.unwrap();
        page.files.into_iter().map(|file| file.key).collect()
    }

    /// The keys in the bucket, behind the prefix.
    fn objects(&self) -> Vec<String> {
        let keys = self.server.keys(BUCKET).into_iter();
        keys.map(|key| key.strip_prefix(PREFIX).unwrap().to_owned()).collect()
    }
}

/// A body that breaks off after so many bytes.
fn broken(bytes: usize) -> impl tokio::io::AsyncRead + Send + 'static {
    struct Breaks;

    impl tokio::io::AsyncRead for Breaks {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(std::io::Error::other("the line went dead")))
        }
    }

    tokio::io::repeat(7).take(bytes as u64).chain(Breaks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_put_into_the_bucket_is_no_file_and_stays() {
    let own = Own::start(json!({})).await;
    let key = own.put(NewFile::new("a")).await.key;
    for other in ["theirs.txt", "b/theirs.txt", ".stheno/theirs", "~/x"] {
        own.server.place(BUCKET, &format!("{PREFIX}{other}"), b"theirs");
    }
    own.server.place(BUCKET, "outside", b"theirs");
    let files = own.files();
    assert_eq!(own.list().await, std::slice::from_ref(&key));
    for kind in [
        files.stat("theirs.txt").await.unwrap_err().kind(),
        files.get("theirs.txt").await.unwrap_err().kind(),
        files.copy("theirs.txt", None).await.unwrap_err().kind(),
        files.download_url("theirs.txt", MINUTE).await.unwrap_err().kind(),
    ] {
        assert_eq!(kind, ErrorKind::NotFound);
    }
    assert_eq!(files.delete([&key]).await.unwrap(), [Ok(())]);
    assert_eq!(own.server.keys(BUCKET).len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leaves_no_room_behind_the_prefix_is_refused() {
    let prefix = format!("{}/", "p".repeat(500));
    let s = on(grant(&crate::places::shared().url(), &prefix));
    let (clock, _hand) = Clock::manual();
    let runtime = crate::runtime(s, clock).await.unwrap();
    let files = runtime.files();
    let name = ["n".repeat(200), "n".repeat(200), "n".repeat(150)].join("/");
    let upload = files.upload_url(NewFile::new(&name), MINUTE).await.map(drop);
    let put = files.put_bytes(NewFile::new(&name), b"x").await.map(drop);
    for refused in [upload, put] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        assert!(refused.message().starts_with("name "), "{refused}");
    }
    let error = files.stat(&name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().starts_with("key "), "{error}");
    let page = files.list(&name, None, 10).await.unwrap();
    assert_eq!((page.files, page.cursor), (Vec::new(), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_does_not_enter_the_provider() {
    const SIZE: u64 = 96 << 20;
    let server = ObjectServer::start(&[BUCKET]);
    let mut provider = on(grant(&server.url(), PREFIX));
    provider.limits.memory = MemoryLimit::new(ByteSize::mib(8)).unwrap();
    let own = Own::serve(server, provider).await;
    let stored = own.files().put(NewFile::new("a"), tokio::io::repeat(7).take(SIZE)).await.unwrap();
    let copy = own.files().copy(&stored.key, None).await.unwrap();
    for key in [stored.key, copy.key] {
        let download = own.files().get(&key).await.unwrap();
        assert_eq!(download.length(), SIZE);
        assert!(download.bytes().await.unwrap().iter().all(|&byte| byte == 7));
    }
}
