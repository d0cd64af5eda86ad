//! Links, as somebody who has nothing else uses them.

use reqwest::{Client, Method};
use std::time::Duration;
use stheno_config::ObjectsLinkExpiry;
use stheno_contracts::objects::{Description, Existing, Link};

use super::{bound, get, grant, kind, plain, put, server};

const MINUTE: u64 = 60_000;

async fn follow(method: Method, link: &Link, url: &str, body: &str) -> (u16, String) {
    let mut request = Client::new().request(method, url).body(body.to_owned());
    for (name, value) in &link.headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_link_reads_one_object_and_no_other() {
    let binding = bound(grant(&server().url(), "link/own/"));
    put(&binding, "a b/ü", b"body").await.unwrap();
    put(&binding, "other", b"s3cret").await.unwrap();
    let link = binding.get_link("a b/ü", MINUTE).await.unwrap();
    assert!(link.url.contains("X-Amz-Expires=60&"), "{}", link.url);
    assert!(link.url.contains("/shop/link/own/a%20b/%C3%BC?"), "{}", link.url);
    assert_eq!(follow(Method::GET, &link, &link.url, "").await, (200, "body".into()));
    for (from, to) in
        [("a%20b/%C3%BC", "other"), ("link/own/a%20b/%C3%BC", "link/own/../own/other")]
    {
        let spliced = link.url.replacen(from, to, 1);
        assert_ne!(spliced, link.url);
        let (status, text) = follow(Method::GET, &link, &spliced, "").await;
        assert!(status == 403 && !text.contains("s3cret"), "{status} {text}");
    }
    let longer = link.url.replacen("X-Amz-Expires=60", "X-Amz-Expires=6000", 1);
    assert_eq!(follow(Method::GET, &link, &longer, "").await.0, 403);
    assert_eq!(follow(Method::DELETE, &link, &link.url, "").await.0, 403);
    assert_eq!(follow(Method::PUT, &link, &link.url, "x").await.0, 403);
}

#[tokio::test]
async fn a_link_to_store_takes_one_body_of_the_type_it_names() {
    let binding = bound(grant(&server().url(), "link/own/"));
    let described = Description {
        content_type: Some("text/plain".into()),
        metadata: vec![("k".into(), "v".into())],
        ..plain()
    };
    let link = binding.put_link("stored", described, Existing::Keep, MINUTE).await.unwrap();
    let names: Vec<_> = link.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"content-type") && names.contains(&"if-none-match"), "{names:?}");
    let mut html = link.clone();
    for (name, value) in &mut html.headers {
        if name == "content-type" {
            *value = "text/html".into();
        }
    }
    assert_eq!(follow(Method::PUT, &html, &link.url, "x").await.0, 403);
    let spliced = link.url.replacen("/stored?", "/other?", 1);
    assert_eq!(follow(Method::PUT, &link, &spliced, "x").await.0, 403);
    assert_eq!(kind(binding.head("stored").await), "not-found");
    assert_eq!(follow(Method::PUT, &link, &link.url, "body").await.0, 200);
    assert_eq!(follow(Method::PUT, &link, &link.url, "again").await.0, 412);
    let (info, _, body) = get(&binding, "stored", None).await.unwrap();
    assert_eq!((info.content_type.as_deref(), body.as_slice()), (Some("text/plain"), &b"body"[..]));
    assert_eq!(info.metadata, [("k".to_owned(), "v".to_owned())]);
}

#[tokio::test]
async fn a_link_lasts_no_longer_than_was_granted() {
    let mut short = grant(&server().url(), "link/own/");
    short.max_link_expiry = ObjectsLinkExpiry::new(Duration::from_secs(60)).unwrap();
    let binding = bound(short);
    for expiry in [0, 999, 60_001, u64::MAX] {
        let links = [
            binding.get_link("k", expiry).await,
            binding.put_link("k", plain(), Existing::Replace, expiry).await,
        ];
        for link in links {
            let error = link.unwrap_err();
            assert_eq!(error.kind(), "invalid-argument", "{expiry}");
            assert!(error.message().contains("max_link_expiry"), "{error:?}");
        }
    }
    assert!(binding.get_link("k", 60_000).await.is_ok());
}
