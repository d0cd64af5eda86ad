//! What is read is what was set.

use stheno::NewEntry;

use crate::Subject;

async fn a_key_that_was_never_set_is_a_miss(subject: Subject) {
    assert_eq!(subject.read("never").await, None);
    assert_eq!(subject.cache.get::<u64>("never").await.unwrap(), None);
}

async fn a_value_of_any_size_comes_back_byte_for_byte(subject: Subject) {
    for size in [0, 1, 2, 255, 256, 257, 65_535, 65_536, 1 << 20, stheno::MAX_VALUE_BYTES] {
        // 251 is prime: a chunk that was lost, doubled or swapped shows.
        let value: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        subject.cache.set_bytes("k", value.clone()).await.unwrap();
        let back = subject.cache.get_bytes("k").await.unwrap();
        assert!(back.as_ref() == Some(&value), "{size} bytes");
    }
}

async fn every_byte_is_kept_as_it_is(subject: Subject) {
    let all: Vec<u8> = (0..=255).collect();
    subject.cache.set_bytes("all", all.clone()).await.unwrap();
    assert_eq!(subject.cache.get_bytes("all").await.unwrap(), Some(all));
    let entries = (0..=255_u8).map(|byte| NewEntry::new(format!("b{byte}"), [byte]));
    subject.cache.set_many(entries).await.unwrap();
    let keys: Vec<_> = (0..=255).map(|byte| format!("b{byte}")).collect();
    let values = subject.cache.get_many_bytes(keys).await.unwrap();
    let expected: Vec<_> = (0..=255_u8).map(|byte| Some(vec![byte])).collect();
    assert_eq!(values, expected);
}

async fn an_empty_value_is_not_a_miss(subject: Subject) {
    subject.cache.set_bytes("empty", "").await.unwrap();
    assert_eq!(subject.read("empty").await.as_deref(), Some(""));
}

async fn values_come_in_the_order_of_the_keys_and_a_key_may_come_twice(subject: Subject) {
    let entries = ["a", "b", "c"].map(|key| NewEntry::new(key, key));
    subject.cache.set_many(entries).await.unwrap();
    let values = subject.cache.get_many_bytes(["c", "none", "a", "c", "b"]).await.unwrap();
    let text = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(values, [text("c"), None, text("a"), text("c"), text("b")]);
}

async fn the_last_set_wins(subject: Subject) {
    for value in ["first", "second", "", "third"] {
        subject.cache.set_bytes("k", value).await.unwrap();
        assert_eq!(subject.read("k").await.as_deref(), Some(value));
    }
}

async fn of_several_entries_with_one_key_the_last_wins(subject: Subject) {
    let entries = [
        NewEntry::new("k", "1").tags(["one"]),
        NewEntry::new("other", "x"),
        NewEntry::new("k", "2").tags(["two"]),
        NewEntry::new("k", "3").tags(["three"]),
    ];
    subject.cache.set_many(entries).await.unwrap();
    assert_eq!(subject.read("k").await.as_deref(), Some("3"));
    assert!(subject.tagged(&["one", "two"]).await.is_empty());
    assert_eq!(subject.tagged(&["three"]).await, ["k"]);
    // One that ends with a time to live of 0 is gone.
    let entries = [NewEntry::new("k", "4"), NewEntry::new("k", "5").ttl(std::time::Duration::ZERO)];
    subject.cache.set_many(entries).await.unwrap();
    assert_eq!(subject.present(&["k", "other"]).await, ["other"]);
}

async fn what_is_deleted_is_gone_and_nothing_else(subject: Subject) {
    let entries = ["a", "b", "c"].map(|key| NewEntry::new(key, key).tags(["t"]));
    subject.cache.set_many(entries).await.unwrap();
    subject.cache.delete(["a", "never", "c", "a"]).await.unwrap();
    assert_eq!(subject.present(&["a", "b", "c"]).await, ["b"]);
    assert_eq!(subject.tagged(&["t"]).await, ["b"]);
    subject.cache.set_bytes("a", "again").await.unwrap();
    assert_eq!(subject.read("a").await.as_deref(), Some("again"));
    assert_eq!(subject.tagged(&["t"]).await, ["b"]);
}

async fn a_thousand_items_go_in_one_call(subject: Subject) {
    let keys: Vec<_> = (0..stheno::MAX_ITEMS).map(|n| format!("key {n}")).collect();
    let entries = keys.iter().map(|key| NewEntry::new(key, key.as_bytes()));
    subject.cache.set_many(entries).await.unwrap();
    let values = subject.cache.get_many_bytes(&keys).await.unwrap();
    for (key, value) in keys.iter().zip(values) {
        assert_eq!(value.as_deref(), Some(key.as_bytes()));
    }
    subject.cache.delete(&keys).await.unwrap();
    let values = subject.cache.get_many_bytes(&keys).await.unwrap();
    assert!(values.iter().all(Option::is_none));
}

async fn no_items_are_no_call_and_no_error(subject: Subject) {
    let none: [&str; 0] = [];
    subject.cache.set_bytes("k", "v").await.unwrap();
    assert!(subject.cache.get_many_bytes(none).await.unwrap().is_empty());
    assert!(subject.cache.get_by_tags(none).await.unwrap().is_empty());
    subject.cache.set_many([]).await.unwrap();
    subject.cache.delete(none).await.unwrap();
    subject.cache.clear_tags(none).await.unwrap();
    assert_eq!(subject.read("k").await.as_deref(), Some("v"));
}

async fn a_value_of_another_type_is_an_encoding_error_and_stays(subject: Subject) {
    subject.cache.set("k", &"text").await.unwrap();
    let error = subject.cache.get::<u64>("k").await.unwrap_err();
    assert_eq!(error.kind(), stheno::ErrorKind::Encoding);
    assert!(error.message().contains("\"k\""), "{error}");
    assert_eq!(subject.cache.get::<String>("k").await.unwrap().as_deref(), Some("text"));
}

async fn a_stopped_cache_is_unavailable(subject: Subject) {
    subject.cache.set_bytes("k", "v").await.unwrap();
    subject.runtime.shutdown().await.unwrap();
    let error = subject.cache.get_bytes("k").await.unwrap_err();
    assert_eq!(error.kind(), stheno::ErrorKind::Unavailable);
    let error = subject.cache.set_bytes("k", "v").await.unwrap_err();
    assert_eq!(error.kind(), stheno::ErrorKind::Unavailable);
}

async fn a_provider_says_what_it_is_and_that_it_is_well(subject: Subject) {
    let status = subject.runtime.status().await;
    let cache =
        status.iter().find(|status| status.module == stheno::config::ModuleName::Cache).unwrap();
    assert_eq!(cache.info.name, subject.provider.name);
    assert!(!cache.info.version.is_empty());
    assert_eq!(cache.health, Ok(()));
}

for_every_provider! {
    a_key_that_was_never_set_is_a_miss,
    a_value_of_any_size_comes_back_byte_for_byte,
    every_byte_is_kept_as_it_is,
    an_empty_value_is_not_a_miss,
    values_come_in_the_order_of_the_keys_and_a_key_may_come_twice,
    the_last_set_wins,
    of_several_entries_with_one_key_the_last_wins,
    what_is_deleted_is_gone_and_nothing_else,
    a_thousand_items_go_in_one_call,
    no_items_are_no_call_and_no_error,
    a_value_of_another_type_is_an_encoding_error_and_stays,
    a_stopped_cache_is_unavailable,
    a_provider_says_what_it_is_and_that_it_is_well,
}
