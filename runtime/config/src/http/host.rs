//! The one parser for hosts: what an operator grants and what a guest asks for
//! go through it, so that both mean the same thing.
//!
//! It is stricter than URLs are. A text that some program along the way could
//! read as another host (`0x7f.1`, `2130706433`, `127.1`, `example.com.`,
//! `user@example.com`, `%31%32%37.1`) is no host here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use thiserror::Error;

/// A host: a name or an address, in its one spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HttpHost {
    /// A name, to be looked up.
    Name(DnsName),
    /// An address. An IPv4 address mapped into IPv6 is held as IPv4.
    Address(IpAddr),
}

/// A name of the domain name system: lower case, without a closing dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

/// Why a text is not a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// Nothing.
    #[error("there is no host")]
    Empty,
    /// Letters beyond ASCII.
    #[error("it has letters beyond ASCII; write the name as DNS has it (`xn--...`)")]
    NotAscii,
    /// `user@host`.
    #[error("it has an `@`; a user or a password has no place in it")]
    UserInfo,
    /// `%`.
    #[error("it is percent-encoded")]
    Encoded,
    /// `example.com.`
    #[error("it ends in a dot")]
    ClosingDot,
    /// `0177.0.0.1`, `2130706433`, `127.1`.
    #[error("it ends in a number and is not an IPv4 address in four decimal parts")]
    OddAddress,
    /// Brackets or colons without an IPv6 address in brackets.
    #[error("it is not an IPv6 address in brackets, without a zone, such as `[2001:db8::1]`")]
    NotIpv6,
    /// A label that is empty, too long or has other characters.
    #[error(
        "a part between dots is empty, is longer than 63 characters, or has others than letters, digits, `-` and `_`"
    )]
    Label,
    /// More than 253 characters.
    #[error("it is longer than 253 characters")]
    TooLong,
    /// A port that is empty, zero, too large or written oddly.
    #[error("its port is not a number from 1 to 65535")]
    Port,
}

impl DnsName {
    fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.ends_with('.') {
            return Err(HostError::ClosingDot);
        }
        if text.len() > 253 {
            return Err(HostError::TooLong);
        }
        let lawful = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !text.split('.').all(lawful) {
            return Err(HostError::Label);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies below `suffix`, which does not lie below itself.
    fn is_below(&self, suffix: &Self) -> bool {
        self.0
            .strip_suffix(suffix.as_str())
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

impl fmt::Debug for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Whether a reader might take the text for an IPv4 address: its last part is a
/// number, be it decimal, octal or hexadecimal.
fn ends_in_number(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()),
    }
}

impl HttpHost {
    /// Takes a host without a port, an IPv6 address in brackets.
    ///
    /// # Errors
    ///
    /// It is not one, or it has more than one reading.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if !text.is_ascii() {
            return Err(HostError::NotAscii);
        }
        if text.contains('@') {
            return Err(HostError::UserInfo);
        }
        if text.contains('%') {
            return Err(HostError::Encoded);
        }
        if text.contains(['[', ']', ':']) {
            let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let address: Ipv6Addr =
                inner.and_then(|inner| inner.parse().ok()).ok_or(HostError::NotIpv6)?;
            return Ok(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if ends_in_number(text.strip_suffix('.').unwrap_or(text)) {
            let address: Ipv4Addr = text.parse().map_err(|_| HostError::OddAddress)?;
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        DnsName::parse(text).map(Self::Name)
    }
}

impl fmt::Display for HttpHost {
    /// As a URL has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name.as_str()),
            Self::Address(IpAddr::V4(address)) => fmt::Display::fmt(address, f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// `HOST` or `HOST:PORT`, as a request names its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAuthority {
    /// The host.
    pub host: HttpHost,
    /// The port, if it is written.
    pub port: Option<NonZeroU16>,
}

impl HttpAuthority {
    /// Takes the part of a URL between `//` and the path.
    ///
    /// # Errors
    ///
    /// As for [`HttpHost::parse`]; and a port that is not a plain number.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.contains('@') {
            return Err(HostError::UserInfo);
        }
        let (host, port) = match text.rsplit_once(':') {
            // The last colon of an address in brackets.
            Some((_, rest)) if rest.ends_with(']') => (text, None),
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (text, None),
        };
        Ok(Self { host: HttpHost::parse(host)?, port })
    }
}

fn parse_port(text: &str) -> Result<NonZeroU16, HostError> {
    // `parse` would take `+80` and `0080` too.
    if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    text.parse().map_err(|_| HostError::Port)
}

/// The hosts that a grant is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// One host.
    One(HttpHost),
    /// `*.example.com`: all names below `example.com`, itself not among them.
    Below(DnsName),
}

