//! The ledger: what was earned.

use stheno::Event;

use super::{Office, Trouble};
use crate::sale::{PLACED, Sale};

pub(super) const ID: &str = "ledger";
pub(super) const PATTERN: &str = PLACED;

pub(super) async fn book(office: Office, _: Event, sale: Sale) -> Result<(), Trouble> {
    office.books.send_modify(|books| {
        books.ledger.insert(sale.order, sale.cents);
    });
    Ok(())
}
