//! `wasi:http`: requests to the servers that were granted.
//!
//! The interface is WASI's own, so every language's own client works. Its host
//! side is the crate `wasmtime-wasi-http`, without its client: what a guest
//! sends comes here, and leaves through a pool of connections that belongs to
//! the grant.
//!
//! # What a request goes through
//!
//! 1. `policy`: the URL is read once, by the parser that read the grants too. No
//!    grant, no request: it is counted, and the log says what would allow it.
//! 2. Its place: `max_in_flight` and `requests_per_second`.
//! 3. `secrets`: placeholders are filled in, for this grant's host only.
//! 4. `connect`: the name is looked up, each address is checked, and one that was
//!    checked is connected to.
//! 5. `body`, `scan`: both bodies pass piece by piece, counted and timed, and what
//!    comes back is searched for secrets.
//!
//! Redirects are the guest's: following one is another request, which begins at
//! 1. Proxies of the environment are not used, nor are cookies kept.
//!
//! HTTP/1.1 is spoken, with TLS by `rustls` on `ring`, trusting the certificates
//! of the system or those of the grant's `ca`.

mod body;
mod connect;
mod explain;
mod policy;
mod scan;
mod secrets;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::sync::{Arc, Weak};

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use stheno_config::{Grants, HttpGrant};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx,
    WasiHttpHooks,
};

use self::body::{Arriving, Exchange, RequestBody, leaked, lend};
use self::connect::{ConnectError, Pool};
pub(crate) use self::explain::{powers, rule};
use self::policy::Target;
use self::scan::Needles;
use crate::clock::Clock;
use crate::denials::{Counter, Denials};
use crate::log::{RateLimit, one_line};
use crate::resolve::Resolver;

/// Lines about requests that failed in one second; the others are counted.
const LINES_PER_SECOND: u32 = 20;
/// The largest piece of a body that is copied out of the guest at once.
const PIECE_BYTES: usize = 128 * 1024;

/// What one provider may send, and the connections for it.
pub struct Http(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    bindings: Vec<Binding>,
    needles: Option<Needles>,
    denials: Arc<Counter>,
    lines: RateLimit,
    resolver: Resolver,
}

/// One grant and what it has in hand.
struct Binding {
    grant: HttpGrant,
    /// Made at the first request: certificates are not read for nothing.
    pool: OnceCell<Pool>,
    in_flight: Arc<Semaphore>,
    rate: RateLimit,
}

impl Http {
    /// What was granted to the provider whose denials these are.
    pub(crate) fn granted_by(
        denials: &Denials,
        grants: &Grants,
        clock: &Clock,
        resolver: Resolver,
    ) -> Self {
        let secrets = grants.http().iter().flat_map(|grant| &grant.secrets);
        let binding = |grant: &HttpGrant| Binding {
            in_flight: Arc::new(Semaphore::new(grant.max_in_flight.get() as usize)),
            rate: RateLimit::new(grant.requests_per_second.get(), clock.clone()),
            grant: grant.clone(),
            pool: OnceCell::new(),
        };
        Self(Arc::new(Inner {
            name: Arc::clone(denials.provider()),
            needles: Needles::of(secrets),
            bindings: grants.http().iter().map(binding).collect(),
            denials: Arc::clone(&denials.http),
            lines: RateLimit::new(LINES_PER_SECOND, clock.clone()),
            resolver,
        }))
    }

    /// The part of one instance.
    pub(crate) fn instance(&self) -> Instance {
        let hooks = Hooks { http: Arc::clone(&self.0), exchanges: Vec::new() };
        Instance { hooks, context: WasiHttpCtx::new() }
    }
}

/// The part of one instance: what its guest has under way.
pub(crate) struct Instance {
    pub(crate) hooks: Hooks,
    pub(crate) context: WasiHttpCtx,
}

impl Instance {
    /// Ends every exchange that a call has left behind.
    pub(crate) fn end_exchanges(&mut self) {
        for exchange in self.hooks.exchanges.drain(..) {
            if let Some(exchange) = exchange.upgrade() {
                exchange.end();
            }
        }
    }
}

/// How the crate asks us.
pub(crate) struct Hooks {
    http: Arc<Inner>,
    exchanges: Vec<Weak<Exchange>>,
}

