//! The money.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::open;
use crate::feed::Card;

#[derive(Default)]
pub(crate) struct Bank(Mutex<Books>);

#[derive(Default)]
struct Books {
    /// Cents, by order; what was refunded stays.
    charged: BTreeMap<u32, u64>,
    refunded: BTreeSet<u32>,
    /// Orders whose charge was not answered at first.
    unanswered: BTreeSet<u32>,
}

/// Why nothing was charged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The bank will not change its mind.
    #[error("the bank declines the card")]
    Declined,
    /// It may be asked again.
    #[error("the bank does not answer")]
    NoAnswer,
}

impl Bank {
    pub(crate) fn charge(&self, order: u32, card: Card, cents: u64) -> Result<(), Refusal> {
        let mut books = open(&self.0);
        match card {
            Card::Declined => return Err(Refusal::Declined),
            Card::Flaky if books.unanswered.insert(order) => return Err(Refusal::NoAnswer),
            Card::Flaky | Card::Good => {}
        }
        books.charged.entry(order).or_insert(cents);
        Ok(())
    }

    /// Gives back what was charged for this order, if anything was.
    pub(crate) fn refund(&self, order: u32) {
        let mut books = open(&self.0);
        if books.charged.contains_key(&order) {
            books.refunded.insert(order);
        }
    }

    /// What was charged and not refunded, in cents.
    pub(crate) fn takings(&self) -> u64 {
        let books = open(&self.0);
        let kept =
            |(order, cents): (&u32, &u64)| (!books.refunded.contains(order)).then_some(*cents);
        books.charged.iter().filter_map(kept).sum()
    }

    /// What was refunded, in cents.
    pub(crate) fn refunds(&self) -> u64 {
        let books = open(&self.0);
        books.refunded.iter().filter_map(|order| books.charged.get(order)).sum()
    }

    /// Orders whose charge took a second attempt.
    pub(crate) fn unanswered(&self) -> u64 {
        open(&self.0).unanswered.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_again_changes_nothing() {
        let bank = Bank::default();
        for _ in 0..2 {
            assert_eq!(bank.charge(1, Card::Good, 500), Ok(()));
            assert_eq!(bank.charge(2, Card::Declined, 70), Err(Refusal::Declined));
        }
        assert_eq!(bank.charge(3, Card::Flaky, 20), Err(Refusal::NoAnswer));
        assert_eq!(bank.charge(3, Card::Flaky, 20), Ok(()));
        assert_eq!((bank.takings(), bank.refunds(), bank.unanswered()), (520, 0, 1));
        for _ in 0..2 {
            bank.refund(1);
            bank.refund(2);
            assert_eq!((bank.takings(), bank.refunds()), (20, 500));
        }
    }
}
