//! What a day must come to, from the input alone: the orders one after the other,
//! on paper.

use std::collections::{BTreeMap, BTreeSet};

use crate::desks::MISTYPED;
use crate::feed::{Card, Feed, SALE};
use crate::totals::Totals;
use crate::world::OUT_OF_THE_WAY;

/// What the shop must find in the evening.
pub(crate) fn expected(feed: &Feed) -> Totals {
    let mut totals = Totals::default();
    let mut stock: BTreeMap<&str, u32> =
        feed.catalogue.values().map(|product| (&*product.product, product.stock)).collect();
    let (mut seen, morning) = (BTreeSet::new(), feed.halves().0.len());
    for (at, order) in feed.orders.iter().enumerate() {
        totals.visits += 1;
        if !seen.insert(order.order) {
            totals.duplicates += 1;
            continue;
        }
        let (mut in_stock, mut cents, mut units) = (true, 0, 0);
        for (number, &wanted) in &order.items {
            in_stock &= stock.get(&**number).is_some_and(|left| *left >= wanted);
            let product = feed.catalogue.get(number);
            cents += product.map_or(0, |it| it.price(at >= morning)) * u64::from(wanted);
            units += u64::from(wanted);
        }
        let mistyped = order.customer.ends_with(MISTYPED);
        totals.corrected += u64::from(mistyped);
        if !in_stock {
            totals.out_of_stock += 1;
            continue;
        }
        totals.charged_again += u64::from(order.card == Card::Flaky);
        if order.card == Card::Declined {
            totals.declined += 1;
            totals.put_back += units;
        } else if order.country == OUT_OF_THE_WAY {
            totals.undeliverable += 1;
            totals.put_back += units;
            totals.refunds += cents;
        } else {
            totals.completed += 1;
            totals.units += units;
            totals.revenue += cents;
            for (number, wanted) in &order.items {
                if let Some(left) = stock.get_mut(&**number) {
                    *left -= wanted;
                }
            }
        }
    }
    totals.units_left = stock.values().map(|left| u64::from(*left)).sum();
    totals.parcels = totals.completed;
    (totals.takings, totals.invoiced) = (totals.revenue, totals.revenue);
    totals.invoices = totals.completed;
    let cancelled = totals.out_of_stock + totals.declined + totals.undeliverable;
    (totals.runs_done, totals.runs_reverted) = (totals.completed, cancelled);
    // The reservation, and where no carrier went the charge before it.
    totals.steps_undone = totals.declined + 2 * totals.undeliverable;
    totals.letters = totals.completed + cancelled;
    // Of an order that is completed they hear twice.
    totals.tracked = totals.visits + 2 * totals.completed + cancelled;
    totals
}

/// How often the catalogue has to be read at the least: once for each product that
/// is asked for, and once more if it was asked for before its price changed and
/// after.
pub(crate) fn fewest_reads(feed: &Feed) -> u64 {
    let asked = |half: &[crate::Order]| {
        half.iter().flat_map(|order| order.items.keys().cloned()).collect::<BTreeSet<_>>()
    };
    let (morning, afternoon) = feed.halves();
    let (morning, afternoon) = (asked(morning), asked(afternoon));
    let on_sale = |number: &&String| {
        feed.catalogue.get(*number).is_some_and(|product| product.category == SALE)
    };
    let again = morning.intersection(&afternoon).filter(on_sale).count();
    (morning.union(&afternoon).count() + again) as u64
}
