//! `grants.sockets`: where a provider may connect to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use thiserror::Error;
use toml::de::DeValue;

use crate::decode::{Decoder, Node, Why};
use crate::http::{DnsName, HostError, HttpAuthority, HttpHost};

pub(crate) const EXAMPLE: &str = r#"sockets = ["127.0.0.1:6379"]"#;
const TABLE: &str = r#"{ to = "cache.internal:11211", private = true }"#;

/// One destination that a provider may connect to over TCP: a host and a port.
///
/// It is canonical: an IPv4 address mapped into IPv6 is held as IPv4, so that
/// one destination has one spelling. What is compared with it must be made
/// canonical too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SocketGrant {
    host: HttpHost,
    port: NonZeroU16,
    private: bool,
}

/// Why a destination cannot be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SocketGrantError {
    /// Port 0, or none.
    #[error("it has no port")]
    NoPort,
    /// `0.0.0.0`, `::` or a multicast address.
    #[error("it is not the address of one machine")]
    NotOneMachine,
    /// It is no host.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl SocketGrant {
    /// Takes a destination that is written as an address.
    ///
    /// # Errors
    ///
    /// Nobody can connect to it, or it is not one machine. `0.0.0.0` and `::`
    /// are refused because systems quietly take them for loopback.
    pub fn new(address: SocketAddr) -> Result<Self, SocketGrantError> {
        let port = NonZeroU16::new(address.port()).ok_or(SocketGrantError::NoPort)?;
        Self::of(HttpHost::Address(address.ip().to_canonical()), port)
    }

    /// Takes `HOST:PORT`: a name or an address, an IPv6 address in brackets.
    ///
    /// # Errors
    ///
    /// As for [`SocketGrant::new`]; and a host that is none.
    pub fn parse(text: &str) -> Result<Self, SocketGrantError> {
        let HttpAuthority { host, port } = HttpAuthority::parse(text)?;
        Self::of(host, port.ok_or(SocketGrantError::NoPort)?)
    }

    fn of(host: HttpHost, port: NonZeroU16) -> Result<Self, SocketGrantError> {
        if let HttpHost::Address(ip) = host
            && (ip.is_unspecified()
                || ip.is_multicast()
                || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast()))
        {
            return Err(SocketGrantError::NotOneMachine);
        }
        Ok(Self { host, port, private: false })
    }

    /// The same, where the name may lead to this machine or into a private
    /// network. Of an address it says nothing: that is granted as it is.
    #[must_use]
    pub fn or_private(self) -> Self {
        Self { private: true, ..self }
    }

    /// The destination, if it is written as an address.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.host {
            HttpHost::Address(ip) => Some(SocketAddr::new(ip, self.port.get())),
            HttpHost::Name(_) => None,
        }
    }

    /// The name, if it is written as one.
    pub fn name(&self) -> Option<&DnsName> {
        match &self.host {
            HttpHost::Name(name) => Some(name),
            HttpHost::Address(_) => None,
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port.get()
    }

    /// Whether its name may lead to this machine or into a private network.
    pub fn may_be_private(&self) -> bool {
        self.private
    }
}

impl fmt::Display for SocketGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Reads `"HOST:PORT"` or `{ to = "HOST:PORT", private = true }`.
pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<SocketGrant> {
    if !matches!(node.value, DeValue::Table(_)) {
        return decoder.parsed(node, "a host and a port", EXAMPLE, read);
    }
    let section = decoder.section(node, &["to", "private"], TABLE)?;
    let Some(to) = section.get("to") else {
        decoder.fault(node, "the grant has no `to`", format!("write {TABLE}"));
        return None;
    };
    let grant = decoder.parsed(&to, "a host and a port", TABLE, read)?;
    let Some(node) = section.get("private") else { return Some(grant) };
    match node.value {
        DeValue::Boolean(true) if grant.address().is_some() => {
            decoder.fault(
                &node,
                "`private` is about where a name may lead, and this is an address",
                "leave it out: an address is granted wherever it is",
            );
            None
        }
        DeValue::Boolean(true) => Some(grant.or_private()),
        DeValue::Boolean(false) => Some(grant),
        _ => {
            decoder.wrong_type(&node, "`true` or `false`", "private = true");
            None
        }
    }
}

fn read(text: &str) -> Result<SocketGrant, Why> {
    SocketGrant::parse(text).map_err(|error| match error {
        SocketGrantError::Host(_) if text.parse::<IpAddr>().is_ok() => {
            Why::reason(SocketGrantError::NoPort)
        }
        error => Why::with_help(
            error,
            format!(
                "write a name or an address, and a port, such as {EXAMPLE}; an IPv6 address goes in brackets: \"[::1]:6379\""
            ),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_destination_has_one_spelling() {
        let address = |text: &str| SocketGrant::new(text.parse().unwrap());
        assert_eq!(address("[::ffff:10.0.0.1]:80"), address("10.0.0.1:80"));
        assert_eq!(SocketGrant::parse("[::ffff:10.0.0.1]:80"), address("10.0.0.1:80"));
        assert_eq!(SocketGrant::parse("Cache.Example:1"), SocketGrant::parse("cache.example:1"));
        for text in
            ["0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:80", "224.0.0.1:80", "255.255.255.255:80"]
        {
            assert_eq!(address(text), Err(SocketGrantError::NotOneMachine), "{text}");
            assert_eq!(SocketGrant::parse(text), Err(SocketGrantError::NotOneMachine), "{text}");
        }
        assert_eq!(address("10.0.0.1:0"), Err(SocketGrantError::NoPort));
        assert_eq!(SocketGrant::parse("cache.example"), Err(SocketGrantError::NoPort));
        for text in ["127.1:80", "0x7f.1:80", "user@cache:80", "a b:80", ":80", "a:0", "a:+1"] {
            assert!(matches!(SocketGrant::parse(text), Err(SocketGrantError::Host(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_of_a_destination_is_read_as_the_same(text in "([a-z0-9.-]{0,12}|\\[[0-9a-f:.]{0,12}\\]):[0-9]{0,6}") {
            if let Ok(grant) = SocketGrant::parse(&text) {
                prop_assert_eq!(SocketGrant::parse(&grant.to_string()), Ok(grant));
            }
        }
    }
}
