//! What this process holds, from `/proc`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a process holds that a leak would add to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Resident memory in bytes.
    pub resident: u64,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: u64,
}

impl Footprint {
    /// That of this process, now.
    ///
    /// # Panics
    ///
    /// Where there is no `/proc`.
    #[must_use]
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").expect("/proc can be read");
        let field = |name: &str| -> u64 {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|value| value.split_whitespace().next())
                .and_then(|number| number.parse().ok())
                .unwrap_or_else(|| panic!("/proc/self/status has no number for {name}"))
        };
        // The folder that is being read is one of the descriptors.
        let descriptors =
            std::fs::read_dir("/proc/self/fd").expect("/proc can be read").count() - 1;
        Self { resident: field("VmRSS:") * 1024, descriptors, threads: field("Threads:") }
    }

    /// How much more memory this is than `before`, in bytes; 0 if less.
    #[must_use]
    pub fn resident_beyond(&self, before: &Self) -> u64 {
        self.resident.saturating_sub(before.resident)
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident, descriptors, threads } = self;
        write!(f, "{} KiB resident, {descriptors} descriptors, {threads} threads", resident / 1024)
    }
}

/// The most that this process holds while something is under way.
#[must_use = "it watches until it is told to end"]
pub struct Peak {
    ended: Arc<AtomicBool>,
    watcher: std::thread::JoinHandle<Footprint>,
}

impl Peak {
    /// Begins to watch.
    pub fn watch() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let watcher = std::thread::spawn(move || {
            let mut most = Footprint::now();
            while !until.load(Ordering::Relaxed) {
                let now = Footprint::now();
                if now.resident > most.resident {
                    most = now;
                }
                // Far less than the time in which a part of a body comes and goes.
                std::thread::sleep(Duration::from_millis(1));
            }
            most
        });
        Self { ended, watcher }
    }

    /// Ends it, and gives what was held when memory was highest.
    ///
    /// # Panics
    ///
    /// Where there is no `/proc`.
    #[must_use]
    pub fn end(self) -> Footprint {
        self.ended.store(true, Ordering::Relaxed);
        self.watcher.join().expect("it watched to the end")
    }
}
