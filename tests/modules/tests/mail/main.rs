//! Mail by a service: what its providers send is what its API documents, and what
//! it answers is told as it is.
//!
//! The service is a real server on loopback that checks each request against a
//! schema of the vendor's documentation (`schemas/`), and answers as the vendor
//! does.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

/// Makes a test of each property for each service, which never waits for ever.
macro_rules! properties {
    ($($property:ident),* $(,)?) => {
        properties!(@ resend Resend $($property)*);
        properties!(@ sendgrid SendGrid $($property)*);
    };
    (@ $module:ident $vendor:ident $($property:ident)*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $property() {
                    let property = super::$property($crate::Vendor::$vendor);
                    tokio::time::timeout($crate::NEVER, property).await.expect("it never came");
                }
            )*
        }
    };
}

mod answers;
mod messages;
mod service;

use std::path::Path;
use std::time::Duration;

use service::{KEY, Next, Service, Vendor};
use stheno::config::{CompileCache, Config};
use stheno::{Content, NewNotification, Notifications, Runtime};
use stheno_test_support::{compile_cache, guest};

/// So long a property may wait in real time.
const NEVER: Duration = Duration::from_secs(60);

/// A runtime whose mail goes by a service, and by a spare provider after that.
struct Subject {
    service: Service,
    /// Held for its notifications.
    _runtime: Runtime,
    notifications: Notifications,
}

impl Subject {
    async fn of(vendor: Vendor) -> Self {
        Self::with(vendor, "").await
    }

    /// With more lines for the provider.
    async fn with(vendor: Vendor, lines: &str) -> Self {
        let service = Service::start(vendor).await;
        let provider = guest(vendor.provider());
        let text = format!(
            r#"
            [[modules.notifications.providers]]
            id = "mail"
            channels = ["email"]
            resolve = {provider:?}
            options = {{ from = "Shop <shop@example.com>", url = "http://{address}" }}
            {lines}
            [[modules.notifications.providers.grants.http]]
            host = "127.0.0.1"
            scheme = "http"
            port = {port}
            methods = ["POST"]
            path = "{path}"
            secrets = {{ authorization = "Bearer ${{KEY}}" }}

            [[modules.notifications.providers]]
            id = "spare"
            channels = ["email"]
            resolve = {spare:?}
            "#,
            provider = provider.to_str().unwrap(),
            spare = guest("notifications-local").to_str().unwrap(),
            address = service.address,
            port = service.address.port(),
            path = vendor.path(),
        );
        let env = |name: &str| (name == "KEY").then(|| KEY.to_owned());
        let mut config = Config::parse(&text, "stheno.toml", Path::new("/"), &env).unwrap();
        config.runtime.compile_cache =
            CompileCache::Folder(compile_cache(env!("CARGO_TARGET_TMPDIR")));
        let runtime = Runtime::builder().config(config).build().await.unwrap();
        let notifications = runtime.notifications().clone();
        Self { service, _runtime: runtime, notifications }
    }
}

/// A mail that says hello.
fn mail() -> NewNotification {
    let content =
        Content { subject: Some("hello".into()), text: Some("hello".into()), ..Content::default() };
    NewNotification::content("email", "Ada <ada@example.com>", content)
}
