//! Objects: nothing without a grant, and with one the keys below the prefix.

use std::time::{Duration, Instant};

use stheno::Runtime;
use stheno::config::{Config, Limits, ObjectsGrant, ObjectsTimeout};
use stheno_engine::{Aspect, LoadError};
use stheno_hostile::{Guest, ask, denied, grant_objects, terms, try_load};
use stheno_test_support::{ObjectProcess, ObjectServer, until};

use crate::engine;

const OBJECTS: &str = "objects-cache";

async fn granted(server: &ObjectServer, change: impl FnOnce(&mut ObjectsGrant)) -> Guest {
    granted_at(&server.url(), change).await
}

async fn granted_at(url: &str, change: impl FnOnce(&mut ObjectsGrant)) -> Guest {
    let mut terms = terms(Limits::default());
    grant_objects(&mut terms, url, change);
    try_load(&engine(), OBJECTS, terms).await.unwrap()
}

/// A server with an object of the provider's own and one of somebody else's in
/// each place that a key might lead to.
fn shared() -> ObjectServer {
    let server = ObjectServer::start(&["shop", "other"]);
    for (bucket, key) in [
        ("shop", "secret"),
        ("shop", "own-2/secret"),
        ("shop", "other/secret"),
        ("other", "secret"),
        ("other", "own/secret"),
    ] {
        server.place(bucket, key, b"s3cret");
    }
    server.place("shop", "own/k", b"mine");
    server
}

#[tokio::test]
async fn a_component_that_needs_objects_is_refused_without_a_grant() {
    let error = try_load(&engine(), OBJECTS, terms(Limits::default())).await.err().unwrap();
    assert_eq!(error.aspect(), Aspect::Grants);
    let LoadError::MissingGrant { import, line, .. } = &error else { panic!("{error:?}") };
    assert!(import.starts_with("stheno:objects/objects"), "{import}");
    assert!(error.help().contains(line));
}

