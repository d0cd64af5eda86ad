//! All routes, and what is the same for each.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware;
use axum::response::Response;
use stheno::Runtime;
use stheno_config::ServerConfig;
use tokio::sync::{Mutex, MutexGuard, watch};
use tower_http::trace::TraceLayer;
use tracing::Span;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::error::ApiError;
use crate::guard::Bearer;
use crate::{analytics, cache, events, files, guard, health, locking, notifications, workflows};

/// What every route can reach.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

struct Inner {
    runtime: Runtime,
    config: ServerConfig,
    stopping: watch::Receiver<bool>,
    /// Held while a stranger asks how the providers are.
    strangers: Mutex<()>,
}

impl Api {
    pub(crate) fn new(
        runtime: Runtime,
        config: ServerConfig,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self(Arc::new(Inner { runtime, config, stopping, strangers: Mutex::new(()) }))
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.0.config
    }

    /// Waits until no other stranger asks how the providers are: each answer
    /// costs a call into every one of them, and these must not fill their
    /// queues.
    pub(crate) async fn strangers_turn(&self) -> MutexGuard<'_, ()> {
        self.0.strangers.lock().await
    }

    /// Ends when the server is to stop.
    pub(crate) async fn stopped(&self) {
        // An error means that nobody is left to say so: it has stopped.
        let _ = self.0.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stheno",
        description = "Infrastructure modules over HTTP.\n\nErrors have one form, \
            `{\"error\":{\"kind\":\"invalid-argument\",\"message\":\"...\"}}`; only after \
            `timeout` and `unavailable` may the same call succeed later, and those that could then \
            be done twice say so. Durations are strings such as `500ms`, \
            `30s`, `10m`, `1h`. Fields that are not known are refused. If the server has a token, \
            every route but `/livez`, `/readyz`, links to files, `/files/KEY` and \
            `/stores/ID/KEY` (public files) wants it as `Authorization: Bearer TOKEN`.",
    ),
    tags(
        (name = "cache", description = "Values by key, with a time to live and tags."),
        (name = "events", description = "Events by name, delivered at least once to each \
            subscription whose pattern matches."),
        (name = "locking", description = "Leases on named keys: all of a request's or none, \
            first come, first served."),
        (name = "notifications", description = "Messages to somebody, over channels, and what \
            became of them."),
        (name = "analytics", description = "What somebody did, and who somebody is."),
        (name = "files", description = "Bodies of any size under keys that the store makes. \
            What is public is also at `/files/KEY`, or `/stores/ID/KEY` where the store is \
            not the default one, each segment of the key percent-encoded."),
        (name = "workflows", description = "Runs of steps that survive what fails, and are undone \
            in reverse where they cannot go on."),
        (name = "server", description = "How the server is."),
    ),
    modifiers(&Bearer),
)]
struct Document;

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(health::routes())
        .merge(cache::routes())
        .merge(events::routes())
        .merge(locking::routes())
        .merge(notifications::routes())
        .merge(analytics::routes())
        .merge(files::routes())
        .merge(workflows::routes())
}

/// The OpenAPI document, as `/openapi.json` gives it.
///
/// # Errors
///
/// When it cannot be written, which is a fault of this crate.
pub fn openapi_json() -> Result<String, serde_json::Error> {
    routes().into_openapi().to_pretty_json()
}

pub(crate) fn router(api: Api) -> Router {
    let (routes, _) = routes().split_for_parts();
    routes
        .fallback(async || ApiError::unknown_route())
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(middleware::from_fn_with_state(api.clone(), guard::check))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_request(|_: &Request, _: &Span| tracing::debug!("request"))
                .on_response(answered)
                .on_failure(()),
        )
        .with_state(api)
}

/// Names the route and not the path, and nothing of the query or the headers:
/// keys and tokens stay out of the logs.
fn span(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    tracing::info_span!("http", method = %request.method(), route)
}

fn answered(response: &Response, latency: Duration, _: &Span) {
    let status = response.status().as_u16();
    let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if response.status().is_server_error() {
        tracing::warn!(status, latency_us, "answered");
    } else {
        tracing::debug!(status, latency_us, "answered");
    }
}
