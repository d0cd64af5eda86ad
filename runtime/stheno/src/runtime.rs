//! Starting and stopping.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use stheno_config::{Config, ConfigError, ModuleName, Place, ProviderConfig, Resolve, process_env};
use stheno_contracts::base::lifecycle::Description;
use stheno_engine::{
    Aspect, Clock, Denied, Engine, LoadError, Module, Provider, ProviderInfo, Source, Terms,
};

use crate::analytics::{self, Analytics};
use crate::files::{self, Files, LinkKeys};
use crate::granted::granted;
use crate::notifications::{self, Notifications};
use crate::workflows::{GRACE, Workflows};
use crate::{Cache, Error, Events, Locking};

/// All modules, each served by its provider.
///
/// Cheap to clone. Stop it with [`Runtime::shutdown`]; if it is dropped instead,
/// subscribers stop taking events and nothing is waited for.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

struct Inner {
    cache: Cache,
    events: Events,
    locking: Locking,
    files: files::Stores,
    notifications: Notifications,
    analytics: Analytics,
    workflows: Workflows,
    clock: Clock,
}

/// How a [`Runtime`] is to be started.
#[must_use = "nothing starts until it is built"]
pub struct Builder {
    config: Config,
    clock: Clock,
}

/// A provider and how it is.
#[derive(Debug, Clone)]
pub struct ProviderStatus {
    /// The module that it serves.
    pub module: ModuleName,
    /// What tells it apart in a module that takes several.
    pub id: Option<String>,
    /// What the config calls it.
    pub provider: String,
    /// What it says of itself.
    pub info: ProviderInfo,
    /// What it answered when it was asked whether it can serve.
    pub health: Result<(), Error>,
    /// What it was denied since it was loaded; empty if nothing was.
    pub denials: Vec<Denied>,
}

impl Runtime {
    /// A runtime on whose config can be worked before it starts. Without
    /// further words each module has its local provider.
    pub fn builder() -> Builder {
        Builder { config: Config::default(), clock: Clock::system() }
    }

