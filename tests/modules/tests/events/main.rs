//! The events module, over every provider of it.
//!
//! Each file holds the promises of one kind. A property is a function of a
//! [`Subject`]; [`for_every_provider!`] makes a test of it for each provider, so
//! that a failure is named `FILE::PROVIDER::PROPERTY`.
//!
//! Most properties pull and settle by hand, which says exactly when what
//! happens; what closures add to that is in `subscribers` and `shutdown`.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

macro_rules! for_every_provider {
    ($($property:ident),* $(,)?) => {
        for_every_provider! { @module events_local, EVENTS_LOCAL, $($property),* }
        for_every_provider! { @module events_local_durable, EVENTS_LOCAL_DURABLE, $($property),* }
    };
    // What only those do whose events end with them, or only the others.
    (forgetful: $($property:ident),* $(,)?) => {
        for_every_provider! { @module forgetful_events_local, EVENTS_LOCAL, $($property),* }
    };
    (durable: $($property:ident),* $(,)?) => {
        for_every_provider! { @module durable_events_local, EVENTS_LOCAL_DURABLE, $($property),* }
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

mod arguments;
mod bounds;
mod dead_letters;
mod deliveries;
mod durable;
mod groups;
mod leases;
mod options;
mod retries;
mod shutdown;
mod subscribers;
mod subscriptions;

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use stheno::config::{
    ByteSize, CompileCache, Config, ConfigError, ModuleName, ProviderConfig, Resolve, StoreGrant,
    StoreLabel, StoreSize,
};
use stheno::{
    Clock, Delivery, Events, ManualClock, NewEvent, Runtime, Subscription, SubscriptionStatus,
    Verdict,
};
use stheno_test_support::{compile_cache, guest};
use tempfile::TempDir;

/// So long a property may wait in real time.
const NEVER: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(30);
/// More than any property publishes.
const ALL: u32 = 1_000;

/// A provider of events.
struct Provider {
    name: &'static str,
    /// Whether it is granted a store.
    durable: bool,
}

static EVENTS_LOCAL: Provider = Provider { name: "events-local", durable: false };
static EVENTS_LOCAL_DURABLE: Provider = Provider { name: "events-local", durable: true };

/// Events that nobody else uses, on a clock that stands still.
struct Subject {
    provider: &'static Provider,
    runtime: Runtime,
    events: Events,
    clock: ManualClock,
    time: Clock,
    config: ProviderConfig,
    /// Where its store is.
    folder: TempDir,
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
        let mut events = ProviderConfig::new(Resolve::File(guest(provider.name)));
        let Value::Object(options) = options else { panic!("options are an object") };
        events.options = options;
        Self::with(provider, events).await
    }

    /// The same provider, stopped and started, by another runtime.
    async fn restart(self) -> Self {
        let Self { provider, runtime, events, clock, time, config, folder } = self;
        runtime.shutdown().await.unwrap();
        drop((runtime, events));
        Self::on(provider, config, folder, (time, clock)).await.unwrap()
    }

    async fn with(
        provider: &'static Provider,
        mut config: ProviderConfig,
    ) -> Result<Self, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        if provider.durable {
            config.grants.add_store(StoreLabel::new("default").unwrap(), store(folder.path()));
        }
        Self::on(provider, config, folder, Clock::manual()).await
    }

    async fn on(
        provider: &'static Provider,
        config: ProviderConfig,
        folder: TempDir,
        (time, clock): (Clock, ManualClock),
    ) -> Result<Self, ConfigError> {
        let mut whole = Config::default();
        let cache = compile_cache(env!("CARGO_TARGET_TMPDIR"));
        whole.runtime.compile_cache = CompileCache::Folder(cache);
        let builder = Runtime::builder().config(whole).clock(time.clone());
        let runtime = builder.provider(ModuleName::Events, config.clone()).build().await?;
        let events = runtime.events().clone();
        Ok(Self { provider, runtime, events, clock, time, config, folder })
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// A subscription that the property pulls.
    async fn subscribe(&self, id: &str, pattern: &str) {
        self.events.create_subscription(subscription(id, pattern)).await.unwrap();
    }

    /// Publishes with the name as the body.
    async fn publish(&self, name: &str) -> String {
        self.events.publish(name, name).await.unwrap()
    }

    async fn publish_all(&self, events: impl IntoIterator<Item = NewEvent>) -> Vec<String> {
        self.events.publish_all(events.into_iter().collect()).await.unwrap()
    }

    /// All that is due.
    async fn pull(&self, subscription: &str) -> Vec<Delivery> {
        self.events.pull_now(subscription, ALL, LEASE).await.unwrap().deliveries
    }

    /// The names of what is due, all of it handled.
    async fn handle(&self, subscription: &str) -> Vec<String> {
        let deliveries = self.pull(subscription).await;
        let names = deliveries.iter().map(|delivery| delivery.event.name.clone()).collect();
        for delivery in deliveries {
            self.settle(&delivery, Verdict::Handled).await;
        }
        names
    }

    /// The one delivery that is due.
    async fn pull_one(&self, subscription: &str) -> Delivery {
        let mut deliveries = self.pull(subscription).await;
        assert_eq!(deliveries.len(), 1, "{deliveries:?}");
        deliveries.remove(0)
    }

    async fn settle(&self, delivery: &Delivery, verdict: Verdict) {
        let lost = self.events.settle(vec![(delivery.token.clone(), verdict)]).await.unwrap();
        assert!(lost.is_empty(), "the lease of {delivery:?} had run out");
    }

    async fn status(&self, subscription: &str) -> SubscriptionStatus {
        let all = self.events.subscriptions().await.unwrap();
        all.into_iter().find(|status| status.subscription.id == subscription).unwrap()
    }

    /// Waiting, leased and dead.
    async fn counts(&self, subscription: &str) -> (u64, u64, u64) {
        let status = self.status(subscription).await;
        (status.waiting, status.leased, status.dead)
    }

    /// Waits until the counts of a subscription, which a closure works on, are
    /// these.
    async fn until_counts(&self, subscription: &str, counts: (u64, u64, u64)) {
        while self.counts(subscription).await != counts {
            tokio::task::yield_now().await;
        }
    }
}

/// A store in this folder.
fn store(folder: &Path) -> StoreGrant {
    let max_size = StoreSize::new(ByteSize::gib(1)).unwrap();
    StoreGrant { path: folder.join("events.redb"), max_size }
}

/// Receives what is retained, and stays.
fn subscription(id: &str, pattern: &str) -> Subscription {
    Subscription { id: id.into(), pattern: pattern.into(), retained: true, idle_ttl: None }
}

fn failed(reason: &str) -> Verdict {
    Verdict::Failed(reason.to_owned())
}

/// An event that is its name.
fn event(name: impl Into<String>) -> NewEvent {
    NewEvent::bytes(name, "")
}
