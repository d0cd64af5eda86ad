//! Who waits for runs to end.
//!
//! Every call that can end a run says which it ended. That is taken in while the
//! provider's instance is still held, so that a caller who has gone away loses
//! nobody his news. News come at most once, and another process may have got
//! them: who waits looks for himself now and then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stheno_contracts::workflows as contract;
use tokio::sync::{broadcast, watch};

use crate::{Error, ErrorKind};

/// So many ends a watch may lag behind; then it misses the oldest.
const WATCHED: usize = 1_024;

/// What calls bring beside their answers.
pub(super) struct News {
    activity: watch::Sender<()>,
    state: Mutex<State>,
}

struct State {
    waiting: HashMap<String, watch::Sender<()>>,
    /// None once the runtime has stopped.
    watched: Option<broadcast::Sender<contract::Ended>>,
}

impl News {
    pub(super) fn new() -> Self {
        let state = State { waiting: HashMap::new(), watched: Some(broadcast::channel(WATCHED).0) };
        Self { activity: watch::channel(()).0, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever something may have become due.
    pub(super) fn activity(&self) -> watch::Receiver<()> {
        self.activity.subscribe()
    }

    pub(super) fn raise(&self) {
        self.activity.send_replace(());
    }

    pub(super) fn ended(&self, all: Vec<contract::Ended>) {
        if all.is_empty() {
            return;
        }
        let state = self.lock();
        for ended in all {
            if let Some(waiting) = state.waiting.get(&ended.run) {
                waiting.send_replace(());
            }
            if let Some(watched) = &state.watched
                && watched.receiver_count() > 0
            {
                // An error is a watch that has just gone.
                let _ = watched.send(ended);
            }
        }
    }

    /// Has everybody who waits look for himself, as after a provider's death.
    pub(super) fn look_at_all(&self) {
        for waiting in self.lock().waiting.values() {
            waiting.send_replace(());
        }
    }

    /// Lets nobody wait any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.watched = None;
        state.waiting.clear();
    }

    /// Says from now on when this run has ended.
    pub(super) fn wait(&self, run: &str) -> Result<Waiter<'_>, Error> {
        let mut state = self.lock();
        if state.watched.is_none() {
            return Err(stopped());
        }
        let told = match state.waiting.get(run) {
            Some(waiting) => waiting.subscribe(),
            None => {
                let (waiting, told) = watch::channel(());
                state.waiting.insert(run.to_owned(), waiting);
                told
            }
        };
        Ok(Waiter { news: self, run: run.to_owned(), told: Some(told) })
    }

    /// Every end that is told from now on.
    pub(super) fn watch(&self) -> Result<broadcast::Receiver<contract::Ended>, Error> {
        self.lock().watched.as_ref().map(broadcast::Sender::subscribe).ok_or_else(stopped)
    }
}

fn stopped() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the runtime is stopping or has been stopped; the run goes on with the next",
    )
}

/// A place among those who wait for a run.
pub(super) struct Waiter<'a> {
    news: &'a News,
    run: String,
    told: Option<watch::Receiver<()>>,
}

impl Waiter<'_> {
    /// Waits for news of the run.
    pub(super) async fn news(&mut self) -> Result<(), Error> {
        match &mut self.told {
            Some(told) => told.changed().await.map_err(|_| stopped()),
            None => Err(stopped()),
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.news.lock();
        self.told = None;
        if state.waiting.get(&self.run).is_some_and(|waiting| waiting.receiver_count() == 0) {
            state.waiting.remove(&self.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn ended(run: &str) -> Vec<contract::Ended> {
        vec![contract::Ended { run: run.into(), state: contract::RunState::Done }]
    }

    #[test]
    fn who_waits_is_told_of_his_run_and_leaves_nothing_behind() {
        let news = News::new();
        let (mut one, mut same) = (news.wait("a").unwrap(), news.wait("a").unwrap());
        let mut other = news.wait("b").unwrap();
        news.ended(ended("a"));
        assert!(one.news().now_or_never().unwrap().is_ok());
        assert!(same.news().now_or_never().unwrap().is_ok());
        assert!(other.news().now_or_never().is_none());
        drop(one);
        assert_eq!(news.lock().waiting.len(), 2);
        drop((same, other));
        assert_eq!(news.lock().waiting.len(), 0);
    }

    #[test]
    fn after_the_stop_nobody_waits() {
        let news = News::new();
        let mut waits = news.wait("a").unwrap();
        let mut watch = news.watch().unwrap();
        news.ended(ended("b"));
        news.close();
        assert!(waits.news().now_or_never().unwrap().is_err());
        assert_eq!(watch.try_recv().unwrap().run, "b");
        assert!(watch.try_recv().is_err());
        assert!(news.wait("a").is_err());
        assert!(news.watch().is_err());
    }
}
