//! What attacks leave behind in the process: nothing.
//!
//! A binary of its own, and one test after the other: what they measure is the
//! whole process's.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use futures_util::{StreamExt, stream};
use stheno_config::{Limits, TimeoutLimit};
use stheno_hostile::{Error, Guest, ask, engine, load};
use stheno_test_support::Footprint;

const CALLS: usize = 10_000;
const CONCURRENCY: usize = 8;
/// What the allocator may keep beyond a warm process. A leak of one page per
/// call would be 40 MiB.
const SLACK: u64 = 6 << 20;

/// Makes so many calls, a few at a time, and counts the outcomes that `expected`
/// accepts.
async fn many_calls(
    guest: &Guest,
    calls: usize,
    key: impl Fn(usize) -> &'static str,
    expected: impl Fn(&Result<String, Error>) -> bool,
) {
    let mut outcomes =
        stream::iter(0..calls).map(|call| ask(guest, key(call))).buffer_unordered(CONCURRENCY);
    while let Some(outcome) = outcomes.next().await {
        assert!(expected(&outcome), "{outcome:?}");
    }
}

/// Runs `attack` once to warm up and once more, and holds the process against
/// what it was in between.
async fn leaves_nothing(name: &str, warm_up: usize, attack: impl AsyncFn(usize)) {
    attack(warm_up).await;
    let before = Footprint::now();
    let tasks = alive_tasks();
    attack(CALLS).await;
    // A task that was told to end does so the next time that it is its turn.
    let ended = async {
        while alive_tasks() > tasks {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    assert!(ended.is_ok(), "{name}: {tasks} tasks, then {}", alive_tasks());
    let after = Footprint::now();
    println!("{name}: {before}, after {CALLS} calls {after}");
    assert!(after.resident_beyond(&before) <= SLACK, "{name}: {before}, then {after}");
    assert_eq!(after.descriptors, before.descriptors, "{name}");
    assert_eq!(after.threads, before.threads, "{name}");
}

/// How many tasks of the runtime have not ended.
fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

fn timed_out(outcome: &Result<String, Error>) -> bool {
    matches!(outcome, Err(error) if error.kind().as_str() == "timeout")
}

/// One test, so that no other runs beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_attacks_of_a_kind_leave_nothing_behind() {
    let engine = engine(env!("CARGO_TARGET_TMPDIR"));
    let timeout = TimeoutLimit::new(Duration::from_millis(1)).unwrap();
    let short = Limits { timeout, ..Limits::default() };
    let guest = load(&engine, "misbehaving-cache", short).await;
    // Nearly all wait in the host when their time is over; some compute.
    let key = |call: usize| if call.is_multiple_of(50) { "loop" } else { "block:86400000" };
    leaves_nothing("timed-out calls", CALLS / 4, async |calls| {
        many_calls(&guest, calls, key, timed_out).await;
    })
    .await;

    let guest = load(&engine, "misbehaving-cache", Limits::default()).await;
    leaves_nothing("traps", CALLS / 4, async |calls| {
        many_calls(&guest, calls, |_| "panic", Result::is_err).await;
    })
    .await;

    // Where there are many, an instance that holds too many handles is retired,
    // so each call succeeds. The one instance is never replaced: what it forgets
    // fills its table, and then it is refused more.
    for (kind, always) in [("misbehaving-cache", true), ("misbehaving-cache-one", false)] {
        let guest = load(&engine, kind, Limits::default()).await;
        let bounded = |outcome: &Result<String, Error>| match outcome {
            Ok(_) => true,
            Err(error) => !always && error.message().contains("limits.handles"),
        };
        leaves_nothing(&format!("forgotten handles of {kind}"), CALLS / 4, async |calls| {
            many_calls(&guest, calls, |_| "forget:100", bounded).await;
        })
        .await;
    }
}
