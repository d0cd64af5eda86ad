//! The calls into the provider.
//!
//! An instance serves one call at a time, so the reads and writes of callers that
//! would wait for one are gathered into batches. A batch that fails is made again
//! one request at a time, so that each caller gets its own answer and a request that
//! kills the instance costs nobody else theirs; reads and writes are both safe to
//! repeat. If the provider says of a batch, and of the first of it alone, that it
//! cannot store now, all are told so: asking again for each would only make them wait.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use stheno_contracts::Error as Contract;
use stheno_contracts::cache::{Entry, Hit};
use stheno_engine::{Batch, CacheModule, Coalescer, Provider};

use crate::Error;

/// The most keys or entries in one batch, and about the most bytes. Beyond 64
/// the crossing is a small part of the cost already; the bytes keep a batch of
/// large values from passing the guest's memory.
const BATCH_ITEMS: usize = 64;
const BATCH_BYTES: usize = 1024 * 1024;
/// Calls of a kind side by side where many instances serve and a call is quick: see
/// [`Coalescer`]. With `cache-redis` 2 read as fast, and 6 cost a fifth.
const SIDE_BY_SIDE: usize = 3;

/// How many requests go in one batch. They share the time of one call, so after a batch
/// that failed there are half as many, and after each that did not one more.
struct Most(AtomicUsize);

impl Default for Most {
    fn default() -> Self {
        Self(AtomicUsize::new(BATCH_ITEMS))
    }
}

impl Most {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed).min(BATCH_ITEMS)
    }

    fn went_well(&self) {
        if self.get() < BATCH_ITEMS {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn failed(&self, requests: usize) {
        self.0.store((requests / 2).max(1), Ordering::Relaxed);
    }
}

pub(super) struct Calls {
    provider: Provider<CacheModule>,
    get: Coalescer<Get>,
    set: Coalescer<Set>,
    /// The largest value that was written or read here, which tells how many fit a
    /// batch of reads.
    largest: Arc<AtomicUsize>,
}

struct Get {
    provider: Provider<CacheModule>,
    largest: Arc<AtomicUsize>,
    most: Most,
}

struct Set {
    provider: Provider<CacheModule>,
    most: Most,
}

type Values = Vec<Option<Vec<u8>>>;

impl Calls {
    pub(super) fn new(provider: Provider<CacheModule>) -> Self {
        let largest = Arc::new(AtomicUsize::new(0));
        let limits = provider.limits();
        let waiting = limits.queue.get() as usize;
        let many = if provider.is_single() { 1 } else { limits.instances.get() as usize };
        let most = Most::default();
        let get = Get { provider: provider.clone(), largest: Arc::clone(&largest), most };
        let set = Set { provider: provider.clone(), most: Most::default() };
        Self {
            get: Coalescer::side_by_side(get, waiting, SIDE_BY_SIDE, many),
            set: Coalescer::side_by_side(set, waiting, SIDE_BY_SIDE, many),
            largest,
            provider,
        }
    }

    pub(super) fn provider(&self) -> &Provider<CacheModule> {
        &self.provider
    }

    pub(super) async fn get(&self, keys: Vec<String>) -> Result<Values, Error> {
        Ok(self.get.ask(keys).await?)
    }

    pub(super) async fn set(&self, entries: Vec<Entry>) -> Result<(), Error> {
        let largest = entries.iter().map(|entry| entry.value.len()).max().unwrap_or(0);
        self.largest.fetch_max(largest, Ordering::Relaxed);
        Ok(self.set.ask(entries).await?)
    }

    pub(super) async fn get_by_tags(&self, tags: Vec<String>) -> Result<Vec<Hit>, Error> {
        let found = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_get_by_tags(guest.store, &tags).await })
        });
        Ok(found.await?)
    }

    pub(super) async fn delete(&self, keys: Vec<String>) -> Result<(), Error> {
        let done = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_delete(guest.store, &keys).await })
        });
        Ok(done.await?)
    }

    pub(super) async fn clear_tags(&self, tags: Vec<String>) -> Result<(), Error> {
        let done = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_clear_tags(guest.store, &tags).await })
        });
        Ok(done.await?)
    }

    pub(super) async fn clear_matching(&self, pattern: String) -> Result<(), Error> {
        let done = self.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_clear_matching(guest.store, &pattern).await })
        });
        Ok(done.await?)
    }
}

async fn get(
    provider: &Provider<CacheModule>,
    keys: impl Borrow<Vec<String>> + Send + 'static,
) -> Result<Values, Contract> {
    let asked = keys.borrow().len();
    let values = provider
        .call_carried(move |guest| {
            Box::pin(async move { guest.module.call_get(guest.store, keys.borrow()).await })
        })
        .await?;
    if values.len() == asked {
        Ok(values)
    } else {
        Err(Contract::Internal(format!(
            "{} gave {} values for {asked} keys",
            provider.name(),
            values.len()
        )))
    }
}

