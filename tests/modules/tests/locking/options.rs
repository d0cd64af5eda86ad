//! What an operator may set, and which provider serves.

use std::time::Duration;

use serde_json::json;
use stheno::config::ModuleName;
use stheno::{ErrorKind, Runtime};

use crate::{LOCKING_LOCAL, Subject, assert_kind, local};

async fn an_option_that_is_unknown_is_refused_by_name(subject: Subject) {
    let with = Subject::with_options(subject.provider, json!({"max_kyes": 1})).await;
    let error = with.err().unwrap().to_string();
    assert!(error.contains("max_kyes"), "{error}");
}

for_every_provider! { an_option_that_is_unknown_is_refused_by_name }

// L10
#[tokio::test]
async fn without_a_config_the_local_provider_serves() {
    let runtime = Runtime::builder().config(local()).build().await.unwrap();
    let status = runtime.status().await;
    let locking = status.iter().find(|status| status.module == ModuleName::Locking).unwrap();
    assert_eq!(locking.provider, LOCKING_LOCAL.name);
    assert!(locking.health.is_ok());
    runtime.locking().acquire(["a"]).await.unwrap().release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_table_is_an_error_until_there_is_room() {
    let options = json!({"max_keys": 3, "max_waiting": 1});
    let subject = Subject::with_options(&LOCKING_LOCAL, options).await.unwrap();
    let (two, one) = (subject.lock(&["a", "b"]).await, subject.lock(&["c"]).await);
    assert_kind(subject.locking.acquire(["d"]).await, ErrorKind::Unavailable);
    let waits = subject.queue(&["c"]).await;
    assert_kind(subject.locking.acquire(["c"]).await, ErrorKind::Unavailable);
    let limited = subject.locking.acquire(["c"]).wait(Duration::from_secs(1));
    assert_kind(limited.await, ErrorKind::Unavailable);
    two.release().await.unwrap();
    subject.lock(&["d"]).await.release().await.unwrap();
    one.release().await.unwrap();
    waits.await.unwrap().unwrap().release().await.unwrap();
}
