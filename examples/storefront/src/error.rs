//! Why a day could not be brought to its end.

use std::time::Duration;

/// Why a day could not be brought to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A module refused or failed a call.
    #[error("{doing}: {error}")]
    Module {
        /// What the shop was about to do.
        doing: &'static str,
        /// What the module said.
        error: stheno::Error,
    },
    /// The run of an order ended as no order may.
    #[error(transparent)]
    Run(#[from] stheno::RunError),
    /// The desks did not handle all events in time.
    #[error("after {patience:?} there are still events to handle: {progress}")]
    TooSlow {
        /// How long the shop waited.
        patience: Duration,
        /// How far each desk got.
        progress: String,
    },
    /// A till stopped in the middle of its work.
    #[error("a till broke down: {0}")]
    Till(#[from] tokio::task::JoinError),
}

/// Says what was being done when a module failed.
pub(crate) fn doing(doing: &'static str) -> impl Fn(stheno::Error) -> Error {
    move |error| Error::Module { doing, error }
}
