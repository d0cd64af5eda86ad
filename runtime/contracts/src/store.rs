//! What stands behind the handles of `stheno:store`.

/// A store that an instance has opened: its place among those that the `store`
/// capability keeps for the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Store(pub usize);
