//! What is done in a store's file.
//!
//! Everything here may block, so it runs on threads that may ([`blocking`]), for
//! at most [`DEADLINE`] in the eyes of who waits. The file is one of `redb`:
//! copy on write, so whenever the process dies the last commit is there, whole,
//! and nothing of the next.
//!
//! The size is counted by what the guest stores and not by the file, which grows
//! in steps and keeps pages for use again: so a guest can tell what it may still
//! store. The count stands in the file beside the data and changes with it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    AccessGuard, Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition,
};
use stheno_contracts::Error;
use stheno_contracts::base::stheno::store::types::{Entry, Page};

use super::args::{Batch, READ_BYTES, Scan};
use super::bindings::Place;
use super::commit::Writer;
use super::own::Order;

/// What the guest stores.
pub(super) const DATA: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("data");
/// What the host notes beside it, by name.
pub(super) const NOTES: TableDefinition<'_, &str, u64> = TableDefinition::new("stheno:store");
/// The version of what is in the file. A file without it is not one of ours.
const FORMAT: (&str, u64) = ("format", 1);
pub(super) const USED: &str = "used";

/// What an entry counts beyond its key and its value.
pub(super) const ENTRY_OVERHEAD: u64 = 32;

/// Pages that are kept in memory.
const PAGE_CACHE_BYTES: usize = 8 << 20;

/// So long a call waits for the disk.
const DEADLINE: Duration = Duration::from_secs(5);

/// An open store.
pub(crate) struct Opened {
    pub(super) writer: Writer,
    pub(super) inner: Arc<Inner>,
}

/// What readers and the writer share.
pub(super) struct Inner {
    /// None once it was closed.
    database: RwLock<Option<Database>>,
    pub(super) used: AtomicU64,
    pub(super) max_size: u64,
    failed: AtomicBool,
}

/// An entry as a range gives it.
type Found = Result<
    (AccessGuard<'static, &'static [u8]>, AccessGuard<'static, &'static [u8]>),
    redb::StorageError,
>;

/// Runs work that may block, without waiting for it for ever. What has begun
/// goes on after the deadline.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    in_time(async {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(stopped) => Err(Error::Unavailable(format!("the host is stopping: {stopped}"))),
        }
    })
    .await
}

/// Waits for the disk, but not for ever.
pub(super) async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| {
        Err(Error::Timeout(format!("the store's disk took longer than {} s", DEADLINE.as_secs())))
    })
}

impl Opened {
    /// Opens the file, or makes it.
    pub(super) fn open(place: &Place, max_size: u64) -> Result<Self, Error> {
        let mut builder = Builder::new();
        builder.set_cache_size(PAGE_CACHE_BYTES);
        let database = match place {
            Place::Memory => {
                builder.create_with_backend(InMemoryBackend::new()).map_err(unknown)?
            }
            Place::File(path) => {
                let file = file(path).map_err(|error| cannot_open(path, &error))?;
                let made =
                    FileBackend::new(file).and_then(|backend| builder.create_with_backend(backend));
                made.map_err(|error| match error {
                    DatabaseError::DatabaseAlreadyOpen => Error::Unavailable(format!(
                        "the store {} is open elsewhere, in another provider or another process; \
                         give each provider a file of its own",
                        path.display()
                    )),
                    error => cannot_open(path, &error),
                })?
            }
        };
        let used = prepare(&database).map_err(|error| match place {
            Place::Memory => unknown(error),
            Place::File(path) => cannot_open(path, &error),
        })?;
        let inner = Arc::new(Inner {
            database: RwLock::new(Some(database)),
            used: AtomicU64::new(used),
            max_size,
            failed: AtomicBool::new(false),
        });
        Ok(Self { writer: Writer::new(Arc::clone(&inner)), inner })
    }

    /// Whether the disk has failed: redb then refuses everything until the file
    /// is opened again.
    pub(super) fn has_failed(&self) -> bool {
        self.inner.failed.load(Ordering::Acquire)
    }

    pub(super) fn used(&self) -> u64 {
        self.inner.used.load(Ordering::Acquire)
    }

    pub(super) fn max_size(&self) -> u64 {
        self.inner.max_size
    }

