//! The input: what customers order and what things cost. Nothing here knows of
//! the runtime, so totals taken from here can be held against it.

use std::collections::BTreeMap;

/// Products 1 to this number are in the catalogue.
pub const PRODUCTS: u32 = 48;
/// The product that the warehouse has not heard of when the day begins.
pub const NEW_PRODUCT: u32 = PRODUCTS + 1;
/// The category whose prices change in the middle of the day.
pub const SALE: u32 = 3;
const CATEGORIES: u32 = 6;
/// More of one product than this is refused.
const MOST_UNITS: u32 = 9;

/// What a customer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Unique in the feed.
    pub id: u32,
    /// The number of the product.
    pub product: u32,
    /// How many of it.
    pub units: u32,
}

impl Order {
    /// Whether the shop takes it.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        self.units <= MOST_UNITS
    }
}

/// The orders of one day, in two halves: prices change between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Before the change.
    pub morning: Vec<Order>,
    /// After it.
    pub afternoon: Vec<Order>,
}

impl Feed {
    /// `orders` orders, always the same for the same `seed`. One of the morning
    /// is for [`NEW_PRODUCT`], if there is a morning.
    #[must_use]
    pub fn generate(orders: u32, seed: u64) -> Self {
        let mut random = Random(seed);
        let half = orders / 2;
        let all = (1..=orders).map(|id| {
            let (product, units) = (1 + random.below(PRODUCTS), 1 + random.below(MOST_UNITS + 1));
            if id == half.div_ceil(2) && id > 0 {
                return Order { id, product: NEW_PRODUCT, units: 1 };
            }
            Order { id, product, units }
        });
        let (morning, afternoon) = all.partition(|order| order.id <= half);
        Self { morning, afternoon }
    }
}

/// The category of a product, a number from 1.
#[must_use]
pub fn category(product: u32) -> u32 {
    product % CATEGORIES + 1
}

/// What each product costs, in cents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue(BTreeMap<u32, u64>);

impl Catalogue {
    /// The prices of the morning.
    #[must_use]
    pub fn morning() -> Self {
        Self((1..=NEW_PRODUCT).map(|product| (product, 499 + 137 * u64::from(product))).collect())
    }

    /// The price of one unit; none for a product that is not sold.
    #[must_use]
    pub fn price(&self, product: u32) -> Option<u64> {
        self.0.get(&product).copied()
    }

    /// Takes a tenth off everything in the category [`SALE`].
    pub fn begin_sale(&mut self) {
        for (product, cents) in &mut self.0 {
            if category(*product) == SALE {
                *cents -= *cents / 10;
            }
        }
    }
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