impl HostPattern {
    /// Takes `example.com`, `*.example.com` or an address.
    ///
    /// # Errors
    ///
    /// It is none of them, or is as wide as `*.com`.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        let Some(suffix) = text.strip_prefix("*.") else {
            if text.contains('*') {
                return Err(HostPatternError::Star);
            }
            let host = HttpHost::parse(text)?;
            if let HttpHost::Address(address) = host
                && (address.is_unspecified()
                    || address.is_multicast()
                    || matches!(address, IpAddr::V4(address) if address.is_broadcast()))
            {
                return Err(HostPatternError::NotOneMachine);
            }
            return Ok(Self::One(host));
        };
        match HttpHost::parse(suffix)? {
            HttpHost::Name(name) if name.as_str().contains('.') => Ok(Self::Below(name)),
            HttpHost::Name(_) => Err(HostPatternError::TooWide),
            HttpHost::Address(_) => Err(HostPatternError::Star),
        }
    }

    /// Whether the grant is about this host.
    pub fn matches(&self, host: &HttpHost) -> bool {
        match (self, host) {
            (Self::One(one), host) => one == host,
            (Self::Below(suffix), HttpHost::Name(name)) => name.is_below(suffix),
            (Self::Below(_), HttpHost::Address(_)) => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(host) => fmt::Display::fmt(host, f),
            Self::Below(suffix) => write!(f, "*.{}", suffix.as_str()),
        }
    }
}

