//! Publishing together.
//!
//! Events that arrive while a call is under way go with the next one, so that a
//! durable provider commits once for many.
//!
//! A batch that fails is made again one caller at a time, so that each gets its
//! own answer, but only where that cannot publish an event twice: the error says
//! that nothing was changed, or the provider keeps its events in the memory of
//! its one instance. That accepts all or nothing, and if it was ended in the
//! middle its memory is gone. Otherwise every caller gets the error of the batch,
//! and decides for itself whether twice is better than not at all.

use std::sync::Arc;

use stheno_contracts::Error;
use stheno_contracts::events::Message;
use stheno_engine::{Batch, EventsModule, Provider};
use tokio::sync::watch;

/// The most events and about the most bytes that go in one call.
const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 1024 * 1024;

type Ids = Vec<String>;

pub(super) struct PublishBatch {
    provider: Provider<EventsModule>,
    activity: watch::Sender<()>,
}

/// Whether what the provider was given outlives the process.
pub(super) fn is_durable(provider: &Provider<EventsModule>) -> bool {
    provider.description().features.iter().any(|feature| feature == "durable")
}

impl PublishBatch {
    pub(super) fn new(provider: Provider<EventsModule>) -> Self {
        Self { provider, activity: watch::channel(()).0 }
    }

    /// Raised whenever something may have become due.
    pub(super) fn activity(&self) -> &watch::Sender<()> {
        &self.activity
    }

    async fn publish(&self, messages: Arc<Vec<Message>>) -> Result<Ids, Error> {
        let published = self.provider.call_carried(move |guest| {
            Box::pin(async move { guest.module.call_publish(guest.store, &messages).await })
        });
        let ids = published.await?;
        self.activity.send_replace(());
        Ok(ids)
    }
}

impl Batch for PublishBatch {
    type Request = Vec<Message>;
    type Answer = Ids;

    fn max_requests(&self) -> usize {
        BATCH_EVENTS
    }

    fn max_weight(&self) -> usize {
        BATCH_BYTES
    }

    fn weight(&self, messages: &Vec<Message>) -> usize {
        // An event of no bytes still takes one of the places.
        const LEAST: usize = BATCH_BYTES / BATCH_EVENTS;
        messages.iter().map(|message| message.data.len().max(LEAST)).sum()
    }

    async fn run(&self, requests: Vec<Vec<Message>>) -> Vec<Result<Ids, Error>> {
        let forgets = self.provider.is_single() && !is_durable(&self.provider);
        together(requests, forgets, |messages| self.publish(messages)).await
    }
}

