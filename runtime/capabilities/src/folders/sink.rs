//! A file being written aside.

use std::fs::File;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions};
use stheno_contracts::Error;
use stheno_contracts::body::Sink;
use tokio::task::JoinHandle;

use super::path::Below;
use super::{OWN, blocking, failed};

/// Writes to a file in `.stheno`; [`Sink::finish`] gives it its name. One chunk
/// is written while the next one is fetched.
pub(super) struct Staged {
    aside: Aside,
    below: Below,
    path: String,
    /// None while a chunk is being written, and after an error.
    file: Option<File>,
    writing: Option<JoinHandle<std::io::Result<File>>>,
}

/// The name in `.stheno`, which goes with this value.
struct Aside {
    dir: Arc<Dir>,
    name: String,
    removed: bool,
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        let (dir, name) = (Arc::clone(&self.dir), std::mem::take(&mut self.name));
        let remove = move || {
            if let Err(error) = dir.remove_file(&name) {
                tracing::debug!(%error, "what was written aside could not be removed");
            }
        };
        // Freeing the blocks of a large file takes its time.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// Makes a file in `.stheno` and locks it.
fn aside(dir: Arc<Dir>) -> std::io::Result<(Aside, File)> {
    dir.create_dir_all(OWN)?;
    loop {
        let name = format!("{OWN}/{}", uuid::Uuid::new_v4().simple());
        let mut options = OpenOptions::new();
        let file = dir.open_with(&name, options.write(true).create_new(true))?.into_std();
        let aside = Aside { dir: Arc::clone(&dir), name, removed: false };
        match file.lock() {
            // Then nobody can tell that it is in use, and nobody removes it.
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
            locked => locked?,
        }
        // Somebody who was cleaning up may have been faster than the lock.
        if dir.exists(&aside.name) {
            return Ok((aside, file));
        }
    }
}

impl Staged {
    /// Begins a file that will be at `below`. Blocks.
    pub(super) fn new(dir: Arc<Dir>, below: Below, path: String) -> Result<Self, Error> {
        match dir.symlink_metadata(below.as_path()) {
            Ok(_) => return Err(Error::Conflict(format!("a file is at {path} already"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path, &error)),
        }
        let (aside, file) = aside(dir).map_err(|error| failed(&path, &error))?;
        Ok(Self { aside, below, path, file: Some(file), writing: None })
    }

    /// The file, once the chunk under way is written.
    async fn written(&mut self) -> Result<File, Error> {
        if let Some(writing) = &mut self.writing {
            let written = writing.await;
            self.writing = None;
            return match written {
                Ok(file) => file.map_err(|error| failed(&self.path, &error)),
                Err(stopped) => Err(Error::Unavailable(format!("the host is stopping: {stopped}"))),
            };
        }
        self.file.take().ok_or_else(|| {
            Error::Conflict("an earlier write failed, so the body cannot be made whole".into())
        })
    }
}

impl Sink for Staged {
    fn write(
        &mut self,
        bytes: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + '_>> {
        Box::pin(async move {
            let mut file = self.written().await?;
            let write = move || file.write_all(&bytes).map(|()| file);
            self.writing = Some(tokio::task::spawn_blocking(write));
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> {
        Box::pin(async move {
            let file = self.written().await?;
            blocking(move || {
                commit(&mut self.aside, &self.below, &file).map_err(|e| failed(&self.path, &e))
            })
            .await
        })
    }
}

/// Syncs the file, gives it its name and syncs the folders that lead to it.
fn commit(aside: &mut Aside, below: &Below, file: &File) -> std::io::Result<()> {
    let dir = Arc::clone(&aside.dir);
    file.sync_all()?;
    // From the top down; those above the first new one need no sync.
    let folders = below.folders();
    let mut changed = folders.len();
    for (depth, folder) in folders.iter().enumerate() {
        match dir.create_dir(folder) {
            Ok(()) => changed = changed.min(depth),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    dir.hard_link(&aside.name, &dir, below.as_path())?;
    aside.removed = dir.remove_file(&aside.name).is_ok();
    // `changed` counts folders above it: the entry of a new folder is in its
    // parent, and that of the file in the last one.
    let parents = std::iter::once(std::path::Path::new(".")).chain(folders.iter().copied());
    for parent in parents.skip(changed) {
        dir.open(parent)?.into_std().sync_all()?;
    }
    Ok(())
}
