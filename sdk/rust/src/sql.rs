//! PostgreSQL within a granted schema (`grants.sql.LABEL`); see the contract,
//! `wit/deps/sql/sql.wit`.
//!
//! A component that calls [`open`] is not loaded without a grant.

use crate::bindings::sql::stheno::sql::sql as raw;
use crate::provider::{Error, Result};

pub use raw::{Binding, Migration, Outcome, Statement as RawStatement, Transaction, Value};

/// Opens a binding. Reaches no server.
///
/// # Errors
///
/// `denied` if the label was not granted.
pub fn open(label: &str) -> Result<Binding> {
    raw::open(label)
}

/// A statement under construction: its text, then its parameters.
///
/// ```no_run
/// use stheno_sdk::sql::{self, statement};
///
/// # fn example() -> stheno_sdk::Result<()> {
/// let sql = sql::open("default")?;
/// sql.run(statement("INSERT INTO notes (id, text) VALUES ($1, $2)").int(1).text("hello"))?;
/// let mut rows = sql.rows(statement("SELECT id, text FROM notes"))?;
/// while let Some(mut row) = rows.next() {
///     let (id, text) = (row.int()?, row.text()?);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Statement(raw::Statement);

/// A statement without parameters yet.
#[must_use]
pub fn statement(text: &str) -> Statement {
    Statement(raw::Statement { text: text.to_owned(), parameters: Vec::new() })
}

impl Statement {
    /// Adds a parameter.
    #[must_use]
    pub fn value(mut self, value: Value) -> Self {
        self.0.parameters.push(value);
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.value(Value::Text(text.into()))
    }

    /// Adds a text, or null.
    #[must_use]
    pub fn maybe_text(self, text: Option<&str>) -> Self {
        self.value(text.map_or(Value::Null, |text| Value::Text(text.to_owned())))
    }

    /// Adds a whole number.
    #[must_use]
    pub fn int(self, number: i64) -> Self {
        self.value(Value::Int(number))
    }

    /// Adds bytes.
    #[must_use]
    pub fn bytes(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.value(Value::Bytes(bytes.into()))
    }

    /// Adds an array of texts.
    #[must_use]
    pub fn texts(self, texts: impl IntoIterator<Item = String>) -> Self {
        self.value(Value::Texts(texts.into_iter().map(Some).collect()))
    }

    /// Adds an array of texts, or nulls.
    #[must_use]
    pub fn maybe_texts(self, texts: impl IntoIterator<Item = Option<String>>) -> Self {
        self.value(Value::Texts(texts.into_iter().collect()))
    }

    /// Adds an array of whole numbers.
    #[must_use]
    pub fn ints(self, numbers: impl IntoIterator<Item = i64>) -> Self {
        self.value(Value::Ints(numbers.into_iter().map(Some).collect()))
    }

    /// Adds an array of whole numbers, or nulls.
    #[must_use]
    pub fn maybe_ints(self, numbers: impl IntoIterator<Item = Option<i64>>) -> Self {
        self.value(Value::Ints(numbers.into_iter().collect()))
    }
}

/// The rows that a statement returned.
#[derive(Debug)]
pub struct Rows {
    columns: usize,
    values: std::vec::IntoIter<Value>,
}

impl Rows {
    /// The next row.
    #[expect(clippy::should_implement_trait, reason = "a row borrows what it comes from")]
    pub fn next(&mut self) -> Option<Row<'_>> {
        let more = self.columns > 0 && self.values.len() >= self.columns;
        more.then(|| Row { left: self.columns, values: &mut self.values })
    }
}

impl From<Outcome> for Rows {
    fn from(outcome: Outcome) -> Self {
        Self { columns: outcome.columns.len(), values: outcome.values.into_iter() }
    }
}

/// One row, whose values are taken in their order.
#[derive(Debug)]
pub struct Row<'a> {
    left: usize,
    values: &'a mut std::vec::IntoIter<Value>,
}

