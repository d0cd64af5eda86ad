//! Components that attack, and what becomes of them.
//!
//! The components are in `guests/`; each says in its documentation what the key
//! of a `get` makes it do. The suites in `tests/` load them through the engine
//! as an operator's provider is loaded, and look at what its neighbours notice.
//! This library is what those suites share: loading a guest and asking it.
//!
//! What a module promises to an app is tested in `tests/modules`, with
//! providers that mean well.

#![allow(clippy::expect_used, reason = "a test that cannot begin says so and ends")]

use serde_json::{Map, Value};
use stheno::Denied;
pub use stheno::{Error, ErrorKind};
use stheno_config::{
    Bucket, Grants, Limits, ObjectsCredentials, ObjectsEndpoint, ObjectsGrant, ObjectsKeys,
    ObjectsPrefix, Secret, StoreLabel,
};
use stheno_contracts::cache::Entry;
use stheno_engine::{CacheModule, Clock, Engine, LoadError, Provider, Source, Terms};
use stheno_test_support::ObjectServer;

/// A cache provider of the suites.
pub type Guest = Provider<CacheModule>;

/// An engine with the compile cache that all suites share; `tmpdir` is
/// `env!("CARGO_TARGET_TMPDIR")`.
///
/// # Panics
///
/// When wasmtime does not run here.
#[must_use]
pub fn engine(tmpdir: &str) -> Engine {
    let folder = stheno_test_support::compile_cache(tmpdir);
    Engine::new(Some(&folder)).expect("wasmtime runs here")
}

/// Terms with these limits and nothing else.
#[must_use]
pub fn terms(limits: Limits) -> Terms {
    Terms { options: Map::new(), grants: Grants::default(), limits, clock: Clock::system() }
}

/// Terms with one option.
#[must_use]
pub fn with_option(key: &str, value: &str) -> Terms {
    let mut terms = terms(Limits::default());
    terms.options.insert(key.to_owned(), Value::String(value.to_owned()));
    terms
}

/// Grants what stands below `own/` in the bucket `shop` of this server, as changed.
///
/// # Panics
///
/// When the URL is none.
pub fn grant_objects(terms: &mut Terms, url: &str, change: impl FnOnce(&mut ObjectsGrant)) {
    let keys = ObjectsCredentials::Keys(ObjectsKeys {
        access_key_id: Secret::new(ObjectServer::ACCESS_KEY),
        secret_access_key: Secret::new(ObjectServer::SECRET_KEY),
        session_token: None,
    });
    let bucket = Bucket::new("shop").expect("a bucket");
    let prefix = ObjectsPrefix::new("own/").expect("a prefix");
    let mut grant = ObjectsGrant::new(bucket, prefix, keys);
    grant.endpoint = Some(ObjectsEndpoint::new(url).expect("the URL of a server"));
    grant.path_style = true;
    change(&mut grant);
    terms.grants.add_objects(StoreLabel::new("default").expect("a label"), grant);
}

/// A guest of `guests/` as a source.
#[must_use]
pub fn source(guest: &str) -> Source {
    Source { name: guest.to_owned(), bytes: stheno_test_support::guest_bytes(guest).into() }
}

/// Loads a guest that is expected to load.
///
/// # Panics
///
/// When it does not.
pub async fn load(engine: &Engine, guest: &str, limits: Limits) -> Guest {
    try_load(engine, guest, terms(limits)).await.expect("the guest loads")
}

/// Loads a guest.
///
/// # Errors
///
/// As for [`Engine::load`].
pub async fn try_load(engine: &Engine, guest: &str, terms: Terms) -> Result<Guest, LoadError> {
    engine.load(source(guest), terms).await
}

/// One `get` of these keys. Answers that are not text are shown as such.
///
/// # Errors
///
/// What the provider answered, or what kept it from answering.
pub async fn ask_all(guest: &Guest, keys: &[&str]) -> Result<Vec<Option<String>>, Error> {
    let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
    let values = guest
        .call(move |guest| Box::pin(async move { guest.module.call_get(guest.store, &keys).await }))
        .await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(values.into_iter().map(|value| value.map(text)).collect())
}

/// One `get` of one key: the answer's text, empty for a miss.
///
/// # Errors
///
/// As for [`ask_all`].
pub async fn ask(guest: &Guest, key: &str) -> Result<String, Error> {
    Ok(ask_all(guest, &[key]).await?.pop().flatten().unwrap_or_default())
}

/// How often a capability denied something to a guest, through whatever binding.
#[must_use]
pub fn denied(guest: &Guest, capability: &str) -> u64 {
    let of_it = |denied: &Denied| denied.capability == capability;
    guest.denials().into_iter().filter(of_it).map(|denied| denied.count).sum()
}

/// One `set` of one entry.
///
/// # Errors
///
/// As for [`ask_all`].
pub async fn store(guest: &Guest, key: &str, value: &str) -> Result<(), Error> {
    let entries = vec![Entry {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        ttl_ms: None,
        tags: Vec::new(),
    }];
    let stored = guest.call(move |guest| {
        Box::pin(async move { guest.module.call_set(guest.store, &entries).await })
    });
    Ok(stored.await?)
}
