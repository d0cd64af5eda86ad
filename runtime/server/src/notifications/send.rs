//! Sending.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::{Attachment, Content, Disposition, JsonObject, NewNotification};
use utoipa::ToSchema;

use super::records::NotificationBody;
use super::{ContentBody, Shown};
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::Json;
use crate::router::Api;
use crate::wire::{Base64, Pairs};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNotifications {
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
    /// Sends it also if its key is `unknown`, because the process ended while it
    /// was being sent: it may then go out twice.
    #[serde(default)]
    resend_unknown: bool,
    /// Strings that the record keeps and can be found by: at most 16, of 4 KiB
    /// together.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::HashMap<String, String>>)]
    labels: Pairs,
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
            resend_unknown: self.resend_unknown,
            labels: self.labels.0,
        })
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Notifications {
    /// A record for each, in their order.
    notifications: Vec<NotificationBody>,
}

/// Send notifications
///
/// Where one fails, the others are sent all the same; the error then has the
/// text of every failure, a line each, and the records can be listed. It is
/// `unavailable` or `timeout` only if the same call may be made again without
/// sending again what was sent. What ended in `timeout` may have gone out all the
/// same; sent again, it may go out twice.
#[utoipa::path(
    post, path = "/v1/notifications/send", tag = "notifications",
    request_body = NewNotifications,
    responses(
        (status = 200, description = "All of them were sent.", body = Notifications),
        (status = 404, description = "`not-found`: no provider serves a channel.",
            body = ErrorBody),
        (status = 409, description = "`conflict`: a key stands for another channel or recipient, \
            or it is not known whether what it stands for was sent.", body = ErrorBody),
        Errors,
    ),
)]
pub(super) async fn send(
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
