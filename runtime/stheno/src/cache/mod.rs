//! The cache module, as an app uses it.

mod calls;
mod entry;
mod flight;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stheno_contracts::cache::Entry;
use stheno_engine::{CacheModule, Provider};

use crate::{Error, ErrorKind};
use calls::Calls;
use flight::Flights;

pub use entry::{MAX_KEY_BYTES, MAX_TAGS, MAX_VALUE_BYTES, NewEntry};

/// The most keys or tags in one call.
pub const MAX_ITEMS: usize = 1_000;

/// The cache, cheap to clone.
///
/// Values are stored as bytes. The typed functions write and read them as JSON;
/// the `_bytes` ones leave them as they are.
///
/// A backend that cannot be reached is a miss for a read and an error for a
/// write. An entry may vanish before its time to live, never after it.
#[derive(Clone)]
pub struct Cache {
    calls: Arc<Calls>,
    flights: Arc<Flights>,
}

/// An entry found by a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
}

impl Cache {
    pub(crate) fn new(provider: Provider<CacheModule>) -> Self {
        Self { calls: Arc::new(Calls::new(provider)), flights: Arc::default() }
    }

    pub(crate) fn provider(&self) -> &Provider<CacheModule> {
        self.calls.provider()
    }

    /// The value under `key`, read from JSON; none for a miss.
    ///
    /// # Errors
    ///
    /// `encoding` if the value is not a `T`, `invalid-argument` for a bad key,
    /// and what the provider says.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        match self.get_bytes(key).await? {
            Some(bytes) => decode(key, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// The value under `key` as it was stored; none for a miss.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a bad key, and what the provider says.
    pub async fn get_bytes(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let key = entry::key(key)?;
        Ok(self.calls.get(vec![key]).await?.pop().flatten())
    }

    /// The values under the keys, in their order; none for a miss.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a bad key or more than [`MAX_ITEMS`], and what
    /// the provider says.
    pub async fn get_many_bytes<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let keys = entry::list("keys", keys, entry::key)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.calls.get(keys).await
    }

    /// Every entry that carries at least one of the tags, each once.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a bad tag or more than [`MAX_ITEMS`],
    /// `unsupported` where the provider has no tags, and what it says.
    pub async fn get_by_tags<T: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Hit>, Error> {
        let tags = entry::list("tags", tags, entry::tag)?;
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let hits = self.calls.get_by_tags(tags).await?;
        Ok(hits.into_iter().map(|hit| Hit { key: hit.key, value: hit.value }).collect())
    }

