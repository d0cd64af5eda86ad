//! The notifications module: implement [`Notifications`], then
//! [`export_notifications_provider!`](crate::export_notifications_provider).
//!
//! What each function guarantees is written in the contract,
//! `wit/deps/notifications/notifications.wit`; the short form is repeated here.

use crate::bindings::notifications::exports::stheno::notifications::notifications as wit;
use crate::provider::{Component, Error, Hosted, Lifecycle, Result};

pub use wit::{
    Attachment, Content, Disposition, Kept, KeptAttachment, Message, OutboxPage, Receipt,
};

/// A provider of the notifications module. The host has checked sizes and
/// addresses for control characters before a call comes here; routing,
/// idempotency and records are its business too.
pub trait Notifications: Lifecycle {
    /// Hands the message over. The host takes a receipt for success.
    ///
    /// # Errors
    ///
    /// `unavailable` if it was not handed over and another provider may try;
    /// `timeout` if nobody knows; anything else is final.
    fn send(&mut self, message: Message) -> Result<Receipt>;

    /// What went out, the oldest first.
    ///
    /// # Errors
    ///
    /// `unsupported` without the feature `outbox`, which is what this does
    /// unless it is written.
    fn outbox(&mut self, after: Option<String>, max: u32) -> Result<OutboxPage> {
        let _ = (after, max);
        Err(Error::Unsupported("this provider keeps no outbox".to_owned()))
    }
}

impl<P: Notifications + Hosted> wit::Guest for Component<P> {
    fn send(message: Message) -> Result<Receipt> {
        P::call(|p| p.send(message))
    }

    fn outbox(after: Option<String>, max: u32) -> Result<OutboxPage> {
        P::call(|p| p.outbox(after, max))
    }
}

/// Makes the component export the notifications world, served by the given
/// type, which implements [`Lifecycle`](crate::Lifecycle) and [`Notifications`].
#[macro_export]
macro_rules! export_notifications_provider {
    ($provider:ty) => {
        $crate::export_lifecycle!($provider);
        const _: () = {
            type Exported = $crate::provider::Component<$provider>;
            $crate::bindings::notifications::export_notifications_part!(Exported with_types_in $crate::bindings::notifications);
        };
    };
}
