//! The bytes that the host holds on behalf of a provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stheno_contracts::Error;

/// A provider's account of host bytes: all its instances draw on it, and what
/// was drawn for a body comes back when that is gone.
#[derive(Clone)]
pub struct HostBytes {
    limit: u64,
    used: Arc<AtomicU64>,
}

impl HostBytes {
    /// An account of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, used: Arc::default() }
    }

    /// How many bytes are held now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// An account entry that holds nothing yet.
    pub(crate) fn hold(&self) -> Held {
        Held { account: self.clone(), bytes: 0 }
    }
}

/// Bytes drawn from a [`HostBytes`].
pub(crate) struct Held {
    account: HostBytes,
    bytes: u64,
}

impl Held {
    /// Draws `more` bytes, or none when the account would be overdrawn.
    pub(crate) fn grow(&mut self, more: u64) -> Result<(), Error> {
        let limit = self.account.limit;
        self.account
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more).filter(|used| *used <= limit)
            })
            .map_err(|used| {
                Error::Unavailable(format!(
                    "the provider's bodies hold {used} bytes of the host, {more} more would pass \
                     {limit}; finish some, or raise `limits.host_bytes`"
                ))
            })?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_never_overdrawn_and_gets_everything_back() {
        let account = HostBytes::new(10);
        let (mut first, mut second) = (account.hold(), account.hold());
        assert!(first.grow(6).is_ok());
        assert!(second.grow(5).is_err());
        assert!(second.grow(4).is_ok());
        assert_eq!(account.used(), 10);
        drop(first);
        assert_eq!(account.used(), 4);
        assert!(second.grow(u64::MAX).is_err());
        drop(second);
        assert_eq!(account.used(), 0);
    }
}
