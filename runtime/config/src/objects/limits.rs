//! How much a binding may do.

use std::time::Duration;

use crate::ByteSize;
use crate::bounded::bounded;

bounded! {
    /// How long the server may take for one request: until the head of its
    /// answer, and then for each next piece of a body. Who waits longer gets
    /// `timeout`.
    ObjectsTimeout(Duration), key "timeout", default Duration::from_secs(30),
    from Duration::from_millis(10), to Duration::from_secs(600)
}

bounded! {
    /// Requests that may begin in a second; each part of a body is one. Beyond
    /// it a call is `unavailable`, and nothing of it was sent.
    ObjectsOperations(u32), key "operations_per_second", default 10_000,
    from 1, to 1_000_000
}

bounded! {
    /// Requests under way at the same time, bodies that are being read among
    /// them. One more call is `unavailable` at once.
    ObjectsInFlight(u32), key "in_flight", default 256, from 1, to 100_000
}

bounded! {
    /// Bytes of an object that is stored. A larger body is `invalid-argument`.
    ///
    /// A body goes to the server in at most 10,000 parts, so beyond 48 GiB the
    /// parts that the host holds in memory grow with it.
    ObjectsMaxSize(ByteSize), key "max_object_size", default ByteSize::gib(16),
    from ByteSize::kib(1), to ByteSize::gib(5 * 1024)
}

bounded! {
    /// How long a link may be valid.
    ObjectsLinkExpiry(Duration), key "max_link_expiry", default Duration::from_secs(7 * 24 * 3600),
    from Duration::from_secs(1), to Duration::from_secs(7 * 24 * 3600)
}
