//! `stheno:sql`: databases that the operator granted, each seen as one role
//! through one schema.
//!
//! # What keeps a guest within its schema
//!
//! The text of a statement is cut into tokens as the server cuts it ([`tokens`]),
//! and is sent only if it is one statement that begins with a listed word, calls
//! listed functions alone ([`words`]) and names nothing of another schema
//! ([`admit`]). So it can neither change the session nor reach what a dot or a
//! string would name. It goes by the extended protocol, which takes one statement,
//! with its values beside it. The server has the last word: the role's privileges.
//!
//! # Parts
//!
//! - [`tokens`], [`words`], [`admit`], [`making`]: from a text to a statement that may
//!   be sent.
//! - [`values`]: parameters and rows; [`described`]: their types; [`refusal`]: errors of
//!   the server.
//! - [`bindings`]: what was granted; quotas, deadline.
//! - [`run`]: statements on a connection; [`transaction`], [`migrations`].
//! - [`link`]: connections; [`meter`]: how large a row may be.
//! - [`role`]: the session, and the role by which the server enforces the same.
//!
//! This file is the seam to the bindings and holds no logic.

mod admit;
mod bindings;
mod described;
mod explain;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod link;
mod making;
mod meter;
mod migrations;
mod refusal;
mod role;
mod run;
#[cfg(test)]
mod tests;
mod tokens;
mod transaction;
mod values;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use stheno_contracts::sql::{
    Handle, Host, HostBinding, HostTransaction, Migration, Outcome, Statement, TransactionHandle,
};
use stheno_contracts::{Error, HostError};
use wasmtime::component::Resource;

use crate::Capabilities;

use bindings::Binding;
pub use bindings::Sql;
pub(crate) use explain::{powers, rule};
pub use role::role_lines;
use transaction::Transaction;

/// What one instance has opened.
#[derive(Default)]
pub(crate) struct Instance {
    bindings: Vec<Arc<Binding>>,
    transactions: BTreeMap<u64, Transaction>,
    /// How many transactions it ever began.
    begun: u64,
}

impl Instance {
    /// Rolls back what is open.
    pub(crate) fn end_transactions(&mut self) {
        self.transactions.clear();
    }
}

impl Capabilities {
    fn sql(&self, handle: &Resource<Handle>) -> Result<Arc<Binding>, HostError> {
        let Handle(place) = self.table.get(handle)?;
        let binding = self.sql.bindings.get(*place).map(Arc::clone);
        binding.ok_or_else(|| HostError::Trap(wasmtime::Error::msg("a handle without a binding")))
    }

    /// Takes a transaction for the time of a call: what is cut off does not come
    /// back.
    fn taken(
        &mut self,
        handle: &Resource<TransactionHandle>,
    ) -> Result<(u64, Transaction), HostError> {
        let TransactionHandle(number) = *self.table.get(handle)?;
        let open = self.sql.transactions.remove(&number);
        let ended = || Error::Unavailable("the transaction has ended; begin another".into());
        Ok((number, open.ok_or_else(ended)?))
    }
}

impl Host for Capabilities {
    fn open(&mut self, label: String) -> Result<Resource<Handle>, HostError> {
        let opened = self.shared.sql.open(&label);
        let binding = self.shared.denials.sql.told(opened)?;
        let place = self.sql.bindings.iter().position(|open| Arc::ptr_eq(open, &binding));
        let place = place.unwrap_or_else(|| {
            self.sql.bindings.push(binding);
            self.sql.bindings.len() - 1
        });
        let handle = self.table.push(Handle(place)).map_err(|_| self.full())?;
        Ok(handle)
    }
}

impl HostBinding for Capabilities {
    async fn query(
        &mut self,
        binding: Resource<Handle>,
        statement: Statement,
    ) -> Result<Outcome, HostError> {
        Ok(self.sql(&binding)?.query(statement).await?)
    }

    async fn execute(
        &mut self,
        binding: Resource<Handle>,
        statement: Statement,
    ) -> Result<u64, HostError> {
        Ok(self.sql(&binding)?.execute(statement).await?)
    }

    async fn batch(
        &mut self,
        binding: Resource<Handle>,
        statements: Vec<Statement>,
    ) -> Result<Vec<Outcome>, HostError> {
        Ok(self.sql(&binding)?.batch(statements).await?)
    }

    async fn begin(
        &mut self,
        binding: Resource<Handle>,
    ) -> Result<Resource<TransactionHandle>, HostError> {
        let binding = self.sql(&binding)?;
        let number = self.sql.begun;
        let handle = self.table.push(TransactionHandle(number)).map_err(|_| self.full())?;
        let begun = Transaction::begin(binding).await;
        match begun {
            Ok(transaction) => {
                self.sql.begun += 1;
                self.sql.transactions.insert(number, transaction);
                Ok(handle)
            }
            Err(error) => {
                self.table.delete(handle)?;
                Err(error.into())
            }
        }
    }

    async fn migrate(
        &mut self,
        binding: Resource<Handle>,
        migrations: Vec<Migration>,
    ) -> Result<u32, HostError> {
        Ok(self.sql(&binding)?.migrate(migrations).await?)
    }

    async fn drop(&mut self, binding: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(binding)?;
        Ok(())
    }
}

impl HostTransaction for Capabilities {
    async fn query(
        &mut self,
        transaction: Resource<TransactionHandle>,
        statement: Statement,
    ) -> Result<Outcome, HostError> {
        let (number, mut open) = self.taken(&transaction)?;
        let result = open.query(statement).await;
        if open.is_open() {
            self.sql.transactions.insert(number, open);
        }
        Ok(result?)
    }

    async fn execute(
        &mut self,
        transaction: Resource<TransactionHandle>,
        statement: Statement,
    ) -> Result<u64, HostError> {
        let (number, mut open) = self.taken(&transaction)?;
        let result = open.execute(statement).await;
        if open.is_open() {
            self.sql.transactions.insert(number, open);
        }
        Ok(result?)
    }

    async fn commit(&mut self, transaction: Resource<TransactionHandle>) -> Result<(), HostError> {
        let taken = self.taken(&transaction);
        self.table.delete(transaction)?;
        let (_, open) = taken?;
        Ok(open.commit().await?)
    }

    async fn drop(&mut self, transaction: Resource<TransactionHandle>) -> wasmtime::Result<()> {
        let TransactionHandle(number) = self.table.delete(transaction)?;
        if let Some(open) = self.sql.transactions.remove(&number) {
            open.roll_back().await;
        }
        Ok(())
    }
}
