//! What the service answers, and what becomes of the message.

use stheno::{ErrorKind, NewNotification, NotificationFilter, NotificationStatus};

use crate::{KEY, Next, Subject, Vendor, mail};

impl Subject {
    /// The newest record.
    async fn record(&self) -> stheno::Notification {
        let all = NotificationFilter::default();
        self.notifications.list(all, None, 1).await.unwrap().items.remove(0)
    }
}

async fn an_error_of_the_service_is_a_failure_and_goes_nowhere_else(vendor: Vendor) {
    let subject = Subject::of(vendor).await;
    for (status, kind) in [
        (400, ErrorKind::InvalidArgument),
        (401, ErrorKind::Denied),
        (403, ErrorKind::Denied),
        (404, ErrorKind::InvalidArgument),
        (413, ErrorKind::InvalidArgument),
        (422, ErrorKind::InvalidArgument),
        // Neither an error nor what the service documents as success.
        (201, ErrorKind::Internal),
        (302, ErrorKind::Internal),
    ] {
        subject.service.next(Next::Status(status));
        let error = subject.notifications.send(mail()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        assert!(error.message().contains("told to"), "{status}: {error}");
        let record = subject.record().await;
        assert_eq!(record.status, NotificationStatus::Failure, "{status}");
        assert_eq!(record.provider.as_deref(), Some("mail"), "{status}");
    }
}

async fn a_service_that_cannot_now_gives_way_to_the_next_provider(vendor: Vendor) {
    let subject = Subject::of(vendor).await;
    for status in [408, 425, 429, 500, 502, 503, 504] {
        subject.service.next(Next::Status(status));
        let record = subject.notifications.send(mail()).await.unwrap();
        assert_eq!(record.status, NotificationStatus::Success, "{status}");
        assert_eq!(record.provider.as_deref(), Some("spare"), "{status}");
    }
}

async fn success_without_what_belongs_to_it_is_told_as_it_is(vendor: Vendor) {
    let subject = Subject::of(vendor).await;
    match vendor {
        // Without an id it is not Resend that answers.
        Vendor::Resend => {
            subject.service.next(Next::Bare(200));
            let error = subject.notifications.send(mail()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        }
        // It need not give one; and 200 is a mail that was only looked at.
        Vendor::SendGrid => {
            subject.service.next(Next::Bare(202));
            let record = subject.notifications.send(mail()).await.unwrap();
            assert_eq!(record.external_id, None);
            subject.service.next(Next::Bare(200));
            let error = subject.notifications.send(mail()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        }
    }
}

async fn what_the_service_would_refuse_is_not_sent(vendor: Vendor) {
    let subject = Subject::of(vendor).await;
    for (new, argument) in [
        (NewNotification { to: "ada".into(), ..mail() }, "`to`"),
        (NewNotification { from: Some("shop".into()), ..mail() }, "`from`"),
        (NewNotification { cc: vec!["a@b@".into()], ..mail() }, "`cc[0]`"),
        (NewNotification { reply_to: vec!["a b@c".into()], ..mail() }, "`reply_to[0]`"),
    ] {
        let error = subject.notifications.send(new).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.message().contains(argument), "{error}");
    }
    assert_eq!(subject.service.asked(), 0);
}

async fn a_service_that_repeats_the_key_is_not_quoted(vendor: Vendor) {
    let subject = Subject::of(vendor).await;
    for text in [format!("the key {KEY} is not ours"), format!("Bearer {KEY}")] {
        subject.service.next(Next::Saying(400, text));
        let error = subject.notifications.send(mail()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(!error.message().contains(KEY), "{error}");
        assert!(!subject.record().await.error.unwrap().contains(KEY));
    }
}

/// Resend alone has a key for that.
async fn what_is_tried_again_has_the_same_idempotency_key(vendor: Vendor) {
    let subject = Subject::of(vendor).await;
    subject.service.next(Next::Status(400));
    let first = mail().key("order-1001");
    subject.notifications.send(first.clone()).await.unwrap_err();
    subject.notifications.send(first).await.unwrap();
    subject.notifications.send(mail().key("order-1002")).await.unwrap();
    let keys: Vec<_> = subject.service.taken().into_iter().map(|taken| taken.key).collect();
    match vendor {
        Vendor::Resend => {
            assert!(keys[0].is_some() && keys[0] == keys[1] && keys[1] != keys[2], "{keys:?}");
        }
        Vendor::SendGrid => assert_eq!(keys, [None, None, None]),
    }
}

properties![
    an_error_of_the_service_is_a_failure_and_goes_nowhere_else,
    a_service_that_cannot_now_gives_way_to_the_next_provider,
    success_without_what_belongs_to_it_is_told_as_it_is,
    what_the_service_would_refuse_is_not_sent,
    a_service_that_repeats_the_key_is_not_quoted,
    what_is_tried_again_has_the_same_idempotency_key,
];
