//! Bindings against a real server.

mod attacks;
mod failures;
mod parser;
mod schemas;

use std::sync::{Arc, OnceLock};

use stheno_config::{Grants, SqlGrant, SqlName, SqlUrl, StoreLabel};
use stheno_contracts::sql::{Statement, Value};
use stheno_test_support::PostgresServer;

use super::bindings::{Binding, Sql};
use super::transaction::Transaction;
use crate::Denials;

/// The server of the tests that do not stop it.
fn server() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(PostgresServer::start)
}

fn grant(url: &str, schema: &str) -> SqlGrant {
    SqlGrant::new(SqlUrl::new(url).unwrap(), SqlName::new(schema).unwrap())
}

/// A grant of a schema that is made for it, on the server of all.
fn own(schema: &str) -> SqlGrant {
    server().make_schema(schema);
    grant(&server().url_of(schema), schema)
}

fn sql(grant: SqlGrant) -> Sql {
    let mut grants = Grants::default();
    grants.add_sql(StoreLabel::new("default").unwrap(), grant);
    Sql::granted_by(&Denials::of(&"test".into()), &grants)
}

fn bound(grant: SqlGrant) -> Arc<Binding> {
    sql(grant).open("default").unwrap()
}

fn with(text: &str, parameters: Vec<Value>) -> Statement {
    Statement { text: text.to_owned(), parameters }
}

fn plain(text: &str) -> Statement {
    with(text, Vec::new())
}

fn shown(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" ")
}

async fn ask_with(binding: &Binding, text: &str, parameters: Vec<Value>) -> String {
    match binding.query(with(text, parameters)).await {
        Ok(outcome) => shown(&outcome.values),
        Err(error) => format!("{}: {}", error.kind(), error.message()),
    }
}

async fn ask(binding: &Binding, text: &str) -> String {
    ask_with(binding, text, Vec::new()).await
}

async fn migrated(binding: &Binding, statements: &[&str]) {
    let migration = stheno_contracts::sql::Migration {
        name: "test".into(),
        statements: statements.iter().map(|&it| it.to_owned()).collect(),
    };
    binding.migrate(vec![migration]).await.unwrap();
}

#[tokio::test]
async fn a_value_comes_back_as_it_went() {
    let binding = bound(own("values_there_and_back"));
    let uuid = "01a20b47-3626-7ad6-8000-000000000001".to_owned();
    let texts = ["plain", "with \"quotes\" and \\", "{a,b}", "", "NULL", " ü "];
    let texts: Vec<Option<String>> =
        texts.iter().map(|&it| Some(it.to_owned())).chain([None]).collect();
    for (ty, value) in [
        ("bool", Value::Boolean(true)),
        ("bool", Value::Boolean(false)),
        ("smallint", Value::Int(-7)),
        ("integer", Value::Int(i64::from(i32::MIN))),
        ("bigint", Value::Int(i64::MAX)),
        ("bigint", Value::Int(i64::MIN)),
        ("real", Value::Float(1.5)),
        ("double precision", Value::Float(-0.1)),
        ("double precision", Value::Float(f64::INFINITY)),
        ("double precision", Value::Float(f64::MAX)),
        ("text", Value::Text("it's; \\ \"x\" $1 -- ü".into())),
        ("varchar(5)", Value::Text("abc".into())),
        ("bytea", Value::Bytes((0..=255).collect())),
        ("jsonb", Value::Json("{\"a\": [1, null]}".into())),
        ("json", Value::Json("{ \"a\":1 }".into())),
        ("timestamptz", Value::Timestamp(0)),
        ("timestamptz", Value::Timestamp(-1)),
        ("timestamptz", Value::Timestamp(1_732_000_000_123)),
        ("timestamp", Value::Timestamp(1_732_000_000_123)),
        ("timestamptz", Value::Timestamp(i64::MAX)),
        ("timestamptz", Value::Timestamp(i64::MIN)),
        ("uuid", Value::Uuid(uuid)),
        ("text[]", Value::Texts(texts)),
        ("text[]", Value::Texts(Vec::new())),
        ("bigint[]", Value::Ints(vec![Some(1), None, Some(i64::MIN)])),
        ("integer[]", Value::Ints(vec![Some(-1)])),
        ("text", Value::Null),
        ("bigint[]", Value::Null),
    ] {
        let text = format!("SELECT $1::{ty}");
        let back = ask_with(&binding, &text, vec![value.clone()]).await;
        assert_eq!(back, shown(&[value]), "{ty}");
    }
    // What is below a millisecond is cut off, before 1970 too.
    let cut = "SELECT '1969-12-31T23:59:59.9995Z'::timestamptz";
    assert_eq!(ask(&binding, cut).await, "Value::Timestamp(-1)");
}

