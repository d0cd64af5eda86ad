//! The locking module, over every provider of it.
//!
//! Each file holds the promises of one kind. A property is a function of a
//! [`Subject`]; [`for_every_provider!`] makes a test of it for each provider, so
//! that a failure is named `FILE::PROVIDER::PROPERTY`. `L1` to `L12` are lines of
//! the feature table that the module is held to.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

macro_rules! for_every_provider {
    ($($property:ident),* $(,)?) => {
        for_every_provider! { @module locking_local, LOCKING_LOCAL, $($property),* }
        for_every_provider! { @module locking_redis, LOCKING_REDIS, $($property),* }
        for_every_provider! { @module locking_postgres, LOCKING_POSTGRES, $($property),* }
    };
    (@module $module:ident, $provider:ident, $($property:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $property() {
                    let subject = $crate::Subject::start(&$crate::$provider).await;
                    let property = super::$property(subject);
                    // What never comes is a failure, and not a test without end.
                    tokio::time::timeout($crate::NEVER, property).await.expect("it never came");
                }
            )*
        }
    };
}

mod alike;
mod arguments;
mod callers;
mod execute;
mod histories;
mod keys;
mod leases;
mod options;
mod owners;
mod postgres;
mod queue;
mod redis;
mod restart;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use stheno::config::{CompileCache, Config, ConfigError, ModuleName, ProviderConfig, Resolve};
use stheno::{Clock, Error, ErrorKind, Lease, Locking, ManualClock, Runtime};
use stheno_test_support::{RedisServer, compile_cache, guest};
use tokio::task::JoinHandle;

/// So long a property may wait in real time.
const NEVER: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(30);

/// A provider of locks.
struct Provider {
    name: &'static str,
    keeps: Keeps,
}

/// Where a provider keeps its locks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    InMemory,
    /// On a Redis server, by whose time they end.
    OnRedis,
    /// In a PostgreSQL database, by whose time they end.
    OnPostgres,
}

static LOCKING_LOCAL: Provider = Provider { name: "locking-local", keeps: Keeps::InMemory };
static LOCKING_REDIS: Provider = Provider { name: "locking-redis", keeps: Keeps::OnRedis };
static LOCKING_POSTGRES: Provider = Provider { name: "locking-postgres", keeps: Keeps::OnPostgres };

/// A server that nobody else uses, whose time stands still.
#[derive(Clone)]
enum Elsewhere {
    Redis(Arc<RedisServer>),
    Postgres(postgres::Schema),
}

impl Provider {
    /// It, with nothing granted. The release knows the script of the one on Redis.
    fn config(&self) -> ProviderConfig {
        ProviderConfig::new(match self.keeps {
            Keeps::OnRedis => Resolve::parse(self.name, Path::new("")).unwrap(),
            _ => Resolve::File(guest(self.name)),
        })
    }
}

/// Locks that nobody else uses, on a clock that stands still.
#[derive(Clone)]
struct Subject {
    provider: &'static Provider,
    runtime: Runtime,
    locking: Locking,
    clock: ManualClock,
    elsewhere: Option<Elsewhere>,
}

impl Subject {
    async fn start(provider: &'static Provider) -> Self {
        Self::with_options(provider, Value::Object(Map::new())).await.unwrap()
    }

    async fn with_options(
        provider: &'static Provider,
        options: Value,
    ) -> Result<Self, ConfigError> {
        let mut config = provider.config();
        let Value::Object(options) = options else { panic!("options are an object") };
        config.options = options;
        Self::with(provider, config).await
    }

