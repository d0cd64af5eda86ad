//! Those who wait for their keys.
//!
//! Mostly whoever releases a key brings the news to whoever is next, within the
//! same call. A task looks only at what nobody brings: leases that expire, what
//! other processes do, and a provider that had to be started again. It is there
//! as long as somebody waits. What other processes do it hears of in a call that
//! waits in the provider; whatever else happens meanwhile it asks for beside that.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stheno_contracts::Error as Contract;
use stheno_contracts::locking as contract;
use stheno_engine::Clock;
use tokio::sync::{Notify, oneshot};

use super::args::MAX_ITEMS;
use super::core::{Core, Hold, pause};
use crate::{Error, ErrorKind};

/// A ticket that nobody asks after for longer may be taken for abandoned.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);
/// How long a grant is kept for somebody who is not known yet: longer than an answer
/// may be on its way.
const KEPT: Duration = Duration::from_secs(15);

#[derive(Default)]
pub(super) struct Waiters {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// Who is told about a ticket.
    waiting: HashMap<String, oneshot::Sender<Option<Hold>>>,
    /// When it is worth looking, on the clock.
    due: Option<Duration>,
    look: Look,
    /// Where many instances serve: tickets that may have been granted before they
    /// were known here.
    new: Vec<String>,
    /// There as well: what was granted to tickets before they were known here.
    early: HashMap<String, Hold>,
    driven: bool,
    closed: bool,
}

#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    #[default]
    Nowhere,
    /// What time has brought.
    Due,
    All,
}

/// A place in the queue: dropped, it is given up.
pub(super) struct Place {
    core: Arc<Core>,
    ticket: String,
    turn: oneshot::Receiver<Option<Hold>>,
    told: bool,
    /// To ask again if the place is lost.
    request: Option<contract::Request>,
}

/// What came of waiting.
pub(super) enum Turn {
    Held(Hold),
    /// The place was lost, and it has to be asked again.
    Again(contract::Request),
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells who waits with this ticket that it waits no more; without a hold, its
    /// place was lost. Gives back what is for nobody: dropped, it passes the keys on.
    pub(super) fn tell(&self, ticket: &str, hold: Option<Hold>) -> Option<Hold> {
        let waiting = self.lock().waiting.remove(ticket);
        match waiting {
            // Who has gone meanwhile drops it with the channel.
            Some(waiting) => {
                let _ = waiting.send(hold);
                None
            }
            None => hold,
        }
    }

    /// When the next lease expires that somebody waits for.
    pub(super) fn due_in(&self, clock: &Clock, ms: Option<u64>) {
        let due = ms.map(|ms| clock.monotonic().saturating_add(Duration::from_millis(ms)));
        let mut state = self.lock();
        let sooner = due.is_some_and(|due| state.due.is_none_or(|before| due < before));
        state.due = due;
        // The task may be asleep until later.
        if sooner {
            self.news.notify_one();
        }
    }

    /// Has the task look again at what time has brought.
    pub(super) fn look(&self) {
        self.raise(Look::Due);
    }

    /// Has the task ask after all tickets.
    pub(super) fn look_at_all(&self) {
        self.raise(Look::All);
    }

    fn raise(&self, look: Look) {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            return;
        }
        if look > state.look {
            state.look = look;
        }
        drop(state);
        self.news.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Lets nobody wait any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let all = (std::mem::take(&mut state.waiting), std::mem::take(&mut state.early));
        drop(state);
        drop(all);
        self.news.notify_one();
    }
}

impl Core {
    /// Takes a place in the queue.
    pub(super) fn place(
        self: &Arc<Self>,
        queued: contract::Queued,
        request: contract::Request,
    ) -> Place {
        let (sender, turn) = oneshot::channel();
        let waiters = self.waiters();
        let mut state = waiters.lock();
        if let Some(hold) = state.early.remove(&queued.ticket) {
            let _ = sender.send(Some(hold));
        } else if !state.closed {
            state.waiting.insert(queued.ticket.clone(), sender);
            let due = queued
                .next_due_ms
                .map(|ms| self.clock().monotonic().saturating_add(Duration::from_millis(ms)));
            let sooner = match (due, state.due) {
                (Some(due), Some(known)) => due < known,
                (due, _) => due.is_some(),
            };
            if sooner {
                state.due = due;
            }
            let shared = !self.provider().is_single();
            if shared {
                state.new.push(queued.ticket.clone());
            }
            if sooner || shared {
                waiters.news.notify_one();
            }
            if !state.driven {
                state.driven = true;
                tokio::spawn(drive(Arc::clone(self)));
            }
        }
        drop(state);
        let core = Arc::clone(self);
        Place { core, ticket: queued.ticket, turn, told: false, request: Some(request) }
    }
}