    /// Starts what the config file says. Variables come from the process's
    /// environment.
    ///
    /// # Errors
    ///
    /// What is wrong in the file, or with a provider that it names, with the
    /// place in the file and what to write there.
    pub async fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::builder().config(Config::load(path, &process_env)?).build().await
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.0.events
    }

    /// The files; of several stores those of the default one.
    #[must_use]
    pub fn files(&self) -> &Files {
        self.0.files.default_store()
    }

    /// The files of the store that the config calls `id`.
    ///
    /// # Errors
    ///
    /// `invalid-argument` if there is none.
    pub fn files_of(&self, id: &str) -> Result<&Files, Error> {
        self.0.files.get(id)
    }

    /// All file stores, in the order of the config.
    pub fn file_stores(&self) -> impl Iterator<Item = &Files> {
        self.0.files.iter()
    }

    /// The locks.
    #[must_use]
    pub fn locking(&self) -> &Locking {
        &self.0.locking
    }

    /// The notifications.
    #[must_use]
    pub fn notifications(&self) -> &Notifications {
        &self.0.notifications
    }

    /// The analytics.
    #[must_use]
    pub fn analytics(&self) -> &Analytics {
        &self.0.analytics
    }

    /// The workflows.
    #[must_use]
    pub fn workflows(&self) -> &Workflows {
        &self.0.workflows
    }

    /// The clock that providers see.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Asks every provider whether it can serve.
    pub async fn status(&self) -> Vec<ProviderStatus> {
        let (cache, events, locking, workflows) = tokio::join!(
            status(ModuleName::Cache, None, self.0.cache.provider()),
            status(ModuleName::Events, None, self.0.events.provider()),
            status(ModuleName::Locking, None, self.0.locking.provider()),
            status(ModuleName::Workflows, None, self.0.workflows.provider()),
        );
        let mut all = vec![cache, events, locking, workflows];
        all.extend(
            join_all(
                self.0
                    .files
                    .iter()
                    .map(|files| status(ModuleName::Files, Some(files.id()), files.provider())),
            )
            .await,
        );
        let targets = self.0.notifications.targets().iter();
        all.extend(
            join_all(targets.map(|target| {
                status(ModuleName::Notifications, Some(target.id.as_str()), &target.provider)
            }))
            .await,
        );
        let targets = self.0.analytics.targets();
        all.extend(
            join_all(
                targets.map(|(id, provider)| {
                    status(ModuleName::Analytics, Some(id.as_str()), provider)
                }),
            )
            .await,
        );
        all
    }

    /// Stops: from now on nothing is accepted from outside, subscribers end the
    /// events that they have begun and workflows the steps, accepted calls end, and
    /// every provider writes out what it holds. Calls that come later are
    /// `unavailable`.
    ///
    /// Events and runs in a provider that does not keep them (one without the
    /// feature `durable`) are handled first, if they are due and have a subscriber
    /// or a handler here, with all that these publish and start; for at most 30
    /// seconds. What is due later is gone with the provider, and the log says how
    /// much that is. Whoever waits for a lock or a run is told that it will not
    /// come.
    ///
    /// Then notifications that are being sent are sent, and what was tracked is
    /// handed over, for at most 30 seconds more.
    ///
    /// # Errors
    ///
    /// The first that a provider's own `stop` gave; the others are logged.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let (events, workflows) = (&self.0.events, &self.0.workflows);
        tokio::join!(events.close(), workflows.close());
        // Each may bring something for the other.
        let handled = async { while workflows.handle_due().await | events.handle_due().await {} };
        if tokio::time::timeout(GRACE, handled).await.is_err() {
            tracing::warn!("not all that was due could be handled in {GRACE:?}");
        }
        workflows.stop().await;
        events.stop().await;
        // After the subscribers, who may want a lock to end what they have begun.
        self.0.locking.close();
        // After the handlers, which may send, and before what they are sent by.
        self.0.notifications.drain().await;
        self.0.analytics.drain().await;
        let targets = self.0.notifications.targets().iter();
        let (cache, events, locking, workflows, files, notifications, analytics) = tokio::join!(
            self.0.cache.provider().stop(),
            self.0.events.provider().stop(),
            self.0.locking.provider().stop(),
            self.0.workflows.provider().stop(),
            join_all(self.0.files.iter().map(|files| files.provider().stop())),
            join_all(targets.map(|target| target.provider.stop())),
            join_all(self.0.analytics.targets().map(|(_, provider)| provider.stop())),
        );
        let mut result = Ok(());
        let mut all = vec![
            (ModuleName::Cache, cache),
            (ModuleName::Events, events),
            (ModuleName::Locking, locking),
            (ModuleName::Workflows, workflows),
        ];
        all.extend(files.into_iter().map(|end| (ModuleName::Files, end)));
        all.extend(notifications.into_iter().map(|end| (ModuleName::Notifications, end)));
        all.extend(analytics.into_iter().map(|end| (ModuleName::Analytics, end)));
        for (module, stopped) in all {
            if let Err(error) = stopped {
                let error = Error::from(error);
                tracing::error!(%module, %error, "the provider did not stop cleanly");
                result = result.and(Err(error));
            }
        }
        result
    }
}

async fn status<M: Module>(
    module: ModuleName,
    id: Option<&str>,
    provider: &Provider<M>,
) -> ProviderStatus {
    ProviderStatus {
        module,
        id: id.map(str::to_owned),
        provider: provider.name().to_owned(),
        info: provider.description().clone().into(),
        health: provider.health().await.map_err(Error::from),
        denials: provider.denials(),
    }
}

impl Builder {
    /// Starts from this config.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Has `provider`, and no other, serve `module`.
    pub fn provider(mut self, module: ModuleName, provider: ProviderConfig) -> Self {
        self.config.modules.set(module, provider);
        self
    }

