//! Quotas, deadlines, and servers that do not answer as they should.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stheno_config::{Bucket, ObjectsInFlight, ObjectsOperations, ObjectsTimeout};
use stheno_contracts::Error;
use stheno_test_support::{ObjectServer, until};
use tokio::io::AsyncReadExt;

use super::super::bindings::Binding;
use super::{bound, get, grant, keys, kind, put, server};

async fn comes_back(binding: &Arc<Binding>) {
    let stored = async || put(binding, "k", b"again").await.is_ok();
    until("it does not come back", stored).await;
    assert_eq!(get(binding, "k", None).await.unwrap().2, b"again");
}

#[tokio::test]
async fn quotas_are_met_with_the_key_that_names_them() {
    let mut small = grant(&server().url(), "quota/");
    small.operations_per_second = ObjectsOperations::new(1).unwrap();
    let binding = bound(small);
    assert!(binding.get_link("k", 60_000).await.is_ok());
    // Links take no time, so a hundred of them are made within a few seconds.
    let mut refused = None;
    for _ in 0..100 {
        refused = refused.or(binding.get_link("k", 60_000).await.err());
    }
    let refused = refused.unwrap();
    assert_eq!(refused.kind(), "unavailable");
    assert!(refused.message().contains("operations_per_second = 1 "), "{refused:?}");

    let mut small = grant(&server().url(), "quota/");
    small.in_flight = ObjectsInFlight::new(1).unwrap();
    let binding = bound(small);
    put(&binding, "k", b"body").await.unwrap();
    let mut open = binding.get("k", None).await.unwrap();
    let refused = binding.head("k").await.unwrap_err();
    assert_eq!(refused.kind(), "unavailable");
    assert!(refused.message().contains("in_flight = 1"), "{refused:?}");
    open.body.read_to_end(&mut Vec::new()).await.unwrap();
    drop(open);
    assert!(binding.head("k").await.is_ok());
}

#[tokio::test]
async fn a_server_that_dies_is_unavailable_and_used_again_when_it_is_back() {
    let mut server = ObjectServer::start(&["shop"]);
    let binding = bound(grant(&server.url(), "own/"));
    put(&binding, "k", b"before").await.unwrap();
    server.kill();
    let begun = Instant::now();
    assert_eq!(kind(put(&binding, "k", b"x").await), "unavailable");
    assert_eq!(kind(binding.head("k").await), "unavailable");
    assert_eq!(kind(binding.list("", None, 1).await), "unavailable");
    assert!(begun.elapsed() < Duration::from_secs(10));
    server.start_again();
    assert_eq!(get(&binding, "k", None).await.unwrap().2, b"before");
    comes_back(&binding).await;
}

#[tokio::test]
async fn a_server_that_hangs_costs_a_request_its_deadline_and_no_more() {
    let server = ObjectServer::start(&["shop"]);
    let mut quick = grant(&server.url(), "own/");
    quick.timeout = ObjectsTimeout::new(Duration::from_millis(300)).unwrap();
    let binding = bound(quick);
    put(&binding, "k", b"before").await.unwrap();
    server.hang();
    let begun = Instant::now();
    assert_eq!(kind(put(&binding, "k", b"x").await), "timeout");
    assert_eq!(kind(binding.head("k").await), "timeout");
    assert_eq!(kind(get(&binding, "k", None).await), "timeout");
    let copies =
        [binding.copy("k", "l", None).await, binding.delete(&["k".into()]).await.map(drop)];
    assert_eq!(copies.map(kind), ["timeout"; 2]);
    assert!(begun.elapsed() < Duration::from_secs(5));
    server.go_on();
    comes_back(&binding).await;
}

#[tokio::test]
async fn a_body_that_stops_in_the_middle_fails_at_the_deadline_and_one_that_ends_fails_at_once() {
    for ends in [false, true] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly a part";
            stream.write_all(answer).await.unwrap();
            (!ends).then_some((stream, listener))
        });
        let mut quick = grant(&url, "own/");
        quick.timeout = ObjectsTimeout::new(Duration::from_millis(300)).unwrap();
        let binding = bound(quick);
        let mut got = binding.get("k", None).await.unwrap();
        let _kept_open = server.await.unwrap();
        let mut body = Vec::new();
        let error = got.body.read_to_end(&mut body).await.unwrap_err();
        assert_eq!(body, b"only a part");
        let error = error.downcast::<Error>().unwrap();
        assert_eq!(error.kind(), if ends { "unavailable" } else { "timeout" });
    }
}

#[tokio::test]
async fn what_a_server_says_in_anger_is_tried_again_or_told_without_its_words() {
    let server = ObjectServer::start(&["shop"]);
    let binding = bound(grant(&server.url(), "own/"));
    put(&binding, "k", b"before").await.unwrap();
    // Once is no failure.
    server.answer("GET /shop/own/k", 503, "SlowDown");
    assert_eq!(get(&binding, "k", None).await.unwrap().2, b"before");
    for (times, status, code, kind) in [
        (3, 503, "SlowDown", "unavailable"),
        (3, 500, "InternalError", "unavailable"),
        (1, 403, "AccessDenied", "denied"),
        (1, 403, "SignatureDoesNotMatch", "unavailable"),
        (1, 404, "NoSuchBucket", "unavailable"),
        (1, 400, "SomethingElse", "invalid-argument"),
        (1, 501, "NotImplemented", "unsupported"),
    ] {
        for _ in 0..times {
            server.answer("GET /shop/own/k", status, code);
        }
        let error = get(&binding, "k", None).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {code}: {error:?}");
        let words = error.message();
        assert!(!words.contains("a secret") && words.contains("grants.objects.default"), "{words}");
    }
    assert_eq!(get(&binding, "k", None).await.unwrap().2, b"before");
}

