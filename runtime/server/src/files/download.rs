//! Bodies on their way out: conditions, ranges and headers.

use std::time::SystemTime;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use stheno::{Access, Download, ErrorKind, FileInfo, Files, Range};
use tokio_util::io::ReaderStream;

use super::calls::Key;
use crate::error::{ApiError, ErrorBody, Errors};
use crate::extract::Query;
use crate::router::Api;

/// What is read from a body at once.
const CHUNK_BYTES: usize = 128 * 1024;
/// A file may come from anybody, and a browser may show it: it runs no script
/// and is nobody's origin, so it cannot call this server.
const SANDBOX: &str = "default-src 'none'; img-src 'self'; media-src 'self'; \
    style-src 'unsafe-inline'; sandbox";

/// The body of a file
///
/// One range of it with a `Range` header. A `HEAD` gives the headers alone.
#[utoipa::path(
    get, path = "/v1/files/content", tag = "files", operation_id = "file_content",
    params(Key, ("range" = Option<String>, Header, description = "Such as `bytes=0-1023`.")),
    responses(
        (status = 200, description = "The file.", content_type = "application/octet-stream"),
        (status = 206, description = "The range.", content_type = "application/octet-stream"),
        (status = 304, description = "It is what `If-None-Match` names."),
        (status = 404, description = "`not-found`: there is no such file.", body = ErrorBody),
        (status = 416, description = "`invalid-argument`: no byte of it is in the range.",
            body = ErrorBody),
        Errors,
    ),
)]
pub(super) async fn content(
    State(api): State<Api>,
    Query(Key { key, store }): Query<Key>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    answer(api.files(store.as_deref())?, &key, &headers, |_| true).await
}

/// Answers with a file, if it is one that `may` be read here; otherwise as if
/// it were not there.
pub(super) async fn answer(
    files: &Files,
    key: &str,
    headers: &HeaderMap,
    may: impl Fn(&FileInfo) -> bool,
) -> Result<Response, ApiError> {
    let mut range = header_text(headers, header::RANGE).and_then(parse_range);
    if range.is_some() && headers.contains_key(header::IF_RANGE) {
        let info = files.stat(key).await?;
        if header_text(headers, header::IF_RANGE) != Some(&quoted(&info)) {
            range = None;
        }
    }
    let opened = match range {
        None => files.get(key).await,
        Some(range) => match files.get_range(key, range).await {
            // A server may ignore ranges.
            Err(error) if error.kind() == ErrorKind::Unsupported => files.get(key).await,
            Err(error) if error.kind() == ErrorKind::InvalidArgument => {
                let info = files.stat(key).await?;
                return if may(&info) { Ok(no_such_range(&info, error)) } else { Err(missing()) };
            }
            opened => opened,
        },
    };
    let download = opened?;
    if !may(download.info()) {
        return Err(missing());
    }
    if is_known(headers, download.info()) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(response.headers_mut(), download.info());
        response.headers_mut().remove(header::CONTENT_TYPE);
        return Ok(response);
    }
    Ok(whole_or_part(download))
}

pub(super) fn missing() -> ApiError {
    ApiError::miss("there is no such file")
}

fn whole_or_part(download: Download) -> Response {
    let (info, offset, length) = (download.info(), download.offset(), download.length());
    let mut headers = HeaderMap::new();
    describe(&mut headers, info);
    headers.insert(header::CONTENT_LENGTH, length.into());
    let status = if length < info.size {
        let last = offset.saturating_add(length).saturating_sub(1);
        set(&mut headers, header::CONTENT_RANGE, &format!("bytes {offset}-{last}/{}", info.size));
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    let body = Body::from_stream(ReaderStream::with_capacity(download, CHUNK_BYTES));
    (status, headers, body).into_response()
}

fn no_such_range(info: &FileInfo, error: stheno::Error) -> Response {
    let mut response = ApiError::from(error).with_status(StatusCode::RANGE_NOT_SATISFIABLE);
    set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{}", info.size));
    response
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    // What cannot stand in a header is left out; the host has refused it on
    // the way in.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn quoted(info: &FileInfo) -> String {
    format!("\"{}\"", info.etag)
}

fn describe(headers: &mut HeaderMap, info: &FileInfo) {
    set(headers, header::CONTENT_TYPE, &info.content_type);
    set(headers, header::ETAG, &quoted(info));
    set(headers, header::ACCEPT_RANGES, "bytes");
    // A date before 1970 or after 9999 has no form.
    if info.modified >= SystemTime::UNIX_EPOCH
        && crate::wire::unix_ms(info.modified) < 253_402_300_800_000
    {
        set(headers, header::LAST_MODIFIED, &httpdate::fmt_http_date(info.modified));
    }
    let cache_control = match (&info.cache_control, info.access) {
        (Some(said), _) => said,
        (None, Access::Public) => "no-cache",
        (None, Access::Private) => "private, no-store",
    };
    set(headers, header::CACHE_CONTROL, cache_control);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::CONTENT_SECURITY_POLICY, SANDBOX);
    let name = info.name.rsplit('/').next().unwrap_or_default();
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    set(headers, header::CONTENT_DISPOSITION, &format!("inline; filename*=UTF-8''{name}"));
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let only = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(only)
}

/// Whether the client has this very file.
fn is_known(headers: &HeaderMap, info: &FileInfo) -> bool {
    let tag = quoted(info);
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim())
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// One range of bytes. Several, other units and what is malformed count as
/// none, as the standard has it: then the whole file is the answer.
fn parse_range(text: &str) -> Option<Range> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than a number holds are beyond any file.
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    match (first, last) {
        ("", last) if digits(last) => Some(Range::Last(number(last))),
        (first, "") if digits(first) => Some(Range::From(number(first))),
        (first, last) if digits(first) && digits(last) => {
            let (offset, last) = (number(first), number(last));
            let length = last.checked_sub(offset)?.saturating_add(1);
            Some(Range::Span { offset, length })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_read_and_everything_else_means_the_whole() {
        for (text, range) in [
            ("bytes=0-0", Some(Range::Span { offset: 0, length: 1 })),
            ("bytes=5-9", Some(Range::Span { offset: 5, length: 5 })),
            ("bytes=5-", Some(Range::From(5))),
            ("bytes=-5", Some(Range::Last(5))),
            ("bytes=-0", Some(Range::Last(0))),
            ("bytes=0-99999999999999999999", Some(Range::Span { offset: 0, length: u64::MAX })),
            ("bytes=99999999999999999999-", Some(Range::From(u64::MAX))),
            ("bytes=9-5", None),
            ("bytes=0-1,5-6", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("bytes=a-b", None),
            ("lines=0-1", None),
            ("bytes", None),
            ("", None),
        ] {
            assert_eq!(parse_range(text), range, "{text}");
        }
    }
}
