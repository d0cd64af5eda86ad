//! Many callers at the same time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use stheno::Files;

use super::Subject;
use crate::case::Case;
use crate::check::{CALLERS, Outcome, callers, equal, pattern};

pub(crate) const CASES: &[Case] = cases! {
    Files:
    "files.callers.own" => "64 callers at the same time each read the bytes that they have stored.", own;
    "files.callers.one-name" => "64 uploads of one name at the same time get 64 keys.", one_name;
};

async fn own(s: Subject) -> Outcome {
    callers(|n| {
        let (api, file) = (s.api.clone(), s.file(&format!("{}/body", n % 8)));
        async move {
            let body = pattern(10_000 + n * 1_000);
            let stored = api.put_bytes(file, body.clone()).await?;
            equal("the body", api.get(&stored.key).await?.bytes().await?, body)?;
            equal("the results", api.delete([stored.key]).await?, [Ok(())])
        }
    })
    .await
}

async fn one_name(s: Subject) -> Outcome {
    let keys = Arc::new(Mutex::new(BTreeSet::new()));
    callers(|n| {
        let (api, file, keys) = (s.api.clone(), s.file("same.txt"), Arc::clone(&keys));
        async move {
            let body = n.to_string().into_bytes();
            let stored = api.put_bytes(file, body.clone()).await?;
            equal("the body", api.get(&stored.key).await?.bytes().await?, body)?;
            keys.lock().unwrap_or_else(PoisonError::into_inner).insert(stored.key);
            Ok(())
        }
    })
    .await?;
    let keys = keys.lock().unwrap_or_else(PoisonError::into_inner).len();
    equal("how many keys differ", keys, CALLERS)
}