#[tokio::test]
async fn a_value_of_another_type_is_refused_before_anything_is_done() {
    let binding = bound(own("values_of_other_types"));
    migrated(&binding, &["CREATE TABLE t (n bigint, b bytea)"]).await;
    for (text, parameters, why) in [
        ("INSERT INTO t (n) VALUES ($1)", vec![], "takes 1 parameters"),
        ("INSERT INTO t (n) VALUES ($1)", vec![Value::Int(1); 2], "takes 1 parameters"),
        ("INSERT INTO t (n) VALUES ($1)", vec![Value::Boolean(true)], "$1 is boolean"),
        ("INSERT INTO t (n) VALUES ($1)", vec![Value::Float(1.0)], "$1 is float"),
        ("INSERT INTO t (b) VALUES ($1)", vec![Value::Text("a".into())], "$1 is text"),
        (
            "INSERT INTO t (n) VALUES ($1)",
            vec![Value::Text("x".into())],
            "22P02 invalid input syntax: a text does not have the form of its type",
        ),
        ("INSERT INTO t (n) VALUES (1) RETURNING n::numeric", vec![], "write it as ::text"),
        ("INSERT INTO t (n) VALUES (1) RETURNING '{{1},{2}}'::int[]", vec![], "cannot be read"),
        ("SELECT $1::timestamptz", vec![Value::Timestamp(i64::MAX - 1)], "out of range"),
        ("SELECT FROM WHERE", vec![], "syntax error"),
        ("SELECT nothing FROM t", vec![], "does not exist"),
    ] {
        let answer = ask_with(&binding, text, parameters).await;
        assert!(
            answer.starts_with("invalid-argument: ") && answer.contains(why),
            "{text}: {answer}"
        );
    }
    // The one that was read in part was made.
    assert_eq!(ask(&binding, "SELECT count(*) FROM t").await, "Value::Int(1)");
    assert_eq!(ask(&binding, "SELECT 1").await, "Value::Int(1)");
}

#[tokio::test]
async fn errors_of_the_server_have_a_kind() {
    let binding = bound(own("kinds_of_errors"));
    migrated(
        &binding,
        &["CREATE TABLE t (n int PRIMARY KEY CHECK (n > 0), m int REFERENCES t (n), x int NOT NULL)"],
    )
    .await;
    server().make("CREATE TABLE kinds_of_errors.foreign_owned (n int)");
    let one = "INSERT INTO t (n, x) VALUES (1, 1)";
    assert_eq!(ask(&binding, one).await, "");
    for (text, kind) in [
        (one, "conflict: 23505"),
        ("INSERT INTO t (n, x) VALUES (0, 1)", "conflict: 23514"),
        ("INSERT INTO t (n, m, x) VALUES (2, 9, 1)", "conflict: 23503"),
        ("INSERT INTO t (n) VALUES (2)", "conflict: 23502"),
        ("SELECT * FROM foreign_owned", "denied: "),
        ("SELECT 1 / 0", "invalid-argument: 22012"),
    ] {
        let answer = ask(&binding, text).await;
        assert!(answer.starts_with(kind), "{text}: {answer}");
        assert!(!answer.contains("(1)"), "{answer}");
    }
    assert_eq!(binding.execute(plain("UPDATE t SET x = 2")).await.unwrap(), 1);
    let outcome = binding.query(plain("SELECT n AS one, x FROM t")).await.unwrap();
    assert_eq!((outcome.columns, outcome.affected), (vec!["one".into(), "x".into()], 1));
}

#[tokio::test]
async fn a_batch_is_made_whole_or_not_at_all() {
    let binding = bound(own("batches"));
    migrated(&binding, &["CREATE TABLE t (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)"]).await;
    let insert = |n| with("INSERT INTO t (n) VALUES ($1) RETURNING n", vec![Value::Int(n)]);
    let outcomes = binding.batch(vec![insert(1), insert(2), plain("SELECT n FROM t ORDER BY n")]);
    let outcomes: Vec<_> =
        outcomes.await.unwrap().iter().map(|outcome| shown(&outcome.values)).collect();
    assert_eq!(outcomes, ["Value::Int(1)", "Value::Int(2)", "Value::Int(1) Value::Int(2)"]);
    let failed =
        binding.batch(vec![insert(3), plain("SELECT 1 / 0"), insert(4)]).await.unwrap_err();
    assert!(failed.message().starts_with("22012"), "{failed:?}");
    // What is only found out at the end undoes it too.
    let failed = binding.batch(vec![insert(3), insert(1)]).await.unwrap_err();
    assert_eq!(failed.kind(), "conflict", "{failed:?}");
    let denied = binding.batch(vec![insert(3), plain("COMMIT")]).await.unwrap_err();
    assert_eq!(denied.kind(), "denied", "{denied:?}");
    assert_eq!(ask(&binding, "SELECT count(*) FROM t").await, "Value::Int(2)");
    assert!(binding.batch(vec![]).await.is_err());
    let many: Vec<_> = (10..1_010).map(insert).collect();
    assert_eq!(binding.batch(many).await.unwrap().len(), 1_000);
}

