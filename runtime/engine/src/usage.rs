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
    ticks_per_call: u64,
    ticks_left: u64,
}

impl Usage {
    pub(crate) fn new(limits: &Limits) -> Self {
        let cpu = limits.cpu.get();
        // One more than asked for, since a call may begin just before a tick.
        let ticks = cpu.as_nanos().div_ceil(TICK.as_nanos());
        Self {
            memory_limit: limits.memory.get(),
            memory: 0,
            table_elements: 0,
            cpu,
            ticks_per_call: u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1),
            ticks_left: 0,
        }
    }

    /// Begins a call with its full CPU time.
    pub(crate) fn begin_call(&mut self) {
        self.ticks_left = self.ticks_per_call;
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
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // What the module itself rules out never becomes memory.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
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
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_that_the_module_itself_rules_out_is_not_counted() {
        let mut usage = Usage::new(&Limits::default());
        assert!(usage.memory_growing(0, 1 << 16, Some(1 << 17)).unwrap());
        assert!(!usage.memory_growing(1 << 16, 1 << 30, Some(1 << 17)).unwrap());
        assert_eq!(usage.memory(), 1 << 16);
        assert!(usage.table_growing(0, 10, Some(20)).unwrap());
        assert!(!usage.table_growing(10, 10 * TABLE_ELEMENTS, Some(20)).unwrap());
        assert_eq!(usage.table_elements, 10);
    }

    #[test]
    fn memory_beyond_the_limit_ends_the_call() {
        let limits = Limits::default();
        let limit = limits.memory.get().as_usize();
        let mut usage = Usage::new(&limits);
        assert!(usage.memory_growing(0, limit, None).unwrap());
        let trap = usage.memory_growing(limit, limit + 1, None).unwrap_err();
        assert!(matches!(trap.downcast_ref(), Some(LimitHit::Memory(_))));
    }
}
