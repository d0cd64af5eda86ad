//! What `grants.http` amounts to.

use http::Uri;
use stheno_config::{Grants, HttpGrant, HttpSecret, SecretPlace, format_duration};

use super::policy::{self, Target};
use crate::explain::Ruling;

pub(crate) fn powers(grants: &Grants) -> Vec<String> {
    grants.http().iter().map(power).collect()
}

fn power(grant: &HttpGrant) -> String {
    let methods: Vec<&str> = grant.methods.iter().map(|method| method.as_str()).collect();
    let mut text = format!(
        "send {} to {}://{}:{}{}, {}; at most {} requests a second and {} at once, bodies of {} out \
         and {} in, {} for all of it",
        methods.join(" and "),
        grant.scheme.as_str(),
        grant.host,
        grant.port,
        grant.path,
        addresses(grant),
        grant.requests_per_second.get(),
        grant.max_in_flight.get(),
        grant.max_request.get(),
        grant.max_response.get(),
        format_duration(grant.timeout.get()),
    );
    for secret in &grant.secrets {
        text.push_str("; ");
        text.push_str(&filled_in(secret));
    }
    text
}

fn addresses(grant: &HttpGrant) -> &'static str {
    if grant.private || policy::names_address(grant) {
        "also where that is this machine or a private network"
    } else {
        "if that is a public address"
    }
}

fn filled_in(secret: &HttpSecret) -> String {
    let place = match secret.place() {
        SecretPlace::Header(name) => format!("in the header `{name}`"),
        SecretPlace::Query(name) => format!("in the query parameter `{name}`"),
        SecretPlace::Body => "in the body".to_owned(),
    };
    format!("the host fills in the secret `{}` {place}", secret.name().as_str())
}

pub(crate) fn rule(grants: &Grants, method: &str, url: &str) -> Ruling {
    let Ok(method) = http::Method::from_bytes(method.as_bytes()) else {
        return Ruling::denied("that is no method of HTTP; write one such as POST");
    };
    let uri = match url.parse::<Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) => uri,
        _ => return Ruling::denied("that is no URL; write one such as https://api.example.com/v1"),
    };
    let decided =
        Target::read(&method, &uri).and_then(|target| policy::decide(grants.http().iter(), target));
    match decided {
        Err(refusal) => Ruling::denied(refusal.to_string()),
        Ok((place, target)) => {
            let grant = grants.http().get(place);
            let by = grant.map(|grant| {
                format!("{}://{}:{}{}", grant.scheme.as_str(), grant.host, grant.port, grant.path)
            });
            Ruling::allowed(format!(
                "{} may be sent to {} by the grant {}, {}",
                target.method,
                target.authority(),
                by.unwrap_or_default(),
                grant.map_or("", addresses)
            ))
        }
    }
}
