//! What went out, for a provider that keeps it.

use std::collections::BTreeSet;
use std::time::SystemTime;

use stheno::{
    Attachment, Content, Disposition, ErrorKind, JsonObject, NewNotification, Notifications,
};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, fails, there, unsupported};

pub(crate) const CASES: &[Case] = cases! {
    Notifications:
    "notifications.outbox.unchanged" =>
        "Everything that is written in a message reaches the provider unchanged." [with "outbox"], unchanged;
    "notifications.outbox.receipt" =>
        "A kept message has the id of the notification, the external id of its receipt, and the time." [with "outbox"],
        receipt;
    "notifications.outbox.attachments" =>
        "Attachments reach the provider with name, type, place and size." [with "outbox"], attachments;
    "notifications.outbox.order" =>
        "The outbox has the oldest first, each message once whatever the size of the pages." [with "outbox"],
        order;
    "notifications.outbox.after" =>
        "An `after` that no page gave is `invalid-argument`." [with "outbox"], after;
    "notifications.outbox.unsupported" =>
        "Without the feature `outbox`, `outbox` answers `unsupported`." [without "outbox"], without;
};

async fn unchanged(s: Subject) -> Outcome {
    let new = NewNotification {
        from: Some(s.to("from")),
        cc: vec![s.to("c1"), s.to("c2")],
        bcc: vec![s.to("b")],
        reply_to: vec![s.to("r")],
        template: Some("placed".to_owned()),
        data: Some(JsonObject::parse(r#"{"total": 12345678901234567890.10, "b": ["ü"]}"#)?),
        content: Some(Content {
            subject: Some("Größe".to_owned()),
            text: Some("a\nb\u{0}".to_owned()),
            html: Some("<b>🦀</b>".to_owned()),
        }),
        provider_data: Some(JsonObject::parse(r#"{"custom":{"a":1}}"#)?),
        ..s.mail("a")
    };
    s.sent(new.clone()).await?;
    equal("the message", s.kept_one("a").await?.message, new)
}

async fn receipt(s: Subject) -> Outcome {
    s.pass(7_000);
    let sent = s.sent(s.mail("a")).await?;
    let kept = s.kept_one("a").await?;
    equal("the id", kept.id, sent.id)?;
    equal("the external id", kept.external_id, there("the external id", sent.external_id)?)?;
    let sent = kept.sent.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // The test clock begins with the year 2000.
    equal("the time in seconds", sent.as_secs(), 946_684_807)
}

async fn attachments(s: Subject) -> Outcome {
    let attachment = |name: &str, kind: Option<&str>, disposition, size| Attachment {
        name: name.to_owned(),
        content_type: kind.map(str::to_owned),
        disposition,
        bytes: vec![7; size],
    };
    let attachments = vec![
        attachment("Größe.pdf", Some("application/pdf"), Disposition::Attachment(None), 100_000),
        attachment("logo.png", None, Disposition::Inline("logo".to_owned()), 0),
    ];
    s.sent(NewNotification { attachments: attachments.clone(), ..s.mail("a") }).await?;
    let about: Vec<_> = s
        .kept_one("a")
        .await?
        .attachments
        .into_iter()
        .map(|it| (it.name, it.content_type, it.disposition, it.size))
        .collect();
    let expected: Vec<_> = attachments
        .into_iter()
        .map(|it| (it.name, it.content_type, it.disposition, it.bytes.len() as u64))
        .collect();
    equal("the attachments", about, expected)
}

async fn order(s: Subject) -> Outcome {
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(s.sent(s.mail(&format!("a{n}"))).await?.id);
    }
    for size in [1, 2, 3, 5, 1_000] {
        let mut kept = s.outbox(size).await?;
        kept.retain(|message| ids.contains(&message.id));
        let found: Vec<_> = kept.iter().map(|message| &message.id).collect();
        equal(&format!("pages of {size}"), found, ids.iter().collect::<Vec<_>>())?;
        let external: BTreeSet<_> = kept.iter().map(|message| &message.external_id).collect();
        equal("how many external ids differ", external.len(), 5)?;
    }
    Ok(())
}

async fn after(s: Subject) -> Outcome {
    s.sent(s.mail("a")).await?;
    let page = s.api.outbox(None, Some("no page gave this"), 10).await;
    fails("such an `after`", page, ErrorKind::InvalidArgument).map(drop)
}

async fn without(s: Subject) -> Outcome {
    s.sent(s.mail("a")).await?;
    unsupported("`outbox`", s.api.outbox(None, None, 10).await)
}