#[tokio::test]
async fn keys_and_buckets_that_are_wrong_are_told_and_never_shown() {
    let server = ObjectServer::start(&["shop"]);
    let mut wrong = grant(&server.url(), "own/");
    wrong.credentials = keys("WRONGWRONG");
    let mut missing = grant(&server.url(), "own/");
    missing.bucket = Bucket::new("missing").unwrap();
    for (grant, is_missing) in [(wrong, false), (missing, true)] {
        assert!(!format!("{grant:?}").contains("WRONG"));
        let binding = bound(grant);
        let mut errors = vec![binding.list("", None, 1).await.unwrap_err()];
        // This server says of a bucket that it is missing only when it lists.
        if !is_missing {
            errors.push(put(&binding, "k", b"x").await.unwrap_err());
            errors.push(get(&binding, "k", None).await.unwrap_err());
        }
        for error in errors {
            assert_eq!(error.kind(), "unavailable", "{error:?}");
            let words = error.message();
            assert!(words.contains("grants.objects.default"), "{words}");
            assert!(!words.contains("WRONG") && !words.contains("AKTEST"), "{words}");
        }
    }
}

/// A server that gives this answer to whoever asks, and its URL.
async fn one_that_answers(head: &str, body: Vec<u8>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut stream, _)) = listener.accept().await {
            let (head, body) = (head.clone(), body.clone());
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                while stream.read(&mut asked).await.is_ok_and(|read| read > 0) {
                    // Whoever asked may have gone away.
                    let _ = stream.write_all(head.as_bytes()).await;
                    let _ = stream.write_all(&body).await;
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_lists_what_was_not_asked_for_is_not_believed() {
    for (more, keys) in [
        ("false", "<Contents><Key>own/a</Key></Contents><Contents><Key>b/s3cret</Key></Contents>"),
        ("false", "<Contents><Key>own</Key></Contents>"),
        // Whoever went on from here would go on without end.
        ("true", ""),
    ] {
        let list =
            format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{keys}</ListBucketResult>");
        let binding = bound(grant(&one_that_answers("200 OK", list.into()).await, "own/"));
        let error = binding.list("", None, 10).await.unwrap_err();
        assert_eq!(error.kind(), "unavailable", "{keys}");
        assert!(!error.message().contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn nobody_is_followed_to_another_server() {
    let elsewhere = ObjectServer::start(&["shop"]);
    elsewhere.place("shop", "own/k", b"s3cret");
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let head = format!("{status}\r\nlocation: {}/shop/own/k", elsewhere.url());
        let binding = bound(grant(&one_that_answers(&head, Vec::new()).await, "own/"));
        for outcome in [
            get(&binding, "k", None).await.map(drop),
            binding.head("k").await.map(drop),
            binding.list("", None, 10).await.map(drop),
            put(&binding, "k", b"x").await,
            binding.copy("k", "l", None).await,
            binding.delete(&["k".into()]).await.map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), "unavailable", "{status}: {error:?}");
            assert!(!error.message().contains(&elsewhere.url()), "{error:?}");
        }
    }
    assert_eq!(elsewhere.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn an_error_that_comes_as_a_success_is_an_error() {
    let said = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>";
    let binding = bound(grant(&one_that_answers("200 OK", said.into()).await, "own/"));
    assert_eq!(kind(binding.copy("k", "l", None).await), "unavailable");
    let server = ObjectServer::start(&["shop"]);
    let binding = bound(grant(&server.url(), "own/"));
    server.answer("POST /shop/own/k?uploadId", 200, "InternalError");
    assert_eq!(kind(put(&binding, "k", &vec![1; 6 << 20]).await), "unavailable");
    assert_eq!(kind(binding.head("k").await), "not-found");
}

#[tokio::test]
async fn no_answer_is_longer_than_any_there_is_reason_for() {
    let long = vec![b' '; super::super::answers::ANSWER_BYTES + 1];
    for head in ["200 OK", "400 Bad Request"] {
        let binding = bound(grant(&one_that_answers(head, long.clone()).await, "own/"));
        let error = binding.list("", None, 10).await.unwrap_err();
        assert_eq!(error.kind(), "unavailable", "{head}: {error:?}");
    }
}

#[tokio::test]
async fn no_error_of_a_connection_says_who_was_asked() {
    let plain = one_that_answers("200 OK", Vec::new()).await;
    for url in [
        "http://127.0.0.1:1".to_owned(),
        "https://localhost:1".to_owned(),
        // It does not know TLS.
        plain.replace("http://127.0.0.1", "https://localhost"),
        "http://no-such-server.invalid".to_owned(),
    ] {
        let error = get(&bound(grant(&url, "own/")), "k", None).await.unwrap_err();
        let words = error.message();
        assert_eq!(error.kind(), "unavailable", "{url}: {error:?}");
        assert!(words.contains("cannot be reached"), "{words}");
        for name in ["127.0.0.1", "localhost", "no-such-server", "shop", "own/"] {
            assert!(!words.contains(name), "{words}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_told_and_panics_nobody() {
    let mut grant = grant("https://127.0.0.1:1", "own/");
    grant.ca = Some("/none/ca.pem".into());
    let error = put(&bound(grant.clone()), "k", b"x").await.unwrap_err();
    assert_eq!(error.kind(), "unavailable");
    assert!(error.message().contains("`ca` of the grant"), "{error:?}");
    let empty = tempfile::NamedTempFile::new().unwrap();
    grant.ca = Some(empty.path().to_owned());
    let error = put(&bound(grant), "k", b"x").await.unwrap_err();
    assert!(error.message().contains("holds no certificate"), "{error:?}");
}
