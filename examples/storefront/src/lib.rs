//! A shop that leaves its infrastructure to Stheno.
//!
//! [`open`] runs one day: the orders of a [`Feed`] come to the counter one after
//! the other, many at a time.
//!
//! - `counter` serves an order under a **lock** on it and on what it takes from the
//!   shelves, and tracks the visit (**analytics**).
//! - `prices` asks the **cache**, and clears a category when it goes on sale.
//! - `checkout` is the **workflow** of an order: it reserves, charges and ships, and
//!   undoes what was done where that fails. The **events** of its steps are released
//!   if it succeeds and forgotten if not.
//! - `desks` subscribe to the events: the ledger, the invoices (**files**), the mail
//!   room (**notifications**), the statistics.
//! - `world` is what lies outside: a warehouse, a bank, a carrier.
//! - `audit` says from the feed alone what the day must come to.
//!
//! The shop waits for what happens, never for time to pass. What stands behind the
//! modules is the runtime's affair: nothing here names a provider.

mod audit;
mod checkout;
mod counter;
mod day;
mod desks;
mod error;
mod feed;
mod meter;
mod prices;
mod report;
mod sale;
mod shop;
mod totals;
mod world;

pub use counter::Tally;
pub use day::Day;
pub use error::Error;
pub use feed::{Card, Feed, FeedError, NOON, Order, Product, SALE, Time};
pub use meter::Work;
pub use report::{DeskReport, Grouped, ModuleReport, Part, PartReport, Report};
pub use shop::{Plan, Progress, open};
pub use totals::{Totals, Unit};