    /// Runs everything on this clock. Tests give a manual one; limits of calls
    /// are measured in real time all the same.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the providers.
    ///
    /// # Errors
    ///
    /// What is wrong with a provider, with the place in the config.
    pub async fn build(self) -> Result<Runtime, ConfigError> {
        let loader = Loader::new(self)?;
        let keys = LinkKeys::new(&loader.config.server).map_err(|error| {
            loader.config.diagnose(
                Place::root(),
                format!("the system gives no random bytes for a secret: {error}"),
                "write one below [server]: link_secret = \"${STHENO_LINK_SECRET}\"",
            )
        })?;
        let (cache, events, locking, workflows, files, notifications, analytics) = tokio::try_join!(
            loader.load(ModuleName::Cache),
            loader.load(ModuleName::Events),
            loader.load(ModuleName::Locking),
            loader.load(ModuleName::Workflows),
            loader.load_all(ModuleName::Files),
            loader.load_all(ModuleName::Notifications),
            loader.load_all(ModuleName::Analytics),
        )?;
        let stores = &loader.config.modules.files;
        let files = stores
            .iter()
            .zip(files)
            .map(|(named, provider)| files::Target { id: named.id.clone(), provider })
            .collect();
        let default = stores.default_store().id.clone();
        let files = files::Stores::new(files, &default, keys, loader.clock.clone());
        let files = files.ok_or_else(|| {
            loader.config.diagnose(
                Place::module(ModuleName::Files),
                "there is no file store",
                "leave [modules.files] out for files-local",
            )
        })?;
        let named = loader.config.modules.notifications.iter();
        let notifications = named
            .zip(notifications)
            .map(|(named, provider)| notifications::Target {
                id: named.id.clone(),
                routes: named.share.clone(),
                provider,
            })
            .collect();
        let named = loader.config.modules.analytics.iter();
        let analytics = named
            .zip(analytics)
            .map(|(named, provider)| analytics::Target { id: named.id.clone(), provider })
            .collect();
        let records = loader.records().await?;
        let clock = loader.clock;
        let events = Events::new(events, clock.clone());
        let locking = Locking::new(locking, clock.clone());
        let notifications =
            Notifications::new(notifications, records, events.clone(), clock.clone());
        let analytics = Analytics::new(analytics, clock.clone());
        let cache = Cache::new(cache);
        let workflows = Workflows::new(workflows, events.clone(), clock.clone());
        Ok(Runtime(Arc::new(Inner {
            cache,
            events,
            locking,
            files,
            notifications,
            analytics,
            workflows,
            clock,
        })))
    }

    /// Does what [`Builder::build`] does without serving, and without reaching
    /// anything that is granted: providers take their options in an empty
    /// sandbox and are gone again.
    ///
    /// # Errors
    ///
    /// As for [`Builder::build`].
    pub async fn check(self) -> Result<Vec<(ModuleName, ProviderInfo)>, ConfigError> {
        let loader = Loader::new(self)?;
        let (cache, events, locking, workflows, files, notifications, analytics) = tokio::try_join!(
            loader.check::<stheno_engine::CacheModule>(ModuleName::Cache),
            loader.check::<stheno_engine::EventsModule>(ModuleName::Events),
            loader.check::<stheno_engine::LockingModule>(ModuleName::Locking),
            loader.check::<stheno_engine::WorkflowsModule>(ModuleName::Workflows),
            loader.check_all::<stheno_engine::FilesModule>(ModuleName::Files),
            loader.check_all::<stheno_engine::NotificationsModule>(ModuleName::Notifications),
            loader.check_all::<stheno_engine::AnalyticsModule>(ModuleName::Analytics),
        )?;
        let mut all = vec![
            (ModuleName::Cache, cache.into()),
            (ModuleName::Events, events.into()),
            (ModuleName::Locking, locking.into()),
            (ModuleName::Workflows, workflows.into()),
        ];
        all.extend(files.into_iter().map(|it| (ModuleName::Files, it.into())));
        all.extend(notifications.into_iter().map(|it| (ModuleName::Notifications, it.into())));
        all.extend(analytics.into_iter().map(|it| (ModuleName::Analytics, it.into())));
        Ok(all)
    }
}

/// Finds components and loads them; what goes wrong becomes an error about the
/// config.
struct Loader {
    engine: Engine,
    config: Config,
    clock: Clock,
}

