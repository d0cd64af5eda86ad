//! Statements on a connection.

use std::pin::Pin;
use std::task::Poll;

use futures_util::TryStreamExt as _;
use stheno_contracts::Error;
use stheno_contracts::sql::{Outcome, Statement};
use tokio_postgres::RowStream;

use super::link::{Live, Prepared};
use super::refusal::Failed;
use super::values::{Parameter, check_columns, check_parameters, read_row};

/// What rows of one call may still come.
pub(super) struct Room {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// How many bytes came in rows that nobody wants. They have no limit, and a price.
    pub(super) passed: usize,
}

/// What becomes of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    Wanted,
    Counted,
}

/// Makes one statement.
pub(super) async fn one(
    live: &mut Live,
    statement: &Statement,
    rows: Rows,
    room: &mut Room,
) -> Result<Outcome, Failed> {
    let prepared = live.prepared(&statement.text).await?;
    check(&prepared, statement, rows)?;
    let parameters = statement.parameters.iter().map(Parameter);
    let stream = live.client.query_raw(&prepared.statement, parameters).await;
    let stream = stream.map_err(|error| failed(live, &error))?;
    outcome(live, stream, &prepared, rows, room).await
}

/// Makes several as one, in one round trip once the server knows them. The error is
/// that of the first one that failed.
pub(super) async fn all(
    live: &mut Live,
    statements: &[Statement],
    room: &mut Room,
) -> Result<Vec<Outcome>, Failed> {
    let mut prepared = Vec::with_capacity(statements.len());
    for statement in statements {
        let known = live.prepared(&statement.text).await?;
        check(&known, statement, Rows::Wanted)?;
        prepared.push(known);
    }
    let client = &live.client;
    // All is written before anything is awaited; answers come in the same order.
    let begun = Sent::now(client.batch_execute("BEGIN")).await;
    let mut sent = Vec::with_capacity(statements.len());
    for (statement, known) in statements.iter().zip(&prepared) {
        let parameters = statement.parameters.iter().map(Parameter);
        sent.push(Sent::now(client.query_raw(&known.statement, parameters)).await);
    }
    // What cannot even be written fails all of it.
    let unsent = sent.iter().any(|sent| matches!(sent, Sent::Done(Err(_))));
    let end = if unsent { "ROLLBACK" } else { "COMMIT" };
    let committed = Sent::now(client.batch_execute(end)).await;
    begun.answer().await.map_err(|error| failed(live, &error))?;
    let mut outcomes = Vec::with_capacity(sent.len());
    let mut first = None;
    for (sent, known) in sent.into_iter().zip(&prepared) {
        let done = match sent.answer().await {
            Ok(stream) => outcome(live, stream, known, Rows::Wanted, room).await,
            Err(error) => Err(failed(live, &error)),
        };
        match done {
            Ok(outcome) => outcomes.push(outcome),
            Err(Failed::Told(error)) => {
                // The others are not made any more.
                first = Some(error);
                break;
            }
            Err(broken) => return Err(broken),
        }
    }
    let committed = committed.answer().await.map_err(|error| failed(live, &error));
    match first {
        None => committed.map(|()| outcomes),
        Some(error) => committed.and(Err(Failed::Told(error))),
    }
}

fn check(prepared: &Prepared, statement: &Statement, rows: Rows) -> Result<(), Failed> {
    check_parameters(&statement.parameters, &prepared.parameters).map_err(Failed::Told)?;
    match rows {
        Rows::Wanted => {
            check_columns(prepared.statement.columns(), &prepared.columns).map_err(Failed::Told)
        }
        Rows::Counted => Ok(()),
    }
}

/// A parameter that cannot be written is the guest's fault, not the connection's.
fn failed(live: &Live, error: &tokio_postgres::Error) -> Failed {
    use std::error::Error as _;
    let text = error.to_string();
    if text.starts_with("error serializing parameter") || text.starts_with("error encoding") {
        let why = error.source().map_or_else(String::new, |source| format!(": {source}"));
        return Failed::Told(Error::InvalidArgument(format!("a parameter cannot be written{why}")));
    }
    live.failed(error)
}

async fn outcome(
    live: &Live,
    stream: RowStream,
    prepared: &Prepared,
    rows: Rows,
    room: &mut Room,
) -> Result<Outcome, Failed> {
    let mut stream = std::pin::pin!(stream);
    let mut values = Vec::new();
    let mut wrong = None;
    while let Some(row) = stream.try_next().await.map_err(|error| failed(live, &error))? {
        let size = row.raw_size_bytes() + 16 * row.len();
        if rows == Rows::Counted || wrong.is_some() {
            room.passed = room.passed.saturating_add(size);
            continue;
        }
        let beyond = |what: &str| {
            Failed::Broken(Error::InvalidArgument(format!(
                "there is more than {what} of the SQL binding; ask for less (LIMIT), or raise it"
            )))
        };
        room.rows = room.rows.checked_sub(1).ok_or_else(|| beyond("max_rows"))?;
        room.bytes = room.bytes.checked_sub(size).ok_or_else(|| beyond("max_bytes"))?;
        wrong = read_row(&row, &mut values).err();
    }
    if let Some(error) = wrong {
        return Err(Failed::Told(error));
    }
    let columns = match rows {
        Rows::Wanted => {
            let columns = prepared.statement.columns().iter();
            columns.map(|column| column.name().to_owned()).collect()
        }
        Rows::Counted => Vec::new(),
    };
    let affected = stream.rows_affected().unwrap_or_default();
    Ok(Outcome { columns, values, affected })
}

/// Something that was written to the server, and is not awaited yet.
enum Sent<F: Future> {
    Waiting(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> Sent<F> {
    /// A future of the client writes when it is first polled.
    async fn now(future: F) -> Self {
        let mut future = Box::pin(future);
        let first = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
        match first.await {
            Poll::Ready(output) => Self::Done(output),
            Poll::Pending => Self::Waiting(future),
        }
    }

    async fn answer(self) -> F::Output {
        match self {
            Self::Waiting(future) => future.await,
            Self::Done(output) => output,
        }
    }
}
