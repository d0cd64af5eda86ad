//! What `locks.lua` is asked, and what it answers.
//!
//! An operation answers two lists of texts: its own, and whom it has granted keys of
//! those who wait in this runtime ([`Told`]). A fence is a decimal number; nothing at
//! all is an empty text.

use std::time::Duration;

use stheno_sdk::locking::{
    Answer, Exchanged, Extension, Grant, Lock, Polled, Queued, Request, Turn,
};
use stheno_sdk::redis::{Command, Reply, command};
use stheno_sdk::{Error, Result};

use crate::keys;

/// The longest time to live that is told apart from for ever: some 100,000 years.
/// The server counts with 53 bits.
const LONGEST_MS: u64 = 1 << 52;

/// The script, by its names.
pub(crate) struct Table {
    digest: String,
    digest_when_full: String,
}

impl Table {
    pub(crate) fn new(digest: String, digest_when_full: String) -> Self {
        Self { digest, digest_when_full }
    }

    /// An operation that tells those who wait at these instances.
    fn telling(&self, name: &str, here: &[String]) -> Command {
        Self::call(&self.digest_when_full, name, here)
    }

    fn call(digest: &str, name: &str, here: &[String]) -> Command {
        let asked = command("EVALSHA")
            .text(digest)
            .number(keys::ALL.len() as u64)
            .args(keys::ALL.iter().map(|key| key.as_bytes()))
            .text(name);
        listed(asked, here)
    }

    fn operation(&self, name: &str) -> Command {
        self.telling(name, &[])
    }

    /// Of names: tokens, tickets or keys.
    pub(crate) fn of_names(&self, operation: &str, here: &[String], names: &[String]) -> Command {
        listed(self.telling(operation, here), names)
    }

    /// Frees keys of one owner, or of nobody, by leases up to a fence if one is given.
    pub(crate) fn release_keys(
        &self,
        here: &[String],
        owner: &str,
        up_to: Option<u64>,
        keys: &[String],
    ) -> Command {
        let asked = self.telling("release-keys", here).text(owner);
        listed(maybe_number(asked, up_to), keys)
    }

    /// Frees all keys of an owner.
    pub(crate) fn release_all(&self, here: &[String], owner: &str) -> Command {
        self.telling("release-all", here).text(owner)
    }

    pub(crate) fn plain(&self, operation: &str) -> Command {
        self.operation(operation)
    }

    /// `ids` are the names of what the requests come to.
    pub(crate) fn exchange(
        &self,
        here: &[String],
        tokens: &[String],
        requests: &[Request],
        ids: &[String],
        most_waiting: u64,
    ) -> Command {
        let digest = if requests.is_empty() { &self.digest_when_full } else { &self.digest };
        let asked = listed(Self::call(digest, "exchange", here), tokens);
        let mut asked = asked.number(most_waiting).number(requests.len() as u64);
        for (Request { keys, owner, ttl_ms, wait }, id) in requests.iter().zip(ids) {
            asked = asked.text(id).text(owner.as_deref().unwrap_or_default());
            asked = ttl(asked, *ttl_ms).text(if *wait { "1" } else { "" });
            asked = each_once(asked, keys);
        }
        asked
    }

    pub(crate) fn extend(&self, extensions: &[Extension]) -> Command {
        let asked = self.operation("extend").number(extensions.len() as u64);
        extensions
            .iter()
            .fold(asked, |asked, Extension { token, ttl_ms }| ttl(asked.text(token), *ttl_ms))
    }

    /// The keys of one owner behind `after`, at most so many.
    pub(crate) fn owned(owner: &str, after: Option<&str>, max: u64) -> Command {
        let from = format!("({owner}\0{}", after.unwrap_or_default());
        let till = format!("({owner}\u{1}");
        let range = command("ZRANGE").text(keys::OWNERS).text(&from).text(&till).text("BYLEX");
        range.text("LIMIT").number(0).number(max)
    }
}

fn ttl(asked: Command, ttl_ms: Option<u64>) -> Command {
    maybe_number(asked, ttl_ms.map(|ttl_ms| ttl_ms.min(LONGEST_MS)))
}

fn maybe_number(asked: Command, number: Option<u64>) -> Command {
    match number {
        Some(number) => asked.number(number),
        None => asked.text(""),
    }
}

fn listed(asked: Command, names: &[String]) -> Command {
    asked.number(names.len() as u64).args(names.iter().map(String::as_bytes))
}

/// The host has sorted the keys; what it does not promise is held to here.
fn each_once(asked: Command, keys: &[String]) -> Command {
    if keys.len() < 2 {
        return listed(asked, keys);
    }
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    listed(asked, &keys)
}

/// What an operation came to.
pub(crate) struct Outcome {
    answers: std::vec::IntoIter<String>,
    pub(crate) told: Told,
}

/// Whom an operation has granted keys, of those whose instances it was given. Nobody
/// else is told, for as long as this answer may be on its way.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) turns: Vec<(String, Turn)>,
    pub(crate) next_due_ms: Option<u64>,
}

