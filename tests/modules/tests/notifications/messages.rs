//! What the provider gets.

use serde_json::json;
use stheno::{Attachment, Content, Disposition, JsonObject, NewNotification};

use crate::{Subject, mail};

const FAILING: &str = "[modules.notifications]\nresolve = \"FAILING\"\n";

fn object(value: &serde_json::Value) -> JsonObject {
    JsonObject::new(value).unwrap()
}

// N9: template and data, or raw subject, HTML and text.
async fn everything_that_is_written_reaches_the_provider_unchanged() {
    for config in [crate::LOCAL, FAILING] {
        let subject = Subject::with(config).await.unwrap();
        let data =
            JsonObject::parse("{\"total\": 12345678901234567890.10, \"b\": [\"ü\"]}").unwrap();
        let new = NewNotification {
            from: Some("shop@example.com".into()),
            cc: vec!["c1".into(), "c2".into()],
            bcc: vec!["b".into()],
            reply_to: vec!["r".into()],
            content: Some(Content {
                subject: Some("Größe".into()),
                text: Some("a\nb\u{0}".into()),
                html: Some("<b>🦀</b>".into()),
            }),
            provider_data: Some(object(&json!({"custom": {"a": 1}}))),
            ..NewNotification::template("email", "ada@example.com", "placed", data)
        };
        let sent = subject.notifications.send(new.clone()).await.unwrap();
        let kept = subject.outbox("default").await.remove(0);
        assert_eq!(kept.message, new);
        assert_eq!((kept.id, Some(kept.external_id)), (sent.id, sent.external_id));
    }
}

async fn each_part_of_the_content_may_stand_alone() {
    let subject = Subject::start().await;
    for content in [
        Content { subject: Some("s".into()), ..Content::default() },
        Content { text: Some("t".into()), ..Content::default() },
        Content { html: Some("h".into()), ..Content::default() },
        Content { text: Some(String::new()), ..Content::default() },
    ] {
        let new = NewNotification::content("email", "a", content.clone());
        subject.notifications.send(new).await.unwrap();
        let kept = subject.outbox("default").await.pop().unwrap();
        assert_eq!(kept.message.content, Some(content));
    }
}

// N3 and N10: attachments reach the provider byte for byte, with disposition
// and id.
async fn attachments_reach_the_provider_byte_for_byte() {
    let subject = Subject::with(FAILING).await.unwrap();
    let bytes: Vec<u8> =
        (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut sum = 0_u64;
    for byte in bytes.iter().chain(b"inline") {
        sum = sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
    }
    let total = bytes.len() + b"inline".len();
    let new = NewNotification {
        attachments: vec![
            Attachment {
                name: "Rechnung Größe.pdf".into(),
                content_type: Some("application/pdf".into()),
                disposition: Disposition::Attachment(None),
                bytes,
            },
            Attachment {
                name: "logo.png".into(),
                content_type: None,
                disposition: Disposition::Inline("logo".into()),
                bytes: b"inline".to_vec(),
            },
        ],
        ..mail("a")
    };
    let sent = subject.notifications.send(new).await.unwrap();
    assert_eq!(sent.external_id, Some(format!("{total}:{sum}")));
    let kept = subject.outbox("default").await.remove(0).attachments;
    assert_eq!((kept[0].name.as_str(), kept[0].size), ("Rechnung Größe.pdf", 1 << 20));
    assert_eq!(kept[0].content_type.as_deref(), Some("application/pdf"));
    assert_eq!(kept[0].disposition, Disposition::Attachment(None));
    assert_eq!(kept[1].disposition, Disposition::Inline("logo".into()));
}

async fn the_largest_attachments_go_through() {
    let subject = Subject::start().await;
    let attachment = Attachment {
        name: "a".into(),
        content_type: None,
        disposition: Disposition::Attachment(None),
        bytes: vec![7; stheno::MAX_ATTACHMENT_BYTES],
    };
    let new = NewNotification { attachments: vec![attachment], ..mail("a") };
    subject.notifications.send(new).await.unwrap();
    let kept = subject.outbox("default").await.remove(0).attachments;
    assert_eq!(kept[0].size, stheno::MAX_ATTACHMENT_BYTES as u64);
}

properties! {
    everything_that_is_written_reaches_the_provider_unchanged,
    each_part_of_the_content_may_stand_alone,
    attachments_reach_the_provider_byte_for_byte,
    the_largest_attachments_go_through,
}
