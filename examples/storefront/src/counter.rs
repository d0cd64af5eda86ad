//! The counter: where customers come to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::poll;
use serde_json::json;
use stheno::{ExecuteOptions, JsonObject, Runtime, Track};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::checkout::{Checkout, Outcome, Placing};
use crate::day::Day;
use crate::error::{Error, doing};
use crate::feed::{Order, Product};
use crate::meter::Meters;
use crate::prices::Prices;
use crate::sale::{Line, Sale};
use crate::shop::Progress;

/// Orders that are served at the same time.
const TILLS: usize = 32;
/// The longest wait for one's turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many orders ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that were served.
    pub served: u64,
    /// Sold and shipped.
    pub completed: u64,
    /// Items were missing.
    pub out_of_stock: u64,
    /// The bank declined.
    pub declined: u64,
    /// No carrier went there, and the money was given back.
    pub undeliverable: u64,
    /// The order had come before.
    pub duplicates: u64,
}

impl Tally {
    /// Orders that were undone or not begun.
    #[must_use]
    pub fn cancelled(&self) -> u64 {
        self.out_of_stock + self.declined + self.undeliverable
    }

    fn add(&mut self, outcome: Outcome) {
        self.served += 1;
        *match outcome {
            Outcome::Completed => &mut self.completed,
            Outcome::OutOfStock => &mut self.out_of_stock,
            Outcome::Declined => &mut self.declined,
            Outcome::Undeliverable => &mut self.undeliverable,
            Outcome::Duplicate => &mut self.duplicates,
        } += 1;
    }
}

pub(crate) struct Counter {
    pub(crate) runtime: Runtime,
    pub(crate) day: Day,
    pub(crate) catalogue: BTreeMap<String, Product>,
    pub(crate) prices: Prices,
    pub(crate) checkout: Checkout,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) meters: Arc<Meters>,
}

impl Counter {
    /// Serves the orders, [`TILLS`] at a time. Each stands in line for its products
    /// before the next one comes, and locks are fair: so the day ends as if they had
    /// been served one after the other, while orders for other things go on.
    pub(crate) async fn serve(self: &Arc<Self>, orders: &[Order]) -> Result<(), Error> {
        let mut tills = JoinSet::new();
        for order in orders {
            if tills.len() == TILLS
                && let Some(done) = tills.join_next().await
            {
                done??;
            }
            let (counter, order) = (Arc::clone(self), order.clone());
            let mut visit = Box::pin(async move { counter.visit(&order).await });
            // Goes as far as the first wait, which is that for the lock.
            match poll!(visit.as_mut()) {
                Poll::Ready(done) => done?,
                Poll::Pending => {
                    tills.spawn(visit);
                }
            }
        }
        while let Some(done) = tills.join_next().await {
            done??;
        }
        Ok(())
    }

    async fn visit(&self, order: &Order) -> Result<(), Error> {
        let came = Instant::now();
        let options = ExecuteOptions { timeout: PATIENCE, ..ExecuteOptions::default() };
        let outcome = self.runtime.locking().execute(self.locks(order), options, |held| {
            self.meters.locking.since(came);
            self.place(order, held.fence())
        });
        let outcome = outcome.await.map_err(doing("placing an order under a lock"))??;
        self.track(order, outcome).await?;
        self.progress.send_modify(|progress| progress.tally.add(outcome));
        Ok(())
    }

    /// The order itself, so that its twin waits for it; and whatever it takes from
    /// the shelves.
    fn locks(&self, order: &Order) -> Vec<String> {
        let products = order.items.keys().map(|product| self.day.name("shelf", product));
        products.chain([self.day.name("order", order.order)]).collect()
    }

    async fn place(&self, order: &Order, fence: u64) -> Result<Outcome, Error> {
        let mut lines = Vec::with_capacity(order.items.len());
        for (number, &units) in &order.items {
            // The feed has none that is not in the catalogue.
            let Some(product) = self.catalogue.get(number) else { continue };
            let cents = self.prices.of(product).await?;
            lines.push(Line {
                product: number.clone(),
                title: product.title.clone(),
                units,
                cents,
            });
        }
        let Order { country, card, .. } = order;
        let sale = Sale::new(order, lines);
        let (day, country) = (self.day.as_str().to_owned(), country.clone());
        self.checkout.place(&Placing { day, sale, country, card: *card, fence }).await
    }

    async fn track(&self, order: &Order, outcome: Outcome) -> Result<(), Error> {
        let properties = json!({
            "day": self.day.as_str(),
            "order": order.order,
            "country": order.country,
            "outcome": outcome,
        });
        let properties = JsonObject::new(&properties).map_err(doing("describing a visit"))?;
        let visit = Track::new("visit").actor(&order.customer).properties(properties);
        let tracked = self.runtime.analytics().track(visit);
        self.meters.analytics.time(tracked).await.map_err(doing("tracking a visit"))
    }
}
