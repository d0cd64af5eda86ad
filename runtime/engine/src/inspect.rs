//! What a component is, without letting it do anything.

use serde::Serialize;
use stheno_capabilities::{Clock, Verdict, audit};
use stheno_config::{Grants, Limits};
use stheno_contracts::base::lifecycle;
use wasmtime::component::Component;

use crate::Engine;
use crate::instance::Blueprint;
use crate::load::{LoadError, Source, bare, describe};
use crate::module::{
    AnalyticsModule, CacheModule, EventsModule, FilesModule, LockingModule, Module,
    NotificationsModule, WorkflowsModule,
};

/// What [`Engine::inspect`] finds out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// What the source is called.
    pub file: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// The modules that it can be a provider of.
    pub modules: Vec<&'static str>,
    /// What it says of itself, if it could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderInfo>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// What it imports, and what that needs.
    pub imports: Vec<Import>,
    /// The config lines without which it is not loaded.
    pub grants_needed: Vec<&'static str>,
    /// The config lines that it can use and can do without.
    pub grants_optional: Vec<&'static str>,
}

/// What a provider says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `one` or `many`.
    pub instances: &'static str,
    /// The optional features that it has.
    pub features: Vec<String>,
}

impl From<lifecycle::Description> for ProviderInfo {
    fn from(description: lifecycle::Description) -> Self {
        Self {
            name: description.name,
            version: description.version,
            instances: match description.instances {
                lifecycle::Instances::Many => "many",
                lifecycle::Instances::One => "one",
            },
            features: description.features,
        }
    }
}

/// One import of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Import {
    /// The interface.
    pub name: String,
    /// The capability that serves it; none if this version has none.
    pub capability: Option<&'static str>,
    /// The config line that it needs, if it needs one.
    pub grant: Option<&'static str>,
    /// The config line with which it gives something, if it can do without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional_grant: Option<&'static str>,
}

pub(crate) fn export_names(engine: &wasmtime::Engine, component: &Component) -> Vec<String> {
    component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// Each line once.
fn lines(all: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    all.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// The interface of each module, as exported, and its name.
const MODULES: &[(&str, &str)] = &[
    ("cache", CacheModule::INTERFACE),
    ("events", EventsModule::INTERFACE),
    ("locking", LockingModule::INTERFACE),
    ("files", FilesModule::INTERFACE),
    ("workflows", WorkflowsModule::INTERFACE),
    ("notifications", NotificationsModule::INTERFACE),
    ("analytics", AnalyticsModule::INTERFACE),
];

impl Engine {
    /// Says what a component exports, imports and would need granted. Its code
    /// is run only to ask for its description, in a sandbox without grants.
    ///
    /// # Errors
    ///
    /// When it is not a component.
    pub async fn inspect(&self, source: Source) -> Result<Inspection, LoadError> {
        let (file, bytes) = (source.name.clone(), source.bytes.len());
        let sha256 = hex::encode(crate::compiled::digest(&source.bytes));
        let component = self.compile(source.clone()).await?;
        let exports = export_names(self.wasmtime(), &component);
        let nothing = Grants::default();
        let imports: Vec<Import> = component
            .component_type()
            .imports(self.wasmtime())
            .map(|(name, _)| {
                let (capability, grant, optional_grant) = match audit(name, &nothing) {
                    Verdict::Allowed { capability } => (Some(capability), None, None),
                    Verdict::NeedsGrant { capability, line } => {
                        (Some(capability), Some(line), None)
                    }
                    Verdict::Optional { capability, line } => (Some(capability), None, Some(line)),
                    Verdict::Unknown => (None, None, None),
                };
                Import { name: name.to_owned(), capability, grant, optional_grant }
            })
            .collect();
        let grants_needed = lines(imports.iter().filter_map(|import| import.grant));
        let grants_optional = lines(imports.iter().filter_map(|import| import.optional_grant));
        let modules = MODULES
            .iter()
            .filter(|(_, interface)| exports.iter().any(|export| bare(export) == *interface))
            .map(|(module, _)| *module)
            .collect();
        let provider = self.describe_unstarted(&file, &component).await;
        Ok(Inspection {
            file,
            bytes,
            sha256,
            modules,
            provider: provider.map(ProviderInfo::from),
            exports,
            imports,
            grants_needed,
            grants_optional,
        })
    }

    /// Asks a component for its description, whatever module it is of. None
    /// where it cannot be asked.
    async fn describe_unstarted(
        &self,
        name: &str,
        component: &Component,
    ) -> Option<lifecycle::Description> {
        let component = self.linker().instantiate_pre(component).ok()?;
        let lifecycle = lifecycle::GuestIndices::new(&component).ok()?;
        let limits = Limits::default();
        let shared =
            stheno_capabilities::Shared::new(name, Grants::default(), &limits, Clock::system());
        let blueprint = Blueprint::<Nothing> {
            component,
            module: (),
            lifecycle,
            shared,
            limits,
            options: "{}".into(),
        };
        describe(&blueprint).await.ok()
    }
}

/// A component of which only the lifecycle is used.
struct Nothing;

impl Module for Nothing {
    const INTERFACE: &'static str = "";
    const WORLD: &'static str = "stheno:worlds/base";
    type Indices = ();
    type Functions = ();

    fn indices(
        _: &wasmtime::component::InstancePre<crate::instance::Slot>,
    ) -> wasmtime::Result<()> {
        Ok(())
    }

    fn functions(
        (): &(),
        _: &mut wasmtime::Store<crate::instance::Slot>,
        _: &wasmtime::component::Instance,
    ) -> wasmtime::Result<()> {
        Ok(())
    }
}