impl Told {
    fn read(list: Vec<String>) -> Result<Self> {
        let mut list = list.into_iter();
        let Some(due) = list.next() else { return Ok(Self::default()) };
        Ok(Self { next_due_ms: perhaps(&due)?, turns: turns(list)? })
    }
}

impl Outcome {
    pub(crate) fn read(mut reply: Reply) -> Result<Self> {
        if reply.items()? != 2 {
            return Err(mixed_up());
        }
        let answers = texts(reply.list()?)?.into_iter();
        Ok(Self { answers, told: Told::read(texts(reply.list()?)?)? })
    }

    fn text(&mut self) -> Result<String> {
        self.answers.next().ok_or_else(mixed_up)
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        self.text()?.parse().map_err(|_| mixed_up())
    }

    fn perhaps(&mut self) -> Result<Option<u64>> {
        perhaps(&self.text()?)
    }

    /// What is left.
    pub(crate) fn rest(self) -> Vec<String> {
        self.answers.collect()
    }

    /// What an exchange did, but for whom it has granted keys.
    pub(crate) fn exchanged(mut self, ids: Vec<String>, most_waiting: u64) -> Result<Exchanged> {
        let mut lost = Vec::new();
        for _ in 0..self.number()? {
            lost.push(self.text()?);
        }
        let mut answers = Vec::with_capacity(ids.len());
        for id in ids {
            let (became, detail) = (self.text()?, self.text()?);
            answers.push(match became.as_str() {
                "granted" => {
                    let fence = detail.parse().map_err(|_| mixed_up())?;
                    Answer::Granted(Grant { token: id, fence })
                }
                "queued" => Answer::Queued(Queued { ticket: id, next_due_ms: None }),
                "late" => Answer::Refused(Error::Unavailable(
                    "the request came when it had been given up; try again".into(),
                )),
                "taken" => Answer::Refused(Error::Conflict(format!("the key {detail:?} is taken"))),
                "own" => Answer::Refused(Error::Conflict(format!(
                    "the key {detail:?} is taken, and an owner that holds some of the keys \
                     already does not wait for the others; release those first"
                ))),
                "full" => Answer::Refused(Error::Unavailable(format!(
                    "`max_waiting` = {most_waiting} requests wait already; try again later"
                ))),
                _ => return Err(mixed_up()),
            });
        }
        let due = self.perhaps()?;
        for answer in &mut answers {
            if let Answer::Queued(queued) = answer {
                queued.next_due_ms = due;
            }
        }
        Ok(Exchanged { lost, answers, woken: Vec::new() })
    }

    /// What was found, and the last of the news.
    pub(crate) fn polled(self) -> Result<(Polled, String)> {
        let mut answers: Vec<String> = self.answers.collect();
        let (last, due) = (answers.pop(), answers.pop());
        let (Some(last), Some(due)) = (last, due) else { return Err(mixed_up()) };
        let turns = turns(answers.into_iter())?;
        Ok((Polled { turns, woken: Vec::new(), next_due_ms: perhaps(&due)? }, last))
    }

    /// Who has these keys, in their order.
    pub(crate) fn locks(mut self, keys: Vec<String>) -> Result<Vec<Option<Lock>>> {
        keys.into_iter()
            .map(|key| {
                let fence = self.perhaps()?;
                let owner = Some(self.text()?).filter(|owner| !owner.is_empty());
                let (expires_in_ms, waiting) = (self.perhaps()?, self.perhaps()?);
                Ok(fence.map(|fence| Lock {
                    key,
                    owner,
                    fence,
                    expires_in_ms,
                    waiting: waiting.unwrap_or_default(),
                }))
            })
            .collect()
    }
}

/// A number, or nothing.
fn perhaps(text: &str) -> Result<Option<u64>> {
    if text.is_empty() { Ok(None) } else { Ok(Some(text.parse().map_err(|_| mixed_up())?)) }
}

/// Tickets, each with the fence of its lease; with nothing if that is gone.
fn turns(mut list: impl Iterator<Item = String>) -> Result<Vec<(String, Turn)>> {
    let mut turns = Vec::new();
    while let Some(ticket) = list.next() {
        let turn = match perhaps(&list.next().ok_or_else(mixed_up)?)? {
            Some(fence) => Turn::Granted(Grant { token: ticket.clone(), fence }),
            None => Turn::Gone,
        };
        turns.push((ticket, turn));
    }
    Ok(turns)
}

fn texts(list: Vec<Option<Vec<u8>>>) -> Result<Vec<String>> {
    list.into_iter()
        .map(|text| String::from_utf8(text.unwrap_or_default()).map_err(|_| mixed_up()))
        .collect()
}

/// Whether the server has no room, and has done nothing.
pub(crate) fn is_full(error: &Error) -> bool {
    matches!(error, Error::Unavailable(reason) if reason.starts_with("OOM"))
}

pub(crate) fn mixed_up() -> Error {
    Error::Internal("the keys below the prefix are not those of a table of locks".into())
}

/// The news behind `last`, waited for.
pub(crate) fn listen(last: &str, wait: Duration) -> Command {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    let listen = command("XREAD").text("BLOCK").number(wait_ms);
    listen.text("STREAMS").text(keys::NEWS).text(last)
}
