//! From bytes to a provider that answers.
//!
//! The order matters: what the component imports is held against the grants
//! before any of its code runs; its exports are held against the contract
//! before it is instantiated; and one instance takes the options before the
//! provider counts as loaded, so that what cannot work fails at the start.

use std::borrow::Cow;
use std::sync::Arc;

use stheno_capabilities::{Clock, Shared, Verdict, audit};
use stheno_config::{Grants, Limits};
use stheno_contracts::Error;
use stheno_contracts::base::lifecycle;
use wasmtime::component::Component;

use crate::Engine;
use crate::inspect::export_names;
use crate::instance::{Blueprint, Dead};
use crate::module::Module;
use crate::provider::Provider;

/// A component as it was found.
#[derive(Clone)]
pub struct Source {
    /// What to call it in messages: `cache-memory`, `./my.wasm`.
    pub name: String,
    /// The component, binary.
    pub bytes: Cow<'static, [u8]>,
}

/// What the operator decided about a provider.
#[derive(Clone)]
pub struct Terms {
    /// What the provider's `start` gets.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// What it may reach.
    pub grants: Grants,
    /// What it may use.
    pub limits: Limits,
    /// The clock that it sees.
    pub clock: Clock,
}

/// Why a component does not become a provider.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are no component.
    #[error("{name} is not a WebAssembly component: {reason}")]
    NotAComponent {
        /// What the source is called.
        name: String,
        /// What is wrong with the bytes.
        reason: String,
    },
    /// An import needs a grant that is not there.
    #[error("{name} imports {import}, which is not granted")]
    MissingGrant {
        /// What the source is called.
        name: String,
        /// The import.
        import: String,
        /// The config line that grants it, with example values.
        line: &'static str,
    },
    /// An import that this version does not serve.
    #[error("{name} imports {import}, which this version of Stheno does not have")]
    UnknownImport {
        /// What the source is called.
        name: String,
        /// The import.
        import: String,
    },
    /// The component is a provider of something else.
    #[error("{name} is not a provider of this module: it does not export {missing}")]
    WrongWorld {
        /// What the source is called.
        name: String,
        /// The interface that is missing.
        missing: &'static str,
        /// The world it should be built for.
        world: &'static str,
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// An interface has the right name and other types.
    #[error("{name} was built against another version of the contract: {reason}")]
    Incompatible {
        /// What the source is called.
        name: String,
        /// The difference.
        reason: String,
    },
    /// The provider refused its options.
    #[error("{name} refuses its options: {reason}")]
    Options {
        /// What the source is called.
        name: String,
        /// What the provider said.
        reason: String,
    },
    /// The provider could not start for another reason.
    #[error("{name} did not start: {}", .error.message())]
    Start {
        /// What the source is called.
        name: String,
        /// What it said, or what became of it.
        error: Error,
    },
}

/// Which part of a provider's config a [`LoadError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// The component itself: `resolve`.
    Resolve,
    /// `grants`.
    Grants,
    /// `options`.
    Options,
}

impl LoadError {
    /// Which part of the config to look at.
    #[must_use]
    pub fn aspect(&self) -> Aspect {
        match self {
            Self::MissingGrant { .. } => Aspect::Grants,
            Self::Options { .. } => Aspect::Options,
            _ => Aspect::Resolve,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::NotAComponent { .. } => "build it for the target wasm32-wasip2, or make a \
                component of a core module with `wasm-tools component new`"
                .into(),
            Self::MissingGrant { line, .. } => {
                format!("if the provider may have it, add this line below its module: {line}")
            }
            Self::UnknownImport { .. } => {
                "`stheno inspect FILE` lists what a component imports and what can be granted"
                    .into()
            }
            Self::WrongWorld { world, exports, .. } => format!(
                "build it for the world {world}; it exports {}",
                if exports.is_empty() { "nothing".into() } else { exports.join(", ") }
            ),
            Self::Incompatible { .. } => {
                "build it against the `wit` folder of this version of Stheno".into()
            }
            Self::Options { .. } => "correct `options`; the provider's README lists them".into(),
            Self::Start { .. } => "the lines above are what the provider logged".into(),
        }
    }
}

impl Engine {
    /// Loads a provider of module `M` and starts its first instance.
    ///
    /// # Errors
    ///
    /// When the component may not, or cannot, be that provider; see
    /// [`LoadError`].
    pub async fn load<M: Module>(
        &self,
        source: Source,
        terms: Terms,
    ) -> Result<Provider<M>, LoadError> {
        let name = source.name.clone();
        let shared = Shared::new(&name, terms.grants.clone(), &terms.limits, terms.clock.clone());
        let blueprint = self.blueprint::<M>(source, &terms, shared).await?;
        let description = describe(&blueprint).await?;
        let first = blueprint.start().await.map_err(|Dead(error)| refused(&name, error))?;
        tracing::debug!(provider = name, version = description.version, "loaded");
        Ok(Provider::new(blueprint, description, first))
    }

