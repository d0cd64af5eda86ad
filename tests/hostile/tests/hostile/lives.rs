//! The lives of instances: which one serves, when it is replaced, and how it
//! starts.

use std::time::{Duration, Instant};

use stheno_config::{CallsPerInstanceLimit, Limits};
use stheno_engine::{Aspect, Clock, LoadError};
use stheno_hostile::{ask, load, store, terms, try_load, with_option};

use crate::{MANY, ONE, cpu, engine, instances, limits};

async fn count(guest: &stheno_hostile::Guest) -> u64 {
    ask(guest, "count").await.unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_instance_that_served_last_serves_next() {
    let guest = load(&engine(), MANY, limits(|limits| limits.instances = instances(4))).await;
    let asked = ["block:1", "block:2", "block:3", "block:4"].map(|key| ask(&guest, key));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.as_deref(), Ok("slept"));
    }
    // Four instances are there now, and one after the other only one is used.
    for calls in 2..50 {
        assert_eq!(count(&guest).await, calls);
    }
}

#[tokio::test]
async fn an_instance_is_retired_after_its_calls_and_no_call_fails_by_it() {
    let limits = limits(|limits| {
        limits.calls_per_instance = CallsPerInstanceLimit::new(5).unwrap();
        limits.instances = instances(1);
    });
    let guest = load(&engine(), MANY, limits).await;
    let mut counts = Vec::new();
    for _ in 0..12 {
        counts.push(count(&guest).await);
    }
    // The first instance was started as all are: `start` is one of its calls.
    assert_eq!(counts, [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
}

#[tokio::test]
async fn an_instance_whose_memory_has_grown_is_retired() {
    let limits = limits(|limits| limits.memory = crate::memory(64));
    let guest = load(&engine(), MANY, limits).await;
    assert_eq!(ask(&guest, "grow:1MiB").await.as_deref(), Ok("1048576"));
    assert_eq!(count(&guest).await, 2);
    assert_eq!(ask(&guest, "grow:40MiB").await.as_deref(), Ok("42991616"));
    assert_eq!(count(&guest).await, 1);
}

#[tokio::test]
async fn the_one_instance_is_never_retired() {
    let limits = limits(|limits| {
        limits.calls_per_instance = CallsPerInstanceLimit::new(1).unwrap();
        limits.memory = crate::memory(64);
    });
    let guest = load(&engine(), ONE, limits).await;
    store(&guest, "k:a", "kept").await.unwrap();
    assert_eq!(ask(&guest, "grow:40MiB").await.as_deref(), Ok("41943040"));
    assert_eq!(ask(&guest, "k:a").await.as_deref(), Ok("kept"));
    assert!(guest.memory().await.unwrap() > 40 << 20);
}

#[tokio::test]
async fn a_dead_one_is_replaced_at_once_and_ever_more_slowly_if_it_keeps_dying() {
    let guest = load(&engine(), ONE, Limits::default()).await;
    for _ in 0..5 {
        store(&guest, "k:a", "gone").await.unwrap();
        assert_eq!(ask(&guest, "panic").await.unwrap_err().kind().as_str(), "internal");
        // Replaced, without what it held.
        assert_eq!(ask(&guest, "k:a").await.as_deref(), Ok(""));
    }
    // From now on a new one has to wait: 100 ms, then twice as long.
    for wait in [100, 200] {
        let died = Instant::now();
        assert_eq!(ask(&guest, "panic").await.unwrap_err().kind().as_str(), "internal");
        loop {
            let Err(error) = ask(&guest, "echo:here").await else { break };
            let (_, left) = error.message().split_once("started again in ").unwrap();
            let left: u64 = left.strip_suffix(" ms").unwrap().parse().unwrap();
            assert_eq!(error.kind().as_str(), "unavailable");
            assert!(left <= wait, "{left} of {wait} ms");
            // It keeps its word: then it serves.
            tokio::time::sleep(Duration::from_millis(left + 1)).await;
        }
        assert!(died.elapsed() >= Duration::from_millis(wait));
    }
}

#[tokio::test]
async fn many_that_cannot_be_started_are_tried_ever_more_slowly() {
    let (clock, hand) = Clock::manual();
    let mut terms = with_option("start", "panic-in-the-second-hour");
    terms.clock = clock;
    let guest = try_load(&engine(), MANY, terms).await.unwrap();
    hand.advance(Duration::from_secs(3_600));
    // The instance that the load has made is there still; then there is none.
    assert_eq!(ask(&guest, "panic").await.unwrap_err().kind().as_str(), "internal");
    for _ in 0..6 {
        let error = ask(&guest, "echo:here").await.unwrap_err();
        assert_eq!(error.kind().as_str(), "internal");
        assert!(error.message().contains("trapped"), "{error}");
    }
    // From now on it has to wait, and whoever asks meanwhile is told at once.
    for wait in [100, 200] {
        let left = loop {
            let error = ask(&guest, "echo:here").await.unwrap_err();
            let Some((_, left)) = error.message().split_once("started again in ") else { continue };
            assert_eq!(error.kind().as_str(), "unavailable");
            break left.strip_suffix(" ms").unwrap().parse::<u64>().unwrap();
        };
        assert!(left <= wait, "{left} of {wait} ms");
        tokio::time::sleep(Duration::from_millis(left + 1)).await;
    }
    // One that starts is a clean slate.
    hand.advance(Duration::from_secs(3_600));
    tokio::time::timeout(Duration::from_secs(30), async {
        while ask(&guest, "echo:here").await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    for _ in 0..20 {
        assert_eq!(ask(&guest, "panic").await.unwrap_err().kind().as_str(), "internal");
    }
    assert_eq!(ask(&guest, "echo:here").await.as_deref(), Ok("here"));
}

#[tokio::test]
async fn a_start_that_fails_panics_or_loops_is_a_load_error_that_says_so() {
    let engine = engine();
    for guest in [MANY, ONE] {
        for (what, kind, says) in [
            ("fail", "unavailable", "told to fail"),
            ("panic", "internal", "trapped"),
            ("loop", "timeout", "limits.cpu = \"100ms\""),
        ] {
            let mut terms = with_option("start", what);
            terms.limits.cpu = cpu(100);
            let error = try_load(&engine, guest, terms).await.err().unwrap();
            let text = error.to_string();
            assert!(text.starts_with(guest) && text.contains(says), "{text}");
            assert_eq!(error.aspect(), Aspect::Resolve);
            assert!(!error.help().is_empty());
            let LoadError::Start { error, .. } = error else { panic!("{error:?}") };
            assert_eq!(error.kind(), kind);
        }
    }
}

#[tokio::test]
async fn options_that_are_refused_are_an_error_about_the_options() {
    for (key, value) in [("strat", "ok"), ("start", "perhaps")] {
        let error = try_load(&engine(), MANY, with_option(key, value)).await.err().unwrap();
        assert_eq!(error.aspect(), Aspect::Options);
        assert!(matches!(error, LoadError::Options { .. }), "{error:?}");
        assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
    }
}

#[tokio::test]
async fn a_check_refuses_what_loading_would_refuse() {
    let engine = engine();
    let source = || stheno_hostile::source(MANY);
    for what in ["fail", "panic"] {
        let error = engine
            .check::<stheno_engine::CacheModule>(source(), with_option("start", what))
            .await
            .unwrap_err();
        assert!(matches!(error, LoadError::Start { .. }), "{error:?}");
    }
    let checked =
        engine.check::<stheno_engine::CacheModule>(source(), terms(Limits::default())).await;
    assert_eq!(checked.unwrap().name, MANY);
}

#[tokio::test]
async fn a_provider_without_health_says_so_and_goes_on_serving() {
    let engine = engine();
    for guest in [MANY, ONE] {
        for (what, kind) in [("fail", "unavailable"), ("panic", "internal"), ("loop", "timeout")] {
            let mut terms = with_option("health", what);
            terms.limits.cpu = cpu(50);
            let guest = try_load(&engine, guest, terms).await.unwrap();
            assert_eq!(guest.health().await.unwrap_err().kind(), kind);
            assert_eq!(ask(&guest, "echo:here").await.as_deref(), Ok("here"));
        }
        let guest = load(&engine, guest, Limits::default()).await;
        assert!(guest.health().await.is_ok());
    }
}

#[tokio::test]
async fn a_stop_that_fails_or_never_ends_is_reported_and_holds_nobody_up() {
    let engine = engine();
    for guest in [MANY, ONE] {
        for (what, kind) in [("fail", "unavailable"), ("panic", "internal"), ("loop", "timeout")] {
            let mut terms = with_option("stop", what);
            terms.limits.cpu = cpu(50);
            let guest = try_load(&engine, guest, terms).await.unwrap();
            assert_eq!(guest.stop().await.unwrap_err().kind(), kind);
            assert_eq!(ask(&guest, "echo:here").await.unwrap_err().kind().as_str(), "unavailable");
        }
    }
}
