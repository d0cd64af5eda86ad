//! Arguments out of bounds are refused by name and nothing goes out.

use stheno::{
    Attachment, Content, Disposition, ErrorKind, NewNotification, NotificationFilter, Notifications,
};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, fails, refuses};

pub(crate) const CASES: &[Case] = cases! {
    Notifications:
    "notifications.arguments.send" =>
        "A message out of bounds is `invalid-argument` that names what is wrong, and nothing of the call goes out.",
        send;
    "notifications.arguments.lists" =>
        "Ids and pages out of bounds are refused, and unknown ids are `not-found`.", lists;
    "notifications.arguments.outbox" =>
        "A page of the outbox out of bounds is `invalid-argument` that names it." [with "outbox"], outbox;
};

async fn send(s: Subject) -> Outcome {
    let good = || s.mail("a");
    let content = |content| NewNotification { content: Some(content), ..good() };
    let long = |bytes: usize| Some("x".repeat(bytes));
    let attachment = |name: &str, bytes: usize| Attachment {
        name: name.to_owned(),
        content_type: None,
        disposition: Disposition::Attachment(None),
        bytes: vec![0; bytes],
    };
    for (wrong, argument) in [
        (NewNotification { channel: String::new(), ..good() }, "channel"),
        (NewNotification { to: String::new(), ..good() }, "to"),
        (NewNotification { to: "a\r\nbcc: b".to_owned(), ..good() }, "to"),
        (NewNotification { to: "t".repeat(1_025), ..good() }, "to"),
        (NewNotification { from: Some("a\nb".to_owned()), ..good() }, "from"),
        (NewNotification { cc: vec![s.to("c"); 101], ..good() }, "cc"),
        (NewNotification { bcc: vec![String::new()], ..good() }, "bcc"),
        (NewNotification { reply_to: vec!["a\n".to_owned()], ..good() }, "reply_to"),
        (NewNotification { template: Some(String::new()), ..good() }, "template"),
        (NewNotification { content: None, ..good() }, "template"),
        (content(Content::default()), "content"),
        (content(Content { subject: long(4_097), ..Content::default() }), "subject"),
        (content(Content { text: long((1 << 20) + 1), ..Content::default() }), "text"),
        (content(Content { html: long((1 << 20) + 1), ..Content::default() }), "html"),
        (NewNotification { attachments: vec![attachment("a", 0); 33], ..good() }, "attachments"),
        (
            NewNotification { attachments: vec![attachment("a", 9 << 20); 2], ..good() },
            "attachments",
        ),
        (NewNotification { attachments: vec![attachment("", 1)], ..good() }, "attachments"),
        (good().key(""), "idempotency_key"),
    ] {
        let all = s.api.send_all(vec![good(), wrong]).await.map_err(stheno::Error::from);
        refuses(all, argument)?;
    }
    let many = s.api.send_all(vec![good(); 1_001]).await.map_err(stheno::Error::from);
    refuses(many, "notifications")?;
    s.went_out("a", 0).await
}

async fn lists(s: Subject) -> Outcome {
    fails("an unknown id", s.api.get("no such id").await, ErrorKind::NotFound)?;
    refuses(s.api.get("").await, "id")?;
    for max in [0, 1_001] {
        refuses(s.api.list(NotificationFilter::default(), None, max).await, "max")?;
    }
    let sent = s.sent(s.mail("a")).await?;
    let filter = NotificationFilter { to: Some(s.to("a")), ..NotificationFilter::default() };
    equal("the records", s.api.list(filter, None, 10).await?.items, [sent])
}

async fn outbox(s: Subject) -> Outcome {
    for max in [0, 1_001, u32::MAX] {
        refuses(s.api.outbox(None, None, max).await, "max")?;
    }
    let unknown = s.api.outbox(Some("nobody"), None, 1).await;
    fails("an unknown provider", unknown, ErrorKind::NotFound).map(drop)
}