/// Publishes all requests in one call, or one by one after that failed and
/// nothing can have come of it. `forgets` is a provider that is empty after a
/// call that did not end.
async fn together<F>(
    requests: Vec<Vec<Message>>,
    forgets: bool,
    publish: impl Fn(Arc<Vec<Message>>) -> F,
) -> Vec<Result<Ids, Error>>
where
    F: Future<Output = Result<Ids, Error>>,
{
    let lengths: Vec<usize> = requests.iter().map(Vec::len).collect();
    let messages = Arc::new(requests.into_iter().flatten().collect::<Vec<_>>());
    let published = publish(Arc::clone(&messages)).await;
    if let Err(error) = &published
        && lengths.len() > 1
        && (forgets || changed_nothing(error))
    {
        let messages = Arc::try_unwrap(messages).unwrap_or_else(|shared| shared.as_ref().clone());
        let mut messages = messages.into_iter();
        let mut answers = Vec::with_capacity(lengths.len());
        for length in lengths {
            let own = messages.by_ref().take(length).collect();
            answers.push(publish(Arc::new(own)).await.and_then(|ids| counted(ids, length)));
        }
        return answers;
    }
    match published.and_then(|ids| counted(ids, messages.len())) {
        Ok(ids) => {
            let mut ids = ids.into_iter();
            lengths.iter().map(|length| Ok(ids.by_ref().take(*length).collect())).collect()
        }
        Err(error) => lengths.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// Whether the provider says that the call had no effect.
fn changed_nothing(error: &Error) -> bool {
    match error {
        Error::InvalidArgument(_)
        | Error::Denied(_)
        | Error::Unsupported(_)
        | Error::Conflict(_)
        | Error::NotFound(_) => true,
        Error::Timeout(_) | Error::Unavailable(_) | Error::LostLease(_) | Error::Internal(_) => {
            false
        }
    }
}

/// An id for each event, or the provider's fault. The events are published
/// either way.
fn counted(ids: Ids, sent: usize) -> Result<Ids, Error> {
    if ids.len() == sent {
        return Ok(ids);
    }
    Err(Error::Internal(format!("the provider gave {} ids for {sent} events", ids.len())))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn message(name: &str) -> Message {
        Message {
            name: name.into(),
            data: Vec::new(),
            metadata: Vec::new(),
            delay_ms: 0,
            priority: None,
            attempts: None,
            backoff: None,
        }
    }

    /// Publishes for three callers, of whom the second has two events, with a
    /// provider that answers each call by `answer`. Gives the calls, each as the
    /// names in it, and the answers.
    async fn publish(
        forgets: bool,
        answer: impl Fn(&[Message]) -> Result<Ids, Error>,
    ) -> (Vec<String>, Vec<Result<Ids, Error>>) {
        let calls = Mutex::new(Vec::new());
        let requests =
            vec![vec![message("a")], vec![message("b"), message("c")], vec![message("d")]];
        let answers = together(requests, forgets, |messages| {
            calls.lock().unwrap().push(names(&messages).concat());
            std::future::ready(answer(&messages))
        });
        let answers = answers.await;
        (calls.into_inner().unwrap(), answers)
    }

    fn names(messages: &[Message]) -> Ids {
        messages.iter().map(|message| message.name.clone()).collect()
    }

    fn errors() -> Vec<(Error, bool)> {
        let text = String::new;
        vec![
            (Error::InvalidArgument(text()), true),
            (Error::Denied(text()), true),
            (Error::Unsupported(text()), true),
            (Error::Conflict(text()), true),
            (Error::NotFound(text()), true),
            (Error::Timeout(text()), false),
            (Error::Unavailable(text()), false),
            (Error::LostLease(text()), false),
            (Error::Internal(text()), false),
        ]
    }

    #[tokio::test]
    async fn each_caller_gets_the_ids_of_its_own_events() {
        let (calls, answers) = publish(false, |messages| Ok(names(messages))).await;
        assert_eq!(calls, ["abcd"]);
        let ids: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().concat()).collect();
        assert_eq!(ids, ["a", "bc", "d"]);
    }

    #[tokio::test]
    async fn a_batch_that_may_have_been_published_is_not_made_again() {
        for (error, nothing_changed) in errors() {
            let refuse_b = |messages: &[Message]| {
                if messages.iter().any(|message| message.name == "b") {
                    Err(error.clone())
                } else {
                    Ok(names(messages))
                }
            };
            for forgets in [false, true] {
                let (calls, answers) = publish(forgets, refuse_b).await;
                let served: Vec<_> = answers.iter().map(Result::is_ok).collect();
                if nothing_changed || forgets {
                    assert_eq!(calls, ["abcd", "a", "bc", "d"], "{error:?}");
                    assert_eq!(served, [true, false, true], "{error:?}");
                } else {
                    assert_eq!(calls, ["abcd"], "{error:?}");
                    assert_eq!(served, [false; 3], "{error:?}");
                }
                let told = answers.into_iter().nth(1).unwrap().unwrap_err();
                assert_eq!(told.kind(), error.kind());
            }
        }
    }

    #[tokio::test]
    async fn a_wrong_number_of_ids_is_an_error_and_publishes_nothing_twice() {
        for forgets in [false, true] {
            let (calls, answers) = publish(forgets, |_| Ok(vec!["one".into()])).await;
            assert_eq!(calls, ["abcd"]);
            assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Internal(_)))));
        }
    }
}
