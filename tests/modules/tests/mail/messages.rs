//! What the service gets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stheno::config::Config;
use stheno::{Attachment, Content, Disposition, JsonObject, NewNotification, NotificationStatus};

use crate::{Subject, Vendor, mail};

fn object(value: &Value) -> JsonObject {
    JsonObject::new(value).unwrap()
}

fn bytes(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn attachment(name: &str, disposition: Disposition, bytes: Vec<u8>) -> Attachment {
    Attachment { name: name.into(), content_type: Some("image/png".into()), disposition, bytes }
}

/// The service takes it, and the record says what it calls it.
async fn taken(subject: &Subject, new: NewNotification) -> Value {
    let record = subject.notifications.send(new).await.unwrap();
    assert_eq!(record.status, NotificationStatus::Success);
    assert_eq!(record.provider.as_deref(), Some("mail"));
    assert!(record.external_id.is_some());
    subject.service.taken().pop().unwrap().body
}

fn text(body: &Value, pointer: &str) -> String {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn everything_that_is_written_reaches_the_service_as_it_documents_it(vendor: Vendor) {
    let subject = Subject::of(vendor).await;
    let extra = match vendor {
        Vendor::Resend => json!({"tags": [{"name": "order", "value": "1001"}]}),
        Vendor::SendGrid => json!({"categories": ["order"], "custom_args": {"order": "1001"}}),
    };
    let file = bytes(1 << 20);
    let new = NewNotification {
        from: Some("ceo@example.com".into()),
        cc: vec!["b@example.com".into()],
        bcc: vec!["C <c@example.com>".into()],
        reply_to: vec!["d@example.com".into(), "e@example.com".into()],
        content: Some(Content {
            subject: Some("Größe 🦀".into()),
            text: Some("a\n\"b\"\\".into()),
            html: Some("<img src=\"cid:logo\">".into()),
        }),
        attachments: vec![
            attachment("größe.png", Disposition::Attachment(None), file.clone()),
            attachment("logo.png", Disposition::Inline("logo".into()), vec![0, 255]),
        ],
        provider_data: Some(object(&extra)),
        ..mail()
    };
    let body = taken(&subject, new).await;
    assert_eq!(text(&body, "/subject"), "Größe 🦀");
    assert_eq!(STANDARD.decode(text(&body, "/attachments/0/content")).unwrap(), file);
    assert_eq!(text(&body, "/attachments/0/filename"), "größe.png");
    assert_eq!(text(&body, "/attachments/1/content_id"), "logo");
    match vendor {
        Vendor::Resend => {
            assert_eq!(text(&body, "/from"), "ceo@example.com");
            assert_eq!(body["to"], json!(["Ada <ada@example.com>"]));
            assert_eq!(body["cc"], json!(["b@example.com"]));
            assert_eq!(body["bcc"], json!(["C <c@example.com>"]));
            assert_eq!(body["reply_to"], json!(["d@example.com", "e@example.com"]));
            assert_eq!(text(&body, "/text"), "a\n\"b\"\\");
            assert_eq!(text(&body, "/tags/0/value"), "1001");
        }
        Vendor::SendGrid => {
            assert_eq!(body["from"], json!({"email": "ceo@example.com"}));
            let envelope = &body["personalizations"][0];
            assert_eq!(envelope["to"], json!([{"email": "ada@example.com", "name": "Ada"}]));
            assert_eq!(envelope["cc"], json!([{"email": "b@example.com"}]));
            assert_eq!(envelope["bcc"], json!([{"email": "c@example.com", "name": "C"}]));
            assert_eq!(envelope["custom_args"], json!({"order": "1001"}));
            assert_eq!(text(&body, "/reply_to_list/1/email"), "e@example.com");
            assert_eq!(text(&body, "/content/0/value"), "a\n\"b\"\\");
            assert_eq!(text(&body, "/content/1/type"), "text/html");
        }
    }
}

async fn a_template_is_named_and_filled(vendor: Vendor) {
    let subject = Subject::of(vendor).await;
    let data = object(&json!({"order": 1001, "name": "Ada"}));
    let new = NewNotification::template("email", "ada@example.com", "d-placed", data);
    let body = taken(&subject, new).await;
    let (id, filled) = match vendor {
        Vendor::Resend => ("/template/id", "/template/variables"),
        Vendor::SendGrid => ("/template_id", "/personalizations/0/dynamic_template_data"),
    };
    assert_eq!(text(&body, id), "d-placed");
    assert_eq!(body.pointer(filled), Some(&json!({"order": 1001, "name": "Ada"})));
}

/// 15 MiB are 20 MiB as base64: held whole a second time they would not fit.
async fn a_large_attachment_leaves_piece_by_piece(vendor: Vendor) {
    let subject = Subject::with(vendor, "limits = { memory = \"36MiB\" }").await;
    let file = bytes(15 << 20);
    let disposition = Disposition::Attachment(None);
    let new = NewNotification {
        attachments: vec![attachment("a.png", disposition, file.clone())],
        ..mail()
    };
    let body = taken(&subject, new).await;
    assert!(STANDARD.decode(text(&body, "/attachments/0/content")).unwrap() == file);
}

/// The block of a README, as an operator would copy it.
async fn the_grant_of_the_readme_is_one(vendor: Vendor) {
    let readme = match vendor {
        Vendor::Resend => {
            include_str!("../../../../guest-providers/notifications-resend/README.md")
        }
        Vendor::SendGrid => {
            include_str!("../../../../guest-providers/notifications-sendgrid/README.md")
        }
    };
    let (_, block) = readme.split_once("```toml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let env = |_: &str| Some("0123456789".to_owned());
    let config = Config::parse(block, "README.md", std::path::Path::new("/"), &env).unwrap();
    let runtime = stheno::Runtime::builder().config(config).build().await.unwrap();
    runtime.shutdown().await.unwrap();
}

properties![
    everything_that_is_written_reaches_the_service_as_it_documents_it,
    a_template_is_named_and_filled,
    a_large_attachment_leaves_piece_by_piece,
    the_grant_of_the_readme_is_one,
];
