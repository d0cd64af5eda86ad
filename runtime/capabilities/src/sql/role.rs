//! The session as a grant wants it, and the role that the server itself keeps
//! within the schema.

use std::fmt::Write as _;

use stheno_config::SqlGrant;

/// What a session is, in one text: who acts, and each setting that the host has set or
/// counts on. Among them is all that decides how a text is cut into tokens.
pub(super) const SESSION: &str = "\
SELECT pg_catalog.concat_ws(E'\\n', session_user, current_user, \
       pg_catalog.current_setting('search_path'), \
       pg_catalog.current_setting('standard_conforming_strings'), \
       pg_catalog.current_setting('client_encoding'), \
       pg_catalog.current_setting('backslash_quote'), \
       pg_catalog.current_setting('statement_timeout'), \
       pg_catalog.current_setting('idle_in_transaction_session_timeout'), \
       pg_catalog.current_setting('default_transaction_isolation'), \
       pg_catalog.current_setting('session_replication_role'), \
       pg_catalog.current_setting('row_security'), \
       pg_catalog.current_setting('transform_null_equals'), \
       pg_catalog.current_setting('client_min_messages'), \
       pg_catalog.current_setting('DateStyle'), \
       pg_catalog.current_setting('IntervalStyle'), \
       pg_catalog.current_setting('TimeZone'))";

/// What is asked of a new session: the role, the schema that names stand for, and what
/// the role may do beyond it (nothing if it is as it should be).
pub(super) const LOOK_AT_SESSION: &str = "\
SELECT current_user::text, current_schema()::text, \
       pg_catalog.concat_ws(', ', \
         CASE WHEN rolsuper THEN 'everything (superuser)' END, \
         CASE WHEN rolbypassrls THEN 'BYPASSRLS' END, \
         CASE WHEN rolcreaterole THEN 'CREATEROLE' END, \
         CASE WHEN rolcreatedb THEN 'CREATEDB' END, \
         CASE WHEN rolreplication THEN 'REPLICATION' END, \
         (SELECT 'use of the schema ' || min(nspname) FROM pg_catalog.pg_namespace \
           WHERE nspname NOT IN ('information_schema', current_schema()) \
             AND nspname !~ '^pg_' AND pg_catalog.has_schema_privilege(oid, 'USAGE')), \
         CASE WHEN pg_catalog.has_database_privilege(current_database(), 'TEMPORARY') \
           THEN 'temporary tables' END) \
  FROM pg_catalog.pg_roles WHERE rolname = current_user";

/// What a new connection begins with. `pg_temp` stands at the end, or it would
/// stand at the beginning.
pub(super) fn session(grant: &SqlGrant) -> String {
    let timeout = grant.statement_timeout.get().as_millis();
    let mut text = format!(
        "SET search_path = \"{}\", pg_temp; \
         SET statement_timeout = {timeout}; \
         SET idle_in_transaction_session_timeout = 60000; \
         SET default_transaction_isolation = 'read committed'; \
         SET standard_conforming_strings = on; \
         SET client_min_messages = error; \
         SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; ",
        grant.schema
    );
    if let Some(role) = &grant.role {
        let _ = write!(text, "SET ROLE \"{role}\"");
    }
    text
}

/// The lines for `psql` that make the schema of this binding, and a role that may
/// use it and nothing else. They have a placeholder where the password goes.
#[must_use]
pub fn role_lines(grant: &SqlGrant) -> String {
    let login = quoted(grant.url.user());
    let role = quoted(grant.acts_as());
    let database = quoted(grant.url.database());
    let schema = &grant.schema;
    const NO_MORE: &str = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS";
    let mut lines = format!("CREATE ROLE {login} LOGIN NOINHERIT {NO_MORE} PASSWORD 'PASSWORD';\n");
    if role != login {
        let _ = write!(lines, "CREATE ROLE {role} NOLOGIN {NO_MORE};\nGRANT {role} TO {login};\n");
    }
    let _ = write!(
        lines,
        "GRANT CONNECT ON DATABASE {database} TO {login};\n\
         CREATE SCHEMA \"{schema}\" AUTHORIZATION {role};\n\
         REVOKE ALL ON SCHEMA public FROM PUBLIC;\n\
         REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;"
    );
    lines
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
