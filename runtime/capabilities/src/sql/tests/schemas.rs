//! Migrations, and the role by which the server enforces the same.

use std::sync::Arc;

use stheno_config::{SqlName, SqlUrl};
use stheno_contracts::sql::Migration;
use stheno_test_support::PostgresServer;

use super::super::role_lines;
use super::{ask, bound, grant, own, server};

fn migration(name: &str, statements: &[&str]) -> Migration {
    Migration {
        name: name.to_owned(),
        statements: statements.iter().map(|&it| it.to_owned()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_are_applied_once_however_many_ask() {
    let grant = own("migrated_once");
    let all = || {
        vec![
            migration("1-table", &["CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)"]),
            migration("2-more", &["INSERT INTO t VALUES (2)", "CREATE INDEX i ON t (n)"]),
        ]
    };
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            // As different hosts would.
            let binding = bound(grant.clone());
            tokio::spawn(async move { binding.migrate(all()).await })
        })
        .collect();
    let mut applied = 0;
    for task in tasks {
        applied += task.await.unwrap().unwrap();
    }
    assert_eq!(applied, 2);
    let binding = bound(grant);
    assert_eq!(ask(&binding, "SELECT count(*) FROM t").await, "Value::Int(2)");
    let mut more = all();
    more.push(migration("3-third", &["INSERT INTO t VALUES (3)"]));
    assert_eq!(binding.migrate(more).await.unwrap(), 1);
    // One that reads differently now is an error, and nothing behind it is applied.
    let changed = vec![
        migration("1-table", &["CREATE TABLE t (n int)", "INSERT INTO t VALUES (9)"]),
        migration("4-never", &["INSERT INTO t VALUES (4)"]),
    ];
    let error = binding.migrate(changed).await.unwrap_err();
    assert!(error.kind() == "conflict" && error.message().contains("1-table"), "{error:?}");
    assert_eq!(ask(&binding, "SELECT count(*) FROM t").await, "Value::Int(3)");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing() {
    let binding = bound(own("migrated_never"));
    let half = || {
        vec![
            migration("1", &["CREATE TABLE t (n int)"]),
            migration("2", &["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES ('x')"]),
        ]
    };
    let error = binding.migrate(half()).await.unwrap_err();
    assert!(error.message().starts_with("migration \"2\": 22P02"), "{error:?}");
    assert!(ask(&binding, "SELECT * FROM t").await.contains("does not exist"));
    for (wrong, kind) in [
        (vec![migration("", &[])], "invalid-argument"),
        (vec![migration("a b", &[])], "invalid-argument"),
        (vec![migration("a", &[]), migration("a", &[])], "invalid-argument"),
        (vec![migration("a", &["CREATE TABLE other.t (n int)"])], "denied"),
        (vec![migration("a", &["CREATE TABLE a (n int); DROP TABLE b"])], "denied"),
        (vec![migration("a", &["DROP TABLE stheno_migrations"])], "denied"),
    ] {
        assert_eq!(binding.migrate(wrong).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn the_printed_lines_make_a_role_that_cannot_leave_its_schema_either() {
    let server = PostgresServer::start();
    server.make("CREATE SCHEMA other; CREATE TABLE other.secret AS SELECT 's3cret' AS word");
    server.make("CREATE TABLE public.open AS SELECT 's3cret' AS word");
    for (user, role) in [("limited", None), ("login", Some("acting"))] {
        let url = server.url_of(&format!("{user}:hunter2"));
        let mut limited = grant(&url, &format!("{user}_schema"));
        limited.role = role.map(|role| SqlName::new(role).unwrap());
        let lines = role_lines(&limited);
        assert!(!lines.contains("hunter2"), "{lines}");
        let refused = ask(&bound(limited.clone()), "SELECT 1").await;
        assert!(refused.starts_with("unavailable: "), "{refused}");
        server.make(&lines.replace("'PASSWORD'", "'hunter2'"));
        let binding = bound(limited.clone());
        let made = binding.migrate(vec![migration("1", &["CREATE TABLE t (n int)"])]).await;
        assert_eq!(made.unwrap(), 1);
        assert_eq!(ask(&binding, "SELECT count(*) FROM t").await, "Value::Int(0)");
        // Beyond it nothing is to be had, whoever asks.
        let acting = role.unwrap_or(user);
        for beyond in [
            "TABLE other.secret",
            "TABLE public.open",
            "CREATE TABLE public.t (n int)",
            "CREATE TEMP TABLE t (n int)",
            "CREATE SCHEMA x",
            "CREATE ROLE x",
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "SELECT pg_read_file('PG_VERSION')",
            "SELECT lo_import('/etc/passwd')",
            "SET SESSION AUTHORIZATION postgres",
            "SET ROLE postgres",
        ] {
            let answer = server.refused(user, &format!("SET ROLE {acting}"), beyond);
            let refused = ["permission denied", "must be superuser"];
            assert!(refused.iter().any(|text| answer.contains(text)), "{beyond}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_schema_or_role_that_is_not_there_says_what_makes_it() {
    let nobody = grant(&server().url_of("nobody"), "postgres");
    let refused = ask(&bound(nobody), "SELECT 1").await;
    assert!(refused.contains("does not take the user and password"), "{refused}");
    let none = grant(&server().url(), "no_schema");
    let refused = ask(&bound(none), "SELECT 1").await;
    assert!(
        refused.contains("no schema \"no_schema\"") && refused.contains("stheno acl"),
        "{refused}"
    );
    let mut role = own("with_a_role");
    role.role = Some(SqlName::new("no_role").unwrap());
    let refused = ask(&bound(role), "SELECT 1").await;
    assert!(refused.contains("no role \"no_role\""), "{refused}");
    let elsewhere = format!("postgres://postgres@127.0.0.1:{}/nowhere", server().port());
    let mut database = own("in_a_database");
    database.url = SqlUrl::new(&elsewhere).unwrap();
    let refused = ask(&bound(database), "SELECT 1").await;
    assert!(refused.contains("a database that is not there"), "{refused}");
}

#[tokio::test]
async fn a_socket_serves_as_well() {
    server().make_schema("by_socket");
    let folder = server().socket_folder().display().to_string();
    let port = server().port();
    // The port names the socket, and stands behind a host that is none.
    let url = format!("postgres://by_socket@:{port}/postgres?host={folder}");
    let binding = bound(grant(&url, "by_socket"));
    assert_eq!(ask(&Arc::clone(&binding), "SELECT 1").await, "Value::Int(1)");
}
