//! What the shop deals with and Stheno does not: a warehouse, a bank, a carrier.
//! All three are on other people's machines in truth, so each may be asked twice
//! for one thing. They remember what they did under the number of the order, and
//! asking again changes nothing.

mod bank;
mod carrier;
mod warehouse;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use bank::{Bank, Refusal};
pub(crate) use carrier::{Carrier, OUT_OF_THE_WAY};
pub(crate) use warehouse::{NotReserved, Warehouse};

use crate::feed::Product;

/// All of them.
pub(crate) struct World {
    pub(crate) warehouse: Warehouse,
    pub(crate) bank: Bank,
    pub(crate) carrier: Carrier,
}

impl World {
    /// In the morning: the shelves are filled, nothing is paid or under way.
    pub(crate) fn new(catalogue: &BTreeMap<String, Product>) -> Self {
        Self {
            warehouse: Warehouse::new(catalogue),
            bank: Bank::default(),
            carrier: Carrier::default(),
        }
    }
}

/// What stands in these books is right after each statement, so that a panic of
/// somebody else does no harm.
fn open<T>(books: &Mutex<T>) -> MutexGuard<'_, T> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}