/// Why a text is not a [`HostPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostPatternError {
    /// No host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A star elsewhere than in front of a name.
    #[error("a `*` stands only in front of a name, as in `*.example.com`")]
    Star,
    /// `*.com`.
    #[error("it is as wide as a top-level domain; name at least two parts after `*.`")]
    TooWide,
    /// `0.0.0.0`, `[::]`, a multicast or broadcast address.
    #[error("it is not the address of one machine")]
    NotOneMachine,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn authority(text: &str) -> Result<String, HostError> {
        HttpAuthority::parse(text).map(|authority| match authority.port {
            Some(port) => format!("{}:{port}", authority.host),
            None => authority.host.to_string(),
        })
    }

    #[test]
    fn a_host_has_one_spelling() {
        for (text, spelled) in [
            ("Example.COM", "example.com"),
            ("a_b-c.example", "a_b-c.example"),
            ("xn--mller-kva.example:8443", "xn--mller-kva.example:8443"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::FFFF:127.0.0.1]:80", "127.0.0.1:80"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
            ("1.example", "1.example"),
            ("0x7f.example", "0x7f.example"),
        ] {
            assert_eq!(authority(text).as_deref(), Ok(spelled), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_as_another_host_is_none() {
        for (text, error) in [
            ("", HostError::Empty),
            (":80", HostError::Empty),
            ("2130706433", HostError::OddAddress),
            ("0177.0.0.1", HostError::OddAddress),
            ("127.0.0.01", HostError::OddAddress),
            ("0x7f.0.0.1", HostError::OddAddress),
            ("0x7f000001", HostError::OddAddress),
            ("127.0x1", HostError::OddAddress),
            ("127.1", HostError::OddAddress),
            ("127.0.0.1.", HostError::OddAddress),
            ("1.2.3.4.5", HostError::OddAddress),
            ("256.0.0.1", HostError::OddAddress),
            ("example.0x", HostError::OddAddress),
            ("user@example.com", HostError::UserInfo),
            ("example.com@127.0.0.1", HostError::UserInfo),
            ("user:word@example.com:80", HostError::UserInfo),
            ("%31%32%37.0.0.1", HostError::Encoded),
            ("[fe80::1%25eth0]", HostError::Encoded),
            ("example.com.", HostError::ClosingDot),
            ("müller.example", HostError::NotAscii),
            ("１２７.0.0.1", HostError::NotAscii),
            ("::1", HostError::NotIpv6),
            ("[::1", HostError::NotIpv6),
            ("[127.0.0.1]", HostError::NotIpv6),
            ("[::1]x:80", HostError::NotIpv6),
            ("a..b", HostError::Label),
            (".a", HostError::Label),
            ("-a.b", HostError::Label),
            ("a b", HostError::Label),
            ("a/b", HostError::Label),
            ("a\\b", HostError::Label),
            ("a#b", HostError::Label),
            ("example.com:", HostError::Port),
            ("example.com:0", HostError::Port),
            ("example.com:080", HostError::Port),
            ("example.com:+80", HostError::Port),
            ("example.com:65536", HostError::Port),
            ("example.com:80 ", HostError::Port),
        ] {
            assert_eq!(authority(text), Err(error), "{text}");
        }
        assert_eq!(authority(&"a.".repeat(127)), Err(HostError::ClosingDot));
        assert_eq!(authority(&format!("{}a.b", "a.".repeat(126))), Err(HostError::TooLong));
        assert_eq!(authority(&"a".repeat(64)), Err(HostError::Label));
    }

    #[test]
    fn a_star_stands_for_what_is_below() {
        let host = |text| HttpHost::parse(text).unwrap();
        let below = HostPattern::parse("*.Example.com").unwrap();
        for yes in ["a.example.com", "a.b.EXAMPLE.com"] {
            assert!(below.matches(&host(yes)), "{yes}");
        }
        for no in ["example.com", "aexample.com", "example.com.evil.org", "10.0.0.1"] {
            assert!(!below.matches(&host(no)), "{no}");
        }
        for (text, error) in [
            ("*.com", HostPatternError::TooWide),
            ("*", HostPatternError::Star),
            ("a.*.com", HostPatternError::Star),
            ("*a.example.com", HostPatternError::Star),
            ("*.10.0.0.1", HostPatternError::Star),
            ("0.0.0.0", HostPatternError::NotOneMachine),
            ("[::]", HostPatternError::NotOneMachine),
            ("224.0.0.1", HostPatternError::NotOneMachine),
            ("255.255.255.255", HostPatternError::NotOneMachine),
        ] {
            assert_eq!(HostPattern::parse(text), Err(error), "{text}");
        }
    }

    /// Hosts as attackers write them: pieces of addresses and of URLs.
    fn oddity() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-z0-9.:@%\\[\\]/\\\\_-]",
            Just("0x7f".to_owned()),
            Just("127".to_owned()),
            Just("0177".to_owned()),
            Just("::ffff:".to_owned()),
            Just("example.com".to_owned()),
            "\\PC",
        ];
        proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_and_read_again_as_itself(text in oddity()) {
            if let Ok(read) = HttpAuthority::parse(&text) {
                let spelled = authority(&text).unwrap();
                prop_assert_eq!(HttpAuthority::parse(&spelled), Ok(read));
            }
        }

        #[test]
        fn a_name_is_no_address_to_anybody(text in oddity()) {
            if let Ok(HttpHost::Name(name)) = HttpHost::parse(&text) {
                // The reader that takes the most: any number of parts, any base.
                let parts: Vec<&str> = name.as_str().split('.').collect();
                let number = |part: &&str| {
                    part.parse::<u64>().is_ok()
                        || part.strip_prefix("0x").is_some_and(|hex| u64::from_str_radix(hex, 16).is_ok() || hex.is_empty())
                };
                prop_assert!(!parts.iter().all(number), "{:?}", name);
                prop_assert!(name.as_str().parse::<IpAddr>().is_err());
            }
        }

        #[test]
        fn an_address_is_what_the_standard_library_reads(text in oddity()) {
            if let Ok(HttpHost::Address(address)) = HttpHost::parse(&text) {
                let bare = text.trim_start_matches('[').trim_end_matches(']');
                prop_assert_eq!(bare.parse::<IpAddr>().map(|read| read.to_canonical()), Ok(address));
            }
        }
    }
}
