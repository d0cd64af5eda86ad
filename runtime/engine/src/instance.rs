//! One instance of a component, and one call into it.

use std::sync::Arc;
use std::task::Poll;

use stheno_capabilities::{Capabilities, Shared, one_line};
use stheno_config::{Limits, format_duration};
use stheno_contracts::base::lifecycle;
use stheno_contracts::{Error, body};
use wasmtime::component::{InstancePre, Resource};
use wasmtime::{Store, Trap};
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use crate::module::Module;
use crate::usage::{LimitHit, Usage};

/// What a store carries: what the instance may do, and what it has used.
pub struct Slot {
    capabilities: Capabilities,
    usage: Usage,
}

impl Slot {
    pub(crate) fn capabilities(&mut self) -> &mut Capabilities {
        &mut self.capabilities
    }
}

/// Bodies that cross with a call.
impl Slot {
    /// Gives a body to the guest.
    ///
    /// # Errors
    ///
    /// When it holds too many handles already.
    pub fn push_reader(
        &mut self,
        reader: body::Reader,
    ) -> wasmtime::Result<Resource<body::Reader>> {
        self.capabilities.push_reader(reader)
    }

    /// Takes a body from the guest, which then outlives the call.
    ///
    /// # Errors
    ///
    /// When the handle is not one of the guest's.
    pub fn take_reader(
        &mut self,
        reader: Resource<body::Reader>,
    ) -> wasmtime::Result<body::Reader> {
        self.capabilities.take_reader(reader)
    }

    /// Takes a body to be written from the guest.
    ///
    /// # Errors
    ///
    /// When the handle is not one of the guest's.
    pub fn take_writer(
        &mut self,
        writer: Resource<body::Writer>,
    ) -> wasmtime::Result<body::Writer> {
        self.capabilities.take_writer(writer)
    }
}

impl WasiView for Slot {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.capabilities.wasi()
    }
}

impl WasiHttpView for Slot {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.capabilities.http()
    }
}

/// What a call gets to work with.
pub struct Guest<'a, M: Module> {
    /// The store that all functions want.
    pub store: &'a mut Store<Slot>,
    /// The functions of the module.
    pub module: &'a M::Functions,
    /// The functions of the lifecycle.
    pub lifecycle: &'a lifecycle::Guest,
}

/// What a call comes to. The outer result is a trap, the inner one the guest's
/// own answer.
pub type Called<R> = wasmtime::Result<Result<R, Error>>;

/// The future of one call.
pub type CallFuture<'a, R> = std::pin::Pin<Box<dyn Future<Output = Called<R>> + Send + 'a>>;

/// Everything that a new instance is made from.
pub(crate) struct Blueprint<M: Module> {
    pub(crate) component: InstancePre<Slot>,
    pub(crate) module: M::Indices,
    pub(crate) lifecycle: lifecycle::GuestIndices,
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: Limits,
    /// The options as the JSON text that `start` takes.
    pub(crate) options: String,
}

/// Why an instance cannot be used any more.
#[derive(Debug)]
pub(crate) struct Dead(pub(crate) Error);

/// A running instance. It serves one call at a time and is not fit for another
/// after a call that did not end (see [`Instance::call`]).
pub(crate) struct Instance<M: Module> {
    store: Store<Slot>,
    module: M::Functions,
    lifecycle: lifecycle::Guest,
    calls: u64,
    handles: usize,
}

impl<M: Module> Blueprint<M> {
    /// A new instance, before `start`.
    pub(crate) async fn instantiate(&self) -> Result<Instance<M>, Dead> {
        let capabilities = Capabilities::new(Arc::clone(&self.shared))
            .map_err(|error| Dead(Error::Unavailable(error.to_string())))?;
        let slot = Slot { capabilities, usage: Usage::new(&self.limits) };
        let mut store = Store::new(self.component.engine(), slot);
        store.limiter(|slot| &mut slot.usage);
        store.epoch_deadline_callback(|mut context| context.data_mut().usage.tick());
        store.set_hostcall_fuel(self.limits.host_bytes.get().as_usize());
        self.begin(&mut store);
        let instance =
            self.within_time(self.component.instantiate_async(&mut store)).await.map_err(Dead)?;
        let bind = |store: &mut Store<Slot>| {
            let module = M::functions(&self.module, store, &instance)?;
            let lifecycle = self.lifecycle.load(&mut *store, &instance)?;
            Ok((module, lifecycle))
        };
        let (module, lifecycle) = bind(&mut store).map_err(|trap| Dead(self.explain(&trap)))?;
        Ok(Instance { store, module, lifecycle, calls: 0, handles: 0 })
    }

