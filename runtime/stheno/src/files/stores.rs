//! The file stores of a runtime, by their ids.

use std::sync::Arc;

use stheno_config::ProviderId;
use stheno_engine::{Clock, FilesModule, Provider};

use super::links::Links;
use super::{Files, Inner, LinkKeys};
use crate::Error;

/// A store, and what the config calls it.
pub(crate) struct Target {
    pub(crate) id: ProviderId,
    pub(crate) provider: Provider<FilesModule>,
}

/// All stores, in the order of the config.
pub(crate) struct Stores {
    default: Files,
    all: Vec<Files>,
}

impl Stores {
    /// `default` says which store calls go to that name none. There must be one.
    pub(crate) fn new(
        targets: Vec<Target>,
        default: &ProviderId,
        keys: LinkKeys,
        clock: Clock,
    ) -> Option<Self> {
        let links = Arc::new(Links::new(keys, clock));
        let store = |Target { id, provider }: Target| {
            let is_default = id == *default;
            Files(Arc::new(Inner { id, is_default, provider, links: Arc::clone(&links) }))
        };
        let all: Vec<_> = targets.into_iter().map(store).collect();
        let default = all.iter().find(|files| files.0.is_default)?.clone();
        Some(Self { default, all })
    }

    /// The one that calls go to which name none.
    pub(crate) fn default_store(&self) -> &Files {
        &self.default
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Files> {
        self.all.iter()
    }

    /// The one with this id. Whoever names one that is not there has made a
    /// mistake: it is not `not-found`, which would seem to say that there is no
    /// such file.
    pub(crate) fn get(&self, id: &str) -> Result<&Files, Error> {
        self.all.iter().find(|files| files.id() == id).ok_or_else(|| {
            let known: Vec<_> = self.all.iter().map(Files::id).collect();
            Error::invalid(format!("store: there is none {id:?}; there are: {}", known.join(", ")))
        })
    }
}
