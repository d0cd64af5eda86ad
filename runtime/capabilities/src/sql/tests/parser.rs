//! What is let through, and what is not.

use proptest::prelude::*;
use stheno_contracts::Error;

use super::super::admit::{May, admit};
use super::super::tokens::{Token, tokens};
use super::super::words;
use super::server;

fn verdict(text: &str) -> String {
    verdict_on(text, May::UseRows)
}

fn verdict_on(text: &str, may: May) -> String {
    match admit(text, may) {
        Ok(()) => "admitted".into(),
        Err(error) => error.kind().into(),
    }
}

#[test]
fn ordinary_statements_are_admitted() {
    for text in [
        "SELECT 1",
        "select a.b, count(*) from a where a.c = $1 group by a.b order by a.b desc limit 10;",
        "SELECT x.a, y.b FROM x JOIN y ON x.id = y.id, z AS w (c, d) WHERE w.c IN (1, 2)",
        "SELECT l.* FROM l LEFT JOIN LATERAL (SELECT m.a FROM m WHERE m.id = l.id) n ON true",
        "INSERT INTO t (a, b) VALUES ($1, now() + $2 * interval '1 ms') ON CONFLICT (a) DO UPDATE \
         SET b = excluded.b, c = t.c + 1 WHERE t.b < now() RETURNING a, t.b",
        "INSERT INTO t AS u (a) SELECT x FROM unnest($1::text[]) WITH ORDINALITY AS v (x, n)",
        "UPDATE t SET (a, b) = (1, 2) FROM u WHERE t.id = u.id RETURNING t.id",
        "DELETE FROM t USING u WHERE t.id = u.id AND (u.a, u.b) = ANY (SELECT v.a, v.b FROM v)",
        "WITH gone AS (DELETE FROM t WHERE expires < now() RETURNING id), kept AS MATERIALIZED \
         (SELECT gone.id FROM gone) SELECT count(*) FILTER (WHERE kept.id > 1) FROM kept",
        "VALUES (1, 'a'), (2, E'b\\'c'), (3, $tag$ ; set role x $tag$)",
        "SELECT 'it''s; SET ROLE x', \"Select\".\"set role\" FROM \"Select\" -- set role x",
        "SELECT /* SET /* ROLE */ x */ 1",
        "SELECT extract(epoch FROM t.made), substring(t.name FROM 2), a IS DISTINCT FROM t.b FROM t",
        "SELECT row_number() OVER (PARTITION BY t.a ORDER BY t.b) FROM t WINDOW w AS (ORDER BY t.a)",
        "SELECT (t.doc ->> 'a')::int, t.list[1:2], ARRAY[t.a, t.b], CAST(t.a AS numeric(10, 2)) FROM t",
        "SELECT 1.5e-3, .5, 2., 1 FROM t WHERE t.a @> $1::jsonb FOR UPDATE OF t SKIP LOCKED",
        "SELECT \"user\", owner, role, schema, set FROM \"table\"",
    ] {
        assert!(admit(text, May::UseRows).is_ok(), "{text}: {:?}", admit(text, May::UseRows));
    }
}

