//! The totals of a day, on the local providers.

// The lints know tests by their attribute, not what tests call.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use stheno::Runtime;
use storefront::{Feed, Plan, Report};

async fn day(orders: u32, seed: u64, bounce_every: u32) -> Report {
    let runtime = Runtime::builder().build().await.unwrap();
    let feed = Feed::generate(orders, seed);
    let plan = Plan { feed, bounce_every, patience: Duration::from_secs(60) };
    let report = storefront::open(&runtime, &plan).await.unwrap();
    runtime.shutdown().await.unwrap();
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_counted_once_whatever_fails() {
    for (seed, bounce_every) in [(1, 0), (2, 7), (3, 1)] {
        let report = day(600, seed, bounce_every).await;
        assert_eq!(report.mismatches(), Vec::<String>::new());
        assert_eq!(report.found, report.expected);
        let totals = &report.found;
        assert_eq!(totals.accepted + totals.refused, 600);
        assert!(totals.refused > 0 && totals.revenue > 0, "{totals:?}");
        assert_eq!(totals.bounced > 0, bounce_every > 0);
        assert_eq!(report.released, 2 * totals.accepted);
        assert_eq!(report.discarded, 2 * totals.refused);
        assert_eq!(report.catalogue_reads, report.fewest_reads);

        // What failed in one subscriber came again to that one alone.
        let retried = |id| report.subscribers.iter().find(|s| s.id == id).unwrap().later_attempts;
        assert_eq!(retried("mail"), totals.bounced);
        assert_eq!((retried("stock"), retried("ledger")), (0, 0));
        let [letter] = report.dead_letters.as_slice() else { panic!("{:?}", report.dead_letters) };
        assert_eq!((letter.subscription.as_str(), report.replayed), ("stock", 1));
        assert!(letter.reason.contains("does not know product"), "{}", letter.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_day_on_the_same_providers_starts_from_morning_prices() {
    let runtime = Runtime::builder().build().await.unwrap();
    for seed in [1, 2] {
        let feed = Feed::generate(300, seed);
        let plan = Plan { feed, bounce_every: 10, patience: Duration::from_secs(60) };
        let report = storefront::open(&runtime, &plan).await.unwrap();
        assert_eq!(report.mismatches(), Vec::<String>::new());
    }
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_is_off_by_one_is_told_by_name() {
    let mut report = day(60, 1, 0).await;
    report.found.revenue += 1;
    report.subscribers[0].left = 1;
    report.catalogue_reads = 0;
    let wrong = report.mismatches();
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    for (line, start) in wrong.iter().zip(["revenue: ", "the catalogue was read 0", "stock has 1"])
    {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn the_same_seed_gives_the_same_feed() {
    assert_eq!(Feed::generate(500, 9), Feed::generate(500, 9));
    assert_ne!(Feed::generate(500, 9), Feed::generate(500, 10));
}
