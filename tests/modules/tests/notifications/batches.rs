//! Many at once: one that fails costs no other.

use stheno::{Error, ErrorKind, NewNotification};

use crate::{Subject, mail};

const SOME_FAIL: &str = r#"
[[modules.notifications.providers]]
id = "mail"
resolve = "LOCAL"
channels = ["email"]

[[modules.notifications.providers]]
id = "broken"
resolve = "FAILING"
channels = ["sms"]
options = { fail = "KIND", times = 1000 }
"#;

fn over(channel: &str, to: &str) -> NewNotification {
    NewNotification { channel: channel.to_owned(), ..mail(to) }
}

// N6: the others are sent, and one error has all texts.
async fn the_others_are_sent_when_one_fails_and_one_error_has_all_texts() {
    let subject = Subject::with(&SOME_FAIL.replace("KIND", "denied")).await.unwrap();
    let batch = vec![mail("a"), over("fax", "b"), mail("c"), over("sms", "d")];
    let error = subject.notifications.send_all(batch).await.unwrap_err();
    let worked: Vec<_> = error.outcomes().iter().map(Result::is_ok).collect();
    assert_eq!(worked, [true, false, true, false]);
    let outbox = subject.outbox("mail").await;
    let mut to: Vec<_> = outbox.iter().map(|kept| kept.message.to.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["a", "c"]);
    let text = error.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("\"fax\"") && lines[1].contains("broken: as the options say"));
    // Each failure is a record of its own, and no success is among them.
    let records = subject.records().await;
    assert_eq!(records.len(), 4);
    for record in records {
        let failed = ["b", "d"].contains(&record.to.as_str());
        assert_eq!(record.error.is_some(), failed);
        assert_eq!(record.status.as_str(), if failed { "failure" } else { "success" });
        if let Some(error) = &record.error {
            assert!(lines.contains(&error.as_str()), "{error}");
        }
    }
}

async fn an_error_is_retryable_only_where_nothing_would_be_sent_twice() {
    let subject = Subject::with(&SOME_FAIL.replace("KIND", "unavailable")).await.unwrap();
    let sent = async |batch| Error::from(subject.notifications.send_all(batch).await.unwrap_err());
    let with_keys = vec![mail("a").key("a"), over("sms", "b").key("b")];
    assert_eq!(sent(with_keys).await.kind(), ErrorKind::Unavailable);
    assert_eq!(sent(vec![over("sms", "b")]).await.kind(), ErrorKind::Unavailable);
    let without = vec![mail("a"), over("sms", "b")];
    assert_eq!(sent(without).await.kind(), ErrorKind::Internal);
    let for_good = vec![over("sms", "b").key("c"), over("fax", "b")];
    assert_eq!(sent(for_good).await.kind(), ErrorKind::NotFound);
}

async fn a_batch_of_a_thousand_comes_back_in_its_order() {
    let subject = Subject::start().await;
    let batch = (0..1_000).map(|n| mail(&n.to_string())).collect();
    let sent = subject.notifications.send_all(batch).await.unwrap();
    for (n, record) in sent.iter().enumerate() {
        assert_eq!(record.to, n.to_string());
    }
    assert_eq!(subject.outbox("default").await.len(), 1_000);
}

async fn one_that_is_out_of_bounds_stops_the_batch_before_anything_is_sent() {
    let subject = Subject::start().await;
    let batch = vec![mail("a"), mail("")];
    let error = subject.notifications.send_all(batch).await.unwrap_err();
    assert_eq!(error.to_string(), "notifications[1]: to is empty");
    assert_eq!(Error::from(error).kind(), ErrorKind::InvalidArgument);
    let many = vec![mail("a"); 1_001];
    let error = Error::from(subject.notifications.send_all(many).await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(subject.records().await.is_empty());
    assert!(subject.outbox("default").await.is_empty());
}

async fn an_empty_batch_is_nothing() {
    let subject = Subject::start().await;
    assert_eq!(subject.notifications.send_all(vec![]).await, Ok(vec![]));
}

properties! {
    the_others_are_sent_when_one_fails_and_one_error_has_all_texts,
    an_error_is_retryable_only_where_nothing_would_be_sent_twice,
    a_batch_of_a_thousand_comes_back_in_its_order,
    one_that_is_out_of_bounds_stops_the_batch_before_anything_is_sent,
    an_empty_batch_is_nothing,
}
