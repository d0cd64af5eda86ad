//! The native equivalents: what an app would write itself, behind the same
//! asynchronous calls.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc, oneshot};

/// A map behind a lock, with deadlines and tags.
#[derive(Clone, Default)]
pub(crate) struct NativeCache(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    entries: HashMap<String, Entry>,
    tags: HashMap<String, HashSet<String>>,
}

struct Entry {
    value: Vec<u8>,
    deadline: Instant,
    tags: Vec<String>,
}

impl NativeCache {
    pub(crate) async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let inner = self.0.lock().await;
        let entry = inner.entries.get(key)?;
        (entry.deadline > Instant::now()).then(|| entry.value.clone())
    }

    pub(crate) async fn set(&self, key: &str, value: Vec<u8>, ttl: Duration, tags: &[&str]) {
        let mut inner = self.0.lock().await;
        inner.remove(key);
        for tag in tags {
            inner.tags.entry((*tag).to_owned()).or_default().insert(key.to_owned());
        }
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let entry = Entry { value, deadline: Instant::now() + ttl, tags };
        inner.entries.insert(key.to_owned(), entry);
    }

    pub(crate) async fn clear_tag(&self, tag: &str) {
        let mut inner = self.0.lock().await;
        for key in inner.tags.remove(tag).unwrap_or_default() {
            inner.remove(&key);
        }
    }
}

impl Entries {
    fn remove(&mut self, key: &str) {
        let Some(old) = self.entries.remove(key) else { return };
        for tag in old.tags {
            if let Some(keys) = self.tags.get_mut(&tag) {
                keys.remove(key);
                if keys.is_empty() {
                    self.tags.remove(&tag);
                }
            }
        }
    }
}

/// A channel with one consumer that calls a closure for each message.
#[derive(Clone)]
pub(crate) struct NativeBus(mpsc::Sender<(String, Vec<u8>)>);

impl NativeBus {
    pub(crate) fn new<F>(handler: impl Fn(String, Vec<u8>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::channel(4_096);
        tokio::spawn(async move {
            while let Some((name, data)) = receiver.recv().await {
                handler(name, data).await;
            }
        });
        Self(sender)
    }

    pub(crate) async fn publish(&self, name: &str, data: Vec<u8>) -> anyhow::Result<()> {
        Ok(self.0.send((name.to_owned(), data)).await?)
    }
}

/// A table of locks behind a lock, with deadlines, fences and queues.
#[derive(Clone, Default)]
pub(crate) struct NativeLocks(Arc<Mutex<Locks>>);

#[derive(Default)]
struct Locks {
    fence: u64,
    held: HashMap<String, Held>,
}

struct Held {
    fence: u64,
    deadline: Instant,
    waiting: VecDeque<oneshot::Sender<u64>>,
}

impl NativeLocks {
    /// Waits for the key, and gives the fence.
    pub(crate) async fn acquire(&self, key: String, ttl: Duration) -> anyhow::Result<u64> {
        let mut locks = self.0.lock().await;
        let (now, fence) = (Instant::now(), locks.fence + 1);
        if let Some(held) = locks.held.get_mut(&key)
            && held.deadline > now
        {
            let (sender, turn) = oneshot::channel();
            held.waiting.push_back(sender);
            drop(locks);
            return Ok(turn.await?);
        }
        locks.fence = fence;
        let held = Held { fence, deadline: now + ttl, waiting: VecDeque::new() };
        locks.held.insert(key, held);
        Ok(fence)
    }

    /// Whether it was still held under this fence.
    pub(crate) async fn release(&self, key: &str, fence: u64, ttl: Duration) -> bool {
        let mut locks = self.0.lock().await;
        let next = locks.fence + 1;
        let Some(held) = locks.held.get_mut(key).filter(|held| held.fence == fence) else {
            return false;
        };
        while let Some(waiting) = held.waiting.pop_front() {
            if waiting.send(next).is_ok() {
                held.fence = next;
                held.deadline = Instant::now() + ttl;
                locks.fence = next;
                return true;
            }
        }
        locks.held.remove(key);
        true
    }
}

/// A table of runs behind a lock, with the results of their steps.
#[derive(Clone, Default)]
pub(crate) struct NativeRuns(Arc<Mutex<HashMap<String, Vec<Vec<u8>>>>>);

impl NativeRuns {
    pub(crate) async fn record(&self, run: &str, result: Vec<u8>) {
        let mut runs = self.0.lock().await;
        match runs.get_mut(run) {
            Some(results) => results.push(result),
            None => drop(runs.insert(run.to_owned(), vec![result])),
        }
    }

    pub(crate) async fn remove(&self, run: &str) {
        self.0.lock().await.remove(run);
    }
}
