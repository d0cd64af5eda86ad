//! Granted folders, opened once for all instances of a provider.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use stheno_config::{FolderGrant, FolderMode, Grants};
use stheno_contracts::Error;

use super::OWN;

/// The granted folders of a provider.
pub struct Folders(Vec<Arc<Place>>);

/// One of them.
pub(super) struct Place {
    grant: FolderGrant,
    made_on_use: bool,
    open: Mutex<Option<Arc<Dir>>>,
}

impl Folders {
    /// What `grants` has, none of it opened yet.
    #[must_use]
    pub fn new(grants: &Grants) -> Self {
        let place = |grant: &FolderGrant| {
            let made_on_use = grants.are_made_on_use();
            Arc::new(Place { grant: grant.clone(), made_on_use, open: Mutex::new(None) })
        };
        Self(grants.folders().iter().map(place).collect())
    }

    /// The innermost folder that holds `path`, and what of the path follows it.
    pub(super) fn find(&self, path: &str) -> Result<(Arc<Place>, String), Error> {
        let below = |place: &Arc<Place>| {
            let top = place.grant.guest.as_str();
            match path.strip_prefix(top.trim_end_matches('/'))? {
                "" => Some(String::new()),
                rest => rest.strip_prefix('/').map(str::to_owned),
            }
        };
        let holding = self.0.iter().filter_map(|place| Some((place, below(place)?)));
        match holding.min_by_key(|(_, below)| below.len()) {
            Some((place, below)) => Ok((Arc::clone(place), below)),
            None => Err(super::path::is_top(path, path).err().unwrap_or_else(|| {
                Error::InvalidArgument("the path is empty, must name a folder".into())
            })),
        }
    }
}

impl Place {
    pub(super) fn grant(&self) -> &FolderGrant {
        &self.grant
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::Unavailable(format!(
            "granted folder {} cannot be opened: {error}; create it, or correct `grants.folders`",
            self.grant.host.display()
        ))
    }

    /// Refuses a change in a folder that is read-only.
    pub(super) fn may_write(&self, path: &str) -> Result<(), Error> {
        match self.grant.mode {
            FolderMode::ReadWrite => Ok(()),
            FolderMode::ReadOnly => Err(Error::Denied(format!(
                "{path} is in a folder that is granted read-only; write mode = \"read-write\""
            ))),
        }
    }

    /// The folder; none if it is made on first use and was not used yet.
    /// Blocks.
    pub(super) fn existing(&self) -> Result<Option<Arc<Dir>>, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = &*open {
            return Ok(Some(Arc::clone(dir)));
        }
        let dir = match Dir::open_ambient_dir(&self.grant.host, ambient_authority()) {
            Ok(dir) => Arc::new(dir),
            Err(error) if self.made_on_use && error.kind() == ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(self.failed(&error)),
        };
        if self.grant.mode == FolderMode::ReadWrite {
            clean(&dir);
        }
        *open = Some(Arc::clone(&dir));
        Ok(Some(dir))
    }

    /// The folder, made if it may be. Blocks.
    pub(super) fn made(&self) -> Result<Arc<Dir>, Error> {
        if let Some(dir) = self.existing()? {
            return Ok(dir);
        }
        std::fs::create_dir_all(&self.grant.host).map_err(|error| self.failed(&error))?;
        self.existing()?.ok_or_else(|| self.failed(&ErrorKind::NotFound.into()))
    }
}

/// Removes what dead processes were writing. What a living one writes is
/// locked. A failure costs disk space and no call.
fn clean(dir: &Dir) {
    let Ok(own) = dir.open_dir(OWN) else { return };
    let Ok(entries) = own.entries() else { return };
    let mut removed = 0_u64;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Ok(file) = own.open_with(&name, OpenOptions::new().write(true)) else { continue };
        if file.into_std().try_lock().is_ok() && own.remove_file(&name).is_ok() {
            removed += 1;
        }
    }
    if removed > 0 {
        tracing::info!(removed, "removed what was being written when a process ended");
    }
}
