//! What was denied at run time: counted in one place, and said in the log.
//!
//! A guest is told that something is `denied`; who could change that is the
//! operator, and no guest passes it on. So every capability counts here what it
//! denies, by its own rules and before anything leaves the host. A counter belongs to
//! the provider and one of its bindings: it outlives instances, and labels that a
//! guest makes up get none.
//!
//! Does not belong here: what a quota or a server refused. That passes, and is an
//! error of another kind or the server's own to count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stheno_config::StoreLabel;
use stheno_contracts::Error;

use crate::log::one_line;

/// Each of the first denials is a line of the log: while a provider is set up they
/// differ. Then only those whose number is a power of two.
const FIRST_LINES: u64 = 16;

/// All that was denied to one provider since it was loaded.
pub struct Denials {
    pub(crate) folders: Arc<Counter>,
    pub(crate) http: Arc<Counter>,
    pub(crate) objects: Arc<Counter>,
    pub(crate) redis: Arc<Counter>,
    pub(crate) sockets: Arc<Counter>,
    pub(crate) sql: Arc<Counter>,
    pub(crate) store: Arc<Counter>,
    bindings: Mutex<Vec<Arc<Counter>>>,
}

/// How often one capability denied something to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The capability, as it stands in `grants`.
    pub capability: &'static str,
    /// The label of the binding through which it was asked; none if the capability
    /// has no labels, or the label is not granted.
    pub binding: Option<String>,
    /// How often since the provider was loaded.
    pub count: u64,
    /// Why the last time, with what to write in the config where that could change it.
    pub last: String,
}

/// Counts for one provider and one binding, or for what goes through none.
pub(crate) struct Counter {
    provider: Arc<str>,
    capability: &'static str,
    binding: Option<StoreLabel>,
    count: AtomicU64,
    last: Mutex<String>,
}

impl Denials {
    /// Nothing yet, for the provider of this name.
    #[must_use]
    pub fn of(provider: &Arc<str>) -> Self {
        let counter = |capability| Counter::new(provider, capability, None);
        Self {
            folders: counter("folders"),
            http: counter("http"),
            objects: counter("objects"),
            redis: counter("redis"),
            sockets: counter("sockets"),
            sql: counter("sql"),
            store: counter("store"),
            bindings: Mutex::default(),
        }
    }

    pub(crate) fn provider(&self) -> &Arc<str> {
        &self.http.provider
    }

    /// A counter for a binding of its own.
    pub(crate) fn binding(&self, capability: &'static str, label: &StoreLabel) -> Arc<Counter> {
        let counter = Counter::new(self.provider(), capability, Some(label.clone()));
        let mut bindings = self.bindings.lock().unwrap_or_else(PoisonError::into_inner);
        bindings.push(Arc::clone(&counter));
        counter
    }

    /// What was denied, in the order of the capabilities and their bindings; empty if
    /// nothing was.
    #[must_use]
    pub fn all(&self) -> Vec<Denied> {
        let Self { folders, http, objects, redis, sockets, sql, store, bindings } = self;
        let mut all: Vec<_> = [folders, http, objects, redis, sockets, sql, store]
            .into_iter()
            .chain(&*bindings.lock().unwrap_or_else(PoisonError::into_inner))
            .filter(|counter| counter.count() > 0)
            .map(|counter| counter.denied())
            .collect();
        all.sort_by(|a, b| (a.capability, &a.binding).cmp(&(b.capability, &b.binding)));
        all
    }
}

impl Counter {
    fn new(
        provider: &Arc<str>,
        capability: &'static str,
        binding: Option<StoreLabel>,
    ) -> Arc<Self> {
        let (count, last) = (AtomicU64::new(0), Mutex::default());
        Arc::new(Self { provider: Arc::clone(provider), capability, binding, count, last })
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn denied(&self) -> Denied {
        Denied {
            capability: self.capability,
            binding: self.binding.as_ref().map(|label| label.as_str().to_owned()),
            count: self.count(),
            last: self.last.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Counts one, and says so in the log: the first ones, and then ever fewer.
    pub(crate) fn add(&self, why: &str) {
        let why = one_line(why);
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if count <= FIRST_LINES || count.is_power_of_two() {
            tracing::warn!(
                provider = &*self.provider,
                capability = self.capability,
                binding = self.binding.as_ref().map(StoreLabel::as_str),
                count,
                "denied: {why}"
            );
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Counts an answer if it is `denied`.
    pub(crate) fn told<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Denied(why)) = &answer {
            self.add(why);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_told_by_capability_and_binding_and_nothing_else_is_there() {
        let denials = Denials::of(&"test".into());
        let other = denials.binding("redis", &StoreLabel::new("other").unwrap());
        denials.binding("redis", &StoreLabel::new("default").unwrap());
        assert_eq!(denials.all(), []);
        denials.sockets.add("a");
        assert!(denials.redis.told::<()>(Err(Error::Denied("b\nc".into()))).is_err());
        assert!(other.told::<()>(Err(Error::Denied("c".into()))).is_err());
        assert!(other.told::<()>(Err(Error::Denied("d".into()))).is_err());
        assert!(other.told::<()>(Err(Error::Unavailable("e".into()))).is_err());
        assert!(other.told(Ok(())).is_ok());
        let all: Vec<_> = denials
            .all()
            .into_iter()
            .map(|it| (it.capability, it.binding, it.count, it.last))
            .collect();
        assert_eq!(
            all,
            [
                ("redis", None, 1, "b\\nc".to_owned()),
                ("redis", Some("other".to_owned()), 2, "d".to_owned()),
                ("sockets", None, 1, "a".to_owned()),
            ]
        );
    }
}
