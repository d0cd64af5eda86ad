//! A closed loop of callers, and what it took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// One line of output.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) bench: &'static str,
    pub(crate) case: String,
    pub(crate) callers: usize,
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) cpu_us_per_op: f64,
    pub(crate) baseline: Option<String>,
    pub(crate) baseline_ops_per_s: Option<f64>,
    pub(crate) ratio: Option<f64>,
}

/// What a loop took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) cpu_us_per_op: f64,
}

impl Measured {
    /// The row of this measurement beside that of its baseline.
    pub(crate) fn row(
        self,
        bench: &'static str,
        case: &str,
        callers: usize,
        baseline: Option<(&str, Self)>,
    ) -> Row {
        let its = baseline.map(|(_, measured)| measured.ops_per_s);
        Row {
            bench,
            case: case.to_owned(),
            callers,
            ops_per_s: self.ops_per_s,
            p50_us: self.p50_us,
            p99_us: self.p99_us,
            cpu_us_per_op: self.cpu_us_per_op,
            baseline: baseline.map(|(name, _)| name.to_owned()),
            baseline_ops_per_s: its,
            ratio: its.map(|its| self.ops_per_s / its),
        }
    }
}

/// CPU time of the whole process.
pub(crate) fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

pub(crate) fn histogram() -> Histogram<u64> {
    // From a nanosecond to a minute with three digits: constants that are valid.
    Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap_or_else(|_| unreachable!())
}

pub(crate) fn summarise(
    operations: u64,
    wall: Duration,
    cpu: Duration,
    latencies: &Histogram<u64>,
) -> Measured {
    let micros = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    Measured {
        ops_per_s: operations as f64 / wall.as_secs_f64(),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        cpu_us_per_op: cpu.as_secs_f64() * 1e6 / operations.max(1) as f64,
    }
}

/// Runs `callers` tasks that each do one operation after another for `span`,
/// after a tenth of it to warm up. `operation` gets the caller's number and
/// its own count.
///
/// Every 16th operation is timed: reading the clock twice costs about as much as
/// a native map does.
pub(crate) async fn closed_loop<O, F>(
    callers: usize,
    span: Duration,
    operation: O,
) -> anyhow::Result<Measured>
where
    O: Fn(usize, u64) -> F + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let operation = Arc::new(operation);
    for (pass, span) in [span / 10, span].into_iter().enumerate() {
        let stop = Arc::new(AtomicBool::new(false));
        let (wall, cpu) = (Instant::now(), cpu_time());
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (operation, stop) = (Arc::clone(&operation), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut latencies = histogram();
                    let mut count = 0_u64;
                    while !stop.load(Ordering::Relaxed) {
                        if count.is_multiple_of(16) {
                            let begun = Instant::now();
                            operation(caller, count).await?;
                            latencies.saturating_record(begun.elapsed().as_nanos() as u64);
                        } else {
                            operation(caller, count).await?;
                        }
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
        let timer = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                std::thread::sleep(span);
                stop.store(true, Ordering::Relaxed);
            }
        });
        let (mut operations, mut latencies) = (0, histogram());
        for task in tasks {
            let (count, own) = task.await??;
            operations += count;
            latencies.add(own)?;
        }
        let (wall, cpu) = (wall.elapsed(), cpu_time() - cpu);
        timer.join().map_err(|_| anyhow::anyhow!("the timer panicked"))?;
        if pass == 1 {
            return Ok(summarise(operations, wall, cpu, &latencies));
        }
    }
    unreachable!("the second pass returns")
}

/// What `/proc` says of a process's memory under this name, in KiB.
pub(crate) fn memory_of(process: &str, name: &str) -> anyhow::Result<u64> {
    let file = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&file)?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or_else(|| anyhow::anyhow!("{file} has no {name}"))?.parse()?)
}