    /// Stores `value` as JSON under `key`, replacing what stood there. Await
    /// the result, after naming a time to live or tags if wanted:
    ///
    /// ```no_run
    /// # async fn example(cache: stheno::Cache) -> Result<(), stheno::Error> {
    /// use std::time::Duration;
    ///
    /// cache.set("price:42", &12.5).ttl(Duration::from_secs(30)).tags(["product:42"]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `encoding` if the value cannot be written as JSON, `invalid-argument`
    /// for a bad key, tag or value, and what the provider says.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Set<'_> {
        let entry = serde_json::to_vec(value)
            .map_err(|error| {
                Error::new(ErrorKind::Encoding, format!("the value for key {key:?}: {error}"))
            })
            .map(|value| NewEntry::new(key, value));
        Set { cache: self, entry }
    }

    /// Stores `value` as it is. Await the result, as with [`Cache::set`].
    pub fn set_bytes(&self, key: &str, value: impl Into<Vec<u8>>) -> Set<'_> {
        Set { cache: self, entry: Ok(NewEntry::new(key, value)) }
    }

    /// Stores several entries, in their order. After an error each of them may
    /// or may not be stored; storing them again is safe.
    ///
    /// # Errors
    ///
    /// As for [`Cache::set`]; `invalid-argument` changes nothing.
    pub async fn set_many(&self, entries: impl IntoIterator<Item = NewEntry>) -> Result<(), Error> {
        let entries =
            entries.into_iter().map(NewEntry::checked).collect::<Result<Vec<Entry>, Error>>()?;
        entry::at_most("entries", entries.len())?;
        if entries.is_empty() {
            return Ok(());
        }
        self.flights.supersede(entries.iter().map(|entry| entry.key.as_str())).await;
        self.calls.set(entries).await
    }

    /// Removes the keys. One that is not there is not an error.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a bad key or more than [`MAX_ITEMS`], and what
    /// the provider says.
    pub async fn delete<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<(), Error> {
        let keys = entry::list("keys", keys, entry::key)?;
        if keys.is_empty() {
            return Ok(());
        }
        self.flights.supersede(keys.iter().map(String::as_str)).await;
        self.calls.delete(keys).await
    }

    /// Removes every entry that carried one of the tags when the call began.
    ///
    /// # Errors
    ///
    /// As for [`Cache::get_by_tags`].
    pub async fn clear_tags<T: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        let tags = entry::list("tags", tags, entry::tag)?;
        if tags.is_empty() {
            return Ok(());
        }
        self.flights.supersede_all().await;
        self.calls.clear_tags(tags).await
    }

    /// Removes every entry whose whole key matches: `*` is any run of
    /// characters, every other character is itself.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a bad pattern, `unsupported` where the provider
    /// cannot match, and what it says.
    pub async fn clear_matching(&self, pattern: &str) -> Result<(), Error> {
        let pattern = entry::pattern(pattern)?;
        self.flights.supersede_all().await;
        self.calls.clear_matching(pattern).await
    }

    /// The value under `key`, or what `compute` gives, which is then stored.
    ///
    /// Callers of this runtime that miss the same key at the same time share one
    /// computation. If it fails, its own caller gets the error and one of the
    /// others computes. A key that is set, deleted or cleared through this
    /// runtime while a value for it is being computed keeps what it was given:
    /// the computed value is returned and not stored.
    ///
    /// A cache that does not work costs the computation and nothing else: it is
    /// logged, and the value is computed.
    ///
    /// ```no_run
    /// # async fn example(cache: stheno::Cache) -> Result<(), stheno::ComputeError<std::io::Error>> {
    /// use std::time::Duration;
    ///
    /// let price: f64 = cache
    ///     .get_or_compute("price:42", Some(Duration::from_secs(30)), &["product:42"], || async {
    ///         Ok::<_, std::io::Error>(12.5) // the expensive part
    ///     })
    ///     .await?;
    /// # let _ = price; Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ComputeError::Compute`] with what `compute` failed with, and
    /// [`ComputeError::Cache`] for a bad key, tag or value, or a stored value
    /// that is not a `T`.
    pub async fn get_or_compute<T, E, F>(
        &self,
        key: &str,
        ttl: Option<Duration>,
        tags: &[&str],
        compute: impl FnOnce() -> F,
    ) -> Result<T, ComputeError<E>>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, E>>,
    {
        // Wrong arguments are refused before anything is computed.
        let probe = NewEntry::new(key, Vec::new()).tags(tags.iter().copied());
        probe.checked().map_err(ComputeError::Cache)?;
        if let Some(bytes) = self.look(key).await {
            return decode(key, &bytes).map_err(ComputeError::Cache);
        }
        let flight = self.flights.join(key);
        let turn = flight.wait().await;
        if let Some(bytes) = turn.result() {
            return decode(key, &bytes).map_err(ComputeError::Cache);
        }
        // Another runtime, or a flight that ended just before, may have been
        // faster.
        if let Some(bytes) = self.look(key).await {
            return decode(key, &bytes).map_err(ComputeError::Cache);
        }
        let value = compute().await.map_err(ComputeError::Compute)?;
        let bytes = serde_json::to_vec(&value).map_err(|error| {
            ComputeError::Cache(Error::new(
                ErrorKind::Encoding,
                format!("the value computed for key {key:?}: {error}"),
            ))
        })?;
        let mut entry = NewEntry::new(key, bytes.clone()).tags(tags.iter().copied());
        entry.ttl = ttl;
        let entry = entry.checked().map_err(ComputeError::Cache)?;
        let (calls, name) = (Arc::clone(&self.calls), key.to_owned());
        turn.store(async move {
            if let Err(error) = calls.set(vec![entry]).await {
                tracing::warn!(%error, key = name, "the computed value was not cached");
            }
        })
        .await;
        turn.finish(bytes);
        Ok(value)
    }

    /// A read whose failure is a miss.
    async fn look(&self, key: &str) -> Option<Vec<u8>> {
        self.get_bytes(key).await.unwrap_or_else(|error| {
            tracing::warn!(%error, key, "the cache cannot be read, the value is computed");
            None
        })
    }
}

fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::new(ErrorKind::Encoding, format!("what is cached under {key:?}: {error}"))
    })
}

/// Why [`Cache::get_or_compute`] gave no value.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError<E> {
    /// The computation failed.
    #[error("computing the value failed: {0}")]
    Compute(E),
    /// The cache was asked for something impossible.
    #[error(transparent)]
    Cache(Error),
}

/// An entry about to be stored: await it.
#[must_use = "nothing is stored until it is awaited"]
pub struct Set<'a> {
    cache: &'a Cache,
    entry: Result<NewEntry, Error>,
}

impl Set<'_> {
    /// How long the entry lives; rounded up to whole milliseconds. Without it
    /// the provider's default holds. Zero stores nothing and removes what stood
    /// there.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.entry = self.entry.map(|entry| entry.ttl(ttl));
        self
    }

    /// The names by which the entry can be found and cleared.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.entry = self.entry.map(|entry| entry.tags(tags));
        self
    }
}

impl<'a> IntoFuture for Set<'a> {
    type Output = Result<(), Error>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let entry = self.entry?.checked()?;
            self.cache.flights.supersede([entry.key.as_str()].into_iter()).await;
            self.cache.calls.set(vec![entry]).await
        })
    }
}
