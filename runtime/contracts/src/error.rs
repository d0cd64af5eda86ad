//! How host functions fail, and what all errors have in common.

use crate::Error;

/// Why a host function did not give its result.
#[derive(Debug)]
pub enum HostError {
    /// The guest gets this error as the function's result and goes on.
    Typed(Error),
    /// The guest broke a rule that no honest guest can break: its instance
    /// ends here.
    Trap(wasmtime::Error),
}

impl From<Error> for HostError {
    fn from(error: Error) -> Self {
        Self::Typed(error)
    }
}

impl From<wasmtime::component::ResourceTableError> for HostError {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl Error {
    /// The case, as the contract spells it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not-found",
            Self::Conflict(_) => "conflict",
            Self::InvalidArgument(_) => "invalid-argument",
            Self::Denied(_) => "denied",
            Self::Timeout(_) => "timeout",
            Self::Unavailable(_) => "unavailable",
            Self::LostLease(_) => "lost-lease",
            Self::Unsupported(_) => "unsupported",
            Self::Internal(_) => "internal",
        }
    }

    /// What the provider said.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::NotFound(text)
            | Self::Conflict(text)
            | Self::InvalidArgument(text)
            | Self::Denied(text)
            | Self::Timeout(text)
            | Self::Unavailable(text)
            | Self::LostLease(text)
            | Self::Unsupported(text)
            | Self::Internal(text) => text,
        }
    }

    /// The same case with another message.
    #[must_use]
    pub fn map_message(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::NotFound(text) => Self::NotFound(change(text)),
            Self::Conflict(text) => Self::Conflict(change(text)),
            Self::InvalidArgument(text) => Self::InvalidArgument(change(text)),
            Self::Denied(text) => Self::Denied(change(text)),
            Self::Timeout(text) => Self::Timeout(change(text)),
            Self::Unavailable(text) => Self::Unavailable(change(text)),
            Self::LostLease(text) => Self::LostLease(change(text)),
            Self::Unsupported(text) => Self::Unsupported(change(text)),
            Self::Internal(text) => Self::Internal(change(text)),
        }
    }

    /// Whether the same call may be made again as it is.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Unavailable(_))
    }
}
