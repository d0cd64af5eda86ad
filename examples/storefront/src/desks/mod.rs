//! The desks: who does what an order leads to. Each subscribes to events under an
//! id of its own; one that fails or is slow holds up no other.
//!
//! An event comes at least once. So each desk writes under the number of the order,
//! and a second time changes nothing.

mod invoices;
mod ledger;
mod mail;
mod statistics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use stheno::{DeadLetter, Event, Events, Failure, Runtime, Subscriber, SubscriptionStatus};
use tokio::sync::watch;

use crate::day::Day;
use crate::error::{Error, doing};
use crate::meter::Meters;
use crate::sale::Dated;

pub(crate) use mail::{AddressBook, MISTYPED};

/// The ids of the desks' subscriptions, and what each receives.
pub(crate) const DESKS: [(&str, &str); 5] = [
    (ledger::ID, ledger::PATTERN),
    (invoices::ID, invoices::PATTERN),
    (mail::RECEIPTS, mail::RECEIPTS_PATTERN),
    (mail::REGRETS, mail::REGRETS_PATTERN),
    (statistics::ID, statistics::PATTERN),
];

/// How many events each desk is to be done with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) completed: u64,
    pub(crate) cancelled: u64,
}

impl Due {
    fn of(self, desk: &str) -> u64 {
        match desk {
            mail::REGRETS => self.cancelled,
            // Of an order that is completed it hears twice.
            statistics::ID => 2 * self.completed + self.cancelled,
            _ => self.completed,
        }
    }
}

/// What the desks have written down.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Cents, by order.
    pub(crate) ledger: BTreeMap<u32, u64>,
    /// Keys of files, by order.
    pub(crate) invoices: BTreeMap<u32, String>,
    pub(crate) desks: BTreeMap<&'static str, Desk>,
}

/// How far a desk is. Events are told apart by their ids.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) handled: BTreeSet<String>,
    /// Dead letters.
    pub(crate) given_up: BTreeSet<String>,
    /// Events that took more than one attempt.
    pub(crate) retried: u64,
}

/// Why a desk is not done with an event.
enum Trouble {
    /// It may go better next time.
    Later(String),
    /// It will not.
    Never(String),
}

impl From<stheno::Error> for Trouble {
    fn from(error: stheno::Error) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Later(error.to_string())
    }
}

/// What every desk has at hand; cheap to clone.
#[derive(Clone)]
pub(crate) struct Office {
    runtime: Runtime,
    day: Day,
    addresses: Arc<AddressBook>,
    books: Arc<watch::Sender<Books>>,
    meters: Arc<Meters>,
}

/// The desks at work.
pub(crate) struct Desks(Vec<Subscriber>);

impl Desks {
    /// Waits for the events that are being handled, and takes no more.
    pub(crate) async fn stop(self) {
        for desk in self.0 {
            desk.stop().await;
        }
    }
}

impl Office {
    pub(crate) fn new(runtime: &Runtime, day: Day, meters: Arc<Meters>) -> Self {
        let books = Arc::new(watch::channel(Books::default()).0);
        Self { runtime: runtime.clone(), day, addresses: Arc::default(), books, meters }
    }

