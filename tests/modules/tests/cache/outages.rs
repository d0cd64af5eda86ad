//! What a cache does whose server is gone, whichever server that is.

use std::time::{Duration, Instant};

use stheno::{Cache, ErrorKind};
use stheno_test_support::until;
use tokio::task::JoinSet;

/// How long a server may take to answer.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(300);

/// Whether an error says that the server is not there.
pub(crate) fn is_of_a_server(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout)
}

pub(crate) async fn works(cache: &Cache) -> bool {
    cache.set_bytes("k", "v").tags(["t"]).await.is_ok()
        && cache.get_bytes("k").await.unwrap() == Some(b"v".into())
}

pub(crate) async fn works_again(cache: &Cache) {
    until("it does not recover by itself", async || works(cache).await).await;
}

/// Reads are misses and writes are errors, for many callers within so much time.
pub(crate) async fn is_without_a_server(cache: &Cache, within: Duration) {
    let mut callers = JoinSet::new();
    let begun = Instant::now();
    for caller in 0..32 {
        let cache = cache.clone();
        callers.spawn(async move {
            if caller % 2 == 0 {
                assert_eq!(cache.get_bytes("k").await.unwrap(), None);
                assert!(cache.get_by_tags(["t"]).await.unwrap().is_empty());
            } else {
                let kind = cache.set_bytes("k", "v").tags(["t"]).await.unwrap_err().kind();
                assert!(is_of_a_server(kind), "{kind:?}");
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    // Who comes while others wait for the server waits for them first.
    assert!(begun.elapsed() < within, "{:?}", begun.elapsed());
    for error in
        [cache.delete(["k"]).await.unwrap_err(), cache.clear_tags(["t"]).await.unwrap_err()]
    {
        assert!(is_of_a_server(error.kind()), "{error}");
    }
}