#[test]
fn a_schema_is_made_by_migrations_and_by_nothing_else() {
    for text in [
        "CREATE TABLE IF NOT EXISTS t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
         name varchar(20) NOT NULL DEFAULT '', made timestamptz DEFAULT now(), \
         CHECK (length(name) > 1), UNIQUE (name), FOREIGN KEY (id) REFERENCES u (id))",
        "CREATE UNLOGGED TABLE t (a int)",
        "CREATE UNIQUE INDEX IF NOT EXISTS i ON t USING btree (lower(name), id DESC) WHERE id > 0",
        "CREATE SEQUENCE s",
        "ALTER TABLE t ADD COLUMN a text, ALTER COLUMN b TYPE bigint USING (b + 1)",
        "DROP TABLE IF EXISTS t",
    ] {
        assert!(admit(text, May::MakeSchema).is_ok(), "{text}: {:?}", admit(text, May::MakeSchema));
        assert_eq!(verdict(text), "denied", "{text}");
    }
    for text in [
        "CREATE TABLE other.t (a int)",
        "CREATE TABLE t (a int REFERENCES other.t)",
        "CREATE TABLE t (LIKE other.t)",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TABLE t AS EXECUTE p",
        "CREATE TABLE t (a int DEFAULT pg_backend_pid())",
        "CREATE TABLE t (a text DEFAULT set_config('role', 'x', false))",
        "CREATE TABLE t (a int) TABLESPACE x",
        "CREATE TEMP TABLE t (a int)",
        "CREATE INDEX i ON t (evil(a))",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW v AS SELECT 1",
        "CREATE RULE r AS ON SELECT TO t DO INSTEAD NOTHING",
        "CREATE TRIGGER t BEFORE INSERT ON t EXECUTE FUNCTION f()",
        "CREATE EXTENSION dblink",
        "CREATE SCHEMA s",
        "CREATE ROLE r",
        "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()",
        "ALTER TABLE t OWNER TO postgres",
        "ALTER TABLE t SET SCHEMA other",
        "ALTER TABLE t ALTER COLUMN a TYPE text USING evil(a)",
        "ALTER ROLE r SUPERUSER",
        "ALTER SYSTEM SET x = 1",
        "DROP SCHEMA other CASCADE",
        "DROP TABLE other.t",
        "DROP TABLE stheno_migrations",
        "DROP OWNED BY x",
        "DO $$ BEGIN END $$",
        "GRANT ALL ON t TO PUBLIC",
        "SET ROLE x",
        "COPY t FROM PROGRAM 'id'",
    ] {
        assert_eq!(verdict_on(text, May::MakeSchema), "denied", "{text}");
    }
}

