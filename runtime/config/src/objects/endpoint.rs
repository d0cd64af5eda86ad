//! Where a server is that is not Amazon's.

use std::fmt;

use thiserror::Error;

use crate::{HostError, HttpAuthority, HttpHost, HttpScheme};

/// The server of a binding: `https://HOST[:PORT]`, or `http://` and the same.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectsEndpoint {
    scheme: HttpScheme,
    authority: HttpAuthority,
}

/// Why a text is not an [`ObjectsEndpoint`]. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ObjectsEndpointError {
    /// Another scheme, or none.
    #[error("it does not begin with `https://` or `http://`")]
    Scheme,
    /// A path, a query or a fragment.
    #[error("it has more than a host and a port")]
    Extra,
    /// Not a host and a port.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl ObjectsEndpoint {
    /// Reads a URL; one closing slash is left out.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn new(text: &str) -> Result<Self, ObjectsEndpointError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => (HttpScheme::Https, rest),
            Some(("http", rest)) => (HttpScheme::Http, rest),
            _ => return Err(ObjectsEndpointError::Scheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '\\']) {
            return Err(ObjectsEndpointError::Extra);
        }
        Ok(Self { scheme, authority: HttpAuthority::parse(authority)? })
    }

    /// Whether it has no TLS.
    pub fn is_plain(&self) -> bool {
        self.scheme == HttpScheme::Http
    }

    /// Whether what is sent can be read on its way: no TLS, and not within this
    /// machine.
    pub fn is_open(&self) -> bool {
        let within = match &self.authority.host {
            HttpHost::Address(address) => address.is_loopback(),
            HttpHost::Name(name) => name.as_str() == "localhost",
        };
        self.is_plain() && !within
    }
}

impl fmt::Display for ObjectsEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority.host)?;
        match self.authority.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ObjectsEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        for (text, shown, open) in [
            ("https://s3.example.com", "https://s3.example.com", false),
            ("https://S3.example.com:8443/", "https://s3.example.com:8443", false),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000", false),
            ("http://[::1]:9000", "http://[::1]:9000", false),
            ("http://localhost:9000", "http://localhost:9000", false),
            ("http://10.0.0.1:9000", "http://10.0.0.1:9000", true),
            ("http://localhost.example.com", "http://localhost.example.com", true),
        ] {
            let endpoint = ObjectsEndpoint::new(text).unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.is_open()), (shown, open));
        }
        for text in [
            "",
            "s3.example.com",
            "s3://bucket",
            "HTTPS://a",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://user:secret@a",
            "https://a:0",
            "https://a:x",
            "https://0x7f.1",
            "https://a//",
        ] {
            let error = ObjectsEndpoint::new(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_the_parser_and_what_is_shown_reads_the_same(
            text in "https?://[a-z0-9:@/\\[\\]%.]{0,24}|\\PC{0,24}"
        ) {
            if let Ok(endpoint) = ObjectsEndpoint::new(&text) {
                prop_assert_eq!(ObjectsEndpoint::new(&endpoint.to_string()).unwrap(), endpoint);
            }
        }
    }
}
