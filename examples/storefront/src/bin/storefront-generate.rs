//! Writes the feed of the storefront: `orders.jsonl` and `catalogue.jsonl`, always
//! the same. A test holds the files of the repository against it.
//!
//! ```sh
//! storefront-generate FOLDER
//! ```
//!
//! 200 products, of which every eighth is short in the warehouse; 5,000 orders for
//! one to three of them; of 100 orders some 4 are paid with a card that the bank
//! declines, 3 with one that it answers late, 2 go where no carrier goes, and 2
//! come twice. A few customers mistype their address.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use storefront::{Card, Order, Product, SALE, Time};

const ORDERS: u32 = 5_000;
const PRODUCTS: u32 = 200;
const CUSTOMERS: u32 = 800;
/// The shop is open from 08:00 for so many minutes.
const OPENS: u32 = 8 * 60;
const OPEN_FOR: u32 = 12 * 60;
const SEED: u64 = 1;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        eprintln!("Usage: storefront-generate FOLDER");
        return ExitCode::from(2);
    };
    let folder = PathBuf::from(folder);
    let written = catalogue()
        .and_then(|text| std::fs::write(folder.join("catalogue.jsonl"), text))
        .and_then(|()| orders())
        .and_then(|text| std::fs::write(folder.join("orders.jsonl"), text));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: writing to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn catalogue() -> std::io::Result<String> {
    const MADE_OF: [&str; 10] =
        ["Oak", "Linen", "Copper", "Wool", "Glass", "Cork", "Clay", "Steel", "Willow", "Slate"];
    const THINGS: [(&str, &str); 20] = [
        ("bench", SALE),
        ("lantern", SALE),
        ("planter", SALE),
        ("watering can", SALE),
        ("bowl", "kitchen"),
        ("jug", "kitchen"),
        ("pan", "kitchen"),
        ("spoon", "kitchen"),
        ("blanket", "bedroom"),
        ("cushion", "bedroom"),
        ("lamp", "bedroom"),
        ("rug", "bedroom"),
        ("bookend", "study"),
        ("desk tray", "study"),
        ("notebook", "study"),
        ("pencil box", "study"),
        ("hook", "hall"),
        ("mirror", "hall"),
        ("stool", "hall"),
        ("umbrella stand", "hall"),
    ];
    let mut random = Random(SEED);
    let titles = THINGS.iter().flat_map(|thing| MADE_OF.iter().map(move |of| (of, thing)));
    let products = (1..=PRODUCTS).zip(titles).map(|(number, (of, (thing, category)))| Product {
        product: format!("P{number:03}"),
        title: format!("{of} {thing}"),
        category: (*category).to_owned(),
        cents: 495 + 50 * u64::from(random.below(200)),
        stock: if number.is_multiple_of(8) {
            20 + random.below(25)
        } else {
            200 + random.below(200)
        },
    });
    json_lines(products)
}

fn orders() -> std::io::Result<String> {
    let mut random = Random(SEED);
    let mut lines = Vec::new();
    // What will come a second time, and after how many orders.
    let mut again: VecDeque<(u32, Order)> = VecDeque::new();
    for order in 1..=ORDERS {
        let customer = 1 + random.below(CUSTOMERS);
        let domain = if customer % 200 == 7 { "exmaple.com" } else { "example.com" };
        let items = 1 + random.below(3).saturating_sub(random.below(2));
        let items: BTreeMap<_, _> = (0..items)
            .map(|_| (format!("P{:03}", 1 + random.below(PRODUCTS)), 1 + random.below(3)))
            .collect();
        let order = Order {
            order,
            at: Time::from_minutes(OPENS + (order - 1) * OPEN_FOR / ORDERS)
                .ok_or_else(|| std::io::Error::other("the shop is open after midnight"))?,
            customer: format!("c{customer:03}@{domain}"),
            country: country(random.below(100)).to_owned(),
            card: card(random.below(100)),
            items,
        };
        if random.below(100) < 2 {
            again.push_back((order.order + random.below(20), order.clone()));
        }
        lines.push(order);
        while let Some((_, twin)) = again.pop_front_if(|(after, _)| *after <= lines_until(&lines)) {
            lines.push(twin);
        }
    }
    lines.extend(again.into_iter().map(|(_, twin)| twin));
    json_lines(lines.into_iter())
}

/// The largest number that has come.
fn lines_until(lines: &[Order]) -> u32 {
    lines.iter().rev().take(100).map(|order| order.order).max().unwrap_or(0)
}

fn country(per_cent: u32) -> &'static str {
    match per_cent {
        // No carrier goes to the Antarctic.
        0..2 => "AQ",
        2..40 => "DE",
        40..60 => "FR",
        60..75 => "IT",
        75..90 => "ES",
        _ => "PL",
    }
}

fn card(per_cent: u32) -> Card {
    match per_cent {
        0..4 => Card::Declined,
        4..7 => Card::Flaky,
        _ => Card::Good,
    }
}

fn json_lines<T: Serialize>(all: impl Iterator<Item = T>) -> std::io::Result<String> {
    let mut text = String::new();
    for item in all {
        let line = serde_json::to_string(&item)?;
        writeln!(text, "{line}").map_err(std::io::Error::other)?;
    }
    Ok(text)
}

/// A linear congruential generator: repeatable, and random enough for orders.
struct Random(u64);

impl Random {
    /// A number from 0, below `end`.
    fn below(&mut self, end: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = self.0 >> 32;
        u32::try_from((high * u64::from(end)) >> 32).unwrap_or(0)
    }
}