    /// Does everything that [`Engine::load`] does, without what was granted:
    /// the provider takes its options in a sandbox from which nothing can be
    /// reached, so that nothing happens. A granted store is an empty one there.
    ///
    /// # Errors
    ///
    /// As for [`Engine::load`]. A provider that has grants may fail to start
    /// because it cannot reach them here; that is not an error.
    pub async fn check<M: Module>(
        &self,
        source: Source,
        terms: Terms,
    ) -> Result<lifecycle::Description, LoadError> {
        let name = source.name.clone();
        let reaches_out = terms.grants != Grants::default();
        let shared = Shared::sandbox(&name, &terms.grants, &terms.limits, terms.clock.clone());
        let blueprint = self.blueprint::<M>(source, &terms, shared).await?;
        let description = describe(&blueprint).await?;
        match blueprint.start().await.map_err(|Dead(error)| refused(&name, error)) {
            Err(error @ LoadError::Options { .. }) => Err(error),
            Err(error) if !reaches_out => Err(error),
            Ok(_) | Err(_) => Ok(description),
        }
    }

    async fn blueprint<M: Module>(
        &self,
        source: Source,
        terms: &Terms,
        shared: Arc<Shared>,
    ) -> Result<Blueprint<M>, LoadError> {
        let name = source.name.clone();
        let component = self.compile(source).await?;
        self.audit(&name, &component, &terms.grants)?;
        let exports = export_names(self.wasmtime(), &component);
        for interface in [M::INTERFACE, "stheno:provider/lifecycle"] {
            if !exports.iter().any(|export| bare(export) == interface) {
                return Err(LoadError::WrongWorld {
                    name,
                    missing: interface,
                    world: M::WORLD,
                    exports,
                });
            }
        }
        let incompatible = |reason: wasmtime::Error| LoadError::Incompatible {
            name: name.clone(),
            reason: format!("{reason:#}"),
        };
        let component = self.linker().instantiate_pre(&component).map_err(incompatible)?;
        let module = M::indices(&component).map_err(incompatible)?;
        let lifecycle = lifecycle::GuestIndices::new(&component).map_err(incompatible)?;
        Ok(Blueprint {
            component,
            module,
            lifecycle,
            shared,
            limits: terms.limits.clone(),
            options: serde_json::Value::Object(terms.options.clone()).to_string(),
        })
    }

    /// Holds each import against the grants.
    fn audit(&self, name: &str, component: &Component, grants: &Grants) -> Result<(), LoadError> {
        for (import, _) in component.component_type().imports(self.wasmtime()) {
            match audit(import, grants) {
                Verdict::Allowed { .. } | Verdict::Optional { .. } => {}
                Verdict::NeedsGrant { line, .. } => {
                    return Err(LoadError::MissingGrant {
                        name: name.into(),
                        import: import.into(),
                        line,
                    });
                }
                Verdict::Unknown => {
                    return Err(LoadError::UnknownImport {
                        name: name.into(),
                        import: import.into(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Asks an instance of its own what the provider is, since `describe` comes
/// before `start`.
pub(crate) async fn describe<M: Module>(
    blueprint: &Blueprint<M>,
) -> Result<lifecycle::Description, LoadError> {
    let name = &blueprint.shared.name;
    let described = async {
        let mut instance = blueprint.instantiate().await?;
        instance
            .call(blueprint, |guest| {
                Box::pin(async move { guest.lifecycle.call_describe(guest.store).await.map(Ok) })
            })
            .await?
            .map_err(Dead)
    };
    described.await.map_err(|Dead(error)| LoadError::Start { name: name.to_string(), error })
}

fn refused(name: &str, error: Error) -> LoadError {
    match error {
        Error::InvalidArgument(reason) => LoadError::Options { name: name.into(), reason },
        error => LoadError::Start { name: name.into(), error },
    }
}

/// An interface's name without its version.
pub(crate) fn bare(name: &str) -> &str {
    name.split_once('@').map_or(name, |(bare, _)| bare)
}

/// Compiled code, from the cache where it can be.
impl Engine {
    pub(crate) async fn compile(&self, source: Source) -> Result<Component, LoadError> {
        let engine = self.clone();
        let name = source.name.clone();
        let compiled = tokio::task::spawn_blocking(move || engine.compile_blocking(&source));
        match compiled.await {
            Ok(compiled) => compiled,
            Err(stopped) => Err(LoadError::Start {
                name,
                error: Error::Unavailable(format!("the host is stopping: {stopped}")),
            }),
        }
    }

    fn compile_blocking(&self, source: &Source) -> Result<Component, LoadError> {
        let not_a_component =
            |reason: String| LoadError::NotAComponent { name: source.name.clone(), reason };
        match source.bytes.as_ref() {
            [] => return Err(not_a_component("it is empty".into())),
            // The layer field of the binary format tells a core module from a
            // component.
            [0, b'a', b's', b'm', _, _, 0, 0, ..] => {
                return Err(not_a_component("it is a core module".into()));
            }
            [0, b'a', b's', b'm', ..] => {}
            _ => return Err(not_a_component("it does not begin as WebAssembly does".into())),
        }
        let digest = crate::compiled::digest(&source.bytes);
        let cache = self.compile_cache();
        if let Some(component) = cache.and_then(|cache| cache.load(self.wasmtime(), &digest)) {
            return Ok(component);
        }
        let kib = source.bytes.len() / 1024;
        tracing::info!(component = source.name, kib, "compiling; the next start will not have to");
        let component = Component::from_binary(self.wasmtime(), &source.bytes)
            .map_err(|reason| not_a_component(format!("{reason:#}")))?;
        if let Some(cache) = cache {
            cache.store(&digest, &component);
        }
        Ok(component)
    }
}
