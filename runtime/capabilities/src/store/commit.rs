//! Group commit: what comes while the disk is busy is forced to it together.
//!
//! Forcing to the disk costs the same for one batch and for a hundred. So there
//! is at most one commit under way; batches that come meanwhile wait and go
//! with the next one. In a group each batch is decided by itself, in the order
//! of arrival: its conditions see what those before it changed, and one that
//! does not hold or does not fit costs only its own caller. All of it is on the
//! disk before anybody is answered.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use redb::{Database, ReadableTable, Table};
use stheno_contracts::Error;
use stheno_contracts::base::stheno::store::types::{Change, Condition};
use tokio::sync::oneshot;

use super::args::Batch;
use super::file::{DATA, ENTRY_OVERHEAD, Inner, NOTES, USED};

/// The most bytes that one group carries; what is left goes with the next.
const GROUP_BYTES: usize = 16 << 20;

/// Takes batches to the file.
pub(super) struct Writer(Arc<Shared>);

struct Shared {
    inner: Arc<Inner>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    under_way: bool,
}

struct Waiting {
    batch: Batch,
    reply: oneshot::Sender<Result<(), Error>>,
}

impl Writer {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self(Arc::new(Shared { inner, state: Mutex::default() }))
    }

    /// Makes a batch; it is on the disk when this returns well. It is made also
    /// if nobody waits for the answer any more.
    pub(super) async fn commit(&self, batch: Batch) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let begin = {
            let mut state = self.0.lock();
            state.waiting.push(Waiting { batch, reply });
            !std::mem::replace(&mut state.under_way, true)
        };
        if begin {
            let shared = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || shared.run());
        }
        answer.await.unwrap_or_else(|_| Err(Error::Unavailable("the host is stopping".into())))
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits group after group until nobody waits.
    fn run(&self) {
        loop {
            let group = self.gather();
            if group.is_empty() {
                return;
            }
            let (batches, replies): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.batch, waiting.reply)).unzip();
            let count = batches.len();
            let answers = match self.inner.with(|database| self.inner.write(database, batches)) {
                Ok(answers) => answers,
                Err(error) => {
                    let error = self.inner.fail(error);
                    (0..count).map(|_| Err(error.clone())).collect()
                }
            };
            for (reply, answer) in replies.into_iter().zip(answers) {
                // A caller that went away does not want its answer.
                let _ = reply.send(answer);
            }
        }
    }

    fn gather(&self) -> Vec<Waiting> {
        let mut state = self.lock();
        let mut bytes = 0_usize;
        let mut count = 0;
        for waiting in &state.waiting {
            bytes = bytes.saturating_add(waiting.batch.bytes);
            if count > 0 && bytes > GROUP_BYTES {
                break;
            }
            count += 1;
        }
        state.under_way = count > 0;
        state.waiting.drain(..count).collect()
    }
}

impl Inner {
    /// Makes the batches and forces them to the disk: an answer for each.
    fn write(
        &self,
        database: &Database,
        batches: Vec<Batch>,
    ) -> Result<Vec<Result<(), Error>>, redb::Error> {
        let before = self.used.load(Ordering::Acquire);
        let mut used = before;
        let write = database.begin_write()?;
        let mut answers = Vec::with_capacity(batches.len());
        let mut changed = false;
        {
            let mut data = write.open_table(DATA)?;
            for Batch { conditions, changes, .. } in batches {
                let refused = match broken(&data, &conditions)? {
                    Some(error) => Some(error),
                    None => self.beyond(&data, &changes, used)?,
                };
                if let Some(error) = refused {
                    answers.push(Err(error));
                    continue;
                }
                changed |= !changes.is_empty();
                for change in changes {
                    used = apply(&mut data, change, used)?;
                }
                answers.push(Ok(()));
            }
        }
        if !changed {
            write.abort()?;
            return Ok(answers);
        }
        if used != before {
            write.open_table(NOTES)?.insert(USED, used)?;
        }
        write.commit()?;
        self.used.store(used, Ordering::Release);
        Ok(answers)
    }

    /// Why the changes do not fit, if they do not. First an estimate that reads
    /// nothing, as if nothing was replaced or removed; only near the bound the
    /// real sum.
    fn beyond(
        &self,
        data: &Table<'_, &'static [u8], &'static [u8]>,
        changes: &[Change],
        used: u64,
    ) -> Result<Option<Error>, redb::Error> {
        let put = |change: &Change| match change {
            Change::Put(entry) => size(&entry.key, &entry.value),
            Change::Delete(_) => 0,
        };
        let most = changes.iter().map(put).fold(used, u64::saturating_add);
        if most <= self.max_size {
            return Ok(None);
        }
        // The last change of a key is the one that counts.
        let mut last: std::collections::BTreeMap<&[u8], u64> = std::collections::BTreeMap::new();
        for change in changes {
            let key = match change {
                Change::Put(entry) => &entry.key,
                Change::Delete(key) => key,
            };
            last.insert(key, put(change));
        }
        let (mut more, mut less) = (0_u64, 0_u64);
        for (key, size_after) in last {
            more = more.saturating_add(size_after);
            if let Some(old) = data.get(key)? {
                less = less.saturating_add(size(key, old.value()));
            }
        }
        let after = used.saturating_add(more).saturating_sub(less);
        Ok((after > self.max_size && more > less).then(|| {
            Error::Unavailable(format!(
                "the store would have {after} bytes, more than its `max_size` ({}); remove \
                 something, or raise it",
                self.max_size
            ))
        }))
    }
}

fn size(key: &[u8], value: &[u8]) -> u64 {
    (key.len() as u64).saturating_add(value.len() as u64).saturating_add(ENTRY_OVERHEAD)
}

/// The first condition that does not hold.
fn broken(
    data: &Table<'_, &'static [u8], &'static [u8]>,
    conditions: &[Condition],
) -> Result<Option<Error>, redb::Error> {
    for (at, Condition { key, value }) in conditions.iter().enumerate() {
        let found = data.get(key.as_slice())?;
        if found.as_ref().map(|found| found.value()) != value.as_deref() {
            return Ok(Some(Error::Conflict(format!("condition {at} does not hold"))));
        }
    }
    Ok(None)
}

/// Makes one change and gives the size after it.
fn apply(
    data: &mut Table<'_, &'static [u8], &'static [u8]>,
    change: Change,
    used: u64,
) -> Result<u64, redb::Error> {
    Ok(match change {
        Change::Put(entry) => {
            let old = data.insert(entry.key.as_slice(), entry.value.as_slice())?;
            let less = old.map_or(0, |old| size(&entry.key, old.value()));
            used.saturating_add(size(&entry.key, &entry.value)).saturating_sub(less)
        }
        Change::Delete(key) => {
            let old = data.remove(key.as_slice())?;
            used.saturating_sub(old.map_or(0, |old| size(&key, old.value())))
        }
    })
}
