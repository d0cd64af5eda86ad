//! Options that mean the same to each provider of files.

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::key;

/// The `Cache-Control` of public files, unless an option says otherwise: a key
/// never means another file, so one that is public may be kept.
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// What every key begins with: nothing, or folders with a closing slash.
///
/// # Errors
///
/// What cannot begin a key.
pub fn prefix<'de, D: Deserializer<'de>>(decoder: D) -> Result<String, D::Error> {
    let text = String::deserialize(decoder)?;
    if text.is_empty() {
        return Ok(text);
    }
    let folders = text.trim_end_matches('/');
    key::check(folders)
        .map_err(|why| D::Error::custom(format!("{why}; write folders, such as \"shop/\"")))?;
    Ok(format!("{folders}/"))
}

/// The value of a header.
///
/// # Errors
///
/// What cannot be one.
pub fn cache_control<'de, D: Deserializer<'de>>(decoder: D) -> Result<String, D::Error> {
    let text = String::deserialize(decoder)?;
    let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.is_empty() || text.len() > 255 || !text.bytes().all(fits) {
        return Err(D::Error::custom(
            "must be 1 to 255 visible ASCII characters, such as \"public, max-age=3600\"",
        ));
    }
    Ok(text)
}
