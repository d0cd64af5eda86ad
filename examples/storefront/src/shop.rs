//! One day of the shop.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stheno::{ComputeError, DeadLetter, Event, Failure, NewEvent, Runtime, Subscriber};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::books::Books;
use crate::feed::{Catalogue, Feed, NEW_PRODUCT, Order, SALE, category};
use crate::report::{Day, Report, Work, summary};
use crate::totals::Totals;

/// Orders that are taken at the same time.
const TILLS: usize = 16;
const PRICE_TTL: Duration = Duration::from_secs(600);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));
/// On every price, so that a day can begin without those of the day before.
const ALL_PRICES: &str = "storefront:prices";
const PLACED: &str = "order.placed";
const BILLED: &str = "order.billed";

/// The input of a day, and what goes wrong in it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The orders.
    pub feed: Feed,
    /// The first letter about every such order bounces once: of all orders if
    /// 1, of none if 0.
    pub bounce_every: u32,
    /// The longest wait for subscribers before the day is given up.
    pub patience: Duration,
}

impl Plan {
    fn bounces(&self, order: u32) -> bool {
        self.bounce_every > 0 && order.is_multiple_of(self.bounce_every)
    }

    /// What the day must come to.
    #[must_use]
    pub fn expected(&self) -> Totals {
        Totals::expected(&self.feed, |order| self.bounces(order))
    }
}

/// Why a day could not be brought to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A module refused or failed a call.
    #[error("{doing}: {error}")]
    Module {
        /// What the shop was about to do.
        doing: &'static str,
        /// What the module said.
        error: stheno::Error,
    },
    /// An order names a product that is not in the catalogue.
    #[error("product {0} is ordered and not in the catalogue")]
    NotSold(u32),
    /// Subscribers did not handle all events in time.
    #[error("after {patience:?} there are still events to handle: {progress}")]
    TooSlow {
        /// How long the shop waited.
        patience: Duration,
        /// How far each subscriber got.
        progress: String,
    },
    /// A till stopped in the middle of its work.
    #[error("a till broke down: {0}")]
    Till(#[from] tokio::task::JoinError),
}

fn doing(doing: &'static str) -> impl Fn(stheno::Error) -> Error {
    move |error| Error::Module { doing, error }
}

/// The body of both events of an order.
#[derive(Debug, Serialize, Deserialize)]
struct Sold {
    order: u32,
    product: u32,
    units: u32,
    cents: u64,
}

/// Opens the shop for one day.
///
/// # Errors
///
/// What keeps the day from its end; totals that are wrong do not, see
/// [`Report::mismatches`].
pub async fn open(runtime: &Runtime, plan: &Plan) -> Result<Report, Error> {
    let shop = Shop::new(runtime, plan);
    runtime.cache().clear_tags([ALL_PRICES]).await.map_err(doing("forgetting old prices"))?;
    let (stock, mail, ledger) =
        tokio::try_join!(shop.employ_stock(), shop.employ_mail(), shop.employ_ledger())?;

    let began = Instant::now();
    shop.serve(&plan.feed.morning).await?;
    shop.begin_sale().await?;
    shop.serve(&plan.feed.afternoon).await?;
    let orders = began.elapsed();

    let began = Instant::now();
    let accepted = shop.counts.accepted.load(Ordering::Relaxed);
    shop.until(plan.patience, |books| {
        books.stock.len() + books.rejected.len() as u64 >= accepted
            && books.mail.len() >= 2 * accepted
            && books.ledger.len() >= accepted
    })
    .await?;
    // The verdict on an event is recorded after its handler has ended. Who
    // stops waits for that too, and then the list of dead letters is complete.
    stock.stop().await;
    let handling = began.elapsed();

    let began = Instant::now();
    let dead_letters = shop.dead_letters("stock").await?;
    shop.books.send_modify(|books| {
        books.known.insert(NEW_PRODUCT);
    });
    let ids = dead_letters.iter().map(|letter| letter.id.clone()).collect();
    let events = runtime.events();
    let replayed =
        events.replay_dead_letters(ids).await.map_err(doing("replaying dead letters"))?;
    let stock = shop.employ_stock().await?;
    shop.until(plan.patience, |books| books.stock.len() >= accepted).await?;
    tokio::join!(stock.stop(), mail.stop(), ledger.stop());
    let replay = began.elapsed();

    shop.report(plan, dead_letters, replayed, Day { orders, handling, replay }).await
}