#[test]
fn what_would_leave_the_schema_is_denied_however_it_is_written() {
    for text in [
        // Another schema, in every place where a table can stand.
        "SELECT * FROM other.t",
        "SELECT * FROM other . t",
        "SELECT * FROM other/**/./**/t other",
        "SELECT * FROM \"other\".\"t\"",
        "SELECT * FROM a, other.t",
        "SELECT * FROM a AS x (c), other.t",
        "SELECT * FROM a x, (other.t CROSS JOIN b)",
        "SELECT * FROM a JOIN b ON a.where = b.order, other.t",
        "SELECT * FROM ONLY other.t",
        "SELECT * FROM ONLY (other.t)",
        "SELECT * FROM a * , other.t",
        "SELECT * FROM a NATURAL JOIN other.t",
        "SELECT * FROM a WHERE EXISTS (SELECT 1 FROM other.t)",
        "SELECT * FROM a UNION TABLE other.t",
        "SELECT (SELECT max(t.a) FROM other.t)",
        "SELECT other.t.a FROM t",
        "SELECT other.t.* FROM t",
        "SELECT db.other.t.a FROM t",
        "SELECT x FROM a ORDER BY (SELECT 1 FROM b, other.t)",
        "INSERT INTO other.t VALUES (1)",
        "INSERT INTO extract (SELECT a FROM b, other.t)",
        "INSERT INTO extract (TABLE other.t)",
        "UPDATE other.t SET a = 1",
        "UPDATE a SET b = 1 FROM c, other.t",
        "DELETE FROM other.t",
        "DELETE FROM a USING other.t",
        "DELETE FROM a USING b, other.t",
        "WITH x AS (TABLE other.t) SELECT * FROM x",
        "WITH x AS (SELECT 1) MERGE INTO a USING other.t ON true WHEN MATCHED THEN DELETE",
        "SELECT 1::other.t",
        "SELECT CAST(1 AS other.t)",
        "SELECT other.t '1'",
        "SELECT 'a' COLLATE other.c",
        "SELECT 1 OPERATOR(other.+) 1",
        "SELECT other.f(1)",
        "SELECT other.f (1)",
        // The catalogue.
        "SELECT * FROM pg_class",
        "SELECT * FROM \"pg_authid\"",
        "SELECT * FROM PG_SHADOW",
        "SELECT * FROM pg_catalog.pg_class",
        "SELECT * FROM information_schema.tables",
        "SELECT 'other.t'::regclass",
        "SELECT regclass 'other.t'",
        "SELECT $1::RegNamespace",
        "SELECT current_user",
        "SELECT user",
        "SELECT * FROM stheno_migrations",
        // Functions.
        "SELECT set_config('role', 'postgres', false)",
        "SELECT set_config ('search_path', 'other', false)",
        "SELECT set_config/**/('search_path', 'other', false)",
        "SELECT \"set_config\"('search_path', 'other', false)",
        "SELECT SET_CONFIG('search_path', 'other', false)",
        "SELECT DISTINCT ON (1) set_config('search_path', 'other', false)",
        "SELECT a, set_config('role', 'x', false) AS b FROM t",
        "SELECT * FROM set_config('role', 'x', false)",
        "SELECT * FROM a, set_config('role', 'x', false) AS c (d)",
        "SELECT * FROM ROWS FROM (set_config('role', 'x', false)) AS x",
        "SELECT pg_catalog.set_config('role', 'x', false)",
        "SELECT current_setting('role')",
        "SELECT pg_sleep(10)",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_advisory_lock(1)",
        "SELECT lo_import('/etc/passwd')",
        "SELECT dblink('host=127.0.0.1', 'SELECT 1')",
        "SELECT query_to_xml('SELECT * FROM other.t', true, true, '')",
        "SELECT table_to_xml('other.t', true, true, '')",
        "SELECT * FROM ts_stat('SELECT * FROM other.t')",
        "SELECT nextval('other.s')",
        "SELECT has_table_privilege('other.t', 'SELECT')",
        "SELECT version()",
        "INSERT INTO t (a) VALUES (set_config('role', 'x', false))",
        "SELECT 1 FROM t TABLESAMPLE evil (1)",
        // Statements.
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "RESET ROLE",
        "RESET ALL",
        "DISCARD ALL",
        "SHOW search_path",
        "COPY t TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/x'",
        "LISTEN x",
        "NOTIFY x",
        "LOCK TABLE t",
        "DO $$ BEGIN EXECUTE 'SET ROLE x'; END $$",
        "CALL p()",
        "EXPLAIN SELECT 1",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DECLARE c CURSOR FOR SELECT 1",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "TRUNCATE t",
        "VACUUM",
        "LOAD 'x'",
        "TABLE t",
        "(SELECT 1)",
        "SELECT * INTO x FROM t",
        "SELECT 1 AS a INTO x",
        // Words that read like keywords and are names there.
        "SELECT b.a, a.is distinct FROM other.secret AS b, (SELECT 1 AS is) AS a",
        "SELECT (SELECT s.a FROM t AS x JOIN t AS y ON mode() WITHIN GROUP (ORDER BY o.x) = 1, \
         other.secret AS s LIMIT 1) FROM (SELECT 1 AS x) AS o",
        "SELECT 'x' AS insert INTO UNLOGGED other.evil",
        "SELECT 1 AS insert INTO TEMP sticky",
        "SELECT (1) insert INTO made",
        "WITH d AS (DELETE FROM t RETURNING a) SELECT 1 AS insert INTO made FROM d",
        "WITH insert AS (SELECT 1 AS a) SELECT 1 insert INTO made",
        "VALUES (1) insert INTO made",
        // Types of other schemas, and types that look names up.
        "SELECT (x.a).* FROM json_to_record('{}') AS x(a other.secret)",
        "SELECT x.a FROM json_to_record('{}') AS x(update text, b other.secret)",
        "SELECT 1 FROM json_to_record('{}') AS (values other.secret)",
        "SELECT NULL::SETOF other.secret",
        "SELECT CAST(NULL AS SETOF other.secret)",
        "SELECT ('{1}'::_regclass)::text",
        "SELECT $1::\"_regrole\"::text",
        "SELECT 'nosuch=r/postgres'::aclitem",
        "/* SELECT */ SET ROLE x",
        "--SELECT\nSET ROLE x",
        // Several.
        "SELECT 1; SET ROLE x",
        "SELECT 1;;",
        "SELECT 1; -- x\n SELECT 2",
        // Escapes that hide.
        "SELECT U&'\\0061'",
        "SELECT * FROM U&\"\\006fther\".t",
        "SELECT u&\"!0070g_sleep\" UESCAPE '!' (1)",
    ] {
        assert_eq!(verdict(text), "denied", "{text}");
    }
}

