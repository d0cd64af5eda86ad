//! A started provider, as a case uses it.

use stheno::Runtime;

use crate::check::Fault;
use crate::trial::Trial;

/// The handle of a module.
pub(crate) trait Handle: Clone + Send + Sync + 'static {
    /// That of a runtime.
    fn of(runtime: &Runtime) -> Self;
}

macro_rules! handles {
    ($($handle:ident: $function:ident),* $(,)?) => {
        $(impl Handle for stheno::$handle {
            fn of(runtime: &Runtime) -> Self {
                runtime.$function().clone()
            }
        })*
    };
}

handles! {
    Cache: cache,
    Events: events,
    Locking: locking,
    Workflows: workflows,
    Files: files,
    Notifications: notifications,
    Analytics: analytics,
}

/// A provider that only this case uses, and the means to move its time, to name
/// things and to start it again.
pub(crate) struct Subject<H> {
    pub(crate) api: H,
    runtime: Runtime,
    trial: Trial,
}

impl<H: Handle> Subject<H> {
    pub(crate) async fn begin(trial: Trial) -> Result<Self, Fault> {
        let runtime = trial.start().await?;
        Ok(Self { api: H::of(&runtime), runtime, trial })
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn trial(&self) -> &Trial {
        &self.trial
    }

    /// Lets this much time pass.
    pub(crate) fn pass(&self, millis: u64) {
        self.trial.pass(millis);
    }

    /// A name that nobody else uses.
    pub(crate) fn own(&self, name: &str) -> String {
        self.trial.own(name)
    }

    /// Stops the provider in order.
    pub(crate) async fn stop(self) -> Result<Trial, Fault> {
        let Self { api, runtime, trial } = self;
        runtime.shutdown().await?;
        drop((api, runtime));
        Ok(trial)
    }

    /// The same provider, stopped and started by another runtime a second later.
    pub(crate) async fn restart(self) -> Result<Self, Fault> {
        let trial = self.stop().await?;
        trial.pass(1_000);
        Self::begin(trial).await
    }
}
