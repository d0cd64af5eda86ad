//! The calls of the module: from arguments to statements, and from rows to answers.

use std::collections::{HashMap, HashSet};

use stheno_sdk::locking::{
    Answer, Exchanged, Extension, Freed, Grant, Lock, LockPage, Polled, Queued, Request, Turn,
};
use stheno_sdk::sql::{Outcome, Row, Rows, Statement, statement};
use stheno_sdk::{Error, Result};

use crate::database::Database;
use crate::names::{self, Token};
use crate::rounds::{self, int};
use crate::waiting::{Waiting, Woken, due_ms, number};
use crate::{LOOK_MS, statements};

/// Requests in one transaction, and about how many bytes of keys.
const REQUESTS: usize = 256;
const BYTES: usize = 1 << 20;
/// The most keys of a request.
const KEYS: i64 = 64;
/// Rows of one owner that one statement frees.
const FREED: i64 = 1_000;

pub(crate) struct Locks {
    database: Database,
    waiting: Waiting,
}

/// How it stands with those who wait.
struct Look {
    waiting: i64,
    ready: i64,
    ends_in: Option<i64>,
    foreign: bool,
}

impl Locks {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, waiting: Waiting::default() }
    }

    pub(crate) fn health(&mut self) -> Result<()> {
        self.database.rows(statement("SELECT 1 AS there")).map(drop)
    }

    pub(crate) fn resume(&mut self, fence: u64) {
        self.database.resume(fence);
    }

    pub(crate) fn exchange(
        &mut self,
        tokens: Vec<String>,
        requests: Vec<Request>,
        now: u64,
    ) -> Result<Exchanged> {
        let mut portions = portions(requests).into_iter();
        // The leases end in the first transaction.
        let first = portions.next().unwrap_or_default();
        let mut exchanged = self.exchange_at_once(tokens, &first, now)?;
        for portion in portions {
            match self.exchange_at_once(Vec::new(), &portion, now) {
                Ok(more) => {
                    exchanged.answers.extend(more.answers);
                    exchanged.woken.extend(more.woken);
                }
                // What others were granted is not to be lost with this.
                Err(error) => {
                    let refused = portion.iter().map(|_| Answer::Refused(error.clone()));
                    exchanged.answers.extend(refused);
                }
            }
        }
        Ok(exchanged)
    }

    fn exchange_at_once(
        &mut self,
        tokens: Vec<String>,
        requests: &[Request],
        now: u64,
    ) -> Result<Exchanged> {
        let ended: HashSet<Token> = tokens.iter().filter_map(|text| Token::read(text)).collect();
        if ended.is_empty() && requests.is_empty() {
            return Ok(Exchanged { lost: tokens, answers: Vec::new(), woken: Vec::new() });
        }
        self.database.owe(requests.iter().map(|request| request.keys.len()).sum());
        // The first of the numbers are for those whom a lease passes to, the last for
        // the requests.
        let passing: i64 = ended.iter().map(|token| token.size).sum();
        let numbers = passing.saturating_add(int(requests.len()));
        let wanted = |session| {
            let mut all = Vec::new();
            if !ended.is_empty() {
                let (leases, _) = columns(ended.iter());
                all.push(statement(statements::COUNT_LEASES).ints(leases.iter().copied()));
                all.push(passing_on(statements::RELEASE, session, numbers).ints(leases));
            }
            all.extend(rounds::statements(requests, session));
            all
        };
        let mut outcomes = self.database.change(numbers, wanted, now)?.into_iter();
        let (mut lost, mut released) = (tokens, Vec::new());
        if !ended.is_empty() {
            let mut whole = whole(Rows::from(outcomes.next().ok_or_else(mixed_up)?))?;
            // Of one that is there twice, the second was released before.
            lost.retain(|text| Token::read(text).is_none_or(|token| !whole.remove(&token)));
            released.extend(outcomes.next());
        }
        let answers = self.answers(requests, outcomes, now)?;
        Ok(Exchanged { lost, answers, woken: self.woken(released, now)? })
    }

    fn answers(
        &mut self,
        requests: &[Request],
        outcomes: impl Iterator<Item = Outcome>,
        now: u64,
    ) -> Result<Vec<Answer>> {
        let mut answers: Vec<Option<Answer>> = Vec::new();
        answers.resize_with(requests.len(), || None);
        for outcome in outcomes {
            let mut rows = Rows::from(outcome);
            while let Some(mut row) = rows.next() {
                let place = usize::try_from(row.int()?).unwrap_or(usize::MAX);
                let (Some(request), Some(answer)) = (requests.get(place), answers.get_mut(place))
                else {
                    return Err(mixed_up());
                };
                *answer = Some(self.waiting.answer(request, &mut row, now)?);
            }
        }
        answers.into_iter().map(|answer| answer.ok_or_else(mixed_up)).collect()
    }

    pub(crate) fn poll(&mut self, tickets: Vec<String>, now: u64) -> Result<Polled> {
        let mut turns = Vec::new();
        let mut asked = Vec::new();
        let all_are_told = !tickets.is_empty();
        for text in tickets {
            match names::ticket(&text).map(|ticket| (ticket, self.waiting.tell(ticket))) {
                Some((_, Some(turn))) => turns.push((text, turn)),
                Some((ticket, None)) => asked.push(ticket),
                None => turns.push((text, Turn::Gone)),
            }
        }
        let mut woken = Vec::new();
        if !asked.is_empty() || !(all_are_told || self.waiting.is_empty()) {
            match self.look_after(&asked, &mut turns, now) {
                Ok(found) => woken = found,
                // What there was to be told is told; the others are asked after again.
                Err(_) if !turns.is_empty() => self.waiting.look_in(LOOK_MS.unsigned_abs(), now),
                Err(error) => return Err(error),
            }
        }
        Ok(Polled { turns, woken, next_due_ms: self.waiting.due_in(now) })
    }

    /// Finds out about these tickets, and takes for all that wait what is theirs.
    fn look_after(
        &mut self,
        asked: &[i64],
        turns: &mut Vec<(String, Turn)>,
        now: u64,
    ) -> Result<Vec<String>> {
        let strangers: Vec<i64> =
            asked.iter().copied().filter(|&ticket| !self.waiting.has(ticket)).collect();
        if !strangers.is_empty() {
            // Of an instance before this one: they keep their places.
            let adopt = |session| vec![statement(statements::ADOPT).int(session).ints(strangers)];
            self.database.change(0, adopt, now)?;
        } else if self.database.is_due(now) {
            self.database.change(0, |_| Vec::new(), now)?;
        }
        if !asked.is_empty() {
            let known = self.known(asked.to_vec())?;
            for ticket in asked {
                if known.contains(ticket) {
                    self.waiting.enter(*ticket);
                } else {
                    self.waiting.leave(*ticket);
                    turns.push((ticket.to_string(), Turn::Gone));
                }
            }
        }
        if self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        let look = self.look()?;
        self.waiting.looked();
        self.waiting.look_in(due_ms(look.ends_in, look.foreign), now);
        let mut woken = Vec::new();
        if look.waiting != int(self.waiting.len()) {
            // It was taken for dead, or what was granted to it was lost on the way.
            let known = self.known(self.waiting.tickets())?;
            woken = self.waiting.keep_only(&known);
        }
        if look.ready == 0 {
            return Ok(woken);
        }
        let take = |session| vec![passing_on(statements::TAKE, session, look.ready)];
        let mut taken = self.database.change(look.ready, take, now)?;
        woken.extend(self.woken(taken.pop().into_iter().collect(), now)?);
        Ok(woken)
    }

    /// Takes in what was granted, and grants who follows of the same owner: each of
    /// them renews what the one before it has just got, which loses it.
    fn woken(&mut self, outcomes: Vec<Outcome>, now: u64) -> Result<Vec<String>> {
        let mut all = Woken::default();
        let mut more = outcomes;
        while !more.is_empty() {
            let mut again = false;
            for outcome in std::mem::take(&mut more) {
                let mut woken = self.waiting.granted(outcome, now)?;
                again |= woken.again;
                all.tokens.append(&mut woken.tokens);
            }
            all.again |= again;
            if again {
                let numbers = int(self.waiting.len());
                let take = |session| vec![passing_on(statements::TAKE, session, numbers)];
                // What does not succeed now is taken when it is looked again.
                more = self.database.change(numbers, take, now).unwrap_or_default();
            }
        }
        if all.again {
            let leases = all.tokens.iter().map(|token| token.lease);
            let count = statement(statements::COUNT_LEASES).ints(leases);
            // If that fails, who was granted a lease that is lost already finds out when
            // it uses it.
            if let Ok(whole) = self.database.rows(count).and_then(whole) {
                for token in all.tokens.iter().filter(|token| !whole.contains(token)) {
                    self.waiting.lost(token.lease);
                }
            }
        }
        Ok(all.tickets())
    }

    fn known(&mut self, tickets: Vec<i64>) -> Result<HashSet<i64>> {
        let mut rows = self.database.rows(statement(statements::KNOWN).ints(tickets))?;
        let mut known = HashSet::new();
        while let Some(mut row) = rows.next() {
            known.insert(row.int()?);
        }
        Ok(known)
    }

    fn look(&mut self) -> Result<Look> {
        let look = statement(statements::LOOK).int(self.database.session());
        let mut rows = self.database.rows(look)?;
        let mut row = rows.next().ok_or_else(mixed_up)?;
        Ok(Look {
            waiting: row.int()?,
            ready: row.int()?,
            ends_in: row.maybe_int()?,
            foreign: row.boolean()?,
        })
    }

    pub(crate) fn abandon(&mut self, tickets: &[String], now: u64) -> Result<Vec<String>> {
        let tickets: Vec<i64> = tickets.iter().filter_map(|text| names::ticket(text)).collect();
        if tickets.is_empty() {
            return Ok(Vec::new());
        }
        // Of those who wait, and of those who were granted and have not heard of it: a
        // lease has the number of its ticket.
        let numbers = KEYS.saturating_mul(int(tickets.len()));
        let wanted = |session| {
            vec![
                // The first half of the numbers is for this, the second for the leases.
                passing_on(statements::STEP_ASIDE, session, 2 * numbers)
                    .ints(tickets.iter().copied()),
                statement(statements::REMOVE).ints(tickets.iter().copied()),
                passing_on(statements::RELEASE, session, numbers).ints(tickets.iter().copied()),
            ]
        };
        let outcomes = self.database.change(2 * numbers, wanted, now)?;
        // Not before: a call that failed is made again.
        for &ticket in &tickets {
            self.waiting.forget(ticket);
            self.waiting.leave(ticket);
        }
        let [aside, _, released] = <[Outcome; 3]>::try_from(outcomes).map_err(|_| mixed_up())?;
        self.woken(vec![aside, released], now)
    }

    pub(crate) fn extend(&mut self, extensions: &[Extension], now: u64) -> Result<Vec<String>> {
        // Of one that is there twice, the last counts.
        let wanted: HashMap<Token, Option<i64>> = extensions
            .iter()
            .filter_map(|it| Some((Token::read(&it.token)?, it.ttl_ms.map(rounds::ttl))))
            .collect();
        let mut whole = HashSet::new();
        if !wanted.is_empty() {
            let extend = |_| {
                let (leases, sizes) = columns(wanted.keys());
                let ttls = wanted.values().copied();
                vec![statement(statements::EXTEND).ints(leases).ints(sizes).maybe_ints(ttls)]
            };
            let mut outcomes = self.database.change(0, extend, now)?;
            let mut rows = Rows::from(outcomes.pop().ok_or_else(mixed_up)?);
            while let Some(mut row) = rows.next() {
                whole.insert(row.int()?);
            }
        }
        let is_lost =
            |text: &&String| Token::read(text).is_none_or(|token| !whole.contains(&token.lease));
        Ok(extensions.iter().map(|it| &it.token).filter(is_lost).cloned().collect())
    }

    pub(crate) fn release_keys(
        &mut self,
        keys: &[String],
        owner: Option<&str>,
        now: u64,
    ) -> Result<Freed> {
        let keys: Vec<String> = keys.iter().map(|key| names::stored(key)).collect();
        let numbers = int(keys.len());
        let wanted = |session| {
            vec![
                statement(statements::COUNT_KEYS).texts(keys.clone()).maybe_text(owner),
                passing_on(statements::RELEASE_KEYS, session, numbers)
                    .texts(keys)
                    .maybe_text(owner),
            ]
        };
        let (freed, ..) = self.free(numbers, wanted, now)?;
        Ok(freed)
    }

    pub(crate) fn release_all(&mut self, owner: Option<&str>, now: u64) -> Result<Freed> {
        let mut all = Freed { keys: 0, woken: Vec::new() };
        let mut up_to = i64::MAX;
        loop {
            let wanted = |session| {
                vec![
                    statement(statements::COUNT_ALL).maybe_text(owner).int(up_to),
                    passing_on(statements::RELEASE_ALL, session, FREED)
                        .maybe_text(owner)
                        .int(up_to),
                ]
            };
            let (freed, seen, before) = self.free(FREED, wanted, now)?;
            // What this has passed on, perhaps to nobody in particular, stays.
            up_to = up_to.min(before);
            all.keys += freed.keys;
            all.woken.extend(freed.woken);
            if seen < FREED {
                return Ok(all);
            }
        }
    }

    /// Frees keys, and gives also how many rows were looked at and the last number that
    /// was given before.
    fn free(
        &mut self,
        numbers: i64,
        wanted: impl FnOnce(i64) -> Vec<Statement>,
        now: u64,
    ) -> Result<(Freed, i64, i64)> {
        let outcomes = self.database.change(numbers, wanted, now)?;
        let before = self.database.known() - numbers;
        let [counted, released] = <[Outcome; 2]>::try_from(outcomes).map_err(|_| mixed_up())?;
        let mut rows = Rows::from(counted);
        let mut row = rows.next().ok_or_else(mixed_up)?;
        let (keys, seen) = (number(row.int()?)?, row.int()?);
        Ok((Freed { keys, woken: self.woken(vec![released], now)? }, seen, before))
    }

    pub(crate) fn inspect(&mut self, keys: &[String]) -> Result<Vec<Option<Lock>>> {
        let asked = statement(statements::INSPECT)
            .int(self.database.session())
            .ints((0..keys.len()).map(int))
            .texts(keys.iter().map(|key| names::stored(key)));
        let mut rows = self.database.rows(asked)?;
        let mut locks = vec![None; keys.len()];
        while let Some(mut row) = rows.next() {
            let place = usize::try_from(row.int()?).unwrap_or(usize::MAX);
            if let (Some(key), Some(lock)) = (keys.get(place), locks.get_mut(place)) {
                *lock = Some(lock_of(key.clone(), &mut row)?);
            }
        }
        Ok(locks)
    }

    pub(crate) fn held(
        &mut self,
        owner: Option<&str>,
        after: Option<&str>,
        max: u32,
    ) -> Result<LockPage> {
        let page = statement(statements::HELD)
            .int(self.database.session())
            .text(names::stored(after.unwrap_or_default()))
            .maybe_text(owner)
            .int(i64::from(max) + 1);
        let mut rows = self.database.rows(page)?;
        let mut items = Vec::new();
        while let Some(mut row) = rows.next() {
            let key = names::given(row.text()?);
            items.push(lock_of(key, &mut row)?);
        }
        let most = usize::try_from(max).unwrap_or(usize::MAX);
        let more = items.len() > most;
        items.truncate(most);
        let next = items.last().filter(|_| more).map(|lock| lock.key.clone());
        Ok(LockPage { items, next })
    }
}

