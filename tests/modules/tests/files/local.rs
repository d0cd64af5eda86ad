//! What only a provider on a folder promises: whatever else lies there.

use std::time::Duration;

use serde_json::json;
use stheno::{ErrorKind, NewFile};

use crate::Subject;
use crate::links::token;

for_the_folder![
    a_link_in_the_folder_that_leads_out_is_no_file,
    what_others_put_into_the_folder_is_left_alone,
    what_a_crash_left_is_removed_at_the_next_start,
    a_file_that_was_damaged_is_not_there,
    the_folder_of_the_options_must_be_granted,
    another_runtime_has_another_secret_for_its_links,
];

async fn a_link_in_the_folder_that_leads_out_is_no_file(s: Subject) {
    let stored = s.put("real", b"real").await;
    let outside = tempfile::tempdir().unwrap();
    // Even what would be a file of the store, outside.
    std::fs::copy(s.place.path().join(&stored.key), outside.path().join("file")).unwrap();
    std::os::unix::fs::symlink(outside.path(), s.place.path().join("out")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("file"), s.place.path().join("link")).unwrap();
    for key in ["link", "out/file"] {
        assert!(s.files.get(key).await.is_err(), "{key}");
        assert!(s.files.stat(key).await.is_err(), "{key}");
    }
    // Through the folder nothing can be stored or removed either.
    let escaping = s.files.put_bytes(NewFile::new("out/new"), b"x").await;
    assert_eq!(escaping.unwrap_err().kind(), ErrorKind::Denied);
    assert!(s.files.delete(["out/file"]).await.unwrap()[0].is_err());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(s.keys("", 10).await, [stored.key]);
}

async fn what_others_put_into_the_folder_is_left_alone(s: Subject) {
    std::fs::write(s.place.path().join("notes.txt"), "mine").unwrap();
    std::fs::write(s.place.path().join(".hidden"), "mine").unwrap();
    let stored = s.put("a", b"a").await;
    let s = s.restarted().await;
    assert_eq!(s.keys("", 1).await, [stored.key]);
    let error = s.files.get("notes.txt").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(std::fs::read(s.place.path().join("notes.txt")).unwrap(), b"mine");
}

async fn what_a_crash_left_is_removed_at_the_next_start(s: Subject) {
    let stored = s.put("a", b"a").await;
    let left = s.place.path().join(".stheno/half-written");
    std::fs::write(&left, "half").unwrap();
    let s = s.restarted().await;
    assert!(!left.exists());
    assert_eq!(s.read(&stored.key).await, b"a");
}

async fn a_file_that_was_damaged_is_not_there(s: Subject) {
    let stored = s.put("a", b"some bytes").await;
    let path = s.place.path().join(&stored.key);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    assert_eq!(s.files.get(&stored.key).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(s.keys("", 10).await.is_empty());
}

async fn the_folder_of_the_options_must_be_granted(s: Subject) {
    for (folder, named) in [("files", "folder"), ("/elsewhere", "/elsewhere")] {
        let options = json!({"folder": folder});
        let error = Subject::with_options(s.place.another(), options).await.err().unwrap();
        let text = format!("{error:?}");
        assert!(text.contains(named), "{named}: {text}");
    }
}

async fn another_runtime_has_another_secret_for_its_links(s: Subject) {
    let key = s.put("secret", b"s").await.key;
    let url = s.files.download_url(&key, Duration::from_secs(60)).await.unwrap();
    assert!(s.files.redeem(token(&url).unwrap()).is_ok());
    let s = s.restarted().await;
    let kind = s.files.redeem(token(&url).unwrap()).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Denied);
}
