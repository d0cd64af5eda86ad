//! The loop behind all workflows of a runtime: pull, run the handlers, settle.
//!
//! There is one loop, however many workflows are served: one pull asks for the
//! tasks of all, and it is also the one that calls when only time makes something
//! due (a timeout, a schedule), whether or not anything is served here.
//!
//! What holds for the loops behind subscribers (`events::worker`) holds here:
//! a pull under way is never dropped and has a task of its own, handlers are
//! polled once where they are pulled, outcomes are settled in batches, and all
//! waits are until a moment.
//!
//! Workflows that have much room for handlers are asked for together, and each
//! that has little by itself, for no more than it has room for. So nothing is
//! leased that cannot begin, and one whose handlers hang holds up no other.
//!
//! An attempt is stopped, by dropping its future, when its deadline has passed or
//! its lease is lost: nobody listens to it any more, so it must do no more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use stheno_contracts::workflows as contract;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use super::args::{MAX_ITEMS, millis};
use super::batch::pieces;
use super::calls::{Calls, PULL_WAIT, Pulled};
use super::roster::{Attempt, Roster, Served};
use crate::{Error, ErrorKind};

/// The most tasks in one pull.
const BATCH: usize = 256;
/// How long a task is leased at a time where no workflow says otherwise.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// How long handlers may go on once the runtime stops; then they are cut off and
/// their tasks given back.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Without news, look again after this long: another process may have started a
/// run.
const IDLE: Duration = Duration::from_secs(1);

/// What the loop is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Go on.
    Serving,
    /// Go on, and tell when in this round nothing was due and no handler ran.
    Draining(u64),
    /// End what was begun, and then.
    Stopping,
}

pub(super) struct Desk {
    calls: Arc<Calls>,
    roster: Arc<Roster>,
    /// What is served, as of `version` of the roster.
    places: BTreeMap<String, Place>,
    version: u64,
    lease: Duration,
    /// When it is worth pulling although nothing is served.
    timer: Duration,
    running: JoinSet<Ended>,
    leased: HashMap<String, Leased>,
    outcomes: Vec<contract::Outcome>,
    /// Which of those that have little room is asked for next.
    turn: usize,
    pause: Duration,
}

/// A workflow at the desk.
struct Place {
    served: Arc<Served>,
    running: usize,
    /// When it is worth pulling.
    next: Duration,
}

impl Place {
    fn room(&self) -> usize {
        self.served.concurrency.saturating_sub(self.running)
    }
}

/// An attempt that runs.
struct Leased {
    served: Arc<Served>,
    abort: AbortHandle,
}

/// An attempt that has ended; without a verdict if its time was up.
struct Ended {
    token: String,
    verdict: Option<contract::Verdict>,
}

/// A pull under way.
struct Pull {
    task: JoinHandle<Result<Pulled, Error>>,
    /// For these; only for what time brings if there are none.
    workflows: Vec<String>,
    began: Duration,
    /// The round of draining in which it asks for all, while no handler runs.
    quiet_round: Option<u64>,
    /// Whether it was time that made it worth while.
    by_time: bool,
}

impl Desk {
    pub(super) fn new(calls: Arc<Calls>, roster: Arc<Roster>) -> Self {
        Self {
            calls,
            roster,
            places: BTreeMap::new(),
            version: 0,
            lease: LEASE,
            timer: Duration::ZERO,
            running: JoinSet::new(),
            leased: HashMap::new(),
            outcomes: Vec::new(),
            turn: 0,
            pause: FIRST_PAUSE,
        }
    }