    pub(crate) fn books(&self) -> watch::Ref<'_, Books> {
        // The sender has the value as well.
        self.books.borrow()
    }

    pub(crate) fn addresses(&self) -> &AddressBook {
        &self.addresses
    }

    /// Opens all desks.
    pub(crate) async fn open(&self) -> Result<Desks, Error> {
        Ok(Desks(vec![
            self.employ(ledger::ID, ledger::PATTERN, ledger::book).await?,
            self.employ(invoices::ID, invoices::PATTERN, invoices::write).await?,
            self.employ(mail::RECEIPTS, mail::RECEIPTS_PATTERN, mail::receipt).await?,
            self.employ(mail::REGRETS, mail::REGRETS_PATTERN, mail::regret).await?,
            self.employ(statistics::ID, statistics::PATTERN, statistics::count).await?,
        ]))
    }

    /// Has `work` done for each event of this day that matches.
    async fn employ<T, F>(
        &self,
        id: &'static str,
        pattern: &'static str,
        work: fn(Office, Event, T) -> F,
    ) -> Result<Subscriber, Error>
    where
        T: DeserializeOwned + Send + 'static,
        F: Future<Output = Result<(), Trouble>> + Send + 'static,
    {
        let office = self.clone();
        let handler = move |event: Event| {
            let office = office.clone();
            async move {
                let (event_id, attempt) = (event.id.clone(), event.attempt);
                let done = match event.json::<Dated<T>>() {
                    // Left over from a day that did not come to its end.
                    Ok(dated) if dated.day != office.day.as_str() => return Ok(()),
                    Ok(dated) => work(office.clone(), event, dated.body).await,
                    // It will not be another body the next time.
                    Err(error) => Err(Trouble::Never(error.to_string())),
                };
                office.note(id, event_id, attempt, &done);
                done.map_err(|trouble| match trouble {
                    Trouble::Later(reason) => Failure::retry(reason),
                    Trouble::Never(reason) => Failure::reject(reason),
                })
            }
        };
        self.runtime.events().subscribe(pattern, id, handler).await.map_err(doing("subscribing"))
    }

    fn note(&self, id: &'static str, event: String, attempt: u32, done: &Result<(), Trouble>) {
        self.books.send_modify(|books| {
            let desk = books.desks.entry(id).or_default();
            match done {
                Ok(()) => {
                    desk.given_up.remove(&event);
                    if desk.handled.insert(event) && attempt > 1 {
                        desk.retried += 1;
                    }
                }
                Err(Trouble::Never(_)) => {
                    desk.given_up.insert(event);
                }
                Err(Trouble::Later(_)) => {}
            }
        });
    }

    /// Waits until each desk has handled, or given up, what is due.
    pub(crate) async fn until_done(&self, due: Due, patience: Duration) -> Result<(), Error> {
        self.until(due, patience, |desk| desk.handled.len() + desk.given_up.len()).await
    }

    /// Waits until each desk has handled what is due.
    pub(crate) async fn until_handled(&self, due: Due, patience: Duration) -> Result<(), Error> {
        self.until(due, patience, |desk| desk.handled.len()).await
    }

    async fn until(
        &self,
        due: Due,
        patience: Duration,
        done: impl Fn(&Desk) -> usize,
    ) -> Result<(), Error> {
        let left = |books: &Books| {
            let left = DESKS.map(|(id, _)| {
                let done = books.desks.get(id).map_or(0, &done);
                (id, due.of(id).saturating_sub(done as u64))
            });
            left.into_iter().filter(|(_, left)| *left > 0).collect::<Vec<_>>()
        };
        let mut books = self.books.subscribe();
        // The sender is this office's, so the channel stays open.
        let done = books.wait_for(|books| left(books).is_empty());
        if tokio::time::timeout(patience, done).await.is_ok() {
            return Ok(());
        }
        let progress: Vec<_> =
            left(&self.books()).into_iter().map(|(id, left)| format!("{id} {left}")).collect();
        Err(Error::TooSlow { patience, progress: progress.join(", ") })
    }

    /// What the desks have given up.
    pub(crate) async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self.events().dead_letters(None, after.as_deref(), 1_000).await;
            let page = page.map_err(doing("listing dead letters"))?;
            let ours = |letter: &DeadLetter| {
                let body = letter.event.json::<Dated<serde_json::Value>>();
                body.is_ok_and(|dated| dated.day == self.day.as_str())
            };
            all.extend(page.items.into_iter().filter(ours));
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// How much is left in each subscription, of whatever day.
    pub(crate) async fn left(&self) -> Result<BTreeMap<String, u64>, Error> {
        let all = self.events().subscriptions().await.map_err(doing("listing subscriptions"))?;
        let left = |status: SubscriptionStatus| {
            (status.subscription.id, status.waiting + status.leased + status.dead)
        };
        Ok(all.into_iter().map(left).collect())
    }

    fn events(&self) -> &Events {
        self.runtime.events()
    }
}
