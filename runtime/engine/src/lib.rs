//! Loads provider components, audits them, and runs their calls within limits.
//!
//! # Shape
//!
//! [`Engine::load`] turns bytes into a [`Provider`] of one [`Module`]: it
//! compiles the component (or finds it compiled), holds its imports against
//! the grants, its exports against the contract, and starts one instance.
//! [`Provider::call`] then makes calls. There are two ways to serve them, and
//! the provider says which: a pool of instances that are all alike, or one
//! instance whose memory is the provider's state.
//!
//! # Why plain calls on fibers, one at a time in an instance
//!
//! The component model can run many calls in one instance. It is not used here:
//! a call costs 1.9 µs instead of 0.55 µs, a dropped call keeps running, a trap
//! ends every call in the instance, and no limit can be charged to one call.
//! With plain calls a call is cut off by dropping its future and its store, and
//! all that is lost is one instance, which costs 25 µs to make again.
//!
//! # Limits
//!
//! Memory and tables are counted by the instance's own limiter, CPU time by
//! epochs, wall time by a timer around the call; what the host copies out of a
//! guest in one call is bounded by `host_bytes`. See [`stheno_config::Limits`]
//! for what a guest that meets one gets.
//!
//! ```no_run
//! use stheno_engine::{CacheModule, Clock, Engine, Source, Terms};
//! use stheno_config::{Grants, Limits};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(None)?;
//! let source = Source { name: "my.wasm".into(), bytes: std::fs::read("my.wasm")?.into() };
//! let terms = Terms {
//!     options: serde_json::Map::new(),
//!     grants: Grants::default(),
//!     limits: Limits::default(),
//!     clock: Clock::system(),
//! };
//! let provider = engine.load::<CacheModule>(source, terms).await?;
//! let keys = vec!["greeting".to_owned()];
//! let values = provider
//!     .call(move |guest| {
//!         Box::pin(async move { guest.module.call_get(guest.store, &keys).await })
//!     })
//!     .await;
//! # let _ = values; Ok(()) }
//! ```

mod coalesce;
mod compiled;
mod driven;
mod inspect;
mod instance;
mod load;
mod module;
mod pool;
mod provider;
mod queue;
mod restarts;
mod single;
mod usage;

use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Linker;

pub use coalesce::{Batch, Coalescer};
pub use inspect::{Import, Inspection, ProviderInfo};
pub use instance::{CallFuture, Called, Guest, Slot};
pub use load::{Aspect, LoadError, Source, Terms};
pub use module::{
    AnalyticsModule, CacheModule, EventsModule, FilesModule, LockingModule, Module,
    NotificationsModule, WorkflowsModule,
};
pub use provider::Provider;
pub use single::Welcome;
pub use stheno_capabilities::{
    Clock, Denied, ManualClock, Order, OwnStore, Power, Question, Ruling, ServerSide, acl_line,
    powers, role_lines, rule, server_side,
};

use compiled::CompileCache;

/// What all providers of a process share: the compiler, the host functions and
/// the epoch. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<Slot>,
    compile_cache: Option<CompileCache>,
}

impl Engine {
    /// An engine that keeps compiled code in `compile_cache`, or nowhere.
    ///
    /// # Errors
    ///
    /// When wasmtime does not support this machine, or no thread can be made.
    pub fn new(compile_cache: Option<&Path>) -> wasmtime::Result<Self> {
        let mut config = wasmtime::Config::new();
        config
            .wasm_component_model(true)
            // Costs 1 µs a call even where it is not used.
            .concurrency_support(false)
            .epoch_interruption(true);
        let wasmtime = wasmtime::Engine::new(&config)?;
        let mut linker = Linker::new(&wasmtime);
        stheno_capabilities::add_to_linker(&mut linker, Slot::capabilities)?;
        tick(&wasmtime)?;
        let compile_cache = compile_cache.and_then(|folder| CompileCache::open(folder, &wasmtime));
        Ok(Self(Arc::new(Inner { wasmtime, linker, compile_cache })))
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    pub(crate) fn linker(&self) -> &Linker<Slot> {
        &self.0.linker
    }

    pub(crate) fn compile_cache(&self) -> Option<&CompileCache> {
        self.0.compile_cache.as_ref()
    }
}

/// Moves the epoch for as long as the engine lives. A thread of its own, since
/// a runtime's threads are what guests may be holding up.
fn tick(engine: &wasmtime::Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("stheno-epoch".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(usage::TICK);
        }
    })?;
    Ok(())
}
