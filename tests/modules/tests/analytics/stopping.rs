//! Nothing accepted is lost by a clean stop.

use stheno::ErrorKind;

use crate::{Subject, event};

// A4: shutdown flushes what is buffered.
async fn a_stop_hands_over_what_is_buffered() {
    let subject = Subject::start().await;
    for n in 0..100 {
        subject.analytics.track(event(n.to_string())).await.unwrap();
    }
    assert!(subject.lines().is_empty());
    subject.runtime.shutdown().await.unwrap();
    assert_eq!(subject.lines().len(), 100);
}

async fn a_stop_tries_again_what_fails_meanwhile() {
    let subject = Subject::failing("fail = \"unavailable\", times = 2").await;
    subject.analytics.track(event("a")).await.unwrap();
    subject.runtime.shutdown().await.unwrap();
    assert_eq!(subject.got(), ["a"]);
}

async fn after_a_stop_nothing_is_accepted() {
    let subject = Subject::start().await;
    subject.runtime.shutdown().await.unwrap();
    let error = subject.analytics.track(event("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    subject.analytics.flush().await.unwrap();
    assert!(subject.lines().is_empty());
}

async fn what_64_callers_were_told_is_accepted_is_there_after_a_stop_among_them() {
    let subject = Subject::start().await;
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let analytics = subject.analytics.clone();
            tokio::spawn(async move {
                let mut accepted = 0;
                while analytics.track(event("a")).await.is_ok() {
                    accepted += 1;
                    tokio::task::yield_now().await;
                }
                accepted
            })
        })
        .collect();
    tokio::task::yield_now().await;
    subject.runtime.shutdown().await.unwrap();
    let mut accepted = 0;
    for caller in callers {
        accepted += caller.await.unwrap();
    }
    assert_eq!(subject.lines().len(), accepted);
}

properties! {
    a_stop_hands_over_what_is_buffered,
    a_stop_tries_again_what_fails_meanwhile,
    after_a_stop_nothing_is_accepted,
    what_64_callers_were_told_is_accepted_is_there_after_a_stop_among_them,
}
