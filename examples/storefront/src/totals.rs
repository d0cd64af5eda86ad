//! What a day must come to, and what it came to.

use std::fmt;

use crate::books::Books;
use crate::feed::{Catalogue, Feed, Order};

/// The sums of one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Orders that the shop took.
    pub accepted: u64,
    /// Orders that it did not take.
    pub refused: u64,
    /// Units that left the warehouse.
    pub units: u64,
    /// What the ledger holds, in cents.
    pub revenue: u64,
    /// Letters to customers: two for each accepted order.
    pub letters: u64,
    /// Orders whose first letter did not go out at the first attempt.
    pub bounced: u64,
    /// Orders that the warehouse rejected at first.
    pub rejected: u64,
}

impl Totals {
    /// Taken from the input alone.
    #[must_use]
    pub fn expected(feed: &Feed, bounces: impl Fn(u32) -> bool) -> Self {
        let mut totals = Self::default();
        let mut catalogue = Catalogue::morning();
        totals.add(&feed.morning, &catalogue, &bounces);
        catalogue.begin_sale();
        totals.add(&feed.afternoon, &catalogue, &bounces);
        totals
    }

    fn add(&mut self, orders: &[Order], catalogue: &Catalogue, bounces: &impl Fn(u32) -> bool) {
        for order in orders {
            if !order.is_acceptable() {
                self.refused += 1;
                continue;
            }
            self.accepted += 1;
            self.units += u64::from(order.units);
            self.revenue +=
                u64::from(order.units) * catalogue.price(order.product).unwrap_or_default();
            self.letters += 2;
            self.bounced += u64::from(bounces(order.id));
            self.rejected += u64::from(order.product == crate::NEW_PRODUCT);
        }
    }

    /// Taken from what the subscribers wrote down.
    pub(crate) fn found(books: &Books, refused: u64) -> Self {
        Self {
            accepted: books.ledger.len(),
            refused,
            units: books.stock.sum(),
            revenue: books.ledger.sum(),
            letters: books.mail.len(),
            bounced: books.bounced.len() as u64,
            rejected: books.rejected.len() as u64,
        }
    }

    /// Each sum with its name and whether it is in cents.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64, bool); 7] {
        [
            ("orders accepted", self.accepted, false),
            ("orders refused", self.refused, false),
            ("units shipped", self.units, false),
            ("revenue", self.revenue, true),
            ("letters sent", self.letters, false),
            ("letters retried", self.bounced, false),
            ("orders replayed", self.rejected, false),
        ]
    }
}

/// A number with thousands set apart.
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::new();
        for (n, digit) in digits.chars().enumerate() {
            if n > 0 && (digits.len() - n).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}