impl Waiting {
    /// What became of a request.
    fn answer(&mut self, request: &Request, row: &mut Row<'_>, now: u64) -> Result<Answer> {
        let (verdict, number_given) = (row.int()?, row.int()?);
        let (taken, owns) = (row.maybe_text()?.map(names::given), row.boolean()?);
        let (ends_in, foreign) = (row.maybe_int()?, row.boolean()?);
        Ok(match verdict {
            2 => {
                let token = Token { lease: number_given, size: int(request.keys.len()) };
                Answer::Granted(Grant { token: token.text(), fence: number(number_given)? })
            }
            1 => {
                self.enter(number_given);
                self.look_in(due_ms(ends_in, foreign), now);
                let ticket = number_given.to_string();
                Answer::Queued(Queued { ticket, next_due_ms: self.due_in(now) })
            }
            _ => {
                let name = taken.unwrap_or_default();
                let more = if request.wait && owns {
                    ", and an owner that holds some of the keys already does not wait for the \
                     others; release those first"
                } else {
                    ""
                };
                Answer::Refused(Error::Conflict(format!("the key {name:?} is taken{more}")))
            }
        })
    }
}

/// A statement that passes keys on, up to its own arguments.
fn passing_on(text: &str, session: i64, numbers: i64) -> Statement {
    statement(text).int(session).int(numbers)
}

