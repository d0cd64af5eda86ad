//! `events-local` behind the embed API, beside a channel: from publishing until
//! a subscriber has handled the event.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use stheno::{NewEvent, Runtime};
use tokio::sync::Semaphore;

use crate::measure::{Measured, Row, cpu_time, histogram, summarise};
use crate::native::NativeBus;

const BENCH: &str = "events-local";
const BASELINE: &str = "channel";
const NAME: &str = "order.placed";
/// Events that are published and not yet handled, at most: what a bounded
/// queue would do to publishers.
const OUTSTANDING: usize = 4_096;

/// What the handler knows: when the event was published, and whom to tell.
#[derive(Clone)]
struct Handled {
    origin: Instant,
    outstanding: Arc<Semaphore>,
    latencies: Arc<Mutex<Histogram<u64>>>,
}

impl Handled {
    fn new() -> Self {
        Self {
            origin: Instant::now(),
            outstanding: Arc::new(Semaphore::new(OUTSTANDING)),
            latencies: Arc::new(Mutex::new(histogram())),
        }
    }

    /// 150 bytes that begin with the time.
    fn body(&self) -> Vec<u8> {
        let now = self.origin.elapsed().as_nanos() as u64;
        let mut body = now.to_le_bytes().to_vec();
        body.resize(150, b'x');
        body
    }

    fn handle(&self, data: &[u8]) {
        let now = self.origin.elapsed().as_nanos() as u64;
        if let Some(then) = data.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)) {
            let mut latencies = self.latencies.lock().unwrap_or_else(|error| error.into_inner());
            latencies.saturating_record(now.saturating_sub(then));
        }
        self.outstanding.add_permits(1);
    }
}

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    for publishers in [1, 64] {
        let handled = Handled::new();
        let bus = NativeBus::new({
            let handled = handled.clone();
            move |_name, data: Vec<u8>| {
                let handled = handled.clone();
                async move { handled.handle(&data) }
            }
        });
        let baseline = drive(publishers, span, &handled, move |body| {
            let bus = bus.clone();
            async move { bus.publish(NAME, body).await }
        })
        .await?;

        let runtime = Runtime::builder().build().await?;
        let handled = Handled::new();
        runtime
            .events()
            .subscribe("order.*", "bench", {
                let handled = handled.clone();
                move |event| {
                    let handled = handled.clone();
                    async move {
                        handled.handle(&event.data);
                        Ok(())
                    }
                }
            })
            .concurrency(256)
            .await?;
        let events = runtime.events().clone();
        let measured = drive(publishers, span, &handled, move |body| {
            let events = events.clone();
            async move {
                events.publish_all(vec![NewEvent::bytes(NAME, body)]).await?;
                Ok(())
            }
        })
        .await?;
        runtime.shutdown().await?;
        print(measured.row(
            BENCH,
            "publish to handled, 150 B",
            publishers,
            Some((BASELINE, baseline)),
        ));
    }
    Ok(())
}

/// Publishes for `span` and waits until all is handled.
async fn drive<P, F>(
    publishers: usize,
    span: Duration,
    handled: &Handled,
    publish: P,
) -> anyhow::Result<Measured>
where
    P: Fn(Vec<u8>) -> F + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let publish = Arc::new(publish);
    let (begun, cpu) = (Instant::now(), cpu_time());
    let tasks: Vec<_> = (0..publishers)
        .map(|_| {
            let (publish, handled) = (Arc::clone(&publish), handled.clone());
            tokio::spawn(async move {
                let mut count = 0_u64;
                while begun.elapsed() < span {
                    handled.outstanding.acquire().await?.forget();
                    publish(handled.body()).await?;
                    count += 1;
                }
                anyhow::Ok(count)
            })
        })
        .collect();
    let mut events = 0;
    for task in tasks {
        events += task.await??;
    }
    let _all = handled.outstanding.acquire_many(OUTSTANDING as u32).await?;
    let (wall, cpu) = (begun.elapsed(), cpu_time() - cpu);
    let latencies = handled.latencies.lock().unwrap_or_else(|error| error.into_inner());
    anyhow::ensure!(latencies.len() == events, "{} of {events} were handled", latencies.len());
    Ok(summarise(events, wall, cpu, &latencies))
}
