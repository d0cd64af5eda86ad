//! What is particular to files in a bucket: links past the host, descriptions that
//! are long, and a server that fails.

use std::pin::pin;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use stheno::config::{ModuleName, ObjectsGrant, ObjectsLinkExpiry, ObjectsTimeout};
use stheno::{Access, Clock, ErrorKind, FileInfo, Files, ManualClock, NewFile, Runtime};
use stheno_test_support::ObjectServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::places::{BUCKET, grant, on};
use crate::{FILES_S3, Subject, pattern};

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
        let mut grant = grant(&server, PREFIX);
        change(&mut grant);
        let mut provider = on(grant);
        let Value::Object(options) = options else { panic!("options are an object") };
        provider.options = options;
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

/// A description that no server holds as metadata.
fn long(name: &str) -> NewFile {
    let mut file = NewFile::new(name);
    file.metadata = (0..32).map(|at| (format!("k{at}"), "ü".repeat(512))).collect();
    file
}

async fn status(method: Method, url: &str, headers: &[(&str, &str)]) -> StatusCode {
    let mut request = Client::new().request(method, url).body("body");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_reads_its_file_and_nothing_else() {
    let s = Subject::start(&FILES_S3).await;
    let file = NewFile::new("invoices/ü 1.pdf").content_type("application/pdf");
    let stored = s.files.put_bytes(file, b"0123456789").await.unwrap();
    let other = s.put("other", b"other").await;
    let url = s.files.download_url(&stored.key, MINUTE).await.unwrap();
    let answer = Client::new().get(&url).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/pdf");
    let disposition = header("content-disposition");
    assert_eq!(disposition, "attachment; filename*=UTF-8''%C3%BC%201.pdf");
    assert_eq!(answer.bytes().await.unwrap(), &b"234"[..]);
    for method in [Method::PUT, Method::DELETE, Method::POST] {
        assert_eq!(status(method, &url, &[]).await, StatusCode::FORBIDDEN);
    }
    let (_, query) = url.split_once('?').unwrap();
    let (path, _) = url.split_once("invoices/").unwrap();
    for forged in [
        format!("{path}{}?{query}", other.key),
        format!("{path}?{query}"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"),
        url.replace("X-Amz-Signature=", "X-Amz-Signature=0"),
        format!("{path}{}", other.key),
    ] {
        assert_ne!(forged, url);
        let answered = status(Method::GET, &forged, &[]).await;
        assert!(answered.is_client_error(), "{answered} of {forged}");
    }
    assert_eq!(s.read_by(&url).await.unwrap(), b"0123456789");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_link_takes_what_it_was_made_for_and_nothing_else() {
    let s = Subject::start(&FILES_S3).await;
    let file = NewFile::new("a.csv").content_type("text/csv").metadata("k", "ü  'v'");
    let upload = s.files.upload_url(file.clone(), MINUTE).await.unwrap();
    let headers: Vec<_> = upload.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    for left_out in ["content-type", "if-none-match", "x-amz-meta-stheno"] {
        assert!(headers.iter().any(|(name, _)| *name == left_out), "{headers:?}");
        let some: Vec<_> = headers.iter().copied().filter(|(name, _)| *name != left_out).collect();
        assert_eq!(status(Method::PUT, &upload.url, &some).await, StatusCode::FORBIDDEN);
        let other = [&some[..], &[(left_out, "text/html")]].concat();
        assert_eq!(status(Method::PUT, &upload.url, &other).await, StatusCode::FORBIDDEN);
    }
    let elsewhere = upload.url.replace("a-0", "b-0");
    assert_ne!(elsewhere, upload.url);
    assert_eq!(status(Method::PUT, &elsewhere, &headers).await, StatusCode::FORBIDDEN);
    assert_eq!(status(Method::GET, &upload.url, &headers).await, StatusCode::FORBIDDEN);
    assert!(s.keys("", 10).await.is_empty());

    let before = std::time::SystemTime::now() - MINUTE;
    s.fill_by(&upload, b"a,b").await.unwrap();
    let stored = s.files.stat(&upload.key).await.unwrap();
    assert_eq!((&stored.name, &stored.metadata), (&file.name, &file.metadata));
    assert!(stored.modified > before, "the server's clock tells when");
    // With the same link, after the file was removed.
    assert_eq!(s.files.delete([&upload.key]).await.unwrap(), [Ok(())]);
    s.fill_by(&upload, b"c,d").await.unwrap();
    let again = s.files.stat(&upload.key).await.unwrap();
    assert_ne!(again.etag, stored.etag);
    assert_eq!(s.read(&upload.key).await, b"c,d");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_live_no_longer_than_the_grant_says_and_lead_to_the_host_if_so_configured() {
    let expiry = |grant: &mut ObjectsGrant| {
        grant.max_link_expiry = ObjectsLinkExpiry::new(MINUTE).unwrap();
    };
    let own = Own::with(json!({}), expiry).await;
    let key = own.put(NewFile::new("a")).await.key;
    let files = own.files();
    assert!(files.download_url(&key, MINUTE).await.unwrap().starts_with(&own.server.url()));
    for refused in [
        files.download_url(&key, 2 * MINUTE).await.err(),
        files.upload_url(NewFile::new("a"), 2 * MINUTE).await.err(),
    ] {
        let refused = refused.unwrap();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        assert!(refused.message().contains("expires"), "{refused}");
    }
    let own = Own::start(json!({"links": "hosted"})).await;
    let key = own.put(NewFile::new("a")).await.key;
    let upload = own.files().upload_url(NewFile::new("b"), MINUTE).await.unwrap();
    let download = own.files().download_url(&key, MINUTE).await.unwrap();
    for url in [&upload.url, &download] {
        assert!(own.files().redeem(crate::links::token(url).unwrap()).is_ok(), "{url}");
    }
    assert!(upload.headers.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_public_on_the_server_only_if_option_and_grant_say_so() {
    let acl = async |own: &Own, file: NewFile| {
        let headers = own.files().upload_url(file, MINUTE).await.map(|upload| upload.headers);
        headers.map(|headers| headers.into_iter().find(|(name, _)| name == "x-amz-acl"))
    };
    let (public, private) = (NewFile::new("a").public(), NewFile::new("a"));
    let said = |text: &str| Some(("x-amz-acl".to_owned(), text.to_owned()));

    let own = Own::start(json!({})).await;
    assert_eq!(acl(&own, public.clone()).await.unwrap(), None);
    assert_eq!(acl(&own, private.clone()).await.unwrap(), None);

    let by_access = json!({"acl": "by-access"});
    let own = Own::with(by_access.clone(), |grant| grant.public = true).await;
    assert_eq!(acl(&own, public.clone()).await.unwrap(), said("public-read"));
    assert_eq!(acl(&own, private.clone()).await.unwrap(), said("private"));
    let stored = own.put(public.clone()).await;
    assert_eq!(own.files().copy(&stored.key, None).await.unwrap().access, Access::Public);

    let own = Own::start(by_access).await;
    for refused in [
        acl(&own, public.clone()).await.map(drop),
        own.files().put_bytes(public.clone(), b"x").await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied);
        assert!(refused.message().contains("public = true"), "{refused}");
    }
    own.put(private).await;
    let own = Own::start(json!({"acl": "private"})).await;
    assert_eq!(acl(&own, public).await.unwrap(), said("private"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_file_has_the_url_of_the_options_and_a_private_one_none() {
    let url = "https://cdn.example.com/f/";
    let own = Own::start(json!({"url": url, "prefix": "shop", "disposition": "inline"})).await;
    let public = own.put(NewFile::new("a b/ü.txt").public()).await;
    let shown = public.url.unwrap();
    assert!(shown.starts_with("https://cdn.example.com/f/shop/a%20b/%C3%BC-0"), "{shown}");
    assert_eq!(own.put(NewFile::new("a")).await.url, None);
    let link = own.files().download_url(&public.key, MINUTE).await.unwrap();
    let answer = reqwest::get(link).await.unwrap();
    assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("inline;"));
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
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
async fn a_long_description_is_kept_beside_its_file_and_goes_with_it() {
    let own = Own::start(json!({})).await;
    let files = own.files();
    let stored = own.put(long("-first")).await;
    let copy = files.copy(&stored.key, None).await.unwrap();
    let upload = files.upload_url(long("linked"), MINUTE).await.unwrap();
    let mut request = Client::new().put(&upload.url).body("body");
    for (name, value) in &upload.headers {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    let plain = own.put(NewFile::new("plain")).await;
    let keys = [&stored.key, &copy.key, &upload.key, &plain.key];
    for key in &keys[..3] {
        let found = files.stat(key).await.unwrap();
        assert_eq!(found.metadata, long("").metadata);
        assert_eq!(files.get(key).await.unwrap().bytes().await.unwrap(), b"body");
    }
    let mut listed = Vec::new();
    let mut cursor = None;
    loop {
        let page = files.list("", cursor.as_deref(), 1).await.unwrap();
        listed.extend(page.files.into_iter().map(|file| file.key));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> = keys.into_iter().cloned().collect();
    expected.sort();
    assert_eq!(listed, expected);
    assert_eq!(own.objects().len(), 7);
    // The original goes, and its copy does not notice.
    assert_eq!(files.delete([&stored.key, &plain.key]).await.unwrap(), [Ok(()), Ok(())]);
    assert_eq!(own.objects().len(), 4);
    assert_eq!(files.stat(&copy.key).await.unwrap(), copy);
    assert_eq!(files.delete([&copy.key, &upload.key]).await.unwrap(), [Ok(()), Ok(())]);
    assert!(own.objects().is_empty(), "{:?}", own.objects());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_whose_file_never_came_is_removed_in_the_end() {
    let own = Own::start(json!({})).await;
    let files = own.files();
    let kept = own.put(long("kept")).await;
    for _ in 0..3 {
        let broken = tokio_broken(10);
        assert!(files.put(long("broken"), broken).await.is_err());
    }
    files.upload_url(long("unused"), MINUTE).await.unwrap();
    assert_eq!(own.objects().len(), 6);
    assert_eq!(own.list().await, std::slice::from_ref(&kept.key));
    // One whose file may yet come is left alone, whatever the clock of the host.
    own.clock.advance(Duration::from_secs(100 * 365 * 24 * 3_600));
    let more = async || {
        for _ in 0..6 {
            let key = own.put(long("new")).await.key;
            assert_eq!(files.delete([key]).await.unwrap(), [Ok(())]);
        }
    };
    more().await;
    assert_eq!(own.objects().len(), 6);
    for object in own.objects() {
        let age = Duration::from_secs(9 * 24 * 3_600);
        own.server.age(BUCKET, &format!("{PREFIX}{object}"), age);
    }
    more().await;
    assert_eq!(own.objects().len(), 2, "{:?}", own.objects());
    assert_eq!(files.stat(&kept.key).await.unwrap().metadata, kept.metadata);
}

/// A body that breaks off after so many bytes.
fn tokio_broken(bytes: usize) -> impl tokio::io::AsyncRead + Send + 'static {
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
async fn half_an_upload_leaves_nothing_on_the_server() {
    let own = Own::start(json!({})).await;
    let files = own.files();
    let error = files.put(NewFile::new("broken"), tokio_broken(30 << 20)).await.unwrap_err();
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
async fn a_name_that_leaves_no_room_behind_the_prefix_is_refused() {
    let prefix = format!("{}/", "p".repeat(500));
    let s = on(grant(crate::places::shared(), &prefix));
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
        if dies { own.server.kill() } else { own.server.hang() }
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
