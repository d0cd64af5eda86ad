//! Limits, deadlines, and servers that do not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stheno_config::{
    ByteSize, SqlConnections, SqlInFlight, SqlMaxBytes, SqlMaxRows, SqlMaxStatement, SqlOperations,
    SqlStatementTimeout, SqlTransactions,
};
use stheno_contracts::sql::Value;
use stheno_test_support::{PostgresServer, until};

use super::super::bindings::Binding;
use super::super::transaction::Transaction;
use super::{ask, ask_with, bound, grant, migrated, own, plain, server};

const ENDLESS: &str = "SELECT count(*) FROM (SELECT generate_series(1, 100000000000)) AS s";

fn timeout(millis: u64) -> SqlStatementTimeout {
    SqlStatementTimeout::new(Duration::from_millis(millis)).unwrap()
}

/// How many statements of this role the server is at, beside those that wait.
fn active(role: &str) -> String {
    server().ask(&format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' AND state = 'active'"
    ))
}

#[tokio::test]
async fn limits_are_met_with_the_key_that_names_them() {
    let mut small = own("limits");
    small.operations_per_second = SqlOperations::new(3).unwrap();
    let binding = bound(small.clone());
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(ask(&binding, "SELECT 1").await);
    }
    assert_eq!(answers[..3], ["Value::Int(1)"; 3]);
    assert!(
        answers[4].starts_with("unavailable: more than operations_per_second = 3"),
        "{answers:?}"
    );

    small.operations_per_second = SqlOperations::default();
    small.max_rows = SqlMaxRows::new(3).unwrap();
    small.max_bytes = SqlMaxBytes::new(ByteSize::kib(1)).unwrap();
    small.max_statement = SqlMaxStatement::new(ByteSize::kib(1)).unwrap();
    small.connections = SqlConnections::new(1).unwrap();
    let binding = bound(small);
    let rows = |count| format!("SELECT generate_series(1, {count})");
    assert_eq!(ask(&binding, &rows(3)).await, "Value::Int(1) Value::Int(2) Value::Int(3)");
    for (text, why) in [
        (rows(4), "max_rows"),
        (rows(1_000_000_000_u64), "max_rows"),
        ("SELECT repeat('x', 1100)".into(), "max_bytes"),
        ("SELECT repeat('x', 1000000)".into(), "max_bytes"),
        ("SELECT repeat('x', 50000000)".into(), "max_bytes"),
        (format!("SELECT {}1", " ".repeat(1024)), "max_statement"),
    ] {
        let begun = Instant::now();
        let answer = ask(&binding, &text).await;
        assert!(
            answer.starts_with("invalid-argument: ") && answer.contains(why),
            "{text}: {answer}"
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{text}");
        assert_eq!(ask(&binding, "SELECT 1").await, "Value::Int(1)", "{text}");
    }
    let long = vec![Value::Text("x".repeat(1024))];
    let answer = ask_with(&binding, "SELECT $1::text", long).await;
    assert!(answer.starts_with("invalid-argument: ") && answer.contains("max_bytes"), "{answer}");
    // Rows that nobody wants have no limit.
    assert_eq!(binding.execute(plain(&rows(1000))).await.unwrap(), 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_without_end_is_stopped_and_costs_its_deadline_alone() {
    let mut short = own("endless");
    short.statement_timeout = timeout(300);
    short.connections = SqlConnections::new(1).unwrap();
    let binding = bound(short);
    for _ in 0..2 {
        let begun = Instant::now();
        let answer = ask(&binding, ENDLESS).await;
        assert!(answer.starts_with("timeout: "), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(3));
        assert_eq!(ask(&binding, "SELECT 1").await, "Value::Int(1)");
    }
    assert_eq!(active("endless"), "0");
    // In a transaction as well.
    let mut transaction = Transaction::begin(Arc::clone(&binding)).await.unwrap();
    assert_eq!(transaction.query(plain(ENDLESS)).await.unwrap_err().kind(), "timeout");
    drop(transaction);
    assert_eq!(ask(&binding, "SELECT 1").await, "Value::Int(1)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_takes_its_statement_with_it() {
    let mut one = own("goes_away");
    one.connections = SqlConnections::new(1).unwrap();
    one.statement_timeout = timeout(60_000);
    let binding = bound(one);
    assert_eq!(ask(&binding, "SELECT 1").await, "Value::Int(1)");
    let begun = Instant::now();
    let left = tokio::spawn({
        let binding = Arc::clone(&binding);
        async move { ask(&binding, ENDLESS).await }
    });
    while active("goes_away") != "1" {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not begin");
    }
    left.abort();
    assert_eq!(ask(&binding, "SELECT 1").await, "Value::Int(1)");
    while active("goes_away") != "0" {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_are_at_work_than_was_granted() {
    let mut small = own("at_work");
    small.in_flight = SqlInFlight::new(2).unwrap();
    small.transactions = SqlTransactions::new(1).unwrap();
    small.connections = SqlConnections::new(2).unwrap();
    small.statement_timeout = timeout(500);
    let binding = bound(small);
    let held = Transaction::begin(Arc::clone(&binding)).await.unwrap();
    let refused = Transaction::begin(Arc::clone(&binding)).await.err().unwrap();
    assert!(refused.message().starts_with("more than transactions = 1"), "{refused:?}");
    assert_eq!(ask(&binding, "SELECT 1").await, "Value::Int(1)");
    let many: Vec<_> = (0..3)
        .map(|_| {
            let binding = Arc::clone(&binding);
            tokio::spawn(async move { ask(&binding, ENDLESS).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in many {
        answers.push(task.await.unwrap());
    }
    answers.sort();
    assert!(answers[0].starts_with("timeout: ") && answers[1].starts_with("timeout: "));
    assert!(answers[2].starts_with("unavailable: more than in_flight = 2"), "{answers:?}");
    held.roll_back().await;
    let connections =
        server().ask("SELECT count(*) <= 2 FROM pg_stat_activity WHERE usename = 'at_work'");
    assert_eq!(connections, "t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_or_hangs_is_told_in_time_and_comes_back_by_itself() {
    let mut server = PostgresServer::start();
    server.make_schema("dies");
    let mut short = grant(&server.url_of("dies"), "dies");
    short.statement_timeout = timeout(400);
    let binding = bound(short);
    let within = Duration::from_secs(3);
    let all_well = async |binding: &Arc<Binding>| {
        let read = async || ask(binding, "SELECT n FROM t").await == "Value::Int(1)";
        until("it does not come back", read).await;
        let mut transaction = Transaction::begin(Arc::clone(binding)).await.unwrap();
        transaction.execute(plain("UPDATE t SET n = 1")).await.unwrap();
        transaction.commit().await.unwrap();
    };
    migrated(&binding, &["CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)"]).await;
    all_well(&binding).await;
    for _ in 0..2 {
        let mut open = Transaction::begin(Arc::clone(&binding)).await.unwrap();
        server.kill();
        assert_eq!(open.execute(plain("SELECT 1")).await.unwrap_err().kind(), "unavailable");
        for _ in 0..3 {
            let begun = Instant::now();
            let answer = ask(&binding, "SELECT n FROM t").await;
            assert!(answer.starts_with("unavailable: "), "{answer}");
            assert!(begun.elapsed() < within);
        }
        server.start_again();
        all_well(&binding).await;
        server.hang();
        for _ in 0..3 {
            let begun = Instant::now();
            let answer = ask(&binding, "SELECT n FROM t").await;
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
