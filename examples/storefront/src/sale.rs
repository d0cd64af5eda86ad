//! What is sold, and how the desks hear of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stheno::NewEvent;

use crate::day::Day;
use crate::feed::Order;

/// The customer's order was accepted: a [`Sale`].
pub(crate) const PLACED: &str = "order.placed";
/// The carrier has it: a [`Sale`].
pub(crate) const SHIPPED: &str = "order.shipped";
/// It was undone: a [`Sale`], and why in the metadata [`REASON`].
pub(crate) const CANCELLED: &str = "order.cancelled";
/// An invoice is ready: an [`Invoice`].
pub(crate) const INVOICED: &str = "invoice.written";

pub(crate) const REASON: &str = "reason";

/// The waits between attempts at an event: short, as the day is.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// An order with its prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sale {
    pub(crate) order: u32,
    pub(crate) customer: String,
    pub(crate) lines: Vec<Line>,
    /// Of all lines.
    pub(crate) cents: u64,
}

/// Some units of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) product: String,
    pub(crate) title: String,
    pub(crate) units: u32,
    /// Of one unit.
    pub(crate) cents: u64,
}

impl Sale {
    pub(crate) fn new(order: &Order, lines: Vec<Line>) -> Self {
        let cents = lines.iter().map(|line| u64::from(line.units) * line.cents).sum();
        Self { order: order.order, customer: order.customer.clone(), lines, cents }
    }

    /// How many of which products.
    pub(crate) fn items(&self) -> BTreeMap<String, u32> {
        self.lines.iter().map(|line| (line.product.clone(), line.units)).collect()
    }
}

/// Where an invoice is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invoice {
    pub(crate) order: u32,
    pub(crate) customer: String,
    /// Of the file.
    pub(crate) key: String,
}

/// The body of every event of the shop: of which day it is, and what happened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dated<T> {
    pub(crate) day: String,
    pub(crate) body: T,
}

/// An event of this day.
pub(crate) fn event<T: Serialize>(
    day: &Day,
    name: &str,
    body: &T,
) -> Result<NewEvent, stheno::Error> {
    let mut event = NewEvent::json(name, &Dated { day: day.as_str().to_owned(), body })?;
    event.backoff = Some(BACKOFF);
    Ok(event)
}

/// Writes cents as people do.
pub(crate) fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
