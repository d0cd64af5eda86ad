//! Who is still let in while the runtime stops.
//!
//! A clean stop refuses what comes from outside, then has subscribers handle
//! what was accepted, and only then stops the provider. What a handler publishes
//! meanwhile follows from an accepted event, so it is let in until the last
//! handler has ended.

use tokio::sync::watch;

use crate::{Error, ErrorKind};

tokio::task_local! {
    static HANDLING: ();
}

/// Runs a handler, so that the door knows it.
pub(crate) async fn handling<F: Future>(handler: F) -> F::Output {
    HANDLING.scope((), handler).await
}

/// Open until it is closed for good.
pub(crate) struct Door {
    /// Whether it is closed. Whoever is inside holds a receiver.
    closed: watch::Sender<bool>,
}

/// Held by who is inside.
pub(crate) struct Inside(#[expect(dead_code, reason = "held")] Option<watch::Receiver<bool>>);

impl Door {
    pub(crate) fn new() -> Self {
        Self { closed: watch::channel(false).0 }
    }

    /// Goes in, or is told that the runtime stops.
    pub(crate) fn enter(&self) -> Result<Inside, Error> {
        // First in, then asked: whoever closes the door waits for those in it.
        let inside = self.closed.subscribe();
        if !*inside.borrow() {
            return Ok(Inside(Some(inside)));
        }
        HANDLING.try_with(|()| Inside(None)).map_err(|_| {
            Error::new(ErrorKind::Unavailable, "the runtime is stopping or has been stopped")
        })
    }

    /// Goes in to wait for something, which ends when this turns true.
    pub(crate) fn wait_inside(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// Lets nobody in any more, and waits until all have left.
    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        self.closed.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closing_door_waits_for_those_inside_and_lets_only_handlers_in() {
        let door = Door::new();
        let inside = door.enter();
        assert!(inside.is_ok());
        let mut closing = Box::pin(door.close());
        assert!(futures_util::poll!(&mut closing).is_pending());
        assert_eq!(door.enter().err().map(|error| error.kind()), Some(ErrorKind::Unavailable));
        assert!(handling(async { door.enter().is_ok() }).await);
        assert!(futures_util::poll!(&mut closing).is_pending());
        drop(inside);
        closing.await;
        assert!(door.enter().is_err());
    }
}