impl Row<'_> {
    /// The next value.
    ///
    /// # Errors
    ///
    /// `internal` if the row has no more.
    pub fn value(&mut self) -> Result<Value> {
        let left = self.left.checked_sub(1).ok_or_else(|| unexpected("fewer columns"))?;
        self.left = left;
        self.values.next().ok_or_else(|| unexpected("fewer columns"))
    }

    /// A text.
    ///
    /// # Errors
    ///
    /// `internal` if something else is there.
    pub fn text(&mut self) -> Result<String> {
        self.maybe_text()?.ok_or_else(|| unexpected("null"))
    }

    /// A text, or null.
    ///
    /// # Errors
    ///
    /// As [`Row::text`].
    pub fn maybe_text(&mut self) -> Result<Option<String>> {
        match self.value()? {
            Value::Text(text) | Value::Json(text) | Value::Uuid(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(unexpected("no text")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// `internal` if something else is there.
    pub fn int(&mut self) -> Result<i64> {
        self.maybe_int()?.ok_or_else(|| unexpected("null"))
    }

    /// A whole number, or null.
    ///
    /// # Errors
    ///
    /// As [`Row::int`].
    pub fn maybe_int(&mut self) -> Result<Option<i64>> {
        match self.value()? {
            Value::Int(number) => Ok(Some(number)),
            Value::Null => Ok(None),
            _ => Err(unexpected("no whole number")),
        }
    }

    /// A truth.
    ///
    /// # Errors
    ///
    /// `internal` if something else is there.
    pub fn boolean(&mut self) -> Result<bool> {
        match self.value()? {
            Value::Boolean(truth) => Ok(truth),
            _ => Err(unexpected("no truth")),
        }
    }

    /// Bytes.
    ///
    /// # Errors
    ///
    /// `internal` if something else is there.
    pub fn bytes(&mut self) -> Result<Vec<u8>> {
        match self.value()? {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(unexpected("no bytes")),
        }
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        // What was not taken is not part of the next row.
        while let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            self.values.next();
        }
    }
}

fn unexpected(what: &str) -> Error {
    Error::Internal(format!("the database answered with {what} where something else was expected"))
}

/// A step in the making of a schema.
#[must_use]
pub fn migration(name: &str, statements: &[&str]) -> Migration {
    Migration {
        name: name.to_owned(),
        statements: statements.iter().map(|&statement| statement.to_owned()).collect(),
    }
}

impl Binding {
    /// Makes one statement, and says how many rows it touched.
    ///
    /// # Errors
    ///
    /// As the contract's `execute`.
    pub fn run(&self, Statement(statement): Statement) -> Result<u64> {
        self.execute(&statement)
    }

    /// Makes one statement, and gives its rows.
    ///
    /// # Errors
    ///
    /// As the contract's `query`.
    pub fn rows(&self, Statement(statement): Statement) -> Result<Rows> {
        self.query(&statement).map(Rows::from)
    }

    /// Makes several statements as one transaction.
    ///
    /// # Errors
    ///
    /// As the contract's `batch`.
    pub fn run_as_one(&self, statements: Vec<Statement>) -> Result<Vec<Outcome>> {
        let statements: Vec<_> = statements.into_iter().map(|Statement(it)| it).collect();
        self.batch(&statements)
    }
}

impl Transaction {
    /// Makes one statement, and says how many rows it touched.
    ///
    /// # Errors
    ///
    /// As the contract's `execute`.
    pub fn run(&self, Statement(statement): Statement) -> Result<u64> {
        self.execute(&statement)
    }

    /// Makes one statement, and gives its rows.
    ///
    /// # Errors
    ///
    /// As the contract's `query`.
    pub fn rows(&self, Statement(statement): Statement) -> Result<Rows> {
        self.query(&statement).map(Rows::from)
    }

    /// Keeps what was done.
    ///
    /// # Errors
    ///
    /// As the contract's `commit`.
    pub fn keep(self) -> Result<()> {
        Self::commit(self)
    }
}
