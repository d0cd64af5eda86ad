//! A provider that cannot or will not take what was tracked.

use std::time::Duration;

use stheno::{ErrorKind, Identify};

use crate::{Subject, event};

// A3: the provider's error carries the event's name.
async fn a_flush_that_fails_names_the_event() {
    let subject = Subject::failing("fail = \"unavailable\", times = 2").await;
    subject.analytics.track(event("order.placed")).await.unwrap();
    subject.analytics.track(event("order.paid")).await.unwrap();
    let error = subject.analytics.flush().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let told = "default could not track \"order.placed\" and 1 more: as the options say";
    assert_eq!(error.message(), told);
    // They wait on, and the next flush that works takes them.
    assert_eq!(subject.analytics.status()[0].waiting, 2);
    assert!(subject.analytics.flush().await.is_err());
    subject.analytics.flush().await.unwrap();
    assert_eq!(subject.got(), ["order.placed", "order.paid"]);
}

async fn an_identity_that_fails_is_named_too() {
    let subject = Subject::failing("fail = \"invalid-argument\", times = 2").await;
    subject.analytics.identify(Identify::actor("ada")).await.unwrap();
    let error = subject.analytics.flush().await.unwrap_err();
    assert!(error.message().contains("could not identify \"ada\""), "{error}");
    subject.analytics.identify(Identify::group("company", "acme")).await.unwrap();
    let error = subject.analytics.flush().await.unwrap_err();
    assert!(error.message().contains("could not identify \"acme\""), "{error}");
}

async fn what_may_be_tried_again_is_with_growing_pauses() {
    let subject = Subject::failing("fail = \"unavailable\", times = 2").await;
    subject.analytics.track(event("a")).await.unwrap();
    // Each flush is a try: after the second one the pause is 200 ms.
    for _ in 0..2 {
        assert!(subject.analytics.flush().await.is_err());
    }
    subject.clock.advance(Duration::from_millis(199));
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(subject.analytics.status()[0].waiting, 1);
    subject.clock.advance(Duration::from_millis(1));
    subject.until_waiting(0).await;
    assert_eq!(subject.got(), ["a"]);
}

async fn one_that_is_refused_costs_no_other_of_its_batch() {
    let subject = Subject::failing("poison = \"bad\"").await;
    for name in ["a", "bad", "b", "bad", "c"] {
        subject.analytics.track(event(name)).await.unwrap();
    }
    let error = subject.analytics.flush().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.message().lines().count(), 2, "{error}");
    assert!(error.message().contains("could not track \"bad\""), "{error}");
    assert_eq!(subject.got(), ["a", "b", "c"]);
    let status = &subject.analytics.status()[0];
    assert_eq!((status.waiting, status.lost), (0, 2));
    // It was told once.
    subject.analytics.flush().await.unwrap();
}

async fn a_buffer_that_is_full_because_its_provider_fails_refuses_and_keeps_what_it_has() {
    let subject = Subject::failing("fail = \"unavailable\", times = 1000000").await;
    subject.analytics.track(event("first")).await.unwrap();
    assert!(subject.analytics.flush().await.is_err());
    let mut accepted = 1;
    let error = loop {
        match subject.analytics.track_all(vec![event("more"); 1_000]).await {
            Ok(()) => accepted += 1_000,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("buffer is full"), "{error}");
    let status = &subject.analytics.status()[0];
    assert_eq!((status.waiting, status.lost), (accepted, 0), "what is refused is not lost");
    assert!(accepted > 10_000, "{accepted}");
}

async fn what_is_larger_than_the_whole_buffer_is_refused_by_name() {
    let subject = Subject::start().await;
    let text = format!("{{\"a\":\"{}\"}}", "x".repeat(60_000));
    let large = event("a").properties(stheno::JsonObject::parse(&text).unwrap());
    let error = subject.analytics.track_all(vec![large; 1_000]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(subject.analytics.status()[0].waiting, 0);
}

properties! {
    a_flush_that_fails_names_the_event,
    an_identity_that_fails_is_named_too,
    what_may_be_tried_again_is_with_growing_pauses,
    one_that_is_refused_costs_no_other_of_its_batch,
    a_buffer_that_is_full_because_its_provider_fails_refuses_and_keeps_what_it_has,
    what_is_larger_than_the_whole_buffer_is_refused_by_name,
}
