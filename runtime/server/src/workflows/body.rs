//! Inputs and results: as JSON where they are, and otherwise in base64.

use serde_json::value::RawValue;

use crate::error::ApiError;
use crate::wire::{self, Base64};

/// A body as it goes out, in one of two fields.
pub(super) fn shown(bytes: Vec<u8>) -> (Option<Box<RawValue>>, Option<Base64>) {
    match wire::as_json(&bytes) {
        Some(json) => (Some(json), None),
        None => (None, Some(Base64(bytes))),
    }
}

/// A body as it came in, in one of two fields; null if there is none.
pub(super) fn given(
    name: &str,
    json: Option<Box<RawValue>>,
    bytes: Option<Base64>,
) -> Result<Vec<u8>, ApiError> {
    if json.is_none() && bytes.is_none() {
        return Ok(b"null".to_vec());
    }
    wire::body(name, json, bytes).map_err(ApiError::invalid)
}
