//! The component under test.

use std::sync::Arc;
use std::time::Duration;

use stheno::ProviderInfo;
use stheno::config::{
    Config, ConfigError, FolderMode, Grants, ModuleName, Modules, ProviderConfig, Resolve,
    process_env,
};
use stheno_engine::{Engine, LoadError, Source};

use crate::trial::Trial;

/// A component, the module that it is tested as, and what the config gives it.
#[derive(Clone)]
pub struct Target {
    module: ModuleName,
    provider: ProviderConfig,
    /// What the operator wrote, with every module on its local provider.
    config: Config,
    imports: Vec<String>,
    /// Whether the config says what it is granted.
    granted: bool,
    info: ProviderInfo,
    pub(crate) elsewhere: Option<Elsewhere>,
}

/// Has time pass where a provider's time is not the host's.
pub(crate) type Elsewhere = Arc<dyn Fn(Duration) + Send + Sync>;

/// Why a component cannot be tested.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// WebAssembly cannot be run here.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// It is not a component.
    #[error(transparent)]
    Load(LoadError),
    /// It is a provider of nothing that there is a suite for.
    #[error("it exports no module that has a suite; it exports {0}")]
    NoModule(String),
    /// It is a provider of several modules.
    #[error("it is a provider of {0}; name one of them")]
    Several(String),
    /// It is not a provider of that module.
    #[error("it is no provider of {module}; it is one of {exported}")]
    OtherModule {
        /// What was asked for.
        module: ModuleName,
        /// What there is.
        exported: String,
    },
    /// It does not start.
    #[error(transparent)]
    Start(#[from] ConfigError),
    /// The suite itself has no place to work.
    #[error("{0}")]
    Suite(String),
}

impl Target {
    /// Looks at a component and starts it once, to learn what it says of itself.
    ///
    /// `resolve` and `source` are the same component, as the config names it and as
    /// bytes. `module` is needed where it is a provider of several. From `config` are
    /// taken the options, grants and limits of the provider of the module that
    /// has this `resolve`, or else of the first. Where nothing is granted there,
    /// each case grants what the component imports: an empty folder at
    /// `/MODULE`, an empty store `default`.
    ///
    /// # Errors
    ///
    /// See [`TargetError`].
    pub async fn find(
        resolve: Resolve,
        source: Source,
        module: Option<ModuleName>,
        config: Option<Config>,
    ) -> Result<Self, TargetError> {
        let mut config = config.unwrap_or_default();
        let cache = config.runtime.compile_cache.folder(&process_env);
        let engine = Engine::new(cache.as_deref())
            .map_err(|error| TargetError::Engine(format!("{error:#}")))?;
        let seen = engine.inspect(source).await.map_err(TargetError::Load)?;
        let exported: Vec<ModuleName> =
            seen.modules.iter().filter_map(|name| ModuleName::from_key(name)).collect();
        let module = chosen(module, &exported, &seen.exports)?;
        let mut provider = configured(&config, module, &resolve);
        provider.resolve = resolve;
        config.modules = Modules::default();
        // What a config grants by itself is the operator's own folder.
        let granted = !provider.grants.are_made_on_use() && provider.grants != Grants::default();
        let target = Self {
            module,
            provider,
            config,
            imports: seen.imports.into_iter().map(|import| import.name).collect(),
            granted,
            elsewhere: None,
            info: ProviderInfo {
                name: seen.file,
                version: String::new(),
                instances: "one",
                features: Vec::new(),
            },
        };
        target.described().await
    }

    /// For a provider that goes by the time of a server: `pass` is to move that on
    /// whenever a case moves on the clock of the host, and just before it. The server
    /// stands still otherwise, as that clock does.
    #[must_use]
    pub fn with_time_elsewhere(self, pass: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self { elsewhere: Some(Arc::new(pass)), ..self }
    }

    /// Starts it as each case will, since features may depend on what is granted.
    async fn described(self) -> Result<Self, TargetError> {
        let target = Arc::new(self);
        let trial = Trial::new(&target).map_err(|error| TargetError::Suite(error.into_detail()))?;
        let runtime = trial.start().await?;
        let status = runtime.status().await.into_iter().find(|it| it.module == target.module);
        // What it says at its stop is for a case to look at.
        let _ = runtime.shutdown().await;
        let described = Target::clone(&target);
        Ok(match status {
            Some(status) => Self { info: status.info, ..described },
            None => described,
        })
    }

    /// The module that it is tested as.
    #[must_use]
    pub fn module(&self) -> ModuleName {
        self.module
    }

    /// What it says of itself.
    #[must_use]
    pub fn info(&self) -> &ProviderInfo {
        &self.info
    }

    /// Whether it has this feature.
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        self.info.features.iter().any(|own| own == feature)
    }

    pub(crate) fn provider(&self) -> &ProviderConfig {
        &self.provider
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the suite grants what the component imports.
    pub(crate) fn grants_itself(&self) -> bool {
        !self.granted
    }

    pub(crate) fn imports(&self, interface: &str) -> bool {
        self.imports.iter().any(|import| import.starts_with(interface))
    }

    /// Whether there is a granted folder in which the suite can see what came
    /// through.
    pub(crate) fn is_seen(&self) -> bool {
        self.granted
            && self.provider.grants.folders().iter().any(|it| it.mode == FolderMode::ReadWrite)
    }
}

fn chosen(
    wanted: Option<ModuleName>,
    exported: &[ModuleName],
    exports: &[String],
) -> Result<ModuleName, TargetError> {
    let listed = || {
        let names: Vec<_> = exported.iter().map(|module| module.as_str()).collect();
        names.join(", ")
    };
    match (wanted, exported) {
        (_, []) => Err(TargetError::NoModule(match exports {
            [] => "nothing".to_owned(),
            exports => exports.join(", "),
        })),
        (Some(module), exported) if exported.contains(&module) => Ok(module),
        (Some(module), _) => Err(TargetError::OtherModule { module, exported: listed() }),
        (None, [module]) => Ok(*module),
        (None, _) => Err(TargetError::Several(listed())),
    }
}

fn configured(config: &Config, module: ModuleName, resolve: &Resolve) -> ProviderConfig {
    let all = config.modules.all(module);
    let named = all.iter().find(|(_, provider)| provider.resolve == *resolve);
    named.or(all.first()).map_or_else(
        || ProviderConfig::new(resolve.clone()),
        |(_, provider)| ProviderConfig::clone(provider),
    )
}
