//! What an app gets when a call fails.

use std::fmt;

use stheno_contracts::Error as Contract;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The cases of [`Error`]: those of the contract, and one of the typed API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing named does not exist.
    NotFound,
    /// The call contradicts what is stored.
    Conflict,
    /// An argument is wrong; the message names it. Nothing was changed.
    InvalidArgument,
    /// The operator did not grant what the call needs. Nothing was changed.
    Denied,
    /// It took too long. The work may or may not have been done.
    Timeout,
    /// The provider, or what stands behind it, cannot serve now.
    Unavailable,
    /// The caller no longer holds the lease that it acts on.
    LostLease,
    /// The provider leaves this feature out.
    Unsupported,
    /// A fault of the provider.
    Internal,
    /// A value does not fit its type, or cannot be written as JSON.
    Encoding,
}

impl ErrorKind {
    /// The case as the contract and the HTTP API spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::InvalidArgument => "invalid-argument",
            Self::Denied => "denied",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::LostLease => "lost-lease",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
            Self::Encoding => "encoding",
        }
    }
}

impl Error {
    /// An error of this kind.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// The case.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened, for a person.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same call may be made again as it is.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Timeout | ErrorKind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.message)
    }
}

impl std::error::Error for Error {}

impl From<Contract> for Error {
    fn from(error: Contract) -> Self {
        match error {
            Contract::NotFound(message) => Self::new(ErrorKind::NotFound, message),
            Contract::Conflict(message) => Self::new(ErrorKind::Conflict, message),
            Contract::InvalidArgument(message) => Self::new(ErrorKind::InvalidArgument, message),
            Contract::Denied(message) => Self::new(ErrorKind::Denied, message),
            Contract::Timeout(message) => Self::new(ErrorKind::Timeout, message),
            Contract::Unavailable(message) => Self::new(ErrorKind::Unavailable, message),
            Contract::LostLease(message) => Self::new(ErrorKind::LostLease, message),
            Contract::Unsupported(message) => Self::new(ErrorKind::Unsupported, message),
            Contract::Internal(message) => Self::new(ErrorKind::Internal, message),
        }
    }
}
