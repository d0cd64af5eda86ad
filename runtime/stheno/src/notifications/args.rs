//! What may be sent: the limits of the contract, checked once, here.

use stheno_config::Channel;
use stheno_contracts::notifications as contract;

use super::Labels;
use crate::{Error, JsonObject};

/// The longest address, template name, attachment name, id or idempotency key,
/// in bytes.
const MAX_TEXT_BYTES: usize = 1_024;
/// The most addresses in each of `cc`, `bcc` and `reply_to`.
const MAX_ADDRESSES: usize = 100;
const MAX_SUBJECT_BYTES: usize = 4 * 1024;
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The most attachments of one notification.
pub const MAX_ATTACHMENTS: usize = 32;
/// The most bytes of all attachments of one notification together.
pub const MAX_ATTACHMENT_BYTES: usize = 16 * 1024 * 1024;
const MAX_LABELS: usize = 16;
const MAX_LABEL_BYTES: usize = 4 * 1024;
/// The most notifications in one call, or on one page.
pub(super) const MAX_ITEMS: usize = 1_000;

/// A notification to be sent. It needs a template, content, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// Such as `email`; the config says who serves it. 1 to 64 bytes.
    pub channel: String,
    /// Whatever the channel calls an address. 1 to 1,024 bytes.
    pub to: String,
    /// None takes the provider's own.
    pub from: Option<String>,
    /// At most 100.
    pub cc: Vec<String>,
    /// At most 100.
    pub bcc: Vec<String>,
    /// At most 100.
    pub reply_to: Vec<String>,
    /// The name of a template that the provider or its service has.
    pub template: Option<String>,
    /// What fills the template. It is kept in the record.
    pub data: Option<JsonObject>,
    /// What is written in the message itself. It is not kept.
    pub content: Option<Content>,
    /// At most [`MAX_ATTACHMENTS`] of [`MAX_ATTACHMENT_BYTES`] together. They are
    /// not kept.
    pub attachments: Vec<Attachment>,
    /// What only this provider understands. It is not kept.
    pub provider_data: Option<JsonObject>,
    /// What is sent under one key is sent once. 1 to 1,024 bytes.
    pub idempotency_key: Option<String>,
    /// Sends it also if its key was being sent when a process ended
    /// ([`NotificationStatus::Unknown`](crate::NotificationStatus::Unknown)): it
    /// may then go out twice.
    pub resend_unknown: bool,
    /// Pairs that the record keeps and can be found by: at most 16, of 4 KiB
    /// together. The provider does not see them.
    pub labels: Labels,
}

/// What is written in the message itself: at least one part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// At most 4 KiB.
    pub subject: Option<String>,
    /// The body as plain text, at most 1 MiB.
    pub text: Option<String>,
    /// The body as HTML, at most 1 MiB.
    pub html: Option<String>,
}

/// A file that travels with a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file's name.
    pub name: String,
    /// Such as `application/pdf`; none leaves it to the provider.
    pub content_type: Option<String>,
    /// Where it is shown.
    pub disposition: Disposition,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Where an attachment is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Below the message, with an id if one is needed.
    Attachment(Option<String>),
    /// Within it, where the HTML names this id, as in `cid:ID`.
    Inline(String),
}

impl NewNotification {
    /// One with this template, to be filled with `data`.
    pub fn template(
        channel: impl Into<String>,
        to: impl Into<String>,
        template: impl Into<String>,
        data: JsonObject,
    ) -> Self {
        let mut new = Self::empty(channel.into(), to.into());
        new.template = Some(template.into());
        new.data = Some(data);
        new
    }

    /// One with this content.
    pub fn content(channel: impl Into<String>, to: impl Into<String>, content: Content) -> Self {
        let mut new = Self::empty(channel.into(), to.into());
        new.content = Some(content);
        new
    }

    fn empty(channel: String, to: String) -> Self {
        Self {
            channel,
            to,
            from: None,
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            template: None,
            data: None,
            content: None,
            attachments: Vec::new(),
            provider_data: None,
            idempotency_key: None,
            resend_unknown: false,
            labels: Vec::new(),
        }
    }

    /// The same under this idempotency key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The same, to be sent also if it is not known whether its key was sent.
    #[must_use]
    pub fn resend_unknown(mut self) -> Self {
        self.resend_unknown = true;
        self
    }

    /// The same with this label too.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }
}

