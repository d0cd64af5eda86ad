//! Starting and settling together.
//!
//! What arrives while a call is under way goes with the next one, so that a
//! durable provider commits once for many. A batch that fails is made again one
//! caller at a time, so that each gets its own answer: every run has an id by
//! then, under which it does not begin twice, and an outcome counts once.

use std::collections::HashMap;
use std::sync::Arc;

use stheno_contracts::Error;
use stheno_contracts::workflows as contract;
use stheno_engine::{Batch, Provider, WorkflowsModule};

use super::ends::News;

/// The most items and about the most bytes that go in one call.
pub(super) const BATCH_ITEMS: usize = 256;
pub(super) const BATCH_BYTES: usize = 1024 * 1024;
/// An item of no bytes still takes one of the places.
const LEAST: usize = BATCH_BYTES / BATCH_ITEMS;

/// A run to be started.
pub(super) struct Start {
    pub(super) workflow: String,
    pub(super) run: String,
    /// Whether a caller chose the id. If not, this host has made it up, and nobody
    /// else has it.
    pub(super) named: bool,
    pub(super) input: Vec<u8>,
}

pub(super) struct StartBatch {
    pub(super) provider: Provider<WorkflowsModule>,
    pub(super) news: Arc<News>,
}

impl StartBatch {
    async fn start(
        &self,
        requests: Arc<Vec<contract::StartRequest>>,
    ) -> Result<Vec<contract::Started>, Error> {
        let asked = requests.len();
        let started = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_start(guest.store, &requests).await })
        });
        let started = started.await?;
        self.news.raise();
        if started.len() == asked {
            return Ok(started);
        }
        let given = started.len();
        Err(Error::Internal(format!("the provider gave {given} answers for {asked} runs")))
    }
}

impl Batch for StartBatch {
    type Request = Start;
    type Answer = contract::Started;

    fn max_requests(&self) -> usize {
        BATCH_ITEMS
    }

    fn max_weight(&self) -> usize {
        BATCH_BYTES
    }

    fn weight(&self, start: &Start) -> usize {
        start.input.len().max(LEAST)
    }

    async fn run(&self, starts: Vec<Start>) -> Vec<Result<contract::Started, Error>> {
        let requests: Vec<_> = starts
            .into_iter()
            .map(|start| {
                let Start { workflow, run, named, input } = start;
                contract::StartRequest { workflow, run, named, input }
            })
            .collect();
        let requests = Arc::new(requests);
        let answers = match self.start(Arc::clone(&requests)).await {
            Ok(started) => started.into_iter().map(Ok).collect(),
            Err(error) if requests.len() == 1 => vec![Err(error)],
            Err(_) => {
                let mut answers = Vec::with_capacity(requests.len());
                for request in requests.iter() {
                    let one = self.start(Arc::new(vec![request.clone()])).await;
                    let none = || Err(Error::Internal("no answer came".into()));
                    answers.push(one.and_then(|mut one| one.pop().map_or_else(none, Ok)));
                }
                answers
            }
        };
        let named = requests.iter().map(|request| request.named);
        named.zip(answers).map(|(named, answer)| answered(named, answer?)).collect()
    }
}

fn answered(named: bool, answer: contract::Started) -> Result<contract::Started, Error> {
    match answer {
        contract::Started::Refused(error) => Err(error),
        // It was started by the batch that failed.
        contract::Started::Existing(run) if !named => Ok(contract::Started::Run(run)),
        started => Ok(started),
    }
}

pub(super) struct SettleBatch {
    pub(super) provider: Provider<WorkflowsModule>,
    pub(super) news: Arc<News>,
}

impl SettleBatch {
    async fn settle(&self, outcomes: Arc<Vec<contract::Outcome>>) -> Result<Vec<String>, Error> {
        let news = Arc::clone(&self.news);
        let settled = self.provider.call(move |guest| {
            Box::pin(async move {
                Ok(guest.module.call_settle(guest.store, &outcomes).await?.map(|settled| {
                    news.ended(settled.ended);
                    settled.lost
                }))
            })
        });
        let lost = settled.await?;
        self.news.raise();
        Ok(lost)
    }
}

impl Batch for SettleBatch {
    type Request = Vec<contract::Outcome>;
    /// The tokens that were lost.
    type Answer = Vec<String>;

    fn max_requests(&self) -> usize {
        BATCH_ITEMS
    }

    fn max_weight(&self) -> usize {
        BATCH_BYTES
    }

    fn weight(&self, outcomes: &Vec<contract::Outcome>) -> usize {
        outcomes.iter().map(weight).sum()
    }

