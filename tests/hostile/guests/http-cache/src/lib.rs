//! A cache provider that sends requests where it likes. The key of a `get` says
//! where:
//!
//! | key | answer |
//! |---|---|
//! | `METHOD URL` | the status and the body, or `error: ...` |
//! | `METHOD URL NAME VALUE` | the same, with a header; `\r` and `\n` in the value are line breaks |
//! | `follow URL` | the same as `GET`, following a redirect as a browser does |
//! | `raw SCHEME AUTHORITY PATH` | the same, with the parts as they are |
//! | `post-flood URL` | sends a body without end |
//! | `upload MIB URL` | sends a body of so many MiB, and the same as `GET` |
//! | `download URL` | the status and how many bytes came, if they are those of `upload` |
//! | `leave URL` | `left`, with the response unread and its handles forgotten |
//! | `open URL` | `opened`, with a request whose body never ends, forgotten |
//! | anything else | a miss |

use std::io::Write;

use hostile_support::{Answers, export_answers, told};
use stheno_sdk::http::{Request, Response, secret};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};

struct Http;

impl Lifecycle for Http {
    fn describe() -> Description {
        Description::new("http-cache", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }
}

/// Enough for what the tests serve.
const MOST: usize = 1 << 20;

fn shown(response: Response) -> Result<String> {
    let status = response.status();
    let body = response.bytes(MOST)?;
    Ok(format!("{status} {}", String::from_utf8_lossy(&body)))
}

fn send(method: &str, url: &str, header: Option<(&str, &str)>) -> Result<String> {
    let mut request = Request::new(method, url)?.header("x-key", secret("key"));
    if let Some((name, value)) = header {
        request = request.header(name, value.replace("\\r", "\r").replace("\\n", "\n"));
    }
    shown(request.send()?)
}

fn follow(url: &str) -> Result<String> {
    let response = Request::get(url)?.header("x-key", secret("key")).send()?;
    match response.header("location") {
        Some(location) => shown(Request::get(&location)?.header("x-key", secret("key")).send()?),
        None => shown(response),
    }
}

fn raw(scheme: &str, authority: &str, path: &str) -> std::result::Result<String, String> {
    let refused = |()| format!("`{scheme}`, `{authority}` or `{path}` was refused");
    let request = OutgoingRequest::new(Fields::new());
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).map_err(refused)?;
    request.set_authority(Some(authority)).map_err(refused)?;
    request.set_path_with_query(Some(path)).map_err(refused)?;
    let response = handle(request, None).map_err(|code| code.to_string())?;
    response.subscribe().block();
    match response.get() {
        Some(Ok(Ok(response))) => Ok(format!("{}", response.status())),
        Some(Ok(Err(code))) => Err(code.to_string()),
        Some(Err(())) | None => Err("no answer".to_owned()),
    }
}

fn flood(url: &str) -> Result<String> {
    let piece = [b'a'; 16 * 1024];
    shown(Request::post(url)?.send_with(|body| {
        loop {
            body.write_all(&piece)?;
        }
    })?)
}

/// As many bytes as a piece of a body has, each told by its place: what is lost or comes
/// twice is noticed.
fn block() -> Vec<u8> {
    (0..PERIOD * 256).map(|at| (at % PERIOD) as u8).collect()
}

/// A prime, so that no size of a buffer is a multiple of it.
const PERIOD: usize = 251;

fn upload(mib: &str, url: &str) -> Result<String> {
    let no_number = |_| Error::InvalidArgument(format!("{mib} is no number"));
    let size = mib.parse::<usize>().map_err(no_number)? << 20;
    let block = block();
    let request = Request::new("PUT", url)?.header("x-key", secret("key"));
    let request = request.header("content-length", size.to_string());
    shown(request.send_with(|body| {
        let mut left = size;
        while left > 0 {
            let (piece, _) = block.split_at(left.min(block.len()));
            body.write_all(piece)?;
            left -= piece.len();
        }
        Ok(())
    })?)
}

fn download(url: &str) -> Result<String> {
    let mut response = Request::get(url)?.header("x-key", secret("key")).send()?;
    let status = response.status();
    let mut at = 0;
    while let Some(piece) = response.piece()? {
        let first = (at % PERIOD) as u8;
        at += piece.len();
        let last = ((at - 1) % PERIOD) as u8;
        if piece.first() != Some(&first) || piece.last() != Some(&last) {
            return Err(Error::Internal(format!("before {at} the body is another")));
        }
    }
    Ok(format!("{status} {at} bytes"))
}

fn leave(url: &str) -> Result<String> {
    std::mem::forget(Request::get(url)?.send()?);
    Ok("left".to_owned())
}

fn open(url: &str) -> std::result::Result<String, String> {
    let (_, authority) = url.split_once("://").unwrap_or_default();
    let refused = |()| "refused".to_owned();
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(&wasip2::http::types::Method::Post).map_err(refused)?;
    request.set_scheme(Some(&Scheme::Http)).map_err(refused)?;
    request.set_authority(Some(authority)).map_err(refused)?;
    request.set_path_with_query(Some("/")).map_err(refused)?;
    let body = request.body().map_err(refused)?;
    let stream = body.write().map_err(refused)?;
    let response = handle(request, None).map_err(|code| code.to_string())?;
    // More than the host buffers: once it is written, the request is on its way.
    for _ in 0..8 {
        stream.blocking_write_and_flush(b"hello").map_err(|error| error.to_string())?;
    }
    std::mem::forget((stream, body, response));
    Ok("opened".to_owned())
}

/// What a test wants to see is which error it was.
fn kind(error: Error) -> String {
    match error {
        Error::Denied(text) => format!("denied: {text}"),
        Error::Unavailable(text) => format!("unavailable: {text}"),
        Error::Timeout(text) => format!("timeout: {text}"),
        Error::InvalidArgument(text) => format!("invalid-argument: {text}"),
        other => format!("{other:?}"),
    }
}

impl Answers for Http {
    fn answer(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let words: Vec<&str> = key.splitn(4, ' ').collect();
        Ok(match *words.as_slice() {
            ["follow", url] => Some(told(follow(url).map_err(kind))),
            ["raw", scheme, authority, path] => Some(told(raw(scheme, authority, path))),
            ["post-flood", url] => Some(told(flood(url).map_err(kind))),
            ["upload", mib, url] => Some(told(upload(mib, url).map_err(kind))),
            ["download", url] => Some(told(download(url).map_err(kind))),
            ["leave", url] => Some(told(leave(url).map_err(kind))),
            ["open", url] => Some(told(open(url))),
            [method, url] => Some(told(send(method, url, None).map_err(kind))),
            [method, url, name, value] => {
                Some(told(send(method, url, Some((name, value))).map_err(kind)))
            }
            _ => None,
        })
    }
}

export_answers!(Http);
