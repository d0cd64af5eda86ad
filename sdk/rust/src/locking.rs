//! The locking module: implement [`Locking`], then
//! [`export_locking_provider!`](crate::export_locking_provider).
//!
//! What each function guarantees is written in the contract,
//! `wit/deps/locking/locking.wit`; the short form is repeated here.

use crate::bindings::locking::exports::stheno::locking::locking as wit;
use crate::provider::{Component, Hosted, Lifecycle, Result};

pub use wit::{
    Answer, Exchanged, Extension, Freed, Grant, Lock, LockPage, Polled, Queued, Request, Turn,
};

/// A provider of the locking module: a state machine that answers at once. Who
/// cannot have its keys yet gets a ticket.
pub trait Locking: Lifecycle {
    /// Ends leases, then serves the requests one after the other, an answer for each.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn exchange(&mut self, tokens: Vec<String>, requests: Vec<Request>) -> Result<Exchanged>;

    /// Says what became of tickets, and when it is worth asking again.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn poll(&mut self, tickets: Vec<String>, wait_ms: u64) -> Result<Polled>;

    /// Takes tickets out of the queue and gives those that were granted by it.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn abandon(&mut self, tickets: Vec<String>) -> Result<Vec<String>>;

    /// Sets times to live and gives the tokens of the leases that were lost.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn extend(&mut self, extensions: Vec<Extension>) -> Result<Vec<String>>;

    /// Frees those of the keys that this owner holds.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn release_keys(&mut self, keys: Vec<String>, owner: Option<String>) -> Result<Freed>;

    /// Frees all keys that this owner holds.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn release_all(&mut self, owner: Option<String>) -> Result<Freed>;

    /// Who has these keys, in their order.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn inspect(&mut self, keys: Vec<String>) -> Result<Vec<Option<Lock>>>;

    /// The keys that are held, ordered by their bytes.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn held(&mut self, owner: Option<String>, after: Option<String>, max: u32) -> Result<LockPage>;

    /// Takes note of the largest fence that the host has seen.
    ///
    /// # Errors
    ///
    /// `unavailable` if the backend cannot be reached.
    fn resume(&mut self, fence: u64) -> Result<()>;
}

impl<P: Locking + Hosted> wit::Guest for Component<P> {
    fn exchange(tokens: Vec<String>, requests: Vec<Request>) -> Result<Exchanged> {
        P::call(|p| p.exchange(tokens, requests))
    }

    fn poll(tickets: Vec<String>, wait_ms: u64) -> Result<Polled> {
        P::call(|p| p.poll(tickets, wait_ms))
    }

    fn abandon(tickets: Vec<String>) -> Result<Vec<String>> {
        P::call(|p| p.abandon(tickets))
    }

    fn extend(extensions: Vec<Extension>) -> Result<Vec<String>> {
        P::call(|p| p.extend(extensions))
    }

    fn release_keys(keys: Vec<String>, owner: Option<String>) -> Result<Freed> {
        P::call(|p| p.release_keys(keys, owner))
    }

    fn release_all(owner: Option<String>) -> Result<Freed> {
        P::call(|p| p.release_all(owner))
    }

    fn inspect(keys: Vec<String>) -> Result<Vec<Option<Lock>>> {
        P::call(|p| p.inspect(keys))
    }

    fn held(owner: Option<String>, after: Option<String>, max: u32) -> Result<LockPage> {
        P::call(|p| p.held(owner, after, max))
    }

    fn resume(fence: u64) -> Result<()> {
        P::call(|p| p.resume(fence))
    }
}

/// Makes the component export the locking world, served by the given type,
/// which implements [`Lifecycle`](crate::Lifecycle) and [`Locking`].
#[macro_export]
macro_rules! export_locking_provider {
    ($provider:ty) => {
        $crate::export_lifecycle!($provider);
        const _: () = {
            type Exported = $crate::provider::Component<$provider>;
            $crate::bindings::locking::export_locking_part!(Exported with_types_in $crate::bindings::locking);
        };
    };
}
