//! `locking-postgres` behind the embed API, beside `tokio-postgres` doing what is
//! usually written: a row for each key, inserted unless somebody has it, and deleted.
//! That has no queue, no fence and no all-or-none. It pipelines what callers ask for at
//! the same time over four connections, the number that was fastest.
//!
//! An operation is a pair: acquire with a time to live, then release. The server does
//! not wait for its disk (`fsync=off`), on either side.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stheno::config::{ModuleName, ProviderConfig, Resolve, SqlGrant, SqlName, SqlUrl, StoreLabel};
use stheno::{Locking, Runtime};
use stheno_test_support::PostgresServer;
use tokio::net::TcpStream;
use tokio_postgres::{Client, Config, NoTls, Statement};

use crate::measure::{Measured, Row, closed_loop};

const BENCH: &str = "locking-postgres";
const BASELINE: &str = "tokio-postgres, insert and delete";
/// Keys that each caller goes through.
const KEYS: u64 = 256;
const TTL: Duration = Duration::from_secs(30);
const CONTENDERS: usize = 32;
const CONNECTIONS: usize = 4;
const SCHEMA: &str = "bench_locking";

fn keys(caller: usize, count: u64, parts: usize) -> Vec<String> {
    (0..parts).map(|part| format!("stock:{caller}:{}:{part}", count % KEYS)).collect()
}

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let server = PostgresServer::start();
    server.make_schema(SCHEMA);
    let mut provider = ProviderConfig::new(Resolve::parse("locking-postgres", Path::new(""))?);
    let url = SqlUrl::new(&format!("{}?sslmode=disable", server.url_of(SCHEMA)))?;
    let grant = SqlGrant::new(url, SqlName::new(SCHEMA)?);
    provider.grants.add_sql(StoreLabel::new("default")?, grant);
    let runtime = Runtime::builder().provider(ModuleName::Locking, provider).build().await?;
    let locking = runtime.locking().clone();
    let bare = Bare::connect(&server).await?;
    for (case, callers, parts) in [
        ("pairs, distinct keys", 1, 1),
        ("pairs, distinct keys", 64, 1),
        ("pairs, three keys at once", 64, 3),
    ] {
        let baseline = bare.pairs(callers, span, parts).await?;
        let measured = pairs(&locking, callers, span, parts).await?;
        print(measured.row(BENCH, case, callers, Some((BASELINE, baseline))));
    }
    // What is usually written has no queue, so there is nothing to stand beside.
    let handed = hand_over(&locking, span).await?;
    print(handed.row(BENCH, "hand-over of one key", CONTENDERS, None));
    runtime.shutdown().await?;
    Ok(())
}

async fn pairs(
    locking: &Locking,
    callers: usize,
    span: Duration,
    parts: usize,
) -> anyhow::Result<Measured> {
    let locking = locking.clone();
    closed_loop(callers, span, move |caller, count| {
        let locking = locking.clone();
        async move {
            let lease = locking.acquire(keys(caller, count, parts)).ttl(TTL).await?;
            Ok(lease.release().await?)
        }
    })
    .await
}

async fn hand_over(locking: &Locking, span: Duration) -> anyhow::Result<Measured> {
    let locking = locking.clone();
    closed_loop(CONTENDERS, span, move |_, _| {
        let locking = locking.clone();
        async move {
            let lease = locking.acquire(["stock"]).ttl(TTL).await?;
            Ok(lease.release().await?)
        }
    })
    .await
}

/// Connections with their two statements.
#[derive(Clone)]
struct Bare(Arc<Vec<Connection>>);

struct Connection {
    client: Client,
    acquire: Statement,
    release: Statement,
}

impl Bare {
    async fn connect(server: &PostgresServer) -> anyhow::Result<Self> {
        server.make(
            "CREATE TABLE bare (key text PRIMARY KEY, owner bigint NOT NULL, \
             expires timestamptz NOT NULL)",
        );
        let mut config = Config::new();
        config.user("postgres").dbname("postgres");
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).await?;
            stream.set_nodelay(true)?;
            let (client, connection) = config.connect_raw(stream, NoTls).await?;
            tokio::spawn(connection);
            let acquire = client.prepare(
                "INSERT INTO bare (key, owner, expires) \
                 VALUES ($1, $2, clock_timestamp() + $3 * interval '1 ms') \
                 ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, \
                 expires = excluded.expires WHERE bare.expires < clock_timestamp()",
            );
            let acquire = acquire.await?;
            let release = client.prepare("DELETE FROM bare WHERE key = $1 AND owner = $2").await?;
            connections.push(Connection { client, acquire, release });
        }
        Ok(Self(Arc::new(connections)))
    }

    /// Several keys are taken one after the other, in one order.
    async fn pairs(
        &self,
        callers: usize,
        span: Duration,
        parts: usize,
    ) -> anyhow::Result<Measured> {
        let bare = self.clone();
        closed_loop(callers, span, move |caller, count| {
            let bare = bare.clone();
            async move {
                let connection = bare.0.get(caller % CONNECTIONS);
                let Connection { client, acquire, release } =
                    connection.ok_or_else(|| anyhow::anyhow!("there is a connection"))?;
                let (owner, ttl) = (caller as i64, TTL.as_millis() as f64);
                let keys = keys(caller, count, parts);
                for key in &keys {
                    let taken = client.execute(acquire, &[key, &owner, &ttl]).await?;
                    anyhow::ensure!(taken == 1);
                }
                for key in &keys {
                    anyhow::ensure!(client.execute(release, &[key, &owner]).await? == 1);
                }
                Ok(())
            }
        })
        .await
    }
}
