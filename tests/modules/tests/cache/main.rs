//! The cache module, over every provider of it.
//!
//! Each file holds the promises of one kind. A property is a function of a
//! [`Subject`]; [`for_every_provider!`] makes a test of it for each provider, so
//! that a failure is named `FILE::PROVIDER::PROPERTY`.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

macro_rules! for_every_provider {
    ($($property:ident),* $(,)?) => {
        for_every_provider! { @module cache_memcached, CACHE_MEMCACHED, $($property),* }
        for_providers_that_match! { $($property),* }
    };
    (@module $module:ident, $provider:ident, $($property:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $property() {
                    let subject = $crate::Subject::start(&$crate::$provider).await;
                    super::$property(subject).await;
                }
            )*
        }
    };
}

/// The same for those with the feature `matching`.
macro_rules! for_providers_that_match {
    ($($property:ident),* $(,)?) => {
        for_every_provider! { @module cache_redis, CACHE_REDIS, $($property),* }
        for_providers_in_memory! { $($property),* }
    };
}

/// The same for those that keep all in memory, and bound how many entries.
macro_rules! for_providers_in_memory {
    ($($property:ident),* $(,)?) => {
        for_every_provider! { @module cache_memory, CACHE_MEMORY, $($property),* }
        for_every_provider! { @module cache_typescript, CACHE_TYPESCRIPT, $($property),* }
        for_every_provider! { @module cache_python, CACHE_PYTHON, $($property),* }
    };
}

mod arguments;
mod bounds;
mod callers;
mod compute;
mod keys;
mod matching;
mod memcached;
mod options;
mod outages;
mod redis;
mod tags;
mod ttl;
mod values;

use std::sync::OnceLock;

use serde_json::{Map, Value};
use stheno::config::{CompileCache, Config, ConfigError, ModuleName, ProviderConfig, Resolve};
use stheno::{Cache, Clock, ManualClock, Runtime};
use stheno_test_support::{compile_cache, guest};

/// A provider of the cache.
struct Provider {
    name: &'static str,
    keeps: Keeps,
    /// Compiled by the first test that wants it, while the others wait: the
    /// larger ones take seconds.
    compiled: OnceLock<()>,
}

/// Where a provider keeps its entries.
#[derive(PartialEq, Eq)]
enum Keeps {
    /// In its memory, and the option `max_bytes` bounds them.
    CountedBytes,
    /// In its memory.
    Entries,
    /// On a Redis server.
    OnRedis,
    /// On a Memcached server, which cannot look for keys.
    OnMemcached,
}

impl Provider {
    const fn new(name: &'static str, keeps: Keeps) -> Self {
        Self { name, keeps, compiled: OnceLock::new() }
    }
}

static CACHE_MEMORY: Provider = Provider::new("cache-memory", Keeps::CountedBytes);
static CACHE_TYPESCRIPT: Provider = Provider::new("cache-typescript", Keeps::Entries);
static CACHE_PYTHON: Provider = Provider::new("cache-python", Keeps::Entries);
static CACHE_REDIS: Provider = Provider::new("cache-redis", Keeps::OnRedis);
static CACHE_MEMCACHED: Provider = Provider::new("cache-memcached", Keeps::OnMemcached);

/// A cache that nobody else uses, on a clock that stands still.
struct Subject {
    provider: &'static Provider,
    runtime: Runtime,
    cache: Cache,
    clock: ManualClock,
}

impl Subject {
    async fn start(provider: &'static Provider) -> Self {
        Self::with_options(provider, Value::Object(Map::new())).await.unwrap()
    }

    /// Anew, with these options.
    async fn again(self, options: Value) -> Self {
        Self::with_options(self.provider, options).await.unwrap()
    }

    async fn with_options(
        provider: &'static Provider,
        options: Value,
    ) -> Result<Self, ConfigError> {
        let mut config = Config::default();
        let folder = compile_cache(env!("CARGO_TARGET_TMPDIR"));
        config.runtime.compile_cache = CompileCache::Folder(folder);
        let mut cache = match provider.keeps {
            Keeps::OnRedis => redis::provider(redis::grant(redis::shared(), &redis::own_prefix())),
            Keeps::OnMemcached => memcached::provider(memcached::shared()),
            _ => ProviderConfig::new(Resolve::File(guest(provider.name))),
        };
        let Value::Object(options) = options else { panic!("options are an object") };
        // Where a server is, is an option too.
        cache.options.extend(options);
        let (clock, hand) = Clock::manual();
        let builder =
            Runtime::builder().config(config).provider(ModuleName::Cache, cache).clock(clock);
        let mut builder = Some(builder);
        let mut first = None;
        provider.compiled.get_or_init(|| {
            let builder = builder.take().unwrap();
            first = Some(tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(builder.build())
            }));
        });
        let runtime = match (first, builder) {
            (Some(first), _) => first?,
            (None, Some(builder)) => builder.build().await?,
            (None, None) => unreachable!("the builder is there unless it was used"),
        };
        let cache = runtime.cache().clone();
        Ok(Self { provider, runtime, cache, clock: hand })
    }

    /// Whether it has the feature `matching`.
    fn matches(&self) -> bool {
        self.provider.keeps != Keeps::OnMemcached
    }

    fn pass_millis(&self, millis: u64) {
        self.clock.advance(std::time::Duration::from_millis(millis));
    }

    /// The text under `key`.
    async fn read(&self, key: &str) -> Option<String> {
        let bytes = self.cache.get_bytes(key).await.unwrap()?;
        Some(String::from_utf8(bytes).unwrap())
    }

    /// Which of the keys are there.
    async fn present<'k>(&self, keys: &[&'k str]) -> Vec<&'k str> {
        let values = self.cache.get_many_bytes(keys).await.unwrap();
        assert_eq!(values.len(), keys.len());
        keys.iter().zip(values).filter(|(_, value)| value.is_some()).map(|(&key, _)| key).collect()
    }

    /// The keys with one of the tags, sorted. One that is given twice stays
    /// twice.
    async fn tagged(&self, tags: &[&str]) -> Vec<String> {
        let mut keys: Vec<_> =
            self.cache.get_by_tags(tags).await.unwrap().into_iter().map(|hit| hit.key).collect();
        keys.sort();
        keys
    }
}
