//! Where a PostgreSQL server is, and as whom to log in.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::Secret;

/// One PostgreSQL database:
/// `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=disable|verify-full]`.
///
/// A host that is a path, percent-encoded or as `?host=/run/postgresql`, is the
/// folder of a socket.
///
/// `Debug` and `Display` show where it is, and neither user nor password.
#[derive(Clone)]
pub struct SqlUrl {
    server: SqlServerAddress,
    user: String,
    password: Option<Secret>,
    database: String,
    tls: bool,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlServerAddress {
    /// A name or address, without brackets, and a port.
    Tcp {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// The socket, in its folder.
    Unix(PathBuf),
}

/// Why a text is not a [`SqlUrl`]. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SqlUrlError {
    /// Another scheme, or none.
    #[error("it does not begin with `postgres://`")]
    Scheme,
    /// Several hosts.
    #[error("lists of servers are not supported")]
    Several,
    /// No host, or one with characters that no host has.
    #[error("it has no host, or one that cannot be")]
    Host,
    /// Not a port.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// No user.
    #[error("it names no user")]
    User,
    /// User, password or database are not UTF-8 once decoded, or have a zero byte.
    #[error("its user, password or database is not text")]
    Text,
    /// No database.
    #[error("it names no database")]
    Database,
    /// An `sslmode` between none and all.
    #[error("its `sslmode` is neither `disable` nor `verify-full`")]
    SslMode,
    /// Another option, or a fragment.
    #[error("it has options other than `sslmode` and `host`")]
    Extra,
}

impl SqlUrlError {
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::SslMode => {
                "leave `sslmode` out: the server's certificate is checked then (`ca` names a file if the system does not know who issued it); or write sslmode=disable if the network is private"
            }
            Self::Several => {
                "write the URL of one server, or of a proxy that follows the primary: postgres://USER:PASSWORD@HOST:PORT/DATABASE"
            }
            _ => {
                "write postgres://USER:PASSWORD@HOST:PORT/DATABASE; special characters of the password are percent-encoded"
            }
        }
    }
}

impl SqlUrl {
    /// Reads a URL.
    ///
    /// TLS is used, and the server's certificate is checked, unless the server is
    /// on this machine (`localhost`, a loopback address, a socket) or the URL says
    /// `sslmode=disable`.
    ///
    /// # Errors
    ///
    /// It is something else, or one that is not supported.
    pub fn new(text: &str) -> Result<Self, SqlUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(SqlUrlError::Scheme)?;
        if !["postgres", "postgresql"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(SqlUrlError::Scheme);
        }
        if rest.contains('#') {
            return Err(SqlUrlError::Extra);
        }
        // The last `@`: one in a password should be encoded and often is not.
        let (credentials, rest) = rest.rsplit_once('@').ok_or(SqlUrlError::User)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (server, database) = rest.split_once('/').ok_or(SqlUrlError::Database)?;
        let (user, password) = match credentials.split_once(':') {
            None => (decoded(credentials)?, None),
            Some((user, password)) => (decoded(user)?, Some(Secret::new(decoded(password)?))),
        };
        let database = decoded(database)?;
        if user.is_empty() {
            return Err(SqlUrlError::User);
        }
        if database.is_empty() || database.contains('/') {
            return Err(SqlUrlError::Database);
        }
        let no_host = server.is_empty() || server.starts_with(':');
        let (mut tls, mut folder) = (None, None);
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", mode)) if tls.is_none() => {
                    tls = Some(match mode {
                        "disable" => false,
                        "verify-full" => true,
                        _ => return Err(SqlUrlError::SslMode),
                    });
                }
                Some(("host", path)) if folder.is_none() && no_host => {
                    folder = Some(decoded(path)?);
                }
                _ => return Err(SqlUrlError::Extra),
            }
        }
        let server = address(server, folder)?;
        let here = match &server {
            SqlServerAddress::Unix(_) => true,
            SqlServerAddress::Tcp { host, .. } => {
                let address = host.parse::<std::net::IpAddr>();
                address.map_or(host == "localhost", |address| address.is_loopback())
            }
        };
        if tls == Some(true) && matches!(server, SqlServerAddress::Unix(_)) {
            return Err(SqlUrlError::SslMode);
        }
        Ok(Self { server, user, password, database, tls: tls.unwrap_or(!here) })
    }

    /// Where the server listens.
    #[must_use]
    pub fn server(&self) -> &SqlServerAddress {
        &self.server
    }

    /// As whom to log in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Whether the connection is encrypted and the server's certificate checked.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }
}

fn address(server: &str, folder: Option<String>) -> Result<SqlServerAddress, SqlUrlError> {
    if server.contains(',') {
        return Err(SqlUrlError::Several);
    }
    let (host, port) = match server.strip_prefix('[') {
        Some(address) => {
            let (host, port) = address.split_once(']').ok_or(SqlUrlError::Host)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| SqlUrlError::Host)?;
            match port {
                "" => (host, None),
                port => (host, Some(port.strip_prefix(':').ok_or(SqlUrlError::Port)?)),
            }
        }
        None => match server.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (server, None),
        },
    };
    let port = match port {
        None => 5432,
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return Err(SqlUrlError::Port),
            Ok(port) => port,
        },
    };
    let folder = match folder {
        None if host.contains('%') => Some(decoded(host)?),
        folder => folder,
    };
    if let Some(folder) = folder {
        return match folder.starts_with('/') {
            true => {
                let socket = format!(".s.PGSQL.{port}");
                Ok(SqlServerAddress::Unix(PathBuf::from(folder).join(socket)))
            }
            false => Err(SqlUrlError::Host),
        };
    }
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.is_empty() || !host.bytes().all(lawful) {
        return Err(SqlUrlError::Host);
    }
    Ok(SqlServerAddress::Tcp { host: host.to_owned(), port })
}

