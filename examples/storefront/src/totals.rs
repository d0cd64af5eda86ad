//! What a day comes to.

use serde::Serialize;

/// The sums of one day. Money is in cents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Lines of the feed: customers who came.
    pub visits: u64,
    /// Orders that were sold and shipped.
    pub completed: u64,
    /// Orders for which items were missing.
    pub out_of_stock: u64,
    /// Orders whose card the bank declined: the items were put back.
    pub declined: u64,
    /// Orders that no carrier took: the money was given back, the items put back.
    pub undeliverable: u64,
    /// Lines with an order that had come before.
    pub duplicates: u64,
    /// Runs of the workflow that are done.
    pub runs_done: u64,
    /// Runs that could not go on: what they had done was undone.
    pub runs_reverted: u64,
    /// Steps of those that were done, and then undone.
    pub steps_undone: u64,
    /// Charges that the bank answered at the second attempt only.
    pub charged_again: u64,
    /// Parcels.
    pub parcels: u64,
    /// Units in the parcels.
    pub units: u64,
    /// Units that were taken from the shelves and put back.
    pub put_back: u64,
    /// Units on the shelves in the evening.
    pub units_left: u64,
    /// What the ledger has.
    pub revenue: u64,
    /// What the bank has taken and kept.
    pub takings: u64,
    /// What the bank has given back.
    pub refunds: u64,
    /// Invoices, as files.
    pub invoices: u64,
    /// What stands on the invoices.
    pub invoiced: u64,
    /// Letters that went out, each once.
    pub letters: u64,
    /// Letters that went out only after their address was corrected.
    pub corrected: u64,
    /// What analytics accepted: visits, and what happened to orders.
    pub tracked: u64,
}

/// How a total is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As a number.
    Number,
    /// As money.
    Cents,
}

impl Totals {
    /// Each sum with its name and unit.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64, Unit); 22] {
        use Unit::{Cents, Number};
        [
            ("customers who came", self.visits, Number),
            ("orders completed", self.completed, Number),
            ("  out of stock", self.out_of_stock, Number),
            ("  declined, put back", self.declined, Number),
            ("  undeliverable, refunded", self.undeliverable, Number),
            ("  duplicates", self.duplicates, Number),
            ("runs done", self.runs_done, Number),
            ("runs reverted", self.runs_reverted, Number),
            ("  steps undone in them", self.steps_undone, Number),
            ("charges tried again", self.charged_again, Number),
            ("parcels", self.parcels, Number),
            ("units sold", self.units, Number),
            ("units taken and put back", self.put_back, Number),
            ("units left on the shelves", self.units_left, Number),
            ("revenue in the ledger", self.revenue, Cents),
            ("kept by the bank", self.takings, Cents),
            ("refunded by the bank", self.refunds, Cents),
            ("invoices stored", self.invoices, Number),
            ("sum of the invoices", self.invoiced, Cents),
            ("letters sent", self.letters, Number),
            ("letters after correction", self.corrected, Number),
            ("visits and events tracked", self.tracked, Number),
        ]
    }
}
