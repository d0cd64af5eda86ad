//! Where a server is: `HOST:PORT`.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

/// A host and a port. Whether it may be connected to is the grant's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: Host,
    pub(crate) port: NonZeroU16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Ip(IpAddr),
    /// To be looked up.
    Name(String),
}

impl Address {
    /// None if it is not written so.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(ip) => Host::Ip(IpAddr::V6(ip.parse().ok()?)),
            None => match host.parse() {
                Ok(ip @ IpAddr::V4(_)) => Host::Ip(ip),
                _ => {
                    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                    let name = !host.is_empty() && host.bytes().all(fits);
                    Host::Name(name.then(|| host.to_owned())?)
                }
            },
        };
        Some(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{port}"),
            Host::Ip(ip) => write!(f, "{ip}:{port}"),
            Host::Name(name) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_read_and_shown_alike() {
        for text in ["127.0.0.1:11211", "[::1]:1", "cache.example:65535", "my_cache-1:80"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in
            ["", ":1", "a", "a:", "a:0", "a:65536", "a:+1", "::1:1", "[::1]", "[a]:1", "a b:1"]
        {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
