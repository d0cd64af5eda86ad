//! SQL: nothing without a grant, and with one what is in the schema.

use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use stheno::Runtime;
use stheno::config::{
    ByteSize, Config, Limits, SqlConnections, SqlGrant, SqlMaxBytes, SqlName, SqlStatementTimeout,
    SqlTransactions, SqlUrl, StoreLabel,
};
use stheno_engine::{Aspect, LoadError};
use stheno_hostile::{Guest, ask, denied, terms, try_load};
use stheno_test_support::PostgresServer;

use crate::engine;

const SQL: &str = "sql-cache";

/// A binding as the superuser: so only the host stands in the way.
async fn granted(server: &PostgresServer, change: impl FnOnce(&mut SqlGrant)) -> Guest {
    let url = SqlUrl::new(&server.url()).unwrap();
    let mut grant = SqlGrant::new(url, SqlName::new("own").unwrap());
    change(&mut grant);
    let mut terms = terms(Limits::default());
    terms.grants.add_sql(StoreLabel::new("default").unwrap(), grant);
    try_load(&engine(), SQL, terms).await.unwrap()
}

fn server_with_secrets(settings: &[&str]) -> PostgresServer {
    let server = PostgresServer::with(settings);
    server.make(
        "CREATE SCHEMA own; CREATE TABLE own.t (n int); INSERT INTO own.t VALUES (1);
         CREATE SCHEMA other; CREATE TABLE other.secret AS SELECT 's3cret' AS word;
         CREATE TABLE public.secret AS SELECT 's3cret' AS word; CREATE ROLE victim",
    );
    server
}

#[tokio::test]
async fn a_component_that_needs_sql_is_refused_without_a_grant() {
    let error = try_load(&engine(), SQL, terms(Limits::default())).await.err().unwrap();
    assert_eq!(error.aspect(), Aspect::Grants);
    let LoadError::MissingGrant { import, line, .. } = &error else { panic!("{error:?}") };
    assert!(import.starts_with("stheno:sql/sql"), "{import}");
    assert!(error.help().contains(line));
}

