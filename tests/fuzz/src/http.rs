//! Requests through `grants.http`.

use std::path::Path;

use stheno_capabilities::{Question, rule};
use stheno_config::{Config, Grants};
use url::{Host, Url};

const CONFIG: &str = r#"
[modules.cache]
grants.http = [
    { host = "api.example.com", methods = ["GET", "POST"], path = "/v1/" },
    { host = "*.example.org", methods = ["GET"], scheme = "http", port = 8080 },
    { host = "127.0.0.1", methods = ["GET"], scheme = "http" },
]
"#;

fn grants() -> Grants {
    let config = Config::parse(CONFIG, "a", Path::new("/"), &|_| None);
    config.expect("the grants of this target are good").modules.cache.grants
}

pub(crate) fn request(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (method, url) = text.split_once(' ').unwrap_or(("GET", text));
    let (method, url) = (method.to_owned(), url.to_owned());
    let ruling = rule(&grants(), &Question::Http { method: method.clone(), url: url.clone() });
    if !ruling.allowed {
        return;
    }
    // As another reader of URLs has it, one that forgives much: that of browsers.
    let read = Url::parse(&url).unwrap_or_else(|error| panic!("{url:?} is allowed: {error}"));
    assert!(read.username().is_empty() && read.password().is_none(), "{url:?}");
    let host = match read.host().unwrap() {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        // Where a socket leads that is connected to it.
        Host::Ipv6(address) => address.to_canonical().to_string(),
    };
    let server = (read.scheme(), host.as_str(), read.port_or_known_default().unwrap());
    match server {
        ("https", "api.example.com", 443) => {
            assert!(["GET", "POST"].contains(&method.as_str()), "{text:?}");
            assert!(read.path().starts_with("/v1/"), "{url:?} is read as {read}");
        }
        ("http", host, 8080) => {
            let below = host.strip_suffix(".example.org");
            assert!(below.is_some_and(|below| !below.is_empty()), "{url:?} is read as {read}");
            assert_eq!(method, "GET");
        }
        ("http", "127.0.0.1", 80) => assert_eq!(method, "GET"),
        _ => panic!("{url:?} is allowed, and leads to {server:?}"),
    }
}