/// A notification that has been checked: what the provider gets, but for the
/// id, and what only the host keeps.
#[derive(Clone)]
pub(super) struct Checked {
    pub(super) channel: Channel,
    pub(super) message: contract::Message,
    pub(super) key: Option<String>,
    pub(super) resend_unknown: bool,
    pub(super) labels: Labels,
}

impl Checked {
    pub(super) fn new(new: NewNotification) -> Result<Self, Error> {
        let channel = channel(&new.channel)?;
        text("to", &new.to)?;
        optional("from", new.from.as_ref())?;
        optional("template", new.template.as_ref())?;
        optional("idempotency_key", new.idempotency_key.as_ref())?;
        for (name, all) in [("cc", &new.cc), ("bcc", &new.bcc), ("reply_to", &new.reply_to)] {
            if all.len() > MAX_ADDRESSES {
                return Err(Error::invalid(format!(
                    "{name} has {} addresses, at most {MAX_ADDRESSES} are allowed",
                    all.len()
                )));
            }
            for (position, address) in all.iter().enumerate() {
                text(&format!("{name}[{position}]"), address)?;
            }
        }
        if new.template.is_none() && new.content.is_none() {
            return Err(Error::invalid("give template, content, or both"));
        }
        let content = new.content.map(checked_content).transpose()?;
        let attachments = checked_attachments(new.attachments)?;
        labels(&new.labels)?;
        let message = contract::Message {
            id: String::new(),
            channel: new.channel,
            to: new.to,
            from: new.from,
            cc: new.cc,
            bcc: new.bcc,
            reply_to: new.reply_to,
            template: new.template,
            data: new.data.map(JsonObject::into_string),
            content,
            attachments,
            provider_data: new.provider_data.map(JsonObject::into_string),
        };
        Ok(Self {
            channel,
            message,
            key: new.idempotency_key,
            resend_unknown: new.resend_unknown,
            labels: new.labels,
        })
    }
}

fn channel(text: &str) -> Result<Channel, Error> {
    Channel::new(text).map_err(|error| Error::invalid(format!("channel: {error}")))
}

/// A text of 1 to 1,024 bytes without control characters: a line end in an
/// address could begin a header of its own.
pub(super) fn text(argument: &str, text: &str) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::invalid(format!("{argument} {what}")));
    match text.len() {
        0 => wrong("is empty".into()),
        1..=MAX_TEXT_BYTES if text.chars().any(char::is_control) => {
            wrong("has a control character".into())
        }
        1..=MAX_TEXT_BYTES => Ok(()),
        bytes => wrong(format!("has {bytes} bytes, at most {MAX_TEXT_BYTES} are allowed")),
    }
}

fn optional(argument: &str, value: Option<&String>) -> Result<(), Error> {
    value.map_or(Ok(()), |value| text(argument, value))
}

fn checked_content(content: Content) -> Result<contract::Content, Error> {
    let Content { subject, text, html } = content;
    if subject.is_none() && text.is_none() && html.is_none() {
        return Err(Error::invalid("content is empty: give subject, text or html"));
    }
    for (name, part, most) in [
        ("content.subject", &subject, MAX_SUBJECT_BYTES),
        ("content.text", &text, MAX_BODY_BYTES),
        ("content.html", &html, MAX_BODY_BYTES),
    ] {
        let bytes = part.as_ref().map_or(0, String::len);
        if bytes > most {
            return Err(Error::invalid(format!(
                "{name} has {bytes} bytes, at most {most} are allowed"
            )));
        }
    }
    if subject.as_ref().is_some_and(|subject| subject.chars().any(char::is_control)) {
        return Err(Error::invalid("content.subject has a control character"));
    }
    Ok(contract::Content { subject, text, html })
}

fn checked_attachments(all: Vec<Attachment>) -> Result<Vec<contract::Attachment>, Error> {
    if all.len() > MAX_ATTACHMENTS {
        return Err(Error::invalid(format!(
            "attachments has {} items, at most {MAX_ATTACHMENTS} are allowed",
            all.len()
        )));
    }
    let bytes: usize = all.iter().map(|attachment| attachment.bytes.len()).sum();
    if bytes > MAX_ATTACHMENT_BYTES {
        return Err(Error::invalid(format!(
            "attachments have {bytes} bytes together, at most {MAX_ATTACHMENT_BYTES} (16 MiB) are \
             allowed; send a link instead"
        )));
    }
    let checked = |(position, attachment): (usize, Attachment)| {
        let at = format!("attachments[{position}]");
        text(&format!("{at}.name"), &attachment.name)?;
        optional(&format!("{at}.content_type"), attachment.content_type.as_ref())?;
        let (disposition, id) = match attachment.disposition {
            Disposition::Attachment(id) => (contract::Disposition::Attachment, id),
            Disposition::Inline(id) => (contract::Disposition::Inline, Some(id)),
        };
        optional(&format!("{at}.id"), id.as_ref())?;
        Ok(contract::Attachment {
            name: attachment.name,
            content_type: attachment.content_type,
            disposition,
            id,
            bytes: attachment.bytes,
        })
    };
    all.into_iter().enumerate().map(checked).collect()
}

