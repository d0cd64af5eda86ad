//! A message as SendGrid wants it: the body of `POST /v3/mail/send`.

use std::collections::BTreeMap;

use mail::{Base64, Mailbox, mailbox, mailboxes, object, some};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use stheno_sdk::notifications::{Attachment, Disposition, Message};
use stheno_sdk::{Error, Result};

#[derive(Debug, Serialize)]
pub(crate) struct Email<'m> {
    personalizations: [Envelope<'m>; 1],
    from: Mailbox<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Mailbox<'m>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reply_to_list: Vec<Mailbox<'m>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'m str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    content: Vec<Part<'m>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_id: Option<&'m str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<File<'m>>,
    #[serde(flatten)]
    extra: Extra,
}

/// Who gets it, and what the template is filled with.
#[derive(Debug, Serialize)]
struct Envelope<'m> {
    to: [Mailbox<'m>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cc: Vec<Mailbox<'m>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bcc: Vec<Mailbox<'m>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamic_template_data: Option<&'m RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    substitutions: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_args: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize)]
struct Part<'m> {
    r#type: &'static str,
    value: &'m str,
}

#[derive(Debug, Serialize)]
struct File<'m> {
    filename: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'m str>,
    disposition: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_id: Option<&'m str>,
    content: Base64<'m>,
}

/// What a message may have in `provider-data`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    #[serde(skip_serializing_if = "Option::is_none")]
    asm: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<Vec<String>>,
    /// Goes into the envelope.
    #[serde(skip_serializing)]
    custom_args: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_pool_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_settings: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_settings: Option<Map<String, Value>>,
}

impl<'m> Email<'m> {
    pub(crate) fn of(message: &'m Message, default_from: Option<&'m str>) -> Result<Self> {
        let from = message.from.as_deref().or(default_from).ok_or_else(|| {
            Error::InvalidArgument(
                "`from` is not given, and the provider's option `from` is not set".to_owned(),
            )
        })?;
        let template_id = message.template.as_deref();
        let content = message.content.as_ref();
        let subject = some(content.and_then(|content| content.subject.as_ref()));
        let part = |r#type, text| some(text).map(|value| Part { r#type, value });
        let mut parts: Vec<_> = content
            .into_iter()
            .flat_map(|content| {
                // In this order: what comes last is what a reader is shown.
                let text = part("text/plain", content.text.as_ref());
                [text, part("text/html", content.html.as_ref())]
            })
            .flatten()
            .collect();
        if template_id.is_some() {
            parts.clear();
        } else if subject.is_none() {
            return Err(missing("subject"));
        } else if parts.is_empty() {
            return Err(missing("text` or `html"));
        }
        let mut extra: Extra = object("provider_data", message.provider_data.as_deref())?;
        let (dynamic_template_data, substitutions) = data(message)?;
        let mut reply_to = mailboxes("reply_to", &message.reply_to)?;
        let one = if reply_to.len() == 1 { reply_to.pop() } else { None };
        Ok(Self {
            personalizations: [Envelope {
                to: [mailbox("to", &message.to)?],
                cc: mailboxes("cc", &message.cc)?,
                bcc: mailboxes("bcc", &message.bcc)?,
                dynamic_template_data,
                substitutions,
                custom_args: extra.custom_args.take(),
            }],
            from: mailbox("from", from)?,
            reply_to: one,
            reply_to_list: reply_to,
            subject,
            content: parts,
            template_id,
            attachments: message
                .attachments
                .iter()
                .enumerate()
                .map(|(place, attachment)| file(place, attachment))
                .collect::<Result<_>>()?,
            extra,
        })
    }
}

fn missing(what: &str) -> Error {
    Error::InvalidArgument(format!("`content` has no `{what}`, and there is no template"))
}

type Data<'m> = (Option<&'m RawValue>, Option<BTreeMap<String, String>>);

/// A dynamic template, whose id begins so, takes any JSON as it is; an older one
/// replaces texts by texts.
fn data(message: &Message) -> Result<Data<'_>> {
    let (Some(template), Some(json)) = (&message.template, &message.data) else {
        return Ok((None, None));
    };
    if template.starts_with("d-") {
        let raw = serde_json::from_str(json);
        raw.map(|raw| (Some(raw), None))
            .map_err(|error| Error::InvalidArgument(format!("`data`: {error}")))
    } else {
        Ok((None, Some(object("data", Some(json))?)))
    }
}

