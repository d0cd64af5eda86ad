//! The client of a running server.

use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stheno::config::Token;

use crate::failure::Failure;
use crate::output;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOKEN: &str = "STHENO_TOKEN";

pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Token>,
}

/// The text of an answer: empty where there is nothing to say.
pub(super) struct Answer(String);

/// A request with headers, and a body that may be a stream.
pub(super) struct Sent<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    kind: String,
    message: String,
}

impl Client {
    pub(super) fn new(url: &str, token_file: Option<&Path>) -> Result<Self, Failure> {
        const EXAMPLE: &str = "write such as http://127.0.0.1:7070";
        let base = Url::parse(url)
            .map_err(|error| Failure::other(format!("{url:?} is not a URL: {error}"), EXAMPLE))?;
        if base.scheme() != "http" || base.cannot_be_a_base() {
            let message = format!("{url:?} is not a URL that this command can call");
            let help = format!("{EXAMPLE}; TLS is for a proxy in front of the server");
            return Err(Failure::other(message, help));
        }
        // Its token is for the server alone, so no proxy of the environment.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| Failure::Other {
                message: format!("no HTTP client can be made: {error}"),
                help: None,
            })?;
        Ok(Self { http, base, token: token(token_file)? })
    }

    /// Sends a request and takes its answer, which may have a body of any kind.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Response, Failure> {
        let headers = HeaderMap::new();
        self.send_body(Sent { method, path, query, headers, body: body.into() }).await
    }

    /// Sends a request as [`Client::send`] does, with all that it may have.
    pub(super) async fn send_body(&self, sent: Sent<'_>) -> Result<Response, Failure> {
        let Sent { method, path, query, headers, body } = sent;
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request: RequestBuilder =
            self.http.request(method, url).headers(headers).body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let response = request.send().await.map_err(|error| self.unanswered(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response).await)
    }

    /// Sends a request whose answer is JSON or nothing.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let response = self.send(method, path, query, body).await?;
        self.read(response).await
    }

    /// The text of an answer.
    pub(super) async fn read(&self, response: Response) -> Result<Answer, Failure> {
        response.text().await.map(Answer).map_err(|error| self.unanswered(&error))
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.ask(Method::GET, path, query, Vec::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer, Failure> {
        self.ask(Method::POST, path, &[], encoded(body)?).await
    }

    /// The server's own error, or that this is another server.
    async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        let error = response.json::<ErrorBody>().await;
        let answer = |ErrorDetail { kind, message }| Failure::Answer { kind, message };
        match error {
            Ok(ErrorBody { error }) if status == StatusCode::UNAUTHORIZED => {
                let message = format!(
                    "{}; this command takes it from {TOKEN} or --token-file",
                    error.message
                );
                answer(ErrorDetail { message, ..error })
            }
            Ok(ErrorBody { error }) => answer(error),
            Err(_) => Failure::other(
                format!("{} answers with status {status}, but it is not Stheno", self.shown()),
                "say where `stheno up` listens with --url or STHENO_URL",
            ),
        }
    }

    pub(super) fn unanswered(&self, error: &reqwest::Error) -> Failure {
        let base = self.shown();
        if error.is_connect() {
            return Failure::other(
                format!("nothing answers at {base}"),
                "start it with `stheno up`, or say where it is with --url or STHENO_URL",
            );
        }
        let mut message = format!("the answer of {base} broke off");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Failure::Other { message, help: None }
    }

    /// The address without what may be secret in it.
    fn shown(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port_or_known_default().unwrap_or_default();
        format!("http://{host}:{port}")
    }
}

impl Answer {
    /// Prints it as it came.
    pub(super) fn print(&self) -> Result<(), Failure> {
        if !self.0.is_empty() {
            output::line(&self.0)?;
        }
        Ok(())
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.0).map_err(|error| {
            Failure::other(
                format!("the answer cannot be understood: {error}"),
                "the server may have another version; compare with `stheno --version`",
            )
        })
    }
}

pub(super) fn encoded(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|error| Failure::Other {
        message: format!("the request cannot be written: {error}"),
        help: None,
    })
}

/// The token, from the file or the environment: not from an argument, which
/// everybody on the machine can read.
fn token(file: Option<&Path>) -> Result<Option<Token>, Failure> {
    let (place, text) = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Failure::other(
                    format!("{} cannot be read: {error}", file.display()),
                    "give a file that holds the token and nothing else",
                )
            })?;
            (file.display().to_string(), text)
        }
        None => match std::env::var(TOKEN) {
            Ok(text) if !text.is_empty() => (TOKEN.to_owned(), text),
            _ => return Ok(None),
        },
    };
    Token::new(text.trim()).map(Some).map_err(|error| {
        Failure::other(
            format!("what {place} holds is no token: {error}"),
            "give the text that stands in the server's config as server.token",
        )
    })
}
