//! What is sent.

use stheno::{
    Attachment, Content, Disposition, ErrorKind, JsonObject, MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS,
    NewNotification, Notifications,
};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, fails, holds, pattern, there};

pub(crate) const CASES: &[Case] = cases! {
    Notifications:
    "notifications.send.receipt" =>
        "A message that was handed over has a receipt, and its record says `success`.", receipt;
    "notifications.send.parts" =>
        "A message may have a subject, text or HTML alone.", parts;
    "notifications.send.template" =>
        "A message may have a template with data, alone or beside content.", template;
    "notifications.send.addresses" =>
        "A message may have a sender and 100 addresses each in cc, bcc and reply-to.", addresses;
    "notifications.send.odd" => "Texts have any characters.", odd;
    "notifications.send.largest" =>
        "A message may have 1 MiB each of text and HTML, and 32 attachments of 16 MiB together.", largest;
    "notifications.send.data" =>
        "A message may have 64 KiB of data for the provider.", data;
    "notifications.key.once" =>
        "What is sent again under one idempotency key goes out once, and has one record.", once;
    "notifications.key.batch" =>
        "What has one idempotency key goes out once also within one batch.", batch;
    "notifications.key.conflict" =>
        "One idempotency key for another recipient is `conflict`, and nothing goes out.", conflict;
    "notifications.batch.all" => "Each message of a batch goes out and has a record of its own.", all;
    "notifications.restart.serves" => "A provider sends after a restart as it did before.", restart;
};

async fn receipt(s: Subject) -> Outcome {
    let sent = s.sent(s.mail("a")).await?;
    equal("the error", sent.error.as_deref(), None)?;
    equal("the attempts", sent.attempts, 1)?;
    equal("the recipient", &sent.to, &s.to("a"))?;
    let found = s.api.get(&sent.id).await?;
    equal("the record", found, sent)?;
    s.went_out("a", 1).await
}

async fn parts(s: Subject) -> Outcome {
    let text = |text: &str| Some(text.to_owned());
    for (to, content) in [
        ("subject", Content { subject: text("s"), ..Content::default() }),
        ("text", Content { text: text("t"), ..Content::default() }),
        ("html", Content { html: text("<b>h</b>"), ..Content::default() }),
        ("all", Content { subject: text("s"), text: text("t"), html: text("<b>h</b>") }),
    ] {
        s.sent(NewNotification { content: Some(content), ..s.mail(to) }).await?;
        s.went_out(to, 1).await?;
    }
    Ok(())
}

async fn template(s: Subject) -> Outcome {
    let data = JsonObject::parse(r#"{"order": 1001, "total": 12.50}"#)?;
    let alone = NewNotification::template("email", s.to("alone"), "placed", data);
    s.sent(alone.clone()).await?;
    let beside = NewNotification { content: s.mail("x").content, to: s.to("beside"), ..alone };
    s.sent(beside).await?;
    s.went_out("alone", 1).await?;
    s.went_out("beside", 1).await
}

async fn addresses(s: Subject) -> Outcome {
    let many = |kind: &str| (0..100).map(|n| s.to(&format!("{kind}{n}"))).collect();
    let mail = NewNotification {
        from: Some(s.to("from")),
        cc: many("cc"),
        bcc: many("bcc"),
        reply_to: many("reply"),
        ..s.mail("a")
    };
    s.sent(mail).await?;
    s.went_out("a", 1).await
}

async fn odd(s: Subject) -> Outcome {
    for (at, odd) in ["", " ", "ü 日本 🦀", "a\r\n.\r\nb", "\0", "\"'\\{{x}}%s<>&", "\u{202e}"]
        .iter()
        .enumerate()
    {
        let to = format!("a{at}");
        let (text, html) = (Some((*odd).to_owned()), Some((*odd).to_owned()));
        let content = Content { subject: Some("größe 🦀".to_owned()), text, html };
        s.sent(NewNotification { content: Some(content), ..s.mail(&to) }).await?;
        s.went_out(&to, 1).await?;
    }
    Ok(())
}

async fn largest(s: Subject) -> Outcome {
    let each = MAX_ATTACHMENT_BYTES / MAX_ATTACHMENTS;
    let attachment = |n: usize| Attachment {
        name: format!("größe {n}.pdf"),
        content_type: n.is_multiple_of(2).then(|| "application/pdf".to_owned()),
        disposition: match n % 3 {
            0 => Disposition::Inline(format!("id{n}")),
            _ => Disposition::Attachment(None),
        },
        bytes: pattern(each),
    };
    let part = Some("x".repeat(1 << 20));
    let content = Content { subject: Some("s".repeat(4_096)), text: part.clone(), html: part };
    let attachments = (0..MAX_ATTACHMENTS).map(attachment).collect();
    s.sent(NewNotification { content: Some(content), attachments, ..s.mail("a") }).await.map(drop)
}

async fn data(s: Subject) -> Outcome {
    let data = JsonObject::parse(&format!("{{\"a\":\"{}\"}}", "x".repeat(65_527)))?;
    let mail = NewNotification {
        provider_data: Some(data.clone()),
        data: Some(data),
        template: Some("placed".to_owned()),
        ..s.mail("a")
    };
    s.sent(mail).await?;
    s.went_out("a", 1).await
}

async fn once(s: Subject) -> Outcome {
    let key = s.own("key");
    let first = s.sent(s.mail("a").key(&key)).await?;
    let again = s.sent(s.mail("a").key(&key)).await?;
    equal("the record of the second time", again, first)?;
    s.went_out("a", 1).await
}

async fn batch(s: Subject) -> Outcome {
    let key = s.own("key");
    let same = || s.mail("a").key(&key);
    let sent =
        s.api.send_all(vec![same(), s.mail("b"), same()]).await.map_err(stheno::Error::from)?;
    let ids: Vec<_> = sent.iter().map(|record| record.id.as_str()).collect();
    equal("how many records there are", ids.len(), 3)?;
    holds(ids.first() == ids.last() && ids.first() != ids.get(1), || {
        format!("the records are {ids:?}")
    })?;
    s.went_out("a", 1).await?;
    s.went_out("b", 1).await
}

async fn conflict(s: Subject) -> Outcome {
    let key = s.own("key");
    s.sent(s.mail("a").key(&key)).await?;
    let other = s.api.send(s.mail("b").key(&key)).await;
    fails("another recipient", other, ErrorKind::Conflict)?;
    s.went_out("b", 0).await
}

async fn all(s: Subject) -> Outcome {
    let mails: Vec<_> = (0..20).map(|n| s.mail(&format!("a{n}"))).collect();
    let sent = s.api.send_all(mails.clone()).await.map_err(stheno::Error::from)?;
    let to: Vec<_> = sent.iter().map(|record| &record.to).collect();
    let expected: Vec<_> = mails.iter().map(|mail| &mail.to).collect();
    equal("the recipients of the records", to, expected)?;
    for n in 0..20 {
        s.went_out(&format!("a{n}"), 1).await?;
    }
    Ok(())
}

async fn restart(s: Subject) -> Outcome {
    s.sent(s.mail("before")).await?;
    let s = s.restart().await?;
    let sent = s.sent(s.mail("after")).await?;
    there("the record", s.api.get(&sent.id).await.ok())?;
    s.went_out("after", 1).await
}
