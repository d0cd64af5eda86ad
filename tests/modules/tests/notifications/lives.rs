//! A provider that dies, a caller that goes away, a runtime that stops.

use stheno::{Attachment, Disposition, ErrorKind, NewNotification, NotificationStatus};

use crate::{Subject, mail};

/// The provider dies when a message no longer fits into its memory; the records
/// are the host's and stay.
async fn a_death_costs_one_send_and_the_outbox_and_no_record() {
    let text = format!("{}limits = {{ memory = \"8MiB\" }}\n", crate::LOCAL);
    let subject = Subject::with(&text).await.unwrap();
    subject.notifications.send(mail("before").key("b")).await.unwrap();
    let attachment = Attachment {
        name: "a".into(),
        content_type: None,
        disposition: Disposition::Attachment(None),
        bytes: vec![7; 15 << 20],
    };
    let large = NewNotification { attachments: vec![attachment], ..mail("large") };
    let error = subject.notifications.send(large.key("k")).await.unwrap_err();
    assert!(error.message().contains("limits.memory = \"8MiB\""), "{error}");
    let status = |to: &str, records: &[stheno::Notification]| {
        records.iter().find(|record| record.to == to).map(|record| record.status)
    };
    let records = subject.records().await;
    assert_eq!(status("before", &records), Some(NotificationStatus::Success));
    assert_eq!(status("large", &records), Some(NotificationStatus::Failure));

    subject.notifications.send(mail("after")).await.unwrap();
    let outbox = subject.outbox("default").await;
    assert_eq!(outbox.len(), 1, "what the dead instance held is gone");
    assert_eq!(outbox[0].message.to, "after");
    // What was sent is not sent again for that.
    subject.notifications.send(mail("before").key("b")).await.unwrap();
    assert_eq!(subject.outbox("default").await.len(), 1);
    // The failed key is, and may be smaller this time.
    let sent = subject.notifications.send(mail("large").key("k")).await.unwrap();
    assert_eq!((sent.status, sent.attempts), (NotificationStatus::Success, 2));
}

async fn a_caller_who_goes_away_leaves_no_record_pending() {
    let subject = Subject::start().await;
    for n in 0..64 {
        let mut send = Box::pin(subject.notifications.send(mail("a").key(n.to_string())));
        // Begun; now and then it has ended by then.
        let _ = futures_util::poll!(&mut send);
        drop(send);
    }
    // The stop waits for what has begun.
    subject.runtime.shutdown().await.unwrap();
    let records = subject.records().await;
    assert_eq!(records.len(), 64);
    assert!(records.iter().all(|record| record.status == NotificationStatus::Success));
}

async fn after_a_stop_nothing_is_sent_and_records_can_be_read() {
    let subject = Subject::start().await;
    let sent = subject.notifications.send(mail("a")).await.unwrap();
    subject.runtime.shutdown().await.unwrap();
    let error = subject.notifications.send(mail("b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(subject.records().await, [sent]);
}

async fn every_provider_is_asked_whether_it_can_serve() {
    let text = "[[modules.notifications.providers]]\nid = \"a\"\nresolve = \"LOCAL\"\n\
                default = true\n[[modules.notifications.providers]]\nid = \"b\"\n\
                resolve = \"FAILING\"\nchannels = [\"sms\"]\n";
    let subject = Subject::with(text).await.unwrap();
    let all = subject.runtime.status().await;
    let ours: Vec<_> = all
        .iter()
        .filter(|status| status.module == stheno::config::ModuleName::Notifications)
        .map(|status| (status.id.as_deref(), status.info.name.as_str(), status.health.is_ok()))
        .collect();
    let expected =
        [(Some("a"), "notifications-local", true), (Some("b"), "failing-notifications", true)];
    assert_eq!(ours, expected);
}

properties! {
    a_death_costs_one_send_and_the_outbox_and_no_record,
    a_caller_who_goes_away_leaves_no_record_pending,
    after_a_stop_nothing_is_sent_and_records_can_be_read,
    every_provider_is_asked_whether_it_can_serve,
}
