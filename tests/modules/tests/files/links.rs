//! Links that expire, and who has one.

use std::time::Duration;

use reqwest::StatusCode;
use stheno::{Access, ErrorKind, LinkUse, NewFile, UploadUrl};
use stheno_test_support::until;

use crate::Subject;
use crate::places::Place;

for_every_provider![
    a_private_file_has_no_plain_url_and_its_link_expires,
    a_link_to_nothing_is_an_error,
    an_upload_link_keeps_a_key_that_nobody_else_gets,
    an_upload_link_is_good_for_one_file_and_expires,
    a_kept_key_is_filled_once_and_only_by_its_name,
    two_bodies_of_one_key_differ_in_their_etags,
];

const MINUTE: Duration = Duration::from_secs(60);

/// The token of a link to the host.
pub(crate) fn token(url: &str) -> Option<&str> {
    url.strip_prefix("https://files.example/v1/files/link?token=")
}

/// How a server answers whoever has a link.
fn kind(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::FORBIDDEN => ErrorKind::Denied,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::PRECONDITION_FAILED => ErrorKind::Conflict,
        status => panic!("{status}"),
    }
}

impl Subject {
    /// A life of links that a test can wait for.
    fn life(&self) -> Duration {
        match self.place {
            Place::Folder(_) => MINUTE,
            // The clock of the server is nobody's to set.
            Place::Bucket(_) => Duration::from_secs(2),
        }
    }

    /// What somebody reads who has nothing but a link: from the host, or from the
    /// provider's own server.
    pub(crate) async fn read_by(&self, url: &str) -> Result<Vec<u8>, ErrorKind> {
        if let Some(token) = token(url) {
            let allowed = self.files.redeem(token).map_err(|error| error.kind())?;
            let LinkUse::Read { store, key } = allowed else { panic!("it is to read") };
            assert_eq!(store, "default");
            return Ok(self.read(&key).await);
        }
        let answer = reqwest::get(url).await.unwrap();
        match answer.status() {
            StatusCode::OK => Ok(answer.bytes().await.unwrap().to_vec()),
            status => Err(kind(status)),
        }
    }

    /// The same for an upload.
    pub(crate) async fn fill_by(&self, to: &UploadUrl, body: &[u8]) -> Result<(), ErrorKind> {
        if let Some(token) = token(&to.url) {
            assert!(to.headers.is_empty());
            let allowed = self.files.redeem(token).map_err(|error| error.kind())?;
            let LinkUse::Write { store, key, file } = allowed else { panic!("it is to upload") };
            assert_eq!((store.as_str(), &key), ("default", &to.key));
            let put = self.files.put_kept(file, &key, std::io::Cursor::new(body.to_vec())).await;
            return put.map(drop).map_err(|error| error.kind());
        }
        let mut request = reqwest::Client::new().put(&to.url).body(body.to_vec());
        for (name, value) in &to.headers {
            request = request.header(name, value);
        }
        match request.send().await.unwrap().status() {
            StatusCode::OK => Ok(()),
            status => Err(kind(status)),
        }
    }

    /// Lets the life of a link that was just made pass.
    async fn expires(&self, attempt: impl AsyncFn() -> Result<(), ErrorKind>) {
        match self.place {
            Place::Folder(_) => {
                self.clock.advance(MINUTE - Duration::from_millis(1));
                assert_ne!(attempt().await, Err(ErrorKind::Denied));
                self.clock.advance(Duration::from_millis(1));
                assert_eq!(attempt().await, Err(ErrorKind::Denied));
            }
            Place::Bucket(_) => {
                let denied = async || attempt().await == Err(ErrorKind::Denied);
                until("it never expires", denied).await;
            }
        }
    }
}

// F8: a private file is not readable by a plain URL; its link expires.
async fn a_private_file_has_no_plain_url_and_its_link_expires(s: Subject) {
    let stored = s.put("secret", b"s").await;
    assert_eq!(stored.url, None);
    let url = s.files.download_url(&stored.key, s.life()).await.unwrap();
    assert_eq!(s.read_by(&url).await.unwrap(), b"s");
    let open = s.files.download_url(&stored.key, 2 * MINUTE).await.unwrap();
    s.expires(async || s.read_by(&url).await.map(drop)).await;
    assert_eq!(s.read_by(&open).await.unwrap(), b"s");
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
    s.fill_by(&one, b"a,b").await.unwrap();
    let stored = s.files.stat(&one.key).await.unwrap();
    assert_eq!((stored.name.as_str(), stored.content_type.as_str()), ("up/a.csv", "text/csv"));
    assert_eq!((stored.access, &stored.metadata), (Access::Public, &file.metadata));
    assert_eq!(s.read(&one.key).await, b"a,b");
    assert_eq!(s.keys("", 10).await, [one.key]);
}

async fn an_upload_link_is_good_for_one_file_and_expires(s: Subject) {
    let upload = s.files.upload_url(NewFile::new("a"), s.life()).await.unwrap();
    s.fill_by(&upload, b"first").await.unwrap();
    assert_eq!(s.fill_by(&upload, b"second").await, Err(ErrorKind::Conflict));
    assert_eq!(s.read(&upload.key).await, b"first");
    // Expired, it says no more that there is a file.
    s.expires(async || s.fill_by(&upload, b"third").await).await;
    assert_eq!(s.read(&upload.key).await, b"first");
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