fn decoded(text: &str) -> Result<String, SqlUrlError> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| SqlUrlError::Text)?;
    if text.contains('\0') { Err(SqlUrlError::Text) } else { Ok(text.into_owned()) }
}

impl PartialEq for SqlUrl {
    fn eq(&self, other: &Self) -> bool {
        let same_password = match (&self.password, &other.password) {
            (None, None) => true,
            (Some(one), Some(other)) => one.matches(other.expose_secret()),
            _ => false,
        };
        same_password
            && (&self.server, &self.user, &self.database, self.tls)
                == (&other.server, &other.user, &other.database, other.tls)
    }
}

impl Eq for SqlUrl {}

impl fmt::Display for SqlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = &self.database;
        match &self.server {
            SqlServerAddress::Tcp { host, port } if host.contains(':') => {
                write!(f, "postgres://[{host}]:{port}/{database}")
            }
            SqlServerAddress::Tcp { host, port } => {
                write!(f, "postgres://{host}:{port}/{database}")
            }
            SqlServerAddress::Unix(path) => {
                write!(f, "postgres://{}/{database}", path.display())
            }
        }
    }
}

impl fmt::Debug for SqlUrl {
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
        let url = SqlUrl::new("postgres://app:p%40ss:w%2Fd@db.internal:5433/shop").unwrap();
        assert_eq!(url.to_string(), "postgres://db.internal:5433/shop");
        assert_eq!((url.user(), url.database()), ("app", "shop"));
        assert_eq!(url.password().unwrap().expose_secret(), "p@ss:w/d");
        assert!(!format!("{url:?}").contains("p@ss") && !format!("{url:?}").contains("app"));
        let url = SqlUrl::new("postgresql://app@[::1]/a%20b").unwrap();
        assert_eq!(url.to_string(), "postgres://[::1]:5432/a b");
        for socket in
            ["postgres://app@/shop?host=/run/pg", "postgres://app@%2Frun%2Fpg/shop?sslmode=disable"]
        {
            let url = SqlUrl::new(socket).unwrap();
            let path = PathBuf::from("/run/pg/.s.PGSQL.5432");
            assert_eq!(url.server(), &SqlServerAddress::Unix(path));
        }
    }

    #[test]
    fn a_server_elsewhere_is_checked_unless_the_url_says_otherwise() {
        for (url, tls) in [
            ("postgres://a@localhost/d", false),
            ("postgres://a@127.0.0.1/d", false),
            ("postgres://a@[::1]/d", false),
            ("postgres://a@127.0.0.1/d?sslmode=verify-full", true),
            ("postgres://a@db/d", true),
            ("postgres://a@10.0.0.1/d", true),
            ("postgres://a@localhost.example.com/d", true),
            ("postgres://a@db/d?sslmode=disable", false),
        ] {
            assert_eq!(SqlUrl::new(url).unwrap().tls(), tls, "{url}");
        }
    }

    #[test]
    fn what_is_not_supported_says_what_it_is() {
        use SqlUrlError::{Database, Extra, Host, Port, Scheme, Several, SslMode, Text, User};
        for (text, error) in [
            ("", Scheme),
            ("host=localhost", Scheme),
            ("mysql://a@localhost/d", Scheme),
            ("postgres://localhost/d", User),
            ("postgres://@localhost/d", User),
            ("postgres://:secret@localhost/d", User),
            ("postgres://a@localhost", Database),
            ("postgres://a@localhost/", Database),
            ("postgres://a@localhost/d/e", Database),
            ("postgres://a@b:1,c:1/d", Several),
            ("postgres://a@/d", Host),
            ("postgres://a@[::1/d", Host),
            ("postgres://a@b c/d", Host),
            ("postgres://a@%2e%2e/d", Host),
            ("postgres://a@b:0/d", Port),
            ("postgres://a@b:65536/d", Port),
            ("postgres://a@b:/d", Port),
            ("postgres://a%ff@b/d", Text),
            ("postgres://a@b/d%00", Text),
            ("postgres://a@b/d?sslmode=require", SslMode),
            ("postgres://a@b/d?sslmode=prefer", SslMode),
            ("postgres://a@/d?host=/run&sslmode=verify-full", SslMode),
            ("postgres://a@b/d?options=-crole%3Dx", Extra),
            ("postgres://a@b/d?host=/run", Extra),
            ("postgres://a@b/d#", Extra),
        ] {
            assert_eq!(SqlUrl::new(text).err(), Some(error), "{text}");
            assert!(!error.help().is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_the_parser(
            text in "postgres://[a-z:@/\\[\\]%,?=0-9.]{0,32}|\\PC{0,24}"
        ) {
            if let Ok(url) = SqlUrl::new(&text) {
                prop_assert!(!url.user().is_empty() && !url.database().is_empty());
            }
        }
    }
}
