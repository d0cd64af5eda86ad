//! One idempotency key sends once, and a failed one can be sent again.

use futures_util::future::join_all;
use stheno::{ErrorKind, NewNotification, NotificationStatus};

use crate::{Subject, mail};

// N4: no second send.
async fn a_key_sends_once_and_gives_the_first_record() {
    let subject = Subject::start().await;
    let first = subject.notifications.send(mail("a").key("k")).await.unwrap();
    let other = NewNotification { template: Some("other".into()), ..mail("a").key("k") };
    let second = subject.notifications.send(other).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(subject.outbox("default").await.len(), 1);
    assert_eq!(subject.records().await.len(), 1);
}

async fn without_a_key_each_is_sent() {
    let subject = Subject::start().await;
    for _ in 0..3 {
        subject.notifications.send(mail("a")).await.unwrap();
    }
    assert_eq!(subject.outbox("default").await.len(), 3);
}

// N4: among callers at the same moment.
async fn sixty_four_callers_with_one_key_send_once() {
    let subject = Subject::start().await;
    let callers = (0..64).map(|_| {
        let notifications = subject.notifications.clone();
        tokio::spawn(async move { notifications.send(mail("a").key("k")).await.unwrap() })
    });
    let records = join_all(callers).await;
    let first = records[0].as_ref().unwrap();
    for record in &records {
        assert_eq!(record.as_ref().unwrap(), first);
    }
    assert_eq!(subject.outbox("default").await.len(), 1);
}

async fn sixty_four_callers_with_keys_of_their_own_all_send() {
    let subject = Subject::start().await;
    let callers = (0..64).map(|n| {
        let notifications = subject.notifications.clone();
        tokio::spawn(async move {
            for round in 0..10 {
                let new = mail(&format!("{n}")).key(format!("{n}.{round}"));
                notifications.send(new).await.unwrap();
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    assert_eq!(subject.outbox("default").await.len(), 640);
}

// N5: a failed key can be retried and ends in success.
async fn a_failed_key_is_sent_again_in_the_same_record() {
    for kind in ["unavailable", "timeout", "invalid-argument", "denied"] {
        let config = format!(
            "[modules.notifications]\nresolve = \"FAILING\"\n\
             options = {{ fail = \"{kind}\", times = 2 }}\n"
        );
        let subject = Subject::with(&config).await.unwrap();
        for attempts in 1..=2 {
            subject.notifications.send(mail("a").key("k")).await.unwrap_err();
            let record = &subject.records().await[0];
            assert_eq!(record.status, NotificationStatus::Failure, "{kind}");
            assert_eq!(record.attempts, attempts);
            subject.clock.advance(std::time::Duration::from_secs(5));
        }
        let failed = subject.records().await.remove(0);
        let sent = subject.notifications.send(mail("a").key("k")).await.unwrap();
        assert_eq!((sent.status, sent.attempts), (NotificationStatus::Success, 3));
        assert_eq!((sent.error, &sent.id), (None, &failed.id));
        assert_eq!(sent.created, failed.created);
        assert!(sent.updated > failed.updated);
        assert_eq!(subject.records().await.len(), 1);
        assert_eq!(subject.outbox("default").await.len(), 1);
        // From now on it is sent.
        subject.notifications.send(mail("a").key("k")).await.unwrap();
        assert_eq!(subject.outbox("default").await.len(), 1);
    }
}

// N5: duplicates in one batch are sent once.
async fn one_key_in_a_batch_sends_once() {
    let subject = Subject::start().await;
    let batch = vec![mail("a").key("k"), mail("b"), mail("a").key("k"), mail("a").key("k")];
    let sent = subject.notifications.send_all(batch).await.unwrap();
    assert_eq!(sent.len(), 4);
    assert_eq!((&sent[0], &sent[0]), (&sent[2], &sent[3]));
    assert_eq!(sent[1].to, "b");
    assert_eq!(subject.outbox("default").await.len(), 2);
}

async fn one_key_in_a_batch_that_fails_fails_once() {
    let config = "[modules.notifications]\nresolve = \"FAILING\"\n\
                  options = { fail = \"unavailable\", times = 1 }\n";
    let subject = Subject::with(config).await.unwrap();
    let batch = vec![mail("a").key("k"); 3];
    let error = subject.notifications.send_all(batch).await.unwrap_err();
    assert!(error.outcomes().iter().all(Result::is_err));
    assert_eq!(subject.records().await[0].attempts, 1);
    assert!(subject.outbox("default").await.is_empty());
}

async fn a_key_stands_for_one_recipient_on_one_channel() {
    let subject = Subject::start().await;
    subject.notifications.send(mail("a").key("k")).await.unwrap();
    for other in [mail("b"), NewNotification { channel: "sms".into(), ..mail("a") }] {
        let error = subject.notifications.send(other.clone().key("k")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.message().contains("idempotency_key"), "{error}");
        let batch = vec![mail("a").key("new"), other.key("new")];
        let error = subject.notifications.send_all(batch).await.unwrap_err();
        assert_eq!(stheno::Error::from(error).kind(), ErrorKind::Conflict);
    }
    assert_eq!(subject.outbox("default").await.len(), 1);
    assert_eq!(subject.records().await.len(), 1);
}

properties! {
    a_key_sends_once_and_gives_the_first_record,
    without_a_key_each_is_sent,
    sixty_four_callers_with_one_key_send_once,
    sixty_four_callers_with_keys_of_their_own_all_send,
    a_failed_key_is_sent_again_in_the_same_record,
    one_key_in_a_batch_sends_once,
    one_key_in_a_batch_that_fails_fails_once,
    a_key_stands_for_one_recipient_on_one_channel,
}
