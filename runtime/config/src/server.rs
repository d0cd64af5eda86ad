//! `[server]`: where and for whom `stheno up` listens.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use thiserror::Error;

use crate::bounded::{self, bounded};
use crate::decode::{Decoder, Node, Text, Why};
use crate::{ByteSize, LinkSecret, PublicUrl, Token};

bounded! {
    /// The longest body of a request. Default 16MiB, from 1KiB to 1GiB.
    ///
    /// A longer one is refused with status 413 before a provider sees it.
    MaxBody(ByteSize), key "max_body", default ByteSize::mib(16), from ByteSize::kib(1), to ByteSize::gib(1)
}

bounded! {
    /// The longest file that may be uploaded over HTTP. Default 10GiB, from 1KiB
    /// to 1024TiB.
    ///
    /// A longer one is refused with status 413, and nothing of it is kept.
    /// [`MaxBody`] does not hold for files, because they are never in memory.
    MaxFile(ByteSize), key "max_file", default ByteSize::gib(10), from ByteSize::kib(1), to ByteSize::gib(1 << 20)
}

bounded! {
    /// The most connections at the same time. Default 1024, from 1 to 1000000.
    ///
    /// Who comes beyond it is answered with status 503, and the connection closed.
    MaxConnections(u32), key "max_connections", default 1_024, from 1, to 1_000_000
}

bounded! {
    /// How long a client may take for the head of a request, counted from the
    /// answer before on a connection that is kept open. Default 30s, from 100ms to
    /// 1h.
    ///
    /// Then the connection is closed.
    HeadTimeout(Duration), key "head_timeout", default Duration::from_secs(30), from Duration::from_millis(100), to Duration::from_secs(3_600)
}

bounded! {
    /// How long a body may stand still, in either direction. Default 1m, from 100ms
    /// to 1h.
    ///
    /// A request of which nothing comes for so long is refused with status 408; a
    /// connection from which nothing of the answer is taken for so long is closed.
    BodyTimeout(Duration), key "body_timeout", default Duration::from_secs(60), from Duration::from_millis(100), to Duration::from_secs(3_600)
}

/// Where the HTTP API listens, and what a caller must show.
///
/// A value of this type has a token if anybody but this machine can connect.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    listen: SocketAddr,
    token: Option<Token>,
    max_body: MaxBody,
    max_file: MaxFile,
    max_connections: MaxConnections,
    head_timeout: HeadTimeout,
    body_timeout: BodyTimeout,
    public_url: Option<PublicUrl>,
    link_secret: Option<LinkSecret>,
}

/// The server would be open to others without a token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{listen}` can be reached from other machines, so a token is required")]
pub struct OpenWithoutToken {
    /// The address in question.
    pub listen: SocketAddr,
}

const KEYS: &[&str] = &[
    "listen",
    "token",
    MaxBody::KEY,
    MaxFile::KEY,
    MaxConnections::KEY,
    HeadTimeout::KEY,
    BodyTimeout::KEY,
    "public_url",
    "link_secret",
];
const LISTEN_EXAMPLE: &str = r#"listen = "127.0.0.1:7070""#;
const TOKEN_EXAMPLE: &str = r#"token = "${STHENO_TOKEN}""#;
const PUBLIC_URL_EXAMPLE: &str = r#"public_url = "https://files.example.com""#;
const LINK_SECRET_EXAMPLE: &str = r#"link_secret = "${STHENO_LINK_SECRET}""#;

