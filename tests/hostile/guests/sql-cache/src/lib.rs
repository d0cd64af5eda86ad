//! Reaches for more of a database than was granted. The key of a `get` says how:
//!
//! | key | does |
//! |---|---|
//! | `open:LABEL` | opens the binding with this label |
//! | `query:STATEMENT` | one statement |
//! | `execute:STATEMENT` | one statement, whose rows are counted |
//! | `batch:STATEMENT§STATEMENT ...` | several as one |
//! | `transaction:STATEMENT§STATEMENT ...` | several in a transaction, kept |
//! | `leave:STATEMENT` | one in a transaction that is left open |
//! | `leave-many:NUMBER` | begins so many transactions and leaves them open |
//! | `use-left:` | uses what an earlier call left |
//! | `migrate:STATEMENT` | makes the schema |
//!
//! The value is what came of it: the values of the rows, or the error's kind and
//! text.

use std::cell::RefCell;

use hostile_support::{Answers, export_answers};
use stheno_sdk::sql::{self, Binding, Outcome, Transaction, Value, migration, statement};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result};

thread_local! {
    /// Transactions that outlive the call that began them, if they could.
    static LEFT: RefCell<Vec<Transaction>> = const { RefCell::new(Vec::new()) };
}

struct Attacker;

impl Lifecycle for Attacker {
    fn describe() -> Description {
        Description::new("sql-cache", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }
}

fn shown(outcome: &Outcome) -> String {
    let value = |value: &Value| match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Int(number) | Value::Timestamp(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) | Value::Json(text) | Value::Uuid(text) => text.clone(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Texts(texts) => format!("{texts:?}"),
        Value::Ints(ints) => format!("{ints:?}"),
    };
    outcome.values.iter().map(value).collect::<Vec<_>>().join(" ")
}

fn told(error: &Error) -> String {
    match error {
        Error::Denied(text) => format!("denied: {text}"),
        Error::InvalidArgument(text) => format!("invalid-argument: {text}"),
        Error::Unavailable(text) => format!("unavailable: {text}"),
        Error::Timeout(text) => format!("timeout: {text}"),
        Error::Conflict(text) => format!("conflict: {text}"),
        other => format!("other: {other:?}"),
    }
}

fn default() -> Result<Binding> {
    sql::open("default")
}

fn raw(text: &str) -> sql::RawStatement {
    sql::RawStatement { text: text.to_owned(), parameters: Vec::new() }
}

fn act(key: &str) -> Result<String> {
    let (verb, object) = key.split_once(':').unwrap_or((key, ""));
    match verb {
        "open" => sql::open(object).map(|_| "opened".to_owned()),
        "query" => default()?.query(&raw(object)).map(|outcome| shown(&outcome)),
        "execute" => default()?.run(statement(object)).map(|count| count.to_string()),
        "batch" => {
            let outcomes = default()?.run_as_one(object.split('§').map(statement).collect())?;
            Ok(outcomes.iter().map(shown).collect::<Vec<_>>().join("|"))
        }
        "transaction" => {
            let transaction = default()?.begin()?;
            let mut came = Vec::new();
            for text in object.split('§') {
                came.push(transaction.query(&raw(text)).map(|outcome| shown(&outcome))?);
            }
            transaction.keep()?;
            Ok(came.join("|"))
        }
        "leave" => {
            let transaction = default()?.begin()?;
            transaction.run(statement(object))?;
            LEFT.with_borrow_mut(|left| left.push(transaction));
            Ok("left".to_owned())
        }
        "leave-many" => {
            let number: usize = object.parse().unwrap_or(1);
            for _ in 0..number {
                let transaction = default()?.begin()?;
                LEFT.with_borrow_mut(|left| left.push(transaction));
            }
            Ok("left".to_owned())
        }
        "use-left" => {
            let left = LEFT.with_borrow_mut(Vec::pop);
            let left = left.ok_or_else(|| Error::NotFound("nothing was left".into()))?;
            let used = left.run(statement("SELECT 1"));
            used.and_then(|_| left.keep()).map(|()| "kept".to_owned())
        }
        "migrate" => {
            let applied = default()?.migrate(&[migration("one", &[object])])?;
            Ok(applied.to_string())
        }
        _ => Err(Error::Unsupported(format!("{verb} is none of its misdeeds"))),
    }
}

impl Answers for Attacker {
    fn answer(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(Some(act(key).unwrap_or_else(|error| told(&error)).into_bytes()))
    }
}

export_answers!(Attacker);