#[tokio::test]
async fn the_line_that_the_refusal_names_is_the_line_that_grants_sql() {
    let server = PostgresServer::with(&[PostgresServer::LOGS, &["log_connections=on"]].concat());
    server.make_schema("shop_locking");
    let guest = stheno_test_support::guest(SQL);
    let env = |name: &str| (name == "DATABASE_URL").then(|| server.url_of("shop_locking"));
    let config = |line: &str| {
        let text = format!("[modules.cache]\nresolve = \"{}\"\n{line}\n", guest.display());
        Config::parse(&text, "stheno.toml", std::path::Path::new("/"), &env).unwrap()
    };
    let refused = Runtime::builder().config(config("")).build().await.err().unwrap();
    let problem = refused.problems().remove(0);
    assert_eq!(problem.place, "modules.cache.grants");
    let (_, line) = problem.help.split_once("below its module: ").unwrap();
    // A check takes the same line and reaches nobody.
    Runtime::builder().config(config(line)).check().await.unwrap();
    let runtime = Runtime::builder().config(config(line)).build().await.unwrap();
    let connected =
        |lines: Vec<String>| lines.iter().any(|line| line.contains("user=shop_locking"));
    assert!(!connected(server.log()));
    let made = runtime.cache().get_bytes("migrate:CREATE TABLE t (n int)").await.unwrap();
    assert_eq!(made.as_deref(), Some(&b"1"[..]));
    assert!(connected(server.log()));
    assert_eq!(server.ask("SELECT count(*) FROM shop_locking.t"), "0");
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn no_statement_leaves_the_schema_or_changes_the_session() {
    let server = server_with_secrets(PostgresServer::LOGS);
    let guest = granted(&server, |_| {}).await;
    assert!(server.log().iter().any(|line| line.contains("CREATE ROLE victim")));
    assert_eq!(ask(&guest, "query:SELECT n FROM t").await.as_deref(), Ok("1"));
    let mut attacks = 0;
    for attack in [
        "SET ROLE victim",
        "SET LOCAL ROLE victim",
        "SET SESSION AUTHORIZATION victim",
        "RESET ROLE",
        "SET search_path = other",
        "SELECT set_config('search_path', 'other', false)",
        "SELECT SeT_CoNfIg ('role', 'victim', false)",
        "SELECT \"set_config\"('role', 'victim', false)",
        "WITH x AS (SELECT set_config('role', 'victim', false)) SELECT 1 FROM x",
        "SELECT pg_catalog.set_config('role', 'victim', false)",
        "UPDATE pg_settings SET setting = 'other' WHERE name = 'search_path'",
        "SELECT word FROM other.secret",
        "SELECT word FROM other.secret AS other",
        "SELECT word FROM t, other.secret",
        "SELECT word FROM \"other\" . \"secret\"",
        "SELECT word FROM other/*.t*/.secret",
        "SELECT word FROM public.secret",
        "SELECT (SELECT word FROM other.secret)",
        "INSERT INTO other.secret VALUES ('x')",
        "DELETE FROM other.secret",
        "UPDATE other.secret SET word = 'x'",
        "WITH x AS (DELETE FROM other.secret RETURNING word) SELECT * FROM x",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_catalog.pg_shadow",
        "SELECT * FROM information_schema.tables",
        "SELECT 'other.secret'::regclass",
        "SELECT query_to_xml('SELECT * FROM other.secret', true, true, '')",
        "SELECT * FROM ts_stat('SELECT to_tsvector(word) FROM other.secret')",
        "SELECT 1; SET ROLE victim",
        "SELECT 1; SELECT word FROM other.secret; SELECT 1",
        "/* SELECT */ SET ROLE victim",
        "SELECT 1 --\n; SET ROLE victim",
        "SELECT /* /* */ 1; */ word FROM other.secret",
        "COPY t TO PROGRAM 'touch /tmp/hostile'",
        "COPY (SELECT 1) TO '/tmp/hostile'",
        "COPY t FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_export(1, '/tmp/hostile')",
        "SELECT * FROM dblink('host=127.0.0.1', 'SELECT 1') AS x (a int)",
        "SELECT word FROM U&\"\\006fther\".secret",
        "SELECT U&\"set\\005fconfig\"('role', 'victim', false)",
        "SELECT U&'\\0027'",
        "DO $$ BEGIN EXECUTE 'SET ROLE victim'; END $$",
        "DO $x$ BEGIN PERFORM 1; END $x$",
        "SELECT $$ $$ ; SET ROLE victim",
        "SELECT E'\\'; SELECT 1'; SET ROLE victim",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE x (n int)",
        "ALTER ROLE victim SUPERUSER",
        "ALTER SYSTEM SET work_mem = 1",
        "DROP SCHEMA other CASCADE",
        "TRUNCATE other.secret",
        "SELECT * INTO other.copy FROM t",
        "LISTEN x",
        "NOTIFY x",
        "DISCARD ALL",
        "PREPARE p AS SELECT 1",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "SHOW role",
        "EXPLAIN ANALYZE DELETE FROM t",
        "SELECT current_user",
        "SELECT pg_sleep(60)",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_advisory_lock(1)",
        "SELECT nextval('other.s')",
    ] {
        for way in ["query", "execute", "batch", "transaction"] {
            let key = match way {
                "query" | "execute" => format!("{way}:{attack}"),
                "batch" => format!("batch:INSERT INTO t VALUES (666)§{attack}§SELECT 1"),
                way => format!("{way}:{attack}§INSERT INTO t VALUES (666)"),
            };
            let answer = ask(&guest, &key).await.unwrap();
            assert!(answer.starts_with("denied: "), "{key}: {answer}");
            attacks += 1;
        }
    }
    // In migrations too.
    for attack in [
        "SET ROLE victim",
        "CREATE TABLE other.t (n int)",
        "CREATE TABLE x (n int DEFAULT set_config('role', 'victim', false)::int)",
        "ALTER TABLE t OWNER TO victim",
        "ALTER TABLE t SET SCHEMA other",
        "CREATE TABLE x AS SELECT * FROM other.secret",
        "CREATE TABLE x AS WITH d AS (DELETE FROM t USING t AS u JOIN (VALUES (1)) AS e(q) \
         ON set_config('role', 'victim', false) IS NOT NULL RETURNING t.n) TABLE d",
        "CREATE TABLE x AS WITH d AS (DELETE FROM t RETURNING n) TABLE d",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE x (n int); SET ROLE victim",
        "CREATE EXTENSION dblink",
    ] {
        let answer = ask(&guest, &format!("migrate:{attack}")).await.unwrap();
        assert!(answer.starts_with("denied: "), "{attack}: {answer}");
        attacks += 1;
    }
    assert_eq!(denied(&guest, "sql"), attacks);
    // The server saw none of it.
    let seen = server.log().join("\n");
    for word in ["victim", "666", "pg_authid", "hostile", "secret", "query_to_xml", "pg_sleep"] {
        assert!(!seen.contains(word), "{word}: {seen}");
    }
    // What is let through stands for itself, whatever it looks like.
    for (own, answer) in [
        ("query:SELECT 'SET ROLE victim; DROP TABLE t'", "SET ROLE victim; DROP TABLE t"),
        ("query:SELECT $x$'; SET ROLE victim; --$x$", "'; SET ROLE victim; --"),
        ("query:SELECT n AS \"other.secret\" FROM t", "1"),
        ("query:SELECT count(*) FROM t AS other", "1"),
        ("query:SELECT n FROM t WHERE 'a' = 'a' -- ; SET ROLE victim", "1"),
    ] {
        assert_eq!(ask(&guest, own).await.as_deref(), Ok(answer), "{own}");
    }
    assert!(server.log().iter().any(|line| line.contains("SELECT count(*) FROM t AS other")));
    let seen = server.ask(
        "SELECT (SELECT string_agg(word, '') FROM other.secret) = 's3cret',
                (SELECT string_agg(n::text, '') FROM own.t), to_regclass('own.x') IS NULL",
    );
    assert_eq!(seen, "t|1|t");
}

#[tokio::test]
async fn a_label_that_was_not_granted_opens_no_database() {
    let server = PostgresServer::start();
    let guest = granted(&server, |_| {}).await;
    for label in ["", "other", "Default", "default\0", "postgres://127.0.0.1/x", "../default"] {
        let answer = ask(&guest, &format!("open:{label}")).await.unwrap();
        assert!(answer.starts_with("denied: "), "{label:?}: {answer}");
    }
    let other = ask(&guest, "open:other").await.unwrap();
    assert!(other.contains("grants.sql.other = {") && !other.contains("127.0.0.1"), "{other}");
    assert_eq!(ask(&guest, "open:default").await.as_deref(), Ok("opened"));
}

#[tokio::test]
async fn huge_rows_and_endless_statements_are_cut_off_and_cost_the_guest_alone() {
    let server = server_with_secrets(&[]);
    let guest = granted(&server, |grant| {
        grant.statement_timeout = SqlStatementTimeout::new(Duration::from_millis(500)).unwrap();
        grant.max_bytes = SqlMaxBytes::new(ByteSize::mib(1)).unwrap();
        grant.connections = SqlConnections::new(2).unwrap();
    })
    .await;
    for (key, kind, why) in [
        ("query:SELECT repeat('x', 2000000)", "invalid-argument: ", "max_bytes"),
        ("query:SELECT generate_series(1, 1000000000)", "invalid-argument: ", "max_"),
        (
            "query:SELECT count(*) FROM (SELECT generate_series(1, 100000000000)) AS s",
            "timeout: ",
            "",
        ),
        (
            "execute:WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
            "timeout: ",
            "",
        ),
        (
            "batch:INSERT INTO t VALUES (666)§SELECT count(*) FROM (SELECT generate_series(1, 100000000000)) AS s",
            "timeout: ",
            "",
        ),
    ] {
        let begun = Instant::now();
        let answer = ask(&guest, key).await.unwrap();
        assert!(answer.starts_with(kind) && answer.contains(why), "{key}: {answer}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{key}");
        assert_eq!(ask(&guest, "query:SELECT n FROM t").await.as_deref(), Ok("1"), "{key}");
    }
}

#[tokio::test]
async fn a_transaction_that_is_left_open_ends_with_its_call() {
    let server = server_with_secrets(&[]);
    let guest = granted(&server, |grant| {
        grant.transactions = SqlTransactions::new(2).unwrap();
        grant.statement_timeout = SqlStatementTimeout::new(Duration::from_millis(500)).unwrap();
    })
    .await;
    for _ in 0..5 {
        let left = ask(&guest, "leave:INSERT INTO t VALUES (666)").await;
        assert_eq!(left.as_deref(), Ok("left"));
        let used = ask(&guest, "use-left:").await.unwrap();
        assert!(used.starts_with("unavailable: the transaction has ended"), "{used}");
    }
    assert_eq!(ask(&guest, "query:SELECT n FROM t").await.as_deref(), Ok("1"));
    let refused = ask(&guest, "leave-many:3").await.unwrap();
    assert!(refused.starts_with("unavailable: more than transactions = 2"), "{refused}");
    let kept = ask(&guest, "transaction:INSERT INTO t VALUES (2)§SELECT count(*) FROM t").await;
    assert_eq!(kept.as_deref(), Ok("|2"));
    let begun = Instant::now();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    while server.ask(open) != "0" {
        assert!(begun.elapsed() < Duration::from_secs(10), "a transaction stays open");
    }
}

#[tokio::test]
async fn a_database_elsewhere_is_spoken_to_only_if_its_certificate_is_trusted() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let server = PostgresServer::prepared(&["ssl=on"], |data| {
        for (name, text) in
            [("server.crt", cert.pem()), ("server.key", signing_key.serialize_pem())]
        {
            std::fs::write(data.join(name), text).unwrap();
            PostgresServer::give(&data.join(name));
        }
    });
    server.make("CREATE SCHEMA own");
    let folder = tempfile::tempdir().unwrap();
    let (trusted, other) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    std::fs::write(&trusted, cert.pem()).unwrap();
    let stranger = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&other, stranger.cert.pem()).unwrap();
    let checked = |host: &str, port: u16| {
        SqlUrl::new(&format!("postgres://postgres@{host}:{port}/postgres?sslmode=verify-full"))
    };
    for (host, ca, why) in [
        ("localhost", Some(&trusted), None),
        ("localhost", Some(&other), Some("cannot be reached: ")),
        ("localhost", None, Some("cannot be reached: ")),
        ("127.0.0.1", Some(&trusted), Some("cannot be reached: ")),
    ] {
        let guest = granted(&server, |grant| {
            grant.url = checked(host, server.port()).unwrap();
            grant.ca = ca.cloned();
        });
        let answer = ask(&guest.await, "query:SELECT 1").await.unwrap();
        match why {
            None => {
                assert_eq!(answer, "1");
                let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity \
                                 USING (pid) WHERE application_name = 'stheno'";
                assert_eq!(server.ask(encrypted), "t");
            }
            Some(why) => assert!(
                answer.starts_with("unavailable: ") && answer.contains(why),
                "{host} {ca:?}: {answer}"
            ),
        }
    }
    // One that has no TLS is told nothing.
    let plain = PostgresServer::start();
    let guest = granted(&plain, |grant| grant.url = checked("localhost", plain.port()).unwrap());
    let answer = ask(&guest.await, "query:SELECT 1").await.unwrap();
    assert!(
        answer.contains("does not offer TLS") && answer.contains("sslmode=disable"),
        "{answer}"
    );
}