#[tokio::test]
async fn the_line_that_the_refusal_names_is_the_line_that_grants_objects() {
    let server = ObjectServer::start(&["shop-files"]);
    let guest = stheno_test_support::guest(OBJECTS);
    let env = |name: &str| match name {
        "S3_ENDPOINT" => Some(server.url()),
        "S3_KEY" => Some(ObjectServer::ACCESS_KEY.to_owned()),
        "S3_SECRET" => Some(ObjectServer::SECRET_KEY.to_owned()),
        _ => None,
    };
    let config = |line: &str| {
        let text = format!("[modules.cache]\nresolve = \"{}\"\n{line}\n", guest.display());
        Config::parse(&text, "stheno.toml", std::path::Path::new("/"), &env).unwrap()
    };
    let refused = Runtime::builder().config(config("")).build().await.err().unwrap();
    let problem = refused.problems().remove(0);
    assert_eq!(problem.place, "modules.cache.grants");
    let (_, line) = problem.help.split_once("below its module: ").unwrap();
    // A check takes the same line and reaches nobody.
    Runtime::builder().config(config(line)).check().await.unwrap();
    let runtime = Runtime::builder().config(config(line)).build().await.unwrap();
    assert_eq!(server.seen(), Vec::<String>::new());
    let put = runtime.cache().get_bytes("put:k|body").await.unwrap();
    assert_eq!(put.as_deref(), Some(&b"put"[..]));
    assert_eq!(server.body("shop-files", "files/k").as_deref(), Some(&b"body"[..]));
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn no_key_leads_to_an_object_that_is_not_its_own() {
    let server = shared();
    let guest = granted(&server, |_| {}).await;
    assert_eq!(ask(&guest, "get:k").await.as_deref(), Ok("mine"));
    assert!(!server.seen().is_empty());
    let before = [server.keys("shop"), server.keys("other")];
    let (mut attempts, mut denials) = (0, 0);
    for key in [
        "../secret",
        "/secret",
        "//other/secret",
        "/other/secret",
        "a/../../secret",
        "a/..",
        "..",
        ".",
        "./../secret",
        "k/",
        "a//b",
        "..\\x5csecret",
        "%2e%2e/secret",
        "%2E%2E%2Fsecret",
        "..%2fsecret",
        "..%5csecret",
        "%252e%252e%252fsecret",
        "a%00",
        "k%0d%0ax-amz-acl:%20public-read",
        "k\\x00",
        "k\\x0d\\x0ax-amz-acl: public-read",
        "",
    ] {
        for way in [
            format!("head:{key}"),
            format!("get:{key}"),
            format!("get:{key}|0|10"),
            format!("put:{key}|stolen"),
            format!("create:{key}|stolen"),
            format!("copy:{key}|mine"),
            format!("copy:k|{key}"),
            format!("delete:{key}"),
            format!("getlink:{key}"),
            format!("putlink:{key}"),
        ] {
            let answer = ask(&guest, &way).await.unwrap();
            let refused =
                answer.starts_with("denied: ") || answer.starts_with("invalid-argument: ");
            assert!(refused, "{way}: {answer}");
            attempts += 1;
            denials += u64::from(answer.starts_with("denied: "));
        }
    }
    assert!(attempts >= 200);
    assert_eq!(denied(&guest, "objects"), denials);
    assert_eq!(server.seen(), Vec::<String>::new(), "something of it reached the server");
    assert_eq!([server.keys("shop"), server.keys("other")], before);
}

#[tokio::test]
async fn a_key_that_looks_like_another_bucket_or_version_names_its_own_object() {
    let server = shared();
    let guest = granted(&server, |_| {}).await;
    for key in [
        "secret",
        "own/secret",
        "other/secret",
        "shop/secret",
        "arn:aws:s3:::other/secret",
        "https://other.s3.amazonaws.com/secret",
        "k?versionId=1",
        "k#",
        "own-2/secret",
    ] {
        // Of these one has an empty step, so it is denied.
        let expected = if key.contains("//") { "denied: " } else { "not-found: " };
        for way in [format!("get:{key}"), format!("head:{key}"), format!("copy:{key}|stolen")] {
            let answer = ask(&guest, &way).await.unwrap();
            assert!(answer.starts_with(expected), "{way}: {answer}");
        }
    }
    for line in server.seen() {
        let (_, path) = line.split_once(' ').unwrap();
        assert!(path.starts_with("/shop/own/"), "{line}");
    }
}

#[tokio::test]
async fn no_listing_shows_what_stands_above_the_prefix() {
    let server = shared();
    let guest = granted(&server, |_| {}).await;
    for prefix in ["..", "../", "/", "//", "a/../../", "%2e%2e/", "\\x5c", "\\x00", "."] {
        let answer = ask(&guest, &format!("list:{prefix}")).await.unwrap();
        let refused = answer.starts_with("denied: ") || answer.starts_with("invalid-argument: ");
        assert!(refused, "{prefix}: {answer}");
    }
    for limit in ["0", "1001", "4294967295"] {
        let answer = ask(&guest, &format!("list:||{limit}")).await.unwrap();
        assert!(answer.starts_with("invalid-argument: "), "{limit}: {answer}");
    }
    assert_eq!(server.seen(), Vec::<String>::new());
    for (ask_for, answer) in [
        ("list:", "k > "),
        ("list:|../", "k > "),
        ("list:|/", "k > "),
        ("list:|zzz", " > "),
        ("list:own", " > "),
        ("list:secret", " > "),
    ] {
        assert_eq!(ask(&guest, ask_for).await.as_deref(), Ok(answer), "{ask_for}");
    }
    for line in server.seen() {
        assert!(line.starts_with("GET /shop") && line.contains("prefix=own%2F"), "{line}");
    }
}

#[tokio::test]
async fn no_description_becomes_another_header() {
    let server = shared();
    let guest = granted(&server, |_| {}).await;
    let splits = "a\\x0d\\x0ax-amz-acl: public-read";
    for way in [
        format!("type:{splits}"),
        format!("cache:{splits}"),
        format!("name:{splits}"),
        format!("meta:k|{splits}"),
        format!("meta:{splits}|v"),
        "meta:k: v|x".to_owned(),
        "meta:K|v".to_owned(),
        "type:\\x00".to_owned(),
        "type:ü".to_owned(),
    ] {
        let answer = ask(&guest, &way).await.unwrap();
        assert!(answer.starts_with("invalid-argument: "), "{way}: {answer}");
    }
    let answer = ask(&guest, "public:k").await.unwrap();
    assert!(answer.starts_with("denied: ") && answer.contains("public = true"), "{answer}");
    assert_eq!(server.seen(), Vec::<String>::new());
    let guest = granted(&server, |grant| grant.public = true).await;
    assert_eq!(ask(&guest, "public:k").await.as_deref(), Ok("written"));
}

#[tokio::test]
async fn a_link_is_for_its_own_key_and_no_longer_than_granted() {
    let server = shared();
    let guest = granted(&server, |_| {}).await;
    for expiry in ["0", "999", "604800001", "18446744073709551615"] {
        for way in ["getlink", "putlink"] {
            let answer = ask(&guest, &format!("{way}:k|{expiry}")).await.unwrap();
            assert!(answer.starts_with("invalid-argument: "), "{way} {expiry}: {answer}");
        }
    }
    let link = ask(&guest, "getlink:k?X-Amz-Expires=999999&x=/../secret").await.unwrap();
    assert!(link.starts_with("denied: "), "{link}");
    let link = ask(&guest, "getlink:k?X-Amz-Expires=999999").await.unwrap();
    let own = format!("{}/shop/own/k%3FX-Amz-Expires%3D999999?", server.url());
    assert!(link.starts_with(&own) && link.contains("X-Amz-Expires=60&"), "{link}");
    assert!(!link.contains(ObjectServer::SECRET_KEY));
    let link = ask(&guest, "putlink:k").await.unwrap();
    assert!(link.contains("\ncontent-type: text/plain") && link.contains("\nif-none-match: *"));
    assert_eq!(server.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn a_label_that_was_not_granted_opens_no_bucket() {
    let server = shared();
    let guest = granted(&server, |_| {}).await;
    for label in ["", "other", "Default", "default\\x00", "shop", "../default"] {
        let answer = ask(&guest, &format!("open:{label}")).await.unwrap();
        assert!(answer.starts_with("denied: "), "{label:?}: {answer}");
    }
    let other = ask(&guest, "open:other").await.unwrap();
    assert!(other.contains("grants.objects.other = {") && !other.contains("127.0.0.1"), "{other}");
    assert_eq!(ask(&guest, "open:default").await.as_deref(), Ok("opened"));
}

#[tokio::test]
async fn an_object_that_a_guest_leaves_in_the_middle_is_never_there() {
    let server = shared();
    let guest = granted(&server, |_| {}).await;
    assert_eq!(ask(&guest, "half:new|body").await.as_deref(), Ok("left in the middle"));
    assert_eq!(ask(&guest, "half:k|body").await.as_deref(), Ok("left in the middle"));
    assert!(ask(&guest, "head:new").await.unwrap().starts_with("not-found: "));
    assert_eq!(ask(&guest, "get:k").await.as_deref(), Ok("mine"));
    assert_eq!(server.leftovers(), 0);
}

#[tokio::test]
async fn a_server_of_objects_that_hangs_costs_a_call_its_deadline_and_no_more() {
    let program = env!("CARGO_BIN_EXE_stheno-object-server");
    let mut server = ObjectProcess::start(program, &["shop"]);
    let quick = ObjectsTimeout::new(Duration::from_millis(500)).unwrap();
    let guest = granted_at(&server.url(), |grant| grant.timeout = quick).await;
    assert_eq!(ask(&guest, "create:k|mine").await.as_deref(), Ok("written"));
    server.hang();
    let begun = Instant::now();
    for way in ["get:k", "create:k|other", "list:", "copy:k|l", "delete:k"] {
        let answer = ask(&guest, way).await.unwrap();
        assert!(answer.starts_with("timeout: "), "{way}: {answer}");
    }
    assert!(begun.elapsed() < Duration::from_secs(8));
    server.go_on();
    rewritten(&guest).await;
    server.kill();
    for way in ["get:k", "create:k|other", "list:"] {
        let answer = ask(&guest, way).await.unwrap();
        let told = answer.starts_with("unavailable: ") || answer.starts_with("timeout: ");
        assert!(told && !answer.contains("127.0.0.1"), "{way}: {answer}");
    }
    server.start_again();
    rewritten(&guest).await;
}

/// What timed out may have been done or not, so it is written once more.
async fn rewritten(guest: &Guest) {
    let written = async || ask(guest, "create:k|mine").await.as_deref() == Ok("written");
    until("it does not come back", written).await;
    assert_eq!(ask(guest, "get:k").await.as_deref(), Ok("mine"));
}
