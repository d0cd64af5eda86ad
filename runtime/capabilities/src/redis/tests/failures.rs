//! Quotas, deadlines, and servers that do not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stheno_config::{
    ByteSize, RedisConnections, RedisInFlight, RedisMaxBytes, RedisOperations, RedisTimeout,
};
use stheno_contracts::redis::Condition;
use stheno_test_support::{RedisServer, until};

use super::super::bindings::Binding;
use super::{ask, bound, grant, server, words};

#[tokio::test]
async fn quotas_are_met_with_the_key_that_names_them() {
    let mut small = grant(&server().url(), "quota:");
    small.operations_per_second = RedisOperations::new(3).unwrap();
    let binding = bound(small);
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(ask(&binding, "PING").await);
    }
    assert_eq!(answers[..3], ["PONG"; 3]);
    assert!(
        answers[4].starts_with("unavailable: more than operations_per_second = 3"),
        "{answers:?}"
    );

    let mut small = grant(&server().url(), "quota:");
    small.max_bytes = RedisMaxBytes::new(ByteSize::kib(1)).unwrap();
    let binding = bound(small);
    let long = "x".repeat(1024);
    let refused = ask(&binding, &format!("SET k {long}")).await;
    assert!(
        refused.starts_with("invalid-argument: ") && refused.contains("max_bytes"),
        "{refused}"
    );
    // A reply that is larger does not come in, and the next one does.
    server().client().call(&["DEL", "quota:k"]);
    for length in ["500", "1000", "1500"] {
        assert_eq!(ask(&binding, &format!("APPEND k {}", &long[..500])).await, length);
    }
    let refused = ask(&binding, "GET k").await;
    assert!(refused.starts_with("unavailable: ") && refused.contains("max_bytes"), "{refused}");
    assert_eq!(ask(&binding, "STRLEN k").await, "1500");
    assert_eq!(ask(&binding, "SETRANGE k 536870000 x").await, "536870001");
    assert!(ask(&binding, "GETDEL k").await.contains("max_bytes"));

    let mut small = grant(&server().url(), "quota:");
    small.in_flight = RedisInFlight::new(1).unwrap();
    let binding = bound(small);
    let waiting = binding.call(words("BLPOP in-flight 5"));
    tokio::pin!(waiting);
    assert!(futures_poll(&mut waiting).await.is_none());
    let refused = ask(&binding, "PING").await;
    assert!(refused.starts_with("unavailable: more than in_flight = 1"), "{refused}");
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_holds_up_nobody_and_who_waits_for_a_connection_gets_one() {
    let mut small = grant(&server().url(), "wait:");
    small.connections = RedisConnections::new(1).unwrap();
    let binding = bound(small);
    let waiting = tokio::spawn({
        let binding = Arc::clone(&binding);
        async move { ask(&binding, "BLPOP list 30").await }
    });
    let mut client = server().client();
    while !client.text(&["CLIENT", "LIST"]).contains("cmd=blpop") {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&binding, "SET k v").await, "OK");
    // In company it would hold up the others.
    let error = binding.pipeline(vec![words("BLPOP list 1"), words("PING")]).await.unwrap_err();
    assert_eq!(error.kind(), "invalid-argument");
    let second = tokio::spawn({
        let binding = Arc::clone(&binding);
        async move { ask(&binding, "BRPOP list 1").await }
    });
    assert_eq!(ask(&binding, "RPUSH list a b").await, "2");
    assert_eq!(waiting.await.unwrap(), "[2] list a");
    assert_eq!(second.await.unwrap(), "[2] list b");
    // Who goes away leaves a connection that nobody gets.
    let left =
        tokio::time::timeout(Duration::from_millis(50), ask(&binding, "BLPOP list 30")).await;
    assert!(left.is_err());
    // What is pushed before the server has seen that one go would go with it.
    while client.text(&["CLIENT", "LIST"]).contains("cmd=blpop") {
        tokio::task::yield_now().await;
    }
    ask(&binding, "RPUSH list c").await;
    assert_eq!(ask(&binding, "BLPOP list 1").await, "[2] list c");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_or_hangs_is_told_in_time_and_comes_back_by_itself() {
    let mut server = RedisServer::start();
    let mut short = grant(&server.url(), "dies:");
    short.timeout = RedisTimeout::new(Duration::from_millis(300)).unwrap();
    let binding = bound(short);
    let within = Duration::from_secs(3);
    let all_well = async |binding: &Binding| {
        let set = async || ask(binding, "SET k v").await == "OK";
        until("it does not come back", set).await;
        assert_eq!(ask(binding, "BLPOP none 0.01").await, "nil");
        let condition = Condition { key: b"k".to_vec(), value: Some(b"v".to_vec()) };
        assert!(binding.transaction(vec![condition], vec![words("SET k v")]).await.is_ok());
    };
    all_well(&binding).await;
    for _ in 0..2 {
        server.kill();
        for command in ["GET k", "BLPOP none 0.01"] {
            let begun = Instant::now();
            let answer = ask(&binding, command).await;
            assert!(answer.starts_with("unavailable: "), "{answer}");
            assert!(begun.elapsed() < within);
        }
        server.start_again();
        all_well(&binding).await;
        server.hang();
        for command in ["GET k", "BLPOP none 0.01", "GET k", "GET k"] {
            let begun = Instant::now();
            let answer = ask(&binding, command).await;
            assert!(
                answer.starts_with("timeout: ") || answer.starts_with("unavailable: "),
                "{answer}"
            );
            assert!(begun.elapsed() < within);
        }
        server.go_on();
        all_well(&binding).await;
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_connection_to_the_others() {
    let binding = bound(grant(&server().url(), "leaves:"));
    ask(&binding, "PING").await;
    let id = |binding: &Arc<Binding>| {
        let binding = Arc::clone(binding);
        async move { ask(&binding, "SET k v").await }
    };
    let clients = || {
        server()
            .client()
            .text(&["INFO", "stats"])
            .lines()
            .find(|line| line.starts_with("total_connections_received"))
            .unwrap()
            .to_owned()
    };
    let number = |line: String| line.rsplit(':').next().unwrap().trim().parse::<u64>().unwrap();
    let before = number(clients());
    for _ in 0..100 {
        let mut left = Box::pin(id(&binding));
        let _ = futures_poll(&mut left).await;
        drop(left);
        assert_eq!(id(&binding).await, "OK");
    }
    // One is the test's own; others run beside it.
    assert!(number(clients()) - before < 60, "a connection was made for each");
}
