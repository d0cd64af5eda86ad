//! What one case has to itself: a clock, grants and names.

use std::sync::Arc;
use std::time::Duration;

use stheno::config::{
    ByteSize, ConfigError, FolderGrant, FolderMode, Grants, GuestPath, ProviderConfig, StoreGrant,
    StoreLabel, StoreSize,
};
use stheno::{Clock, ManualClock, Runtime};
use tempfile::TempDir;

use crate::check::Fault;
use crate::target::Target;

/// How large a store is that the suite grants.
const STORE: ByteSize = ByteSize::gib(1);

/// One case's hold on the provider under test.
pub(crate) struct Trial {
    target: Arc<Target>,
    provider: ProviderConfig,
    time: Clock,
    hand: ManualClock,
    own: String,
    /// What was granted, where the suite grants it. Removed with the case.
    _grounds: TempDir,
}

impl Trial {
    /// Fresh grants, unless the config has some, and a clock that stands still.
    pub(crate) fn new(target: &Arc<Target>) -> Result<Self, Fault> {
        let grounds = tempfile::Builder::new().prefix("stheno-test-").tempdir()?;
        let mut provider = target.provider().clone();
        if target.grants_itself() {
            provider.grants = grants(target, &grounds)?;
        }
        let (time, hand) = Clock::manual();
        let id = uuid::Uuid::new_v4().simple().to_string();
        let own = id.get(..12).unwrap_or(&id).to_owned();
        Ok(Self { target: Arc::clone(target), provider, time, hand, own, _grounds: grounds })
    }

    /// A runtime in which the provider under test serves its module, and the
    /// local ones serve the others.
    pub(crate) async fn start(&self) -> Result<Runtime, ConfigError> {
        self.start_as(self.provider.clone()).await
    }

    /// The same with another config of the provider.
    pub(crate) async fn start_as(&self, provider: ProviderConfig) -> Result<Runtime, ConfigError> {
        let config = self.target.config().clone();
        let builder = Runtime::builder().config(config).clock(self.time.clone());
        builder.provider(self.target.module(), provider).build().await
    }

    pub(crate) fn provider(&self) -> &ProviderConfig {
        &self.provider
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn pass(&self, millis: u64) {
        let time = Duration::from_millis(millis);
        if let Some(elsewhere) = &self.target.elsewhere {
            elsewhere(time);
        }
        self.hand.advance(time);
    }

    pub(crate) fn own(&self, name: &str) -> String {
        format!("{}.{name}", self.own)
    }
}

/// What the component imports, with nothing in it.
fn grants(target: &Target, grounds: &TempDir) -> Result<Grants, Fault> {
    let mut grants = Grants::default();
    let wrong = |error: &dyn std::fmt::Display| Fault::new(error.to_string());
    if target.imports("stheno:folders/") {
        let host = grounds.path().join("folder");
        std::fs::create_dir(&host)?;
        let guest = GuestPath::new(&format!("/{}", target.module())).map_err(|e| wrong(&e))?;
        let mode = FolderMode::ReadWrite;
        grants.add_folder(FolderGrant { host, guest, mode }).map_err(|e| wrong(&e))?;
    }
    if target.imports("stheno:store/") {
        let label = StoreLabel::new("default").map_err(|e| wrong(&e))?;
        let max_size = StoreSize::new(STORE).map_err(|e| wrong(&e))?;
        grants.add_store(label, StoreGrant { path: grounds.path().join("store.redb"), max_size });
    }
    Ok(grants)
}
