//! A message as Resend wants it: the body of `POST /emails`.

use std::collections::BTreeMap;

use mail::{Base64, mailbox, mailboxes, object, some};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stheno_sdk::notifications::{Attachment, Disposition, Message};
use stheno_sdk::{Error, Result};

#[derive(Debug, Serialize)]
pub(crate) struct Email<'m> {
    from: &'m str,
    to: [&'m str; 1],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    cc: &'m [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    bcc: &'m [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reply_to: &'m [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<Template<'m>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<File<'m>>,
    #[serde(flatten)]
    extra: Extra,
}

#[derive(Debug, Serialize)]
struct Template<'m> {
    id: &'m str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, Box<RawValue>>,
}

#[derive(Debug, Serialize)]
struct File<'m> {
    filename: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_id: Option<&'m str>,
    content: Base64<'m>,
}

/// What a message may have in `provider-data`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Tag {
    name: String,
    value: String,
}

impl<'m> Email<'m> {
    pub(crate) fn of(message: &'m Message, default_from: Option<&'m str>) -> Result<Self> {
        let from = message.from.as_deref().or(default_from).ok_or_else(|| {
            Error::InvalidArgument(
                "`from` is not given, and the provider's option `from` is not set".to_owned(),
            )
        })?;
        mailbox("from", from)?;
        mailbox("to", &message.to)?;
        for (argument, addresses) in
            [("cc", &message.cc), ("bcc", &message.bcc), ("reply_to", &message.reply_to)]
        {
            mailboxes(argument, addresses)?;
        }
        let content = message.content.as_ref();
        let subject = some(content.and_then(|content| content.subject.as_ref()));
        let text = some(content.and_then(|content| content.text.as_ref()));
        let html = some(content.and_then(|content| content.html.as_ref()));
        let template = match &message.template {
            Some(id) => Some(Template { id, variables: variables(message.data.as_deref())? }),
            None if subject.is_none() => return Err(missing("subject")),
            None if text.is_none() && html.is_none() => return Err(missing("text` or `html")),
            None => None,
        };
        // Resend takes a template or content, not both.
        let (text, html) = if template.is_some() { (None, None) } else { (text, html) };
        Ok(Self {
            from,
            to: [&message.to],
            cc: &message.cc,
            bcc: &message.bcc,
            reply_to: &message.reply_to,
            subject,
            text,
            html,
            template,
            attachments: message.attachments.iter().map(file).collect(),
            extra: object("provider_data", message.provider_data.as_deref())?,
        })
    }
}

fn missing(what: &str) -> Error {
    Error::InvalidArgument(format!("`content` has no `{what}`, and there is no template"))
}

/// Resend's templates take texts and numbers, which go as they were written.
fn variables(data: Option<&str>) -> Result<BTreeMap<String, Box<RawValue>>> {
    let variables: BTreeMap<String, Box<RawValue>> = object("data", data)?;
    let lawful = |c: char| c == '"' || c == '-' || c.is_ascii_digit();
    match variables.iter().find(|(_, value)| !value.get().starts_with(lawful)) {
        None => Ok(variables),
        Some((name, _)) => Err(Error::InvalidArgument(format!(
            "`data`: {name:?} is neither a text nor a number, which is what Resend takes"
        ))),
    }
}

fn file(attachment: &Attachment) -> File<'_> {
    let inline = attachment.disposition == Disposition::Inline;
    File {
        filename: &attachment.name,
        content_type: attachment.content_type.as_deref(),
        content_id: attachment.id.as_deref().filter(|_| inline),
        content: Base64(&attachment.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use stheno_sdk::notifications::Content;

    fn message() -> Message {
        Message {
            id: "n-1".into(),
            channel: "email".into(),
            to: "ada@example.com".into(),
            from: None,
            cc: vec![],
            bcc: vec![],
            reply_to: vec![],
            template: None,
            data: None,
            content: Some(Content {
                subject: Some("hello".into()),
                text: Some("hi".into()),
                html: None,
            }),
            attachments: vec![],
            provider_data: None,
        }
    }

    fn body(message: &Message) -> Value {
        serde_json::to_value(Email::of(message, Some("Shop <shop@example.com>")).unwrap()).unwrap()
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
            json!({"from": "Shop <shop@example.com>", "to": ["ada@example.com"], "subject": "hello", "text": "hi"})
        );
    }

    #[test]
    fn everything_that_a_message_can_have_is_there() {
        let attachment = |disposition, id: Option<&str>| Attachment {
            name: "a.png".into(),
            content_type: Some("image/png".into()),
            disposition,
            id: id.map(str::to_owned),
            bytes: vec![0, 255],
        };
        let full = Message {
            from: Some("ceo@example.com".into()),
            cc: vec!["b@example.com".into()],
            bcc: vec!["c@example.com".into()],
            reply_to: vec!["d@example.com".into()],
            attachments: vec![
                attachment(Disposition::Attachment, None),
                attachment(Disposition::Inline, Some("logo")),
            ],
            provider_data: Some(r#"{"tags":[{"name":"a","value":"b"}],"topic_id":"t"}"#.into()),
            ..message()
        };
        assert_eq!(
            body(&full),
            json!({
                "from": "ceo@example.com", "to": ["ada@example.com"], "cc": ["b@example.com"],
                "bcc": ["c@example.com"], "reply_to": ["d@example.com"], "subject": "hello", "text": "hi",
                "attachments": [
                    {"filename": "a.png", "content_type": "image/png", "content": "AP8="},
                    {"filename": "a.png", "content_type": "image/png", "content_id": "logo", "content": "AP8="},
                ],
                "tags": [{"name": "a", "value": "b"}], "topic_id": "t",
            })
        );
    }

    #[test]
    fn a_template_takes_the_place_of_the_content_but_for_the_subject() {
        let templated = Message {
            template: Some("order-placed".into()),
            data: Some(r#"{"ORDER":1001,"NAME":"Ada"}"#.into()),
            ..message()
        };
        assert_eq!(
            body(&templated),
            json!({
                "from": "Shop <shop@example.com>", "to": ["ada@example.com"], "subject": "hello",
                "template": {"id": "order-placed", "variables": {"ORDER": 1001, "NAME": "Ada"}},
            })
        );
        let bare = Message { content: None, ..templated };
        assert_eq!(body(&bare).get("subject"), None);
    }

    #[test]
    fn numbers_reach_a_template_as_they_were_written() {
        let data = r#"{"total":12345678901234567890.10}"#;
        let exact = Message { template: Some("t".into()), data: Some(data.into()), ..message() };
        let email = Email::of(&exact, Some("shop@example.com")).unwrap();
        assert!(serde_json::to_string(&email).unwrap().contains(data));
    }

    #[test]
    fn what_resend_would_refuse_is_refused_here_by_its_name() {
        assert!(refusal(|message| message.to = "ada".into()).contains("`to`"));
        assert!(refusal(|message| message.cc = vec!["x".into()]).contains("`cc[0]`"));
        assert!(refusal(|message| message.content = None).contains("`subject`"));
        assert!(
            refusal(|message| message.provider_data = Some(r#"{"sandbox":1}"#.into()))
                .contains("`provider_data`")
        );
        let text = refusal(|message| {
            message.template = Some("t".into());
            message.data = Some(r#"{"a":[1]}"#.into());
        });
        assert!(text.contains("`data`"), "{text}");
        let unsent = message();
        let Err(Error::InvalidArgument(text)) = Email::of(&unsent, None) else {
            panic!("nobody sends it")
        };
        assert!(text.contains("`from`"), "{text}");
    }
}