#[test]
fn statements_that_read_like_those_are_let_through() {
    for text in [
        "SELECT a IS NOT DISTINCT FROM b.c FROM b",
        "SELECT mode() WITHIN GROUP (ORDER BY t.a) FROM t GROUP BY t.b",
        "WITH x AS (UPDATE t SET a = u.a FROM u WHERE t.id = u.id RETURNING t.id) SELECT x.id FROM x",
        "WITH x AS MATERIALIZED (SELECT t.a FROM t) SELECT x.a FROM x",
        "WITH x AS (INSERT INTO t (a) SELECT u.a FROM u RETURNING t.a) SELECT x.a FROM x",
        "WITH x AS (DELETE FROM t USING u WHERE t.a = u.a RETURNING t.a) INSERT INTO s (a) SELECT x.a FROM x",
        "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = excluded.a RETURNING t.a",
        "SELECT x.a FROM json_to_record('{}') AS x(a numeric(3, 2), b text)",
        "SELECT t.a FROM t FOR UPDATE OF t SKIP LOCKED",
        "SELECT CAST(t.a AS numeric(3, 2)) AS select FROM t",
    ] {
        assert_eq!(verdict(text), "admitted", "{text}");
    }
}

#[test]
fn what_makes_the_schema_reaches_no_other() {
    for text in [
        "DROP TABLE t CASCADE",
        "ALTER TABLE t DROP COLUMN delete CASCADE",
        "CREATE TABLE x (a int, EXCLUDE USING btree (a WITH other.===))",
        "CREATE TABLE x (a int) INTO y",
    ] {
        assert!(matches!(admit(text, May::MakeSchema), Err(Error::Denied(_))), "{text}");
    }
    let text = "CREATE TABLE x (a int REFERENCES t (id) ON DELETE CASCADE ON UPDATE CASCADE)";
    admit(text, May::MakeSchema).unwrap();
}

#[test]
fn what_could_be_cut_in_two_ways_is_refused() {
    for text in [
        "",
        "  -- nothing",
        ";",
        "SELECT 'a",
        "SELECT \"a",
        "SELECT \"\"",
        "SELECT $a$ $b$",
        "SELECT $a",
        "SELECT /* /* */ 1",
        "SELECT 'a' 'b'",
        "SELECT E'a'\n'b\\' || set_config(1, 2) || '",
        "SELECT 'a' -- x\n 'b'",
        "SELECT 1a",
        "SELECT 0x1f",
        "SELECT 1_000",
        "SELECT $1a",
        "SELECT 1e",
        "SELECT 1 \\ 2",
        "SELECT 1 {",
        "SELECT (1",
        "SELECT 1)",
        "SELECT (1]",
        "SELECT 'a\0b'",
        "SELECT \x0b 1",
    ] {
        let answer = verdict(text);
        assert!(answer == "invalid-argument" || answer == "denied", "{text:?}: {answer}");
    }
    let long = format!("SELECT \"{}\"", "a".repeat(64));
    assert_eq!(verdict(&long), "invalid-argument");
}

#[test]
fn every_listed_function_is_one_of_the_servers_own_and_is_harmless_there() {
    // Part of the grammar, so not among the functions that the server lists.
    let grammar = ["grouping", "trim", "normalize", "extract", "overlay", "position", "substring"];
    for name in words::functions().filter(|name| !grammar.contains(name)) {
        let known = server().ask(&format!(
            "SELECT count(*) > 0, bool_or(provolatile = 'v') FROM pg_proc \
             WHERE proname = '{name}' AND pronamespace = 'pg_catalog'::regnamespace"
        ));
        let may_change = ["random", "clock_timestamp", "gen_random_uuid"].contains(&name);
        assert_eq!(known, format!("t|{}", if may_change { "t" } else { "f" }), "{name}");
    }
}

