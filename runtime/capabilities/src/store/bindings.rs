//! Which stores a provider was granted, and the one open file behind each.
//!
//! A file is opened when the provider first asks and closed when its last
//! instance is gone: a stopped provider holds no file, though its name and its
//! grants are still known. All instances of a provider share the open file;
//! nobody else can have it, since whoever opens it locks it, in this process and
//! against others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use stheno_config::{Grants, StoreLabel};
use stheno_contracts::Error;
use tokio::sync::Mutex;

use super::file::{Opened, blocking};
use crate::explain::no_binding;

/// The stores of one provider.
pub struct Stores(BTreeMap<StoreLabel, Binding>);

struct Binding {
    place: Place,
    max_size: u64,
    /// Held across the opening, so that two instances open once.
    open: Mutex<Weak<Opened>>,
}

/// Where a store is kept.
#[derive(Clone)]
pub(crate) enum Place {
    /// A file, which is made if there is none.
    File(PathBuf),
    /// Nowhere: empty, and gone with whoever opened it.
    Memory,
}

impl Stores {
    /// What was granted, in the files that were granted.
    #[must_use]
    pub fn granted_by(grants: &Grants) -> Self {
        Self::new(grants, |path| Place::File(path.clone()))
    }

    /// What was granted, but empty and in memory: for a provider that is only
    /// looked at. No file is touched.
    #[must_use]
    pub fn in_memory(grants: &Grants) -> Self {
        Self::new(grants, |_| Place::Memory)
    }

    fn new(grants: &Grants, place: impl Fn(&PathBuf) -> Place) -> Self {
        let binding = |(label, grant): (&StoreLabel, &stheno_config::StoreGrant)| {
            let binding = Binding {
                place: place(&grant.path),
                max_size: grant.max_size.get().as_u64(),
                open: Mutex::new(Weak::new()),
            };
            (label.clone(), binding)
        };
        Self(grants.stores().iter().map(binding).collect())
    }

    /// Whether a store has this label.
    pub(crate) fn granted(&self, label: &str) -> bool {
        self.0.contains_key(label)
    }

    /// The open store with this label.
    pub(crate) async fn open(&self, label: &str) -> Result<Arc<Opened>, Error> {
        let Some(binding) = self.0.get(label) else {
            return Err(Error::Denied(denied(label)));
        };
        let mut open = binding.open.lock().await;
        // One whose file has failed is left to those who still hold it.
        if let Some(opened) = open.upgrade().filter(|opened| !opened.has_failed()) {
            return Ok(opened);
        }
        let (place, max_size) = (binding.place.clone(), binding.max_size);
        let opened = Arc::new(blocking(move || Opened::open(&place, max_size)).await?);
        *open = Arc::downgrade(&opened);
        Ok(opened)
    }
}

pub(super) fn denied(label: &str) -> String {
    no_binding("store", label, |label| {
        format!("grants.store.{label} = {{ path = \"./data/store.redb\", max_size = \"1GiB\" }}")
    })
}