impl Loader {
    fn new(Builder { config, clock }: Builder) -> Result<Self, ConfigError> {
        config.check_builtins(&stheno_builtins::names())?;
        let folder = config.runtime.compile_cache.folder(&process_env);
        let engine = Engine::new(folder.as_deref()).map_err(|error| {
            config.diagnose(
                Place::root(),
                format!("the WebAssembly engine does not start: {error:#}"),
                "Stheno needs a 64-bit processor that wasmtime supports, and may make a thread",
            )
        })?;
        Ok(Self { engine, config, clock })
    }

    /// The provider of a module that takes one.
    async fn load<M: Module>(&self, module: ModuleName) -> Result<Provider<M>, ConfigError> {
        self.load_at(Place::module(module), self.config.modules.get(module)).await
    }

    /// The providers of a module that takes several, in their order.
    async fn load_all<M: Module>(
        &self,
        module: ModuleName,
    ) -> Result<Vec<Provider<M>>, ConfigError> {
        let all = self.config.modules.all(module).into_iter();
        try_join_all(all.map(|(place, provider)| self.load_at(place, provider))).await
    }

    async fn load_at<M: Module>(
        &self,
        place: Place,
        provider: &ProviderConfig,
    ) -> Result<Provider<M>, ConfigError> {
        let (source, terms) = self.find(&place, provider).await?;
        self.engine.load(source, terms).await.map_err(|error| self.explain(place, &error))
    }

    /// Where notifications are recorded. It is opened last: whoever may not start
    /// for another reason leaves the file alone.
    async fn records(&self) -> Result<notifications::Kept, ConfigError> {
        let file = self.config.modules.notification_records.as_ref();
        notifications::Kept::open(file, self.clock.clone()).await.map_err(|error| {
            self.config.diagnose(
                Place::module(ModuleName::Notifications).key("records").key("path"),
                format!("the file of records cannot be used: {}", error.message()),
                "name a file that nobody else uses, in a folder that this process may write to",
            )
        })
    }

    async fn check<M: Module>(&self, module: ModuleName) -> Result<Description, ConfigError> {
        self.check_at::<M>(Place::module(module), self.config.modules.get(module)).await
    }

    async fn check_all<M: Module>(
        &self,
        module: ModuleName,
    ) -> Result<Vec<Description>, ConfigError> {
        let all = self.config.modules.all(module).into_iter();
        try_join_all(all.map(|(place, provider)| self.check_at::<M>(place, provider))).await
    }

    async fn check_at<M: Module>(
        &self,
        place: Place,
        provider: &ProviderConfig,
    ) -> Result<Description, ConfigError> {
        let (source, terms) = self.find(&place, provider).await?;
        self.engine.check::<M>(source, terms).await.map_err(|error| self.explain(place, &error))
    }

    /// `place` is that of the provider's table.
    async fn find(
        &self,
        place: &Place,
        provider: &ProviderConfig,
    ) -> Result<(Source, Terms), ConfigError> {
        let name = provider.resolve.to_string();
        let bytes = match &provider.resolve {
            Resolve::Builtin(builtin) => stheno_builtins::find(builtin.as_str())
                .map(Into::into)
                .ok_or_else(|| "this build of Stheno does not carry it".to_owned()),
            Resolve::File(path) => {
                tokio::fs::read(path).await.map(Into::into).map_err(|error| error.to_string())
            }
        };
        let bytes = bytes.map_err(|reason| {
            self.config.diagnose(
                place.clone().key("resolve"),
                format!("the component {name} cannot be read: {reason}"),
                format!(
                    "write the path of a component, relative to this file, or one of: {}",
                    stheno_builtins::names().join(", ")
                ),
            )
        })?;
        let terms = Terms {
            options: provider.options.clone(),
            grants: granted(provider),
            limits: provider.limits.clone(),
            clock: self.clock.clone(),
        };
        Ok((Source { name, bytes }, terms))
    }

    fn explain(&self, place: Place, error: &LoadError) -> ConfigError {
        let key = match error.aspect() {
            Aspect::Resolve => "resolve",
            Aspect::Grants => "grants",
            Aspect::Options => "options",
        };
        self.config.diagnose(place.key(key), error.to_string(), error.help())
    }
}
