//! The analytics module, over every provider of it.
//!
//! Gathering, trying again and giving up are the host's; the local provider
//! shows what came through in the files that it writes, `failing-analytics` in a
//! list of names.
//!
//! A comment such as `A4` names the line of the feature table that a property
//! covers.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

/// Makes a test of each property, which never waits for ever.
macro_rules! properties {
    ($($property:ident),* $(,)?) => {
        mod analytics_local {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $property() {
                    // What never comes is a failure, and not a test without end.
                    let property = super::$property();
                    tokio::time::timeout($crate::NEVER, property).await.expect("it never came");
                }
            )*
        }
    };
}

mod arguments;
mod batches;
mod failures;
mod files;
mod items;
mod several;
mod stopping;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use stheno::config::{CompileCache, Config, ConfigError};
use stheno::{Analytics, Clock, ManualClock, Runtime, Track};
use stheno_test_support::{compile_cache, guest};
use tempfile::TempDir;

/// So long a property may wait in real time.
const NEVER: Duration = Duration::from_secs(60);

/// The local provider on a folder.
const LOCAL: &str = r#"
[modules.analytics]
resolve = "LOCAL"
options = { folder = "/out" }
grants.folders = [{ host = "FOLDER", guest = "/out", mode = "read-write" }]
"#;

/// A provider that fails as its options say.
const FAILING: &str = r#"
[modules.analytics]
resolve = "FAILING"
options = { OPTIONS }
grants.folders = [{ host = "FOLDER", guest = "/out", mode = "read-write" }]
"#;

/// A runtime of its own with a folder of its own, on a clock that stands still.
struct Subject {
    runtime: Runtime,
    analytics: Analytics,
    clock: ManualClock,
    folder: TempDir,
}

impl Subject {
    async fn start() -> Self {
        Self::with(LOCAL).await.unwrap()
    }

    async fn failing(options: &str) -> Self {
        Self::with(&FAILING.replace("OPTIONS", options)).await.unwrap()
    }

    async fn with(text: &str) -> Result<Self, ConfigError> {
        Self::over(text, tempfile::tempdir().unwrap()).await
    }

    /// From a config in which `"LOCAL"` and `"FAILING"` are the providers and
    /// `FOLDER` is this folder.
    async fn over(text: &str, folder: TempDir) -> Result<Self, ConfigError> {
        let path = |name: &str| format!("{:?}", guest(name).to_str().unwrap());
        let text = text
            .replace("\"LOCAL\"", &path("analytics-local"))
            .replace("\"FAILING\"", &path("failing-analytics"))
            .replace("FOLDER", folder.path().to_str().unwrap());
        let mut config = Config::parse(&text, "stheno.toml", Path::new("/"), &|_| None)?;
        let cache = compile_cache(env!("CARGO_TARGET_TMPDIR"));
        config.runtime.compile_cache = CompileCache::Folder(cache);
        let (clock, hand) = Clock::manual();
        let runtime = Runtime::builder().config(config).clock(clock).build().await?;
        let analytics = runtime.analytics().clone();
        Ok(Self { runtime, analytics, clock: hand, folder })
    }

    /// What the files hold, in their order.
    fn lines(&self) -> Vec<Value> {
        lines(self.folder.path())
    }

    /// What the failing provider got, in its order.
    fn got(&self) -> Vec<String> {
        got(self.folder.path())
    }

    /// Waits until every provider has done with so many items more.
    async fn until_waiting(&self, waiting: u64) {
        while self.analytics.status().iter().any(|status| status.waiting != waiting) {
            tokio::task::yield_now().await;
        }
    }
}

fn lines(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file| std::fs::read_to_string(file).unwrap();
    let texts: Vec<String> = files.into_iter().map(read).collect();
    texts
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn got(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("got")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// An event of somebody.
fn event(name: impl Into<String>) -> Track {
    Track::new(name).actor("ada")
}
