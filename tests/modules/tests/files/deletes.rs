//! Removing files: each key has its own result.

use stheno::ErrorKind;

use crate::Subject;

for_every_provider![
    one_or_many_are_removed_and_a_missing_one_is_fine,
    what_could_not_be_removed_is_reported_for_its_key,
];

// F3: delete one or many; missing is fine.
async fn one_or_many_are_removed_and_a_missing_one_is_fine(s: Subject) {
    let keys = [s.put("a", b"a").await.key, s.put("b/c", b"b").await.key];
    let kept = s.put("b/d", b"d").await.key;
    let missing = format!("{}x", keys[0]);
    let results = s.files.delete([&keys[0], &missing, &keys[1]]).await.unwrap();
    assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
    for key in &keys {
        assert_eq!(s.files.stat(key).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(s.files.delete([&keys[0]]).await.unwrap(), [Ok(())]);
    assert_eq!(s.keys("", 10).await, [kept]);
    assert!(s.files.delete::<&str>([]).await.unwrap().is_empty());
}

// F4: a failure to delete is reported, and the others are deleted all the same.
async fn what_could_not_be_removed_is_reported_for_its_key(s: Subject) {
    let first = s.put("a", b"a").await.key;
    let last = s.put("z", b"z").await.key;
    let stuck = s.put("stuck", b"s").await.key;
    let (kind, stays) = s.place.hold(&stuck);
    let bad = "../a".to_owned();
    let empty = String::new();
    let results = s.files.delete([&first, &stuck, &bad, &empty, &last]).await.unwrap();
    let kinds: Vec<_> =
        results.iter().map(|result| result.as_ref().err().map(stheno::Error::kind)).collect();
    let invalid = Some(ErrorKind::InvalidArgument);
    assert_eq!(kinds, [None, Some(kind), invalid, invalid, None]);
    let left = if stays { vec![stuck] } else { Vec::new() };
    assert_eq!(s.keys("", 10).await, left);
}
