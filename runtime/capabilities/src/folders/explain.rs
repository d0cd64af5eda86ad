//! What `grants.folders` amounts to.

use stheno_config::{FolderGrant, FolderMode, Grants, GuestPath};

use super::path::Below;
use super::place::Folders;
use crate::explain::Ruling;

pub(crate) fn powers(grants: &Grants) -> Vec<String> {
    grants.folders().iter().map(power).collect()
}

fn power(grant: &FolderGrant) -> String {
    let may = match grant.mode {
        FolderMode::ReadOnly => "list and read",
        FolderMode::ReadWrite => "list, read, make, change and remove",
    };
    format!(
        "{may} what is in {}, which it sees at {}; no link leads out of it",
        grant.host.display(),
        grant.guest
    )
}

pub(crate) fn rule(grants: &Grants, path: &str, write: bool) -> Ruling {
    let path = match GuestPath::new(path) {
        Ok(path) => path,
        Err(error) => {
            return Ruling::denied(format!(
                "no path of a provider: {error}; write one such as /data/a"
            ));
        }
    };
    let (place, below) = match Folders::new(grants).find(path.as_str()) {
        Ok(found) => found,
        Err(error) => return Ruling::denied(error.message()),
    };
    if !below.is_empty()
        && let Err(error) = Below::parse(path.as_str(), &below)
    {
        return Ruling::denied(error.message());
    }
    let grant = place.grant();
    match (write, grant.mode) {
        (true, FolderMode::ReadOnly) => Ruling::denied(format!(
            "the folder at {} is read-only; to allow it write there mode = \"read-write\"",
            grant.guest
        )),
        _ => Ruling::allowed(format!("it is in {}, {}", grant.host.display(), grant.mode.as_str())),
    }
}
