//! Entries are found and cleared by the tags that they carry.

use stheno::{MAX_TAGS, NewEntry};

use crate::Subject;

async fn entries_are_found_by_any_of_their_tags_and_each_once(subject: Subject) {
    let entries = [
        NewEntry::new("a", "1").tags(["x"]),
        NewEntry::new("b", "2").tags(["x", "y"]),
        NewEntry::new("c", "3").tags(["y", "z"]),
        NewEntry::new("d", "4"),
    ];
    subject.cache.set_many(entries).await.unwrap();
    assert_eq!(subject.tagged(&["x"]).await, ["a", "b"]);
    assert_eq!(subject.tagged(&["y"]).await, ["b", "c"]);
    assert_eq!(subject.tagged(&["x", "y"]).await, ["a", "b", "c"]);
    assert_eq!(subject.tagged(&["x", "y", "z", "x", "none"]).await, ["a", "b", "c"]);
    assert!(subject.tagged(&["none"]).await.is_empty());
    let mut hits = subject.cache.get_by_tags(["z", "x"]).await.unwrap();
    hits.sort_by(|one, other| one.key.cmp(&other.key));
    let values: Vec<_> = hits.into_iter().map(|hit| hit.value).collect();
    assert_eq!(values, [b"1", b"2", b"3"]);
}

async fn setting_again_replaces_the_tags(subject: Subject) {
    subject.cache.set_bytes("k", "1").tags(["old", "both"]).await.unwrap();
    subject.cache.set_bytes("k", "2").tags(["both", "new"]).await.unwrap();
    assert!(subject.tagged(&["old"]).await.is_empty());
    assert_eq!(subject.tagged(&["both"]).await, ["k"]);
    assert_eq!(subject.tagged(&["new"]).await, ["k"]);
    subject.cache.clear_tags(["old"]).await.unwrap();
    assert_eq!(subject.read("k").await.as_deref(), Some("2"));
    subject.cache.set_bytes("k", "3").await.unwrap();
    assert!(subject.tagged(&["old", "both", "new"]).await.is_empty());
    subject.cache.clear_tags(["old", "both", "new"]).await.unwrap();
    assert_eq!(subject.read("k").await.as_deref(), Some("3"));
}

async fn clearing_tags_removes_all_that_carry_one_and_nothing_else(subject: Subject) {
    let entries = (0..300_u32).map(|n| {
        NewEntry::new(format!("k{n}"), "").tags([
            format!("mod2:{}", n % 2),
            format!("mod3:{}", n % 3),
            format!("mod5:{}", n % 5),
        ])
    });
    subject.cache.set_many(entries).await.unwrap();
    subject.cache.clear_tags(["mod3:0", "mod5:4", "none"]).await.unwrap();
    for n in 0..300_u32 {
        let there = subject.read(&format!("k{n}")).await.is_some();
        assert_eq!(there, n % 3 != 0 && n % 5 != 4, "k{n}");
    }
    assert!(subject.tagged(&["mod3:0", "mod5:4"]).await.is_empty());
    let left = (0..300_u32).filter(|n| n % 3 != 0 && n % 5 != 4);
    assert_eq!(subject.tagged(&["mod2:0", "mod2:1"]).await.len(), left.count());
}

async fn a_cleared_tag_can_be_used_again(subject: Subject) {
    for round in 0..3 {
        let value = round.to_string();
        subject.cache.set_bytes("k", value.as_str()).tags(["t"]).await.unwrap();
        assert_eq!(subject.tagged(&["t"]).await, ["k"]);
        subject.cache.clear_tags(["t"]).await.unwrap();
        assert_eq!(subject.read("k").await, None);
    }
}

async fn a_tag_twice_counts_once(subject: Subject) {
    subject.cache.set_bytes("k", "v").tags(["t", "t", "u", "t"]).await.unwrap();
    assert_eq!(subject.tagged(&["t"]).await, ["k"]);
    assert_eq!(subject.tagged(&["t", "t", "u"]).await, ["k"]);
    subject.cache.set_bytes("k", "v").tags(["u"]).await.unwrap();
    assert!(subject.tagged(&["t"]).await.is_empty());
    subject.cache.clear_tags(["u", "u"]).await.unwrap();
    assert_eq!(subject.read("k").await, None);
}

async fn as_many_tags_as_allowed_all_find_their_entry(subject: Subject) {
    let tags: Vec<_> = (0..MAX_TAGS).map(|n| format!("tag {n}")).collect();
    subject.cache.set_bytes("k", "v").tags(tags.clone()).await.unwrap();
    for tag in &tags {
        assert_eq!(subject.tagged(&[tag]).await, ["k"]);
    }
    subject.cache.clear_tags([&tags[MAX_TAGS - 1]]).await.unwrap();
    for tag in &tags {
        assert!(subject.tagged(&[tag]).await.is_empty());
    }
}

async fn a_tag_is_not_a_key_and_not_a_pattern(subject: Subject) {
    subject.cache.set_bytes("a", "v").tags(["b"]).await.unwrap();
    subject.cache.set_bytes("b", "v").tags(["c"]).await.unwrap();
    assert!(subject.tagged(&["*", "a"]).await.is_empty());
    subject.cache.clear_tags(["*", "a"]).await.unwrap();
    if subject.matches() {
        subject.cache.clear_matching("c").await.unwrap();
    }
    assert_eq!(subject.present(&["a", "b"]).await, ["a", "b"]);
    subject.cache.clear_tags(["b"]).await.unwrap();
    assert_eq!(subject.present(&["a", "b"]).await, ["b"]);
}

for_every_provider! {
    entries_are_found_by_any_of_their_tags_and_each_once,
    setting_again_replaces_the_tags,
    clearing_tags_removes_all_that_carry_one_and_nothing_else,
    a_cleared_tag_can_be_used_again,
    a_tag_twice_counts_once,
    as_many_tags_as_allowed_all_find_their_entry,
    a_tag_is_not_a_key_and_not_a_pattern,
}
