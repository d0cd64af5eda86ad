//! A mail service on loopback that is as strict as the vendors document.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jsonschema::Validator;
use serde_json::{Value, json};

/// The key of the operator, which no provider may ever see.
pub(crate) const KEY: &str = "re_live_0123456789abcdef";

/// Which service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    Resend,
    SendGrid,
}

impl Vendor {
    pub(crate) fn provider(self) -> &'static str {
        match self {
            Self::Resend => "notifications-resend",
            Self::SendGrid => "notifications-sendgrid",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Resend => "/emails",
            Self::SendGrid => "/v3/mail/send",
        }
    }

    fn schema(self) -> Validator {
        let text = match self {
            Self::Resend => include_str!("schemas/resend.json"),
            Self::SendGrid => include_str!("schemas/sendgrid.json"),
        };
        let schema = serde_json::from_str(text).unwrap();
        jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
    }

    /// An error as the vendor words it.
    fn error(self, status: StatusCode, message: &str) -> Response {
        let body = match self {
            Self::Resend => {
                json!({"statusCode": status.as_u16(), "name": "an_error", "message": message})
            }
            Self::SendGrid => json!({"errors": [{"message": message, "field": null}]}),
        };
        (status, body.to_string()).into_response()
    }
}

/// One request that the service took.
#[derive(Clone)]
pub(crate) struct Taken {
    pub(crate) key: Option<String>,
    pub(crate) body: Value,
}

/// What the service was told to answer next, in place of what is right.
pub(crate) enum Next {
    Status(u16),
    /// A status, and words of its own.
    Saying(u16, String),
    /// Says that it took the mail, without what belongs to that.
    Bare(u16),
}

#[derive(Default)]
struct Log {
    taken: Vec<Taken>,
    asked: usize,
    next: Vec<Next>,
    by_key: HashMap<String, (Value, String)>,
}

struct Inner {
    vendor: Vendor,
    schema: Validator,
    log: Mutex<Log>,
}

pub(crate) struct Service {
    inner: Arc<Inner>,
    pub(crate) address: SocketAddr,
}

impl Service {
    pub(crate) async fn start(vendor: Vendor) -> Self {
        let inner =
            Arc::new(Inner { vendor, schema: vendor.schema(), log: Mutex::new(Log::default()) });
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inner, address }
    }

    /// Answers the next request so.
    pub(crate) fn next(&self, next: Next) {
        self.inner.log.lock().unwrap().next.push(next);
    }

    /// What it took, the oldest first.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.inner.log.lock().unwrap().taken.clone()
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.inner.log.lock().unwrap().asked
    }
}

async fn answer(
    State(service): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let vendor = service.vendor;
    let mut log = service.log.lock().unwrap();
    log.asked += 1;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("idempotency-key").map(str::to_owned);
    if method != Method::POST {
        return vendor.error(StatusCode::METHOD_NOT_ALLOWED, "only POST");
    }
    if uri.path() != vendor.path() || uri.query().is_some() {
        return vendor.error(StatusCode::NOT_FOUND, "no such path");
    }
    if text(header::AUTHORIZATION.as_str()) != Some(&format!("Bearer {KEY}")) {
        return vendor.error(StatusCode::UNAUTHORIZED, "no such key");
    }
    if text(header::CONTENT_TYPE.as_str()) != Some("application/json") {
        return vendor.error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "JSON is wanted");
    }
    if text("idempotency-key").is_some_and(|key| key.is_empty() || key.len() > 256) {
        return vendor.error(StatusCode::BAD_REQUEST, "the key has 1 to 256 characters");
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return vendor.error(StatusCode::BAD_REQUEST, "the body is no JSON");
    };
    let mistakes: Vec<_> = service
        .schema
        .iter_errors(&body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if !mistakes.is_empty() {
        return vendor.error(StatusCode::UNPROCESSABLE_ENTITY, &mistakes.join("; "));
    }
    let status = |code: u16| StatusCode::from_u16(code).unwrap();
    if !log.next.is_empty() {
        let (code, message) = match log.next.remove(0) {
            Next::Status(code) => (code, "told to".to_owned()),
            Next::Saying(code, message) => (code, message),
            Next::Bare(code) => {
                log.taken.push(Taken { key, body });
                return status(code).into_response();
            }
        };
        log.taken.push(Taken { key, body });
        return vendor.error(status(code), &message);
    }
    let number = log.taken.len();
    log.taken.push(Taken { key: key.clone(), body: body.clone() });
    match vendor {
        Vendor::SendGrid => {
            (StatusCode::ACCEPTED, [("x-message-id", format!("sg-{number}"))]).into_response()
        }
        Vendor::Resend => {
            let id = format!("re-{number}");
            let id = match key {
                None => id,
                Some(key) => {
                    let (first, id) =
                        log.by_key.entry(key).or_insert_with(|| (body.clone(), id)).clone();
                    if first != body {
                        let said = json!({
                            "statusCode": 409, "name": "invalid_idempotent_request",
                            "message": "this key was used with another body",
                        });
                        return (StatusCode::CONFLICT, said.to_string()).into_response();
                    }
                    id
                }
            };
            json!({"id": id}).to_string().into_response()
        }
    }
}
