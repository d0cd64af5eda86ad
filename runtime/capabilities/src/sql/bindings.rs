//! Which databases a provider was granted, and how its calls go there.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use stheno_config::{Grants, SqlGrant, StoreLabel, format_duration};
use stheno_contracts::Error;
use stheno_contracts::sql::{Migration, Outcome, Statement};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::admit::{May, admit};
use super::link::Link;
use super::migrations;
use super::run::{self, Room, Rows};
use super::values::weight;
use crate::denials::{Counter, Denials};
use crate::explain::no_binding;
use crate::quota::Quota;

/// The most statements in one call.
const MAX_BATCH: usize = 1_000;
/// The most parameters of one statement; the protocol counts no further.
const MAX_PARAMETERS: usize = u16::MAX as usize;

/// The SQL bindings of one provider.
pub struct Sql(BTreeMap<StoreLabel, Arc<Binding>>);

impl Sql {
    /// What was granted, on the servers that were granted. No server is reached
    /// before the provider asks for something.
    #[must_use]
    pub fn granted_by(denials: &Denials, grants: &Grants) -> Self {
        Self::new(denials, grants, false)
    }

    /// What was granted, and behind it nothing that answers: for a provider that
    /// is only looked at. No server is reached.
    #[must_use]
    pub fn out_of_reach(denials: &Denials, grants: &Grants) -> Self {
        Self::new(denials, grants, true)
    }

    fn new(denials: &Denials, grants: &Grants, out_of_reach: bool) -> Self {
        let binding = |(label, grant): (&StoreLabel, &SqlGrant)| {
            (label.clone(), Arc::new(Binding::new(denials, label, grant.clone(), out_of_reach)))
        };
        Self(grants.sql().iter().map(binding).collect())
    }

    pub(super) fn open(&self, label: &str) -> Result<Arc<Binding>, Error> {
        self.0.get(label).map(Arc::clone).ok_or_else(|| Error::Denied(not_granted(label)))
    }
}

pub(super) fn not_granted(label: &str) -> String {
    no_binding("SQL", label, |label| {
        format!("grants.sql.{label} = {{ url = \"${{DATABASE_URL}}\", schema = \"shop_locking\" }}")
    })
}

/// One granted database, seen as one role through one schema.
pub(crate) struct Binding {
    grant: SqlGrant,
    out_of_reach: bool,
    pub(super) link: Arc<Link>,
    operations: Quota,
    bytes: Quota,
    in_flight: Semaphore,
    transactions: Arc<Semaphore>,
    pub(super) denials: Arc<Counter>,
}

impl Binding {
    fn new(denials: &Denials, label: &StoreLabel, grant: SqlGrant, out_of_reach: bool) -> Self {
        Self {
            link: Arc::new(Link::new(denials.provider(), &grant)),
            operations: Quota::new(u64::from(grant.operations_per_second.get())),
            bytes: Quota::new(grant.bytes_per_second.get().as_u64()),
            in_flight: Semaphore::new(grant.in_flight.get() as usize),
            transactions: Arc::new(Semaphore::new(grant.transactions.get() as usize)),
            denials: denials.binding("sql", label),
            grant,
            out_of_reach,
        }
    }

    /// One statement, with its rows.
    pub(super) async fn query(&self, statement: Statement) -> Result<Outcome, Error> {
        self.make(statement, Rows::Wanted).await
    }

    /// One statement; how many rows it touched.
    pub(super) async fn execute(&self, statement: Statement) -> Result<u64, Error> {
        Ok(self.make(statement, Rows::Counted).await?.affected)
    }

    async fn make(&self, statement: Statement, rows: Rows) -> Result<Outcome, Error> {
        let bytes = self.admitted(std::slice::from_ref(&statement))?;
        let mut room = self.room();
        let made = self
            .within(1, bytes, async {
                let mut lease = self.link.borrow().await?;
                let made = run::one(lease.open()?, &statement, rows, &mut room).await;
                lease.settle_after(made)
            })
            .await;
        self.charge(&room);
        made
    }

    /// Several statements as one transaction.
    pub(super) async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>, Error> {
        if statements.is_empty() || statements.len() > MAX_BATCH {
            return Err(Error::InvalidArgument(format!(
                "the batch has {} statements, must have 1 to {MAX_BATCH}",
                statements.len()
            )));
        }
        let bytes = self.admitted(&statements)?;
        let mut room = self.room();
        let made = self
            .within(statements.len(), bytes, async {
                let mut lease = self.link.borrow().await?;
                let made = run::all(lease.open()?, &statements, &mut room).await;
                lease.settle_after(made)
            })
            .await;
        self.charge(&room);
        made
    }

