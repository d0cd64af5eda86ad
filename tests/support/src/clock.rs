//! A wall clock for a server, which the test moves on.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that stands still until it is moved on: for servers that go by a time of
/// their own, which a runtime's manual clock does not change. Only their wall clock
/// is replaced, so what they measure for themselves goes on.
pub struct ServerClock {
    path: PathBuf,
    file: File,
    micros: AtomicI64,
}

impl ServerClock {
    /// Begins with the time of day.
    ///
    /// # Panics
    ///
    /// When its file cannot be written.
    #[must_use]
    pub fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("stheno-clock-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let file = File::create(&path).expect("a file for the clock can be made");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(now.as_millis()).expect("the time of day is not so far");
        let clock = Self { path, file, micros: AtomicI64::new(0) };
        clock.move_on(millis * 1_000);
        clock
    }

    /// Moves it on.
    ///
    /// # Panics
    ///
    /// When its file cannot be written.
    pub fn advance(&self, time: Duration) {
        self.move_on(i64::try_from(time.as_micros()).expect("time is not so long"));
    }

    fn move_on(&self, micros: i64) {
        let now = self.micros.fetch_add(micros, Ordering::SeqCst) + micros;
        self.file.write_all_at(&now.to_ne_bytes(), 0).expect("the clock can be set");
    }

    /// What a program is started with to go by it.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 2] {
        [("STHENO_TEST_CLOCK", &self.path), ("STHENO_TEST_CLOCK_LIBRARY", library())]
    }
}

impl Drop for ServerClock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The library that puts the clock in place of the machine's, compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/clock.c");
        // Beside the test, where it is cleaned up with it.
        let test = std::env::current_exe().expect("a test is a file");
        let own = test.with_file_name(format!("stheno-clock-{}.so", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&own, &source])
            .status()
            .expect("there is a C compiler; `./justw setup` installs one");
        assert!(compiled.success(), "{} does not compile", source.display());
        // Any process may be the one that compiles it, and all make the same.
        let library = test.with_file_name("stheno-clock.so");
        std::fs::rename(own, &library).expect("a file can be renamed");
        library
    })
}
