//! What a guest writes into the log is bounded and cannot be taken for anything
//! else.

use std::io;
use std::sync::{Arc, Mutex};

use stheno_config::LogRateLimit;
use stheno_engine::Clock;
use stheno_hostile::{ask, load, source, terms};
use tracing_subscriber::fmt::MakeWriter;

use crate::{MANY, engine, limits};

/// The lines that were written while it was the thread's subscriber.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn with(&self, text: &str) -> usize {
        let all = self.0.lock().unwrap();
        String::from_utf8_lossy(&all).lines().filter(|line| line.contains(text)).count()
    }
}

/// The test's runtime has one thread, so the guest's lines are written on it.
#[tokio::test]
async fn a_flood_of_lines_is_cut_to_the_rate_and_counted_and_costs_no_call() {
    for deed in ["log", "print"] {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let (clock, hand) = Clock::manual();
        let limits = limits(|limits| limits.log_lines_per_second = LogRateLimit::new(50).unwrap());
        let mut terms = terms(limits);
        terms.clock = clock;
        let guest = engine().load::<stheno_engine::CacheModule>(source(MANY), terms).await.unwrap();
        assert!(ask(&guest, &format!("{deed}:100000")).await.is_ok());
        assert_eq!(lines.with("line "), 50, "{deed}");
        assert_eq!(lines.with("provider=\"misbehaving-cache\""), 50, "{deed}");
        assert_eq!(ask(&guest, "echo:here").await.as_deref(), Ok("here"));
        // The next second is free again, and says what was lost.
        hand.advance(std::time::Duration::from_secs(1));
        assert!(ask(&guest, &format!("{deed}:1")).await.is_ok());
        assert_eq!(lines.with("dropped=99950"), 1, "{deed}");
    }
}

/// Errors are logged by whoever gets them.
#[tokio::test]
async fn what_a_guest_says_in_an_error_is_one_line_of_bounded_length() {
    let guest = load(&engine(), MANY, limits(|_| {})).await;
    let error = ask(&guest, "error:unavailable:gone\nERROR forged\u{1b}[2K").await.unwrap_err();
    assert_eq!(error.message(), "gone\\nERROR forged\\u{1b}[2K");
    let long = format!("error:unavailable:{}", "a".repeat(1_000_000));
    let error = ask(&guest, &long).await.unwrap_err();
    assert!(error.message().len() < 20_000, "{} bytes", error.message().len());
    assert!(error.message().ends_with("bytes cut)"));
}