    /// The values under the keys, in their order.
    pub(super) async fn get_many(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.get_many(&keys)).await
    }

    /// One page of a range.
    pub(super) async fn scan(&self, scan: Scan) -> Result<Page, Error> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.scan(&scan)).await
    }

    /// Makes a batch, if its conditions hold.
    pub(super) async fn commit(&self, batch: Batch) -> Result<(), Error> {
        in_time(self.writer.commit(batch)).await
    }
}

/// Closes the file, so that whoever was told that the provider has stopped can
/// open it: not when the last thread that worked on it gets round to forgetting
/// it. Work that is still under way, which nobody waits for, closes it when it
/// ends.
impl Drop for Opened {
    fn drop(&mut self) {
        if let Ok(mut database) = self.inner.database.try_write() {
            *database = None;
        }
    }
}

impl Inner {
    /// Works on the file.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match &*database {
            Some(database) => work(database),
            None => Err(redb::StorageError::DatabaseClosed.into()),
        }
    }

    /// Notes that the disk has failed.
    pub(super) fn fail(&self, error: impl std::fmt::Display) -> Error {
        self.failed.store(true, Ordering::Release);
        unknown(error)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let read = |database: &Database| {
            let table = database.begin_read()?.open_table(DATA)?;
            let mut bytes = 0_usize;
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                let value = table.get(key.as_slice())?.map(|value| value.value().to_vec());
                bytes = bytes.saturating_add(value.as_ref().map_or(0, Vec::len));
                if bytes > READ_BYTES {
                    return Ok(None);
                }
                values.push(value);
            }
            Ok(Some(values))
        };
        self.with(read).map_err(|error| self.fail(error))?.ok_or_else(|| {
            Error::InvalidArgument(format!(
                "keys stand for more than {READ_BYTES} bytes together; ask for fewer"
            ))
        })
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        let read = |database: &Database| {
            let start = scan.start.as_deref().unwrap_or_default();
            if scan.end.as_deref().is_some_and(|end| end <= start) {
                return Ok(Page { entries: Vec::new(), next: None });
            }
            let table = database.begin_read()?.open_table(DATA)?;
            let range = match scan.end.as_deref() {
                Some(end) => table.range(start..end)?,
                None => table.range(start..)?,
            };
            Ok(match scan.order {
                Order::Ascending => filled(range, scan)?,
                Order::Descending => filled(range.rev(), scan)?,
            })
        };
        self.with(read).map_err(|error| self.fail(error))
    }
}

/// One page of these entries; `next` is the first that is not on it.
fn filled(entries: impl Iterator<Item = Found>, scan: &Scan) -> Result<Page, redb::StorageError> {
    let mut page = Page { entries: Vec::new(), next: None };
    let mut bytes = 0_usize;
    for entry in entries {
        let (key, value) = entry?;
        let (key, value) = (key.value(), value.value());
        bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
        let full = page.entries.len() >= scan.max || bytes > scan.max_bytes;
        if full && !page.entries.is_empty() {
            page.next = Some(key.to_vec());
            break;
        }
        page.entries.push(Entry { key: key.to_vec(), value: value.to_vec() });
    }
    Ok(page)
}

/// Opens the file for this user alone, with the folders above it.
fn file(path: &Path) -> std::io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    // A new file survives the machine only once its folder does.
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file)
}

/// Sees that the file is a store, and says how large it is.
fn prepare(database: &Database) -> Result<u64, Failure> {
    let write = database.begin_write()?;
    let fresh = write.list_tables()?.next().is_none();
    let used = {
        let mut notes = write.open_table(NOTES)?;
        if fresh {
            notes.insert(FORMAT.0, FORMAT.1)?;
            write.open_table(DATA)?;
        }
        match notes.get(FORMAT.0)?.map(|format| format.value()) {
            Some(format) if format == FORMAT.1 => {}
            Some(_) => return Err(Failure::Newer),
            None => return Err(Failure::Foreign),
        }
        notes.get(USED)?.map_or(0, |used| used.value())
    };
    if fresh {
        write.commit()?;
    } else {
        write.abort()?;
    }
    Ok(used)
}

/// Why a file is not taken for a store.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it was made by something else; give the store a file of its own")]
    Foreign,
    #[error("it was made by a later version of Stheno; use that one, or another file")]
    Newer,
    #[error(transparent)]
    Disk(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Disk(error.into())
    }
}

fn cannot_open(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Unavailable(format!("the store {} cannot be opened: {error}", path.display()))
}

/// Whether something was written is not known.
pub(super) fn unknown(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("the store's disk failed, open it again: {error}"))
}
