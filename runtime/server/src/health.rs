//! How the server is, and what it has.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use stheno::Denied;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, ErrorBody, ErrorDetail};
use crate::guard::is_known;
use crate::router::{Api, openapi_json};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(livez))
        .routes(routes!(readyz))
        .routes(routes!(openapi))
        .routes(routes!(providers))
}

/// Whether the process answers.
#[utoipa::path(
    get, path = "/livez", tag = "server", security(()),
    responses((status = 200, description = "It does.", body = String, example = "ok\n")),
)]
async fn livez() -> &'static str {
    "ok\n"
}

/// Whether every provider says that it can serve.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// Whether all of them can.
    ready: bool,
    /// Each provider; left out where the server has a token and it was not
    /// shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    providers: Option<Vec<ProviderHealth>>,
}

#[derive(Serialize, ToSchema)]
struct ProviderHealth {
    /// The module that it serves.
    #[schema(example = "cache")]
    module: &'static str,
    /// What tells it apart in a module that takes several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<String>,
    /// What the config calls it.
    #[schema(example = "cache-memory")]
    provider: String,
    /// Whether it can serve.
    ok: bool,
    /// Why it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<ErrorDetail>,
}

/// Whether every provider can serve.
#[utoipa::path(
    get, path = "/readyz", tag = "server", security(()),
    responses(
        (status = 200, description = "All of them can.", body = Readiness),
        (status = 503, description = "Some cannot, and say why.", body = Readiness),
    ),
)]
async fn readyz(State(api): State<Api>, headers: HeaderMap) -> (StatusCode, Json<Readiness>) {
    let known = is_known(&api, &headers);
    let _turn = if known { None } else { Some(api.strangers_turn().await) };
    let providers: Vec<_> = api
        .runtime()
        .status()
        .await
        .into_iter()
        .map(|status| {
            let error = status.health.err().map(|error| ApiError::from(error).detail().clone());
            ProviderHealth {
                module: status.module.as_str(),
                id: status.id,
                provider: status.provider,
                ok: error.is_none(),
                error,
            }
        })
        .collect();
    let ready = providers.iter().all(|provider| provider.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, providers: known.then_some(providers) }))
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "server",
    responses(
        (status = 200, description = "OpenAPI 3.1.", content_type = "application/json"),
        (status = 401, description = "`unauthorized`", body = ErrorBody),
    ),
)]
async fn openapi() -> impl IntoResponse {
    match openapi_json() {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => {
            tracing::error!(%error, "the document cannot be written");
            ApiError::internal("the document cannot be written").into_response()
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Providers {
    /// One for each module, or several where it takes several.
    providers: Vec<Provider>,
}

#[derive(Serialize, ToSchema)]
struct Provider {
    /// The module that it serves.
    #[schema(example = "cache")]
    module: &'static str,
    /// What tells it apart in a module that takes several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<String>,
    /// What the config calls it.
    #[schema(example = "./my-cache.wasm")]
    provider: String,
    /// What it calls itself.
    #[schema(example = "my-cache")]
    name: String,
    /// Its version.
    #[schema(example = "0.1.0")]
    version: String,
    /// `one` or `many`.
    #[schema(example = "many")]
    instances: &'static str,
    /// The optional features that it has.
    features: Vec<String>,
    /// What it was denied since it was loaded; empty if nothing was.
    denials: Vec<Denial>,
}

/// How often one capability denied something to a provider.
#[derive(Serialize, ToSchema)]
struct Denial {
    /// The capability, as it stands in `grants`.
    #[schema(example = "http")]
    capability: &'static str,
    /// The label of the binding through which it was asked; left out if the capability
    /// has none, or the label is not granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    binding: Option<String>,
    /// How often.
    count: u64,
    /// Why the last time, with what to write in the config where that could change it.
    last: String,
}

impl From<Denied> for Denial {
    fn from(Denied { capability, binding, count, last }: Denied) -> Self {
        Self { capability, binding, count, last }
    }
}

/// Which provider serves each module, and what it was denied.
#[utoipa::path(
    get, path = "/v1/providers", tag = "server",
    responses(
        (status = 200, description = "All of them.", body = Providers),
        (status = 401, description = "`unauthorized`", body = ErrorBody),
    ),
)]
async fn providers(State(api): State<Api>) -> Json<Providers> {
    let all = api.runtime().status().await;
    let providers = all
        .into_iter()
        .map(|status| Provider {
            module: status.module.as_str(),
            id: status.id,
            provider: status.provider,
            name: status.info.name,
            version: status.info.version,
            instances: status.info.instances,
            features: status.info.features,
            denials: status.denials.into_iter().map(Denial::from).collect(),
        })
        .collect();
    Json(Providers { providers })
}