    /// A new instance that has taken its options.
    pub(crate) async fn start(&self) -> Result<Instance<M>, Dead> {
        let mut instance = self.instantiate().await?;
        let options = self.options.clone();
        instance
            .call(self, move |guest| {
                Box::pin(async move { guest.lifecycle.call_start(guest.store, &options).await })
            })
            .await?
            .map_err(Dead)?;
        Ok(instance)
    }

    fn begin(&self, store: &mut Store<Slot>) {
        store.data_mut().usage.begin_call();
        store.set_epoch_deadline(1);
    }

    async fn within_time<R>(
        &self,
        call: impl Future<Output = wasmtime::Result<R>>,
    ) -> Result<R, Error> {
        let mut call = std::pin::pin!(call);
        // Most calls are over before they wait for anything, and a timer costs
        // a tenth of such a call. Until the first wait the CPU limit watches.
        let begun = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        let limited = match begun {
            Poll::Ready(result) => Ok(result),
            Poll::Pending => tokio::time::timeout(self.limits.timeout.get(), call).await,
        };
        match limited {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(trap)) => Err(self.explain(&trap)),
            Err(_) => Err(Error::Timeout(format!(
                "{} took longer than limits.timeout = \"{}\"",
                self.shared.name,
                format_duration(self.limits.timeout.get())
            ))),
        }
    }

    /// What a trap means to the caller. The guest's own words are in the log.
    fn explain(&self, trap: &wasmtime::Error) -> Error {
        let name = &self.shared.name;
        if let Some(hit) = trap.downcast_ref::<LimitHit>() {
            let text = format!("{name} was stopped: {hit}");
            return match hit {
                LimitHit::Cpu(_) => Error::Timeout(text),
                LimitHit::Memory(_) | LimitHit::Tables => Error::Internal(text),
            };
        }
        let reason = match trap.downcast_ref::<Trap>() {
            Some(Trap::UnreachableCodeReached) => "it gave up (a panic, or an abort)".to_owned(),
            Some(trap) => trap.to_string(),
            None => format!("{:#}", trap.root_cause()),
        };
        // wasmtime has no type for this one.
        if reason.contains("fuel allocated for hostcalls") {
            return Error::Internal(format!(
                "{name} was stopped: more bytes passed to the host in one call than \
                 limits.host_bytes = \"{}\"",
                self.limits.host_bytes.get()
            ));
        }
        Error::Internal(format!("{name} trapped: {reason}"))
    }
}

impl<M: Module> Instance<M> {
    /// Makes one call within the limits.
    ///
    /// After `Err` the instance must be dropped. The same holds when the future
    /// is dropped before its end: the guest is then somewhere in the middle,
    /// and wasmtime refuses to enter it again.
    pub(crate) async fn call<R>(
        &mut self,
        blueprint: &Blueprint<M>,
        call: impl for<'a> FnOnce(Guest<'a, M>) -> CallFuture<'a, R>,
    ) -> Result<Result<R, Error>, Dead> {
        blueprint.begin(&mut self.store);
        let guest =
            Guest { store: &mut self.store, module: &self.module, lifecycle: &self.lifecycle };
        let answer = blueprint.within_time(call(guest)).await.map_err(Dead)?;
        self.calls += 1;
        self.handles = self.store.data_mut().capabilities.sweep();
        // Errors end up in logs and on terminals, and this one is a stranger's.
        Ok(answer.map_err(|error| error.map_message(|text| one_line(&text))))
    }

    /// Whether an instance of which there can be many is better replaced:
    /// JavaScript keeps handles that it does not dispose of, Python keeps lists
    /// that it returns, and both would meet a limit in the middle of a call.
    pub(crate) fn is_worn(&self, limits: &Limits) -> bool {
        self.calls >= u64::from(limits.calls_per_instance.get())
            || self.store.data().usage.memory() > limits.memory.get().as_usize() / 2
            || self.handles > limits.handles.get() as usize / 2
    }

    /// The linear memory that the instance has, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().usage.memory()
    }
}
