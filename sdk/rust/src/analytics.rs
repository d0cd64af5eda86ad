//! The analytics module: implement [`Analytics`], then
//! [`export_analytics_provider!`](crate::export_analytics_provider).
//!
//! What each function guarantees is written in the contract,
//! `wit/deps/analytics/analytics.wit`; the short form is repeated here.

use crate::bindings::analytics::exports::stheno::analytics::analytics as wit;
use crate::provider::{Component, Hosted, Lifecycle, Result};

pub use wit::{Event, Group, Identity};

/// A provider of the analytics module. The host gathers the batches, keeps
/// them while this answers `unavailable`, and has checked names and sizes.
pub trait Analytics: Lifecycle {
    /// Accepts all of these events or none.
    ///
    /// # Errors
    ///
    /// `unavailable` or `timeout` to be given them again later; anything else
    /// gives them up.
    fn track(&mut self, events: Vec<Event>) -> Result<()>;

    /// Accepts all of these or none.
    ///
    /// # Errors
    ///
    /// As for [`Analytics::track`].
    fn identify(&mut self, identities: Vec<Identity>) -> Result<()>;

    /// Hands over all that was accepted.
    ///
    /// # Errors
    ///
    /// Whatever kept it from doing so.
    fn flush(&mut self) -> Result<()>;
}

impl<P: Analytics + Hosted> wit::Guest for Component<P> {
    fn track(events: Vec<Event>) -> Result<()> {
        P::call(|p| p.track(events))
    }

    fn identify(identities: Vec<Identity>) -> Result<()> {
        P::call(|p| p.identify(identities))
    }

    fn flush() -> Result<()> {
        P::call(P::flush)
    }
}

/// Makes the component export the analytics world, served by the given type,
/// which implements [`Lifecycle`](crate::Lifecycle) and [`Analytics`].
#[macro_export]
macro_rules! export_analytics_provider {
    ($provider:ty) => {
        $crate::export_lifecycle!($provider);
        const _: () = {
            type Exported = $crate::provider::Component<$provider>;
            $crate::bindings::analytics::export_analytics_part!(Exported with_types_in $crate::bindings::analytics);
        };
    };
}
