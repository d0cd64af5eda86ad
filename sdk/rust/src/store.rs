//! An embedded ordered key-value store, where the operator granted one
//! (`grants.store.LABEL`); see the contract, `wit/deps/store/store.wit`.
//!
//! Which function opens it decides how the component is audited: one that calls
//! [`open`] is not loaded without a grant, one that calls only [`granted`] and
//! [`open_granted`] is.

use crate::bindings::store::stheno::store as raw;
use crate::provider::Result;

pub use raw::types::{Change, Condition, Entry, Page, Range, Store, Usage};

/// The longest key, in bytes.
pub const KEY_BYTES: usize = 1_024;
/// The largest value, in bytes.
pub const VALUE_BYTES: usize = 2 << 20;
/// The most bytes of keys and values in one batch.
pub const BATCH_BYTES: usize = 4 << 20;
/// The most conditions and changes in one batch.
pub const BATCH_ITEMS: usize = 65_536;
/// The most bytes in one page.
pub const PAGE_BYTES: u32 = 4 << 20;

/// Opens a store that the provider cannot do without.
///
/// # Errors
///
/// `denied` if the label was not granted, `unavailable` if the store cannot be
/// opened.
pub fn open(label: &str) -> Result<Store> {
    raw::required::open(label)
}

/// Whether a store was granted under the label. May be asked in `describe`.
#[must_use]
pub fn granted(label: &str) -> bool {
    raw::optional::granted(label)
}

/// Opens a store that the provider can do without. `None` if none was granted.
///
/// # Errors
///
/// `unavailable` if it was granted and cannot be opened.
pub fn open_granted(label: &str) -> Result<Option<Store>> {
    if raw::optional::granted(label) { raw::optional::open(label).map(Some) } else { Ok(None) }
}
