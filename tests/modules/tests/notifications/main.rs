//! The notifications module, over every provider of it.
//!
//! Routing, keys and records are the host's, so most properties run on the
//! local provider, whose outbox says what went out. What a provider may answer
//! beside a receipt comes from `failing-notifications`, and that a provider may be in
//! another language, with its own client, from `notifications-typescript`.
//!
//! A comment such as `N4` names the line of the feature table that a property
//! covers.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

/// Makes a test of each property, which never waits for ever.
macro_rules! properties {
    ($($property:ident),* $(,)?) => {
        mod notifications_local {
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
mod durable;
mod events;
mod keys;
mod lives;
mod messages;
mod records;
mod routing;
mod typescript;

use std::path::Path;
use std::time::Duration;

use stheno::config::{CompileCache, Config, ConfigError};
use stheno::{
    Clock, Content, ManualClock, NewNotification, Notification, NotificationFilter, Notifications,
    OutboxMessage, Runtime,
};
use stheno_test_support::{compile_cache, guest};

/// So long a property may wait in real time.
const NEVER: Duration = Duration::from_secs(60);

/// The local provider, for all channels.
const LOCAL: &str = "[modules.notifications]\nresolve = \"LOCAL\"\n";

/// A runtime of its own, on a clock that stands still.
struct Subject {
    runtime: Runtime,
    notifications: Notifications,
    clock: ManualClock,
}

impl Subject {
    async fn start() -> Self {
        Self::with(LOCAL).await.unwrap()
    }

    /// From a config in which `"LOCAL"` and `"FAILING"` are the providers.
    async fn with(text: &str) -> Result<Self, ConfigError> {
        let path = |name: &str| format!("{:?}", guest(name).to_str().unwrap());
        let text = text
            .replace("\"LOCAL\"", &path("notifications-local"))
            .replace("\"FAILING\"", &path("failing-notifications"));
        let mut config = Config::parse(&text, "stheno.toml", Path::new("/"), &|_| None)?;
        let folder = compile_cache(env!("CARGO_TARGET_TMPDIR"));
        config.runtime.compile_cache = CompileCache::Folder(folder);
        let (clock, hand) = Clock::manual();
        let runtime = Runtime::builder().config(config).clock(clock).build().await?;
        let notifications = runtime.notifications().clone();
        Ok(Self { runtime, notifications, clock: hand })
    }

    /// Everything that a provider says went out.
    async fn outbox(&self, provider: &str) -> Vec<OutboxMessage> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.notifications.outbox(Some(provider), after.as_deref(), 1_000);
            let page = page.await.unwrap();
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    /// All records, the newest first.
    async fn records(&self) -> Vec<Notification> {
        let all = NotificationFilter::default();
        self.notifications.list(all, None, 1_000).await.unwrap().items
    }
}

/// A mail that says hello.
fn mail(to: &str) -> NewNotification {
    let content =
        Content { subject: Some("hello".into()), text: Some("hello".into()), ..Content::default() };
    NewNotification::content("email", to, content)
}
