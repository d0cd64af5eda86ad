//! Bounds hold, and what was set last is there.

use serde_json::json;
use stheno::NewEntry;

use crate::options::{are_refused, is_taken};
use crate::{Keeps, Subject};

async fn no_more_entries_are_kept_than_the_option_says(subject: Subject) {
    const MAX: usize = 10;
    let subject = subject.again(json!({ "max_entries": MAX })).await;
    let keys: Vec<_> = (0..100).map(|n| format!("k{n}")).collect();
    for key in &keys {
        subject.cache.set_bytes(key, key.as_bytes()).tags(["t"]).await.unwrap();
        assert_eq!(subject.read(key).await.as_ref(), Some(key), "the one that was just set");
        let kept = subject.cache.get_many_bytes(&keys).await.unwrap();
        assert!(kept.iter().flatten().count() <= MAX);
        assert!(subject.tagged(&["t"]).await.len() <= MAX);
    }
    let kept = subject.cache.get_many_bytes(&keys).await.unwrap();
    assert_eq!(kept.iter().flatten().count(), MAX);
    // Together as well as one by one.
    subject.cache.set_many(keys.iter().map(|key| NewEntry::new(key, "v"))).await.unwrap();
    let kept = subject.cache.get_many_bytes(&keys).await.unwrap();
    assert_eq!(kept.iter().flatten().count(), MAX);
    assert!(kept.last().unwrap().is_some());
}

async fn what_was_pushed_out_leaves_nothing_of_its_tags(subject: Subject) {
    let subject = subject.again(json!({ "max_entries": 2 })).await;
    for n in 0..50 {
        subject.cache.set_bytes(&format!("k{n}"), "v").tags([format!("t{n}")]).await.unwrap();
    }
    let tags: Vec<_> = (0..50).map(|n| format!("t{n}")).collect();
    let tags: Vec<_> = tags.iter().map(String::as_str).collect();
    assert_eq!(subject.tagged(&tags).await.len(), 2);
    subject.cache.set_bytes("k0", "new").await.unwrap();
    subject.cache.clear_tags(["t0"]).await.unwrap();
    assert_eq!(subject.read("k0").await.as_deref(), Some("new"));
}

async fn what_is_used_stays_and_what_is_not_goes(subject: Subject) {
    let subject = subject.again(json!({ "max_entries": 4 })).await;
    subject.cache.set_bytes("used", "v").await.unwrap();
    for n in 0..100 {
        subject.cache.set_bytes(&format!("k{n}"), "v").await.unwrap();
        assert_eq!(subject.read("used").await.as_deref(), Some("v"), "after {n} others");
    }
}

async fn one_entry_is_kept_where_only_one_may_be(subject: Subject) {
    let subject = subject.again(json!({ "max_entries": 1 })).await;
    for key in ["a", "b", "a", "a", "c"] {
        subject.cache.set_bytes(key, key).await.unwrap();
        assert_eq!(subject.present(&["a", "b", "c"]).await, [key]);
    }
}

async fn no_more_bytes_are_kept_than_the_option_says(subject: Subject) {
    if subject.provider.keeps != Keeps::CountedBytes {
        // Then it has no such option, and says so.
        let refused =
            Subject::with_options(subject.provider, json!({ "max_bytes": "64KiB" })).await;
        assert!(refused.err().unwrap().to_string().contains("max_bytes"));
        return;
    }
    const MAX: usize = 64 << 10;
    let subject = subject.again(json!({ "max_bytes": "64KiB" })).await;
    let keys: Vec<_> = (0..200).map(|n| format!("k{n}")).collect();
    for (n, key) in keys.iter().enumerate() {
        let value = vec![7; n * 37 % 5_000];
        subject.cache.set_bytes(key, value.clone()).await.unwrap();
        assert_eq!(subject.cache.get_bytes(key).await.unwrap(), Some(value));
        let kept = subject.cache.get_many_bytes(&keys).await.unwrap();
        let bytes: usize = kept.iter().flatten().map(Vec::len).sum();
        assert!(bytes <= MAX, "{bytes} bytes after {n}");
    }
    // What can never fit is refused, and the rest stays.
    let before = subject.cache.get_many_bytes(&keys).await.unwrap();
    let error = subject.cache.set_bytes("large", vec![0; MAX]).await.unwrap_err();
    assert_eq!(error.kind(), stheno::ErrorKind::InvalidArgument);
    assert!(error.message().contains("max_bytes"), "{error}");
    assert_eq!(subject.cache.get_many_bytes(&keys).await.unwrap(), before);
}

async fn a_wrong_bound_is_named_before_anything_is_served(subject: Subject) {
    let wrong = [
        (json!({ "max_entries": 0 }), "max_entries"),
        (json!({ "max_entries": -1 }), "max_entries"),
        (json!({ "max_entries": 1.5 }), "max_entries"),
        (json!({ "max_entries": "10" }), "max_entries"),
        (json!({ "max_entries": true }), "max_entries"),
        (json!({ "max_entries": u64::MAX }), "max_entries"),
    ];
    are_refused(&subject, wrong).await;
}

async fn bounds_that_are_right_are_taken(subject: Subject) {
    for options in [json!({ "ttl": "24h", "max_entries": 1 }), json!({ "max_entries": 1_000_000 })]
    {
        is_taken(&subject, options).await;
    }
}

for_providers_in_memory! {
    no_more_entries_are_kept_than_the_option_says,
    what_was_pushed_out_leaves_nothing_of_its_tags,
    what_is_used_stays_and_what_is_not_goes,
    one_entry_is_kept_where_only_one_may_be,
    no_more_bytes_are_kept_than_the_option_says,
    a_wrong_bound_is_named_before_anything_is_served,
    bounds_that_are_right_are_taken,
}
