//! The store against a model that is too simple to be wrong.

use super::{ENTRY_OVERHEAD, Limits, Store, TAG_OVERHEAD, TooLarge};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use stheno_sdk::Glob;
use stheno_sdk::cache::Entry;

const WIDE: Limits = Limits { ttl_ms: 1_000, max_entries: 1_000, max_bytes: 1 << 20 };

fn store(limits: Limits) -> Store {
    Store::new(limits, 7)
}

fn entry(key: &str, value: &[u8], ttl_ms: Option<u64>, tags: &[&str]) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.to_vec(),
        ttl_ms,
        tags: tags.iter().map(|&t| t.to_owned()).collect(),
    }
}

fn set(store: &mut Store, key: &str, value: &[u8], now: u64) {
    store.set(vec![entry(key, value, None, &[])], now).unwrap();
}

fn get(store: &mut Store, key: &str, now: u64) -> Option<Vec<u8>> {
    store.get(key, now).map(<[u8]>::to_vec)
}

/// Checks that the four ways into the slab agree with each other and that the
/// bytes are counted exactly.
fn check(store: &Store) {
    assert_eq!(store.by_key.len(), store.slots.len());
    assert_eq!(store.bytes, store.slots.iter().map(|(id, _)| store.weigh(id as u32)).sum::<u64>());
    assert!(store.bytes <= store.limits.max_bytes && store.slots.len() <= store.limits.max_entries);
    let mut names = BTreeSet::new();
    for (id, stored) in &store.slots {
        for tag in &stored.tags {
            assert_eq!(store.tags.members(tag.tag)[tag.place as usize], id as u32);
            names.insert(store.tags.name(tag.tag).to_owned());
        }
    }
    assert_eq!(store.tags.len(), names.len(), "a tag without members stays");
    let carried: usize = store.slots.iter().map(|(_, stored)| stored.tags.len()).sum();
    let members: usize = names
        .iter()
        .filter_map(|n| store.tags.find(store.hash(n), n))
        .map(|t| store.tags.members(t).len())
        .sum();
    assert_eq!(carried, members);
}