    pub(super) async fn run(mut self, mut phase: watch::Receiver<Phase>, idle: watch::Sender<u64>) {
        let clock = self.calls.clock().clone();
        let mut activity = self.calls.news().activity();
        let mut changes = self.roster.changes();
        let mut pull: Option<Pull> = None;
        let mut renew_at = Duration::ZERO;
        // Whether it is time, and no news, that makes the next pull worth while.
        let mut by_time = false;
        loop {
            let now = clock.monotonic();
            let current = *phase.borrow_and_update();
            self.take_roster(*changes.borrow_and_update());
            if current == Phase::Stopping && pull.is_none() {
                break;
            }
            let mut round = None;
            if let Phase::Draining(wanted) = current
                && self.running.is_empty()
                && pull.is_none()
                && *idle.borrow() < wanted
                // After a failure it waits as it does otherwise.
                && self.pause == FIRST_PAUSE
            {
                self.all_may_be_due();
                round = Some(wanted);
            }
            if self.leased.is_empty() {
                renew_at = now.saturating_add(self.lease / 3);
            } else if now >= renew_at {
                self.renew().await;
                renew_at = now.saturating_add(self.lease / 3);
            }
            if pull.is_none() && activity.has_changed().unwrap_or(false) {
                // News are of any workflow, and the next pull may not be for all.
                activity.mark_unchanged();
                self.all_may_be_due();
            }
            if pull.is_none()
                && let Some(workflows) = self.choose(now)
            {
                pull = Some(self.pull(workflows, now, round, std::mem::take(&mut by_time)));
            }
            let wait_until = pull.is_none().then(|| self.next());
            tokio::select! {
                biased;
                Some(pulled) = conditional(&mut pull) => {
                    if let Some(pull) = pull.take() {
                        self.pulled(pull, pulled, current, &idle);
                    }
                }
                Some(ended) = self.running.join_next() => self.ended(ended),
                _ = activity.changed(), if wait_until.is_some() => self.all_may_be_due(),
                () = clock.sleep_until(wait_until.unwrap_or_default()), if wait_until.is_some() => {
                    by_time = true;
                }
                () = clock.sleep_until(renew_at), if !self.leased.is_empty() => {}
                _ = phase.changed() => {}
                _ = changes.changed() => {}
            }
            while let Some(ended) = self.running.try_join_next() {
                self.ended(ended);
            }
            self.settle().await;
        }
        self.finish().await;
    }

    fn take_roster(&mut self, version: u64) {
        if version == self.version {
            return;
        }
        self.version = version;
        let mut before = std::mem::take(&mut self.places);
        for served in self.roster.all() {
            let known = before.remove(&served.id).filter(|at| Arc::ptr_eq(&at.served, &served));
            let place = known.unwrap_or_else(|| Place {
                // What one of the same name before it began is not its own.
                running: 0,
                next: Duration::ZERO,
                served,
            });
            self.places.insert(place.served.id.clone(), place);
        }
        let shortest = self.places.values().map(|place| place.served.lease).min();
        self.lease = shortest.unwrap_or(LEASE);
    }

    fn all_may_be_due(&mut self) {
        self.places.values_mut().for_each(|place| place.next = Duration::ZERO);
        self.timer = Duration::ZERO;
    }

    /// When the next pull is worth while.
    fn next(&self) -> Duration {
        let roomy = self.places.values().filter(|place| place.asks() && place.room() > 0);
        roomy.map(|place| place.next).min().map_or(self.timer, |next| next.min(self.timer))
    }

    /// The workflows that are asked for now; none of them where it is only time
    /// to look.
    fn choose(&mut self, now: Duration) -> Option<Vec<String>> {
        let due = |place: &&Place| place.asks() && place.room() > 0 && place.next <= now;
        let much = |place: &Place| place.room() * 2 >= place.served.concurrency;
        let (roomy, tight): (Vec<_>, Vec<_>) =
            self.places.values().filter(due).partition(|place| much(place));
        // In turn: those with much room, then each that has little.
        let groups = usize::from(!roomy.is_empty()) + tight.len();
        if groups == 0 {
            return (self.timer <= now).then(Vec::new);
        }
        let turn = self.turn % groups;
        self.turn = turn + 1;
        let chosen = match (roomy.is_empty(), turn) {
            (false, 0) => roomy,
            (false, turn) => tight.into_iter().skip(turn - 1).take(1).collect(),
            (true, turn) => tight.into_iter().skip(turn).take(1).collect(),
        };
        let ids = chosen.into_iter().take(MAX_ITEMS).map(|place| place.served.id.clone());
        Some(ids.collect())
    }

