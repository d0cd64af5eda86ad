//! One request through a guest, beside the same request by a bare client; and bodies of
//! 256 MiB both ways, with how much memory they take.
//!
//! The guest is the one of the attack tests, which does as it is told by the key
//! of a `get`; both sides talk to the same server on loopback, over connections
//! that stay open. A call of the guest is a call of the cache module on top, so
//! what is shown is all that an app would pay.

use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, put};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use stheno::config::Config;
use stheno::{Cache, Runtime};

use crate::measure::{Row, closed_loop};
use crate::transfer::{Sum, peak, reset_peak, resident};

const BENCH: &str = "http";
const BASELINE: &str = "reqwest";
const ANSWER: &str = "hello";
const MIB: u64 = 256;
const LARGE: u64 = MIB << 20;
/// As the guest has it: byte by byte, the place in the body.
const PERIOD: usize = 251;
const ROUNDS: u64 = 5;

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/", get(|| async { ANSWER }))
        .route("/slow", get(slow))
        .route("/up", put(taken))
        .route("/down", get(|| async { Body::new(Large::new()) }));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/guests/http-cache.wasm");
    let text = format!(
        "[modules.cache]\n\
         resolve = {guest:?}\n\
         limits = {{ instances = 64, cpu = \"60s\", timeout = \"5m\" }}\n\
         grants.http = [{{ host = \"127.0.0.1\", scheme = \"http\", port = {}, \
         methods = [\"GET\", \"PUT\"], max_request = \"{MIB}MiB\", max_response = \"{MIB}MiB\", \
         timeout = \"5m\", max_in_flight = 1_000, requests_per_second = 1_000_000 }}]\n",
        address.port()
    );
    let config = Config::parse(&text, "bench", Path::new("/"), &|_| None)?;
    let runtime = Runtime::builder().config(config).build().await?;
    let cache = runtime.cache().clone();
    let client = reqwest::Client::new();
    let url = format!("http://{address}/");
    let slow = format!("{url}slow");
    // Beside a server that is not on the same processor: what a call through a component
    // adds is the same, and what it adds it to is more.
    for (case, url, callers) in [
        ("GET of 5 bytes", &url, 1),
        ("GET of 5 bytes", &url, 64),
        ("GET of 5 bytes, after 1 ms", &slow, 1),
    ] {
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
        print(measured.row(BENCH, case, callers, Some((BASELINE, baseline))));
    }
    bodies(&cache, &client, &url, print).await?;
    runtime.shutdown().await?;
    Ok(())
}

/// A large body that costs nothing to make: the same piece again and again, as the guest
/// has it, with its place in every byte.
struct Large {
    block: Bytes,
    left: u64,
}

impl Large {
    fn new() -> Self {
        let block = (0..PERIOD * 512).map(|at| (at % PERIOD) as u8).collect();
        Self { block, left: LARGE }
    }
}

impl http_body::Body for Large {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let size = self.left.min(self.block.len() as u64);
        self.left -= size;
        let piece = self.block.slice(..size as usize);
        Poll::Ready((size > 0).then_some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Answers when a timer of a millisecond has ended.
async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(1)).await;
    ANSWER
}

/// Takes a body, and says how much came.
async fn taken(mut body: Body) -> String {
    let mut total = 0;
    while let Some(Ok(frame)) = body.frame().await {
        total += frame.data_ref().map_or(0, |piece| piece.len() as u64);
    }
    format!("{total} bytes")
}

async fn bodies(
    cache: &Cache,
    client: &reqwest::Client,
    url: &str,
    print: &mut impl FnMut(Row),
) -> anyhow::Result<()> {
    let (up, down) = (format!("upload {MIB} {url}up"), format!("download {url}down"));
    let ask = async |key: &str| {
        let answer = cache.get_bytes(key).await?.unwrap_or_default();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        anyhow::ensure!(answer == format!("200 {LARGE} bytes"), "{answer}");
        anyhow::Ok(())
    };
    ask(&up).await?;
    ask(&down).await?;
    let idle = resident()?;
    reset_peak()?;
    for key in [&up, &down] {
        ask(key).await?;
    }
    let above = peak()?.saturating_sub(idle) / 1024;
    let (mut ours, mut theirs) = (Sum::new(), Sum::new());
    let (mut ours_down, mut theirs_down) = (Sum::new(), Sum::new());
    // In turn, so that both meet the same machine.
    for _ in 0..ROUNDS {
        theirs.add(bare_up(client, &format!("{url}up"))).await?;
        ours.add(ask(&up)).await?;
        theirs_down.add(bare_down(client, &format!("{url}down"))).await?;
        ours_down.add(ask(&down)).await?;
    }
    let baseline = |sum: &Sum| Some((BASELINE, sum.measured()));
    print(ours.measured().row(BENCH, "put 256 MiB", 1, baseline(&theirs)));
    print(ours_down.measured().row(BENCH, "get 256 MiB", 1, baseline(&theirs_down)));
    eprintln!("{BENCH}: peak memory {above} MiB above idle, with the server, without `{BASELINE}`");
    Ok(())
}

async fn bare_up(client: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    let request = client.put(url).body(reqwest::Body::wrap(Large::new()));
    let answer = request.send().await?.text().await?;
    anyhow::ensure!(answer == format!("{LARGE} bytes"), "{answer}");
    Ok(())
}

async fn bare_down(client: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    let mut answer = client.get(url).send().await?;
    let mut total = 0;
    while let Some(piece) = answer.chunk().await? {
        total += piece.len() as u64;
    }
    anyhow::ensure!(total == LARGE, "{total} bytes came back");
    Ok(())
}
