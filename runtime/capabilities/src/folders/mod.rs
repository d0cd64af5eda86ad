//! Granted folders as whole files and body handles: `stheno:folders`.
//!
//! # Why beside WASI
//!
//! `wasi:filesystem` serves the same grants, but each byte of an upload would
//! be copied into the sandbox and out of it again, in chunks that each cross
//! twice, and the instance would be busy for as long as the slowest client
//! sends. A provider of files decides about names and descriptions; the bytes
//! are nobody's policy. So here it gets a [`Writer`] or a [`Reader`] for a path
//! and passes it on, and the host moves the body after the call has ended.
//!
//! # What keeps a guest inside
//!
//! Paths are parsed into steps that can neither climb nor be empty ([`path`]).
//! Every file is then opened through `cap-std`, relative to the open folder:
//! the kernel or, where it cannot, that library resolves each step beneath it,
//! so that a symbolic link that leads out is refused even if somebody makes it
//! while the path is being walked.
//!
//! # How a file appears
//!
//! It is written under a name of its own in `.stheno`, synced, and linked to
//! its final name, which fails if that is taken; then the folders are synced.
//! The writer holds a lock on the file, so whoever opens the folder later can
//! tell what a dead process left from what a living one is writing.

mod explain;
mod path;
mod place;
mod sink;
mod source;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use stheno_contracts::body::{Reader, Writer};
use stheno_contracts::folders::{Ending, Host};
use stheno_contracts::{Error, HostError};
use wasmtime::component::Resource;

use crate::Capabilities;
use path::Below;
use place::Place;

pub(crate) use explain::{powers, rule};
pub use place::Folders;

/// Where the host keeps what is being written, at the top of each folder.
const OWN: &str = ".stheno";
/// What one read or write of a file moves: large enough that the way to the
/// thread that does it costs little, small enough that a hundred transfers fit
/// in memory.
const CHUNK_BYTES: usize = 512 * 1024;
/// The most bytes of an ending, and the most paths of a listing.
const ENDING_BYTES: u32 = 1024 * 1024;
const LISTED: u32 = 1_000;
/// How long one page of a listing is looked for.
const LISTING: Duration = Duration::from_secs(30);

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) => Err(Error::Unavailable(format!("the host is stopping: {stopped}"))),
    }
}

/// What an error of the file system means to a guest. It names the guest's own
/// path, never that of the host.
fn failed(what: &str, error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => Error::NotFound(format!("there is no file at {what}")),
        ErrorKind::AlreadyExists => Error::Conflict(format!("a file is at {what} already")),
        ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            Error::Conflict(format!("{what}: a file and a folder cannot have one name"))
        }
        ErrorKind::PermissionDenied => {
            Error::Denied(format!("{what} leads out of its folder, or may not be used"))
        }
        ErrorKind::InvalidFilename | ErrorKind::InvalidInput => {
            Error::InvalidArgument(format!("{what} is no name for a file here"))
        }
        ErrorKind::TimedOut => {
            Error::Timeout(format!("{what} holds more than can be looked through in time"))
        }
        _ => Error::Unavailable(format!("{what}: {error}")),
    }
}

impl Capabilities {
    /// Counts what is denied.
    fn told<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        self.shared.denials.folders.told(answer)
    }

    fn place(&self, folder_or_path: &str) -> Result<(Arc<Place>, String), Error> {
        self.told(self.shared.folders.find(folder_or_path))
    }

    fn file(&self, path: &str) -> Result<(Arc<Place>, Below), Error> {
        let (place, below) = self.place(path)?;
        Ok((place, Below::parse(path, &below)?))
    }
}

fn not_there(path: &str) -> Error {
    Error::NotFound(format!("there is no file at {path}"))
}

impl Host for Capabilities {
    async fn ready(&mut self, folder: String) -> Result<(), HostError> {
        let (place, below) = self.place(&folder)?;
        self.told(path::is_top(&folder, &below))?;
        blocking(move || place.existing().map(drop)).await?;
        Ok(())
    }

    async fn tail(&mut self, path: String, max: u32) -> Result<Ending, HostError> {
        let (place, below) = self.file(&path)?;
        let ending = blocking(move || {
            let dir = place.existing()?.ok_or_else(|| not_there(&path))?;
            source::ending(&dir, &below, max.min(ENDING_BYTES)).map_err(|e| failed(&path, &e))
        });
        let ending = ending.await;
        let (size, bytes) = self.told(ending)?;
        Ok(Ending { size, bytes })
    }

    async fn open(
        &mut self,
        path: String,
        offset: u64,
        length: u64,
    ) -> Result<Resource<Reader>, HostError> {
        let (place, below) = self.file(&path)?;
        let source = blocking(move || {
            let dir = place.existing()?.ok_or_else(|| not_there(&path))?;
            let (file, size) = source::regular(&dir, &below).map_err(|e| failed(&path, &e))?;
            match offset.checked_add(length) {
                Some(end) if end <= size => Ok(source::FileSource::new(file, offset, end)),
                _ => Err(Error::InvalidArgument(format!(
                    "{path} has {size} bytes, so there are not {length} from {offset} on"
                ))),
            }
        });
        let source = source.await;
        let reader = Reader::new(self.told(source)?);
        Ok(self.push_reader(reader).map_err(|_| self.full())?)
    }

    async fn create(&mut self, path: String) -> Result<Resource<Writer>, HostError> {
        let (place, below) = self.file(&path)?;
        self.told(place.may_write(&path))?;
        let staged = blocking(move || {
            let dir = place.made()?;
            sink::Staged::new(dir, below, path)
        });
        let staged = staged.await;
        let writer = Writer::new(self.told(staged)?);
        Ok(self.table.push(writer).map_err(|_| self.full())?)
    }

    async fn remove(&mut self, path: String) -> Result<(), HostError> {
        let (place, below) = self.file(&path)?;
        self.told(place.may_write(&path))?;
        let removed = blocking(move || {
            let dir = place.existing()?.ok_or_else(|| not_there(&path))?;
            // What unlinking a folder says differs between systems.
            let there = dir.symlink_metadata(below.as_path()).map_err(|e| failed(&path, &e))?;
            if there.is_dir() {
                return Err(Error::Conflict(format!("{path} is a folder, not a file")));
            }
            dir.remove_file(below.as_path()).map_err(|e| failed(&path, &e))
        });
        let removed = removed.await;
        Ok(self.told(removed)?)
    }

    async fn list(
        &mut self,
        folder: String,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<String>, HostError> {
        if !(1..=LISTED).contains(&limit) {
            let text = format!("limit is {limit}, must be 1 to {LISTED}");
            return Err(Error::InvalidArgument(text).into());
        }
        let (place, below) = self.place(&folder)?;
        self.told(path::is_top(&folder, &below))?;
        // A call that is cut off drops the waiter, and with it ends the walk.
        let (patience, waiter) = walk::Patience::of(LISTING);
        let listed = blocking(move || match place.existing()? {
            None => Ok(Vec::new()),
            Some(dir) => walk::first(&dir, &prefix, after.as_deref(), limit as usize, &patience)
                .map_err(|e| failed(&folder, &e)),
        });
        let listed = listed.await;
        drop(waiter);
        Ok(self.told(listed)?)
    }
}

#[cfg(test)]
mod tests;
