//! Requests over HTTP to the servers that the operator granted
//! (`grants.http`): a small client over WASI's own `wasi:http`, which any other
//! client for it serves as well. A component that uses it is not loaded without
//! a grant.
//!
//! ```no_run
//! use stheno_sdk::http::{Request, secret};
//! # fn example() -> stheno_sdk::Result<()> {
//! let response = Request::post("https://api.example.com/v1/things")?
//!     .header("authorization", secret("authorization"))
//!     .header("content-type", "application/json")
//!     .send_bytes(b"{}")?;
//! let body = response.bytes(64 * 1024)?;
//! # let _ = body; Ok(()) }
//! ```
//!
//! Redirects are not followed, and every status is an answer, not an error.

use std::io::{self, Write};

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, Scheme, http_error_code,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::provider::{Error, Result};

/// The most bytes that are read at once.
const PIECE: u64 = 64 * 1024;

/// What to write where the secret called `name` in `grants.http` belongs. The
/// host fills it in, for the granted server and in the granted place only.
#[must_use]
pub fn secret(name: &str) -> String {
    format!("__stheno_secret_{name}__")
}

/// A request that is being put together.
#[derive(Debug)]
pub struct Request {
    method: Method,
    url: Url,
    headers: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Url {
    tls: bool,
    authority: String,
    path: String,
}

impl Url {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (!authority.is_empty()).then(|| Self { tls, authority: authority.to_owned(), path })
    }
}

impl Request {
    /// A request with this method, such as `PUT`, to this URL.
    ///
    /// # Errors
    ///
    /// `invalid-argument` if the URL is not an absolute one of `http` or `https`.
    /// Whether its host and path are lawful is found out by sending.
    pub fn new(method: &str, url: &str) -> Result<Self> {
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            "PATCH" => Method::Patch,
            other => Method::Other(other.to_owned()),
        };
        let url = Url::parse(url).ok_or_else(|| {
            Error::InvalidArgument(format!("{url:?} is not a URL of http or https"))
        })?;
        Ok(Self { method, url, headers: Vec::new() })
    }

    /// A `GET`.
    ///
    /// # Errors
    ///
    /// As for [`Request::new`].
    pub fn get(url: &str) -> Result<Self> {
        Self::new("GET", url)
    }

    /// A `POST`.
    ///
    /// # Errors
    ///
    /// As for [`Request::new`].
    pub fn post(url: &str) -> Result<Self> {
        Self::new("POST", url)
    }

    /// Adds a header. One that no request may have is an error of sending.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sends it without a body and waits for the head of the response.
    ///
    /// # Errors
    ///
    /// `denied` if no grant covers it or its server may not be reached;
    /// `unavailable` if it was not sent; `timeout` if it may have been;
    /// `invalid-argument` for a header, a URL or a method that cannot be.
    pub fn send(self) -> Result<Response> {
        answer(&outgoing_handler::handle(self.outgoing()?, None).map_err(told)?)
    }

    /// Sends it with this body and its length, and waits for the head of the
    /// response.
    ///
    /// # Errors
    ///
    /// As for [`Request::send`].
    pub fn send_bytes(self, body: &[u8]) -> Result<Response> {
        let request = self.header("content-length", body.len().to_string());
        request.send_with(|writer| writer.write_all(body))
    }

    /// Sends it with a body of unknown length that `write` writes, and waits for
    /// the head of the response. The body leaves piece by piece.
    ///
    /// # Errors
    ///
    /// As for [`Request::send`]. A server that answers before it has all of the
    /// body is no error; what `write` says of it is then left aside.
    pub fn send_with(self, write: impl FnOnce(&mut Body) -> io::Result<()>) -> Result<Response> {
        let request = self.outgoing()?;
        let body = request.body().map_err(|()| internal("the body cannot be opened"))?;
        let stream = body.write().map_err(|()| internal("the body cannot be written"))?;
        let response = outgoing_handler::handle(request, None).map_err(told)?;
        let mut writer = Body { stream };
        let written = write(&mut writer);
        drop(writer);
        match written {
            // A failure here is one of the response too, which says more.
            Ok(()) => drop(OutgoingBody::finish(body, None)),
            Err(_) => drop(body),
        }
        answer(&response)
    }

    fn outgoing(self) -> Result<OutgoingRequest> {
        let headers = Fields::new();
        for (name, value) in &self.headers {
            headers.append(name, value).map_err(|error| {
                let why = match error {
                    HeaderError::InvalidSyntax => "its name or its value cannot be sent",
                    HeaderError::Forbidden => "no request may set it",
                    HeaderError::Immutable => "the headers are closed",
                };
                Error::InvalidArgument(format!("header {name:?}: {why}"))
            })?;
        }
        let request = OutgoingRequest::new(headers);
        let scheme = if self.url.tls { Scheme::Https } else { Scheme::Http };
        let set = request
            .set_method(&self.method)
            .map_err(|()| "method")
            .and_then(|()| request.set_scheme(Some(&scheme)).map_err(|()| "scheme"))
            .and_then(|()| request.set_authority(Some(&self.url.authority)).map_err(|()| "host"))
            .and_then(|()| request.set_path_with_query(Some(&self.url.path)).map_err(|()| "path"));
        match set {
            Ok(()) => Ok(request),
            Err(part) => {
                Err(Error::InvalidArgument(format!("the {part} of the request is not one")))
            }
        }
    }
}

