//! Those who wait in this session, as far as it was told.

use std::collections::{HashMap, HashSet};

use stheno_sdk::locking::{Grant, Turn};
use stheno_sdk::sql::{Outcome, Rows};
use stheno_sdk::{Error, Result};

use crate::names::Token;
use crate::{LOOK_MS, LOOK_OWN_MS};

#[derive(Default)]
pub(crate) struct Waiting {
    /// Who waits.
    tickets: HashSet<i64>,
    /// Who has been granted, or has lost its place, and was not told.
    news: HashMap<i64, News>,
    /// When it is to be looked again, on this instance's clock. Kept, since answers that
    /// need no look give it again: counted anew from each of them, it never came while
    /// keys went from hand to hand.
    due: Option<u64>,
}

/// Whom a change has granted their keys.
#[derive(Default)]
pub(crate) struct Woken {
    pub(crate) tokens: Vec<Token>,
    /// Whether somebody of the same owner may be next.
    pub(crate) again: bool,
}

impl Woken {
    pub(crate) fn tickets(self) -> Vec<String> {
        self.tokens.iter().map(|token| token.lease.to_string()).collect()
    }
}

enum News {
    Granted(Token, u64),
    Gone,
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.tickets.len()
    }

    pub(crate) fn enter(&mut self, ticket: i64) {
        self.tickets.insert(ticket);
    }

    pub(crate) fn has(&self, ticket: i64) -> bool {
        self.tickets.contains(&ticket)
    }

    pub(crate) fn leave(&mut self, ticket: i64) {
        self.tickets.remove(&ticket);
    }

    pub(crate) fn tickets(&self) -> Vec<i64> {
        self.tickets.iter().copied().collect()
    }

    /// What there is to be told about a ticket, once.
    pub(crate) fn tell(&mut self, ticket: i64) -> Option<Turn> {
        Some(match self.news.remove(&ticket)? {
            News::Granted(token, fence) => Turn::Granted(Grant { token: token.text(), fence }),
            News::Gone => Turn::Gone,
        })
    }

    /// The lease of a ticket that was granted, if nobody has been told; nobody is,
    /// from now on.
    pub(crate) fn forget(&mut self, ticket: i64) -> Option<Token> {
        match self.news.remove(&ticket)? {
            News::Granted(token, _) => Some(token),
            News::Gone => None,
        }
    }

    /// Has it be looked again in so many milliseconds, if it is not sooner.
    pub(crate) fn look_in(&mut self, ms: u64, now: u64) {
        let due = now.saturating_add(ms);
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// Forgets when it was to be looked again: it is being done.
    pub(crate) fn looked(&mut self) {
        self.due = None;
    }

    /// In how many milliseconds it is to be looked again; none if nobody waits.
    pub(crate) fn due_in(&self, now: u64) -> Option<u64> {
        let due = self.due.filter(|_| !self.tickets.is_empty());
        due.map(|due| due.saturating_sub(now))
    }

    /// Takes in what a statement granted.
    pub(crate) fn granted(&mut self, outcome: Outcome, now: u64) -> Result<Woken> {
        let mut rows = Rows::from(outcome);
        let mut woken = Woken::default();
        while let Some(mut row) = rows.next() {
            let (ticket, size, fence) = (row.int()?, row.int()?, row.int()?);
            self.tickets.remove(&ticket);
            let token = Token { lease: ticket, size };
            self.news.insert(ticket, News::Granted(token, number(fence)?));
            woken.tokens.push(token);
            woken.again |= row.boolean()?;
            // It may stand before others now, until it expires; and who came before them
            // elsewhere was not looked for.
            let ttl = row.maybe_int()?.map_or(LOOK_MS, |ttl| ttl.min(LOOK_MS));
            self.look_in(ttl.unsigned_abs(), now);
        }
        Ok(woken)
    }

    /// Has it be told of a ticket that what it was granted is lost already.
    pub(crate) fn lost(&mut self, ticket: i64) {
        self.news.insert(ticket, News::Gone);
    }

    /// Takes those for gone that are not among the known ones, and gives their tickets.
    pub(crate) fn keep_only(&mut self, known: &HashSet<i64>) -> Vec<String> {
        let lost: Vec<i64> = self.tickets.difference(known).copied().collect();
        for ticket in &lost {
            self.tickets.remove(ticket);
            self.news.insert(*ticket, News::Gone);
        }
        lost.iter().map(ToString::to_string).collect()
    }
}

/// A number of the database that is none below zero.
pub(crate) fn number(of: i64) -> Result<u64> {
    u64::try_from(of).map_err(|_| Error::Internal("a number in the database is below 0".into()))
}

/// When to look again: at once when a lease ends, often if another session stands
/// before one of this, and now and then in any case.
pub(crate) fn due_ms(ends_in: Option<i64>, foreign: bool) -> u64 {
    let often = if foreign { LOOK_MS } else { LOOK_OWN_MS };
    ends_in.map_or(often, |ends| ends.clamp(1, often)).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_again_when_a_lease_ends_and_never_much_later_than_that() {
        assert_eq!(due_ms(None, false), 1_000);
        assert_eq!(due_ms(None, true), 20);
        assert_eq!(due_ms(Some(700), false), 700);
        assert_eq!(due_ms(Some(70_000), false), 1_000);
        assert_eq!(due_ms(Some(700), true), 20);
        assert_eq!(due_ms(Some(-3), true), 1);
    }

    #[test]
    fn a_look_is_not_put_off_by_what_happens_meanwhile() {
        let mut waiting = Waiting::default();
        waiting.look_in(20, 1_000);
        assert_eq!(waiting.due_in(1_000), None, "nobody waits");
        waiting.enter(1);
        waiting.look_in(20, 1_015);
        assert_eq!(waiting.due_in(1_015), Some(5));
        waiting.look_in(1, 1_016);
        assert_eq!(waiting.due_in(1_016), Some(1));
        assert_eq!(waiting.due_in(1_030), Some(0));
        waiting.looked();
        waiting.look_in(700, 1_030);
        assert_eq!(waiting.due_in(1_030), Some(700));
    }

    #[test]
    fn what_is_lost_is_told_once() {
        let mut waiting = Waiting::default();
        (1..=3).for_each(|ticket| waiting.enter(ticket));
        assert_eq!(waiting.keep_only(&HashSet::from([1, 3])), ["2"]);
        assert!(!waiting.has(2) && waiting.has(3));
        assert!(matches!(waiting.tell(2), Some(Turn::Gone)));
        assert!(waiting.tell(2).is_none());
    }
}
