//! Bad input to every function: refused by name, and nothing is changed.

use stheno::{ErrorKind, NewNotification, NotificationFilter};

use crate::{Subject, mail};

async fn what_is_out_of_bounds_is_refused_by_name_and_nothing_is_sent() {
    let subject = Subject::start().await;
    for (wrong, argument) in [
        (mail(""), "to"),
        (mail("a\r\nBcc: everybody@example.com"), "to"),
        (mail(&"a".repeat(1_025)), "to"),
        (NewNotification { channel: String::new(), ..mail("a") }, "channel"),
        (NewNotification { channel: "c\n".into(), ..mail("a") }, "channel"),
        (NewNotification { channel: "c".repeat(65), ..mail("a") }, "channel"),
        (NewNotification { content: None, ..mail("a") }, "give template"),
        (NewNotification { cc: vec!["a".into(); 101], ..mail("a") }, "cc"),
        (mail("a").key(""), "idempotency_key"),
        (mail("a").key("k".repeat(1_025)), "idempotency_key"),
        (mail("a").label("l", "v".repeat(5_000)), "labels"),
    ] {
        let error = subject.notifications.send(wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with(argument), "{argument}: {error}");
    }
    assert!(subject.records().await.is_empty());
    assert!(subject.outbox("default").await.is_empty());
}

async fn pages_of_no_or_too_many_items_and_foreign_cursors_are_refused() {
    let subject = Subject::start().await;
    subject.notifications.send(mail("a")).await.unwrap();
    for max in [0, 1_001, u32::MAX] {
        let all = NotificationFilter::default();
        for error in [
            subject.notifications.list(all, None, max).await.unwrap_err(),
            subject.notifications.outbox(None, None, max).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().starts_with("max"), "{error}");
        }
    }
    for after in ["", "xyz", "-1", "0123456789abcdef0"] {
        let all = NotificationFilter::default();
        for error in [
            subject.notifications.list(all, Some(after), 1).await.unwrap_err(),
            subject.notifications.outbox(None, Some(after), 1).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{after:?}");
            assert!(error.message().starts_with("after"), "{error}");
        }
    }
}

async fn an_unknown_id_is_not_found_and_an_absurd_one_is_refused() {
    let subject = Subject::start().await;
    let error = subject.notifications.get("ntf_nobody").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for id in ["", "a\u{0}", &"x".repeat(10_000)] {
        let error = subject.notifications.get(id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with("id"), "{error}");
    }
}

async fn wrong_options_are_an_error_at_start() {
    for (options, told) in [
        ("{ outbx = 1 }", "`outbx`"),
        ("{ outbox = -1 }", "`outbox`"),
        ("{ outbox_bytes = \"0B\" }", "`outbox_bytes`"),
        ("{ outbox_bytes = 5 }", "`outbox_bytes`"),
    ] {
        let text = format!("{}options = {options}\n", crate::LOCAL);
        let error = Subject::with(&text).await.err().unwrap();
        assert_eq!(error.problems()[0].line, Some(3));
        assert!(error.problems()[0].message.contains(told), "{error:?}");
    }
}

properties! {
    what_is_out_of_bounds_is_refused_by_name_and_nothing_is_sent,
    pages_of_no_or_too_many_items_and_foreign_cursors_are_refused,
    an_unknown_id_is_not_found_and_an_absurd_one_is_refused,
    wrong_options_are_an_error_at_start,
}