    async fn run(&self, requests: Vec<Vec<contract::Outcome>>) -> Vec<Result<Vec<String>, Error>> {
        if requests.len() == 1 {
            let own = requests.into_iter().flatten().collect();
            return vec![self.settle(Arc::new(own)).await];
        }
        let tokens: Vec<Vec<String>> = requests.iter().map(|own| tokens(own)).collect();
        let outcomes = Arc::new(requests.into_iter().flatten().collect::<Vec<_>>());
        match self.settle(Arc::clone(&outcomes)).await {
            Ok(lost) => own_lost(tokens, &lost).into_iter().map(Ok).collect(),
            Err(_) => {
                let outcomes =
                    Arc::try_unwrap(outcomes).unwrap_or_else(|shared| shared.as_ref().clone());
                let mut outcomes = outcomes.into_iter();
                let mut answers = Vec::with_capacity(tokens.len());
                for own in &tokens {
                    let own = outcomes.by_ref().take(own.len()).collect();
                    answers.push(self.settle(Arc::new(own)).await);
                }
                answers
            }
        }
    }
}

fn tokens(outcomes: &[contract::Outcome]) -> Vec<String> {
    outcomes.iter().map(|outcome| outcome.token.clone()).collect()
}

/// What each of a batch has lost. Of a token that several of them have, the outcome
/// of the first is the one that was recorded, if any was.
fn own_lost(tokens: Vec<Vec<String>>, lost: &[String]) -> Vec<Vec<String>> {
    if lost.is_empty() {
        return tokens.iter().map(|_| Vec::new()).collect();
    }
    let mut recorded: HashMap<String, usize> = HashMap::new();
    for token in tokens.iter().flatten() {
        *recorded.entry(token.clone()).or_default() += 1;
    }
    for token in lost {
        if let Some(count) = recorded.get_mut(token) {
            *count = count.saturating_sub(1);
        }
    }
    let mut is_lost = |token: &String| match recorded.get_mut(token) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    tokens.into_iter().map(|own| own.into_iter().filter(&mut is_lost).collect()).collect()
}

/// What an outcome weighs in a batch.
pub(super) fn weight(outcome: &contract::Outcome) -> usize {
    match &outcome.verdict {
        contract::Verdict::Done(result) => result.len().max(LEAST),
        _ => LEAST,
    }
}

/// Cuts outcomes into pieces that one call can carry.
pub(super) fn pieces(outcomes: Vec<contract::Outcome>) -> Vec<Vec<contract::Outcome>> {
    let mut pieces: Vec<Vec<_>> = Vec::new();
    let mut room = 0_usize;
    for outcome in outcomes {
        let weight = weight(&outcome);
        match pieces.last_mut() {
            Some(piece) if weight <= room => piece.push(outcome),
            _ => {
                room = BATCH_BYTES.max(weight);
                pieces.push(vec![outcome]);
            }
        }
        room = room.saturating_sub(weight);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(bytes: usize) -> contract::Outcome {
        let verdict = contract::Verdict::Done(vec![0; bytes]);
        contract::Outcome { token: bytes.to_string(), verdict }
    }

    #[test]
    fn of_those_who_settle_one_token_the_first_is_told_that_it_was_recorded() {
        let tokens = |all: &[&[&str]]| -> Vec<Vec<String>> {
            all.iter().map(|own| own.iter().map(|token| (*token).to_owned()).collect()).collect()
        };
        let batch: [&[&str]; 4] = [&["a", "x"], &["a"], &["b"], &["x"]];
        let lost = ["x", "a", "x"].map(str::to_owned);
        let expected: [&[&str]; 4] = [&["x"], &["a"], &[], &["x"]];
        assert_eq!(own_lost(tokens(&batch), &lost), tokens(&expected));
    }

    #[test]
    fn outcomes_are_cut_by_number_and_by_bytes_and_none_is_lost() {
        let sizes = |pieces: Vec<Vec<contract::Outcome>>| -> Vec<usize> {
            pieces.iter().map(Vec::len).collect()
        };
        assert!(pieces(Vec::new()).is_empty());
        assert_eq!(sizes(pieces(vec![outcome(1); 600])), [256, 256, 88]);
        let mib = BATCH_BYTES;
        let large = [mib, mib / 2, mib / 2, 1, mib + 1, 1].map(outcome);
        assert_eq!(sizes(pieces(large.to_vec())), [1, 2, 1, 1, 1]);
    }

    #[test]
    fn a_run_of_an_id_made_up_here_is_new_also_where_the_batch_was_made_again() {
        let existing = || contract::Started::Existing("r".into());
        assert!(matches!(answered(false, existing()), Ok(contract::Started::Run(_))));
        assert!(matches!(answered(true, existing()), Ok(contract::Started::Existing(_))));
        let refused = contract::Started::Refused(Error::Conflict("no".into()));
        assert!(matches!(answered(false, refused), Err(Error::Conflict(_))));
    }
}
