//! What one instance uses, and where that ends.
//!
//! CPU time is counted in ticks of the engine's epoch ([`TICK`]): each time
//! guest code runs into a new epoch it gives one tick and yields to the other
//! tasks of the thread. Time spent waiting in a host function costs nothing,
//! since the counter is only looked at when guest code runs. Epochs were chosen
//! over fuel because they cost 5 % of a small call and fuel costs 10 %.

use std::time::Duration;

use stheno_config::Limits;
use wasmtime::{ResourceLimiter, UpdateDeadline};

/// How often the engine's epoch moves: the grain of the CPU limit, and the
/// longest that guest code holds a thread without yielding.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// A component is a few core instances with a memory and a table or two; more
/// than this is not a component that a toolchain made.
const CORE_INSTANCES: usize = 100;
const MEMORIES: usize = 10;
const TABLES: usize = 20;
/// Elements of all tables together. The largest toolchain runtime (Python) has
/// about 20,000.
const TABLE_ELEMENTS: usize = 1_000_000;

/// A limit that ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitHit {
    #[error("memory beyond limits.memory = \"{0}\"")]
    Memory(stheno_config::ByteSize),
    #[error("more than {TABLE_ELEMENTS} table elements")]
    Tables,
    #[error("CPU time beyond limits.cpu = \"{}\"", stheno_config::format_duration(*.0))]
    Cpu(Duration),
}

/// The account of one instance.
pub(crate) struct Usage {
    memory_limit: stheno_config::ByteSize,
    memory: usize,
    table_elements: usize,
    cpu: Duration,
    ticks_left: u64,
}

impl Usage {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_limit: limits.memory.get(),
            memory: 0,
            table_elements: 0,
            cpu: limits.cpu.get(),
            ticks_left: 0,
        }
    }

    /// Begins a call with its full CPU time.
    pub(crate) fn begin_call(&mut self) {
        // One more than asked for, since a call may begin just before a tick.
        let ticks = self.cpu.as_nanos().div_ceil(TICK.as_nanos());
        self.ticks_left = u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1);
    }

    /// The linear memory that the instance has, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Takes one tick off the call.
    pub(crate) fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        match self.ticks_left.checked_sub(1) {
            Some(left) => {
                self.ticks_left = left;
                Ok(UpdateDeadline::Yield(1))
            }
            None => Err(LimitHit::Cpu(self.cpu).into()),
        }
    }
}

impl ResourceLimiter for Usage {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // All memories of the instance count together: a component may have
        // several.
        let grown = self.memory.saturating_add(desired.saturating_sub(current));
        if grown > self.memory_limit.as_usize() {
            // A trap and not a failed `memory.grow`: languages turn the latter
            // into an abort whose message says nothing of the limit.
            return Err(LimitHit::Memory(self.memory_limit).into());
        }
        self.memory = grown;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = self.table_elements.saturating_add(desired.saturating_sub(current));
        if grown > TABLE_ELEMENTS {
            return Err(LimitHit::Tables.into());
        }
        self.table_elements = grown;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }

    fn tables(&self) -> usize {
        TABLES
    }
}
