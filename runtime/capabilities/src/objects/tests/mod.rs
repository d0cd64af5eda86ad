//! Bindings against a real server.

mod bodies;
mod failures;
mod links;

use std::sync::{Arc, OnceLock};

use stheno_config::{
    Bucket, Grants, ObjectsCredentials, ObjectsEndpoint, ObjectsGrant, ObjectsKeys, ObjectsPrefix,
    Secret, StoreLabel,
};
use stheno_contracts::Error;
use stheno_contracts::body::{Reader, Sink};
use stheno_contracts::objects::{Description, Existing, Info, Range, Span};
use stheno_test_support::ObjectServer;
use tokio::io::AsyncReadExt;

use super::bindings::{Binding, Objects};
use crate::{Denials, HostBytes};

/// The server of the tests that neither stop it nor look at what it saw. Each
/// has a prefix of its own.
fn server() -> &'static ObjectServer {
    static SERVER: OnceLock<ObjectServer> = OnceLock::new();
    SERVER.get_or_init(|| ObjectServer::start(&["shop", "other"]))
}

fn keys(secret: &str) -> ObjectsCredentials {
    ObjectsCredentials::Keys(ObjectsKeys {
        access_key_id: Secret::new(ObjectServer::ACCESS_KEY),
        secret_access_key: Secret::new(secret),
        session_token: None,
    })
}

fn grant(url: &str, prefix: &str) -> ObjectsGrant {
    let bucket = Bucket::new("shop").unwrap();
    let prefix = ObjectsPrefix::new(prefix).unwrap();
    let mut grant = ObjectsGrant::new(bucket, prefix, keys(ObjectServer::SECRET_KEY));
    grant.endpoint = Some(ObjectsEndpoint::new(url).unwrap());
    grant.path_style = true;
    grant
}

fn objects(grant: ObjectsGrant) -> Objects {
    let mut grants = Grants::default();
    grants.add_objects(StoreLabel::new("default").unwrap(), grant);
    Objects::granted_by(&Denials::of(&"test".into()), &grants)
}

fn bound(grant: ObjectsGrant) -> Arc<Binding> {
    objects(grant).open("default").unwrap()
}

fn account() -> HostBytes {
    HostBytes::new(64 << 20)
}

fn plain() -> Description {
    Description {
        content_type: None,
        cache_control: None,
        content_disposition: None,
        metadata: Vec::new(),
        access: None,
    }
}

async fn put(binding: &Arc<Binding>, key: &str, body: &[u8]) -> Result<(), Error> {
    put_as(binding, key, plain(), Existing::Replace, body).await
}

async fn put_as(
    binding: &Arc<Binding>,
    key: &str,
    description: Description,
    existing: Existing,
    body: &[u8],
) -> Result<(), Error> {
    let reader = Reader::new(std::io::Cursor::new(body.to_vec()));
    binding.put(key, description, existing, reader, &account()).await
}

async fn get(
    binding: &Binding,
    key: &str,
    range: Option<Range>,
) -> Result<(Info, u64, Vec<u8>), Error> {
    let mut got = binding.get(key, range).await?;
    let mut body = Vec::new();
    got.body.read_to_end(&mut body).await.map_err(crate::streams::typed)?;
    assert_eq!(body.len() as u64, got.length);
    Ok((got.info, got.offset, body))
}

fn span(offset: u64, length: Option<u64>) -> Option<Range> {
    Some(Range::Span(Span { offset, length }))
}

fn kind<T>(outcome: Result<T, Error>) -> &'static str {
    outcome.map_or_else(|error| error.kind(), |_| "ok")
}

