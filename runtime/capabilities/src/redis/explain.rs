//! What `grants.redis` amounts to.

use stheno_config::{Grants, format_duration};

use super::admit::{Admitted, admit};
use super::bindings::not_granted;
use crate::explain::Ruling;

pub(crate) fn powers(grants: &Grants) -> Vec<String> {
    let power = |(label, grant): (&stheno_config::StoreLabel, &stheno_config::RedisGrant)| {
        format!(
            "use Redis {:?}, that is {}: commands that say which keys they touch, on keys that begin \
             with {:?}, and {}; at most {} commands and {} a second, {} calls at once, {} in one \
             request or reply, {} for each",
            label.as_str(),
            grant.url,
            grant.prefix.as_str(),
            match grant.scripts.len() {
                0 => "no script".to_owned(),
                1 => "the one script that is granted".to_owned(),
                many => format!("the {many} scripts that are granted"),
            },
            grant.operations_per_second.get(),
            grant.bytes_per_second.get(),
            grant.in_flight.get(),
            grant.max_bytes.get(),
            format_duration(grant.timeout.get()),
        )
    };
    grants.redis().iter().map(power).collect()
}

pub(crate) fn rule(grants: &Grants, label: &str, command: &[Vec<u8>]) -> Ruling {
    let Some(grant) = grants.redis().get(label) else {
        return Ruling::denied(not_granted(label));
    };
    let admitted = match admit(command) {
        Ok(admitted) => admitted,
        Err(error) => return Ruling::denied(error.message()),
    };
    if let Some(script) = admitted.script() {
        let digest = std::str::from_utf8(script).unwrap_or_default();
        return if grant.scripts.contains(digest) {
            Ruling::allowed("the script with this SHA-256 is granted; it runs on its KEYS")
        } else {
            Ruling::denied(
                "no script with this SHA-256 is granted; to allow it add that to `scripts` of the \
                 binding",
            )
        };
    }
    Ruling::allowed(format!("the server gets {}", shown(&admitted, grant.prefix.as_str())))
}

/// What a command touches, as the server sees it.
fn shown(admitted: &Admitted<'_>, prefix: &str) -> String {
    let keys: Vec<String> = admitted
        .touched()
        .map(|key| format!("{:?}", format!("{prefix}{}", String::from_utf8_lossy(key))))
        .collect();
    match admitted.spec.name {
        "SCAN" => format!("SCAN for keys that begin with {prefix:?}"),
        name if keys.is_empty() => format!("{name}, which touches no key"),
        name => format!("{name} on {}", keys.join(" and ")),
    }
}