type Outcome = Result<(Response<WasiBody>, Finish), Error>;
type Finish = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        const FRAMING: [HeaderName; 3] =
            [http::header::EXPECT, http::header::TE, http::header::TRAILER];
        Arc::new(|name| DEFAULT_FORBIDDEN_HEADERS.contains(name) || FRAMING.contains(name))
    }

    /// It is made of the host that was granted.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Finish,
    ) -> Box<dyn Future<Output = Outcome> + Send> {
        let begun = self.http.admit(&request).and_then(|(place, target)| {
            let permit = self.http.take_place(place)?;
            Ok((place, target, Exchange::new(permit)))
        });
        let (mut parts, body) = request.into_parts();
        let (body, lender) = lend(body);
        let (place, target, (exchange, ended)) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                drop(body);
                return Box::new(async move {
                    lender.read_on().await;
                    Err(error)
                });
            }
        };
        if self.exchanges.len() >= 16 {
            self.exchanges.retain(|exchange| exchange.strong_count() > 0);
        }
        self.exchanges.push(Arc::downgrade(&exchange));
        let http = Arc::clone(&self.http);
        let sent = async move {
            parts.uri = target_uri(&target, &parts.uri)?;
            let binding = http.bindings.get(place).ok_or(Error::ConfigurationError)?;
            let grant = &binding.grant;
            secrets::fill_head(&grant.secrets, &mut parts)?;
            if http.needles.is_some() {
                secrets::ask_for_plain_text(&mut parts);
            }
            let begun = Instant::now();
            let options = options.unwrap_or_default();
            let first = options.first_byte_timeout.unwrap_or(grant.response_timeout.get());
            let first = begun + first.min(grant.response_timeout.get());
            let deadline = begun + grant.timeout.get();
            let answer = tokio::time::timeout_at(first.min(deadline), async {
                let body = body.boxed_unsync();
                let body = secrets::fill_body(&grant.secrets, &mut parts, body).await?;
                let body =
                    RequestBody { inner: body, left: grant.max_request.get().as_u64(), ended };
                let pool = http.pool(binding).await?;
                let sent = pool.request(Request::from_parts(parts, body)).await;
                sent.map_err(|error| http.failed(&error))
            });
            let answer = answer.await.map_err(|_| Error::HttpResponseTimeout)??;
            let response = http.examine(grant, &target, answer)?;
            let (head, incoming) = response.into_parts();
            let between = options
                .between_bytes_timeout
                .map(|pause| (pause, Box::pin(tokio::time::sleep(pause))));
            let mut body = exchange.respond(Arriving {
                incoming,
                scan: http.needles.as_ref().map(Needles::scan),
                left: grant.max_response.get().as_u64(),
                deadline: Box::pin(tokio::time::sleep_until(deadline)),
                between,
            });
            let teller = Arc::clone(&http);
            body.on_leak = Some(Box::new(move || teller.leaked(&target)));
            let finish: Finish = Box::new(std::future::ready(Ok(())));
            Ok((Response::from_parts(head, body.boxed_unsync()), finish))
        };
        Box::new(async move {
            let sent = sent.await;
            if sent.is_err() {
                lender.read_on().await;
            }
            sent
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE_BYTES
    }

    fn p2_error_from_hyper(
        &mut self,
        error: &hyper::Error,
    ) -> wasmtime_wasi_http::p2::bindings::http::types::ErrorCode {
        use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
        tracing::debug!(provider = &*self.http.name, %error, "a response ended early");
        if error.is_incomplete_message() || error.is_body_write_aborted() {
            ErrorCode::HttpResponseIncomplete
        } else if error.is_parse() {
            ErrorCode::HttpProtocolError
        } else {
            ErrorCode::ConnectionTerminated
        }
    }
}

/// The URL in the spelling that was granted.
fn target_uri(target: &Target, asked: &Uri) -> Result<Uri, Error> {
    let path = match asked.query() {
        Some(query) => format!("{}?{query}", target.path),
        None => target.path.clone(),
    };
    Uri::builder()
        .scheme(target.scheme.as_str())
        .authority(target.authority())
        .path_and_query(path)
        .build()
        .map_err(|_| Error::HttpRequestUriInvalid)
}

impl Inner {
    /// Finds the grant for a request.
    fn admit(&self, request: &Request<WasiBody>) -> Result<(usize, Target), Error> {
        let grants = self.bindings.iter().map(|binding| &binding.grant);
        Target::read(request.method(), request.uri())
            .and_then(|target| policy::decide(grants, target))
            .map_err(|refusal| {
                self.denials.add(&refusal.to_string());
                Error::HttpRequestDenied
            })
    }

    /// Takes a place among the requests under way.
    fn take_place(&self, place: usize) -> Result<tokio::sync::OwnedSemaphorePermit, Error> {
        let binding = self.bindings.get(place).ok_or(Error::ConfigurationError)?;
        let permit = Arc::clone(&binding.in_flight)
            .try_acquire_owned()
            .map_err(|_| Error::ConnectionLimitReached)?;
        match binding.rate.admit() {
            Some(_) => Ok(permit),
            None => Err(Error::ConnectionLimitReached),
        }
    }

