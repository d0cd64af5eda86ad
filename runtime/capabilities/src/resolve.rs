//! Looking names up: the one home of it, for `wasi:sockets` and for `wasi:http`.
//!
//! The system looks a name up in a thread, and nothing takes that thread back
//! before the name server has answered or was given up, which can be half a
//! minute. Those threads are few and belong to everybody: stores, folders and
//! certificates are read in them too. So what counts is not how many lookups
//! somebody waits for but how many threads are at it. A provider has a few
//! places, a lookup takes one along into its thread, and the place is free when
//! the thread is, whether or not anybody still waits for the answer.
//!
//! Whoever finds no place waits for one, in order, and is refused after a while;
//! what waits costs a few bytes and goes when it is dropped.
//!
//! Does not belong here: which names may be looked up, and which addresses told.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// How many threads look names up for one provider.
const PLACES: usize = 8;
/// How long a lookup waits for one of them.
const PATIENCE: Duration = Duration::from_secs(5);

/// Knows names. It may block.
pub(crate) trait Names: Send + Sync {
    /// The addresses of a name.
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// As the system looks names up.
struct System;

impl Names for System {
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// Looks names up for one provider, all its instances together.
#[derive(Clone)]
pub struct Resolver {
    names: Arc<dyn Names>,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Resolver {
    /// One that asks the system.
    pub(crate) fn system() -> Self {
        Self::asking(Arc::new(System))
    }

    pub(crate) fn asking(names: Arc<dyn Names>) -> Self {
        Self { names, places: Arc::new(Semaphore::new(PLACES)), patience: PATIENCE }
    }

    /// The addresses of a name.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] if no place became free in time; else what the
    /// system says.
    pub(crate) async fn look_up(&self, name: String) -> io::Result<Vec<IpAddr>> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = tokio::time::timeout(self.patience, place)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, BUSY))?
            .map_err(io::Error::other)?;
        let names = Arc::clone(&self.names);
        let looking = tokio::task::spawn_blocking(move || {
            let found = names.addresses(&name);
            drop(place);
            found
        });
        looking.await.map_err(io::Error::other)?
    }
}

const BUSY: &str = "too many other names of the provider are being looked up";

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};
    use std::time::Instant;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// A name server that does not answer before it is told to.
    #[derive(Default)]
    pub(crate) struct Silent {
        asked: AtomicUsize,
        answers: Mutex<bool>,
        told: Condvar,
    }

    impl Silent {
        /// How many threads have asked it.
        pub(crate) fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        pub(crate) fn answer(&self) {
            *self.answers.lock().unwrap() = true;
            self.told.notify_all();
        }
    }

    impl Names for Silent {
        fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let answers = self.answers.lock().unwrap();
            drop(self.told.wait_while(answers, |answers| !*answers).unwrap());
            Ok(vec![HOME])
        }
    }

    /// Lets go of the threads also when the test fails, or it would not end.
    pub(crate) struct Released(pub(crate) Arc<Silent>);

    impl Drop for Released {
        fn drop(&mut self) {
            self.0.answer();
        }
    }

    /// Begins so many lookups and waits for none.
    async fn begin_and_drop(resolver: &Resolver, many: usize) {
        for _ in 0..many {
            let lookup = resolver.look_up("slow.example".into());
            let _ = tokio::time::timeout(Duration::ZERO, lookup).await;
        }
    }

    #[tokio::test]
    async fn lookups_that_nobody_waits_for_hold_their_places_and_no_more_threads_than_those() {
        let silent = Arc::new(Silent::default());
        let released = Released(Arc::clone(&silent));
        let mut resolver = Resolver::asking(Arc::clone(&silent) as Arc<dyn Names>);
        begin_and_drop(&resolver, 1_000).await;
        assert_eq!(resolver.places.available_permits(), 0);
        // What anybody else has done in a thread, and looks up, takes no longer.
        let begun = Instant::now();
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        let neighbour = Resolver::system().look_up("127.0.0.1".into()).await;
        assert_eq!(neighbour.unwrap(), [HOME]);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(silent.asked(), PLACES);
        // One more of this provider is refused, and not queued for ever.
        resolver.patience = Duration::from_millis(20);
        let refused = resolver.look_up("slow.example".into()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        drop(released);
        resolver.patience = PATIENCE;
        assert_eq!(resolver.look_up("slow.example".into()).await.unwrap(), [HOME]);
        assert_eq!(silent.asked(), PLACES + 1, "those that were dropped came to nothing");
    }

    #[tokio::test]
    async fn a_lookup_beyond_the_places_waits_for_one_and_is_then_made() {
        let silent = Arc::new(Silent::default());
        let _released = Released(Arc::clone(&silent));
        let resolver = Resolver::asking(Arc::clone(&silent) as Arc<dyn Names>);
        begin_and_drop(&resolver, PLACES).await;
        let waiting = tokio::spawn({
            let resolver = resolver.clone();
            async move { resolver.look_up("slow.example".into()).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        silent.answer();
        assert_eq!(waiting.await.unwrap().unwrap(), [HOME]);
    }
}
