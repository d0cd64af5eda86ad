//! Where a Redis server is, and as whom to log in.

use std::fmt;

use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::Secret;

/// One Redis server: `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`, or
/// `redis+unix:///PATH/TO/SOCKET[?db=DATABASE]`.
///
/// `Debug` and `Display` show where it is, and neither user nor password.
#[derive(Clone)]
pub struct RedisUrl {
    server: RedisServerAddress,
    user: Option<String>,
    password: Option<Secret>,
    database: u32,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisServerAddress {
    /// A name or address, without brackets, and a port.
    Tcp {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// The path of a socket.
    Unix(std::path::PathBuf),
}

/// Why a text is not a [`RedisUrl`]. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RedisUrlError {
    /// Another scheme, or none.
    #[error("it does not begin with `redis://`")]
    Scheme,
    /// `rediss://`.
    #[error("TLS (`rediss://`) is not supported")]
    Tls,
    /// A scheme of Sentinel.
    #[error("Redis Sentinel is not supported")]
    Sentinel,
    /// A scheme of Cluster, or several hosts.
    #[error("Redis Cluster and lists of servers are not supported")]
    Cluster,
    /// No host, or one with characters that no host has.
    #[error("it has no host, or one that cannot be")]
    Host,
    /// Not a port.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// Not a database.
    #[error("its database is not a number")]
    Database,
    /// User or password are not UTF-8 once decoded.
    #[error("its user or password is not text")]
    Credentials,
    /// A query or a fragment.
    #[error("it has a query or a fragment")]
    Extra,
}

impl RedisUrlError {
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Tls => {
                "Stheno speaks to Redis without encryption: write the `redis://` URL of a server on this machine or in a private network, or of a TLS tunnel (such as stunnel) beside Stheno"
            }
            Self::Sentinel => {
                "write the URL of one server, or of a proxy that follows the master: redis://HOST:PORT"
            }
            Self::Cluster => {
                "write the URL of one server that is not part of a cluster, or of a proxy before it: redis://HOST:PORT"
            }
            _ => {
                "write redis://USER:PASSWORD@HOST:PORT/DATABASE, of which only the host is needed; special characters of the password are percent-encoded"
            }
        }
    }
}

impl RedisUrl {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// It is something else, or one that is not supported.
    pub fn new(text: &str) -> Result<Self, RedisUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(RedisUrlError::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => Self::tcp(rest),
            "redis+unix" | "valkey+unix" | "unix" => Self::unix(rest),
            scheme if scheme.contains("sentinel") => Err(RedisUrlError::Sentinel),
            scheme if scheme.contains("cluster") => Err(RedisUrlError::Cluster),
            "rediss" | "valkeys" => Err(RedisUrlError::Tls),
            _ => Err(RedisUrlError::Scheme),
        }
    }

    fn tcp(rest: &str) -> Result<Self, RedisUrlError> {
        if rest.contains(['?', '#']) {
            return Err(RedisUrlError::Extra);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // The last `@`: one in a password should be encoded and often is not.
        let (credentials, server) = match authority.rsplit_once('@') {
            Some((credentials, server)) => (Some(credentials), server),
            None => (None, authority),
        };
        if server.contains(',') {
            return Err(RedisUrlError::Cluster);
        }
        let (host, port) = match server.strip_prefix('[') {
            Some(address) => {
                let (host, port) = address.split_once(']').ok_or(RedisUrlError::Host)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| RedisUrlError::Host)?;
                match port {
                    "" => (host, None),
                    port => (host, Some(port.strip_prefix(':').ok_or(RedisUrlError::Port)?)),
                }
            }
            None => match server.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (server, None),
            },
        };
        let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if host.is_empty() || !host.bytes().all(lawful) {
            return Err(RedisUrlError::Host);
        }
        let port = match port {
            None => 6379,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(RedisUrlError::Port),
                Ok(port) => port,
            },
        };
        let (user, password) = match credentials {
            None => (None, None),
            Some(credentials) => match credentials.split_once(':') {
                None => (Some(decoded(credentials)?), None),
                Some((user, password)) => {
                    (Some(decoded(user)?), Some(Secret::new(decoded(password)?)))
                }
            },
        };
        Ok(Self {
            server: RedisServerAddress::Tcp { host: host.to_owned(), port },
            user: user.filter(|user| !user.is_empty()),
            password,
            database: database(path)?,
        })
    }

    fn unix(rest: &str) -> Result<Self, RedisUrlError> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, "db=0"));
        if !path.starts_with('/') {
            return Err(RedisUrlError::Host);
        }
        let database = database(query.strip_prefix("db=").ok_or(RedisUrlError::Extra)?)?;
        let server = RedisServerAddress::Unix(path.into());
        Ok(Self { server, user: None, password: None, database })
    }

    /// Where the server listens.
    #[must_use]
    pub fn server(&self) -> &RedisServerAddress {
        &self.server
    }

    /// As whom to log in; none is the server's default user.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The number of the database.
    #[must_use]
    pub fn database(&self) -> u32 {
        self.database
    }
}

