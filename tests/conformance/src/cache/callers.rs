//! Many callers at the same time.

use stheno::Cache;

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, callers, equal, holds};

pub(crate) const CASES: &[Case] = cases! {
    Cache:
    "cache.callers.own" => "64 callers at the same time each read what they have set.", own;
    "cache.callers.one-key" =>
        "A set that returned is seen by every get that begins later, also while 64 callers write the same key.",
        one_key;
    "cache.callers.refused" =>
        "A caller whose argument is refused costs the others nothing.", refused;
};

async fn own(s: Subject) -> Outcome {
    callers(|n| {
        let (api, key) = (s.api.clone(), s.own(&format!("k{n}")));
        async move {
            for round in 0..5_u8 {
                let value = vec![round; 1 + n * 100];
                api.set_bytes(&key, value.clone()).await?;
                equal("what this caller has set", api.get_bytes(&key).await?, Some(value))?;
            }
            Ok(())
        }
    })
    .await
}

async fn one_key(s: Subject) -> Outcome {
    s.set("k", "0").await?;
    callers(|n| {
        let (api, key) = (s.api.clone(), s.own("k"));
        async move {
            for _ in 0..5 {
                if n % 4 == 0 {
                    api.set_bytes(&key, n.to_string()).await?;
                }
                let found = api.get_bytes(&key).await?;
                let number =
                    found.as_deref().and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
                holds(number.is_some_and(|number: usize| number.is_multiple_of(4)), || {
                    format!("the key that many write has {found:?}, which nobody has set")
                })?;
            }
            Ok(())
        }
    })
    .await?;
    s.set("k", "last").await?;
    callers(|_| {
        let (api, key) = (s.api.clone(), s.own("k"));
        async move {
            equal("what was set before", api.get_bytes(&key).await?, Some(b"last".to_vec()))
        }
    })
    .await
}

async fn refused(s: Subject) -> Outcome {
    callers(|n| {
        let (api, key) = (s.api.clone(), s.own(&format!("k{n}")));
        async move {
            if n % 4 == 0 {
                let refused = api.set_bytes("", "v").await;
                return crate::check::refuses(refused, "key");
            }
            api.set_bytes(&key, key.as_bytes()).await?;
            equal("the value", api.get_bytes(&key).await?, Some(key.into_bytes()))
        }
    })
    .await
}
