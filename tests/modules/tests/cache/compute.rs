//! `get_or_compute`: one computation per key, and what is set meanwhile wins.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stheno::ComputeError;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::Subject;

const CALLERS: u64 = 64;

type Computed = Result<String, ComputeError<String>>;

impl Subject {
    /// Asks for "k" and computes `value` if need be.
    async fn computed(&self, value: &str) -> Computed {
        let compute = || async { Ok(value.to_owned()) };
        self.cache.get_or_compute("k", None, &["t"], compute).await
    }

    async fn cached(&self) -> Option<String> {
        self.cache.get("k").await.unwrap()
    }
}

/// A computation of "k" that has begun and ends when it is told to.
struct UnderWay {
    end: oneshot::Sender<Result<String, String>>,
    caller: tokio::task::JoinHandle<Computed>,
}

impl UnderWay {
    async fn begin(subject: &Arc<Subject>) -> Self {
        let (begun, has_begun) = oneshot::channel();
        let (end, ends) = oneshot::channel();
        let subject = Arc::clone(subject);
        let caller = tokio::spawn(async move {
            let compute = || async {
                begun.send(()).unwrap();
                ends.await.unwrap()
            };
            subject.cache.get_or_compute("k", None, &["t"], compute).await
        });
        has_begun.await.unwrap();
        Self { end, caller }
    }

    async fn end_with(self, result: Result<&str, &str>) -> Computed {
        let result = result.map(str::to_owned).map_err(str::to_owned);
        self.end.send(result).unwrap();
        self.caller.await.unwrap()
    }
}

async fn a_value_is_computed_once_and_then_read(subject: Subject) {
    assert_eq!(subject.computed("first").await.unwrap(), "first");
    assert_eq!(subject.computed("second").await.unwrap(), "first");
    assert_eq!(subject.cached().await.as_deref(), Some("first"));
    assert_eq!(subject.tagged(&["t"]).await, ["k"]);
}

async fn callers_at_the_same_time_share_one_computation(subject: Subject) {
    let subject = Arc::new(subject);
    let computations = Arc::new(AtomicU64::new(0));
    let go = Arc::new(Notify::new());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (subject, computations, go) =
            (Arc::clone(&subject), Arc::clone(&computations), Arc::clone(&go));
        callers.spawn(async move {
            let key = format!("k{}", caller % 2);
            let compute = || async {
                computations.fetch_add(1, Ordering::SeqCst);
                go.notified().await;
                Ok::<_, Infallible>(key.clone())
            };
            let value: String =
                subject.cache.get_or_compute(&key, None, &[], compute).await.unwrap();
            assert_eq!(value, key);
        });
    }
    // Both keys are being computed when the first computation may end.
    while computations.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    go.notify_one();
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    assert_eq!(computations.load(Ordering::SeqCst), 2);
}

async fn a_failed_computation_is_its_callers_and_another_computes(subject: Subject) {
    let subject = Arc::new(subject);
    let failing = UnderWay::begin(&subject).await;
    let other = {
        let subject = Arc::clone(&subject);
        tokio::spawn(async move { subject.computed("second").await })
    };
    let failed = failing.end_with(Err("no luck")).await.unwrap_err();
    assert!(matches!(failed, ComputeError::Compute(reason) if reason == "no luck"));
    assert_eq!(other.await.unwrap().unwrap(), "second");
    assert_eq!(subject.cached().await.as_deref(), Some("second"));
}

async fn a_computation_that_panics_or_is_given_up_passes_on(subject: Subject) {
    let subject = Arc::new(subject);
    let given_up = UnderWay::begin(&subject).await;
    given_up.caller.abort();
    assert!(given_up.caller.await.unwrap_err().is_cancelled());
    let panicking = UnderWay::begin(&subject).await;
    drop(panicking.end);
    assert!(panicking.caller.await.unwrap_err().is_panic());
    assert_eq!(subject.cached().await, None);
    assert_eq!(subject.computed("second").await.unwrap(), "second");
}

