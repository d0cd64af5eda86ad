//! Wrong arguments are named, and change nothing.

use stheno::{ErrorKind, MAX_ITEMS, MAX_KEY_BYTES, MAX_TAGS, MAX_VALUE_BYTES, NewEntry};

use crate::Subject;

/// The error is about this argument.
#[track_caller]
fn assert_names<T: std::fmt::Debug>(result: Result<T, stheno::Error>, argument: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().starts_with(argument), "{error}");
    assert!(!error.is_retryable());
}

/// Texts that are no key, tag or pattern.
fn wrong_texts() -> [String; 2] {
    [String::new(), "é".repeat(MAX_KEY_BYTES / 2) + "k"]
}

impl Subject {
    async fn fill(&self) {
        self.cache.set_bytes("kept", "as it was").tags(["t"]).await.unwrap();
    }

    async fn assert_unchanged(&self) {
        assert_eq!(self.read("kept").await.as_deref(), Some("as it was"));
        assert_eq!(self.tagged(&["t"]).await, ["kept"]);
    }
}

async fn wrong_keys_tags_and_patterns_are_refused(subject: Subject) {
    subject.fill().await;
    let cache = &subject.cache;
    for text in wrong_texts() {
        assert_names(cache.get_bytes(&text).await, "key");
        assert_names(cache.get_many_bytes(["kept", &text]).await, "key");
        assert_names(cache.get_by_tags(["t", &text]).await, "tag");
        assert_names(cache.set_bytes(&text, "v").await, "key");
        assert_names(cache.set_bytes("kept", "v").tags(["t", &text]).await, "tag");
        assert_names(cache.delete(["kept", &text]).await, "key");
        assert_names(cache.clear_tags(["t", &text]).await, "tag");
        assert_names(cache.clear_matching(&text).await, "pattern");
        let entries = [NewEntry::new("kept", "new"), NewEntry::new(text, "v")];
        assert_names(cache.set_many(entries).await, "key");
        subject.assert_unchanged().await;
    }
}

async fn too_much_of_anything_is_refused(subject: Subject) {
    subject.fill().await;
    let cache = &subject.cache;
    assert_names(cache.set_bytes("kept", vec![0; MAX_VALUE_BYTES + 1]).await, "value");
    let tags = (0..=MAX_TAGS).map(|n| format!("tag {n}"));
    assert_names(cache.set_bytes("kept", "v").tags(tags).await, "tags");
    let many = || (0..=MAX_ITEMS).map(|n| if n == 0 { "kept".to_owned() } else { n.to_string() });
    assert_names(cache.get_many_bytes(many()).await, "keys");
    assert_names(cache.delete(many()).await, "keys");
    assert_names(cache.get_by_tags(many()).await, "tags");
    assert_names(cache.clear_tags(many()).await, "tags");
    let entries = many().map(|key| NewEntry::new(key, "new"));
    assert_names(cache.set_many(entries).await, "entries");
    subject.assert_unchanged().await;
    assert_eq!(subject.read("1").await, None);
}

for_every_provider! {
    wrong_keys_tags_and_patterns_are_refused,
    too_much_of_anything_is_refused,
}
