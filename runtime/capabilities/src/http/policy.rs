//! Whether a request is granted: the one place that decides.

use std::fmt;

use http::Uri;
use http::uri::Scheme;
use stheno_config::{
    HostError, HostPattern, HttpAuthority, HttpGrant, HttpHost, HttpScheme, PathError, check_path,
};

/// Where a request goes, in its one spelling.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) scheme: HttpScheme,
    pub(super) host: HttpHost,
    pub(super) port: u16,
    pub(super) method: String,
    pub(super) path: String,
}

/// Why a request is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The host is none, or has more than one reading.
    Host(HostError),
    /// The path is not one.
    Path(PathError),
    /// No grant is about this server.
    Server(Box<Target>),
    /// A grant is about this server, and not about this method.
    Method(Box<Target>),
    /// A grant is about this server and method, and not about this path.
    Reach(Box<Target>),
}

impl Target {
    /// Reads what the guest asks for.
    pub(super) fn read(method: &http::Method, uri: &Uri) -> Result<Self, Refusal> {
        let scheme =
            if uri.scheme() == Some(&Scheme::HTTP) { HttpScheme::Http } else { HttpScheme::Https };
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let authority = HttpAuthority::parse(authority).map_err(Refusal::Host)?;
        let path = if uri.path().is_empty() { "/" } else { uri.path() };
        check_path(path).map_err(Refusal::Path)?;
        Ok(Self {
            scheme,
            port: authority.port.unwrap_or(scheme.port()).get(),
            host: authority.host,
            method: method.as_str().to_owned(),
            path: path.to_owned(),
        })
    }

    /// `HOST`, or `HOST:PORT` where the port is not the scheme's.
    pub(super) fn authority(&self) -> String {
        if self.port == self.scheme.port().get() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// What the operator would write to allow it.
    fn line(&self) -> String {
        let scheme = match self.scheme {
            HttpScheme::Https => "",
            HttpScheme::Http => ", scheme = \"http\"",
        };
        let port = if self.port == self.scheme.port().get() {
            String::new()
        } else {
            format!(", port = {}", self.port)
        };
        format!(
            "grants.http = [{{ host = \"{}\"{scheme}{port}, methods = [\"{}\"], path = \"{}\" }}]",
            self.host, self.method, self.path
        )
    }
}

/// The place of the first grant that allows the request.
pub(super) fn decide<'g>(
    grants: impl Iterator<Item = &'g HttpGrant>,
    target: Target,
) -> Result<(usize, Target), Refusal> {
    let (mut server, mut method) = (false, false);
    for (place, grant) in grants.enumerate() {
        if grant.scheme != target.scheme
            || grant.port.get() != target.port
            || !grant.host.matches(&target.host)
        {
            continue;
        }
        server = true;
        if !grant.methods.iter().any(|method| method.as_str() == target.method) {
            continue;
        }
        method = true;
        if grant.path.covers(&target.path) {
            return Ok((place, target));
        }
    }
    let target = Box::new(target);
    Err(match (server, method) {
        (false, _) => Refusal::Server(target),
        (true, false) => Refusal::Method(target),
        (true, true) => Refusal::Reach(target),
    })
}