#[derive(Clone, Debug)]
enum Op {
    Set(String, Vec<u8>, Option<u64>, Vec<String>),
    Get(String),
    ByTags(Vec<String>),
    Delete(String),
    ClearTags(Vec<String>),
    ClearMatching(String),
    Pass(u64),
    Sweep(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || "[ab]{1,3}";
    let tags = || prop::collection::vec("[xyz]", 0..4);
    let ttl =
        prop_oneof![Just(None), Just(Some(0)), (1u64..60).prop_map(Some), Just(Some(u64::MAX))];
    prop_oneof![
        6 => (key(), prop::collection::vec(any::<u8>(), 0..6), ttl, tags()).prop_map(|(k, v, t, g)| Op::Set(k, v, t, g)),
        4 => key().prop_map(Op::Get),
        2 => tags().prop_map(Op::ByTags),
        1 => key().prop_map(Op::Delete),
        1 => tags().prop_map(Op::ClearTags),
        1 => "[ab*]{0,3}".prop_map(Op::ClearMatching),
        3 => (0u64..40).prop_map(Op::Pass),
        1 => (0usize..3).prop_map(Op::Sweep),
    ]
}

type Model = BTreeMap<String, (Vec<u8>, u64, BTreeSet<String>)>;

fn tagged(model: &Model, tags: &[String], now: u64) -> BTreeMap<String, Vec<u8>> {
    let hit =
        |e: &(Vec<u8>, u64, BTreeSet<String>)| now < e.1 && tags.iter().any(|t| e.2.contains(t));
    model.iter().filter(|(_, e)| hit(e)).map(|(k, e)| (k.clone(), e.0.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_store_with_room_does_what_the_model_does(ops in prop::collection::vec(op(), 1..80)) {
        let (mut store, mut model, mut now) = (store(Limits { ttl_ms: 30, ..WIDE }), Model::new(), 0u64);
        for op in ops {
            match op {
                Op::Set(key, value, ttl, tags) => {
                    store.set(vec![Entry { key: key.clone(), value: value.clone(), ttl_ms: ttl, tags: tags.clone() }], now).unwrap();
                    if ttl == Some(0) {
                        model.remove(&key);
                    } else {
                        model.insert(key, (value, now.saturating_add(ttl.unwrap_or(30)), tags.into_iter().collect()));
                    }
                }
                Op::Get(key) => {
                    let expected = model.get(&key).filter(|e| now < e.1).map(|e| e.0.clone());
                    prop_assert_eq!(get(&mut store, &key, now), expected);
                }
                Op::ByTags(tags) => {
                    let found: Vec<_> = store.get_by_tags(&tags, now).map(|(k, v)| (k.to_owned(), v.to_vec())).collect();
                    let once: BTreeMap<_, _> = found.iter().cloned().collect();
                    prop_assert_eq!(found.len(), once.len());
                    prop_assert_eq!(once, tagged(&model, &tags, now));
                }
                Op::Delete(key) => {
                    store.remove(&key);
                    model.remove(&key);
                }
                Op::ClearTags(tags) => {
                    tags.iter().for_each(|tag| store.clear_tag(tag));
                    model.retain(|_, e| !tags.iter().any(|t| e.2.contains(t)));
                }
                Op::ClearMatching(pattern) => {
                    let glob = Glob::new(&pattern);
                    store.clear_matching(&glob);
                    model.retain(|key, _| !glob.matches(key));
                }
                Op::Pass(ms) => now += ms,
                Op::Sweep(items) => store.sweep(items, now),
            }
            check(&store);
        }
        let mut keys: BTreeSet<_> = model.keys().cloned().collect();
        keys.extend(["a", "b", "aa"].map(str::to_owned));
        for key in keys {
            let expected = model.get(&key).filter(|e| now < e.1).map(|e| e.0.clone());
            prop_assert_eq!(get(&mut store, &key, now), expected);
        }
    }

    #[test]
    fn bounds_hold_and_what_was_used_last_stays(
        ops in prop::collection::vec(("[a-h]", 0usize..60, any::<bool>()), 1..120),
        max_entries in 1usize..5,
        room in 1u64..4,
    ) {
        let max_bytes = room * (ENTRY_OVERHEAD + 61);
        let mut store = store(Limits { ttl_ms: 1_000, max_entries, max_bytes });
        // Newest last.
        let mut model: Vec<(String, usize)> = Vec::new();
        let weigh = |model: &[(String, usize)]| model.iter().map(|e| ENTRY_OVERHEAD + 1 + e.1 as u64).sum::<u64>();
        for (key, size, write) in ops {
            let old = model.iter().position(|e| e.0 == key);
            if write {
                old.map(|at| model.remove(at));
                model.push((key.clone(), size));
                while model.len() > max_entries || weigh(&model) > max_bytes {
                    model.remove(0);
                }
                set(&mut store, &key, &vec![0; size], 0);
            } else {
                prop_assert_eq!(get(&mut store, &key, 0).map(|v| v.len()), old.map(|at| model[at].1));
                if let Some(at) = old {
                    let used = model.remove(at);
                    model.push(used);
                }
            }
            check(&store);
            prop_assert_eq!(store.by_key.len(), model.len());
        }
    }
}

#[test]
fn an_entry_is_dead_at_its_deadline_and_not_before() {
    let mut store = store(WIDE);
    store.set(vec![entry("k", b"v", Some(10), &["t"])], 100).unwrap();
    assert_eq!(get(&mut store, "k", 109), Some(b"v".to_vec()));
    assert_eq!(store.get_by_tags(&["t".to_owned()], 109).count(), 1);
    assert_eq!(get(&mut store, "k", 110), None);
    check(&store);
}

#[test]
fn a_ttl_beyond_time_itself_never_ends() {
    let mut store = store(WIDE);
    store.set(vec![entry("k", b"v", Some(u64::MAX), &[])], u64::MAX - 5).unwrap();
    assert_eq!(get(&mut store, "k", u64::MAX - 1), Some(b"v".to_vec()));
}

#[test]
fn a_ttl_of_zero_removes_what_stood_there() {
    let mut store = store(WIDE);
    set(&mut store, "k", b"old", 0);
    store.set(vec![entry("k", b"new", Some(0), &["t"])], 0).unwrap();
    assert_eq!(get(&mut store, "k", 0), None);
    check(&store);
}

#[test]
fn setting_again_replaces_value_time_and_tags() {
    let mut store = store(WIDE);
    store.set(vec![entry("k", b"one", Some(5), &["a", "b"])], 0).unwrap();
    store.set(vec![entry("k", b"two", Some(500), &["b", "c", "b"])], 1).unwrap();
    assert_eq!(store.get_by_tags(&["a".to_owned()], 2).count(), 0);
    store.clear_tag("a");
    assert_eq!(get(&mut store, "k", 100), Some(b"two".to_vec()));
    assert_eq!(store.get_by_tags(&["b".to_owned(), "c".to_owned()], 100).count(), 1);
    check(&store);
    store.clear_tag("c");
    assert_eq!(get(&mut store, "k", 100), None);
    check(&store);
}

#[test]
fn an_entry_too_large_refuses_the_call_and_does_not_leave_the_old_value() {
    let mut store = store(Limits { max_bytes: 1_000, ..WIDE });
    set(&mut store, "big", b"old", 0);
    let entries = vec![entry("small", b"s", None, &[]), entry("big", &[0; 2_000], None, &["t"])];
    let weight = ENTRY_OVERHEAD + 3 + 2_000 + TAG_OVERHEAD + 1;
    assert_eq!(
        store.set(entries, 0),
        Err(TooLarge { key: "big".to_owned(), weight, max_bytes: 1_000 })
    );
    assert_eq!(get(&mut store, "big", 0), None);
    assert_eq!(get(&mut store, "small", 0), None);
    check(&store);
}

#[test]
fn the_dead_are_evicted_before_the_living() {
    let mut store = store(Limits { max_entries: 2, ..WIDE });
    store.set(vec![entry("old", b"", None, &[]), entry("short", b"", Some(1), &[])], 0).unwrap();
    set(&mut store, "new", b"", 5);
    assert!(get(&mut store, "old", 5).is_some());
    assert!(get(&mut store, "new", 5).is_some());
}

#[test]
fn memory_of_expired_entries_is_freed_although_nobody_asks_for_them() {
    let mut store = store(Limits { max_entries: 10_000, ..WIDE });
    for n in 0..1_000 {
        store.set(vec![entry(&format!("k{n}"), b"v", Some(1 + n), &["t"])], 0).unwrap();
    }
    let mut calls = 0;
    while !store.by_key.is_empty() {
        store.sweep(1, 5_000);
        calls += 1;
    }
    assert!(calls < 200, "{calls} calls");
    assert_eq!(store.bytes, 0);
    check(&store);
}

#[test]
fn every_odd_key_is_its_own() {
    let mut store = store(WIDE);
    let keys = ["*", "a*b", "\0", " ", "\n", "é", "🦀", "k:{}", "a\u{301}", "á"];
    for key in keys {
        set(&mut store, key, key.as_bytes(), 0);
    }
    for key in keys {
        assert_eq!(get(&mut store, key, 0), Some(key.as_bytes().to_vec()), "{key:?}");
    }
}

#[test]
fn finding_an_entry_by_key_or_tag_saves_it_from_eviction() {
    for by_tag in [false, true] {
        let mut store = store(Limits { max_entries: 2, ..WIDE });
        let entries = vec![entry("used", b"", None, &["t"]), entry("unused", b"", None, &[])];
        store.set(entries, 0).unwrap();
        if by_tag {
            assert_eq!(store.get_by_tags(&["t".to_owned()], 0).count(), 1);
        } else {
            assert!(store.get("used", 0).is_some());
        }
        set(&mut store, "new", b"", 0);
        assert!(store.get("used", 0).is_some(), "by tag: {by_tag}");
        assert!(store.get("unused", 0).is_none(), "by tag: {by_tag}");
    }
}
