//! A store of the host itself, in a file like those that providers are granted.
//!
//! What is asked comes from this process and not from a guest, but the limits of
//! [`args`](super::args) hold all the same: they are those of the file.

use std::path::PathBuf;
use std::sync::Arc;

use stheno_config::ByteSize;
use stheno_contracts::Error;
use stheno_contracts::base::stheno::store::types::{Change, Condition, Entry, Range};
use tokio::sync::Mutex;

use super::args::{self, PAGE_BYTES};
use super::bindings::Place;
use super::file::{Opened, blocking};

/// An ordered key-value store in one file that nobody else has open.
///
/// A [`commit`](OwnStore::commit) that returned well is on the disk. Those that
/// come at the same time are forced to it together. After a failure of the disk
/// the file is opened again by the next call.
pub struct OwnStore {
    path: PathBuf,
    max_size: u64,
    /// Held across the opening.
    open: Mutex<Door>,
}

enum Door {
    Open(Arc<Opened>),
    /// Not opened yet, or the disk has failed.
    Shut,
    Closed,
}

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The least key.
    Ascending,
    /// The greatest key.
    Descending,
}

impl OwnStore {
    /// Opens the file, or makes it with the folders above it.
    ///
    /// # Errors
    ///
    /// `unavailable` if it cannot be opened, if it is open elsewhere, or if it is
    /// no store.
    pub async fn open(path: PathBuf, max_size: ByteSize) -> Result<Self, Error> {
        let store = Self { path, max_size: max_size.as_u64(), open: Mutex::new(Door::Shut) };
        store.opened().await?;
        Ok(store)
    }

    async fn opened(&self) -> Result<Arc<Opened>, Error> {
        let mut open = self.open.lock().await;
        match &*open {
            Door::Open(opened) if !opened.has_failed() => return Ok(Arc::clone(opened)),
            Door::Open(_) | Door::Shut => {}
            Door::Closed => {
                return Err(Error::Unavailable(format!(
                    "the store {} was closed; the host is stopping",
                    self.path.display()
                )));
            }
        }
        // Whoever still works on the failed one keeps the file from being opened:
        // then a later call will.
        *open = Door::Shut;
        let (place, max_size) = (Place::File(self.path.clone()), self.max_size);
        let opened = Arc::new(blocking(move || Opened::open(&place, max_size)).await?);
        *open = Door::Open(Arc::clone(&opened));
        Ok(opened)
    }

    /// Closes the file, so that somebody else can open it once this returns; only
    /// a call that is still under way keeps it for as long as it takes. Calls that
    /// come later are `unavailable`.
    pub async fn close(&self) {
        *self.open.lock().await = Door::Closed;
    }

    /// The values under the keys, in their order.
    ///
    /// # Errors
    ///
    /// `invalid-argument` beyond the limits, and what the disk says.
    pub async fn get_many(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        args::keys(&keys)?;
        self.opened().await?.get_many(keys).await
    }

    /// At most `max` entries of the keys from `start` on and before `end`, of
    /// about `max_bytes` together and one at least if there is any.
    ///
    /// # Errors
    ///
    /// `invalid-argument` beyond the limits, and what the disk says.
    pub async fn scan(
        &self,
        start: Vec<u8>,
        end: Vec<u8>,
        order: Order,
        max: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry>, Error> {
        let range = Range { start: Some(start), end: Some(end) };
        let max_bytes = max_bytes.min(u32::try_from(PAGE_BYTES).unwrap_or(u32::MAX));
        let mut scan = args::scan(range, max, max_bytes)?;
        scan.order = order;
        Ok(self.opened().await?.scan(scan).await?.entries)
    }

    /// Makes all of the changes if all of the conditions hold.
    ///
    /// # Errors
    ///
    /// `conflict` if a condition does not hold, `unavailable` if the changes do
    /// not fit; then nothing was changed. `timeout` and `internal`: it is not
    /// known.
    pub async fn commit(
        &self,
        conditions: Vec<Condition>,
        changes: Vec<Change>,
    ) -> Result<(), Error> {
        let batch = args::batch(conditions, changes)?;
        self.opened().await?.commit(batch).await
    }

    /// How many bytes are stored: keys, values and 32 for each entry.
    ///
    /// # Errors
    ///
    /// When the file has to be opened again and cannot be.
    pub async fn used(&self) -> Result<u64, Error> {
        Ok(self.opened().await?.used())
    }
}