    fn pull(
        &self,
        workflows: Vec<String>,
        began: Duration,
        round: Option<u64>,
        by_time: bool,
    ) -> Pull {
        let chosen = workflows.iter().filter_map(|id| self.places.get(id));
        let max = chosen.clone().map(Place::room).min().unwrap_or(1).min(BATCH);
        let selectors: Vec<_> = chosen.map(|place| place.served.selector.clone()).collect();
        // Only one that asks for all can say that nothing is due.
        let asking = self.places.values().filter(|place| place.asks()).count();
        let quiet_round = round.filter(|_| workflows.len() == asking);
        let calls = Arc::clone(&self.calls);
        let lease = self.lease;
        let wait = if calls.provider().is_single() { Duration::ZERO } else { PULL_WAIT };
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        let task = tokio::spawn(async move { calls.pull(selectors, max, wait, lease).await });
        Pull { task, workflows, began, quiet_round, by_time }
    }

    fn pulled(
        &mut self,
        pull: Pull,
        pulled: Result<Pulled, Error>,
        current: Phase,
        idle: &watch::Sender<u64>,
    ) {
        let clock = self.calls.clock().clone();
        let next = match pulled {
            Ok(pulled) => {
                self.pause = FIRST_PAUSE;
                let any = !pulled.tasks.is_empty();
                for task in pulled.tasks {
                    self.begin(task, current);
                }
                if pull.by_time {
                    // What time has brought may be for others: a schedule starts
                    // runs of any workflow.
                    self.calls.news().raise();
                }
                if let (false, Some(round)) = (any, pull.quiet_round) {
                    idle.send_replace(round);
                }
                match pulled.next_due {
                    _ if any => Duration::ZERO,
                    Some(Duration::ZERO) => Duration::ZERO,
                    Some(due) => pull.began.saturating_add(due),
                    None if self.calls.provider().is_single() => Duration::MAX,
                    None => clock.monotonic().saturating_add(IDLE),
                }
            }
            Err(error) => {
                tracing::error!(%error, "tasks of workflows cannot be pulled, trying again");
                let wait = self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                clock.monotonic().saturating_add(wait)
            }
        };
        self.timer = next;
        for id in &pull.workflows {
            if let Some(place) = self.places.get_mut(id) {
                place.next = next;
            }
        }
    }

