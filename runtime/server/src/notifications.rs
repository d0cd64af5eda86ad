//! Routes of the notifications.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::{
    Attachment, Content, Disposition, JsonObject, NewNotification, Notification,
    NotificationFilter, NotificationStatus, OutboxMessage,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::{Json, Query};
use crate::router::Api;
use crate::wire::{self, Base64, Pairs};

/// How many come at once, unless said otherwise.
const PAGE: u32 = 100;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(send))
        .routes(routes!(notification))
        .routes(routes!(list))
        .routes(routes!(outbox))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewNotifications {
    /// At most 1,000.
    notifications: Vec<NewNotificationBody>,
}

/// A notification to send, with `template`, `content`, or both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewNotification)]
struct NewNotificationBody {
    /// Such as `email`; the config says who serves it.
    #[schema(example = "email")]
    channel: String,
    /// Whatever the channel calls an address: 1 to 1,024 bytes without control
    /// characters.
    #[schema(example = "ada@example.com")]
    to: String,
    /// Without it, the provider's own.
    from: Option<String>,
    /// At most 100.
    #[serde(default)]
    cc: Vec<String>,
    /// At most 100.
    #[serde(default)]
    bcc: Vec<String>,
    /// At most 100.
    #[serde(default)]
    reply_to: Vec<String>,
    /// The name of a template that the provider or its service has.
    #[schema(example = "order-placed")]
    template: Option<String>,
    /// A JSON object of at most 64 KiB that fills the template. It is kept.
    #[schema(value_type = Option<serde_json::Map<String, serde_json::Value>>)]
    data: Option<Box<RawValue>>,
    /// What is written in the message itself. It is not kept.
    content: Option<ContentBody>,
    /// At most 32, of 16 MiB together. They are not kept.
    #[serde(default)]
    attachments: Vec<AttachmentBody>,
    /// A JSON object of at most 64 KiB that only this provider understands.
    #[schema(value_type = Option<serde_json::Map<String, serde_json::Value>>)]
    provider_data: Option<Box<RawValue>>,
    /// What is sent under one key is sent once.
    #[schema(example = "order-1001-placed")]
    idempotency_key: Option<String>,
    /// Strings that the record keeps and can be found by: at most 16, of 4 KiB
    /// together.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    labels: Pairs,
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Attachment)]
struct AttachmentBody {
    /// The file's name.
    #[schema(example = "invoice.pdf")]
    name: String,
    /// Without it, the provider's choice.
    #[schema(example = "application/pdf")]
    content_type: Option<String>,
    /// `attachment` if not said.
    #[serde(default)]
    disposition: Shown,
    /// What the HTML calls it, as in `cid:ID`; needed if it is `inline`.
    id: Option<String>,
    /// The file.
    content_base64: Base64,
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

fn object(name: &str, json: Option<Box<RawValue>>) -> Result<Option<JsonObject>, String> {
    let parse = |json: Box<RawValue>| {
        JsonObject::parse(json.get()).map_err(|error| format!("{name}: {}", error.message()))
    };
    json.map(parse).transpose()
}

impl NewNotificationBody {
    fn decoded(self) -> Result<NewNotification, String> {
        let attachment = |(position, attachment): (usize, AttachmentBody)| {
            let disposition = match (attachment.disposition, attachment.id) {
                (Shown::Attachment, id) => Disposition::Attachment(id),
                (Shown::Inline, Some(id)) => Disposition::Inline(id),
                (Shown::Inline, None) => {
                    return Err(format!(
                        "attachments[{position}]: one that is inline needs an `id`, which the \
                         HTML names as in cid:ID"
                    ));
                }
            };
            Ok(Attachment {
                name: attachment.name,
                content_type: attachment.content_type,
                disposition,
                bytes: attachment.content_base64.0,
            })
        };
        Ok(NewNotification {
            channel: self.channel,
            to: self.to,
            from: self.from,
            cc: self.cc,
            bcc: self.bcc,
            reply_to: self.reply_to,
            template: self.template,
            data: object("data", self.data)?,
            content: self.content.map(|ContentBody { subject, text, html }| Content {
                subject,
                text,
                html,
            }),
            attachments: self
                .attachments
                .into_iter()
                .enumerate()
                .map(attachment)
                .collect::<Result<_, _>>()?,
            provider_data: object("provider_data", self.provider_data)?,
            idempotency_key: self.idempotency_key,
            labels: self.labels.0,
        })
    }
}

/// What is known of a notification. Content and attachments are not.
#[derive(Serialize, ToSchema)]
#[schema(as = Notification)]
struct NotificationBody {
    /// Given by the server, unique.
    #[schema(example = "ntf_5f1d7c1e6a0b4d3c00000000")]
    id: String,
    channel: String,
    to: String,
    #[schema(required = true)]
    template: Option<String>,
    /// What filled the template.
    #[schema(required = true, value_type = Option<serde_json::Map<String, serde_json::Value>>)]
    data: Option<Box<RawValue>>,
    #[schema(value_type = std::collections::HashMap<String, String>)]
    labels: Pairs,
    #[schema(required = true)]
    idempotency_key: Option<String>,
    #[schema(inline = false)]
    status: StatusBody,
    /// The id of the provider that took it, or that failed last.
    #[schema(required = true)]
    provider: Option<String>,
    /// What the service calls it.
    #[schema(required = true)]
    external_id: Option<String>,
    /// Why it failed.
    #[schema(required = true)]
    error: Option<String>,
    /// How many times it was tried: again for each time that its key was sent
    /// after a failure.
    attempts: u32,
    /// Milliseconds since 1970.
    created_ms: u64,
    /// When its status changed last. Milliseconds since 1970.
    updated_ms: u64,
}

/// `success` only where a provider gave a receipt.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = NotificationStatus)]
enum StatusBody {
    Pending,
    Success,
    Failure,
}

impl From<NotificationStatus> for StatusBody {
    fn from(status: NotificationStatus) -> Self {
        match status {
            NotificationStatus::Pending => Self::Pending,
            NotificationStatus::Success => Self::Success,
            NotificationStatus::Failure => Self::Failure,
        }
    }
}

impl From<StatusBody> for NotificationStatus {
    fn from(status: StatusBody) -> Self {
        match status {
            StatusBody::Pending => Self::Pending,
            StatusBody::Success => Self::Success,
            StatusBody::Failure => Self::Failure,
        }
    }
}

fn json(object: Option<&JsonObject>) -> Option<Box<RawValue>> {
    object.and_then(|object| wire::as_json(object.as_str().as_bytes()))
}

impl From<Notification> for NotificationBody {
    fn from(record: Notification) -> Self {
        Self {
            data: json(record.data.as_ref()),
            created_ms: wire::unix_ms(record.created),
            updated_ms: wire::unix_ms(record.updated),
            id: record.id,
            channel: record.channel,
            to: record.to,
            template: record.template,
            labels: Pairs(record.labels),
            idempotency_key: record.idempotency_key,
            status: record.status.into(),
            provider: record.provider,
            external_id: record.external_id,
            error: record.error,
            attempts: record.attempts,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Notifications {
    /// A record for each, in their order.
    notifications: Vec<NotificationBody>,
}

/// Send notifications
///
/// Where one fails, the others are sent all the same; the error then has the
/// text of every failure, a line each, and the records can be listed. It is
/// `unavailable` or `timeout` only if the same call may be made again without
/// sending anything twice.
#[utoipa::path(
    post, path = "/v1/notifications/send", tag = "notifications",
    request_body = NewNotifications,
    responses(
        (status = 200, description = "All of them were sent.", body = Notifications),
        (status = 404, description = "`not-found`: no provider serves a channel.",
            body = ErrorBody),
        (status = 409, description = "`conflict`: a key stands for another channel or recipient.",
            body = ErrorBody),
        Errors,
    ),
)]
async fn send(
    State(api): State<Api>,
    Json(NewNotifications { notifications }): Json<NewNotifications>,
) -> Result<axum::Json<Notifications>, ApiError> {
    let decoded = |(position, new): (usize, NewNotificationBody)| {
        new.decoded()
            .map_err(|error| ApiError::invalid(format!("notifications[{position}]: {error}")))
    };
    let new = notifications.into_iter().enumerate().map(decoded).collect::<Result<_, _>>()?;
    let sent = api.runtime().notifications().send_all(new).await.map_err(stheno::Error::from)?;
    let notifications = sent.into_iter().map(NotificationBody::from).collect();
    Ok(axum::Json(Notifications { notifications }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Id {
    /// What `send` gave.
    id: String,
}

/// What is known of a notification
#[utoipa::path(
    get, path = "/v1/notifications/notification", tag = "notifications", params(Id),
    responses(
        (status = 200, description = "Its record.", body = NotificationBody),
        (status = 404, description = "`not-found`: there is none, or no longer.",
            body = ErrorBody),
        Errors,
    ),
)]
async fn notification(
    State(api): State<Api>,
    Query(Id { id }): Query<Id>,
) -> Result<axum::Json<NotificationBody>, ApiError> {
    Ok(axum::Json(api.runtime().notifications().get(&id).await?.into()))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those on this channel.
    channel: Option<String>,
    /// Only those to this recipient.
    to: Option<String>,
    /// Only those that are so.
    #[param(inline)]
    status: Option<StatusBody>,
    /// Only those that the provider with this id took, or failed last.
    provider: Option<String>,
    /// Only that with this key.
    idempotency_key: Option<String>,
    /// Only those with this label, as `NAME=VALUE`. May be repeated.
    #[serde(default, rename = "label")]
    #[param(rename = "label", style = Form, explode, required = false)]
    labels: Vec<String>,
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many, 1 to 1,000; 100 if not said.
    max: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct NotificationsPage {
    /// The newest first.
    notifications: Vec<NotificationBody>,
    /// Give it as `after` for the next page; `null` after the last.
    #[schema(required = true)]
    next: Option<String>,
}

/// Notifications that have all that is asked for, the newest first
#[utoipa::path(
    get, path = "/v1/notifications/list", tag = "notifications", params(Filter),
    responses((status = 200, description = "Some of them.", body = NotificationsPage), Errors),
)]
async fn list(
    State(api): State<Api>,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<NotificationsPage>, ApiError> {
    let label = |text: String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(ApiError::invalid(format!("label: {text:?} is not NAME=VALUE"))),
    };
    let wanted = NotificationFilter {
        channel: filter.channel,
        to: filter.to,
        status: filter.status.map(NotificationStatus::from),
        provider: filter.provider,
        idempotency_key: filter.idempotency_key,
        labels: filter.labels.into_iter().map(label).collect::<Result<_, _>>()?,
    };
    let max = filter.max.unwrap_or(PAGE);
    let page = api.runtime().notifications().list(wanted, filter.after.as_deref(), max).await?;
    let notifications = page.items.into_iter().map(NotificationBody::from).collect();
    Ok(axum::Json(NotificationsPage { notifications, next: page.next }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// The id of the provider; without it, the first.
    provider: Option<String>,
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many, 1 to 1,000; 100 if not said.
    max: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct Outbox {
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
async fn outbox(
    State(api): State<Api>,
    Query(which): Query<Which>,
) -> Result<axum::Json<Outbox>, ApiError> {
    let (provider, after) = (which.provider.as_deref(), which.after.as_deref());
    let max = which.max.unwrap_or(PAGE);
    let page = api.runtime().notifications().outbox(provider, after, max).await?;
    let messages = page.items.into_iter().map(OutboxBody::from).collect();
    Ok(axum::Json(Outbox { messages, next: page.next }))
}
