//! Routes of the notifications.
//!
//! `send` has what is sent, `records` what is known afterwards, `outbox` what a
//! provider has kept; here is what several of them speak of.

mod outbox;
mod records;
mod send;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::JsonObject;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::router::Api;
use crate::wire;

/// How many come at once, unless said otherwise.
const PAGE: u32 = 100;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(send::send))
        .routes(routes!(records::notification))
        .routes(routes!(records::list))
        .routes(routes!(outbox::outbox))
}

/// At least one of these.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Content)]
struct ContentBody {
    /// At most 4 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// The body as plain text, at most 1 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The body as HTML, at most 1 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
}

/// Where an attachment is shown: below the message or within it.
#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Disposition)]
enum Shown {
    #[default]
    Attachment,
    Inline,
}

fn json(object: Option<&JsonObject>) -> Option<Box<RawValue>> {
    object.and_then(|object| wire::as_json(object.as_str().as_bytes()))
}
