//! The road.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::open;

/// Where nobody goes.
pub(crate) const OUT_OF_THE_WAY: &str = "AQ";

#[derive(Default)]
pub(crate) struct Carrier(Mutex<BTreeSet<u32>>);

/// The carrier does not go there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the carrier does not go to {0}")]
pub(crate) struct OutOfTheWay(String);

impl Carrier {
    /// Takes the parcel of this order.
    pub(crate) fn send(&self, order: u32, country: &str) -> Result<(), OutOfTheWay> {
        if country == OUT_OF_THE_WAY {
            return Err(OutOfTheWay(country.to_owned()));
        }
        open(&self.0).insert(order);
        Ok(())
    }

    /// Parcels on their way.
    pub(crate) fn parcels(&self) -> u64 {
        open(&self.0).len() as u64
    }
}
