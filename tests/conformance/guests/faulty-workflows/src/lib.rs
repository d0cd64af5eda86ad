//! `workflows-local` with one fault at a time.

// The logic is the real provider's, so that nothing is wrong but the fault.
#[path = "../../../../../guest-providers/workflows-local/src/disk.rs"]
mod disk;
#[path = "../../../../../guest-providers/workflows-local/src/engine/mod.rs"]
mod engine;
#[path = "../../../../../guest-providers/workflows-local/src/options.rs"]
mod options;

use faulty_support::{left_out, split};
use serde::Deserialize;
use stheno_sdk::workflows::{
    Cadence, Definition, Filter, Outcome, Overlap, Pulled, RunDetail, RunPage, ScheduleDefinition,
    ScheduleStatus, Selector, Settled, StartRequest, Started, Step, Verdict, Work, WorkflowStatus,
    Workflows,
};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock};

use disk::Disk;
use engine::{Engine, Limits, Now};
use options::Options;

const PLAIN: bool = cfg!(feature = "plain");

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    #[default]
    None,
    /// A run that is there is said to have begun.
    SaysNew,
    /// Runs are forgotten although somebody named them.
    ForgetsNamed,
    /// Steps have no limit of time.
    NeverTimesOut,
    /// There is no wait between attempts.
    RetriesAtOnce,
    /// What was rejected is tried again.
    RetriesRejected,
    /// A lease never ends.
    LeasesForEver,
    /// A lease is not prolonged.
    ExtendsNothing,
    /// A worker is given tasks of any step.
    GivesAnyStep,
    /// Conditions always hold.
    IgnoresConditions,
    /// Nothing is compensated.
    UndoesNothing,
    /// What cannot be cancelled is said to be.
    CancelsAnything,
    /// What does not wait is said to be completed.
    CompletesAnything,
    /// Nobody is told how a run has ended.
    DropsFinish,
    /// A nested run has its parent's input.
    MixesUpInputs,
    /// The run that started first is listed first.
    ListsOldestFirst,
    /// Runs of a schedule are started regardless of others.
    IgnoresOverlap,
    /// Calendars are those of UTC.
    IgnoresZones,
    /// Moments that passed are not made up for.
    CatchesNothingUp,
    /// It says that it is durable and keeps nothing.
    ForgetsOnRestart,
    /// What is left out is a fault instead of `unsupported`.
    WorseThanUnsupported,
}

struct Faulty {
    fault: Fault,
    limits: Limits,
    engine: Engine,
    disk: Option<Disk>,
}

fn now() -> Now {
    Now { ms: clock::monotonic_ms(), unix_ms: clock::unix_ms() }
}

impl Faulty {
    fn call<T>(&mut self, call: impl FnOnce(&mut Engine, Now) -> Result<T>) -> Result<T> {
        let now = now();
        if let Some(disk) = &mut self.disk
            && !disk.agrees()
        {
            self.engine = disk.reload(self.limits, now)?;
        }
        let answer = call(&mut self.engine, now);
        if let Some(disk) = &mut self.disk {
            disk.save(&self.engine)?;
        }
        answer
    }

    fn left_out<T>(&self, feature: &str) -> Result<T> {
        match self.fault {
            Fault::WorseThanUnsupported => Err(Error::Internal("as the options say".to_owned())),
            _ => left_out(feature),
        }
    }

    fn spoil(&self, step: &mut Step) {
        match self.fault {
            Fault::NeverTimesOut => step.timeout_ms = None,
            Fault::RetriesAtOnce => (step.retries.initial_ms, step.retries.max_ms) = (0, 0),
            Fault::IgnoresConditions => step.when.clear(),
            Fault::UndoesNothing => step.compensates = false,
            Fault::MixesUpInputs => {
                if let Work::Nested((_, input)) = &mut step.work {
                    *input = None;
                }
            }
            _ => {}
        }
    }

    /// What ended nothing is taken for done, where the fault says so.
    fn settled(&self, fault: Fault, settled: Result<Settled>) -> Result<Settled> {
        match settled {
            Err(Error::Conflict(_)) if self.fault == fault => {
                Ok(Settled { lost: Vec::new(), ended: Vec::new() })
            }
            settled => settled,
        }
    }
}

impl Lifecycle for Faulty {
    fn describe() -> Description {
        let mut features = vec!["nested", "schedules"];
        if PLAIN {
            features.clear();
        } else if disk::granted() {
            features.push("durable");
        }
        let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        Description::new(name, version, Instances::One, &features)
    }

    fn start(options: &str) -> Result<Self> {
        let (fault, options) = split(options)?;
        let options = stheno_sdk::options::parse::<Options>(&options)?;
        let (limits, now) = (options.limits()?, now());
        options.check_durable(disk::granted())?;
        let keeps = !PLAIN && fault != Fault::ForgetsOnRestart;
        let (disk, engine) = match if keeps { Disk::open(limits, now)? } else { None } {
            Some((disk, engine)) => (Some(disk), engine),
            None => (None, Engine::new(limits, now, disk::seed(now))),
        };
        Ok(Self { fault, limits, engine, disk })
    }
}

