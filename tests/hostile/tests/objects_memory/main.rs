//! What large objects cost this process: a few parts, whatever their size.
//!
//! A binary of its own with one test, since the whole process is measured; the server
//! is another process.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use stheno_config::{CpuLimit, Limits, TimeoutLimit};
use stheno_hostile::{ask, engine, terms, try_load};
use stheno_test_support::{Footprint, ObjectProcess, Peak};

const MIB: u64 = 256;
/// What a body may cost beyond a process that is warm.
const SLACK: u64 = 16 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_of_any_size_costs_a_few_parts_up_and_down() {
    let server = ObjectProcess::start(env!("CARGO_BIN_EXE_stheno-object-server"), &["shop"]);
    let mut terms = terms(Limits {
        cpu: CpuLimit::new(Duration::from_secs(60)).unwrap(),
        timeout: TimeoutLimit::new(Duration::from_secs(300)).unwrap(),
        ..Limits::default()
    });
    stheno_hostile::grant_objects(&mut terms, &server.url(), |_| {});
    let guest = try_load(&engine(env!("CARGO_TARGET_TMPDIR")), "objects-cache", terms).await;
    let guest = guest.unwrap();
    let large = format!("{} bytes", MIB << 20);
    assert_eq!(ask(&guest, "fill:small|4").await.as_deref(), Ok("written"));
    assert_eq!(ask(&guest, "sum:small").await.as_deref(), Ok("4194304 bytes"));
    let before = Footprint::now();
    for (way, answer) in [
        // What the guest makes, what it reads, and what it only hands on.
        (format!("fill:large|{MIB}"), "written"),
        ("sum:large".to_owned(), large.as_str()),
        ("hand:large|again".to_owned(), "handed on"),
        ("sum:again".to_owned(), large.as_str()),
    ] {
        let peak = Peak::watch();
        assert_eq!(ask(&guest, &way).await.as_deref(), Ok(answer), "{way}");
        let peak = peak.end();
        println!("{way}: {before}, at most {peak}");
        assert!(peak.resident_beyond(&before) <= SLACK, "{way}: {before}, then {peak}");
    }
}