#[tokio::test]
async fn an_object_is_what_was_stored_with_its_description() {
    let binding = bound(grant(&server().url(), "plain/"));
    let description = Description {
        content_type: Some("text/plain; charset=utf-8".into()),
        cache_control: Some("max-age=60".into()),
        content_disposition: Some("attachment; filename=\"a b.txt\"".into()),
        metadata: vec![("order".into(), "42".into()), ("who".into(), "a, b  c".into())],
        access: None,
    };
    let stored = put_as(&binding, "a/ü b+c", description.clone(), Existing::Replace, b"body").await;
    assert_eq!(kind(stored), "ok");
    assert_eq!(server().body("shop", "plain/a/ü b+c").as_deref(), Some(&b"body"[..]));
    let (info, offset, body) = get(&binding, "a/ü b+c", None).await.unwrap();
    assert_eq!((offset, body.as_slice(), info.size), (0, &b"body"[..], 4));
    let head = binding.head("a/ü b+c").await.unwrap();
    for info in [info, head] {
        assert_eq!(info.content_type, description.content_type);
        assert_eq!(info.cache_control, description.cache_control);
        assert_eq!(info.content_disposition, description.content_disposition);
        assert_eq!(info.metadata, description.metadata);
        assert!(info.modified_ms > 1_700_000_000_000);
        assert!(!info.etag.is_empty() && !info.etag.contains('"'));
    }
    assert_eq!(kind(get(&binding, "a/none", None).await), "not-found");
    assert_eq!(kind(binding.head("a/none").await), "not-found");
}

#[tokio::test]
async fn a_range_gives_that_part_and_says_where_it_is() {
    let binding = bound(grant(&server().url(), "range/"));
    put(&binding, "k", b"0123456789").await.unwrap();
    put(&binding, "empty", b"").await.unwrap();
    for (range, offset, part) in [
        (span(0, None), 0, "0123456789"),
        (span(3, None), 3, "3456789"),
        (span(3, Some(2)), 3, "34"),
        (span(8, Some(100)), 8, "89"),
        (span(9, Some(u64::MAX)), 9, "9"),
        (Some(Range::Last(4)), 6, "6789"),
        (Some(Range::Last(10)), 0, "0123456789"),
    ] {
        let (info, at, body) = get(&binding, "k", range).await.unwrap();
        assert_eq!((at, body.as_slice(), info.size), (offset, part.as_bytes(), 10), "{range:?}");
    }
    for range in [
        span(10, None),
        span(11, Some(1)),
        span(u64::MAX, None),
        span(0, Some(0)),
        Some(Range::Last(0)),
    ] {
        assert_eq!(kind(get(&binding, "k", range).await), "invalid-argument", "{range:?}");
    }
    assert_eq!(get(&binding, "empty", None).await.unwrap().2, b"");
}

#[tokio::test]
async fn what_is_kept_is_not_replaced_and_the_rest_is() {
    let binding = bound(grant(&server().url(), "keep/"));
    let keep = async |body: &[u8]| put_as(&binding, "k", plain(), Existing::Keep, body).await;
    assert_eq!(kind(keep(b"first").await), "ok");
    assert_eq!(kind(keep(b"second").await), "conflict");
    assert_eq!(kind(keep(&vec![1; 6 << 20]).await), "conflict");
    assert_eq!(get(&binding, "k", None).await.unwrap().2, b"first");
    put(&binding, "k", b"third").await.unwrap();
    assert_eq!(get(&binding, "k", None).await.unwrap().2, b"third");
}

