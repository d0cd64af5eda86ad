//! One day of the shop, from opening to the sums of the evening.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stheno::{NotificationFilter, NotificationStatus, Runtime};
use tokio::sync::watch;

use crate::audit;
use crate::checkout::Checkout;
use crate::counter::{Counter, Tally};
use crate::day::Day;
use crate::desks::{Due, MISTYPED, Office};
use crate::error::{Error, doing};
use crate::feed::Feed;
use crate::meter::Meters;
use crate::prices::Prices;
use crate::report::{self, Evening, Part, Report};
use crate::totals::Totals;
use crate::world::World;

/// The input of a day.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What tells this day from others.
    pub day: Day,
    /// Who orders what.
    pub feed: Feed,
    /// The longest wait for the desks before the day is given up.
    pub patience: Duration,
}

/// How far a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub part: Part,
    /// How many customers will come.
    pub expected: u64,
    /// How it went with those who have been.
    pub tally: Tally,
}

impl Progress {
    /// Before the shop opens.
    #[must_use]
    pub fn new(feed: &Feed) -> Self {
        let expected = feed.orders.len() as u64;
        Self { part: Part::Opening, expected, tally: Tally::default() }
    }
}

/// Opens the shop for one day.
///
/// # Errors
///
/// What keeps the day from its end; totals that are wrong do not, see
/// [`Report::mismatches`].
pub async fn open(
    runtime: &Runtime,
    plan: &Plan,
    progress: watch::Sender<Progress>,
) -> Result<Report, Error> {
    let mut clock = StopWatch::new(progress.clone());
    let meters = Arc::new(Meters::default());
    let Plan { day, feed, patience } = plan;
    let office = Office::new(runtime, day.clone(), Arc::clone(&meters));
    let world = Arc::new(World::new(&feed.catalogue));
    let counter = Arc::new(Counter {
        runtime: runtime.clone(),
        day: day.clone(),
        catalogue: feed.catalogue.clone(),
        prices: Prices::new(runtime.cache().clone(), day.clone(), Arc::clone(&meters)),
        checkout: Checkout::new(runtime, day.clone(), Arc::clone(&meters)),
        progress: progress.clone(),
        meters: Arc::clone(&meters),
    });
    // Of a day that did not come to its end, where the providers are durable.
    let before = office.left().await?;
    let checkout = counter.checkout.open(Arc::clone(&world)).await?;
    let desks = office.open().await?;

    let (morning, afternoon) = feed.halves();
    clock.begin(Part::Morning);
    counter.serve(morning).await?;
    counter.prices.begin_sale().await?;
    clock.begin(Part::Afternoon);
    counter.serve(afternoon).await?;

    clock.begin(Part::Desks);
    let tally = progress.borrow().tally;
    let due = Due { completed: tally.completed, cancelled: tally.cancelled() };
    office.until_done(due, *patience).await?;
    // The verdict on an event is recorded after its handler has ended. Who stops
    // waits for that too, and then the list of dead letters is complete.
    desks.stop().await;

    clock.begin(Part::DeadLetters);
    let dead_letters = office.dead_letters().await?;
    let replayed = mend(runtime, &office, &dead_letters).await?;
    let desks = office.open().await?;
    office.until_handled(due, *patience).await?;
    desks.stop().await;

    clock.begin(Part::Closing);
    let reads = counter.prices.reads();
    checkout.stop().await;
    runtime.analytics().flush().await.map_err(doing("writing the statistics out"))?;
    let found = count(&counter, &office, &world, replayed).await?;
    let mut left = office.left().await?;
    for (desk, left) in &mut left {
        *left = left.saturating_sub(before.get(desk).copied().unwrap_or(0));
    }
    let evening = Evening {
        expected: audit::expected(feed),
        found,
        catalogue_reads: reads,
        fewest_reads: audit::fewest_reads(feed),
        dead_letters,
        left,
    };
    report::write(runtime, &office, &meters, evening, clock.end()).await
}

