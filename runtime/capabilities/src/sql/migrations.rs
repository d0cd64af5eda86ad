//! Steps in the making of a schema, each applied once.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stheno_contracts::Error;
use stheno_contracts::sql::Migration;

use super::admit::{May, admit};
use super::link::{Live, changed};
use super::refusal::Failed;

/// How long all of them may take, waiting for others included.
pub(super) const WITHIN: Duration = Duration::from_secs(60);
/// The most in one call, and the most statements that they have.
const MAX_MIGRATIONS: usize = 1_000;
const MAX_STATEMENTS: usize = 10_000;
const MAX_NAME_BYTES: usize = 128;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS stheno_migrations (\
    name text PRIMARY KEY, \
    checksum text NOT NULL, \
    applied_at timestamptz NOT NULL DEFAULT now())";

/// Migrations whose statements may be made.
pub(super) struct Admitted(Vec<Migration>);

/// Decides about all of them.
pub(super) fn admitted(
    migrations: Vec<Migration>,
    max_statement: usize,
) -> Result<Admitted, Error> {
    let statements: usize = migrations.iter().map(|migration| migration.statements.len()).sum();
    if migrations.len() > MAX_MIGRATIONS || statements > MAX_STATEMENTS {
        return Err(Error::InvalidArgument(format!(
            "there are {} migrations with {statements} statements, at most {MAX_MIGRATIONS} with \
             {MAX_STATEMENTS}",
            migrations.len()
        )));
    }
    let mut names = BTreeSet::new();
    for migration in &migrations {
        let name = migration.name.as_str();
        let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) || !name.bytes().all(lawful) {
            return Err(Error::InvalidArgument(format!(
                "the name of a migration has 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.`"
            )));
        }
        if !names.insert(name) {
            return Err(Error::InvalidArgument(format!("two migrations are called {name:?}")));
        }
        for statement in &migration.statements {
            if statement.len() > max_statement {
                return Err(Error::InvalidArgument(format!(
                    "a statement of migration {name:?} has {} bytes, at most {max_statement}",
                    statement.len()
                )));
            }
            admit(statement, May::MakeSchema).map_err(|error| of(name, error))?;
        }
    }
    Ok(Admitted(migrations))
}

/// Says which migration an error is of.
fn of(name: &str, error: Error) -> Error {
    let say = |text: String| format!("migration {name:?}: {text}");
    match error {
        Error::Denied(text) => Error::Denied(say(text)),
        Error::InvalidArgument(text) => Error::InvalidArgument(say(text)),
        Error::Conflict(text) => Error::Conflict(say(text)),
        Error::Unavailable(text) => Error::Unavailable(say(text)),
        Error::Timeout(text) => Error::Timeout(say(text)),
        other => other,
    }
}

/// What a migration says, in short. Each part counts its bytes, so that no two say
/// the same in different parts.
fn checksum(migration: &Migration) -> String {
    let mut hash = Sha256::new();
    for part in &migration.statements {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// Applies those that the schema has not seen. All is one transaction, so who is cut
/// off leaves nothing.
pub(super) async fn apply(live: &mut Live, Admitted(migrations): &Admitted) -> Result<u32, Failed> {
    let begin = format!("BEGIN; SET LOCAL statement_timeout = {}", WITHIN.as_millis());
    let begun = live.client.batch_execute(&begin).await;
    begun.map_err(|error| live.failed(&error))?;
    let applied = within_transaction(live, migrations).await;
    let end = if applied.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = live.client.batch_execute(end).await;
    ended.map_err(|error| live.failed(&error))?;
    live.look().await?;
    applied
}

async fn within_transaction(live: &mut Live, migrations: &[Migration]) -> Result<u32, Failed> {
    let session = live.session().await?;
    let mut seen = seen(live).await?;
    let mut applied = 0;
    for migration in migrations {
        let checksum = checksum(migration);
        match seen.remove(&migration.name) {
            Some(before) if before == checksum => continue,
            Some(_) => {
                return Err(Failed::Told(Error::Conflict(format!(
                    "migration {:?} was applied before and reads differently now; leave it as it \
                     was, and write another",
                    migration.name
                ))));
            }
            None => {}
        }
        for statement in &migration.statements {
            let made = live.client.execute(statement.as_str(), &[]).await;
            made.map_err(|error| match live.failed(&error) {
                Failed::Told(error) => Failed::Told(of(&migration.name, error)),
                Failed::Broken(error) => Failed::Broken(of(&migration.name, error)),
            })?;
        }
        // What is set for the transaction alone would be gone behind it.
        if live.session().await? != session {
            return Err(changed());
        }
        const RECORD: &str = "INSERT INTO stheno_migrations (name, checksum) VALUES ($1, $2)";
        let recorded = live.client.execute(RECORD, &[&migration.name, &checksum]).await;
        recorded.map_err(|error| live.failed(&error))?;
        applied += 1;
    }
    Ok(applied)
}

/// Those that were applied before, with what they said. Nobody else applies any now.
async fn seen(live: &Live) -> Result<HashMap<String, String>, Failed> {
    let client = &live.client;
    let failed = |error: tokio_postgres::Error| live.failed(&error);
    const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(\
         pg_catalog.hashtextextended('stheno_migrations ' || current_schema(), 0))";
    client.execute(LOCK, &[]).await.map_err(failed)?;
    client.batch_execute(TABLE).await.map_err(failed)?;
    const SEEN: &str = "SELECT name, checksum FROM stheno_migrations";
    let rows = client.query(SEEN, &[]).await.map_err(failed)?;
    let mut seen = HashMap::new();
    for row in rows {
        let name: String = row.try_get(0).map_err(failed)?;
        let checksum: String = row.try_get(1).map_err(failed)?;
        seen.insert(name, checksum);
    }
    Ok(seen)
}
