//! From starting `stheno up` to ready, with all modules on their local providers and
//! compiled code in the cache; and how much memory it has then.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::measure::{Row, histogram, memory_of, summarise};

const ROUNDS: u64 = 20;

pub(crate) async fn run(print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let cache = tempfile::tempdir()?;
    // The first start compiles.
    start(cache.path()).await?;
    let (mut latencies, mut wall, mut most) = (histogram(), Duration::ZERO, 0);
    for _ in 0..ROUNDS {
        let (took, resident) = start(cache.path()).await?;
        most = most.max(resident);
        latencies.saturating_record(took.as_nanos() as u64);
        wall += took;
    }
    let measured = summarise(ROUNDS, wall, Duration::ZERO, &latencies);
    print(measured.row("start", "up to ready, local providers", 1, None));
    eprintln!("start: {} MiB resident when ready, at most", most / 1024);
    Ok(())
}

/// How long it took, and the resident KiB then.
async fn start(cache: &std::path::Path) -> anyhow::Result<(Duration, u64)> {
    let stheno = std::env::current_exe()?.with_file_name("stheno");
    let begun = Instant::now();
    let mut child = Command::new(&stheno)
        .args(["up", "--listen", "127.0.0.1:0"])
        .env("XDG_CACHE_HOME", cache)
        .current_dir(cache)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", stheno.display()))?;
    let stderr = child.stderr.take().context("no standard error")?;
    let mut lines = BufReader::new(stderr).lines();
    while let Some(line) = lines.next_line().await? {
        if line.contains("http://127.0.0.1:") {
            let took = begun.elapsed();
            let process = child.id().context("it has ended")?.to_string();
            let resident = memory_of(&process, "VmRSS:")?;
            child.kill().await?;
            return Ok((took, resident));
        }
    }
    anyhow::bail!("`stheno up` ended before it was ready")
}
