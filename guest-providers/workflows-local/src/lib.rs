//! `workflows-local`: the workflows module in the memory of one instance, and in
//! a store where one is granted.
//!
//! This file is the seam to the host and holds no logic: it reads the clocks
//! once per call, logs, hands over to `engine`, which never calls the host and is
//! tested natively, and has `disk` commit what the call has changed.

mod disk;
mod engine;
mod options;

use stheno_sdk::workflows::{
    Definition, Filter, Outcome, Pulled, RunDetail, RunPage, ScheduleDefinition, ScheduleStatus,
    Selector, Settled, StartRequest, Started, Verdict, WorkflowStatus, Workflows,
};
use stheno_sdk::{Description, Instances, Lifecycle, Result, clock};

use disk::Disk;
use engine::{Engine, Limits, Now};
use options::Options;

struct WorkflowsLocal {
    limits: Limits,
    engine: Engine,
    /// None: nothing survives.
    disk: Option<Disk>,
}

fn now() -> Now {
    Now { ms: clock::monotonic_ms(), unix_ms: clock::unix_ms() }
}

impl WorkflowsLocal {
    /// One call: made in memory, then committed, then answered.
    fn call<T>(&mut self, call: impl FnOnce(&mut Engine, Now) -> Result<T>) -> Result<T> {
        let now = now();
        self.agree(now)?;
        let answer = call(&mut self.engine, now);
        // Also after an error: what time has done is done all the same.
        if let Some(disk) = &mut self.disk {
            disk.save(&self.engine)?;
        }
        answer
    }

    /// Makes sure that memory is what the store has.
    fn agree(&mut self, now: Now) -> Result<()> {
        match &mut self.disk {
            Some(disk) if !disk.agrees() => {
                self.engine = disk.reload(self.limits, now)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Lifecycle for WorkflowsLocal {
    fn describe() -> Description {
        let mut features = vec!["nested", "schedules"];
        if disk::granted() {
            features.push("durable");
        }
        Description::new("workflows-local", env!("CARGO_PKG_VERSION"), Instances::One, &features)
    }

    fn start(options: &str) -> Result<Self> {
        let options = stheno_sdk::options::parse::<Options>(options)?;
        options.check_durable(disk::granted())?;
        let (limits, now) = (options.limits()?, now());
        let (disk, engine) = match Disk::open(limits, now)? {
            Some((disk, engine)) => (Some(disk), engine),
            None => (None, Engine::new(limits, now, disk::seed(now))),
        };
        Ok(Self { limits, engine, disk })
    }

    fn health(&mut self) -> Result<()> {
        self.agree(now())
    }
}

impl Workflows for WorkflowsLocal {
    fn define(&mut self, definition: Definition) -> Result<()> {
        self.call(|engine, now| engine.define(definition, now))
    }

    fn undefine(&mut self, workflow: String) -> Result<()> {
        self.call(|engine, now| engine.undefine(&workflow, now))
    }

    fn defined(&mut self) -> Result<Vec<WorkflowStatus>> {
        self.call(|engine, now| Ok(engine.defined(now)))
    }

    fn start(&mut self, requests: Vec<StartRequest>) -> Result<Vec<Started>> {
        self.call(|engine, now| Ok(engine.start(requests, now)))
    }

    fn pull(
        &mut self,
        selectors: Vec<Selector>,
        max: u32,
        _wait_ms: u64,
        lease_ms: u64,
    ) -> Result<Pulled> {
        self.call(|engine, now| engine.pull(&selectors, max, lease_ms, now))
    }

    fn settle(&mut self, outcomes: Vec<Outcome>) -> Result<Settled> {
        self.call(|engine, now| engine.settle(outcomes, now))
    }

    fn extend(&mut self, tokens: Vec<String>, lease_ms: u64) -> Result<Vec<String>> {
        self.call(|engine, now| engine.extend(tokens, lease_ms, now))
    }

    fn complete(&mut self, run: String, step: String, verdict: Verdict) -> Result<Settled> {
        self.call(|engine, now| engine.complete(&run, &step, verdict, now))
    }

    fn retry(&mut self, run: String, step: String) -> Result<()> {
        self.call(|engine, now| engine.retry(&run, &step, now))
    }

    fn cancel(&mut self, run: String, reason: String) -> Result<Settled> {
        self.call(|engine, now| engine.cancel(&run, reason, now))
    }

    fn get(&mut self, run: String) -> Result<RunDetail> {
        self.call(|engine, now| engine.get(&run, now))
    }

    fn list(&mut self, filter: Filter, after: Option<String>, max: u32) -> Result<RunPage> {
        self.call(|engine, now| engine.list(&filter, after.as_deref(), max, now))
    }

    fn schedule(&mut self, definition: ScheduleDefinition) -> Result<()> {
        self.call(|engine, now| engine.schedule(definition, now))
    }

    fn unschedule(&mut self, id: String) -> Result<()> {
        self.call(|engine, now| engine.unschedule(&id, now))
    }

    fn schedules(&mut self) -> Result<Vec<ScheduleStatus>> {
        self.call(|engine, now| Ok(engine.schedules(now)))
    }
}

stheno_sdk::export_workflows_provider!(WorkflowsLocal);
