//! An entry lives as long as it was given, to the millisecond.

use std::time::Duration;

use serde_json::json;
use stheno::NewEntry;

use crate::Subject;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn a_time_to_live_of_zero_removes_and_stores_nothing(subject: Subject) {
    subject.cache.set_bytes("k", "old").tags(["t"]).await.unwrap();
    subject.cache.set_bytes("k", "new").ttl(Duration::ZERO).tags(["t"]).await.unwrap();
    assert_eq!(subject.read("k").await, None);
    assert!(subject.tagged(&["t"]).await.is_empty());
    subject.cache.set_bytes("new", "new").ttl(Duration::ZERO).await.unwrap();
    assert_eq!(subject.read("new").await, None);
}

async fn an_entry_is_there_until_its_deadline_and_gone_at_it(subject: Subject) {
    for ttl in [1, 2, 1_000, 86_400_000] {
        subject.cache.set_bytes("k", "v").ttl(millis(ttl)).tags(["t"]).await.unwrap();
        subject.pass_millis(ttl - 1);
        assert_eq!(subject.read("k").await.as_deref(), Some("v"), "1 ms before {ttl} ms");
        assert_eq!(subject.tagged(&["t"]).await, ["k"], "1 ms before {ttl} ms");
        subject.pass_millis(1);
        // By tag first: a `get` may already have dropped it.
        assert!(subject.tagged(&["t"]).await.is_empty(), "at {ttl} ms");
        assert_eq!(subject.read("k").await, None, "at {ttl} ms");
    }
}

async fn part_of_a_millisecond_is_a_whole_one(subject: Subject) {
    subject.cache.set_bytes("k", "v").ttl(Duration::from_nanos(1)).await.unwrap();
    assert_eq!(subject.read("k").await.as_deref(), Some("v"));
    subject.pass_millis(1);
    assert_eq!(subject.read("k").await, None);
}

async fn the_longest_time_to_live_never_ends(subject: Subject) {
    subject.pass_millis(12_345);
    for (key, ttl) in [("max", Duration::MAX), ("u64", millis(u64::MAX)), ("i64", millis(1 << 63))]
    {
        subject.cache.set_bytes(key, key).ttl(ttl).tags(["long"]).await.unwrap();
    }
    subject.clock.advance(Duration::from_secs(100 * 365 * 86_400));
    assert_eq!(subject.present(&["max", "u64", "i64"]).await, ["max", "u64", "i64"]);
    assert_eq!(subject.tagged(&["long"]).await, ["i64", "max", "u64"]);
}

async fn setting_again_replaces_the_time_to_live(subject: Subject) {
    let set =
        async |key: &'static str, ttl| subject.cache.set_bytes(key, "v").ttl(ttl).await.unwrap();
    set("longer", millis(10)).await;
    set("longer", millis(1_000)).await;
    set("shorter", millis(1_000)).await;
    set("shorter", millis(10)).await;
    set("default", millis(10)).await;
    subject.cache.set_bytes("default", "v").await.unwrap();
    subject.pass_millis(9);
    set("renewed", millis(10)).await;
    assert_eq!(
        subject.present(&["longer", "shorter", "default", "renewed"]).await,
        ["longer", "shorter", "default", "renewed"]
    );
    subject.pass_millis(1);
    assert_eq!(
        subject.present(&["longer", "shorter", "default", "renewed"]).await,
        ["longer", "default", "renewed"]
    );
    subject.pass_millis(990);
    assert_eq!(subject.present(&["longer", "shorter", "default", "renewed"]).await, ["default"]);
}

async fn reading_does_not_prolong_a_life(subject: Subject) {
    subject.cache.set_bytes("k", "v").ttl(millis(10)).tags(["t"]).await.unwrap();
    for _ in 0..9 {
        subject.pass_millis(1);
        assert_eq!(subject.read("k").await.as_deref(), Some("v"));
        assert_eq!(subject.tagged(&["t"]).await, ["k"]);
    }
    subject.pass_millis(1);
    assert_eq!(subject.read("k").await, None);
}

async fn entries_end_each_at_their_own_time(subject: Subject) {
    let ttls: Vec<u64> = (0..200).map(|at| 1 + at * at % 997).collect();
    let keys: Vec<_> = (0..ttls.len()).map(|at| format!("k{at}")).collect();
    let entries = keys.iter().zip(&ttls).map(|(key, &ttl)| NewEntry::new(key, "").ttl(millis(ttl)));
    subject.cache.set_many(entries).await.unwrap();
    let mut now = 0;
    for step in [1, 1, 30, 68, 100, 1, 255, 1, 300, 240] {
        now += step;
        subject.pass_millis(step);
        let values = subject.cache.get_many_bytes(&keys).await.unwrap();
        for ((key, ttl), value) in keys.iter().zip(&ttls).zip(values) {
            assert_eq!(value.is_some(), now < *ttl, "{key} of {ttl} ms at {now} ms");
        }
    }
}

async fn the_option_ttl_is_for_entries_without_one(subject: Subject) {
    let subject = subject.again(json!({ "ttl": "30s" })).await;
    subject.cache.set_bytes("default", "v").await.unwrap();
    subject.cache.set_bytes("own", "v").ttl(millis(60_000)).await.unwrap();
    subject.pass_millis(29_999);
    assert_eq!(subject.present(&["default", "own"]).await, ["default", "own"]);
    subject.pass_millis(1);
    assert_eq!(subject.present(&["default", "own"]).await, ["own"]);
}

for_every_provider! {
    a_time_to_live_of_zero_removes_and_stores_nothing,
    an_entry_is_there_until_its_deadline_and_gone_at_it,
    part_of_a_millisecond_is_a_whole_one,
    the_longest_time_to_live_never_ends,
    setting_again_replaces_the_time_to_live,
    reading_does_not_prolong_a_life,
    entries_end_each_at_their_own_time,
    the_option_ttl_is_for_entries_without_one,
}
