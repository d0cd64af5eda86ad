//! What this process holds, from `/proc`.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_shows_and_what_is_let_go_does_not() {
        let before = Footprint::now();
        let file = std::fs::File::open("/proc/self/status").unwrap();
        let memory = std::hint::black_box(vec![1_u8; 64 << 20]);
        let with = Footprint::now();
        assert!(with.resident_beyond(&before) >= 60 << 20, "{before}, then {with}");
        assert!(with.descriptors > before.descriptors, "{before}, then {with}");
        drop((file, memory));
        let after = Footprint::now();
        assert!(after.resident_beyond(&before) < 16 << 20, "{before}, then {after}");
    }
}