/// Why entries were not stored.
struct NotStored {
    error: Contract,
    /// Whether the provider itself said that it cannot serve now. Then it is not for
    /// any of the entries.
    told: bool,
}

async fn set(
    provider: &Provider<CacheModule>,
    entries: impl Borrow<Vec<Entry>> + Send + 'static,
) -> Result<(), NotStored> {
    let told = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&told);
    let done = provider.call_carried(move |guest| {
        Box::pin(async move {
            let answer = guest.module.call_set(guest.store, entries.borrow()).await;
            let cannot = matches!(answer, Ok(Err(Contract::Unavailable(_) | Contract::Timeout(_))));
            tell.store(cannot, Ordering::Relaxed);
            answer
        })
    });
    done.await.map_err(|error| NotStored { error, told: told.load(Ordering::Relaxed) })
}

/// Joins requests, and remembers where each ends.
fn join<T>(requests: Vec<Vec<T>>) -> (Vec<T>, Vec<usize>) {
    let lengths = requests.iter().map(Vec::len).collect();
    (requests.into_iter().flatten().collect(), lengths)
}

/// The inverse of [`join`].
fn split<T>(items: Vec<T>, lengths: &[usize]) -> Vec<Vec<T>> {
    let mut items = items.into_iter();
    lengths.iter().map(|length| items.by_ref().take(*length).collect()).collect()
}

/// The items that a failed call had, to make it again.
fn recover<T: Clone>(items: Arc<Vec<T>>) -> Vec<T> {
    Arc::try_unwrap(items).unwrap_or_else(|shared| shared.as_ref().clone())
}

impl Get {
    async fn get(
        &self,
        keys: impl Borrow<Vec<String>> + Send + 'static,
    ) -> Result<Values, Contract> {
        let values = get(&self.provider, keys).await?;
        let largest = values.iter().flatten().map(Vec::len).max().unwrap_or(0);
        self.largest.fetch_max(largest, Ordering::Relaxed);
        Ok(values)
    }
}

impl Batch for Get {
    type Request = Vec<String>;
    type Answer = Values;

    fn max_requests(&self) -> usize {
        self.most.get()
    }

    fn max_weight(&self) -> usize {
        let largest = self.largest.load(Ordering::Relaxed).max(1);
        (BATCH_BYTES / largest).clamp(1, BATCH_ITEMS)
    }

    fn weight(&self, keys: &Vec<String>) -> usize {
        keys.len()
    }

    async fn run(&self, mut requests: Vec<Vec<String>>) -> Vec<Result<Values, Contract>> {
        // A caller alone, as under light load, has nothing to be joined with.
        if requests.len() == 1 {
            let keys = requests.pop().unwrap_or_default();
            return vec![self.get(keys).await];
        }
        let (keys, lengths) = join(requests);
        let keys = Arc::new(keys);
        if let Ok(values) = self.get(Arc::clone(&keys)).await {
            self.most.went_well();
            return split(values, &lengths).into_iter().map(Ok).collect();
        }
        self.most.failed(lengths.len());
        let mut answers = Vec::with_capacity(lengths.len());
        for keys in split(recover(keys), &lengths) {
            answers.push(self.get(keys).await);
        }
        answers
    }
}

impl Set {
    async fn set(&self, entries: Vec<Entry>) -> Result<(), Contract> {
        set(&self.provider, entries).await.map_err(|NotStored { error, .. }| error)
    }
}

impl Batch for Set {
    type Request = Vec<Entry>;
    type Answer = ();

    fn max_requests(&self) -> usize {
        self.most.get()
    }

    fn max_weight(&self) -> usize {
        BATCH_BYTES
    }

    fn weight(&self, entries: &Vec<Entry>) -> usize {
        entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum()
    }

    async fn run(&self, mut requests: Vec<Vec<Entry>>) -> Vec<Result<(), Contract>> {
        if requests.len() == 1 {
            let entries = requests.pop().unwrap_or_default();
            return vec![self.set(entries).await];
        }
        let (entries, lengths) = join(requests);
        let entries = Arc::new(entries);
        let told = match set(&self.provider, Arc::clone(&entries)).await {
            Ok(()) => {
                self.most.went_well();
                return lengths.iter().map(|_| Ok(())).collect();
            }
            Err(NotStored { told, .. }) => told,
        };
        if !told {
            self.most.failed(lengths.len());
        }
        let mut answers = Vec::with_capacity(lengths.len());
        for entries in split(recover(entries), &lengths) {
            match set(&self.provider, entries).await {
                // Not only all together were too much.
                Err(NotStored { error, told: true }) if told && answers.is_empty() => {
                    return lengths.iter().map(|_| Err(error.clone())).collect();
                }
                answer => answers.push(answer.map_err(|NotStored { error, .. }| error)),
            }
        }
        answers
    }
}
