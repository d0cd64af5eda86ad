//! Callers that go away, and more callers than there is room for.
//!
//! A call is polled once by hand to bring it to where it waits: then it has
//! begun, and no test has to guess how long that takes.

use std::pin::Pin;
use std::task::Poll;

use futures_util::poll;
use stheno_config::Limits;
use stheno_hostile::{Error, ErrorKind, Guest, ask, ask_all, load, store};

use crate::{MANY, ONE, engine, instances, limits, queue};

fn is_busy(answer: &Result<String, Error>, limit: u32) -> bool {
    let says = format!("limits.queue = {limit}");
    matches!(answer, Err(error) if error.kind() == ErrorKind::Unavailable
        && error.message().contains(&says))
}

/// A call that waits in the line, as soon as there is room in it.
async fn in_line<'a>(
    guest: &'a Guest,
    key: &'a str,
) -> Pin<Box<dyn Future<Output = Result<String, Error>> + 'a>> {
    loop {
        let mut call = Box::pin(ask(guest, key));
        match poll!(&mut call) {
            Poll::Pending => return call,
            Poll::Ready(answer) => assert!(is_busy(&answer, 1), "{answer:?}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_caller_of_many_that_goes_away_takes_its_instance_and_nothing_else() {
    let limits = limits(|limits| limits.instances = instances(1));
    let guest = load(&engine(), MANY, limits).await;
    assert_eq!(ask(&guest, "count").await.as_deref(), Ok("1"));
    assert_eq!(ask(&guest, "count").await.as_deref(), Ok("2"));
    for _ in 0..100 {
        let mut call = Box::pin(ask(&guest, "block:86400000"));
        assert!(poll!(&mut call).is_pending());
        drop(call);
        // The only permit is free again, and a new instance serves.
        assert_eq!(ask(&guest, "count").await.as_deref(), Ok("1"));
    }
}

#[tokio::test]
async fn a_call_into_the_one_instance_is_carried_to_its_end_without_its_caller() {
    let guest = load(&engine(), ONE, Limits::default()).await;
    store(&guest, "k:a", "kept").await.unwrap();
    let mut call = Box::pin(ask_all(&guest, &["block:20", "grow:3000"]));
    assert!(poll!(&mut call).is_pending());
    drop(call);
    // What came after the wait happened too, in the same instance.
    assert_eq!(ask(&guest, "grow:1").await.as_deref(), Ok("3001"));
    assert_eq!(ask(&guest, "k:a").await.as_deref(), Ok("kept"));
}

#[tokio::test]
async fn a_caller_that_leaves_the_line_makes_room_in_it() {
    for guest in [MANY, ONE] {
        let limits = limits(|limits| {
            limits.instances = instances(1);
            limits.queue = queue(1);
        });
        let guest = load(&engine(), guest, limits).await;
        let mut running = Box::pin(ask(&guest, "block:20"));
        assert!(poll!(&mut running).is_pending());
        for _ in 0..3 {
            let waiting = in_line(&guest, "echo:first").await;
            assert!(is_busy(&ask(&guest, "echo:second").await, 1));
            drop(waiting);
        }
        let waiting = in_line(&guest, "echo:last").await;
        let (ran, waited) = tokio::join!(running, waiting);
        assert_eq!((ran.as_deref(), waited.as_deref()), (Ok("slept"), Ok("last")));
    }
}

/// A future may be polled once and then left lying, as those in a `select!` or
/// a buffered stream are while its body waits for something else.
#[tokio::test]
async fn a_caller_that_stops_polling_its_call_holds_nobody_up() {
    for guest in [MANY, ONE] {
        let limits = limits(|limits| limits.instances = instances(1));
        let guest = load(&engine(), guest, limits).await;
        let mut running = Box::pin(ask(&guest, "block:20"));
        let mut waiting = Box::pin(ask(&guest, "echo:waited"));
        assert!(poll!(&mut running).is_pending());
        assert!(poll!(&mut waiting).is_pending());
        assert_eq!(ask(&guest, "echo:served").await.as_deref(), Ok("served"));
        // They lost nothing by it.
        assert_eq!(running.await.as_deref(), Ok("slept"));
        assert_eq!(waiting.await.as_deref(), Ok("waited"));
    }
}

#[tokio::test]
async fn one_caller_more_than_the_queue_holds_is_turned_away_at_once() {
    for guest in [MANY, ONE] {
        for length in [0, 1, 7] {
            let limits = limits(|limits| {
                limits.instances = instances(1);
                limits.queue = queue(length);
            });
            let guest = load(&engine(), guest, limits).await;
            let mut running = Box::pin(ask(&guest, "block:20"));
            assert!(poll!(&mut running).is_pending());
            let mut waiting: Vec<_> =
                (0..length).map(|_| Box::pin(ask(&guest, "echo:served"))).collect();
            for call in &mut waiting {
                assert!(poll!(call).is_pending());
            }
            assert!(is_busy(&ask(&guest, "echo:too late").await, length));
            assert_eq!(running.await.as_deref(), Ok("slept"));
            for call in waiting {
                assert_eq!(call.await.as_deref(), Ok("served"));
            }
            assert_eq!(ask(&guest, "echo:again").await.as_deref(), Ok("again"));
        }
    }
}

#[tokio::test]
async fn accepted_calls_end_before_a_provider_stops_and_later_ones_are_refused() {
    for guest in [MANY, ONE] {
        let guest = load(&engine(), guest, Limits::default()).await;
        let mut running = Box::pin(ask(&guest, "block:20"));
        assert!(poll!(&mut running).is_pending());
        let mut stopping = Box::pin(guest.stop());
        assert!(poll!(&mut stopping).is_pending());
        let (ran, stopped) = tokio::join!(running, stopping);
        assert_eq!(ran.as_deref(), Ok("slept"));
        assert!(stopped.is_ok());
        let late = ask(&guest, "echo:late").await.unwrap_err();
        assert_eq!(late.kind().as_str(), "unavailable");
        assert!(late.message().contains("stopped"), "{}", late.message());
        assert!(guest.stop().await.is_ok());
    }
}