#[tokio::test]
async fn a_listing_goes_through_the_keys_below_the_prefix_and_shows_no_others() {
    let binding = bound(grant(&server().url(), "list/own/"));
    server().place("shop", "list/secret", b"s");
    server().place("shop", "list/own-2/secret", b"s");
    let mut stored: Vec<String> = (0..7).map(|at| format!("a/{at}")).collect();
    stored.extend(["b".to_owned(), "ü".to_owned()]);
    for key in &stored {
        put(&binding, key, key.as_bytes()).await.unwrap();
    }
    // What others store under a name that nobody can ask for is left out.
    server().place("shop", "list/own/a\\b", b"s");
    for limit in [1, 2, 100] {
        let (mut seen, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
        loop {
            let page = binding.list("", cursor.as_deref(), limit).await.unwrap();
            assert!(page.objects.len() <= limit as usize);
            seen.extend(page.objects.into_iter().map(|object| object.key));
            pages += 1;
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, stored, "{limit}");
        assert!(pages >= 9_u32.div_ceil(limit) && pages < 20);
    }
    let page = binding.list("a/", None, 100).await.unwrap();
    assert_eq!(page.objects.len(), 7);
    assert!(page.objects.iter().all(|object| object.size == 3 && object.modified_ms > 0));
    let page = binding.list("none", None, 100).await.unwrap();
    assert!(page.objects.is_empty() && page.cursor.is_none());
    for limit in [0, 1_001, u32::MAX] {
        assert_eq!(kind(binding.list("", None, limit).await), "invalid-argument");
    }
}

#[tokio::test]
async fn a_copy_is_an_object_of_its_own() {
    let binding = bound(grant(&server().url(), "copy/"));
    let described = Description {
        content_type: Some("text/plain".into()),
        metadata: vec![("k".into(), "v".into())],
        ..plain()
    };
    put_as(&binding, "a b/ü?x=1&%20#+", described, Existing::Replace, b"body").await.unwrap();
    binding.copy("a b/ü?x=1&%20#+", "same", None).await.unwrap();
    let other = Description { content_type: Some("text/html".into()), ..plain() };
    binding.copy("a b/ü?x=1&%20#+", "other", Some(other)).await.unwrap();
    binding.delete(&["a b/ü?x=1&%20#+".into()]).await.unwrap();
    let (info, _, body) = get(&binding, "same", None).await.unwrap();
    assert_eq!((info.content_type.as_deref(), body.as_slice()), (Some("text/plain"), &b"body"[..]));
    assert_eq!(info.metadata, [("k".to_owned(), "v".to_owned())]);
    let (_, _, body) = get(&binding, "other", None).await.unwrap();
    assert_eq!(body, b"body");
    assert_eq!(kind(binding.copy("none", "x", None).await), "not-found");
}

#[tokio::test]
async fn each_key_of_a_removal_has_a_result_of_its_own() {
    let binding = bound(grant(&server().url(), "delete/"));
    for key in ["a", "b", "c"] {
        put(&binding, key, b"x").await.unwrap();
    }
    let named = ["a", "../c", "none", "b", "a", ""].map(str::to_owned);
    let outcomes = binding.delete(&named).await.unwrap();
    let kinds: Vec<_> = outcomes.into_iter().map(kind).collect();
    assert_eq!(kinds, ["ok", "denied", "ok", "ok", "ok", "invalid-argument"]);
    let left = binding.list("", None, 10).await.unwrap().objects;
    assert_eq!(left.into_iter().map(|object| object.key).collect::<Vec<_>>(), ["c"]);
    assert!(binding.delete(&[]).await.is_ok_and(|outcomes| outcomes.is_empty()));
    assert_eq!(kind(binding.delete(&vec!["k".to_owned(); 1_001]).await), "invalid-argument");
}

#[tokio::test]
async fn a_binding_out_of_reach_refuses_what_is_wrong_and_reaches_nobody() {
    let server = ObjectServer::start(&["shop"]);
    let mut grants = Grants::default();
    grants.add_objects(StoreLabel::new("default").unwrap(), grant(&server.url(), "a/"));
    let objects = Objects::out_of_reach(&Denials::of(&"test".into()), &grants);
    let binding = objects.open("default").unwrap();
    assert_eq!(kind(put(&binding, "k", b"x").await), "unavailable");
    assert_eq!(kind(binding.get_link("k", 60_000).await), "unavailable");
    assert_eq!(kind(put(&binding, "../k", b"x").await), "denied");
    assert_eq!(binding.denials.count(), 1);
    assert_eq!(server.seen(), Vec::<String>::new());
}

/// Writes `body` in chunks of this size.
async fn write(upload: &mut super::upload::Upload, body: &[u8], chunk: usize) -> Result<(), Error> {
    for chunk in body.chunks(chunk) {
        upload.write(chunk.to_vec()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn many_are_described_at_once_each_by_itself() {
    let binding = bound(grant(&server().url(), "many/"));
    for at in 0..40_usize {
        put(&binding, &format!("k{at}"), &vec![7; at]).await.unwrap();
    }
    let mut keys: Vec<_> = (0..40).map(|at| format!("k{at}")).collect();
    keys.extend(["none".to_owned(), "../k1".to_owned(), "k1".to_owned()]);
    let described = binding.head_many(&keys).await.unwrap();
    let shown: Vec<_> = described.into_iter().map(|it| it.map(|info| info.size)).collect();
    for (at, size) in shown[..40].iter().enumerate() {
        assert_eq!(size.as_ref().unwrap(), &(at as u64));
    }
    let rest: Vec<_> = shown[40..].iter().cloned().map(kind).collect();
    assert_eq!(rest, ["not-found", "denied", "ok"]);
    assert_eq!(kind(binding.head_many(&vec!["k".to_owned(); 1_001]).await), "invalid-argument");
}
