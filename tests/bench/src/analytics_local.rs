//! `analytics-local` behind the embed API, beside what an app would write
//! itself: JSON lines through a buffered writer behind a lock. Both end with
//! everything on the disk.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use stheno::config::{Config, process_env};
use stheno::{JsonObject, Runtime, Track};

use crate::measure::{Measured, Row, cpu_time, histogram, summarise};

const BENCH: &str = "analytics-local";
const BASELINE: &str = "BufWriter, JSON lines";

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let properties = json!({"total": 12.5, "currency": "eur", "items": [1, 2, 3]});
    for callers in [1, 64] {
        let folder = tempfile::tempdir()?;
        let baseline = native(callers, span, folder.path(), &properties).await?;

        let folder = tempfile::tempdir()?;
        let text = format!(
            "[modules.analytics]\noptions = {{ folder = \"/out\" }}\n\
             grants.folders = [{{ host = {:?}, guest = \"/out\", mode = \"read-write\" }}]\n",
            folder.path().display().to_string()
        );
        let config = Config::parse(&text, "bench", Path::new("/"), &process_env)?;
        let runtime = Runtime::builder().config(config).build().await?;
        let analytics = runtime.analytics().clone();
        let properties = JsonObject::new(&properties)?;
        let measured = drive(
            callers,
            span,
            move |actor| {
                let (analytics, properties) = (analytics.clone(), properties.clone());
                async move {
                    let event = Track::new("order.placed").actor(actor).properties(properties);
                    Ok(analytics.track(event).await?)
                }
            },
            async { Ok(runtime.analytics().flush().await?) },
        )
        .await?;
        runtime.shutdown().await?;
        let lines = count_lines(folder.path())?;
        anyhow::ensure!(lines == measured.0, "{lines} lines of {} events", measured.0);
        print(measured.1.row(BENCH, "track to disk", callers, Some((BASELINE, baseline))));
    }
    Ok(())
}

async fn native(
    callers: usize,
    span: Duration,
    folder: &Path,
    properties: &serde_json::Value,
) -> anyhow::Result<Measured> {
    let file = BufWriter::new(File::create(folder.join("events.jsonl"))?);
    let writer = Arc::new(Mutex::new(file));
    let (shared, properties) = (Arc::clone(&writer), properties.to_string());
    let (_, measured) = drive(
        callers,
        span,
        move |actor| {
            let (writer, properties) = (Arc::clone(&shared), properties.clone());
            async move {
                let properties = serde_json::value::RawValue::from_string(properties)?;
                #[derive(serde::Serialize)]
                struct Line<'a> {
                    event: &'a str,
                    actor: String,
                    properties: &'a serde_json::value::RawValue,
                }
                let line = Line { event: "order.placed", actor, properties: &properties };
                let mut bytes = serde_json::to_vec(&line)?;
                bytes.push(b'\n');
                writer.lock().unwrap_or_else(|error| error.into_inner()).write_all(&bytes)?;
                Ok(())
            }
        },
        async {
            let mut writer = writer.lock().unwrap_or_else(|error| error.into_inner());
            writer.flush()?;
            Ok(writer.get_ref().sync_all()?)
        },
    )
    .await?;
    Ok(measured)
}

/// Tracks for `span`, then has it written out; gives how many there were.
async fn drive<T, F>(
    callers: usize,
    span: Duration,
    track: T,
    finish: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<(u64, Measured)>
where
    T: Fn(String) -> F + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let track = Arc::new(track);
    let (begun, cpu) = (Instant::now(), cpu_time());
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let track = Arc::clone(&track);
            tokio::spawn(async move {
                let (mut count, mut latencies) = (0_u64, histogram());
                while begun.elapsed() < span {
                    let called = Instant::now();
                    track(format!("actor-{caller}")).await?;
                    latencies.saturating_record(called.elapsed().as_nanos() as u64);
                    count += 1;
                    // A loop that never waits would keep its thread.
                    if count.is_multiple_of(256) {
                        tokio::task::yield_now().await;
                    }
                }
                anyhow::Ok((count, latencies))
            })
        })
        .collect();
    let (mut events, mut latencies) = (0, histogram());
    for task in tasks {
        let (count, own) = task.await??;
        events += count;
        latencies.add(own)?;
    }
    finish.await?;
    Ok((events, summarise(events, begun.elapsed(), cpu_time() - cpu, &latencies)))
}

fn count_lines(folder: &Path) -> anyhow::Result<u64> {
    let mut lines = 0;
    for entry in std::fs::read_dir(folder)? {
        let bytes = std::fs::read(entry?.path())?;
        lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    Ok(lines)
}
