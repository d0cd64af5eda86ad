//! One request through a guest, beside the same request by a bare client.
//!
//! The guest is the one of the attack tests, which does as it is told by the key
//! of a `get`; both sides talk to the same server on loopback, over connections
//! that stay open. A call of the guest is a call of the cache module on top, so
//! what is shown is all that an app would pay.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use stheno::Runtime;
use stheno::config::Config;

use crate::measure::{Row, closed_loop};

const BENCH: &str = "http";
const BASELINE: &str = "reqwest";
const ANSWER: &str = "hello";

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/", get(|| async { ANSWER }));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/guests/http-cache.wasm");
    let text = format!(
        "[modules.cache]\n\
         resolve = {guest:?}\n\
         limits = {{ instances = 64 }}\n\
         grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {}, \
         max_in_flight = 1_000, requests_per_second = 1_000_000 }}]\n",
        address.port()
    );
    let config = Config::parse(&text, "bench", Path::new("/"), &|_| None)?;
    let runtime = Runtime::builder().config(config).build().await?;
    let cache = runtime.cache().clone();
    let client = reqwest::Client::new();
    let url = format!("http://{address}/");
    for callers in [1, 64] {
        let baseline = closed_loop(callers, span, {
            let (client, url) = (client.clone(), url.clone());
            move |_, _| {
                let request = client.get(&url).send();
                async move {
                    let answer = request.await?.text().await?;
                    anyhow::ensure!(answer == ANSWER);
                    Ok(())
                }
            }
        })
        .await?;
        let measured = closed_loop(callers, span, {
            let (cache, key) = (cache.clone(), format!("GET {url}"));
            move |_, _| {
                let (cache, key) = (cache.clone(), key.clone());
                async move {
                    let answer = cache.get_bytes(&key).await?.unwrap_or_default();
                    let answer = String::from_utf8_lossy(&answer);
                    anyhow::ensure!(answer == format!("200 {ANSWER}"), "{answer}");
                    Ok(())
                }
            }
        })
        .await?;
        print(measured.row(BENCH, "GET of 5 bytes", callers, Some((BASELINE, baseline))));
    }
    runtime.shutdown().await?;
    Ok(())
}