async fn what_is_set_during_the_computation_wins(subject: Subject) {
    let subject = Arc::new(subject);
    let computing = UnderWay::begin(&subject).await;
    subject.cache.set("k", "set").await.unwrap();
    assert_eq!(computing.end_with(Ok("computed")).await.unwrap(), "computed");
    assert_eq!(subject.cached().await.as_deref(), Some("set"));
}

async fn what_is_removed_during_the_computation_stays_removed(subject: Subject) {
    let subject = Arc::new(subject);
    let ways = ["delete", "clear tags", "clear matching", "set many with no time to live"];
    for way in ways.into_iter().filter(|way| *way != "clear matching" || subject.matches()) {
        let computing = UnderWay::begin(&subject).await;
        match way {
            "delete" => subject.cache.delete(["k"]).await.unwrap(),
            "clear tags" => subject.cache.clear_tags(["t"]).await.unwrap(),
            "clear matching" => subject.cache.clear_matching("k*").await.unwrap(),
            _ => {
                let entry = stheno::NewEntry::new("k", "").ttl(Duration::ZERO);
                subject.cache.set_many([entry]).await.unwrap();
            }
        }
        assert_eq!(computing.end_with(Ok("old")).await.unwrap(), "old");
        assert_eq!(subject.cached().await, None, "{way}");
    }
}

async fn a_change_of_another_key_does_not_disturb_a_computation(subject: Subject) {
    let subject = Arc::new(subject);
    let computing = UnderWay::begin(&subject).await;
    subject.cache.set("other", "set").await.unwrap();
    subject.cache.delete(["another"]).await.unwrap();
    assert_eq!(computing.end_with(Ok("computed")).await.unwrap(), "computed");
    assert_eq!(subject.cached().await.as_deref(), Some("computed"));
}

async fn a_computed_value_lives_as_long_as_it_was_given(subject: Subject) {
    let ttl = Some(Duration::from_millis(10));
    let computations = AtomicU64::new(0);
    let ask = || {
        let compute =
            || async { Ok::<_, Infallible>(computations.fetch_add(1, Ordering::SeqCst) + 1) };
        subject.cache.get_or_compute("k", ttl, &[], compute)
    };
    assert_eq!(ask().await.unwrap(), 1);
    subject.pass_millis(9);
    assert_eq!(ask().await.unwrap(), 1);
    subject.pass_millis(1);
    assert_eq!(ask().await.unwrap(), 2);
}

async fn nothing_is_computed_for_wrong_arguments(subject: Subject) {
    let long = "k".repeat(stheno::MAX_KEY_BYTES + 1);
    for (key, tag) in [("", "t"), (long.as_str(), "t"), ("k", ""), ("k", long.as_str())] {
        let compute = || async {
            unreachable!("it was computed");
            #[expect(unreachable_code, reason = "names the type")]
            Ok::<u64, Infallible>(1)
        };
        let error = subject.cache.get_or_compute(key, None, &[tag], compute).await.unwrap_err();
        let ComputeError::Cache(error) = error;
        assert_eq!(error.kind(), stheno::ErrorKind::InvalidArgument);
    }
}

async fn a_cache_that_cannot_serve_costs_the_computation_and_nothing_else(subject: Subject) {
    subject.runtime.shutdown().await.unwrap();
    assert_eq!(subject.computed("computed").await.unwrap(), "computed");
    assert_eq!(subject.computed("again").await.unwrap(), "again");
}

for_every_provider! {
    a_value_is_computed_once_and_then_read,
    callers_at_the_same_time_share_one_computation,
    a_failed_computation_is_its_callers_and_another_computes,
    a_computation_that_panics_or_is_given_up_passes_on,
    what_is_set_during_the_computation_wins,
    what_is_removed_during_the_computation_stays_removed,
    a_change_of_another_key_does_not_disturb_a_computation,
    a_computed_value_lives_as_long_as_it_was_given,
    nothing_is_computed_for_wrong_arguments,
    a_cache_that_cannot_serve_costs_the_computation_and_nothing_else,
}
