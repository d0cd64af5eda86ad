//! One computation per key.
//!
//! A flight is what callers who miss the same key share. The first of them
//! computes while the others wait for their turn; a turn that finds a result
//! takes it. A flight with a result is no longer the key's flight: who misses
//! the key after that (it was cleared) begins a new one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// The flights of one cache.
#[derive(Default)]
pub(super) struct Flights {
    open: Mutex<HashMap<String, Arc<Flight>>>,
    /// The size of `open`, so that a `set` with no flight anywhere does not
    /// take the lock.
    count: AtomicUsize,
}

#[derive(Default)]
struct Flight {
    turn: tokio::sync::Mutex<()>,
    result: OnceCell<Vec<u8>>,
    /// Whether somebody changed the key meanwhile, so that the result is not to
    /// be stored. Held while it is being stored: a change waits for that and so
    /// comes after it.
    superseded: Arc<tokio::sync::Mutex<bool>>,
}

impl Flights {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Flight>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the key's flight, or begins one.
    pub(super) fn join<'a>(&'a self, key: &'a str) -> Seat<'a> {
        let mut open = self.lock();
        let flight = Arc::clone(open.entry(key.to_owned()).or_default());
        self.count.store(open.len(), Ordering::SeqCst);
        Seat { flights: self, key, flight }
    }

    /// The keys are about to be changed: what is being computed for them is
    /// old.
    pub(super) async fn supersede<'k>(&self, keys: impl Iterator<Item = &'k str>) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let flights: Vec<_> = {
            let open = self.lock();
            keys.filter_map(|key| open.get(key).cloned()).collect()
        };
        for flight in flights {
            *flight.superseded.lock().await = true;
        }
    }

    /// Any key may be about to be changed.
    pub(super) async fn supersede_all(&self) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let flights: Vec<_> = self.lock().values().cloned().collect();
        for flight in flights {
            *flight.superseded.lock().await = true;
        }
    }

    /// Closes the flight: nobody joins it any more.
    fn close(&self, key: &str, flight: &Arc<Flight>, only_if_last: bool) {
        let mut open = self.lock();
        // The map and this caller hold one each.
        if open.get(key).is_some_and(|open| Arc::ptr_eq(open, flight))
            && (!only_if_last || Arc::strong_count(flight) <= 2)
        {
            open.remove(key);
            self.count.store(open.len(), Ordering::SeqCst);
        }
    }
}

/// A caller on a flight.
pub(super) struct Seat<'a> {
    flights: &'a Flights,
    key: &'a str,
    flight: Arc<Flight>,
}

impl Seat<'_> {
    /// Waits for a result or for the turn to compute.
    pub(super) async fn wait(&self) -> Turn<'_> {
        let guard = self.flight.turn.lock().await;
        Turn { seat: self, _guard: guard }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.flights.close(self.key, &self.flight, true);
    }
}

/// A caller whose turn it is.
pub(super) struct Turn<'a> {
    seat: &'a Seat<'a>,
    _guard: tokio::sync::MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// What an earlier caller computed.
    pub(super) fn result(&self) -> Option<Vec<u8>> {
        self.seat.flight.result.get().cloned()
    }

    /// Runs `store`, unless somebody changed the key since the flight began. It is
    /// carried to its end, as a call that has begun is, although this caller goes
    /// away: else a change would not wait for it, and be overwritten.
    pub(super) async fn store(&self, store: impl Future<Output = ()> + Send + 'static) {
        let superseded = Arc::clone(&self.seat.flight.superseded).lock_owned().await;
        if *superseded {
            return;
        }
        let storing = tokio::spawn(async move {
            store.await;
            drop(superseded);
        });
        // A panic in it would have been told already.
        let _ = storing.await;
    }

    /// Gives the result to those who wait.
    pub(super) fn finish(self, bytes: Vec<u8>) {
        let Seat { flights, key, flight } = self.seat;
        flights.close(key, flight, false);
        // Only one turn at a time computes, and it found no result.
        let _ = flight.result.set(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waited_gets_the_result_and_who_comes_later_does_not() {
        let flights = Flights::default();
        let (first, second) = (flights.join("k"), flights.join("k"));
        let turn = first.wait().await;
        assert_eq!(turn.result(), None);
        turn.finish(b"v".to_vec());
        assert_eq!(second.wait().await.result(), Some(b"v".to_vec()));
        assert_eq!(flights.join("k").wait().await.result(), None);
    }

    #[tokio::test]
    async fn a_failed_computation_passes_the_turn_on() {
        let flights = Flights::default();
        let (first, second) = (flights.join("k"), flights.join("k"));
        drop(first.wait().await);
        drop(first);
        assert_eq!(second.wait().await.result(), None);
        assert!(flights.join("k").flight.result.get().is_none());
    }

    async fn is_stored(seat: &Seat<'_>) -> bool {
        let stored = Arc::new(Mutex::new(false));
        let store = Arc::clone(&stored);
        seat.wait().await.store(async move { *store.lock().unwrap() = true }).await;
        *stored.lock().unwrap()
    }

    #[tokio::test]
    async fn a_change_during_the_flight_keeps_the_result_from_being_stored() {
        let flights = Flights::default();
        let (one, other) = (flights.join("one"), flights.join("other"));
        flights.supersede(["one"].into_iter()).await;
        assert!(!is_stored(&one).await);
        assert!(is_stored(&other).await);
        flights.supersede_all().await;
        assert!(!is_stored(&other).await);
    }

    #[tokio::test]
    async fn a_change_waits_for_a_result_that_is_being_stored() {
        let flights = Flights::default();
        let seat = flights.join("k");
        let turn = seat.wait().await;
        let (go, wait_go) = tokio::sync::oneshot::channel::<()>();
        let order = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&order);
        let mut store = Box::pin(turn.store(async move {
            wait_go.await.unwrap();
            noted.lock().unwrap().push("stored");
        }));
        assert!(futures_util::poll!(&mut store).is_pending());
        // Also where who stores goes away.
        drop(store);
        let mut change = Box::pin(flights.supersede(["k"].into_iter()));
        assert!(futures_util::poll!(&mut change).is_pending());
        go.send(()).unwrap();
        change.await;
        order.lock().unwrap().push("changed");
        assert_eq!(*order.lock().unwrap(), ["stored", "changed"]);
    }

    #[tokio::test]
    async fn flights_that_ended_leave_nothing_behind() {
        let flights = Flights::default();
        {
            let seats = [flights.join("a"), flights.join("a"), flights.join("b")];
            seats[0].wait().await.finish(Vec::new());
        }
        assert!(flights.lock().is_empty());
        assert_eq!(flights.count.load(Ordering::SeqCst), 0);
    }
}
