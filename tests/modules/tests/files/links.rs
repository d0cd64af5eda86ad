//! Links that expire.

use std::time::Duration;

use stheno::{ErrorKind, LinkUse, NewFile};

use crate::Subject;

for_every_provider![
    a_private_file_has_no_plain_url_and_its_link_expires,
    a_link_to_nothing_is_an_error,
    an_upload_link_keeps_a_key_that_nobody_else_gets,
    a_kept_key_is_filled_once_and_only_by_its_name,
    two_bodies_of_one_key_differ_in_their_etags,
];

const MINUTE: Duration = Duration::from_secs(60);

fn token(url: &str) -> &str {
    url.strip_prefix("https://files.example/v1/files/link?token=").unwrap()
}

// F8: a private file is not readable by a plain URL; its link expires.
async fn a_private_file_has_no_plain_url_and_its_link_expires(s: Subject) {
    let stored = s.put("secret", b"s").await;
    assert_eq!(stored.url, None);
    let url = s.files.download_url(&stored.key, MINUTE).await.unwrap();
    let key = stored.key.clone();
    assert_eq!(s.files.redeem(token(&url)), Ok(LinkUse::Read { store: "default".into(), key }));
    s.clock.advance(MINUTE - Duration::from_millis(1));
    assert!(s.files.redeem(token(&url)).is_ok());
    s.clock.advance(Duration::from_millis(1));
    assert_eq!(s.files.redeem(token(&url)).unwrap_err().kind(), ErrorKind::Denied);
    // Another runtime has another secret.
    let fresh = s.files.download_url(&stored.key, MINUTE).await.unwrap();
    let s = s.restarted().await;
    assert_eq!(s.files.redeem(token(&fresh)).unwrap_err().kind(), ErrorKind::Denied);
}

// F14: a link to download a missing file is an error.
async fn a_link_to_nothing_is_an_error(s: Subject) {
    let error = s.files.download_url("nothing", MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("nothing"), "{error}");
}

// F9: a link to upload has an expiry, a type and a key of its own.
async fn an_upload_link_keeps_a_key_that_nobody_else_gets(s: Subject) {
    let file = NewFile::new("up/a.csv").content_type("text/csv").public().metadata("k", "v");
    let one = s.files.upload_url(file.clone(), MINUTE).await.unwrap();
    let other = s.files.upload_url(file.clone(), MINUTE).await.unwrap();
    assert_ne!(one.key, other.key);
    assert_eq!(s.files.stat(&one.key).await.unwrap_err().kind(), ErrorKind::NotFound);
    let LinkUse::Write { key, file: meant, .. } = s.files.redeem(token(&one.url)).unwrap() else {
        panic!("the link is to upload")
    };
    assert_eq!((&key, &meant), (&one.key, &file));
    let stored = s.files.put_kept(meant, &key, &b"a,b"[..]).await.unwrap();
    assert_eq!((stored.key, stored.content_type.as_str()), (one.key, "text/csv"));
    s.clock.advance(MINUTE);
    assert_eq!(s.files.redeem(token(&other.url)).unwrap_err().kind(), ErrorKind::Denied);
}

async fn a_kept_key_is_filled_once_and_only_by_its_name(s: Subject) {
    let upload = s.files.upload_url(NewFile::new("a.txt"), MINUTE).await.unwrap();
    let fill = async |name: &str, key: &str| {
        s.files.put_kept(NewFile::new(name), key, &b"x"[..]).await.map_err(|error| error.kind())
    };
    for (name, key) in [("b.txt", upload.key.as_str()), ("a.txt", "a.txt"), ("a.txt", "../a")] {
        assert_eq!(fill(name, key).await.unwrap_err(), ErrorKind::InvalidArgument, "{name} {key}");
    }
    let both = futures_util::join!(fill("a.txt", &upload.key), fill("a.txt", &upload.key));
    let results = [both.0.err(), both.1.err()];
    assert!(results.contains(&None) && results.contains(&Some(ErrorKind::Conflict)), "{results:?}");
    assert_eq!(s.keys("", 10).await, [upload.key]);
}

/// As long as each other and of the same millisecond.
async fn two_bodies_of_one_key_differ_in_their_etags(s: Subject) {
    let key = s.files.upload_url(NewFile::new("a"), MINUTE).await.unwrap().key;
    let mut etags = Vec::new();
    for body in [b"one", b"two"] {
        let stored = s.files.put_kept(NewFile::new("a"), &key, &body[..]).await.unwrap();
        etags.push(stored.etag);
        assert_eq!(s.files.delete([&key]).await.unwrap(), [Ok(())]);
    }
    assert_ne!(etags[0], etags[1]);
}
