//! The files module, over every provider of it.
//!
//! Each file holds the promises of one kind. A property is a function of a
//! [`Subject`]; [`for_every_provider!`] makes a test of it for each provider.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

macro_rules! for_every_provider {
    ($($property:ident),* $(,)?) => {
        for_every_provider! { @module files_s3, FILES_S3, $($property),* }
        for_the_folder! { $($property),* }
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

/// The same for the one on a folder alone.
macro_rules! for_the_folder {
    ($($property:ident),* $(,)?) => {
        for_every_provider! { @module files_local, FILES_LOCAL, $($property),* }
    };
}

mod arguments;
mod bodies;
mod callers;
mod deletes;
mod keys;
mod links;
mod lists;
mod local;
mod options;
mod places;
mod ranges;
mod s3;
mod stores;

use serde_json::{Value, json};
use stheno::config::{
    CompileCache, Config, ConfigError, ModuleName, ProviderConfig, PublicUrl, ServerConfig,
};
use stheno::{Clock, FileInfo, Files, ManualClock, NewFile, Runtime};
use stheno_test_support::compile_cache;

use places::Place;

/// A provider of files.
struct Provider {
    /// Makes a place for files that nobody else has.
    place: fn() -> Place,
}

static FILES_LOCAL: Provider = Provider { place: Place::folder };
static FILES_S3: Provider = Provider { place: Place::bucket };

/// A store that nobody else uses, on a clock that stands still.
struct Subject {
    runtime: Runtime,
    files: Files,
    clock: ManualClock,
    place: Place,
}

impl Subject {
    async fn start(provider: &'static Provider) -> Self {
        Self::with_options((provider.place)(), json!({})).await.unwrap()
    }

    /// Another runtime over what this one stored.
    async fn restarted(self) -> Self {
        self.again(json!({})).await
    }

    async fn again(self, options: Value) -> Self {
        self.runtime.shutdown().await.unwrap();
        Self::with_options(self.place, options).await.unwrap()
    }

    async fn with_options(place: Place, options: Value) -> Result<Self, ConfigError> {
        let mut provider = place.provider();
        let Value::Object(options) = options else { panic!("options are an object") };
        provider.options = options;
        let (clock, hand) = Clock::manual();
        let runtime = runtime(provider, clock).await?;
        let files = runtime.files().clone();
        Ok(Self { runtime, files, clock: hand, place })
    }

    async fn put(&self, name: &str, body: &[u8]) -> FileInfo {
        self.files.put_bytes(NewFile::new(name), body).await.unwrap()
    }

    async fn read(&self, key: &str) -> Vec<u8> {
        self.files.get(key).await.unwrap().bytes().await.unwrap()
    }

    /// Every key there is, page by page.
    async fn keys(&self, prefix: &str, limit: u32) -> Vec<String> {
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.files.list(prefix, cursor.as_deref(), limit).await.unwrap();
            assert!(page.files.len() <= limit as usize);
            keys.extend(page.files.into_iter().map(|file| file.key));
            match page.cursor {
                None => return keys,
                Some(next) => cursor = Some(next),
            }
        }
    }
}

async fn runtime(provider: ProviderConfig, clock: Clock) -> Result<Runtime, ConfigError> {
    let mut config = Config::default();
    let cache = compile_cache(env!("CARGO_TARGET_TMPDIR"));
    config.runtime.compile_cache = CompileCache::Folder(cache);
    config.server =
        ServerConfig::default().with_public_url(PublicUrl::new("https://files.example").unwrap());
    let builder = Runtime::builder().config(config).provider(ModuleName::Files, provider);
    builder.clock(clock).build().await
}

/// Bytes that repeat at no power of two.
fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}
