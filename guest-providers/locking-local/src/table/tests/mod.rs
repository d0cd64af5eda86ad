//! The table against a model, and at its edges.

mod edges;
mod model;

use super::{Limits, Table};
use stheno_sdk::Error;
use stheno_sdk::locking::{Answer, Extension, Grant, Request, Turn};

const WIDE: Limits = Limits { max_keys: 1_000, max_waiting: 1_000 };

fn table() -> Table {
    Table::new(WIDE, 1_700_000_000_000, 7)
}

fn request(keys: &[&str], owner: Option<&str>, ttl_ms: Option<u64>, wait: bool) -> Request {
    Request {
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        owner: owner.map(str::to_owned),
        ttl_ms,
        wait,
    }
}

fn ask(table: &mut Table, request: Request, now: u64) -> Answer {
    let mut answers = table.exchange(Vec::new(), vec![request], now).answers;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

fn granted(answer: Answer) -> Grant {
    match answer {
        Answer::Granted(grant) => grant,
        other => panic!("{other:?}"),
    }
}

fn ticket(answer: Answer) -> String {
    match answer {
        Answer::Queued(queued) => queued.ticket,
        other => panic!("{other:?}"),
    }
}

/// The table knows nothing of anybody any more.
fn assert_empty(table: &mut Table) {
    assert_eq!(table.keys.len(), 0);
    assert!(table.leases.is_empty());
    assert!(table.waiters.is_empty() && table.due.is_empty() && table.woken.is_empty());
    assert_eq!(table.waiting, 0);
}