impl Workflows for Faulty {
    fn define(&mut self, mut definition: Definition) -> Result<()> {
        let nests = |step: &Step| matches!(step.work, Work::Nested(_));
        if PLAIN && definition.steps.iter().any(nests) {
            return self.left_out("nested runs");
        }
        definition.steps.iter_mut().for_each(|step| self.spoil(step));
        definition.finish &= self.fault != Fault::DropsFinish;
        self.call(|engine, now| engine.define(definition, now))
    }

    fn undefine(&mut self, workflow: String) -> Result<()> {
        self.call(|engine, now| engine.undefine(&workflow, now))
    }

    fn defined(&mut self) -> Result<Vec<WorkflowStatus>> {
        self.call(|engine, now| Ok(engine.defined(now)))
    }

    fn start(&mut self, mut requests: Vec<StartRequest>) -> Result<Vec<Started>> {
        if self.fault == Fault::ForgetsNamed {
            requests.iter_mut().for_each(|request| request.named = false);
        }
        let mut started = self.call(|engine, now| Ok(engine.start(requests, now)))?;
        for answer in &mut started {
            if let (Fault::SaysNew, Started::Existing(run)) = (self.fault, &mut *answer) {
                *answer = Started::Run(std::mem::take(run));
            }
        }
        Ok(started)
    }

    fn pull(
        &mut self,
        mut selectors: Vec<Selector>,
        max: u32,
        _: u64,
        mut lease_ms: u64,
    ) -> Result<Pulled> {
        match self.fault {
            Fault::LeasesForEver => lease_ms = u64::MAX,
            Fault::GivesAnyStep => selectors.iter_mut().for_each(|it| it.steps.clear()),
            _ => {}
        }
        self.call(|engine, now| engine.pull(&selectors, max, lease_ms, now))
    }

    fn settle(&mut self, mut outcomes: Vec<Outcome>) -> Result<Settled> {
        for outcome in &mut outcomes {
            if let (Fault::RetriesRejected, Verdict::Rejected(reason)) =
                (self.fault, &mut outcome.verdict)
            {
                outcome.verdict = Verdict::Failed(std::mem::take(reason));
            }
        }
        self.call(|engine, now| engine.settle(outcomes, now))
    }

    fn extend(&mut self, tokens: Vec<String>, lease_ms: u64) -> Result<Vec<String>> {
        if self.fault == Fault::ExtendsNothing {
            return Ok(Vec::new());
        }
        self.call(|engine, now| engine.extend(tokens, lease_ms, now))
    }

    fn complete(&mut self, run: String, step: String, verdict: Verdict) -> Result<Settled> {
        let settled = self.call(|engine, now| engine.complete(&run, &step, verdict, now));
        self.settled(Fault::CompletesAnything, settled)
    }

    fn retry(&mut self, run: String, step: String) -> Result<()> {
        self.call(|engine, now| engine.retry(&run, &step, now))
    }

    fn cancel(&mut self, run: String, reason: String) -> Result<Settled> {
        let settled = self.call(|engine, now| engine.cancel(&run, reason, now));
        self.settled(Fault::CancelsAnything, settled)
    }

    fn get(&mut self, run: String) -> Result<RunDetail> {
        self.call(|engine, now| engine.get(&run, now))
    }

    fn list(&mut self, filter: Filter, after: Option<String>, max: u32) -> Result<RunPage> {
        let mut page = self.call(|engine, now| engine.list(&filter, after.as_deref(), max, now))?;
        if self.fault == Fault::ListsOldestFirst {
            page.items.reverse();
        }
        Ok(page)
    }

    fn schedule(&mut self, mut definition: ScheduleDefinition) -> Result<()> {
        if PLAIN {
            return self.left_out("schedules");
        }
        match (self.fault, &mut definition.cadence) {
            (Fault::IgnoresOverlap, _) => definition.overlap = Overlap::Allow,
            (Fault::IgnoresZones, Cadence::Cron(cron)) => cron.time_zone = "UTC".to_owned(),
            (Fault::CatchesNothingUp, _) => definition.catch_up = false,
            _ => {}
        }
        self.call(|engine, now| engine.schedule(definition, now))
    }

    fn unschedule(&mut self, id: String) -> Result<()> {
        if PLAIN {
            return self.left_out("schedules");
        }
        self.call(|engine, now| engine.unschedule(&id, now))
    }

    fn schedules(&mut self) -> Result<Vec<ScheduleStatus>> {
        if PLAIN {
            return self.left_out("schedules");
        }
        self.call(|engine, now| Ok(engine.schedules(now)))
    }
}

stheno_sdk::export_workflows_provider!(Faulty);