/// The leases with as many keys as they have: a lease is whole if that is its own.
fn whole(mut counted: Rows) -> Result<HashSet<Token>> {
    let mut whole = HashSet::new();
    while let Some(mut row) = counted.next() {
        whole.insert(Token { lease: row.int()?, size: row.int()? });
    }
    Ok(whole)
}

fn columns<'a>(tokens: impl Iterator<Item = &'a Token>) -> (Vec<i64>, Vec<i64>) {
    tokens.map(|token| (token.lease, token.size)).unzip()
}

fn lock_of(key: String, row: &mut Row<'_>) -> Result<Lock> {
    Ok(Lock {
        key,
        owner: row.maybe_text()?,
        fence: number(row.int()?)?,
        expires_in_ms: row.maybe_int()?.map(number).transpose()?,
        waiting: number(row.int()?)?,
    })
}

/// The requests in their order, in portions of a bounded size, each key once.
fn portions(requests: Vec<Request>) -> Vec<Vec<Request>> {
    let mut all: Vec<Vec<Request>> = Vec::new();
    let mut bytes = 0;
    for mut request in requests {
        request.keys.sort_unstable();
        request.keys.dedup();
        let more: usize = request.keys.iter().map(String::len).sum();
        match all.last_mut() {
            Some(last) if last.len() < REQUESTS && bytes + more <= BYTES => {
                bytes += more;
                last.push(request);
            }
            _ => {
                bytes = more;
                all.push(vec![request]);
            }
        }
    }
    all
}

fn mixed_up() -> Error {
    Error::Internal("the database answered with something else than was asked".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_keep_the_order_and_stay_small() {
        let request = |at: usize| {
            let keys = vec!["b".repeat(1_000), format!("a{at}"), format!("a{at}")];
            Request { keys, owner: None, ttl_ms: None, wait: false }
        };
        let portions = portions((0..600).map(request).collect());
        assert_eq!(portions.iter().map(Vec::len).collect::<Vec<_>>(), [256, 256, 88]);
        let first: Vec<_> = portions.iter().flatten().map(|it| it.keys[0].clone()).collect();
        assert!(first.iter().enumerate().all(|(at, key)| *key == format!("a{at}")));
        assert!(portions.iter().flatten().all(|it| it.keys.len() == 2));
    }
}
