//! `files-local` behind the embed API, beside `tokio::fs`: 100 MiB up and down,
//! and how much memory that takes.
//!
//! The native upload does what a store must do too: it writes aside, syncs and
//! renames. Both read from the page cache.

use std::time::{Duration, Instant};

use stheno::config::{FolderGrant, FolderMode, Grants, GuestPath, ModuleName};
use stheno::{Files, NewFile, Runtime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::measure::{Measured, Row, cpu_time, histogram, memory_of, summarise};

const BENCH: &str = "files-local";
const BASELINE: &str = "tokio::fs";
const BYTES: u64 = 100 << 20;
const ROUNDS: u64 = 10;
const CHUNK: usize = 512 * 1024;

pub(crate) async fn run(print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut config = stheno::config::Config::default();
    let mut grants = Grants::default();
    let host = folder.path().join("files");
    std::fs::create_dir(&host)?;
    let guest = GuestPath::new("/files")?;
    grants.add_folder(FolderGrant { host, guest, mode: FolderMode::ReadWrite })?;
    config.modules.get_mut(ModuleName::Files).grants = grants;
    let runtime = Runtime::builder().config(config).build().await?;
    let files = runtime.files().clone();
    let native = folder.path().join("native");
    let stored = files.put(NewFile::new("warm"), source()).await?;
    files.delete([stored.key]).await?;
    let idle = resident()?;
    reset_peak()?;

    let (mut ours, mut theirs) = (Sum::new(), Sum::new());
    let (mut ours_down, mut theirs_down) = (Sum::new(), Sum::new());
    // In turn, so that both meet the same machine.
    for _ in 0..ROUNDS {
        theirs.add(async { native_up(&native).await }).await?;
        theirs_down.add(async { drain(tokio::fs::File::open(&native).await?).await }).await?;
        std::fs::remove_file(&native)?;
        let mut key = String::new();
        ours.add(async {
            key = files.put(NewFile::new("bench.bin"), source()).await?.key;
            Ok(())
        })
        .await?;
        ours_down.add(async { drain(files.get(&key).await?).await }).await?;
        remove(&files, key).await?;
    }
    print(ours.measured().row(BENCH, "put 100 MiB", 1, Some((BASELINE, theirs.measured()))));
    let down = ours_down.measured();
    print(down.row(BENCH, "get 100 MiB", 1, Some((BASELINE, theirs_down.measured()))));
    let above = peak()?.saturating_sub(idle) / 1024;
    eprintln!("{BENCH}: peak memory {above} MiB above idle, the native side's included");
    runtime.shutdown().await?;
    Ok(())
}

async fn remove(files: &Files, key: String) -> anyhow::Result<()> {
    for removed in files.delete([key]).await? {
        removed?;
    }
    Ok(())
}

/// The same bytes for both.
fn source() -> impl AsyncRead + Send + Unpin + 'static {
    tokio::io::repeat(7).take(BYTES)
}

async fn native_up(path: &std::path::Path) -> anyhow::Result<()> {
    let aside = path.with_extension("part");
    let mut file = tokio::fs::File::create(&aside).await?;
    let mut source = source();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = source.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        file.write_all(chunk.get(..read).unwrap_or_default()).await?;
    }
    file.flush().await?;
    file.sync_all().await?;
    tokio::fs::rename(aside, path).await?;
    Ok(())
}

async fn drain(mut body: impl AsyncRead + Unpin) -> anyhow::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let read = body.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        total += read as u64;
    }
    anyhow::ensure!(total == BYTES, "{total} bytes came back");
    Ok(())
}

struct Sum {
    wall: Duration,
    cpu: Duration,
    latencies: hdrhistogram::Histogram<u64>,
}

impl Sum {
    fn new() -> Self {
        Self { wall: Duration::ZERO, cpu: Duration::ZERO, latencies: histogram() }
    }

    async fn add(&mut self, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        let (begun, begun_cpu) = (Instant::now(), cpu_time());
        work.await?;
        let took = begun.elapsed();
        self.wall += took;
        self.cpu += cpu_time() - begun_cpu;
        self.latencies.saturating_record(took.as_nanos() as u64);
        Ok(())
    }

    fn measured(&self) -> Measured {
        summarise(ROUNDS, self.wall, self.cpu, &self.latencies)
    }
}

/// Resident KiB.
fn resident() -> anyhow::Result<u64> {
    memory_of("self", "VmRSS:")
}

/// The most resident KiB since [`reset_peak`].
fn peak() -> anyhow::Result<u64> {
    memory_of("self", "VmHWM:")
}

fn reset_peak() -> anyhow::Result<()> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}
