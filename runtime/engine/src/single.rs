//! Providers whose state is in their own memory: one instance serves, calls
//! queue in order of arrival.
//!
//! The instance is worth more than a call here, since its memory is the
//! provider's state. So a call that has begun is carried to its end even if the
//! caller goes away ([`Driven`]); only a trap or a limit ends the instance.
//! The next call starts a new one, and what the host must tell it first (its
//! [`Welcome`]) it is told before that call. An instance that keeps dying is
//! started again ever more slowly ([`Restarts`]).

use std::sync::{Arc, OnceLock};

use stheno_contracts::Error;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::time::Instant;

use crate::driven::{Driven, stopping};
use crate::instance::{Blueprint, CallFuture, Dead, Guest, Instance};
use crate::module::Module;
use crate::pool::stopped;
use crate::queue::Queue;
use crate::restarts::Restarts;

/// What each new instance is told after `start` and before any call, such as
/// the subscriptions that the lost one had.
pub type Welcome<M> = Box<dyn for<'a> Fn(Guest<'a, M>) -> CallFuture<'a, ()> + Send + Sync>;

pub(crate) struct Single<M: Module> {
    line: Arc<Line<M>>,
    seat: Arc<Mutex<Seat<M>>>,
    queue: Queue,
}

struct Line<M: Module> {
    blueprint: Arc<Blueprint<M>>,
    welcome: OnceLock<Welcome<M>>,
}

struct Seat<M: Module> {
    state: State<M>,
    restarts: Restarts,
}

enum State<M: Module> {
    Running(Instance<M>),
    Down,
    Stopped,
}

impl<M: Module> Single<M> {
    pub(crate) fn new(blueprint: Arc<Blueprint<M>>, first: Instance<M>) -> Self {
        let seat = Seat { state: State::Running(first), restarts: Restarts::default() };
        Self {
            queue: Queue::new(blueprint.limits.queue.get()),
            line: Arc::new(Line { blueprint, welcome: OnceLock::new() }),
            seat: Arc::new(Mutex::new(seat)),
        }
    }

    /// Sets what new instances are told. The first one to set it wins.
    pub(crate) fn welcome(&self, welcome: Welcome<M>) {
        let _ = self.line.welcome.set(welcome);
    }

    pub(crate) async fn call<R: Send + 'static>(
        &self,
        call: impl for<'a> FnOnce(Guest<'a, M>) -> CallFuture<'a, R> + Send + 'static,
    ) -> Result<R, Error> {
        let (line, seat) = (Arc::clone(&self.line), Arc::clone(&self.seat));
        let seat = match seat.try_lock_owned() {
            Ok(seat) => return Driven::carried(line.serve(seat, call)).await,
            Err(_) => Arc::clone(&self.seat),
        };
        let place = self.queue.join(&self.line.blueprint.shared.name)?;
        let (mut caller, _waits) = oneshot::channel::<()>();
        Driven::carried(async move {
            let seat = tokio::select! {
                biased;
                // Who goes away before it is his turn leaves the line.
                () = caller.closed() => return Err(stopping()),
                seat = seat.lock_owned() => seat,
            };
            drop(place);
            line.serve(seat, call).await
        })
        .await
    }

    /// As [`Single::call`], in a future that its caller carries to its end.
    pub(crate) async fn call_carried<R>(
        &self,
        call: impl for<'a> FnOnce(Guest<'a, M>) -> CallFuture<'a, R>,
    ) -> Result<R, Error> {
        let seat = match Arc::clone(&self.seat).try_lock_owned() {
            Ok(seat) => seat,
            Err(_) => {
                let _place = self.queue.join(&self.line.blueprint.shared.name)?;
                Arc::clone(&self.seat).lock_owned().await
            }
        };
        Arc::clone(&self.line).serve(seat, call).await
    }

    /// Stops the instance after the calls that wait already. New calls are
    /// refused from now on.
    pub(crate) async fn stop(&self) -> Result<(), Error> {
        let (line, seat) = (Arc::clone(&self.line), Arc::clone(&self.seat));
        Driven::carried(async move {
            let mut seat = seat.lock_owned().await;
            match std::mem::replace(&mut seat.state, State::Stopped) {
                State::Running(mut instance) => instance
                    .call(&line.blueprint, |guest| Box::pin(guest.lifecycle.call_stop(guest.store)))
                    .await
                    .unwrap_or_else(|Dead(error)| Err(error)),
                State::Down | State::Stopped => Ok(()),
            }
        })
        .await
    }

    /// The linear memory of the instance, in bytes; 0 while there is none.
    pub(crate) async fn memory(&self) -> usize {
        match &self.seat.lock().await.state {
            State::Running(instance) => instance.memory(),
            State::Down | State::Stopped => 0,
        }
    }
}

impl<M: Module> Line<M> {
    /// Makes a call with the instance in the seat.
    async fn serve<R>(
        self: Arc<Self>,
        mut seat: OwnedMutexGuard<Seat<M>>,
        call: impl for<'a> FnOnce(Guest<'a, M>) -> CallFuture<'a, R>,
    ) -> Result<R, Error> {
        let instance = self.running(&mut seat).await?;
        match instance.call(&self.blueprint, call).await {
            Ok(answer) => answer,
            Err(Dead(error)) => {
                seat.died(&self.blueprint.shared.name, &error);
                Err(error)
            }
        }
    }

    /// The instance in the seat, started if need be.
    async fn running<'s>(&self, seat: &'s mut Seat<M>) -> Result<&'s mut Instance<M>, Error> {
        let name = &self.blueprint.shared.name;
        if matches!(seat.state, State::Down) {
            seat.restarts.may_start(name, Instant::now())?;
            match self.start().await {
                Ok(instance) => seat.state = State::Running(instance),
                Err(Dead(error)) => {
                    seat.died(name, &error);
                    return Err(error);
                }
            }
        }
        match &mut seat.state {
            State::Running(instance) => Ok(instance),
            State::Down | State::Stopped => Err(stopped(name)),
        }
    }

    async fn start(&self) -> Result<Instance<M>, Dead> {
        let mut instance = self.blueprint.start().await?;
        if let Some(welcome) = self.welcome.get() {
            instance.call(&self.blueprint, welcome).await?.map_err(Dead)?;
        }
        Ok(instance)
    }
}

impl<M: Module> Seat<M> {
    fn died(&mut self, provider: &str, error: &Error) {
        tracing::error!(
            provider,
            error = error.message(),
            "the provider's only instance is gone, with what it held"
        );
        self.state = State::Down;
        self.restarts.died(Instant::now());
    }
}