/// Whether a grant names one address, which then may be of any class.
pub(super) fn names_address(grant: &HttpGrant) -> bool {
    matches!(grant.host, HostPattern::One(HttpHost::Address(_)))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => write!(f, "its host is refused: {error}"),
            Self::Path(error) => write!(f, "its path is refused: {error}"),
            Self::Server(target) => write!(
                f,
                "{} {}://{}{} is not granted; to allow it add this line below the module: {}",
                target.method,
                target.scheme.as_str(),
                target.authority(),
                target.path,
                target.line()
            ),
            Self::Method(target) => write!(
                f,
                "{} is not granted for {}; to allow it add \"{}\" to `methods` of its grant",
                target.method,
                target.authority(),
                target.method
            ),
            Self::Reach(target) => write!(
                f,
                "{} is not below the granted `path` of {}; to allow it write there path = \"{}\"",
                target.path,
                target.authority(),
                target.path
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use proptest::prelude::*;
    use stheno_config::{HttpMethod, PathPrefix};

    fn grant(host: &str) -> HttpGrant {
        HttpGrant::new(HostPattern::parse(host).unwrap())
    }

    fn ask(grants: &[HttpGrant], method: &str, uri: &str) -> Result<usize, Refusal> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let target = Target::read(&method, &uri.parse().unwrap())?;
        decide(grants.iter(), target).map(|(place, _)| place)
    }

    #[test]
    fn a_request_is_granted_by_the_first_grant_that_covers_all_of_it() {
        let mut posts = grant("api.example.com");
        posts.methods = vec![HttpMethod::new("POST").unwrap()];
        posts.path = PathPrefix::new("/v3/").unwrap();
        let grants = [posts, grant("*.example.com"), grant("[2001:db8::1]")];
        assert_eq!(ask(&grants, "POST", "https://API.example.com/v3/mail?x=/../"), Ok(0));
        assert_eq!(ask(&grants, "GET", "https://api.example.com:443/"), Ok(1));
        assert_eq!(ask(&grants, "GET", "https://api.example.com"), Ok(1));
        assert_eq!(ask(&grants, "GET", "https://[2001:DB8::1]/"), Ok(2));
        for (method, uri) in [
            ("POST", "https://api.example.com/v4"),
            ("POST", "http://api.example.com/v3/mail"),
            ("POST", "https://api.example.com:8443/v3/mail"),
            ("POST", "https://www.example.com/v3/mail"),
            ("DELETE", "https://api.example.com/v3/mail"),
            ("GET", "https://example.com/"),
            ("GET", "https://example.org/"),
            ("POST", "https://api.example.com/v3/../v4"),
            ("POST", "https://api.example.com/v3/%2e%2e/v4"),
            ("POST", "https://user@api.example.com/v3/mail"),
            ("POST", "https://api.example.com./v3/mail"),
            ("GET", "https://0x7f000001/"),
        ] {
            assert!(ask(&grants, method, uri).is_err(), "{method} {uri}");
        }
    }

    #[test]
    fn a_refusal_carries_the_line_that_would_allow_it() {
        let refusal = |grants: &[HttpGrant], method: &str, uri: &str| {
            ask(grants, method, uri).unwrap_err().to_string()
        };
        let text = refusal(&[], "PUT", "http://a.example:8080/x?key=1");
        let (_, line) = text.split_once("below the module: ").unwrap();
        assert_eq!(
            line,
            "grants.http = [{ host = \"a.example\", scheme = \"http\", port = 8080, methods = [\"PUT\"], path = \"/x\" }]"
        );
        let config = format!("[modules.cache]\n{line}\n");
        let folder = std::path::Path::new("/");
        let config = stheno_config::Config::parse(&config, "a", folder, &|_| None).unwrap();
        let granted = config.modules.cache.grants.http();
        assert_eq!(ask(granted, "PUT", "http://a.example:8080/x?key=1"), Ok(0));
        let text = refusal(&[grant("a.example")], "PUT", "https://a.example/");
        assert!(text.contains("add \"PUT\" to `methods`"), "{text}");
        let mut narrow = grant("a.example");
        narrow.path = PathPrefix::new("/a/").unwrap();
        let text = refusal(&[narrow], "GET", "https://a.example/b");
        assert!(text.contains("path = \"/b\""), "{text}");
    }

    proptest! {
        #[test]
        fn what_is_granted_goes_to_the_host_that_was_granted(
            uri in "https?://[a-z0-9@.:%\\[\\]x-]{0,20}(example\\.com)?[a-z0-9@.:%]{0,8}(/[a-z.%/2e]{0,8})?",
        ) {
            let grants = [grant("api.example.com")];
            let Ok(uri) = uri.parse::<Uri>() else { return Ok(()) };
            let Ok(target) = Target::read(&Method::GET, &uri) else { return Ok(()) };
            if let Ok((_, target)) = decide(grants.iter(), target) {
                prop_assert_eq!(target.authority(), "api.example.com");
                let asked = uri.host().map(str::to_ascii_lowercase);
                prop_assert_eq!(asked.as_deref(), Some("api.example.com"));
            }
        }
    }
}
