//! Providers of which many instances may serve side by side.
//!
//! A call takes an instance out by value and puts it back only after a call that
//! ended as it should. After a trap, a limit, or when the caller went away, the
//! instance is dropped with its store, and nobody else notices.
//!
//! Last in, first out: the instance that served last has its memory in the
//! processor's caches, and those that are not needed are never touched
//! (64 JavaScript instances in turn are three times slower than two). New ones
//! are made when all are busy: it costs about 25 µs. A provider whose instances
//! cannot be started is tried ever more slowly ([`Restarts`]); one that starts
//! clears that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stheno_contracts::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::driven::Driven;
use crate::instance::{Blueprint, CallFuture, Dead, Guest, Instance};
use crate::module::Module;
use crate::queue::Queue;
use crate::restarts::Restarts;

pub(crate) struct Pool<M: Module> {
    blueprint: Arc<Blueprint<M>>,
    idle: Mutex<Vec<Instance<M>>>,
    /// Of instances that could not be started; a call's own end is no part of it.
    restarts: Mutex<Restarts>,
    permits: Arc<Semaphore>,
    instances: u32,
    queue: Queue,
}

impl<M: Module> Pool<M> {
    pub(crate) fn new(blueprint: Arc<Blueprint<M>>, first: Instance<M>) -> Self {
        let instances = blueprint.limits.instances.get();
        Self {
            idle: Mutex::new(vec![first]),
            restarts: Mutex::default(),
            permits: Arc::new(Semaphore::new(instances as usize)),
            instances,
            queue: Queue::new(blueprint.limits.queue.get()),
            blueprint,
        }
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let name = &self.blueprint.shared.name;
        let _place = self.queue.join(name)?;
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| stopped(name))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Instance<M>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Instance<M>> {
        self.idle().pop()
    }

    /// A new instance, unless none can be started at the moment.
    async fn start(&self) -> Result<Instance<M>, Error> {
        let restarts = || self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        let name: &str = &self.blueprint.shared.name;
        restarts().may_start(name, Instant::now())?;
        match self.blueprint.start().await {
            Ok(instance) => {
                *restarts() = Restarts::default();
                Ok(instance)
            }
            Err(Dead(error)) => {
                tracing::error!(provider = name, error = error.message(), "it cannot be started");
                restarts().died(Instant::now());
                Err(error)
            }
        }
    }

    pub(crate) async fn call<R: Send + 'static>(
        self: &Arc<Self>,
        call: impl for<'a> FnOnce(Guest<'a, M>) -> CallFuture<'a, R> + Send + 'static,
    ) -> Result<R, Error> {
        Driven::cut_off(Arc::clone(self).serve(call)).await
    }

    /// As [`Pool::call`], for a future that is polled to its end whatever happens.
    pub(crate) async fn call_carried<R: Send + 'static>(
        self: &Arc<Self>,
        call: impl for<'a> FnOnce(Guest<'a, M>) -> CallFuture<'a, R> + Send + 'static,
    ) -> Result<R, Error> {
        Arc::clone(self).serve(call).await
    }

    async fn serve<R>(
        self: Arc<Self>,
        call: impl for<'a> FnOnce(Guest<'a, M>) -> CallFuture<'a, R>,
    ) -> Result<R, Error> {
        let _permit = self.permit().await?;
        let mut instance = match self.take_idle() {
            Some(instance) => instance,
            None => self.start().await?,
        };
        let answer = instance.call(&self.blueprint, call).await.map_err(|dead| dead.0)?;
        if !instance.is_worn(&self.blueprint.limits) {
            self.idle().push(instance);
        }
        answer
    }

    /// Makes a call in each instance that is idle, one after the other.
    pub(crate) async fn visit(
        self: &Arc<Self>,
        call: impl for<'a> Fn(Guest<'a, M>) -> CallFuture<'a, ()> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let pool = Arc::clone(self);
        Driven::cut_off(async move {
            let mut result = Ok(());
            // Taken out at once, so that none is asked twice.
            let mut idle = std::mem::take(&mut *pool.idle());
            while let Some(mut instance) = idle.pop() {
                let _permit = pool.permit().await?;
                match instance.call(&pool.blueprint, &call).await {
                    Ok(answer) => {
                        result = result.and(answer);
                        if !instance.is_worn(&pool.blueprint.limits) {
                            pool.idle().insert(0, instance);
                        }
                    }
                    Err(dead) => result = result.and(Err(dead.0)),
                }
            }
            result
        })
        .await
    }

    /// Waits for the calls that were accepted, then stops every instance. New
    /// calls are refused from now on.
    pub(crate) async fn stop(&self) -> Result<(), Error> {
        let all = self.permits.acquire_many(self.instances).await;
        if all.is_err() {
            return Ok(());
        }
        self.permits.close();
        let mut result = Ok(());
        while let Some(mut instance) = self.take_idle() {
            let stopped = instance
                .call(&self.blueprint, |guest| Box::pin(guest.lifecycle.call_stop(guest.store)))
                .await
                .unwrap_or_else(|dead| Err(dead.0));
            result = result.and(stopped);
        }
        result
    }
}

pub(crate) fn stopped(provider: &str) -> Error {
    Error::Unavailable(format!("{provider} has been stopped"))
}
