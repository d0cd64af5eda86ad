//! What `max_bytes` counts.

use std::cell::Cell;
use std::rc::Rc;

/// Bytes in use, shared by everything that uses some.
pub(super) type Usage = Rc<Cell<u64>>;

/// A share of the usage; given back when dropped, so that no way out can forget
/// it.
pub(super) struct Charge {
    bytes: u64,
    usage: Usage,
}

impl Charge {
    pub(super) fn new(bytes: u64, usage: &Usage) -> Self {
        usage.set(usage.get().saturating_add(bytes));
        Self { bytes, usage: Rc::clone(usage) }
    }

    /// So many bytes more.
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.usage.set(self.usage.get().saturating_add(bytes as u64));
    }

    /// So many bytes less.
    pub(super) fn sub(&mut self, bytes: usize) {
        let less = self.bytes.min(bytes as u64);
        self.bytes -= less;
        self.usage.set(self.usage.get().saturating_sub(less));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.usage.set(self.usage.get().saturating_sub(self.bytes));
    }
}
