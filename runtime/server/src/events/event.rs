//! How an event looks to those who receive it.

use serde::Serialize;
use serde_json::value::RawValue;
use stheno::Event;
use utoipa::ToSchema;

use crate::wire::{self, Base64, Pairs};

/// An event, with either `data` or `data_base64`.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventBody {
    /// Given by the provider, unique in it.
    id: String,
    /// Such as `order.placed`.
    #[schema(example = "order.placed")]
    name: String,
    /// The body, if it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<Box<RawValue>>,
    /// The body, if it is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    data_base64: Option<Base64>,
    /// Strings that travel with it.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    metadata: Pairs,
    /// 1 is first.
    #[schema(example = 100)]
    priority: u32,
    /// When it was published; of a group, when it was released. Milliseconds
    /// since 1970.
    published_ms: u64,
    /// Which attempt this is, from 1; of a dead letter the last one.
    attempt: u32,
    /// How many there are.
    attempts: u32,
}

impl From<Event> for EventBody {
    fn from(event: Event) -> Self {
        let (data, data_base64) = match wire::as_json(&event.data) {
            Some(json) => (Some(json), None),
            None => (None, Some(Base64(event.data))),
        };
        Self {
            id: event.id,
            name: event.name,
            data,
            data_base64,
            metadata: Pairs(event.metadata),
            priority: event.priority,
            published_ms: wire::unix_ms(event.published),
            attempt: event.attempt,
            attempts: event.attempts,
        }
    }
}