impl Core {
    /// Keeps what was granted to a ticket that nobody waits with: the answer that brings
    /// it may still be on its way to another instance. If it does not come, whoever
    /// asked has gone.
    pub(super) fn keep(self: &Arc<Self>, ticket: String, hold: Hold) {
        let mut state = self.waiters().lock();
        if state.closed {
            drop(state);
            return;
        }
        state.early.insert(ticket.clone(), hold);
        drop(state);
        let core = Arc::clone(self);
        tokio::spawn(async move {
            core.clock().sleep_until(core.clock().monotonic().saturating_add(KEPT)).await;
            let late = core.waiters().lock().early.remove(&ticket);
            drop(late);
        });
    }
}

/// Looks when it is time, until nobody waits.
async fn drive(core: Arc<Core>) {
    let single = core.provider().is_single();
    let mut listening: Option<Listening> = None;
    let mut failures = 0;
    loop {
        let now = core.clock().monotonic();
        let (due, tickets) = {
            let mut state = core.waiters().lock();
            if state.waiting.is_empty() {
                state.driven = false;
                state.due = None;
                state.look = Look::Nowhere;
                state.new.clear();
                return;
            }
            let listen = !single && listening.is_none();
            let tickets: Vec<String> = match listen {
                true => state.waiting.keys().take(MAX_ITEMS).cloned().collect(),
                false => Vec::new(),
            };
            (state.due, tickets)
        };
        if !tickets.is_empty() {
            listening = Some(Box::pin(Arc::clone(&core).listen(tickets)));
        }
        let latest = if single { None } else { Some(now.saturating_add(LONGEST_SILENCE)) };
        let moment = match (due, latest) {
            (Some(due), Some(latest)) => Some(due.min(latest)),
            (due, latest) => due.or(latest),
        };
        let mut failed = tokio::select! {
            () = core.waiters().news.notified() => false,
            () = async {
                match moment {
                    Some(moment) => core.clock().sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            } => false,
            heard = async {
                match &mut listening {
                    Some(listening) => listening.await,
                    None => std::future::pending().await,
                }
            } => {
                listening = None;
                heard.is_err()
            }
        };
        for tickets in core.to_ask(single, moment) {
            failed |= core.poll(tickets).await.is_err();
        }
        if failed {
            failures += 1;
            core.waiters().look_at_all();
            pause(failures).await;
        } else {
            failures = 0;
        }
    }
}

/// A poll that waits in the provider.
type Listening = Pin<Box<dyn Future<Output = Result<(), Contract>> + Send>>;

impl Core {
    /// Which tickets are to be asked after now, in calls; of none, what time has
    /// brought.
    fn to_ask(&self, single: bool, moment: Option<Duration>) -> Vec<Vec<String>> {
        let mut state = self.waiters().lock();
        let look = std::mem::take(&mut state.look);
        let new = std::mem::take(&mut state.new);
        let now = self.clock().monotonic();
        let is_due = look == Look::Due || state.due.is_some_and(|due| due <= now);
        // Nobody else may have asked after those who are not listened for.
        let silent = !single && moment.is_some_and(|moment| moment <= now);
        let in_calls = |tickets: &[String]| tickets.chunks(MAX_ITEMS).map(<[_]>::to_vec).collect();
        if look == Look::All || silent {
            let all: Vec<String> = state.waiting.keys().cloned().collect();
            in_calls(&all)
        } else if !new.is_empty() {
            in_calls(&new)
        } else if is_due {
            vec![Vec::new()]
        } else {
            Vec::new()
        }
    }
}

impl Place {
    /// Waits for the turn.
    pub(super) async fn turn(&mut self) -> Result<Turn, Error> {
        let turn = (&mut self.turn).await;
        self.told = true;
        match (turn, self.request.take()) {
            (Ok(Some(hold)), _) => Ok(Turn::Held(hold)),
            (Ok(None), Some(request)) => Ok(Turn::Again(request)),
            _ => Err(Error::new(
                ErrorKind::Unavailable,
                "the runtime is stopping or has been stopped",
            )),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let known = self.core.waiters().lock().waiting.remove(&self.ticket).is_some();
        // Where it was not known any more it was granted, and the hold lies in the
        // channel; or the runtime stops.
        if !known {
            return;
        }
        self.core.give_up_later(std::mem::take(&mut self.ticket));
    }
}
