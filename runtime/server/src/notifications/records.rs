//! What is known of notifications.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno::{Notification, NotificationFilter, NotificationStatus};
use utoipa::{IntoParams, ToSchema};

use super::{PAGE, json};
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::Query;
use crate::router::Api;
use crate::wire::{self, Pairs};

/// What is known of a notification. Content and attachments are not.
#[derive(Serialize, ToSchema)]
#[schema(as = Notification)]
pub(super) struct NotificationBody {
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
    /// Its process ended while it was being sent: it may have gone out.
    Unknown,
}

impl From<NotificationStatus> for StatusBody {
    fn from(status: NotificationStatus) -> Self {
        match status {
            NotificationStatus::Pending => Self::Pending,
            NotificationStatus::Success => Self::Success,
            NotificationStatus::Failure => Self::Failure,
            NotificationStatus::Unknown => Self::Unknown,
        }
    }
}

impl From<StatusBody> for NotificationStatus {
    fn from(status: StatusBody) -> Self {
        match status {
            StatusBody::Pending => Self::Pending,
            StatusBody::Success => Self::Success,
            StatusBody::Failure => Self::Failure,
            StatusBody::Unknown => Self::Unknown,
        }
    }
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

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Id {
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
pub(super) async fn notification(
    State(api): State<Api>,
    Query(Id { id }): Query<Id>,
) -> Result<axum::Json<NotificationBody>, ApiError> {
    Ok(axum::Json(api.runtime().notifications().get(&id).await?.into()))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
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
pub(super) struct NotificationsPage {
    /// The newest first. Where few of many match there may be fewer than `max`,
    /// or none, and more to come.
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
pub(super) async fn list(
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
