//! Paths of a guest, parsed.

use std::path::Path;

use stheno_contracts::Error;

use super::OWN;

const PATH_BYTES: usize = 4_096;
const STEP_BYTES: usize = 255;

/// A path below a granted folder: at least one step, none of which climbs, is
/// empty, or is the host's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Below(String);

impl Below {
    /// Takes what follows the folder in the guest's `whole` path.
    pub(super) fn parse(whole: &str, below: &str) -> Result<Self, Error> {
        if whole.len() > PATH_BYTES {
            let text = format!("the path has {} bytes, at most {PATH_BYTES}", whole.len());
            return Err(Error::InvalidArgument(text));
        }
        let wrong = |why: &str| Err(Error::InvalidArgument(format!("path {whole:?}: {why}")));
        if below.contains(['\\', '\0']) {
            return wrong("it has a backslash or a NUL");
        }
        for step in below.split('/') {
            match step {
                "" => return wrong("it has an empty step"),
                "." | ".." => return wrong("it has a step `.` or `..`"),
                _ if step.len() > STEP_BYTES => return wrong("it has a step beyond 255 bytes"),
                _ => {}
            }
        }
        // Also where the file system takes letters of both cases for one.
        if below.split('/').next().is_some_and(|step| step.eq_ignore_ascii_case(OWN)) {
            return wrong("`.stheno` is the host's own");
        }
        Ok(Self(below.to_owned()))
    }

    pub(super) fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The folders that lead to the file, from the top down; empty if it is at
    /// the top.
    pub(super) fn folders(&self) -> Vec<&Path> {
        let ends = self.0.match_indices('/').map(|(at, _)| at);
        ends.filter_map(|end| self.0.get(..end)).map(Path::new).collect()
    }
}

/// Refuses what is a path below a folder where the folder itself is meant.
pub(super) fn is_top(folder: &str, below: &str) -> Result<(), Error> {
    if below.is_empty() {
        return Ok(());
    }
    Err(Error::Denied(format!(
        "no folder is granted at {folder}: add folders = [{{ host = \"./data\", guest = {folder:?}, \
         mode = \"read-write\" }}] to its `grants`, or correct the option that names the folder"
    )))
}
