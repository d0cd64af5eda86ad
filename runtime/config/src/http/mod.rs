//! `grants.http`: the servers that a provider may send requests to.

mod host;
mod limits;
mod path;
mod secret;

use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;

use thiserror::Error;
use toml::de::DeValue;

use crate::bounded;
use crate::decode::{Decoder, Node, Section, Why};
use crate::path::host_path;
use crate::suggest;

pub use host::{DnsName, HostError, HostPattern, HostPatternError, HttpAuthority, HttpHost};
pub use limits::{
    HttpConnectTimeout, HttpInFlight, HttpMaxRequest, HttpMaxResponse, HttpRate,
    HttpResponseTimeout, HttpTimeout,
};
pub use path::{PathError, PathPrefix, check_path};
pub use secret::{HttpSecret, HttpSecretError, SecretName, SecretPlace};

const KEYS: &[&str] = &[
    "host",
    "scheme",
    "port",
    "methods",
    "path",
    "private",
    "ca",
    "secrets",
    HttpMaxRequest::KEY,
    HttpMaxResponse::KEY,
    HttpConnectTimeout::KEY,
    HttpResponseTimeout::KEY,
    HttpTimeout::KEY,
    HttpInFlight::KEY,
    HttpRate::KEY,
];
const EXAMPLE: &str = r#"http = [{ host = "api.example.com", methods = ["POST"], path = "/v1/" }]"#;

/// One server, or several below one name, and what may be asked of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGrant {
    /// Which hosts.
    pub host: HostPattern,
    /// Which scheme. Default `https`.
    pub scheme: HttpScheme,
    /// Which port. Default that of the scheme.
    pub port: NonZeroU16,
    /// Which methods. Default `GET` and `HEAD`.
    pub methods: Vec<HttpMethod>,
    /// Which paths. Default all.
    pub path: PathPrefix,
    /// Whether the named host may be on this machine or in a private network.
    /// A host that is granted by its address needs no such word.
    pub private: bool,
    /// A file of certificates in PEM to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// What the host fills in for the guest.
    pub secrets: Vec<HttpSecret>,
    /// The largest body of a request.
    pub max_request: HttpMaxRequest,
    /// The largest body of a response.
    pub max_response: HttpMaxResponse,
    /// How long looking up, connecting and TLS may take together.
    pub connect_timeout: HttpConnectTimeout,
    /// How long the head of the response may take, all before it included.
    pub response_timeout: HttpResponseTimeout,
    /// How long all of it may take.
    pub timeout: HttpTimeout,
    /// How many requests may be under way at once.
    pub max_in_flight: HttpInFlight,
    /// How many requests may begin in one second.
    pub requests_per_second: HttpRate,
}

impl HttpGrant {
    /// Grants `GET` and `HEAD` over TLS on the usual port, within the default
    /// limits.
    pub fn new(host: HostPattern) -> Self {
        let scheme = HttpScheme::default();
        Self {
            host,
            scheme,
            port: scheme.port(),
            methods: vec![HttpMethod("GET".to_owned()), HttpMethod("HEAD".to_owned())],
            path: PathPrefix::default(),
            private: false,
            ca: None,
            secrets: Vec::new(),
            max_request: HttpMaxRequest::DEFAULT,
            max_response: HttpMaxResponse::DEFAULT,
            connect_timeout: HttpConnectTimeout::DEFAULT,
            response_timeout: HttpResponseTimeout::DEFAULT,
            timeout: HttpTimeout::DEFAULT,
            max_in_flight: HttpInFlight::DEFAULT,
            requests_per_second: HttpRate::DEFAULT,
        }
    }
}

/// How requests travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpScheme {
    /// Over TLS, the default.
    #[default]
    Https,
    /// In the clear.
    Http,
}

impl HttpScheme {
    const NAMES: &'static [&'static str] = &["https", "http"];

    /// As a URL has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    /// The port where none is written.
    pub const fn port(self) -> NonZeroU16 {
        match self {
            Self::Https => NonZeroU16::MIN.saturating_add(442),
            Self::Http => NonZeroU16::MIN.saturating_add(79),
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Https, Self::Http].into_iter().find(|scheme| scheme.as_str() == name)
    }
}

/// A method that can be granted: 1 to 32 upper-case letters and `-`; not
/// `CONNECT`, `TRACE` or `TRACK`, which reach beyond a resource.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpMethod(String);

/// A text is not an [`HttpMethod`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HttpMethodError {
    /// It has other characters.
    #[error("a method has 1 to 32 upper-case letters and `-`")]
    Characters,
    /// It reaches beyond a resource.
    #[error("this method cannot be granted")]
    Beyond,
}

impl HttpMethod {
    /// Takes a method.
    ///
    /// # Errors
    ///
    /// It is none, or one that cannot be granted.
    pub fn new(text: &str) -> Result<Self, HttpMethodError> {
        let lawful = |b: u8| b.is_ascii_uppercase() || b == b'-';
        if !(1..=32).contains(&text.len()) || !text.bytes().all(lawful) {
            return Err(HttpMethodError::Characters);
        }
        if matches!(text, "CONNECT" | "TRACE" | "TRACK") {
            return Err(HttpMethodError::Beyond);
        }
        Ok(Self(text.to_owned()))
    }