/// The body of a request on its way out.
pub struct Body {
    stream: OutputStream,
}

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        loop {
            let room = self.stream.check_write().map_err(broken)?;
            if room == 0 {
                self.stream.subscribe().block();
                continue;
            }
            let room = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, _) = bytes.split_at(room);
            self.stream.write(piece).map_err(broken)?;
            return Ok(room);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn broken(error: StreamError) -> io::Error {
    match error {
        StreamError::Closed => io::ErrorKind::BrokenPipe.into(),
        StreamError::LastOperationFailed(error) => io::Error::other(error.to_debug_string()),
    }
}

/// A response whose body is still to be read. Dropping it ends it.
pub struct Response {
    status: u16,
    headers: Fields,
    // Before what they came from: that is the order in which they must go.
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl Response {
    /// Such as 200.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first value of a header, if it has one that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).into_iter().next().and_then(|value| String::from_utf8(value).ok())
    }

    /// The next piece of the body, `None` at its end.
    ///
    /// # Errors
    ///
    /// `timeout` if it did not come whole.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match self.stream.blocking_read(PIECE) {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Ok(Some(piece)),
                Err(StreamError::Closed) => return Ok(None),
                Err(StreamError::LastOperationFailed(error)) => {
                    return Err(match http_error_code(&error) {
                        Some(code) => told(code),
                        None => Error::Timeout(format!(
                            "the response did not come whole: {}",
                            error.to_debug_string()
                        )),
                    });
                }
            }
        }
    }

    /// The whole body, if it has no more than `most` bytes.
    ///
    /// # Errors
    ///
    /// As for [`Response::piece`]; `unavailable` if it is larger.
    pub fn bytes(mut self, most: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece()? {
            if bytes.len() + piece.len() > most {
                return Err(Error::Unavailable(format!(
                    "the response is larger than {most} bytes"
                )));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

/// Waits for the head.
fn answer(response: &FutureIncomingResponse) -> Result<Response> {
    let taken = || internal("the response was taken already");
    let response = loop {
        match response.get() {
            Some(response) => break response.map_err(|()| taken())?.map_err(told)?,
            None => response.subscribe().block(),
        }
    };
    let body = response.consume().map_err(|()| taken())?;
    let stream = body.stream().map_err(|()| taken())?;
    let (status, headers) = (response.status(), response.headers());
    Ok(Response { status, headers, stream, _body: body, _response: response })
}

fn internal(what: &str) -> Error {
    Error::Internal(what.to_owned())
}

/// What a failed request is to a caller: whether it went out is what counts.
fn told(code: ErrorCode) -> Error {
    let text = format!("HTTP: {code}");
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => Error::Denied(
            "HTTP: the request was denied; the host's log has the line that would allow it"
                .to_owned(),
        ),
        ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_)
        | ErrorCode::HttpRequestBodySize(_) => Error::InvalidArgument(text),
        ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionLimitReached
        | ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_)
        | ErrorCode::ConfigurationError => Error::Unavailable(text),
        ErrorCode::InternalError(Some(text)) => Error::Internal(format!("HTTP: {text}")),
        // Nobody knows how far the request came.
        _ => Error::Timeout(text),
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn a_url_is_cut_where_its_host_ends() {
        let cut = |text: &str| Url::parse(text).map(|url| (url.tls, url.authority, url.path));
        let url =
            |tls, authority: &str, path: &str| Some((tls, authority.to_owned(), path.to_owned()));
        assert_eq!(cut("https://a.b/c?d#e"), url(true, "a.b", "/c?d"));
        assert_eq!(cut("http://a:80"), url(false, "a:80", "/"));
        assert_eq!(cut("https://a?x=/"), url(true, "a", "/?x=/"));
        for none in ["", "a.b/c", "ftp://a", "https://", "https:///x", "HTTPS//a"] {
            assert_eq!(cut(none), None, "{none}");
        }
    }
}