    async fn pool<'b>(&self, binding: &'b Binding) -> Result<&'b Pool, Error> {
        let made =
            binding.pool.get_or_try_init(|| connect::pool(&binding.grant, self.resolver.clone()));
        made.await.map_err(|error| {
            self.warn(&error.to_string());
            Error::ConfigurationError
        })
    }

    /// Looks at the head of a response.
    fn examine(
        &self,
        grant: &HttpGrant,
        target: &Target,
        response: Response<Incoming>,
    ) -> Result<Response<Incoming>, Error> {
        let headers = response.headers();
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse::<u64>().ok());
        // A `HEAD` has the length of what it does not have.
        if target.method != "HEAD" && length > Some(grant.max_response.get().as_u64()) {
            return Err(Error::HttpResponseBodySize(length));
        }
        let Some(needles) = &self.needles else { return Ok(response) };
        if needles.in_headers(headers).is_err() {
            self.leaked(target);
            return Err(leaked());
        }
        let coded = |name: HeaderName, plain: &str| {
            headers.get_all(name).iter().find(|&coding| coding != plain).cloned()
        };
        let coding =
            coded(CONTENT_ENCODING, "identity").or_else(|| coded(TRANSFER_ENCODING, "chunked"));
        if let Some(coding) = coding {
            let coding = coding.to_str().ok().map(one_line);
            return Err(Error::HttpResponseContentCoding(coding));
        }
        Ok(response)
    }

    fn leaked(&self, target: &Target) {
        self.denials.add(&format!(
            "the response of {} had a secret of `grants.http` in it",
            target.authority()
        ));
    }

    /// What became of a request that was sent, or could not be.
    fn failed(&self, error: &hyper_util::client::legacy::Error) -> Error {
        let mut source: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(cause) = source {
            if let Some(cause) = cause.downcast_ref::<ConnectError>() {
                return self.not_connected(cause);
            }
            if let Some(Error::HttpRequestBodySize(size)) = cause.downcast_ref::<Error>() {
                return Error::HttpRequestBodySize(*size);
            }
            if let Some(cause) = cause.downcast_ref::<rustls::Error>() {
                self.warn(&format!("TLS failed: {cause}"));
                return match cause {
                    rustls::Error::InvalidCertificate(_) => Error::TlsCertificateError,
                    _ => Error::TlsProtocolError,
                };
            }
            if let Some(cause) = cause.downcast_ref::<std::io::Error>() {
                // One wraps the others.
                if let Some(inner) = cause.get_ref() {
                    source = Some(inner);
                    continue;
                }
                if error.is_connect() {
                    return match cause.kind() {
                        std::io::ErrorKind::TimedOut => Error::ConnectionTimeout,
                        std::io::ErrorKind::HostUnreachable
                        | std::io::ErrorKind::NetworkUnreachable => Error::DestinationUnavailable,
                        _ => Error::ConnectionRefused,
                    };
                }
            }
            if let Some(cause) = cause.downcast_ref::<hyper::Error>()
                && cause.is_parse()
            {
                return Error::HttpProtocolError;
            }
            source = cause.source();
        }
        if error.is_connect() { Error::ConnectionRefused } else { Error::ConnectionTerminated }
    }

    fn not_connected(&self, error: &ConnectError) -> Error {
        match error {
            ConnectError::Address { .. } => {
                self.denials.add(&error.to_string());
                Error::HttpRequestDenied
            }
            ConnectError::NoAddress(_) | ConnectError::Lookup { .. } => {
                self.warn(&error.to_string());
                Error::DnsError { rcode: None, info_code: None }
            }
            ConnectError::Timeout => Error::ConnectionTimeout,
        }
    }

    /// Says it in the log, as often as the log can bear.
    fn warn(&self, text: &str) {
        let Some(dropped) = self.lines.admit() else { return };
        let provider = &*self.name;
        if dropped > 0 {
            tracing::warn!(provider, dropped, "lines about HTTP dropped");
        }
        let line = one_line(text);
        tracing::warn!(provider, "{line}");
    }
}

#[cfg(test)]
impl Http {
    fn denied(&self) -> u64 {
        self.0.denials.count()
    }

    /// Whether an exchange belongs to nobody.
    fn in_flight(&self, place: usize) -> usize {
        let binding = &self.0.bindings[place];
        binding.grant.max_in_flight.get() as usize - binding.in_flight.available_permits()
    }
}
