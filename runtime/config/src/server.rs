//! `[server]`: where and for whom `stheno up` listens.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use thiserror::Error;

use crate::bounded::{self, bounded};
use crate::decode::{Decoder, Node, Text, Why};
use crate::{ByteSize, Token};

bounded! {
    /// The longest body of a request. Default 16MiB, from 1KiB to 1GiB.
    ///
    /// A longer one is refused with status 413 before a provider sees it.
    MaxBody(ByteSize), key "max_body", default ByteSize::mib(16), from ByteSize::kib(1), to ByteSize::gib(1)
}

/// Where the HTTP API listens, and what a caller must show.
///
/// A value of this type has a token if anybody but this machine can connect.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    listen: SocketAddr,
    token: Option<Token>,
    max_body: MaxBody,
}

/// The server would be open to others without a token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{listen}` can be reached from other machines, so a token is required")]
pub struct OpenWithoutToken {
    /// The address in question.
    pub listen: SocketAddr,
}

const KEYS: &[&str] = &["listen", "token", "max_body"];
const LISTEN_EXAMPLE: &str = r#"listen = "127.0.0.1:7070""#;
const TOKEN_EXAMPLE: &str = r#"token = "${STHENO_TOKEN}""#;

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
        Ok(Self { listen, token, max_body: MaxBody::DEFAULT })
    }

    /// The same server at another address.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn with_listen(self, listen: SocketAddr) -> Result<Self, OpenWithoutToken> {
        Ok(Self { max_body: self.max_body, ..Self::new(listen, self.token)? })
    }

    /// The same server with another limit on bodies.
    #[must_use]
    pub fn with_max_body(self, max_body: MaxBody) -> Self {
        Self { max_body, ..self }
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
        server.unwrap_or_default().with_max_body(max_body)
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: Self::DEFAULT_LISTEN, token: None, max_body: MaxBody::DEFAULT }
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

#[cfg(test)]
mod tests {
    use super::*;

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
