//! How a change is made: behind the gate, and so that nothing of it is left over when
//! its answer is lost.

use stheno_sdk::sql::{Binding, Outcome, Rows, Statement, statement};
use stheno_sdk::{Error, Result};

use crate::rounds::int;
use crate::{PATIENCE_MS, schema, statements};

/// How long, and how often, what nobody was told of is looked for: a server that
/// stood still may do what it was sent when it goes on.
const DOUBT_MS: u64 = 120_000;
const DOUBT_EVERY_MS: u64 = 1_000;
/// The most doubts at a time. Each needs a failure after a success.
const MAX_DOUBTS: usize = 64;
/// A session says that it is alive once this part of its patience has passed.
const BEAT_EVERY_MS: u64 = PATIENCE_MS.unsigned_abs() / 4;
/// How long the places of a session that is dead are kept.
const GRACE_MS: i64 = 20_000;
/// Rows in one step of the sweep.
const SWEEP: i64 = 512;
/// Rows of the queue that are forgotten in one step.
const FORGET: i64 = 1_000;

pub(crate) struct Database {
    sql: Binding,
    /// Whether the tables are there.
    ready: bool,
    /// The number of this session: the low bits count its failures.
    session: i64,
    /// The last number of the gate that this session was told of.
    known: i64,
    /// What every number is above.
    floor: i64,
    /// When it said that it is alive.
    beat: Option<u64>,
    doubts: Vec<Doubt>,
    /// How many rows the sweep owes, and the key that it came to.
    owed: i64,
    hand: String,
}

/// Sessions of this instance that may have got what they were not told of.
struct Doubt {
    first: i64,
    last: i64,
    /// The last number that they were told of.
    known: i64,
    /// When it is looked for next, and until when; none before it was once.
    next: Option<u64>,
    end: Option<u64>,
}

impl Database {
    pub(crate) fn new(sql: Binding, seed: u64) -> Self {
        // Positive, with room for a count.
        let session = i64::try_from(seed >> 17).unwrap_or_default() << 16;
        Self {
            sql,
            ready: false,
            session,
            known: 0,
            floor: 0,
            beat: None,
            doubts: Vec::new(),
            owed: 0,
            hand: String::new(),
        }
    }

    pub(crate) fn session(&self) -> i64 {
        self.session
    }

    /// The last number that was reserved.
    pub(crate) fn known(&self) -> i64 {
        self.known
    }

    pub(crate) fn resume(&mut self, fence: u64) {
        self.floor = self.floor.max(i64::try_from(fence).unwrap_or(i64::MAX / 2));
    }

    /// Makes the tables, if this is the first time.
    pub(crate) fn make_ready(&mut self) -> Result<()> {
        if !self.ready {
            self.sql.migrate(&schema::migrations())?;
            self.ready = true;
        }
        Ok(())
    }

    /// Looks at rows, and changes nothing.
    pub(crate) fn rows(&mut self, statement: Statement) -> Result<Rows> {
        self.make_ready()?;
        self.sql.rows(statement)
    }

