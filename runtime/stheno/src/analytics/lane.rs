//! The buffer of one provider, and the loop that empties it.
//!
//! Each provider has a lane of its own, so that one which fails fills its own
//! buffer and nobody else's. A lane has one batch under way at a time: it keeps
//! the order, and what comes meanwhile makes the next batch larger.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stheno_config::ProviderId;
use stheno_contracts::Error as Contract;
use stheno_engine::{AnalyticsModule, Clock, Provider};
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::AnalyticsStatus;
use super::batch::{Batch, Item, UNIT_BYTES, with_text};
use crate::{Error, ErrorKind};

/// A batch is due with so many items, so many bytes, or after so long.
const DUE_ITEMS: usize = 256;
const DUE_BYTES: usize = 256 * 1024;
const DUE_AFTER: Duration = Duration::from_secs(1);
/// The buffer: so many units.
const UNITS: usize = 64 * 1024;
/// How long who tracks waits for room, in real time.
const ROOM_WAIT: Duration = Duration::from_secs(1);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long a stop tries, in real time, and the longest it waits in between.
const STOP: Duration = Duration::from_secs(30);
const STOP_WAIT: Duration = Duration::from_secs(1);
/// How many refusals a flush tells of.
const TOLD: usize = 5;

pub(super) struct Lane {
    id: ProviderId,
    provider: Provider<AnalyticsModule>,
    clock: Clock,
    room: Semaphore,
    state: Mutex<State>,
    wake: Notify,
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    bytes: usize,
    /// When the first of the queue came.
    oldest: Duration,
    accepted: u64,
    /// Handed over or given up.
    done: u64,
    lost: u64,
    /// What was given up since the last flush.
    refused: Vec<Contract>,
    flushes: Vec<Flush>,
    /// Whether the last call failed.
    failing: bool,
    /// When a stop gives up.
    stop: Option<Instant>,
    abandoned: bool,
}

struct Flush {
    /// Everything accepted before.
    upto: u64,
    reply: oneshot::Sender<Result<(), Contract>>,
}

/// What the loop is to do.
enum Todo {
    Send,
    Sync(Vec<Flush>),
    /// Until then on the lane's clock, if no news comes first.
    Wait(Option<Duration>),
    /// In real time.
    WaitToStop(Duration),
    End,
}

/// Batches that were taken out and not handed over yet.
struct Hand {
    batches: VecDeque<Batch>,
    wait: Duration,
    again: Option<Duration>,
}

impl Lane {
    pub(super) fn start(
        id: ProviderId,
        provider: Provider<AnalyticsModule>,
        clock: Clock,
    ) -> Arc<Self> {
        let lane = Arc::new(Self {
            id,
            provider,
            clock,
            room: Semaphore::new(UNITS),
            state: Mutex::default(),
            wake: Notify::new(),
            ended: watch::channel(false).0,
        });
        tokio::spawn(Arc::clone(&lane).run());
        lane
    }

    pub(super) fn id(&self) -> &ProviderId {
        &self.id
    }

    pub(super) fn provider(&self) -> &Provider<AnalyticsModule> {
        &self.provider
    }

