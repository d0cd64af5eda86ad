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
    Failure, Finished, RunDetail, RunError, RunFilter, RunState, Runtime, Step, StepContext,
    StepState, Workflow, WorkflowWorker, Workflows,
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
/// An order that comes again within this time is turned away.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);
/// How often the bank is asked for one charge, and the waits between: short, as the
/// day is.
const CHARGE_ATTEMPTS: u32 = 3;
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));
/// Why nothing is reserved for an order whose lock was lost.
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
    /// None for a run that ended as none may.
    fn of(run: &RunDetail) -> Option<Self> {
        let (state, cause) = (run.status.state, run.status.cause.as_ref());
        match (state, cause.and_then(|cause| cause.step.as_deref())) {
            (RunState::Done, _) => Some(Self::Completed),
            (RunState::Reverted, Some(RESERVE)) => {
                let stale = cause.is_some_and(|cause| cause.reason == STALE);
                (!stale).then_some(Self::OutOfStock)
            }
            (RunState::Reverted, Some(CHARGE)) => Some(Self::Declined),
            (RunState::Reverted, Some(SHIP)) => Some(Self::Undeliverable),
            _ => None,
        }
    }

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

/// How the runs of a day ended, as the module has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    pub(crate) done: u64,
    pub(crate) reverted: u64,
    /// Steps that were done and then undone.
    pub(crate) undone: u64,
}

/// Where orders are brought to their end; cheap to clone.
#[derive(Clone)]
pub(crate) struct Checkout {
    runtime: Runtime,
    day: Day,
    meters: Arc<Meters>,
}

impl Checkout {
    pub(crate) fn new(runtime: &Runtime, day: Day, meters: Arc<Meters>) -> Self {
        Self { runtime: runtime.clone(), day, meters }
    }

    /// Defines the workflow, and does its steps in this world from now on.
    pub(crate) async fn open(&self, world: Arc<World>) -> Result<WorkflowWorker, Error> {
        let steps = Steps { checkout: self.clone(), world };
        let order = Workflow::new(WORKFLOW)
            .then(
                Step::new(RESERVE, steps.work(Steps::reserve))
                    .compensate(steps.undo(|world, order| world.warehouse.put_back(order))),
            )
            .then(
                Step::new(CHARGE, steps.work(Steps::charge))
                    .compensate(steps.undo(|world, order| world.bank.refund(order)))
                    .attempts(CHARGE_ATTEMPTS)
                    .backoff(BACKOFF.0, BACKOFF.1),
            )
            .then(Step::new(SHIP, steps.work(Steps::ship)))
            .publishes()
            .retention(REMEMBERED)
            .on_finish(move |finished| steps.clone().tell(finished));
        self.workflows().define(order).await.map_err(doing("defining the workflow of an order"))
    }

    fn workflows(&self) -> &Workflows {
        self.runtime.workflows()
    }

    /// Brings an order to its end.
    pub(crate) async fn place(&self, placing: &Placing) -> Result<Outcome, Error> {
        let run = self.day.name("order", placing.sale.order);
        let ended = self.meters.workflows.time(async {
            if !self.workflows().start(WORKFLOW, placing).id(&run).await?.new {
                return Ok(None);
            }
            self.workflows().wait(&run).await.map(Some)
        });
        match ended.await.map_err(doing("running an order"))? {
            None => Ok(Outcome::Duplicate),
            Some(run) => Outcome::of(&run).ok_or_else(|| RunError::NotDone(Box::new(run)).into()),
        }
    }

    /// How the runs of this day ended.
    pub(crate) async fn runs(&self) -> Result<Runs, Error> {
        let ours = self.day.name("order", "");
        let (mut runs, mut after) = (Runs::default(), None::<String>);
        loop {
            let filter = RunFilter { workflow: Some(WORKFLOW.into()), ..RunFilter::default() };
            let page = self.workflows().list(filter, after.as_deref(), 1_000).await;
            let page = page.map_err(doing("listing the runs"))?;
            for run in page.items.iter().filter(|run| run.run.starts_with(&ours)) {
                match run.state {
                    RunState::Done => runs.done += 1,
                    RunState::Reverted => {
                        runs.reverted += 1;
                        let run = self.workflows().get(&run.run).await;
                        let steps = run.map_err(doing("looking up a run"))?.steps;
                        let undone = steps.iter().filter(|step| step.state == StepState::Reverted);
                        runs.undone += undone.count() as u64;
                    }
                    _ => {}
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(runs);
            }
        }
    }
}

/// What the steps have at hand; cheap to clone.
#[derive(Clone)]
struct Steps {
    checkout: Checkout,
    world: Arc<World>,
}

type Handled = Ready<Result<(), Failure>>;

impl Steps {
    /// A handler that does a step.
    fn work(
        &self,
        work: fn(&Self, &Placing, &StepContext) -> Result<(), Failure>,
    ) -> impl Fn(StepContext) -> Handled + Send + Sync + use<> {
        let steps = self.clone();
        let work = move |context: StepContext| {
            let placing: Placing = context.input()?;
            if placing.day != steps.checkout.day.as_str() {
                return Err(Failure::reject("the order is of another day"));
            }
            work(&steps, &placing, &context)
        };
        move |context| ready(work(context))
    }

    /// A handler that undoes a step.
    fn undo(&self, undo: fn(&World, u32)) -> impl Fn(StepContext) -> Handled + Send + Sync + use<> {
        let Self { checkout: Checkout { day, .. }, world } = self.clone();
        let undo = move |context: StepContext| {
            let placing: Placing = context.input()?;
            // The world of another day is gone, with all that was done in it.
            if placing.day == day.as_str() {
                undo(&world, placing.sale.order);
            }
            Ok(())
        };
        move |context| ready(undo(context))
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
        Ok(context.publish_event(event(&self.checkout.day, PLACED, sale)?)?)
    }

    fn charge(&self, placing: &Placing, _: &StepContext) -> Result<(), Failure> {
        let Placing { sale, card, .. } = placing;
        let charged = self.world.bank.charge(sale.order, *card, sale.cents);
        charged.map_err(|refusal| match refusal {
            Refusal::Declined => Failure::reject(refusal.to_string()),
            Refusal::NoAnswer => Failure::retry(refusal.to_string()),
        })
    }

    fn ship(&self, placing: &Placing, context: &StepContext) -> Result<(), Failure> {
        let Placing { sale, country, .. } = placing;
        let sent = self.world.carrier.send(sale.order, country);
        sent.map_err(|refusal| Failure::reject(refusal.to_string()))?;
        Ok(context.publish_event(event(&self.checkout.day, SHIPPED, sale)?)?)
    }

    /// Tells the desks of an order that was undone. Of the others they hear by what
    /// the steps publish.
    async fn tell(self, finished: Finished) -> Result<(), Failure> {
        let Checkout { runtime, day, meters } = &self.checkout;
        let placing: Placing = finished.input_as()?;
        if finished.state == RunState::Done || placing.day != day.as_str() {
            return Ok(());
        }
        let run = runtime.workflows().get(&finished.run).await?;
        let reason = Outcome::of(&run).map_or("we cannot say why", Outcome::as_str);
        let mut cancelled = event(day, CANCELLED, &placing.sale)?;
        cancelled.metadata.push((REASON.into(), reason.into()));
        let published = runtime.events().publish_all(vec![cancelled]);
        meters.events.time(published).await?;
        Ok(())
    }
}
