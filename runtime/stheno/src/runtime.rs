//! Starting and stopping.

use std::path::Path;
use std::sync::Arc;

use stheno_config::{Config, ConfigError, ModuleName, Place, ProviderConfig, Resolve, process_env};
use stheno_contracts::base::lifecycle::Description;
use stheno_engine::{
    Aspect, Clock, Engine, LoadError, Module, Provider, ProviderInfo, Source, Terms,
};

use crate::files::{Files, LinkKeys};
use crate::{Cache, Error, Events};

/// All modules, each served by its provider.
///
/// Cheap to clone. Stop it with [`Runtime::shutdown`]; if it is dropped instead,
/// subscribers stop taking events and nothing is waited for.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

struct Inner {
    cache: Cache,
    events: Events,
    files: Files,
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
    /// What the config calls it.
    pub provider: String,
    /// What it says of itself.
    pub info: ProviderInfo,
    /// What it answered when it was asked whether it can serve.
    pub health: Result<(), Error>,
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

    /// The files.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.0.files
    }

    /// The clock that providers see.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Asks every provider whether it can serve.
    pub async fn status(&self) -> Vec<ProviderStatus> {
        let (cache, events, files) = tokio::join!(
            status(ModuleName::Cache, self.0.cache.provider()),
            status(ModuleName::Events, self.0.events.provider()),
            status(ModuleName::Files, self.0.files.provider()),
        );
        vec![cache, events, files]
    }

    /// Stops: from now on nothing is accepted from outside, subscribers end the
    /// events that they have begun, accepted calls end, and every provider writes
    /// out what it holds. Calls that come later are `unavailable`.
    ///
    /// Events in a provider that does not keep them (one without the feature
    /// `durable`) are handled first, if they are due and have a subscriber here,
    /// with all that its handlers publish; for at most 30 seconds. What is due
    /// later is gone with the provider, and the log says how much that is.
    ///
    /// # Errors
    ///
    /// The first that a provider's own `stop` gave; the others are logged.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.0.events.drain().await;
        let (cache, events, files) = tokio::join!(
            self.0.cache.provider().stop(),
            self.0.events.provider().stop(),
            self.0.files.provider().stop(),
        );
        let mut result = Ok(());
        for (module, stopped) in
            [(ModuleName::Cache, cache), (ModuleName::Events, events), (ModuleName::Files, files)]
        {
            if let Err(error) = stopped {
                let error = Error::from(error);
                tracing::error!(%module, %error, "the provider did not stop cleanly");
                result = result.and(Err(error));
            }
        }
        result
    }
}

async fn status<M: Module>(module: ModuleName, provider: &Provider<M>) -> ProviderStatus {
    ProviderStatus {
        module,
        provider: provider.name().to_owned(),
        info: provider.description().clone().into(),
        health: provider.health().await.map_err(Error::from),
    }
}

impl Builder {
    /// Starts from this config.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Has `provider` serve `module`.
    pub fn provider(mut self, module: ModuleName, provider: ProviderConfig) -> Self {
        *self.config.modules.get_mut(module) = provider;
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
        let (cache, events, files) = tokio::try_join!(
            loader.load(ModuleName::Cache),
            loader.load(ModuleName::Events),
            loader.load(ModuleName::Files),
        )?;
        let clock = loader.clock;
        let events = Events::new(events, clock.clone());
        let files = Files::new(files, keys, clock.clone());
        Ok(Runtime(Arc::new(Inner { cache: Cache::new(cache), events, files, clock })))
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
        let (cache, events, files) = tokio::try_join!(
            loader.check::<stheno_engine::CacheModule>(ModuleName::Cache),
            loader.check::<stheno_engine::EventsModule>(ModuleName::Events),
            loader.check::<stheno_engine::FilesModule>(ModuleName::Files),
        )?;
        Ok(vec![
            (ModuleName::Cache, cache.into()),
            (ModuleName::Events, events.into()),
            (ModuleName::Files, files.into()),
        ])
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

    async fn load<M: Module>(&self, module: ModuleName) -> Result<Provider<M>, ConfigError> {
        let (source, terms) = self.find(module).await?;
        self.engine.load(source, terms).await.map_err(|error| self.explain(module, &error))
    }

    async fn check<M: Module>(&self, module: ModuleName) -> Result<Description, ConfigError> {
        let (source, terms) = self.find(module).await?;
        self.engine.check::<M>(source, terms).await.map_err(|error| self.explain(module, &error))
    }

    async fn find(&self, module: ModuleName) -> Result<(Source, Terms), ConfigError> {
        let provider = self.config.modules.get(module);
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
                Place::resolve(module),
                format!("the component {name} cannot be read: {reason}"),
                format!(
                    "write the path of a component, relative to this file, or one of: {}",
                    stheno_builtins::names().join(", ")
                ),
            )
        })?;
        let terms = Terms {
            options: provider.options.clone(),
            grants: provider.grants.clone(),
            limits: provider.limits.clone(),
            clock: self.clock.clone(),
        };
        Ok((Source { name, bytes }, terms))
    }

    fn explain(&self, module: ModuleName, error: &LoadError) -> ConfigError {
        let place = match error.aspect() {
            Aspect::Resolve => Place::resolve(module),
            Aspect::Grants => Place::grants(module),
            Aspect::Options => Place::options(module),
        };
        self.config.diagnose(place, error.to_string(), error.help())
    }
}
