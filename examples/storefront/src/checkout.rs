//! The way of an order, a workflow: its items are reserved, its price is charged,
//! its parcel is sent. Where a step fails for good, those before it are undone in
//! reverse. A run id runs once, so an order that comes twice is served once.
//!
//! What a step publishes is released when the run is done, and forgotten if it is
//! not: no desk hears of an order that was undone, but that it was.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stheno::{
    Events, Failure, Finished, RunDetail, RunState, Runtime, Step, StepContext, Workflow,
    WorkflowWorker, Workflows,
};

use crate::day::Day;
use crate::error::{Error, doing};
use crate::feed::Card;
use crate::meter::Meters;
use crate::sale::{CANCELLED, PLACED, REASON, SHIPPED, Sale, event};
use crate::world::{NotReserved, Refusal, World};

const WORKFLOW: &str = "storefront-order";
const RESERVE: &str = "reserve";
const CHARGE: &str = "charge";
const SHIP: &str = "ship";
/// How often the bank is asked for one charge, and the waits between: short, as the
/// day is.
const CHARGE_ATTEMPTS: u32 = 3;
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));
/// Why a step is not done whose lock was lost.
const STALE: &str = "the lock was lost";

/// An order about to be placed: the input of its run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Placing {
    /// A run that is left over from another day does nothing in this one.
    pub(crate) day: String,
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
    fn as_str(self) -> &'static str {
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
    workflows: Workflows,
    day: Day,
    worker: WorkflowWorker,
    meters: Arc<Meters>,
}

impl Checkout {
    /// Defines the workflow, and does its steps from now on.
    pub(crate) async fn open(
        runtime: &Runtime,
        day: Day,
        world: Arc<World>,
        meters: Arc<Meters>,
    ) -> Result<Self, Error> {
        let (workflows, events) = (runtime.workflows().clone(), runtime.events().clone());
        let steps = Arc::new(Steps { day: day.clone(), world });
        let (asked, of) = (workflows.clone(), day.clone());
        let workflow = Workflow::new(WORKFLOW)
            .then(step(&steps, RESERVE, Steps::reserve).compensate(steps.undo(Steps::put_back)))
            .then(
                step(&steps, CHARGE, Steps::charge)
                    .compensate(steps.undo(Steps::refund))
                    .attempts(CHARGE_ATTEMPTS)
                    .backoff(BACKOFF.0, BACKOFF.1),
            )
            .then(step(&steps, SHIP, Steps::ship))
            .publishes()
            .on_finish(move |finished| tell(asked.clone(), events.clone(), of.clone(), finished));
        let worker = workflows.define(workflow).await.map_err(doing("defining the workflow"))?;
        Ok(Self { workflows, day, worker, meters })
    }

    /// Brings an order to its end.
    pub(crate) async fn place(&self, placing: &Placing) -> Result<Outcome, Error> {
        let run = self.day.name("order", placing.sale.order);
        let ended = self.meters.workflows.time(async {
            if !self.workflows.start(WORKFLOW, placing).id(&run).await?.new {
                return Ok(None);
            }
            self.workflows.wait(&run).await.map(Some)
        });
        match ended.await.map_err(doing("running an order"))? {
            None => Ok(Outcome::Duplicate),
            Some(ended) => outcome(&ended).ok_or_else(|| Error::Run(format!("{:?}", ended.status))),
        }
    }

    /// Waits for the steps that have begun, and does no more.
    pub(crate) async fn stop(self) {
        self.worker.stop().await;
    }
}

/// How an order ended; none if it should not have.
fn outcome(run: &RunDetail) -> Option<Outcome> {
    let status = &run.status;
    let cause = status.cause.as_ref();
    let failed = cause.and_then(|cause| cause.step.as_deref());
    match (status.state, failed) {
        (RunState::Done, _) => Some(Outcome::Completed),
        (RunState::Reverted, Some(RESERVE)) => {
            let stale = cause.is_some_and(|cause| cause.reason.contains(STALE));
            (!stale).then_some(Outcome::OutOfStock)
        }
        (RunState::Reverted, Some(CHARGE)) => Some(Outcome::Declined),
        (RunState::Reverted, Some(SHIP)) => Some(Outcome::Undeliverable),
        _ => None,
    }
}

/// Tells the desks of an order that was undone; of the others the run's own events
/// tell.
async fn tell(
    workflows: Workflows,
    events: Events,
    day: Day,
    finished: Finished,
) -> Result<(), Failure> {
    let Placing { day: of, sale, .. } = finished.input_as()?;
    if finished.state == RunState::Done || of != day.as_str() {
        return Ok(());
    }
    let run = workflows.get(&finished.run).await?;
    let mut cancelled = event(&day, CANCELLED, &sale)?;
    let reason = outcome(&run).map_or("we cannot say why", Outcome::as_str);
    cancelled.metadata.push((REASON.into(), reason.into()));
    events.publish_all(vec![cancelled]).await?;
    Ok(())
}

/// What the steps need.
struct Steps {
    day: Day,
    world: Arc<World>,
}

type Work = fn(&Steps, &Placing, &StepContext) -> Result<(), Failure>;
type Undo = fn(&World, u32);

fn step(steps: &Arc<Steps>, id: &str, work: Work) -> Step {
    let steps = Arc::clone(steps);
    Step::new(id, move |context| ready(steps.invoke(work, &context)))
}

impl Steps {
    fn invoke(&self, work: Work, context: &StepContext) -> Result<(), Failure> {
        let placing: Placing = context.input()?;
        if placing.day != self.day.as_str() {
            return Err(Failure::reject("the order is of another day"));
        }
        work(self, &placing, context)
    }

    /// What undoes a step.
    fn undo(
        self: &Arc<Self>,
        undo: Undo,
    ) -> impl Fn(StepContext) -> Ready<Result<(), Failure>> + Send + Sync + 'static {
        let steps = Arc::clone(self);
        move |context| {
            ready(context.input().map_err(Failure::from).map(|placing: Placing| {
                if placing.day == steps.day.as_str() {
                    undo(&steps.world, placing.sale.order);
                }
            }))
        }
    }

    fn reserve(&self, placing: &Placing, context: &StepContext) -> Result<(), Failure> {
        let Placing { sale, fence, .. } = placing;
        let reserved = self.world.warehouse.reserve(sale.order, *fence, &sale.items());
        reserved.map_err(|refused| match refused {
            NotReserved::OutOfStock(product) => {
                Failure::reject(format!("there is not enough of {product}"))
            }
            NotReserved::Stale => Failure::reject(STALE),
        })?;
        Ok(context.publish_event(event(&self.day, PLACED, sale)?)?)
    }

    fn put_back(world: &World, order: u32) {
        world.warehouse.put_back(order);
    }

    fn charge(&self, placing: &Placing, _: &StepContext) -> Result<(), Failure> {
        let Placing { sale, card, .. } = placing;
        let charged = self.world.bank.charge(sale.order, *card, sale.cents);
        charged.map_err(|refusal| match refusal {
            Refusal::Declined => Failure::reject(refusal.to_string()),
            Refusal::NoAnswer => Failure::retry(refusal.to_string()),
        })
    }

    fn refund(world: &World, order: u32) {
        world.bank.refund(order);
    }

    fn ship(&self, placing: &Placing, context: &StepContext) -> Result<(), Failure> {
        let Placing { sale, country, .. } = placing;
        let sent = self.world.carrier.send(sale.order, country);
        sent.map_err(|error| Failure::reject(error.to_string()))?;
        Ok(context.publish_event(event(&self.day, SHIPPED, sale)?)?)
    }
}
