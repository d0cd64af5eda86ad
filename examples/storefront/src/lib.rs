//! A shop that leaves its cache and its events to Stheno.
//!
//! [`open`] runs one day. Each order's price comes through the cache; what the
//! order leads to is staged in a group of events, released if the shop accepts
//! the order and discarded if not. Three subscribers do the work: `stock` ships,
//! `mail` writes to the customer, `ledger` sums the revenue. At noon a category
//! goes on sale, and a tag clears its prices. Letters bounce at times, and the
//! warehouse does not know one product; neither may change a total.
//!
//! The shop waits for what subscribers write down, never for time to pass.
//! What stands behind the modules is the runtime's affair: nothing here names a
//! provider.

mod books;
mod feed;
mod report;
mod shop;
mod totals;

pub use feed::{Catalogue, Feed, NEW_PRODUCT, Order, PRODUCTS, SALE, category};
pub use report::{Day, Report, SubscriberReport, Work};
pub use shop::{Error, Plan, open};
pub use totals::{Grouped, Totals};
