//! A loaded provider, ready to be called.

use std::sync::Arc;

use stheno_capabilities::Denied;
use stheno_config::Limits;
use stheno_contracts::Error;
use stheno_contracts::base::lifecycle::{Description, Instances};

use crate::instance::{Blueprint, CallFuture, Guest, Instance};
use crate::module::Module;
use crate::pool::Pool;
use crate::single::{Single, Welcome};

/// A provider of module `M`, cheap to clone. Every call goes through
/// [`Provider::call`], which finds or makes an instance, holds the call to the
/// provider's limits, and cleans up behind it.
pub struct Provider<M: Module>(Arc<Inner<M>>);

struct Inner<M: Module> {
    blueprint: Arc<Blueprint<M>>,
    description: Description,
    servers: Servers<M>,
}

enum Servers<M: Module> {
    Many(Arc<Pool<M>>),
    One(Single<M>),
}

impl<M: Module> Clone for Provider<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Module> Provider<M> {
    pub(crate) fn new(
        blueprint: Blueprint<M>,
        description: Description,
        first: Instance<M>,
    ) -> Self {
        let blueprint = Arc::new(blueprint);
        let servers = match description.instances {
            Instances::Many => Servers::Many(Arc::new(Pool::new(Arc::clone(&blueprint), first))),
            Instances::One => Servers::One(Single::new(Arc::clone(&blueprint), first)),
        };
        Self(Arc::new(Inner { blueprint, description, servers }))
    }

    /// What the provider says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// What the operator calls it, as in log lines and errors.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.blueprint.shared.name
    }

    /// The limits that its calls are held to.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.blueprint.limits
    }

    /// What it was denied since it was loaded, whichever of its instances asked;
    /// empty if nothing was.
    #[must_use]
    pub fn denials(&self) -> Vec<Denied> {
        self.0.blueprint.shared.denials.all()
    }

    /// Whether a single instance serves, so that calls queue.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self.0.servers, Servers::One(_))
    }

    /// Makes one call. It goes on whether or not its future is polled again, so
    /// that no caller holds up another; dropping the future ends it, but for a
    /// call that has begun in a single instance, which is carried to its end.
    ///
    /// # Errors
    ///
    /// What the guest answered, or what kept it from answering: `timeout` (wall
    /// or CPU time), `unavailable` (too many wait, restarting, stopped),
    /// `internal` (a trap, memory). In those cases the instance is gone; other
    /// calls are not touched, but for those of a provider that keeps its state
    /// in one instance, which find a fresh one.
    pub async fn call<R: Send + 'static>(
        &self,
        call: impl for<'a> FnOnce(Guest<'a, M>) -> CallFuture<'a, R> + Send + 'static,
    ) -> Result<R, Error> {
        match &self.0.servers {
            Servers::Many(pool) => pool.call(call).await,
            Servers::One(single) => single.call(call).await,
        }
    }

    /// As [`Provider::call`], for a future that is polled to its end whatever
    /// happens, such as a [`Batch`](crate::Batch)'s `run`: it is made without the
    /// box that carries a call. A future left lying would hold up everybody.
    ///
    /// # Errors
    ///
    /// As [`Provider::call`].
    pub async fn call_carried<R: Send + 'static>(
        &self,
        call: impl for<'a> FnOnce(Guest<'a, M>) -> CallFuture<'a, R> + Send + 'static,
    ) -> Result<R, Error> {
        match &self.0.servers {
            Servers::Many(pool) => pool.call_carried(call).await,
            Servers::One(single) => single.call_carried(call).await,
        }
    }

    /// Makes a call in each instance that has none at the moment, one after the other;
    /// where a single one serves, in that.
    ///
    /// # Errors
    ///
    /// The first, as for [`Provider::call`]; the others are called all the same.
    pub async fn visit(
        &self,
        call: impl for<'a> Fn(Guest<'a, M>) -> CallFuture<'a, ()> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        match &self.0.servers {
            Servers::Many(pool) => pool.visit(call).await,
            Servers::One(single) => single.call(call).await,
        }
    }

    /// Asks the provider whether it can serve.
    ///
    /// # Errors
    ///
    /// What it said, or that it could not answer.
    pub async fn health(&self) -> Result<(), Error> {
        self.call(|guest| Box::pin(guest.lifecycle.call_health(guest.store))).await
    }

    /// Lets accepted calls end, then stops all instances. Calls that come later
    /// are `unavailable`.
    ///
    /// # Errors
    ///
    /// What the provider's own `stop` said.
    pub async fn stop(&self) -> Result<(), Error> {
        match &self.0.servers {
            Servers::Many(pool) => pool.stop().await,
            Servers::One(single) => single.stop().await,
        }
    }

    /// Sets what a new instance is told when a single instance had to be
    /// replaced. Instances of which there are many keep nothing, so they are
    /// told nothing.
    pub fn welcome(&self, welcome: Welcome<M>) {
        if let Servers::One(single) = &self.0.servers {
            single.welcome(welcome);
        }
    }

    /// The linear memory of the single instance, in bytes; none where there are
    /// many.
    pub async fn memory(&self) -> Option<usize> {
        match &self.0.servers {
            Servers::Many(_) => None,
            Servers::One(single) => Some(single.memory().await),
        }
    }
}