/// Cheap to clone: tills and subscribers have one each.
#[derive(Clone)]
struct Shop {
    runtime: Runtime,
    plan: Arc<Plan>,
    catalogue: Arc<Mutex<Catalogue>>,
    books: Arc<watch::Sender<Books>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    lookups: AtomicU64,
    lookup_micros: AtomicU64,
    catalogue_reads: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    group_micros: AtomicU64,
    released: AtomicU64,
    discarded: AtomicU64,
}

fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

fn micros_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

impl Shop {
    fn new(runtime: &Runtime, plan: &Plan) -> Self {
        Self {
            runtime: runtime.clone(),
            plan: Arc::new(plan.clone()),
            catalogue: Arc::new(Mutex::new(Catalogue::morning())),
            books: Arc::new(watch::Sender::new(Books::default())),
            counts: Arc::default(),
        }
    }

    /// Takes the orders, several at a time.
    async fn serve(&self, orders: &[Order]) -> Result<(), Error> {
        let mut tills = JoinSet::new();
        for till in 0..TILLS {
            let orders: Vec<_> = orders.iter().skip(till).step_by(TILLS).copied().collect();
            let shop = self.clone();
            tills.spawn(async move {
                for order in orders {
                    shop.take(order).await?;
                }
                Ok::<(), Error>(())
            });
        }
        while let Some(ended) = tills.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn take(&self, order: Order) -> Result<(), Error> {
        let Order { id, product, units } = order;
        let cents = u64::from(units) * self.price(product).await?;
        let sold = Sold { order: id, product, units, cents };
        let events = [PLACED, BILLED]
            .into_iter()
            .map(|name| {
                let mut event = NewEvent::json(name, &sold)?;
                event.backoff = Some(BACKOFF);
                Ok(event)
            })
            .collect::<Result<Vec<_>, stheno::Error>>()
            .map_err(doing("writing an order's events"))?;

        let began = Instant::now();
        let group = self.runtime.events().group(format!("storefront:order:{id}"));
        group.stage(events).await.map_err(doing("staging an order's events"))?;
        if order.is_acceptable() {
            let released = group.release().await.map_err(doing("releasing an order's events"))?;
            add(&self.counts.released, released);
            add(&self.counts.accepted, 1);
        } else {
            let discarded = group.discard().await.map_err(doing("discarding an order's events"))?;
            add(&self.counts.discarded, discarded);
            add(&self.counts.refused, 1);
        }
        add(&self.counts.group_micros, micros_since(began));
        Ok(())
    }

    /// The price of one unit, from the cache if it is there.
    async fn price(&self, product: u32) -> Result<u64, Error> {
        let began = Instant::now();
        let tag = category_tag(category(product));
        let price = self
            .runtime
            .cache()
            .get_or_compute(
                &format!("storefront:price:{product}"),
                Some(PRICE_TTL),
                &[ALL_PRICES, &tag],
                || async {
                    add(&self.counts.catalogue_reads, 1);
                    let catalogue = self.catalogue.lock().unwrap_or_else(PoisonError::into_inner);
                    catalogue.price(product).ok_or(Error::NotSold(product))
                },
            )
            .await
            .map_err(|error| match error {
                ComputeError::Compute(error) => error,
                ComputeError::Cache(error) => doing("looking up a price")(error),
            })?;
        add(&self.counts.lookups, 1);
        add(&self.counts.lookup_micros, micros_since(began));
        Ok(price)
    }

    /// Changes prices, and has the cache forget those and no others.
    async fn begin_sale(&self) -> Result<(), Error> {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner).begin_sale();
        let cleared = self.runtime.cache().clear_tags([category_tag(SALE)]).await;
        cleared.map_err(doing("clearing the prices that changed"))
    }

    async fn employ_stock(&self) -> Result<Subscriber, Error> {
        let books = Arc::clone(&self.books);
        self.employ("stock", PLACED, move |event, sold| {
            let mut result = Ok(());
            books.send_modify(|books| {
                if sold.product == NEW_PRODUCT && !books.known.contains(&sold.product) {
                    books.rejected.insert(sold.order);
                    let reason = format!("the warehouse does not know product {}", sold.product);
                    result = Err(Failure::reject(reason));
                } else {
                    books.stock.write(sold.order, u64::from(sold.units), event.attempt);
                }
            });
            result
        })
        .await
    }

