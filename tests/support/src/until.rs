//! Waiting for what nobody tells of.

use std::time::{Duration, Instant};

/// So long it may take on a machine that has much else to do.
const NEVER: Duration = Duration::from_secs(30);

/// Asks again and again until it is so: for what other processes do by themselves, of
/// which no event comes. What can be waited for is not asked for.
///
/// # Panics
///
/// With `otherwise`, when it is not so for 30 seconds.
pub async fn until(otherwise: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < NEVER, "{otherwise}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
