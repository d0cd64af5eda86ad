//! Who may call.
//!
//! With a token: who shows it. Without one only this machine can connect, but a
//! browser on it would carry requests of any web page, in two ways. A page may
//! send requests to `127.0.0.1` whose answer it cannot read (they carry its
//! `Origin`, or `Sec-Fetch-Site: cross-site`), and a page may have its own host
//! name resolve to `127.0.0.1` and then read answers too (they carry its name as
//! `Host`). So without a token the `Host` must be this machine by one of its
//! loopback names, and the request must not come from elsewhere.
//!
//! Public files and links are for whoever has their URL, web pages included, so
//! none of this holds for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stheno_config::Token;
use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

use crate::error::ApiError;
use crate::files;
use crate::router::Api;

/// What an orchestrator asks without a token.
const OPEN: &[&str] = &["/livez", "/readyz"];

pub(crate) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    let allowed = match api.config().token() {
        _ if is_one_of(files::OPEN, &request) => Ok(()),
        Some(_) if is_one_of(OPEN, &request) => Ok(()),
        Some(token) => shows(token, request.headers()),
        None => is_local(request.headers(), request.uri()),
    };
    match allowed {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn is_one_of(routes: &[&str], request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>();
    route.is_some_and(|route| routes.contains(&route.as_str()))
}

/// Whether the caller could ask for anything: what an open route tells him
/// beyond yes and no.
pub(crate) fn is_known(api: &Api, headers: &HeaderMap) -> bool {
    api.config().token().is_none_or(|token| shows(token, headers).is_ok())
}

fn shows(token: &Token, headers: &HeaderMap) -> Result<(), ApiError> {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match shown.and_then(|value| value.split_once(' ')) {
        Some((scheme, shown))
            if scheme.eq_ignore_ascii_case("bearer") && token.matches(shown.trim()) =>
        {
            Ok(())
        }
        _ => Err(ApiError::unauthorized()),
    }
}

fn is_local(headers: &HeaderMap, uri: &Uri) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok());
    // A request line with a whole URL names the host a second time.
    let other = uri.authority().map(Authority::as_str);
    let named =
        hosts.next().is_none() && host.is_some_and(is_loopback) && other.is_none_or(is_loopback);
    if !named {
        return Err(ApiError::denied(
            "the Host header must be localhost, 127.0.0.1 or [::1]: this server has no token, \
             so it answers nobody who knows it by another name",
        ));
    }
    let foreign_origin = headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        origin.is_none() || origin != host
    });
    let foreign_page = headers
        .get_all("sec-fetch-site")
        .iter()
        .any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    if foreign_origin || foreign_page {
        return Err(ApiError::denied(
            "a web page of another origin may not call: this server has no token",
        ));
    }
    Ok(())
}

/// Whether this is `localhost` or a loopback address, with any port or none.
/// Nobody can make an address mean another machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let ip = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => name.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Declares the token in the document.
pub(crate) struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        const NAME: &str = "token";
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme(NAME, scheme);
        // The second one, which asks for nothing, is a server without a token.
        let asked = SecurityRequirement::new(NAME, Vec::<String>::new());
        document.security = Some(vec![asked, SecurityRequirement::default()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse().unwrap(), axum::http::HeaderValue::from_static(value))
        });
        is_local(&headers.collect(), &Uri::from_static("/livez")).is_ok()
    }

    #[test]
    fn only_loopback_names_are_this_machine() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "localhost:7070",
            "127.0.0.1",
            "127.9.9.9:80",
            "[::1]:7070",
        ] {
            assert!(ask(&[("host", host)]), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:7070",
            "localhost.evil.example",
            "127.0.0.1.evil.example:7070",
            "evil.example:localhost",
            "localhost@evil.example",
            "[::1]x",
            "0.0.0.0:7070",
            "192.168.1.5",
        ] {
            assert!(!ask(&[("host", host)]), "{host}");
        }
        assert!(!ask(&[]));
        let headers = [(header::HOST, axum::http::HeaderValue::from_static("localhost"))];
        let headers: HeaderMap = headers.into_iter().collect();
        let whole = Uri::from_static("http://evil.example/livez");
        assert!(is_local(&headers, &whole).is_err());
    }

    #[test]
    fn only_pages_of_the_server_itself_may_call() {
        let host = ("host", "localhost:7070");
        for allowed in [
            &[host][..],
            &[host, ("origin", "http://localhost:7070")],
            &[host, ("sec-fetch-site", "none")],
            &[host, ("sec-fetch-site", "same-origin")],
        ] {
            assert!(ask(allowed), "{allowed:?}");
        }
        for refused in [
            &[host, ("origin", "http://evil.example")][..],
            &[host, ("origin", "null")],
            &[host, ("origin", "http://localhost:8080")],
            &[host, ("origin", "https://localhost:7070")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "same-site")],
        ] {
            assert!(!ask(refused), "{refused:?}");
        }
    }
}
