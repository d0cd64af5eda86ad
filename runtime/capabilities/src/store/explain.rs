//! What `grants.store` amounts to.

use stheno_config::Grants;

use super::bindings::denied;
use crate::explain::Ruling;

pub(crate) fn powers(grants: &Grants) -> Vec<String> {
    let power = |(label, grant): (&stheno_config::StoreLabel, &stheno_config::StoreGrant)| {
        format!(
            "keep up to {} in the store {:?}, that is {}",
            grant.max_size.get(),
            label.as_str(),
            grant.path.display()
        )
    };
    grants.stores().iter().map(power).collect()
}

pub(crate) fn rule(grants: &Grants, label: &str) -> Ruling {
    match grants.stores().get(label) {
        None => Ruling::denied(denied(label)),
        Some(grant) => Ruling::allowed(format!("it is {}", grant.path.display())),
    }
}
