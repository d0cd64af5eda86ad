//! Keys: made by the store, one for each upload, and never a way out.

use std::collections::BTreeSet;

use stheno::{ErrorKind, NewFile};

use crate::Subject;

for_every_provider![
    the_same_name_twice_gives_two_keys,
    a_key_keeps_the_folders_of_its_name,
    a_name_that_climbs_in_any_encoding_stays_inside_or_is_refused,
    a_key_that_climbs_reads_and_removes_nothing,
    a_url_encodes_each_segment_and_keeps_the_slashes,
];

// F5: the same name twice gives two keys, also at the same moment.
async fn the_same_name_twice_gives_two_keys(s: Subject) {
    let uploads = (0..64).map(|at| {
        let files = s.files.clone();
        async move { files.put_bytes(NewFile::new("same.txt"), [at]).await.unwrap().key }
    });
    let keys = futures_util::future::join_all(uploads).await;
    let distinct: BTreeSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), 64);
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(s.read(key).await, [at as u8]);
    }
}

async fn a_key_keeps_the_folders_of_its_name(s: Subject) {
    let stored = s.put("a/b c/d.tar.gz", b"").await;
    assert!(stored.key.starts_with("a/b c/d.tar-") && stored.key.ends_with(".gz"), "{stored:?}");
}

/// Ways up, and other names that mean something to some system.
const HOSTILE: &[&str] = &[
    ".",
    "..",
    "../escape",
    "../../escape",
    "a/../../escape",
    "a/..",
    "/escape",
    "//escape",
    "/etc/passwd",
    "a//b",
    "a/",
    "\\escape",
    "..\\escape",
    "a\\..\\..\\escape",
    "C:\\escape",
    "%2e%2e/escape",
    "%2e%2e%2fescape",
    "..%2fescape",
    "..%5cescape",
    "%252e%252e%252fescape",
    "..%c0%afescape",
    "..;/escape",
    "\u{ff0e}\u{ff0e}\u{ff0f}escape",
    "\u{2024}\u{2024}/escape",
    "a\0b",
    "../escape\0.txt",
    "a%00b",
    "a\nb",
    "a\rb",
    "\u{202e}gpj.exe",
    ".stheno",
    ".stheno/x",
    ".STHENO/x",
    ".htaccess",
    "~/escape",
    "$HOME/escape",
    " ",
    "con",
    "file:///etc/passwd",
];

// F6: traversal, leading slash and `.` are refused; what is taken stays inside.
async fn a_name_that_climbs_in_any_encoding_stays_inside_or_is_refused(s: Subject) {
    assert!(!s.place.has_let_out("escape"));
    for name in HOSTILE {
        match s.files.put_bytes(NewFile::new(*name), b"x").await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name:?}: {error}");
                assert!(error.message().contains("name"), "{name:?}: {error}");
            }
            Ok(stored) => {
                assert!(!name.contains("../") && !name.starts_with('/'), "{name:?}");
                assert_eq!(stored.name, *name);
                assert_eq!(s.read(&stored.key).await, b"x", "{name:?}");
                assert!(s.keys("", 100).await.contains(&stored.key), "{name:?}");
            }
        }
        let upload =
            s.files.upload_url(NewFile::new(*name), std::time::Duration::from_secs(9)).await;
        assert!(upload.is_ok() || upload.is_err_and(|e| e.kind() == ErrorKind::InvalidArgument));
    }
    assert!(!s.place.has_let_out("escape"));
}

async fn a_key_that_climbs_reads_and_removes_nothing(s: Subject) {
    let (outside, ways) = s.place.outside();
    let keys = HOSTILE.iter().copied().chain(ways.iter().map(String::as_str));
    for key in keys {
        let kinds = [
            s.files.stat(key).await.unwrap_err().kind(),
            s.files.get(key).await.unwrap_err().kind(),
            s.files.copy(key, None).await.unwrap_err().kind(),
            s.files.download_url(key, std::time::Duration::from_secs(9)).await.unwrap_err().kind(),
        ];
        for kind in kinds {
            assert!(matches!(kind, ErrorKind::InvalidArgument | ErrorKind::NotFound), "{key:?}");
        }
        let _ = s.files.delete([key]).await.unwrap();
        let listed = s.files.list(key, None, 10).await;
        assert!(listed.is_ok_and(|page| page.files.is_empty()), "{key:?}");
    }
    assert!(outside.is_untouched());
}

// F7: a url encodes each segment and keeps the slashes.
async fn a_url_encodes_each_segment_and_keeps_the_slashes(s: Subject) {
    let stored = s.files.put_bytes(NewFile::new("a b/c&d?e#f.txt").public(), b"").await.unwrap();
    let url = stored.url.unwrap();
    let start = "https://files.example/files/a%20b/c%26d%3Fe%23f-";
    assert!(url.starts_with(start) && url.ends_with(".txt"), "{url}");
}