fn decoded(text: &str) -> Result<String, RedisUrlError> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| RedisUrlError::Credentials)?;
    Ok(text.into_owned())
}

fn database(text: &str) -> Result<u32, RedisUrlError> {
    if text.is_empty() {
        return Ok(0);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RedisUrlError::Database);
    }
    text.parse().map_err(|_| RedisUrlError::Database)
}

impl PartialEq for RedisUrl {
    fn eq(&self, other: &Self) -> bool {
        let same_password = match (&self.password, &other.password) {
            (None, None) => true,
            (Some(one), Some(other)) => one.matches(other.expose_secret()),
            _ => false,
        };
        same_password
            && (&self.server, &self.user, self.database)
                == (&other.server, &other.user, other.database)
    }
}

impl Eq for RedisUrl {}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            RedisServerAddress::Tcp { host, port } if host.contains(':') => {
                write!(f, "redis://[{host}]:{port}/{}", self.database)
            }
            RedisServerAddress::Tcp { host, port } => {
                write!(f, "redis://{host}:{port}/{}", self.database)
            }
            RedisServerAddress::Unix(path) => {
                write!(f, "redis+unix://{}?db={}", path.display(), self.database)
            }
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parts_of_a_url_are_what_they_say() {
        let url = RedisUrl::new("redis://app:p%40ss:w%2Fd@cache.internal:6380/3").unwrap();
        assert_eq!(url.to_string(), "redis://cache.internal:6380/3");
        assert_eq!(url.user(), Some("app"));
        assert_eq!(url.password().unwrap().expose_secret(), "p@ss:w/d");
        assert!(!format!("{url:?}").contains("p@ss"));
        let url = RedisUrl::new("redis://:secret@[::1]").unwrap();
        assert_eq!((url.user(), url.to_string().as_str()), (None, "redis://[::1]:6379/0"));
        let url = RedisUrl::new("redis+unix:///run/redis.sock?db=2").unwrap();
        assert_eq!(url.to_string(), "redis+unix:///run/redis.sock?db=2");
    }

    #[test]
    fn what_is_not_supported_says_what_it_is() {
        use RedisUrlError::{Cluster, Database, Extra, Host, Port, Scheme, Sentinel, Tls};
        for (text, error) in [
            ("", Scheme),
            ("localhost:6379", Scheme),
            ("http://localhost", Scheme),
            ("rediss://localhost", Tls),
            ("redis+sentinel://a:26379,b:26379/mymaster", Sentinel),
            ("redis-sentinel://a/mymaster", Sentinel),
            ("rediss+sentinel://a", Sentinel),
            ("redis-cluster://a:7000", Cluster),
            ("redis+cluster://a:7000", Cluster),
            ("redis://a:7000,b:7000", Cluster),
            ("redis://", Host),
            ("redis://user@", Host),
            ("redis://:6379", Host),
            ("redis://[::1", Host),
            ("redis://[a]", Host),
            ("redis://a b", Host),
            ("redis://a:0", Port),
            ("redis://a:65536", Port),
            ("redis://a:x", Port),
            ("redis://a:", Port),
            ("redis://[::1]6379", Port),
            ("redis://a/x", Database),
            ("redis://a/+1", Database),
            ("redis://a/1/2", Database),
            ("redis://a?protocol=resp3", Extra),
            ("redis://a/#", Extra),
            ("redis+unix://a", Host),
            ("redis+unix:///a?x=1", Extra),
        ] {
            assert_eq!(RedisUrl::new(text).err(), Some(error), "{text}");
            assert!(!error.help().is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_the_parser_and_what_is_shown_reads_the_same(
            text in "redis://[a-z:@/\\[\\]%,0-9.]{0,24}|\\PC{0,24}"
        ) {
            if let Ok(url) = RedisUrl::new(&text) {
                let again = RedisUrl::new(&url.to_string()).unwrap();
                prop_assert_eq!(again.server(), url.server());
                prop_assert_eq!(again.database(), url.database());
            }
        }
    }
}
