//! The cache module: `wit/deps/cache/cache.wit`.

mod arguments;
mod callers;
mod lives;
mod matching;
mod tags;
mod values;

use std::panic::Location;

use stheno::Cache;

use crate::case::Case;
use crate::check::{Fault, Outcome, equal, equal_at};
use crate::subject::Subject as Of;

pub(crate) const CASES: &[&[Case]] = &[
    lifecycle!("cache", Cache),
    values::CASES,
    lives::CASES,
    tags::CASES,
    matching::CASES,
    arguments::CASES,
    callers::CASES,
];

type Subject = Of<Cache>;

impl Subject {
    async fn set(&self, key: &str, value: &str) -> Outcome {
        Ok(self.api.set_bytes(&self.own(key), value).await?)
    }

    async fn set_tagged(&self, key: &str, tags: &[&str]) -> Outcome {
        let tags = tags.iter().map(|tag| self.own(tag));
        Ok(self.api.set_bytes(&self.own(key), key).tags(tags).await?)
    }

    /// The value under a key must be this.
    #[track_caller]
    fn reads(&self, key: &str, expected: Option<&str>) -> impl Future<Output = Outcome> {
        let place = Location::caller();
        async move {
            let found = self.api.get_bytes(&self.own(key)).await?;
            let found = found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            equal_at(place, &format!("the value under {key:?}"), found.as_deref(), expected)
        }
    }

    /// Which of these keys are there.
    async fn present<'k>(&self, keys: &[&'k str]) -> Result<Vec<&'k str>, Fault> {
        let values = self.api.get_many_bytes(keys.iter().map(|key| self.own(key))).await?;
        equal("how many values were given", values.len(), keys.len())?;
        let found = keys.iter().zip(values).filter(|(_, value)| value.is_some());
        Ok(found.map(|(key, _)| *key).collect())
    }

    /// The keys with one of the tags, sorted and as the case calls them. One that
    /// is given twice stays twice.
    async fn tagged(&self, tags: &[&str]) -> Result<Vec<String>, Fault> {
        let hits = self.api.get_by_tags(tags.iter().map(|tag| self.own(tag))).await?;
        let own = self.own("");
        let mut keys: Vec<String> = hits
            .into_iter()
            .map(|hit| hit.key.strip_prefix(&own).map_or_else(|| hit.key.clone(), str::to_owned))
            .collect();
        keys.sort();
        Ok(keys)
    }
}
