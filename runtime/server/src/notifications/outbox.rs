//! What providers have kept of what they sent.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::{Content, Disposition, OutboxMessage};
use utoipa::{IntoParams, ToSchema};

use super::{ContentBody, PAGE, Shown, json};
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::Query;
use crate::router::Api;
use crate::wire;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The id of the provider; without it, the first.
    provider: Option<String>,
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many, 1 to 1,000; 100 if not said.
    max: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Outbox {
    /// The oldest first.
    messages: Vec<OutboxBody>,
    /// Give it as `after` for the next page; `null` after the last.
    #[schema(required = true)]
    next: Option<String>,
}

/// A message that went out.
#[derive(Serialize, ToSchema)]
#[schema(as = OutboxMessage)]
struct OutboxBody {
    external_id: String,
    /// Milliseconds since 1970.
    sent_ms: u64,
    /// The notification.
    id: String,
    channel: String,
    to: String,
    #[schema(required = true)]
    from: Option<String>,
    cc: Vec<String>,
    bcc: Vec<String>,
    reply_to: Vec<String>,
    #[schema(required = true)]
    template: Option<String>,
    #[schema(required = true, value_type = Option<serde_json::Map<String, serde_json::Value>>)]
    data: Option<Box<RawValue>>,
    #[schema(required = true)]
    content: Option<ContentBody>,
    attachments: Vec<OutboxAttachment>,
    #[schema(required = true, value_type = Option<serde_json::Map<String, serde_json::Value>>)]
    provider_data: Option<Box<RawValue>>,
}

/// An attachment without its bytes.
#[derive(Serialize, ToSchema)]
struct OutboxAttachment {
    name: String,
    #[schema(required = true)]
    content_type: Option<String>,
    #[schema(inline = false)]
    disposition: Shown,
    #[schema(required = true)]
    id: Option<String>,
    /// In bytes.
    size: u64,
}

impl From<OutboxMessage> for OutboxBody {
    fn from(kept: OutboxMessage) -> Self {
        let message = kept.message;
        let attachments = kept.attachments.into_iter().map(|attachment| {
            let (disposition, id) = match attachment.disposition {
                Disposition::Attachment(id) => (Shown::Attachment, id),
                Disposition::Inline(id) => (Shown::Inline, Some(id)),
            };
            OutboxAttachment {
                name: attachment.name,
                content_type: attachment.content_type,
                disposition,
                id,
                size: attachment.size,
            }
        });
        Self {
            external_id: kept.external_id,
            sent_ms: wire::unix_ms(kept.sent),
            id: kept.id,
            channel: message.channel,
            to: message.to,
            from: message.from,
            cc: message.cc,
            bcc: message.bcc,
            reply_to: message.reply_to,
            template: message.template,
            data: json(message.data.as_ref()),
            content: message.content.map(|Content { subject, text, html }| ContentBody {
                subject,
                text,
                html,
            }),
            attachments: attachments.collect(),
            provider_data: json(message.provider_data.as_ref()),
        }
    }
}

/// What a provider has sent, the oldest first
///
/// Where the provider keeps it, as `notifications-local` does.
#[utoipa::path(
    get, path = "/v1/notifications/outbox", tag = "notifications", params(Which),
    responses(
        (status = 200, description = "Some of it.", body = Outbox),
        (status = 404, description = "`not-found`: there is no such provider.",
            body = ErrorBody),
        Errors,
    ),
)]
pub(super) async fn outbox(
    State(api): State<Api>,
    Query(which): Query<Which>,
) -> Result<axum::Json<Outbox>, ApiError> {
    let (provider, after) = (which.provider.as_deref(), which.after.as_deref());
    let max = which.max.unwrap_or(PAGE);
    let page = api.runtime().notifications().outbox(provider, after, max).await?;
    let messages = page.items.into_iter().map(OutboxBody::from).collect();
    Ok(axum::Json(Outbox { messages, next: page.next }))
}
