//! What the host gives to every provider: a log, a clock, and bodies as
//! handles. What reaches outside the process needs a grant: `folders`.

use crate::bindings::base::stheno::host as raw;

/// Bodies as handles; see the contract `stheno:host/streams`.
pub use raw::streams;

/// Granted folders as whole files and body handles; see the contract
/// `stheno:folders`. Its use needs `grants.folders`.
pub use crate::bindings::folders::stheno::folders::folders;

/// Structured logging. The host adds the provider's name, cuts lines beyond
/// 16 KiB and drops what is beyond the provider's rate.
pub mod log {
    use super::raw::log::{Level, write};

    /// For tracing one call; off unless the operator asks.
    pub fn trace(message: &str) {
        write(Level::Trace, message);
    }

    /// For whoever debugs the provider.
    pub fn debug(message: &str) {
        write(Level::Debug, message);
    }

    /// Something worth knowing happened.
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// Something is wrong, and the provider copes.
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }

    /// Something is wrong, and a caller felt it.
    pub fn error(message: &str) {
        write(Level::Error, message);
    }
}

/// Time. Take it from here and not from `std::time`: a host may run providers
/// on a clock of its own, as tests do. Each call crosses into the host
/// (some 50 ns), so read it once per call and pass it on.
pub mod clock {
    /// Milliseconds since 1970, for time stamps. May jump.
    #[must_use]
    pub fn unix_ms() -> u64 {
        super::raw::clock::unix_ms()
    }

    /// Milliseconds since some fixed moment, for durations. Never goes back.
    #[must_use]
    pub fn monotonic_ms() -> u64 {
        super::raw::clock::monotonic_ms()
    }
}