    /// Whether something has to be said, or taken back, that waits for no call.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.beat_is_due(now) || self.doubts.iter().any(|doubt| doubt.is_due(now))
    }

    fn beat_is_due(&self, now: u64) -> bool {
        self.beat.is_none_or(|beat| now.saturating_sub(beat) >= BEAT_EVERY_MS)
    }

    /// Has the sweep look at two rows for each of so many: with more than one it is
    /// faster than rows can be made.
    pub(crate) fn owe(&mut self, keys: usize) {
        self.owed = self.owed.saturating_add(int(keys).saturating_mul(2));
    }

    /// Makes the statements one after the other behind the gate, as one transaction,
    /// and gives what came of each. `numbers` are reserved for them.
    pub(crate) fn change(
        &mut self,
        numbers: i64,
        wanted: impl FnOnce(i64) -> Vec<Statement>,
        now: u64,
    ) -> Result<Vec<Outcome>> {
        self.make_ready()?;
        let mut all = Vec::new();
        for doubt in self.doubts.iter().filter(|doubt| doubt.is_due(now)) {
            all.extend(doubt.statements(self.session));
        }
        let beats = self.beat_is_due(now);
        if beats {
            all.push(statement(statements::BEAT).int(self.session).int(PATIENCE_MS));
        }
        let sweeps = self.owed >= SWEEP;
        if sweeps {
            all.push(statement(statements::SWEEP_SESSIONS).int(GRACE_MS).int(FORGET));
            all.push(statement(statements::SWEEP_LOCKS).text(&self.hand).int(SWEEP));
        }
        // The numbers are the last that were given when the statements want them.
        all.insert(0, statement(statements::GATE).int(numbers).int(self.floor));
        let before = all.len();
        all.extend(wanted(self.session));
        let mut outcomes = match self.sql.run_as_one(all) {
            Err(error @ (Error::Unavailable(_) | Error::Timeout(_))) => {
                self.doubt(now);
                return Err(error);
            }
            outcomes => outcomes?,
        };
        let own = outcomes.split_off(before.min(outcomes.len()));
        self.doubts.retain_mut(|doubt| doubt.was_looked_at(now));
        if beats {
            self.beat = Some(now);
        }
        if sweeps && let Some(swept) = outcomes.pop() {
            self.swept(swept)?;
        }
        let gate = outcomes.into_iter().next();
        let mut gate = gate.map(Rows::from).ok_or_else(no_gate)?;
        self.known = gate.next().ok_or_else(no_gate)?.int()?;
        Ok(own)
    }

    fn swept(&mut self, page: Outcome) -> Result<()> {
        let mut rows = Rows::from(page);
        let mut row = rows.next().ok_or_else(no_gate)?;
        let (last, seen) = (row.maybe_text()?, row.int()?);
        self.owed = self.owed.saturating_sub(SWEEP);
        self.hand = if seen < SWEEP { String::new() } else { last.unwrap_or_default() };
        Ok(())
    }

    /// Takes another number, since what was sent under this one may be done or not.
    fn doubt(&mut self, now: u64) {
        let (session, known) = (self.session, self.known);
        match self.doubts.last_mut() {
            // There was no success since, so there is nothing of it to be kept.
            Some(doubt) if doubt.known == known && doubt.last + 1 == session => {
                *doubt = Doubt { last: session, next: None, end: None, ..*doubt };
            }
            _ => {
                self.doubts.push(Doubt {
                    first: session,
                    last: session,
                    known,
                    next: None,
                    end: None,
                });
            }
        }
        if self.doubts.len() > MAX_DOUBTS {
            self.doubts.remove(0);
        }
        for doubt in &mut self.doubts {
            // What is beyond its time was sent before the server stood still.
            doubt.end = doubt.end.map(|_| now.saturating_add(DOUBT_MS));
        }
        self.session = session.saturating_add(1);
        self.beat = None;
    }
}

impl Doubt {
    fn is_due(&self, now: u64) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// What is taken back, and what goes to the session that follows.
    fn statements(&self, session: i64) -> [Statement; 3] {
        let back = |text| statement(text).int(self.first).int(self.last).int(self.known);
        [
            back(statements::TAKE_BACK_LOCKS),
            back(statements::TAKE_BACK_WAITS),
            statement(statements::INHERIT).int(session).int(self.first).int(self.last),
        ]
    }

    /// Whether it stays.
    fn was_looked_at(&mut self, now: u64) -> bool {
        if self.is_due(now) {
            self.next = Some(now.saturating_add(DOUBT_EVERY_MS));
        }
        *self.end.get_or_insert(now.saturating_add(DOUBT_MS)) > now
    }
}

fn no_gate() -> Error {
    Error::Internal("the database answered with fewer rows than were asked for".into())
}