    /// Runs the handler as far as it comes by itself.
    fn begin(&mut self, task: contract::Task, current: Phase) {
        let token = task.token.clone();
        let Some(place) =
            self.places.get_mut(&task.workflow).filter(|_| current != Phase::Stopping)
        else {
            self.outcomes.push(outcome(token, contract::Verdict::Returned));
            return;
        };
        let deadline = task
            .deadline_in_ms
            .map(|ms| self.calls.clock().monotonic().saturating_add(Duration::from_millis(ms)));
        let served = Arc::clone(&place.served);
        let mut attempt = served.attempt(task);
        // A waker that does nothing is enough: what is not done now is polled
        // again by its task.
        match attempt.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(verdict) => self.outcomes.push(outcome(token, verdict)),
            Poll::Pending => {
                place.running += 1;
                served.running.send_modify(|running| *running += 1);
                let clock = self.calls.clock().clone();
                let name = token.clone();
                let abort = self.running.spawn(async move {
                    let verdict = until(attempt, deadline, &clock).await;
                    Ended { token: name, verdict }
                });
                self.leased.insert(token, Leased { served, abort });
            }
        }
    }

    /// Forgets an attempt that runs no more.
    fn release(&mut self, token: &str) -> bool {
        let Some(Leased { served, abort }) = self.leased.remove(token) else { return false };
        abort.abort();
        if let Some(place) = self.places.get_mut(&served.id)
            && Arc::ptr_eq(&place.served, &served)
        {
            place.running = place.running.saturating_sub(1);
        }
        served.running.send_modify(|running| *running = running.saturating_sub(1));
        true
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        // One that was stopped, or that the runtime cancelled, has no outcome.
        if let Ok(Ended { token, verdict }) = ended
            && self.release(&token)
        {
            match verdict {
                Some(verdict) => self.outcomes.push(outcome(token, verdict)),
                None => tracing::warn!("an attempt at a step was stopped: its time was up"),
            }
        }
    }

    /// Records outcomes. If they cannot be recorded together they are tried
    /// once each, so that one that the provider cannot bear costs no other; what
    /// then fails is due again when its lease runs out.
    async fn settle(&mut self) {
        if self.outcomes.is_empty() {
            return;
        }
        let mut lost = 0;
        for piece in pieces(std::mem::take(&mut self.outcomes)) {
            let again = (piece.len() > 1).then(|| piece.clone());
            match (self.calls.settle(piece).await, again) {
                (Ok(tokens), _) => lost += tokens.len(),
                (Err(error), None) => unsettled(&error),
                (Err(_), Some(again)) => {
                    for one in again {
                        match self.calls.settle(vec![one]).await {
                            Ok(tokens) => lost += tokens.len(),
                            Err(error) => unsettled(&error),
                        }
                    }
                }
            }
        }
        if lost > 0 {
            tracing::warn!(
                lost,
                "attempts ended after their lease or their time, and do not count"
            );
        }
    }

    /// Renews leases, and stops what has lost its own.
    async fn renew(&mut self) {
        let tokens: Vec<_> = self.leased.keys().cloned().collect();
        for tokens in tokens.chunks(MAX_ITEMS) {
            match self.calls.extend(tokens.to_vec(), millis(self.lease)).await {
                Ok(lost) => {
                    for token in lost {
                        if self.release(&token) {
                            tracing::warn!("an attempt at a step was stopped: its lease was lost");
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "leases were not renewed, steps may be done twice");
                }
            }
        }
    }

    /// Lets handlers end, and gives back the tasks of those that do not.
    async fn finish(&mut self) {
        let clock = self.calls.clock().clone();
        let grace = tokio::time::sleep(GRACE);
        tokio::pin!(grace);
        let mut renew_at = clock.monotonic();
        loop {
            if clock.monotonic() >= renew_at && !self.leased.is_empty() {
                self.renew().await;
                renew_at = clock.monotonic().saturating_add(self.lease / 3);
            }
            tokio::select! {
                biased;
                ended = self.running.join_next() => match ended {
                    Some(ended) => self.ended(ended),
                    None => break,
                },
                () = clock.sleep_until(renew_at), if !self.leased.is_empty() => {}
                () = &mut grace => {
                    self.running.abort_all();
                    let given_back = self.leased.drain();
                    self.outcomes.extend(
                        given_back.map(|(token, _)| outcome(token, contract::Verdict::Returned)),
                    );
                    break;
                }
            }
            self.settle().await;
        }
        self.settle().await;
    }
}

impl Place {
    /// Whether it has any handler here.
    fn asks(&self) -> bool {
        !self.served.selector.steps.is_empty()
    }
}

/// Runs an attempt for as long as it may take.
async fn until(
    attempt: Attempt,
    deadline: Option<Duration>,
    clock: &stheno_engine::Clock,
) -> Option<contract::Verdict> {
    match deadline {
        None => Some(attempt.await),
        Some(deadline) => tokio::select! {
            biased;
            () = clock.sleep_until(deadline) => None,
            verdict = attempt => Some(verdict),
        },
    }
}

fn outcome(token: String, verdict: contract::Verdict) -> contract::Outcome {
    contract::Outcome { token, verdict }
}

fn unsettled(error: &Error) {
    tracing::error!(%error, "an outcome was not recorded, the step is done again");
}

/// Awaits what may not be there.
async fn conditional(pull: &mut Option<Pull>) -> Option<Result<Pulled, Error>> {
    match pull {
        Some(pull) => Some((&mut pull.task).await.unwrap_or_else(|ended| Err(lost(&ended)))),
        None => None,
    }
}

/// What became of a pull whose task did not end.
fn lost(ended: &tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, format!("the pull ended without an answer: {ended}"))
}