    pub(super) fn status(&self) -> AnalyticsStatus {
        let state = self.lock();
        AnalyticsStatus {
            provider: self.id.to_string(),
            waiting: state.accepted - state.done,
            lost: state.lost,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of these or none, and says which.
    pub(super) async fn push(&self, items: Vec<Item>) -> Result<bool, Error> {
        let units: usize = items.iter().map(Item::units).sum();
        let wanted = u32::try_from(units).ok().filter(|_| units <= UNITS).ok_or_else(|| {
            Error::invalid(format!(
                "the items have about {} bytes together, at most {} in one call are allowed",
                units * UNIT_BYTES,
                UNITS * UNIT_BYTES
            ))
        })?;
        let permit = match self.room.try_acquire_many(wanted) {
            Ok(permit) => permit,
            Err(_) if self.lock().failing => return Ok(false),
            Err(_) => match tokio::time::timeout(ROOM_WAIT, self.room.acquire_many(wanted)).await {
                Ok(Ok(permit)) => permit,
                _ => return Ok(false),
            },
        };
        permit.forget();
        let mut state = self.lock();
        let (was_empty, was_due) = (state.queue.is_empty(), state.is_due());
        if was_empty {
            state.oldest = self.clock.monotonic();
        }
        state.accepted += items.len() as u64;
        state.bytes += items.iter().map(Item::bytes).sum::<usize>();
        state.queue.extend(items);
        let news = was_empty || (!was_due && state.is_due());
        drop(state);
        if news {
            self.wake.notify_one();
        }
        Ok(true)
    }

    /// Counts what others got and this one had no room for.
    pub(super) fn missed(&self, count: usize) {
        let mut state = self.lock();
        // Once for each time that the buffer fills up would be once a call.
        let first = state.lost == 0;
        state.lost += count as u64;
        drop(state);
        if first {
            tracing::warn!(provider = %self.id, "its buffer is full: it misses what is tracked");
        }
    }

    /// Waits until all that was accepted before is written out, or cannot be.
    pub(super) async fn flush(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.lock();
            if *self.ended.borrow() {
                return Ok(());
            }
            let upto = state.accepted;
            state.flushes.push(Flush { upto, reply });
        }
        self.wake.notify_one();
        match answer.await {
            Ok(answer) => answer.map_err(Error::from),
            Err(_) => Err(Error::new(ErrorKind::Unavailable, "the runtime has been stopped")),
        }
    }

    /// Hands over what is there and ends.
    pub(super) async fn stop(&self) {
        self.lock().stop.get_or_insert(Instant::now() + STOP);
        self.wake.notify_one();
        // The sender is alive: `self` holds it.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Ends at once.
    pub(super) fn abandon(&self) {
        self.lock().abandoned = true;
        self.wake.notify_one();
    }

    async fn run(self: Arc<Self>) {
        let mut hand = Hand { batches: VecDeque::new(), wait: FIRST_WAIT, again: None };
        loop {
            let todo = self.lock().todo(self.clock.monotonic(), &hand);
            match todo {
                Todo::Send => self.send(&mut hand).await,
                Todo::Sync(flushes) => self.sync(flushes).await,
                Todo::Wait(None) => self.wake.notified().await,
                Todo::Wait(Some(until)) => tokio::select! {
                    () = self.wake.notified() => {}
                    () = self.clock.sleep_until(until) => {}
                },
                Todo::WaitToStop(wait) => {
                    tokio::time::sleep(wait).await;
                    hand.again = None;
                }
                Todo::End => break,
            }
        }
        self.end();
    }

    fn end(&self) {
        let mut state = self.lock();
        let left = state.accepted - state.done;
        if left > 0 && !state.abandoned {
            tracing::error!(provider = %self.id, items = left, "lost: it could not take them");
        }
        state.lost += left;
        state.done = state.accepted;
        state.queue.clear();
        state.flushes.clear();
        drop(state);
        self.ended.send_replace(true);
    }

    /// Tries the next batch.
    async fn send(&self, hand: &mut Hand) {
        let next = hand.batches.pop_front().or_else(|| self.lock().take());
        let Some(batch) = next else { return };
        let Err(error) = batch.hand_over(&self.provider).await else {
            hand.wait = FIRST_WAIT;
            hand.again = None;
            self.lock().failing = false;
            self.done(&batch);
            return;
        };
        let told = batch.told(&self.id, &error);
        if error.is_retryable() {
            tracing::warn!(provider = %self.id, "{}; tried again later", told.message());
            hand.again = Some(self.clock.monotonic().saturating_add(hand.wait));
            hand.wait = hand.wait.saturating_mul(2).min(LONGEST_WAIT);
            hand.batches.push_front(batch);
            let mut state = self.lock();
            state.failing = true;
            for flush in std::mem::take(&mut state.flushes) {
                // Who went away does not want its answer.
                let _ = flush.reply.send(Err(told.clone()));
            }
            return;
        }
        // It answers, if not as one would like: the next one may go.
        hand.again = None;
        if batch.len() > 1 {
            // One of them is at fault: each has its own try.
            for single in batch.singles().into_iter().rev() {
                hand.batches.push_front(single);
            }
            return;
        }
        tracing::error!(provider = %self.id, "{}; given up", told.message());
        {
            let mut state = self.lock();
            state.failing = false;
            state.lost += 1;
            if state.refused.len() < TOLD {
                state.refused.push(told);
            }
        }
        self.done(&batch);
    }

    fn done(&self, batch: &Batch) {
        self.lock().done += batch.len() as u64;
        self.room.add_permits(batch.units());
    }

    /// Has the provider write out, for those who wait for it.
    async fn sync(&self, flushes: Vec<Flush>) {
        let synced = self
            .provider
            .call(|guest| Box::pin(async move { guest.module.call_flush(guest.store).await }));
        let mut answer = synced
            .await
            .map_err(|error| with_text(&error, format!("{}: {}", self.id, error.message())));
        let refused = std::mem::take(&mut self.lock().refused);
        if let Some(first) = refused.first() {
            let texts: Vec<_> = refused.iter().map(Contract::message).collect();
            answer = Err(with_text(first, texts.join("\n")));
        }
        for flush in flushes {
            // Who went away does not want its answer.
            let _ = flush.reply.send(answer.clone());
        }
    }
}

impl State {
    fn is_due(&self) -> bool {
        self.queue.len() >= DUE_ITEMS || self.bytes >= DUE_BYTES
    }

    fn todo(&mut self, now: Duration, hand: &Hand) -> Todo {
        if self.abandoned {
            return Todo::End;
        }
        let done = self.done;
        let ready: Vec<_> = self.flushes.extract_if(.., |flush| flush.upto <= done).collect();
        if !ready.is_empty() {
            return Todo::Sync(ready);
        }
        if self.queue.is_empty() && hand.batches.is_empty() {
            return if self.stop.is_some() { Todo::End } else { Todo::Wait(None) };
        }
        if let Some(deadline) = self.stop {
            let left = deadline.saturating_duration_since(Instant::now());
            return match hand.again {
                _ if left.is_zero() => Todo::End,
                Some(_) => Todo::WaitToStop(hand.wait.min(STOP_WAIT).min(left)),
                None => Todo::Send,
            };
        }
        if !self.flushes.is_empty() {
            return Todo::Send;
        }
        if let Some(again) = hand.again.filter(|again| now < *again) {
            return Todo::Wait(Some(again));
        }
        let due = self.oldest.saturating_add(DUE_AFTER);
        if !hand.batches.is_empty() || self.is_due() || now >= due {
            Todo::Send
        } else {
            Todo::Wait(Some(due))
        }
    }

    /// The next items of one kind, within the contract's limits.
    fn take(&mut self) -> Option<Batch> {
        let (batch, bytes) = Batch::take(&mut self.queue)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(batch)
    }
}
