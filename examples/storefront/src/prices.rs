//! What things cost: asked of the cache, and of the catalogue where the cache does
//! not know.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use stheno::{Cache, ComputeError};

use crate::day::Day;
use crate::error::{Error, doing};
use crate::feed::{Product, SALE};
use crate::meter::Meters;

/// A price is looked up again after so long, whatever happens.
const TTL: Duration = Duration::from_secs(600);

pub(crate) struct Prices {
    cache: Cache,
    day: Day,
    sale: AtomicBool,
    reads: AtomicU64,
    meters: Arc<Meters>,
}

impl Prices {
    pub(crate) fn new(cache: Cache, day: Day, meters: Arc<Meters>) -> Self {
        let (sale, reads) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { cache, day, sale, reads, meters }
    }

    /// The price of one unit. However many ask for it at once, the catalogue is
    /// read once.
    pub(crate) async fn of(&self, product: &Product) -> Result<u64, Error> {
        let key = self.day.name("price", &product.product);
        let tag = self.tag(&product.category);
        let tags = [&*tag];
        let price = self.cache.get_or_compute(&key, Some(TTL), &tags, || async {
            Ok::<_, Infallible>(self.read(product))
        });
        self.meters.cache.time(price).await.map_err(|error| match error {
            ComputeError::Cache(error) => doing("looking up a price")(error),
            ComputeError::Compute(never) => match never {},
        })
    }

    /// Changes the prices of a category, and has the cache forget those and no
    /// others.
    pub(crate) async fn begin_sale(&self) -> Result<(), Error> {
        self.sale.store(true, Ordering::Relaxed);
        let cleared = self.cache.clear_tags([self.tag(SALE)]);
        self.meters.cache.time(cleared).await.map_err(doing("clearing the prices that changed"))
    }

    /// How often the cache did not know.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Stands for a database that is slow to ask.
    fn read(&self, product: &Product) -> u64 {
        self.reads.fetch_add(1, Ordering::Relaxed);
        product.price(self.sale.load(Ordering::Relaxed))
    }

    fn tag(&self, category: &str) -> String {
        self.day.name("category", category)
    }
}
