//! The way of an order: its items are reserved, its price is charged, its parcel is
//! sent. Where a step fails for good, those before it are undone in reverse.
//!
//! What an order leads to is staged as it goes, in a group of events that is
//! released at the end, or discarded: no desk hears of an order that was undone,
//! but that it was.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use stheno::Events;

use crate::day::Day;
use crate::error::{Error, doing};
use crate::feed::Card;
use crate::meter::Meters;
use crate::sale::{CANCELLED, PLACED, REASON, SHIPPED, Sale, event};
use crate::world::{NotReserved, Refusal, World};

/// How often the bank is asked for one charge.
const CHARGE_ATTEMPTS: u32 = 3;

/// An order about to be placed.
#[derive(Debug, Clone)]
pub(crate) struct Placing {
    pub(crate) sale: Sale,
    pub(crate) country: String,
    pub(crate) card: Card,
    /// Of the lock that it is placed under.
    pub(crate) fence: u64,
}

/// What becomes of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Completed,
    OutOfStock,
    Declined,
    /// No carrier goes there.
    Undeliverable,
    /// The order had come before.
    Duplicate,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::OutOfStock => "out of stock",
            Self::Declined => "the bank declined the card",
            Self::Undeliverable => "no carrier goes there",
            Self::Duplicate => "duplicate",
        }
    }
}

pub(crate) struct Checkout {
    events: Events,
    day: Day,
    world: Arc<World>,
    /// Orders that have come, so that none is served twice.
    known: Mutex<BTreeSet<u32>>,
    meters: Arc<Meters>,
}

impl Checkout {
    pub(crate) fn new(events: Events, day: Day, world: Arc<World>, meters: Arc<Meters>) -> Self {
        Self { events, day, world, known: Mutex::default(), meters }
    }

    /// Brings an order to its end, and tells the desks.
    pub(crate) async fn place(&self, placing: Placing) -> Result<Outcome, Error> {
        let sale = &placing.sale;
        if !self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(sale.order) {
            return Ok(Outcome::Duplicate);
        }
        let outcome = self.go(&placing).await?;
        let group = self.events.group(self.day.name("order", sale.order));
        if outcome == Outcome::Completed {
            let released = self.meters.events.time(group.release()).await;
            released.map_err(doing("releasing an order's events"))?;
        } else {
            let discarded = self.meters.events.time(group.discard()).await;
            discarded.map_err(doing("discarding an order's events"))?;
            let mut cancelled =
                event(&self.day, CANCELLED, sale).map_err(doing("writing an event"))?;
            cancelled.metadata.push((REASON.into(), outcome.as_str().into()));
            let published = self.events.publish_all(vec![cancelled]);
            self.meters.events.time(published).await.map_err(doing("publishing"))?;
        }
        Ok(outcome)
    }

    /// All steps, with what undoes them.
    async fn go(&self, placing: &Placing) -> Result<Outcome, Error> {
        let World { warehouse, bank, carrier } = &*self.world;
        let Placing { sale, country, card, fence } = placing;
        match warehouse.reserve(sale.order, *fence, &sale.items()) {
            Ok(()) => self.stage(PLACED, sale).await?,
            Err(NotReserved::OutOfStock(_)) => return Ok(Outcome::OutOfStock),
            Err(NotReserved::Stale) => return Err(Error::Stale(sale.order)),
        }
        let mut charged = bank.charge(sale.order, *card, sale.cents);
        for _ in 1..CHARGE_ATTEMPTS {
            if charged == Err(Refusal::NoAnswer) {
                charged = bank.charge(sale.order, *card, sale.cents);
            }
        }
        if charged.is_err() {
            warehouse.put_back(sale.order);
            return Ok(Outcome::Declined);
        }
        if carrier.send(sale.order, country).is_err() {
            bank.refund(sale.order);
            warehouse.put_back(sale.order);
            return Ok(Outcome::Undeliverable);
        }
        self.stage(SHIPPED, sale).await?;
        Ok(Outcome::Completed)
    }

    async fn stage(&self, name: &str, sale: &Sale) -> Result<(), Error> {
        let staged = event(&self.day, name, sale).map_err(doing("writing an event"))?;
        let group = self.events.group(self.day.name("order", sale.order));
        self.meters.events.time(group.stage(vec![staged])).await.map_err(doing("staging an event"))
    }
}
