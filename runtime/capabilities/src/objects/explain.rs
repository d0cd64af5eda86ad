//! What `grants.objects` amounts to.

use stheno_config::{Grants, ObjectsCredentials, ObjectsGrant, StoreLabel, format_duration};

use super::bindings::not_granted;
use super::describe::may_be_public;
use super::key::Key;
use crate::explain::Ruling;

pub(crate) fn powers(grants: &Grants) -> Vec<String> {
    let power = |(label, grant): (&StoreLabel, &ObjectsGrant)| {
        format!(
            "use objects {:?}, that is the bucket {:?} at {}{}: read, store, copy, list and remove \
             those whose key begins with {:?}, and make links to them that are valid up to {}; {}; \
             at most {} requests a second and {} at once, bodies of {}, {} for each answer",
            label.as_str(),
            grant.bucket.as_str(),
            server(grant),
            match grant.credentials {
                ObjectsCredentials::Keys(_) => "",
                ObjectsCredentials::Chain => ", with the credentials of the machine",
            },
            grant.prefix.as_str(),
            format_duration(grant.max_link_expiry.get()),
            if grant.public { "some may be readable by anybody" } else { "none of them public" },
            grant.operations_per_second.get(),
            grant.in_flight.get(),
            grant.max_object_size.get(),
            format_duration(grant.timeout.get()),
        )
    };
    grants.objects().iter().map(power).collect()
}

fn server(grant: &ObjectsGrant) -> String {
    match &grant.endpoint {
        Some(endpoint) => endpoint.to_string(),
        None => format!("Amazon's server in {}", grant.region.as_str()),
    }
}

pub(crate) fn rule(grants: &Grants, label: &str, key: &str, public: bool) -> Ruling {
    let Some(grant) = grants.objects().get(label) else {
        return Ruling::denied(not_granted(label));
    };
    let key = match Key::parse(grant.prefix.as_str(), "the key", key) {
        Ok(key) => key,
        Err(error) => return Ruling::denied(error.message()),
    };
    if public && let Err(error) = may_be_public(grant.public, label) {
        return Ruling::denied(error.message());
    }
    Ruling::allowed(format!(
        "the server gets the key {:?} in the bucket {:?}; the rest is for the rights of its \
         credentials to say",
        key.whole(),
        grant.bucket.as_str()
    ))
}