    /// Applies what the schema has not seen.
    pub(super) async fn migrate(&self, migrations: Vec<Migration>) -> Result<u32, Error> {
        let max_statement = self.grant.max_statement.get().as_usize();
        let statements = || migrations.iter().flat_map(|migration| &migration.statements);
        let (count, bytes) = (statements().count(), statements().map(String::len).sum());
        let admitted = self.denials.told(migrations::admitted(migrations, max_statement))?;
        if self.out_of_reach {
            return Ok(0);
        }
        self.take(count, bytes)?;
        self.within_time(migrations::WITHIN, async {
            let mut lease = self.link.borrow().await?;
            let applied = migrations::apply(lease.open()?, &admitted).await;
            lease.settle_after(applied)
        })
        .await
    }

    /// Decides about the statements of a call, and says how many bytes they have.
    pub(super) fn admitted(&self, statements: &[Statement]) -> Result<usize, Error> {
        let max_statement = self.grant.max_statement.get().as_usize();
        let mut bytes = 0_usize;
        for statement in statements {
            if statement.text.len() > max_statement {
                return Err(Error::InvalidArgument(format!(
                    "the statement has {} bytes, more than max_statement = \"{}\"; values go \
                     beside it, as parameters",
                    statement.text.len(),
                    self.grant.max_statement
                )));
            }
            if statement.parameters.len() > MAX_PARAMETERS {
                return Err(Error::InvalidArgument(format!(
                    "the statement has {} parameters, at most {MAX_PARAMETERS}",
                    statement.parameters.len()
                )));
            }
            self.denials.told(admit(&statement.text, May::UseRows))?;
            bytes += statement.text.len() + statement.parameters.iter().map(weight).sum::<usize>();
        }
        if bytes > self.grant.max_bytes.get().as_usize() {
            return Err(Error::InvalidArgument(format!(
                "the call has {bytes} bytes, more than max_bytes = \"{}\"; split it, or raise that",
                self.grant.max_bytes
            )));
        }
        Ok(bytes)
    }

    /// What may come back in one call.
    pub(super) fn room(&self) -> Room {
        Room {
            rows: self.grant.max_rows.get() as usize,
            bytes: self.grant.max_bytes.get().as_usize(),
            passed: 0,
        }
    }

    /// Counts what came back.
    pub(super) fn charge(&self, left: &Room) {
        let taken = self.grant.max_bytes.get().as_usize().saturating_sub(left.bytes);
        self.bytes.charge(taken.saturating_add(left.passed));
    }

    /// The right to hold a transaction.
    pub(super) async fn transaction_permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        let permit = Arc::clone(&self.transactions).acquire_owned();
        let permit = tokio::time::timeout(self.grant.statement_timeout.get(), permit).await;
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Error::Unavailable("the host is stopping".into())),
            Err(_) => Err(self.beyond("transactions", &self.grant.transactions)),
        }
    }

    fn beyond(&self, key: &str, value: &dyn Display) -> Error {
        Error::Unavailable(format!("more than {key} = {value} of the SQL binding; try again later"))
    }

    fn take(&self, statements: usize, bytes: usize) -> Result<(), Error> {
        if !self.operations.take(statements) {
            return Err(self.beyond("operations_per_second", &self.grant.operations_per_second));
        }
        if !self.bytes.take(bytes) {
            return Err(self.beyond("bytes_per_second", &self.grant.bytes_per_second));
        }
        Ok(())
    }

    /// Does the work within quotas and time.
    pub(super) async fn within<T>(
        &self,
        statements: usize,
        bytes: usize,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if !self.out_of_reach {
            self.take(statements, bytes)?;
        }
        // The server is to stop a statement by itself first.
        let timeout = self.grant.statement_timeout.get();
        self.within_time(timeout + timeout / 8, work).await
    }

    async fn within_time<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.out_of_reach {
            return Err(Error::Unavailable("no server is reached during a check".into()));
        }
        let _permit = self
            .in_flight
            .try_acquire()
            .map_err(|_| self.beyond("in_flight", &self.grant.in_flight))?;
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            // A server that still lives would have stopped it.
            self.link.forget_idle();
            Err(Error::Timeout(format!(
                "the database did not answer within {}; what was sent may or may not have been \
                 done",
                format_duration(limit)
            )))
        })
    }
}