    /// The method.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HttpMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the list.
pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Vec<HttpGrant> {
    let nodes = decoder.array(node, EXAMPLE).unwrap_or_default();
    nodes.iter().filter_map(|node| decode_one(decoder, node)).collect()
}

fn decode_one(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<HttpGrant> {
    let section = decoder.section(node, KEYS, EXAMPLE)?;
    let Some(host_node) = section.get("host") else {
        decoder.fault(node, "the grant has no `host`", format!("write {EXAMPLE}"));
        return None;
    };
    let host = decoder.parsed(&host_node, "a host", r#"host = "api.example.com""#, |text| {
        if let Some((_, rest)) = text.split_once("://") {
            let host = rest.split(['/', ':']).next().unwrap_or_default();
            return Err(Why { instead: Some(host.to_owned()), ..Why::reason("it is a URL") });
        }
        HostPattern::parse(text).map_err(|error| match error {
            HostPatternError::Host(HostError::NotIpv6) if text.contains(':') => Why::with_help(
                error,
                r#"write the port as a key of its own: { host = "api.example.com", port = 8443 }"#,
            ),
            error => Why::reason(error),
        })
    })?;
    let mut grant = HttpGrant::new(host);
    if let Some(node) = section.get("scheme") {
        let parse = |text: &str| {
            HttpScheme::from_name(text).ok_or_else(|| Why {
                instead: suggest::nearest(text, HttpScheme::NAMES).map(str::to_owned),
                ..Why::reason("there is no such scheme")
            })
        };
        grant.scheme = decoder.parsed(&node, "a scheme", r#"scheme = "https""#, parse)?;
    }
    grant.port = match section.get("port") {
        Some(node) => decode_port(decoder, &node)?,
        None => grant.scheme.port(),
    };
    if let Some(node) = section.get("methods") {
        grant.methods = decode_methods(decoder, &node)?;
    }
    if let Some(node) = section.get("path") {
        let parse = |text: &str| PathPrefix::new(text).map_err(Why::reason);
        grant.path = decoder.parsed(&node, "a path", r#"path = "/v1/""#, parse)?;
    }
    grant.private = decode_private(decoder, &section, &grant.host)?;
    if let Some(node) = section.get("ca") {
        let base = decoder.base;
        let parse = |text: &str| host_path(text, base);
        grant.ca = Some(decoder.parsed(&node, "a file", r#"ca = "./ca.pem""#, parse)?);
    }
    if let Some(node) = section.get("secrets") {
        grant.secrets = secret::decode(decoder, &node);
        if grant.scheme == HttpScheme::Http && !grant.private && !is_address(&grant.host) {
            decoder.fault(
                &node,
                "a secret would travel in the clear",
                r#"leave out scheme = "http"; within a private network say so: private = true"#,
            );
        }
    }
    grant.max_request = bounded::decode(decoder, &section);
    grant.max_response = bounded::decode(decoder, &section);
    grant.connect_timeout = bounded::decode(decoder, &section);
    grant.response_timeout = bounded::decode(decoder, &section);
    grant.timeout = bounded::decode(decoder, &section);
    grant.max_in_flight = bounded::decode(decoder, &section);
    grant.requests_per_second = bounded::decode(decoder, &section);
    Some(grant)
}

fn is_address(host: &HostPattern) -> bool {
    matches!(host, HostPattern::One(HttpHost::Address(_)))
}

fn decode_port(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<NonZeroU16> {
    let example = "port = 8443";
    let value = match node.value {
        DeValue::Integer(integer) => u16::from_str_radix(integer.as_str(), integer.radix()).ok(),
        DeValue::String(raw) if raw.contains("${") => {
            decoder.text(node, "a port", example)?.value.parse().ok()
        }
        _ => {
            decoder.wrong_type(node, "a whole number", example);
            return None;
        }
    };
    let port = value.and_then(NonZeroU16::new);
    if port.is_none() {
        decoder.fault(node, "a port lies between 1 and 65535", format!("write {example}"));
    }
    port
}

fn decode_methods(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Vec<HttpMethod>> {
    let example = r#"methods = ["GET", "POST"]"#;
    let nodes = decoder.array(node, example)?;
    if nodes.is_empty() {
        decoder.fault(node, "no method is listed", format!("write {example}"));
    }
    let parse = |text: &str| {
        HttpMethod::new(text).map_err(|error| Why {
            instead: (HttpMethod::new(&text.to_ascii_uppercase()).is_ok())
                .then(|| text.to_ascii_uppercase()),
            ..Why::reason(error)
        })
    };
    let mut methods: Vec<HttpMethod> = Vec::new();
    for node in nodes {
        if let Some(method) = decoder.parsed(&node, "a method", example, parse)
            && !methods.contains(&method)
        {
            methods.push(method);
        }
    }
    Some(methods)
}

fn decode_private(
    decoder: &mut Decoder<'_>,
    section: &Section<'_>,
    host: &HostPattern,
) -> Option<bool> {
    let Some(node) = section.get("private") else { return Some(false) };
    let DeValue::Boolean(private) = node.value else {
        decoder.wrong_type(&node, "`true` or `false`", "private = true");
        return None;
    };
    if *private && matches!(host, HostPattern::Below(_)) {
        decoder.fault(
            &node,
            "a private address is granted for one name, not for all below one",
            "name each host in a grant of its own",
        );
    }
    Some(*private)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_reaches_beyond_a_resource_cannot_be_granted() {
        for good in ["GET", "POST", "PROPFIND", "M-SEARCH"] {
            assert_eq!(HttpMethod::new(good).unwrap().as_str(), good);
        }
        for beyond in ["CONNECT", "TRACE", "TRACK"] {
            assert_eq!(HttpMethod::new(beyond), Err(HttpMethodError::Beyond), "{beyond}");
        }
        for bad in ["", "get", "GET ", "G\r\nET", &"A".repeat(33)] {
            assert_eq!(HttpMethod::new(bad), Err(HttpMethodError::Characters), "{bad:?}");
        }
    }

    #[test]
    fn ports_are_those_of_the_schemes() {
        assert_eq!(HttpScheme::Https.port().get(), 443);
        assert_eq!(HttpScheme::Http.port().get(), 80);
    }
}