fn labels(labels: &Labels) -> Result<(), Error> {
    let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
    if labels.len() > MAX_LABELS || bytes > MAX_LABEL_BYTES {
        return Err(Error::invalid(format!(
            "labels has {} pairs of {bytes} bytes, at most {MAX_LABELS} of {MAX_LABEL_BYTES} are \
             allowed",
            labels.len()
        )));
    }
    Ok(())
}

/// All of them checked, with the position in the error.
pub(super) fn checked(all: Vec<NewNotification>) -> Result<Vec<Checked>, Error> {
    if all.len() > MAX_ITEMS {
        return Err(Error::invalid(format!(
            "notifications has {} items, at most {MAX_ITEMS} in one call are allowed",
            all.len()
        )));
    }
    let checked = |(position, new)| {
        Checked::new(new).map_err(|error| {
            Error::new(error.kind(), format!("notifications[{position}]: {}", error.message()))
        })
    };
    all.into_iter().enumerate().map(checked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn base() -> NewNotification {
        let content = Content { text: Some("hello".into()), ..Content::default() };
        NewNotification::content("email", "a@example.com", content)
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        assert!(Checked::new(base()).is_ok());
        let attachment = |bytes: usize| Attachment {
            name: "a".into(),
            content_type: None,
            disposition: Disposition::Attachment(None),
            bytes: vec![0; bytes],
        };
        let content = |content| NewNotification { content: Some(content), ..base() };
        let long = || Some("x".repeat(MAX_BODY_BYTES + 1));
        for (wrong, argument) in [
            (NewNotification { channel: String::new(), ..base() }, "channel"),
            (NewNotification { channel: "c".repeat(65), ..base() }, "channel"),
            (NewNotification { to: String::new(), ..base() }, "to"),
            (NewNotification { to: "a\r\nBcc: b".into(), ..base() }, "to"),
            (NewNotification { to: "a".repeat(1_025), ..base() }, "to"),
            (NewNotification { from: Some(String::new()), ..base() }, "from"),
            (NewNotification { cc: vec![String::new()], ..base() }, "cc[0]"),
            (NewNotification { bcc: vec!["a".into(); 101], ..base() }, "bcc"),
            (NewNotification { reply_to: vec!["a\n".into()], ..base() }, "reply_to[0]"),
            (NewNotification { template: Some(String::new()), ..base() }, "template"),
            (NewNotification { content: None, ..base() }, "give template"),
            (content(Content::default()), "content"),
            (content(Content { text: long(), ..Content::default() }), "content.text"),
            (content(Content { html: long(), ..Content::default() }), "content.html"),
            (content(Content { subject: long(), ..Content::default() }), "content.subject"),
            (
                content(Content { subject: Some("a\nb".into()), ..Content::default() }),
                "content.subject",
            ),
            (NewNotification { attachments: vec![attachment(0); 33], ..base() }, "attachments"),
            (
                NewNotification { attachments: vec![attachment(9 << 20); 2], ..base() },
                "attachments",
            ),
            (
                NewNotification {
                    attachments: vec![Attachment { name: String::new(), ..attachment(0) }],
                    ..base()
                },
                "attachments[0].name",
            ),
            (
                NewNotification {
                    attachments: vec![Attachment {
                        disposition: Disposition::Inline(String::new()),
                        ..attachment(0)
                    }],
                    ..base()
                },
                "attachments[0].id",
            ),
            (base().key(""), "idempotency_key"),
            (NewNotification { labels: vec![Default::default(); 17], ..base() }, "labels"),
            (base().label("k", "v".repeat(4_096)), "labels"),
        ] {
            let error = Checked::new(wrong).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().starts_with(argument), "{argument}: {error}");
        }
    }

    #[test]
    fn the_position_in_a_batch_is_named() {
        let error = checked(vec![base(), NewNotification { to: String::new(), ..base() }]);
        assert_eq!(error.err().unwrap().message(), "notifications[1]: to is empty");
        assert!(checked(vec![base(); MAX_ITEMS + 1]).is_err());
    }
}
