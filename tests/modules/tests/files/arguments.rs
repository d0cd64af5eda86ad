//! Arguments out of bounds change nothing.

use std::time::Duration;

use stheno::{Error, ErrorKind, NewFile};

use crate::Subject;

for_every_provider![
    names_and_descriptions_out_of_bounds_are_refused_by_name,
    what_is_asked_out_of_bounds_is_refused_by_name,
];

fn assert_refused<T: std::fmt::Debug>(result: Result<T, Error>, argument: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.message().contains(argument), "{argument}: {error}");
}

async fn names_and_descriptions_out_of_bounds_are_refused_by_name(s: Subject) {
    let long = "n".repeat(10_000);
    for (file, argument) in [
        (NewFile::new(""), "name"),
        (NewFile::new(&long), "name"),
        (NewFile::new("n".repeat(1_024)), "name"),
        (NewFile::new("n/".repeat(40) + "n"), "name"),
        (NewFile::new("a\0"), "name"),
        (NewFile::new("a").content_type("a\nb"), "content_type"),
        (NewFile::new("a").cache_control(&long), "cache_control"),
        (NewFile::new("a").metadata("Upper", ""), "metadata"),
        (NewFile::new("a").metadata("k", &long), "metadata"),
    ] {
        assert_refused(s.files.put_bytes(file.clone(), b"x").await, argument);
        assert_refused(s.files.upload_url(file.clone(), Duration::from_secs(9)).await, argument);
        let stored = s.put("original", b"x").await;
        assert_refused(s.files.copy(&stored.key, Some(file)).await, argument);
        s.files.delete([stored.key]).await.unwrap()[0].clone().unwrap();
    }
    assert!(s.keys("", 10).await.is_empty());
    // The most that fits is taken.
    let mut file = NewFile::new("n".repeat(s.place.longest_name()));
    file.metadata = (0..32).map(|at| (format!("k{at}"), "v".repeat(1_024))).collect();
    let stored = s.files.put_bytes(file.clone(), b"x").await.unwrap();
    assert_eq!(stored.metadata, file.metadata);
    assert_eq!(s.keys("", 10).await, [stored.key]);
}

async fn what_is_asked_out_of_bounds_is_refused_by_name(s: Subject) {
    let long = "k".repeat(10_000);
    let kept = s.put("kept", b"x").await.key;
    for key in ["", long.as_str(), "a\0b", "a//b"] {
        assert_refused(s.files.stat(key).await, "key");
        assert_refused(s.files.get(key).await, "key");
        assert_refused(s.files.copy(key, None).await, "key");
        assert_refused(s.files.download_url(key, Duration::from_secs(9)).await, "key");
        assert_refused(s.files.delete([key]).await.unwrap().remove(0), "key");
    }
    assert_refused(s.files.delete(vec![kept.as_str(); 1_001]).await, "keys");
    assert_refused(s.files.list(&long, None, 10).await, "prefix");
    for cursor in ["", long.as_str(), "../x"] {
        assert_refused(s.files.list("", Some(cursor), 10).await, "cursor");
    }
    for limit in [0, 1_001, u32::MAX] {
        assert_refused(s.files.list("", None, limit).await, "limit");
    }
    for expires in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
        assert_refused(s.files.download_url(&kept, expires).await, "expires");
        assert_refused(s.files.upload_url(NewFile::new("a"), expires).await, "expires");
    }
    assert_eq!(s.read(&kept).await, b"x");
}
