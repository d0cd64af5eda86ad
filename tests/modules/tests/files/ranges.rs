//! Parts of a body.

use stheno::{ErrorKind, Range};

use crate::{Subject, pattern};

for_every_provider![a_part_is_that_part, a_range_without_a_byte_is_refused];

async fn a_part_is_that_part(s: Subject) {
    let body = pattern(1_500_000);
    let key = s.put("a", &body).await.key;
    let size = body.len();
    for (range, from, to) in [
        (Range::From(0), 0, size),
        (Range::From(1_499_999), size - 1, size),
        (Range::Span { offset: 0, length: 1 }, 0, 1),
        (Range::Span { offset: 524_287, length: 2 }, 524_287, 524_289),
        (Range::Span { offset: 10, length: 1_000_000 }, 10, 1_000_010),
        (Range::Span { offset: 1_400_000, length: u64::MAX }, 1_400_000, size),
        (Range::Last(1), size - 1, size),
        (Range::Last(u64::MAX), 0, size),
    ] {
        let part = s.files.get_range(&key, range).await.unwrap();
        assert_eq!((part.offset(), part.length()), (from as u64, (to - from) as u64), "{range:?}");
        assert_eq!(part.info().size, size as u64);
        assert!(part.bytes().await.unwrap() == body[from..to], "{range:?}");
    }
}

async fn a_range_without_a_byte_is_refused(s: Subject) {
    let key = s.put("a", b"12345").await.key;
    let empty = s.put("b", b"").await.key;
    for (key, range) in [
        (&key, Range::From(5)),
        (&key, Range::From(u64::MAX)),
        (&key, Range::Span { offset: 5, length: 1 }),
        (&key, Range::Span { offset: 0, length: 0 }),
        (&key, Range::Last(0)),
        (&empty, Range::From(0)),
        (&empty, Range::Last(1)),
    ] {
        let error = s.files.get_range(key, range).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("range"), "{error}");
    }
    assert!(s.read(&empty).await.is_empty());
}