    async fn employ_mail(&self) -> Result<Subscriber, Error> {
        let (books, plan) = (Arc::clone(&self.books), Arc::clone(&self.plan));
        self.employ("mail", "order.*", move |event, sold| {
            let mut result = Ok(());
            books.send_modify(|books| {
                let bounces = event.name == PLACED && plan.bounces(sold.order);
                if bounces && books.bounced.insert(sold.order) {
                    result = Err(Failure::retry("the letter bounced"));
                } else {
                    books.mail.write((sold.order, event.name), 1, event.attempt);
                }
            });
            result
        })
        .await
    }

    async fn employ_ledger(&self) -> Result<Subscriber, Error> {
        let books = Arc::clone(&self.books);
        self.employ("ledger", PLACED, move |event, sold| {
            books.send_modify(|books| books.ledger.write(sold.order, sold.cents, event.attempt));
            Ok(())
        })
        .await
    }

    async fn employ(
        &self,
        id: &'static str,
        pattern: &'static str,
        work: impl Fn(Event, Sold) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Result<Subscriber, Error> {
        self.runtime
            .events()
            .subscribe(pattern, id, move |event| {
                let result = match event.json::<Sold>() {
                    Ok(sold) => work(event, sold),
                    // It will not be another body the next time.
                    Err(error) => Err(Failure::reject(error.to_string())),
                };
                std::future::ready(result)
            })
            .await
            .map_err(doing("subscribing"))
    }

    /// Waits until the books say so.
    async fn until(&self, patience: Duration, done: impl Fn(&Books) -> bool) -> Result<(), Error> {
        let mut books = self.books.subscribe();
        // The sender is this shop's, so the channel stays open.
        if tokio::time::timeout(patience, books.wait_for(|books| done(books))).await.is_ok() {
            return Ok(());
        }
        let books = self.books.borrow();
        let progress = format!(
            "of {} orders, stock shipped {}, mail sent {} letters, ledger booked {}",
            self.counts.accepted.load(Ordering::Relaxed),
            books.stock.len(),
            books.mail.len(),
            books.ledger.len()
        );
        Err(Error::TooSlow { patience, progress })
    }

    async fn dead_letters(&self, subscription: &str) -> Result<Vec<DeadLetter>, Error> {
        let events = self.runtime.events();
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = events.dead_letters(Some(subscription), after.as_deref(), 100).await;
            let page = page.map_err(doing("listing dead letters"))?;
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    async fn report(
        &self,
        plan: &Plan,
        dead_letters: Vec<DeadLetter>,
        replayed: u64,
        day: Day,
    ) -> Result<Report, Error> {
        let statuses =
            self.runtime.events().subscriptions().await.map_err(doing("listing subscriptions"))?;
        let left = |id: &str| {
            let own = statuses.iter().filter(|status| status.subscription.id == id);
            own.map(|status| status.waiting + status.leased + status.dead).sum()
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let work = |number: u64, micros: &AtomicU64| Work {
            count: number,
            mean: Duration::from_micros(count(micros).checked_div(number).unwrap_or(0)),
        };
        let counts = &self.counts;
        let refused = count(&counts.refused);
        let books = self.books.borrow();
        Ok(Report {
            expected: plan.expected(),
            found: Totals::found(&books, refused),
            lookups: work(count(&counts.lookups), &counts.lookup_micros),
            catalogue_reads: count(&counts.catalogue_reads),
            fewest_reads: fewest_reads(&plan.feed),
            groups: work(count(&counts.accepted) + refused, &counts.group_micros),
            released: count(&counts.released),
            discarded: count(&counts.discarded),
            dead_letters,
            replayed,
            subscribers: vec![
                summary("stock", PLACED, &books.stock, left("stock")),
                summary("mail", "order.*", &books.mail, left("mail")),
                summary("ledger", PLACED, &books.ledger, left("ledger")),
            ],
            day,
        })
    }
}

fn category_tag(category: u32) -> String {
    format!("storefront:category:{category}")
}

/// One for each product that is asked for, and one more if it was asked for
/// before its price changed and after.
fn fewest_reads(feed: &Feed) -> u64 {
    let products =
        |orders: &[Order]| orders.iter().map(|order| order.product).collect::<BTreeSet<_>>();
    let (morning, afternoon) = (products(&feed.morning), products(&feed.afternoon));
    let again = morning.intersection(&afternoon).filter(|product| category(**product) == SALE);
    (morning.union(&afternoon).count() + again.count()) as u64
}