fn file(place: usize, attachment: &Attachment) -> Result<File<'_>> {
    if attachment.bytes.is_empty() {
        return Err(Error::InvalidArgument(format!(
            "`attachments[{place}]` is empty, which SendGrid does not take"
        )));
    }
    let inline = attachment.disposition == Disposition::Inline;
    Ok(File {
        filename: &attachment.name,
        r#type: attachment.content_type.as_deref(),
        disposition: if inline { "inline" } else { "attachment" },
        content_id: attachment.id.as_deref().filter(|_| inline),
        content: Base64(&attachment.bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use stheno_sdk::notifications::Content;

    fn message() -> Message {
        Message {
            id: "n-1".into(),
            channel: "email".into(),
            to: "Ada <ada@example.com>".into(),
            from: None,
            cc: vec![],
            bcc: vec![],
            reply_to: vec![],
            template: None,
            data: None,
            content: Some(Content {
                subject: Some("hello".into()),
                text: Some("hi".into()),
                html: Some("<p>hi".into()),
            }),
            attachments: vec![],
            provider_data: None,
        }
    }

    fn body(message: &Message) -> Value {
        serde_json::to_value(Email::of(message, Some("shop@example.com")).unwrap()).unwrap()
    }

    fn refusal(change: impl FnOnce(&mut Message)) -> String {
        let mut message = message();
        change(&mut message);
        match Email::of(&message, Some("shop@example.com")) {
            Err(Error::InvalidArgument(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plain_message_has_nothing_that_was_not_said() {
        assert_eq!(
            body(&message()),
            json!({
                "personalizations": [{"to": [{"email": "ada@example.com", "name": "Ada"}]}],
                "from": {"email": "shop@example.com"},
                "subject": "hello",
                "content": [
                    {"type": "text/plain", "value": "hi"},
                    {"type": "text/html", "value": "<p>hi"},
                ],
            })
        );
    }

    #[test]
    fn everything_that_a_message_can_have_is_there() {
        let full = Message {
            cc: vec!["b@example.com".into()],
            bcc: vec!["C <c@example.com>".into()],
            reply_to: vec!["d@example.com".into(), "e@example.com".into()],
            attachments: vec![Attachment {
                name: "a.png".into(),
                content_type: Some("image/png".into()),
                disposition: Disposition::Inline,
                id: Some("logo".into()),
                bytes: vec![0, 255],
            }],
            provider_data: Some(
                r#"{"categories":["a"],"custom_args":{"order":"1"},"send_at":1}"#.into(),
            ),
            ..message()
        };
        let body = body(&full);
        assert_eq!(
            body["personalizations"],
            json!([{
                "to": [{"email": "ada@example.com", "name": "Ada"}],
                "cc": [{"email": "b@example.com"}],
                "bcc": [{"email": "c@example.com", "name": "C"}],
                "custom_args": {"order": "1"},
            }])
        );
        assert_eq!(
            body["reply_to_list"],
            json!([{"email": "d@example.com"}, {"email": "e@example.com"}])
        );
        assert_eq!(
            body["attachments"],
            json!([{
                "filename": "a.png", "type": "image/png", "disposition": "inline",
                "content_id": "logo", "content": "AP8=",
            }])
        );
        assert_eq!((&body["categories"], &body["send_at"]), (&json!(["a"]), &json!(1)));
        assert_eq!(body.get("custom_args"), None);
    }

    #[test]
    fn a_template_takes_the_place_of_the_content_but_for_the_subject() {
        let dynamic = Message {
            template: Some("d-1".into()),
            data: Some(r#"{"order":{"id":1001,"total":0.1}}"#.into()),
            reply_to: vec!["d@example.com".into()],
            ..message()
        };
        let body = |message| self::body(message);
        assert_eq!(
            body(&dynamic),
            json!({
                "personalizations": [{
                    "to": [{"email": "ada@example.com", "name": "Ada"}],
                    "dynamic_template_data": {"order": {"id": 1001, "total": 0.1}},
                }],
                "from": {"email": "shop@example.com"},
                "reply_to": {"email": "d@example.com"},
                "subject": "hello",
                "template_id": "d-1",
            })
        );
        let older = Message {
            template: Some("1".into()),
            data: Some(r#"{"-name-":"Ada"}"#.into()),
            ..message()
        };
        assert_eq!(body(&older)["personalizations"][0]["substitutions"], json!({"-name-": "Ada"}));
    }

    #[test]
    fn numbers_reach_a_template_as_they_were_written() {
        let data = r#"{"total":12345678901234567890.10}"#;
        let exact = Message { template: Some("d-1".into()), data: Some(data.into()), ..message() };
        let email = Email::of(&exact, Some("shop@example.com")).unwrap();
        assert!(serde_json::to_string(&email).unwrap().contains(data));
    }

    #[test]
    fn what_sendgrid_would_refuse_is_refused_here_by_its_name() {
        assert!(refusal(|message| message.to = "ada".into()).contains("`to`"));
        assert!(refusal(|message| message.reply_to = vec!["x".into()]).contains("`reply_to[0]`"));
        assert!(refusal(|message| message.content = None).contains("`subject`"));
        let text = refusal(|message| message.provider_data = Some(r#"{"from":1}"#.into()));
        assert!(text.contains("`provider_data`"), "{text}");
        let text = refusal(|message| {
            message.attachments = vec![Attachment {
                name: "a".into(),
                content_type: None,
                disposition: Disposition::Attachment,
                id: None,
                bytes: vec![],
            }];
        });
        assert!(text.contains("`attachments[0]`"), "{text}");
        let text = refusal(|message| {
            message.template = Some("1".into());
            message.data = Some(r#"{"a":1}"#.into());
        });
        assert!(text.contains("`data`"), "{text}");
    }
}