/// Corrects the addresses that letters could not go to, and has them written again.
async fn mend(
    runtime: &Runtime,
    office: &Office,
    letters: &[stheno::DeadLetter],
) -> Result<u64, Error> {
    office.addresses().correct(MISTYPED, "example.com");
    let mut replayed = 0;
    for some in letters.chunks(1_000) {
        let ids = some.iter().map(|letter| letter.id.clone()).collect();
        let again = runtime.events().replay_dead_letters(ids).await;
        replayed += again.map_err(doing("replaying dead letters"))?;
    }
    Ok(replayed)
}

/// What each place has that an order leaves something in.
async fn count(
    counter: &Counter,
    office: &Office,
    world: &World,
    replayed: u64,
) -> Result<Totals, Error> {
    let Counter { runtime, day, checkout, meters, progress, .. } = counter;
    let tally = progress.borrow().tally;
    let runs = checkout.runs().await?;
    let (invoices, invoiced) = invoices(runtime, day).await?;
    let lost: u64 = runtime.analytics().status().iter().map(|provider| provider.lost).sum();
    let World { warehouse, bank, carrier } = world;
    Ok(Totals {
        visits: tally.served,
        completed: tally.completed,
        out_of_stock: tally.out_of_stock,
        declined: tally.declined,
        undeliverable: tally.undeliverable,
        duplicates: tally.duplicates,
        runs_done: runs.done,
        runs_reverted: runs.reverted,
        steps_undone: runs.undone,
        charged_again: bank.unanswered(),
        parcels: carrier.parcels(),
        units: warehouse.units_gone(),
        put_back: warehouse.units_back(),
        units_left: warehouse.units_left(),
        revenue: office.books().ledger.values().sum(),
        takings: bank.takings(),
        refunds: bank.refunds(),
        invoices,
        invoiced,
        letters: letters(runtime, day).await?,
        corrected: replayed,
        tracked: meters.analytics.work().calls.saturating_sub(lost),
    })
}

/// The invoices that are stored, and the sum of what stands on them.
async fn invoices(runtime: &Runtime, day: &Day) -> Result<(u64, u64), Error> {
    let (mut count, mut cents, mut cursor) = (0, 0, None::<String>);
    loop {
        let page = runtime.files().list(&day.invoices(), cursor.as_deref(), 1_000).await;
        let page = page.map_err(doing("listing the invoices"))?;
        for file in &page.files {
            let sum = file.metadata.iter().find(|(key, _)| key == "cents");
            cents += sum.and_then(|(_, cents)| cents.parse().ok()).unwrap_or(0);
            count += 1;
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok((count, cents));
        }
    }
}

/// The letters for which a provider has given a receipt.
async fn letters(runtime: &Runtime, day: &Day) -> Result<u64, Error> {
    let (mut count, mut after) = (0, None::<String>);
    loop {
        let filter = NotificationFilter {
            status: Some(NotificationStatus::Success),
            labels: vec![("day".into(), day.as_str().into())],
            ..NotificationFilter::default()
        };
        let page = runtime.notifications().list(filter, after.as_deref(), 1_000).await;
        let page = page.map_err(doing("listing the letters"))?;
        count += page.items.len() as u64;
        after = page.next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

/// Measures the parts of the day, and says which one has begun.
struct StopWatch {
    progress: watch::Sender<Progress>,
    parts: Vec<(Part, Duration)>,
    part: Part,
    began: Instant,
}

impl StopWatch {
    fn new(progress: watch::Sender<Progress>) -> Self {
        Self { progress, parts: Vec::new(), part: Part::Opening, began: Instant::now() }
    }

    fn begin(&mut self, part: Part) {
        self.parts.push((self.part, self.began.elapsed()));
        (self.part, self.began) = (part, Instant::now());
        self.progress.send_modify(|progress| progress.part = part);
    }

    fn end(mut self) -> Vec<(Part, Duration)> {
        self.parts.push((self.part, self.began.elapsed()));
        self.parts
    }
}