/// Pieces that a statement may be made of, with room for names.
fn statement() -> impl Strategy<Value = String> {
    let table = prop::sample::select(vec![
        "t",
        "t x",
        "t AS x",
        "other.secret",
        "\"other\".secret x",
        "(t x CROSS JOIN other.secret y)",
        "pg_class",
        "ONLY t",
        "other . secret AS t",
        "LATERAL (SELECT 1) t",
        "unnest(ARRAY[1]) t",
        "ONLY (other.secret)",
        "pg_catalog.pg_class t",
        "extract",
        "(TABLE other.secret) z",
    ]);
    let tables = prop::collection::vec(table, 1..4)
        .prop_flat_map(|tables| {
            let joints = prop::collection::vec(
                prop::sample::select(vec![", ", " CROSS JOIN ", " NATURAL JOIN "]),
                tables.len(),
            );
            (Just(tables), joints)
        })
        .prop_map(|(tables, joints)| {
            let mut text = String::new();
            for (table, joint) in tables.iter().zip(joints) {
                if !text.is_empty() {
                    text.push_str(joint);
                }
                text.push_str(table);
            }
            text
        });
    let value = prop::sample::select(vec![
        "1",
        "id",
        "t.id",
        "x.id",
        "'a;b'",
        "$$ x $$",
        "count(*)",
        "(SELECT id FROM other.secret)",
        "extract(day FROM now())",
        "(SELECT max(id) FROM t, other.secret s)",
        "other.secret",
        "current_user",
        "1 IS DISTINCT FROM t.id",
        "'other.secret'::regclass",
        "set_config('a', 'b', false)",
        "EXISTS (TABLE other.secret)",
        "\"id\"",
        "query_to_xml('TABLE other.secret', true, true, '')",
    ]);
    (value.clone(), tables, value, 0_usize..6).prop_map(
        |(first, tables, second, form)| match form {
            0 => format!("SELECT {first} FROM {tables}"),
            1 => format!("SELECT {first} FROM {tables} WHERE {second} IS NOT NULL"),
            2 => format!("WITH t AS (SELECT {first} AS id FROM {tables}) SELECT {second} FROM t"),
            3 => format!("DELETE FROM t USING {tables} WHERE {first} IS NULL RETURNING {second}"),
            4 => format!("UPDATE t SET id = 1 FROM {tables} WHERE {first} IS NULL"),
            _ => format!("INSERT INTO t (id) SELECT {first} FROM {tables}"),
        },
    )
}

proptest! {
    #[test]
    fn no_text_panics_the_parser(text in "\\PC{0,60}|[ a-z'\"$/*\\-;.,()\\[\\]0-9\\\\\n]{0,60}") {
        let _ = admit(&text, May::UseRows);
        let _ = admit(&text, May::MakeSchema);
    }

    #[test]
    fn what_stands_in_a_string_a_name_or_a_comment_is_nobody_elses(text in "[ -~]{0,30}") {
        let string = text.replace('\'', "''");
        let name = text.replace('"', "\"\"");
        let comment = text.replace('\n', " ");
        for (statement, token) in [
            (format!("'{string}'"), Some(Token::Text)),
            (format!("$q${}$q$", text.replace('$', "")), Some(Token::Text)),
            (format!("\"{name}x\""), Some(Token::Quoted(format!("{text}x")))),
            (format!("-- {comment}"), None),
        ] {
            prop_assert_eq!(tokens(&statement).unwrap(), Vec::from_iter(token), "{}", statement);
        }
    }
}

#[tokio::test]
async fn the_server_finds_nothing_of_another_schema_in_what_is_let_through() {
    use proptest::strategy::ValueTree as _;
    let server = server();
    server.make(
        "CREATE SCHEMA finds; CREATE TABLE finds.t (id int); CREATE TABLE finds.extract (id int);
         CREATE SCHEMA IF NOT EXISTS other; CREATE TABLE other.secret (id int)",
    );
    let (client, connection) = tokio_postgres::Config::new()
        .user("postgres")
        .dbname("postgres")
        .connect_raw(
            tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.unwrap(),
            tokio_postgres::NoTls,
        )
        .await
        .unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET search_path = finds, pg_temp").await.unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut planned, mut refused) = (0, 0);
    for _ in 0..4_000 {
        let text = statement().new_tree(&mut runner).unwrap().current();
        match admit(&text, May::UseRows) {
            Err(Error::Denied(_)) => refused += 1,
            Err(error) => panic!("{text}: {error:?}"),
            Ok(()) => {
                let explain = format!("EXPLAIN (VERBOSE, FORMAT JSON, COSTS OFF) {text}");
                let Ok(rows) = client.simple_query(&explain).await else { continue };
                let plan = format!("{rows:?}");
                assert!(!plan.contains("other") && !plan.contains("pg_class"), "{text}: {plan}");
                planned += 1;
            }
        }
    }
    assert!(planned > 100 && refused > 100, "{planned} {refused}");
}