impl ServerConfig {
    /// `127.0.0.1:7070`.
    pub const DEFAULT_LISTEN: SocketAddr =
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7070));

    /// A server with the default [`MaxBody`]. Port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// `listen` is not a loopback address and there is no token.
    pub fn new(listen: SocketAddr, token: Option<Token>) -> Result<Self, OpenWithoutToken> {
        if token.is_none() && !is_loopback(listen) {
            return Err(OpenWithoutToken { listen });
        }
        Ok(Self { listen, token, ..Self::default() })
    }

    /// The same server at another address.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn with_listen(self, listen: SocketAddr) -> Result<Self, OpenWithoutToken> {
        let Self { listen, token, .. } = Self::new(listen, self.token.clone())?;
        Ok(Self { listen, token, ..self })
    }

    /// The same server with another limit on bodies.
    #[must_use]
    pub fn with_max_body(self, max_body: MaxBody) -> Self {
        Self { max_body, ..self }
    }

    /// The same server with another limit on files.
    #[must_use]
    pub fn with_max_file(self, max_file: MaxFile) -> Self {
        Self { max_file, ..self }
    }

    /// The same server with another limit on connections.
    #[must_use]
    pub fn with_max_connections(self, max_connections: MaxConnections) -> Self {
        Self { max_connections, ..self }
    }

    /// The same server with another patience for heads.
    #[must_use]
    pub fn with_head_timeout(self, head_timeout: HeadTimeout) -> Self {
        Self { head_timeout, ..self }
    }

    /// The same server with another patience for bodies.
    #[must_use]
    pub fn with_body_timeout(self, body_timeout: BodyTimeout) -> Self {
        Self { body_timeout, ..self }
    }

    /// The same server, known to others by this URL.
    #[must_use]
    pub fn with_public_url(self, public_url: PublicUrl) -> Self {
        Self { public_url: Some(public_url), ..self }
    }

    /// The same server, signing links with this secret.
    #[must_use]
    pub fn with_link_secret(self, link_secret: LinkSecret) -> Self {
        Self { link_secret: Some(link_secret), ..self }
    }

    /// The most connections at the same time.
    pub fn max_connections(&self) -> MaxConnections {
        self.max_connections
    }

    /// How long a client may take for the head of a request.
    pub fn head_timeout(&self) -> HeadTimeout {
        self.head_timeout
    }

    /// How long a body may stand still.
    pub fn body_timeout(&self) -> BodyTimeout {
        self.body_timeout
    }

    /// The longest file that may be uploaded.
    pub fn max_file(&self) -> MaxFile {
        self.max_file
    }

    /// By which URL others know the server, if that is not the address it
    /// listens at: links to files begin with it.
    pub fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url.as_ref()
    }

    /// What links to files are signed with, if it is not made anew at each
    /// start.
    pub fn link_secret(&self) -> Option<&LinkSecret> {
        self.link_secret.as_ref()
    }

    /// The address to listen at.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The token that every request must show, if any.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// The longest body of a request.
    pub fn max_body(&self) -> MaxBody {
        self.max_body
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Self {
        let Some(section) = decoder.section(node, KEYS, "[server]") else {
            return Self::default();
        };
        let listen_node = section.get("listen");
        let listen = match &listen_node {
            Some(node) => {
                decoder.parsed(node, "an address and a port", LISTEN_EXAMPLE, parse_listen)
            }
            None => Some(Self::DEFAULT_LISTEN),
        };
        let token_node = section.get("token");
        let token = token_node.as_ref().and_then(|node| decode_token(decoder, node));
        let max_body = bounded::decode(decoder, &section);
        let max_file = bounded::decode(decoder, &section);
        let max_connections = bounded::decode(decoder, &section);
        let head_timeout = bounded::decode(decoder, &section);
        let body_timeout = bounded::decode(decoder, &section);
        let public_url = section.get("public_url").and_then(|node| {
            let parse = |text: &str| PublicUrl::new(text).map_err(Why::reason);
            decoder.parsed(&node, "a URL", PUBLIC_URL_EXAMPLE, parse)
        });
        let link_secret =
            section.get("link_secret").and_then(|node| decode_link_secret(decoder, &node));

        let server = Self::new(listen.unwrap_or(Self::DEFAULT_LISTEN), token);
        // A token that is written, but wrong, has been reported already.
        if let (Err(_), Some(node), None) = (&server, &listen_node, &token_node) {
            decoder.fault(
                node,
                "this address can be reached from other machines, so a token is required",
                format!(
                    "add to [server]: {TOKEN_EXAMPLE}, or listen on loopback: {LISTEN_EXAMPLE}"
                ),
            );
        }
        Self {
            max_body,
            max_file,
            max_connections,
            head_timeout,
            body_timeout,
            public_url,
            link_secret,
            ..server.unwrap_or_default()
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: Self::DEFAULT_LISTEN,
            token: None,
            max_body: MaxBody::DEFAULT,
            max_file: MaxFile::DEFAULT,
            max_connections: MaxConnections::DEFAULT,
            head_timeout: HeadTimeout::DEFAULT,
            body_timeout: BodyTimeout::DEFAULT,
            public_url: None,
            link_secret: None,
        }
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn parse_listen(text: &str) -> Result<SocketAddr, Why> {
    text.parse().map_err(|_| {
        if let Some(port) = text.strip_prefix("localhost:") {
            return Why {
                instead: Some(format!("127.0.0.1:{port}")),
                ..Why::reason("a name is not an address")
            };
        }
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Why::reason("it has no port");
        }
        Why::reason("it is not of the form IP:PORT")
    })
}

/// The token never goes through [`Decoder::parsed`], which shows what is
/// written in the file.
fn decode_token(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Token> {
    let Text { value, .. } = decoder.text(node, "a string", TOKEN_EXAMPLE)?;
    match Token::new(value) {
        Ok(token) => Some(token),
        Err(error) => {
            decoder.fault(
                node,
                error.to_string(),
                format!("make one with `openssl rand -hex 24`, keep it in a variable and write {TOKEN_EXAMPLE}"),
            );
            None
        }
    }
}

/// As [`decode_token`], and for the same reason.
fn decode_link_secret(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<LinkSecret> {
    let Text { value, .. } = decoder.text(node, "a string", LINK_SECRET_EXAMPLE)?;
    match LinkSecret::new(value) {
        Ok(secret) => Some(secret),
        Err(error) => {
            decoder.fault(
                node,
                error.to_string(),
                format!("make one with `openssl rand -hex 32`, keep it in a variable and write {LINK_SECRET_EXAMPLE}"),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkSecretError;

    #[test]
    fn a_public_url_is_the_beginning_of_a_url_and_nothing_more() {
        for (text, kept) in [
            ("https://files.example.com", "https://files.example.com"),
            ("https://example.com/stheno/", "https://example.com/stheno"),
            ("http://127.0.0.1:7070//", "http://127.0.0.1:7070"),
        ] {
            assert_eq!(PublicUrl::new(text).unwrap().as_str(), kept);
        }
        for text in [
            "",
            "example.com",
            "https://",
            "https:///a",
            "ftp://example.com",
            "https://user@example.com",
            "https://example.com?a",
            "https://example.com#a",
            "https://exa mple.com",
            "https://ex\u{e4}mple.com",
            "https://example.com/a\nb",
        ] {
            assert!(PublicUrl::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_link_secret_is_long_and_never_shown() {
        let text = "0123456789abcdef0123456789abcdef";
        let secret = LinkSecret::new(text).unwrap();
        assert_eq!(secret.expose_secret(), text);
        assert!(!format!("{secret:?}").contains("0123"));
        assert_eq!(
            LinkSecret::new("0123456789abcdef0123456789abcde").unwrap_err(),
            LinkSecretError
        );
    }

    #[test]
    fn only_loopback_goes_without_a_token() {
        let token = Token::new("0123456789abcdef").unwrap();
        for (listen, open) in [
            ("127.0.0.1:7070", false),
            ("127.9.9.9:1", false),
            ("[::1]:7070", false),
            ("[::ffff:127.0.0.1]:7070", false),
            ("0.0.0.0:7070", true),
            ("[::]:7070", true),
            ("192.168.1.5:7070", true),
        ] {
            let listen: SocketAddr = listen.parse().unwrap();
            assert_eq!(ServerConfig::new(listen, None).is_err(), open, "{listen}");
            assert_eq!(ServerConfig::default().with_listen(listen).is_err(), open, "{listen}");
            let server = ServerConfig::new(listen, Some(token.clone())).unwrap();
            assert_eq!(server.listen(), listen);
        }
    }
}