#[tokio::test]
async fn a_transaction_is_kept_only_if_it_says_so() {
    let mut one = own("transactions");
    one.transactions = stheno_config::SqlTransactions::new(1).unwrap();
    let binding = bound(one);
    migrated(&binding, &["CREATE TABLE t (n int PRIMARY KEY)"]).await;
    let insert = |n| with("INSERT INTO t (n) VALUES ($1)", vec![Value::Int(n)]);
    let mut kept = Transaction::begin(Arc::clone(&binding)).await.unwrap();
    kept.execute(insert(1)).await.unwrap();
    assert_eq!(ask(&binding, "SELECT count(*) FROM t").await, "Value::Int(0)");
    kept.commit().await.unwrap();
    let mut left = Transaction::begin(Arc::clone(&binding)).await.unwrap();
    left.execute(insert(2)).await.unwrap();
    drop(left);
    let mut back = Transaction::begin(Arc::clone(&binding)).await.unwrap();
    back.execute(insert(3)).await.unwrap();
    back.roll_back().await;
    let mut broken = Transaction::begin(Arc::clone(&binding)).await.unwrap();
    broken.execute(insert(4)).await.unwrap();
    assert_eq!(broken.execute(insert(1)).await.unwrap_err().kind(), "conflict");
    let after = broken.execute(insert(5)).await.unwrap_err();
    assert!(after.message().starts_with("25P02"), "{after:?}");
    assert!(broken.commit().await.unwrap_err().message().contains("rolled back"));
    let mut denied = Transaction::begin(Arc::clone(&binding)).await.unwrap();
    for text in ["COMMIT", "SET ROLE postgres", "SELECT set_config('role', 'postgres', true)"] {
        assert_eq!(denied.query(plain(text)).await.unwrap_err().kind(), "denied", "{text}");
    }
    // What was not sent costs nothing.
    denied.execute(insert(6)).await.unwrap();
    denied.commit().await.unwrap();
    assert_eq!(ask(&binding, "SELECT n FROM t ORDER BY n").await, "Value::Int(1) Value::Int(6)");
}

#[tokio::test]
async fn a_session_that_was_changed_is_thrown_away() {
    let mut one = own("changed_sessions");
    one.connections = stheno_config::SqlConnections::new(1).unwrap();
    let binding = bound(one);
    let session = "SELECT count(*) FROM only_here";
    migrated(&binding, &["CREATE TABLE only_here (n int)"]).await;
    for change in [
        "SET search_path = public",
        "RESET search_path",
        "SET standard_conforming_strings = off",
        "SET statement_timeout = 0",
        "SET client_encoding = 'SQL_ASCII'",
        "SET TimeZone = 'Europe/Rome'",
    ] {
        let transaction = Transaction::begin(Arc::clone(&binding)).await.unwrap();
        transaction.behind_its_back(change).await;
        let error = transaction.commit().await.unwrap_err();
        assert_eq!(error.kind(), "internal", "{error:?}");
        assert_eq!(ask(&binding, session).await, "Value::Int(0)");
    }
}

#[tokio::test]
async fn a_check_reaches_no_server() {
    let mut grants = Grants::default();
    grants.add_sql(StoreLabel::new("default").unwrap(), grant("postgres://a@127.0.0.1:1/d", "a"));
    let sql = Sql::out_of_reach(&Denials::of(&"test".into()), &grants);
    let binding = sql.open("default").unwrap();
    assert!(ask(&binding, "SELECT 1").await.contains("no server is reached"));
    assert!(ask(&binding, "SET ROLE x").await.starts_with("denied: "));
    assert_eq!(binding.denials.count(), 1);
    migrated(&binding, &["CREATE TABLE t (n int)"]).await;
    assert!(sql.open("other").err().unwrap().message().contains("grants.sql.other = {"));
    assert!(sql.open("no label").is_err());
}
