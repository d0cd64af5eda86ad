//! An entry never outlives its time to live.

use std::time::Duration;

use stheno::Cache;

use super::Subject;
use crate::case::Case;
use crate::check::Outcome;

pub(crate) const CASES: &[Case] = cases! {
    Cache:
    "cache.ttl.edge" =>
        "An entry is there until its time to live has passed, and is gone at that millisecond.", edge;
    "cache.ttl.zero" =>
        "A time to live of 0 stores nothing and removes what stood there.", zero;
    "cache.ttl.default" =>
        "An entry without a time to live takes the provider's default, which is not 0.", default;
    "cache.ttl.longest" =>
        "The longest time to live that can be written does not end early.", longest;
    "cache.ttl.each" => "Each entry of a call has a time to live of its own.", each;
};

async fn set_for(s: &Subject, key: &str, millis: u64) -> Outcome {
    Ok(s.api.set_bytes(&s.own(key), key).ttl(Duration::from_millis(millis)).await?)
}

async fn edge(s: Subject) -> Outcome {
    for millis in [1, 2, 1_000, 86_400_000] {
        set_for(&s, "k", millis).await?;
        s.pass(millis - 1);
        s.reads("k", Some("k")).await?;
        s.pass(1);
        s.reads("k", None).await?;
    }
    Ok(())
}

async fn zero(s: Subject) -> Outcome {
    set_for(&s, "new", 0).await?;
    s.reads("new", None).await?;
    s.set("old", "v").await?;
    set_for(&s, "old", 0).await?;
    s.reads("old", None).await
}

async fn default(s: Subject) -> Outcome {
    s.set("k", "v").await?;
    s.reads("k", Some("v")).await?;
    s.pass(1);
    s.reads("k", Some("v")).await
}

async fn longest(s: Subject) -> Outcome {
    for millis in [u64::MAX, u64::MAX - 1, 1 << 53, 1 << 32] {
        set_for(&s, "k", millis).await?;
        s.pass(1_000);
        s.reads("k", Some("k")).await?;
    }
    Ok(())
}

async fn each(s: Subject) -> Outcome {
    let entry = |key: &str, millis| {
        stheno::NewEntry::new(s.own(key), key).ttl(Duration::from_millis(millis))
    };
    s.api.set_many([entry("a", 3_000), entry("b", 1_000), entry("c", 2_000)]).await?;
    for left in [vec!["a", "c"], vec!["a"], vec![]] {
        s.pass(1_000);
        let found = s.present(&["a", "b", "c"]).await?;
        crate::check::equal("what is left of a, b and c", found, left)?;
    }
    Ok(())
}
