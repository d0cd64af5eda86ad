//! What the benchmarks of large bodies have in common: of files 100 MiB, and what a body
//! takes.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::measure::{Measured, cpu_time, histogram, memory_of, summarise};

pub(crate) const BYTES: u64 = 100 << 20;
pub(crate) const ROUNDS: u64 = 10;
pub(crate) const CHUNK: usize = 512 * 1024;

/// The same bytes for both sides.
pub(crate) fn source() -> impl AsyncRead + Send + Unpin + 'static {
    tokio::io::repeat(7).take(BYTES)
}

pub(crate) async fn drain(mut body: impl AsyncRead + Unpin) -> anyhow::Result<()> {
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

/// What the rounds of one side took.
pub(crate) struct Sum {
    wall: Duration,
    cpu: Duration,
    latencies: hdrhistogram::Histogram<u64>,
}

impl Sum {
    pub(crate) fn new() -> Self {
        Self { wall: Duration::ZERO, cpu: Duration::ZERO, latencies: histogram() }
    }

    pub(crate) async fn add(
        &mut self,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let (begun, begun_cpu) = (Instant::now(), cpu_time());
        work.await?;
        let took = begun.elapsed();
        self.wall += took;
        self.cpu += cpu_time() - begun_cpu;
        self.latencies.saturating_record(took.as_nanos() as u64);
        Ok(())
    }

    pub(crate) fn measured(&self) -> Measured {
        summarise(self.latencies.len(), self.wall, self.cpu, &self.latencies)
    }
}

/// Resident KiB.
pub(crate) fn resident() -> anyhow::Result<u64> {
    memory_of("self", "VmRSS:")
}

/// The most resident KiB since [`reset_peak`].
pub(crate) fn peak() -> anyhow::Result<u64> {
    memory_of("self", "VmHWM:")
}

pub(crate) fn reset_peak() -> anyhow::Result<()> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}
