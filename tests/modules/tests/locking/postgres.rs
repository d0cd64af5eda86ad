//! What is particular to locks that are in a PostgreSQL database.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use stheno::config::{ProviderConfig, SqlGrant, SqlName, SqlUrl, StoreLabel};
use stheno_test_support::PostgresServer;

/// The server that all tests share that do not stop it. Its clock is in the hand of
/// the tests.
fn shared() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = PostgresServer::with(&["max_connections=400"]);
        server.take_clock();
        server
    })
}

/// A schema that nobody else uses, with a clock that stands still.
#[derive(Clone)]
pub(crate) struct Schema(String);

impl Schema {
    pub(crate) fn own() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("shop{}", NEXT.fetch_add(1, Ordering::Relaxed));
        shared().make_schema(&name);
        shared().pass(&name, 0);
        Self(name)
    }

    pub(crate) fn grant_to(&self, provider: &mut ProviderConfig) {
        provider.grants.add_sql(StoreLabel::new("default").unwrap(), grant(shared(), &self.0));
    }

    pub(crate) fn pass(&self, millis: u64) {
        shared().pass(&self.0, millis);
    }
}

/// The least that serves.
fn grant(server: &PostgresServer, schema: &str) -> SqlGrant {
    let url = SqlUrl::new(&format!("{}?sslmode=disable", server.url_of(schema))).unwrap();
    SqlGrant::new(url, SqlName::new(schema).unwrap())
}