    /// With this config, to which is added what the provider needs.
    async fn with(
        provider: &'static Provider,
        mut config: ProviderConfig,
    ) -> Result<Self, ConfigError> {
        let elsewhere = match provider.keeps {
            Keeps::InMemory => None,
            Keeps::OnRedis => {
                let server = Arc::new(RedisServer::on_a_clock());
                redis::grant_to(&mut config, redis::grant(&server, "shop:locks:"));
                Some(Elsewhere::Redis(server))
            }
            Keeps::OnPostgres => {
                let schema = postgres::Schema::own();
                schema.grant_to(&mut config);
                Some(Elsewhere::Postgres(schema))
            }
        };
        let (clock, hand) = Clock::manual();
        let builder = Runtime::builder().config(local()).clock(clock);
        let runtime = builder.provider(ModuleName::Locking, config).build().await?;
        let locking = runtime.locking().clone();
        Ok(Self { provider, runtime, locking, clock: hand, elsewhere })
    }

    /// The Redis server that has the locks.
    fn redis(&self) -> Option<&RedisServer> {
        match &self.elsewhere {
            Some(Elsewhere::Redis(server)) => Some(server),
            _ => None,
        }
    }

    fn pass(&self, millis: u64) {
        // First there, so that whoever the host wakes finds what it was woken for.
        match &self.elsewhere {
            Some(Elsewhere::Redis(server)) => server.pass(Duration::from_millis(millis)),
            Some(Elsewhere::Postgres(schema)) => schema.pass(millis),
            None => {}
        }
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Locks keys that must be free, without an owner and for ever.
    async fn lock(&self, keys: &[&str]) -> Lease {
        self.locking.try_acquire(keys.iter().copied()).await.unwrap()
    }

    /// Locks keys that must be free, without an owner, for this long.
    async fn lock_for(&self, keys: &[&str], millis: u64) -> Lease {
        let ttl = Duration::from_millis(millis);
        self.locking.try_acquire(keys.iter().copied()).ttl(ttl).await.unwrap()
    }

    /// Begins to wait for keys that must be taken, and returns once it does.
    async fn queue(&self, keys: &[&str]) -> JoinHandle<Result<Lease, Error>> {
        let before = self.waiting(keys).await;
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let (locking, asked) = (self.locking.clone(), keys.clone());
        let waits = tokio::spawn(async move { locking.acquire(asked).await });
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        while self.waiting(&keys).await == before {
            tokio::task::yield_now().await;
        }
        waits
    }

    /// How many wait for these keys, as far as somebody holds them.
    async fn waiting(&self, keys: &[&str]) -> u64 {
        let locks = self.locking.inspect(keys.iter().copied()).await.unwrap();
        assert!(locks.iter().any(Option::is_some), "nobody holds any of {keys:?}");
        locks.into_iter().flatten().map(|lock| lock.waiting).sum()
    }

    /// Waits until nobody holds the key.
    async fn until_free(&self, key: &str) {
        while self.is_held(key).await {
            tokio::task::yield_now().await;
        }
    }

    async fn is_held(&self, key: &str) -> bool {
        self.locking.inspect([key]).await.unwrap()[0].is_some()
    }

    /// The owner of a key that is held.
    async fn owner(&self, key: &str) -> Option<String> {
        self.locking.inspect([key]).await.unwrap().remove(0).unwrap().owner
    }
}

/// The local providers.
fn local() -> Config {
    let mut config = Config::default();
    let folder = compile_cache(env!("CARGO_TARGET_TMPDIR"));
    config.runtime.compile_cache = CompileCache::Folder(folder);
    config
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(result: Result<T, Error>, kind: ErrorKind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

/// A number that several tasks change, read and written apart so that it shows
/// whether they were alone.
#[derive(Default, Clone)]
struct Stock(Arc<std::sync::atomic::AtomicI64>);

impl Stock {
    fn of(number: i64) -> Self {
        Self(Arc::new(number.into()))
    }

    fn get(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Takes one if there is one; wrong if two do it at the same time.
    async fn buy(&self) -> bool {
        let left = self.get();
        tokio::task::yield_now().await;
        if left > 0 {
            self.0.store(left - 1, std::sync::atomic::Ordering::SeqCst);
        }
        left > 0
    }
}
