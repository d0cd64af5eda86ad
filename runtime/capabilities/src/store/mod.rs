//! `stheno:store`: an embedded ordered key-value store for each binding that
//! was granted.
//!
//! # Two ways to import it
//!
//! A component is audited by its imports alone, before any of its code runs. A
//! provider that can do with and without a store (`events-local`) must load in
//! both cases, and one that cannot must be refused with the line to write. So
//! the contract has two interfaces that differ in nothing but that:
//! `stheno:store/required` needs a grant, `stheno:store/optional` does not. The
//! import itself says which of them the author meant; nobody has to know the
//! component, and no flag beside it can be forgotten.
//!
//! That is no hole in "deny by default". What gives access is the label in
//! [`Grants`](stheno_config::Grants), which every `open` looks up, through
//! whichever interface it comes; without one the answer is `denied`. The audit
//! spares the operator a late error, it is not what protects the disk. The third
//! interface, `types`, holds only what an opened store can do.
//!
//! # Parts
//!
//! - `bindings`: which stores a provider was granted, and the
//!   one open file behind each.
//! - `file`: what is done in the file, on threads that may block.
//! - `commit`: batches that come at the same time are forced to
//!   the disk together.
//! - `args`: what a guest may ask.
//! - `own`: a store that the host keeps for itself.
//!
//! This file is the seam to the bindings and holds no logic.

mod args;
mod bindings;
mod commit;
mod explain;
mod file;
mod own;
#[cfg(test)]
mod tests;

use stheno_contracts::base::stheno::store::types::{
    Change, Condition, HostStore, Page, Range, Usage,
};
use stheno_contracts::base::stheno::store::{optional, required, types};
use stheno_contracts::store::Store;
use stheno_contracts::{Error, HostError};
use wasmtime::component::Resource;

use crate::Capabilities;

pub use bindings::Stores;
pub(crate) use explain::{powers, rule};
pub(crate) use file::Opened;
pub use own::{Order, OwnStore};

impl Capabilities {
    async fn open_store(&mut self, label: &str) -> Result<Resource<Store>, HostError> {
        let opened = self.shared.stores.open(label).await;
        let opened = self.shared.denials.store.told(opened)?;
        let place = self.stores.iter().position(|open| std::sync::Arc::ptr_eq(open, &opened));
        let place = place.unwrap_or_else(|| {
            self.stores.push(opened);
            self.stores.len() - 1
        });
        let full = |_| {
            Error::Unavailable(format!(
                "too many handles in one instance, at most {}; open a store once and keep it, or \
                 raise `limits.handles`",
                self.shared.handles
            ))
        };
        Ok(self.table.push(Store(place)).map_err(full)?)
    }

    fn store(&self, handle: &Resource<Store>) -> Result<&std::sync::Arc<Opened>, HostError> {
        let Store(place) = self.table.get(handle)?;
        self.stores
            .get(*place)
            .ok_or_else(|| HostError::Trap(wasmtime::Error::msg("a store handle without a store")))
    }
}

impl required::Host for Capabilities {
    async fn open(&mut self, label: String) -> Result<Resource<Store>, HostError> {
        self.open_store(&label).await
    }
}

impl optional::Host for Capabilities {
    fn granted(&mut self, label: String) -> wasmtime::Result<bool> {
        Ok(self.shared.stores.granted(&label))
    }

    async fn open(&mut self, label: String) -> Result<Resource<Store>, HostError> {
        self.open_store(&label).await
    }
}

impl types::Host for Capabilities {}

impl HostStore for Capabilities {
    async fn get(
        &mut self,
        store: Resource<Store>,
        key: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, HostError> {
        args::key("key", &key)?;
        let values = self.store(&store)?.get_many(vec![key]).await?;
        Ok(values.into_iter().next().flatten())
    }

    async fn get_many(
        &mut self,
        store: Resource<Store>,
        keys: Vec<Vec<u8>>,
    ) -> Result<Vec<Option<Vec<u8>>>, HostError> {
        args::keys(&keys)?;
        Ok(self.store(&store)?.get_many(keys).await?)
    }

    async fn scan(
        &mut self,
        store: Resource<Store>,
        range: Range,
        max: u32,
        max_bytes: u32,
    ) -> Result<Page, HostError> {
        let scan = args::scan(range, max, max_bytes)?;
        Ok(self.store(&store)?.scan(scan).await?)
    }

    async fn commit(
        &mut self,
        store: Resource<Store>,
        conditions: Vec<Condition>,
        changes: Vec<Change>,
    ) -> Result<(), HostError> {
        let batch = args::batch(conditions, changes)?;
        Ok(self.store(&store)?.commit(batch).await?)
    }

    async fn usage(&mut self, store: Resource<Store>) -> Result<Usage, HostError> {
        let store = self.store(&store)?;
        Ok(Usage { used_bytes: store.used(), max_bytes: store.max_size() })
    }

    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}
