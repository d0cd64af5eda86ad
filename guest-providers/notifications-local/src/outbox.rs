//! What went out, the newest of it, within bounds.

use std::collections::VecDeque;

use stheno_sdk::notifications::{Content, Kept, KeptAttachment, Message, OutboxPage};
use stheno_sdk::{Error, Result};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// An answer is a copy, so a page ends after this much.
const PAGE_BYTES: usize = 4 << 20;
/// What a message costs beside its texts.
const OVERHEAD: usize = 256;

/// The outbox. The oldest goes when there is no more room.
pub(crate) struct Outbox {
    limits: Limits,
    /// Makes the ids of this instance unlike those of the one before.
    seed: u32,
    next: u32,
    bytes: usize,
    kept: VecDeque<Slot>,
}

struct Slot {
    number: u32,
    bytes: usize,
    kept: Kept,
}

impl Outbox {
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        // Its upper half: as good as any other.
        let seed = u32::try_from(seed >> 32).unwrap_or_default();
        Self { limits, seed, next: 0, bytes: 0, kept: VecDeque::new() }
    }

    /// Keeps a message without the bytes of its attachments and gives it an id.
    /// One that is larger than all the room is given an id and not kept.
    pub(crate) fn put(&mut self, mut message: Message, now_ms: u64) -> String {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let external_id = self.id(number);
        let attachments: Vec<_> = std::mem::take(&mut message.attachments)
            .into_iter()
            .map(|attachment| KeptAttachment {
                size: attachment.bytes.len() as u64,
                name: attachment.name,
                content_type: attachment.content_type,
                disposition: attachment.disposition,
                id: attachment.id,
            })
            .collect();
        let bytes = weight(&message, &attachments);
        if self.limits.messages == 0 || bytes > self.limits.bytes {
            return external_id;
        }
        while self.kept.len() >= self.limits.messages || self.bytes + bytes > self.limits.bytes {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
        self.bytes += bytes;
        let kept = Kept { external_id: external_id.clone(), sent_ms: now_ms, message, attachments };
        self.kept.push_back(Slot { number, bytes, kept });
        external_id
    }

    /// At most `max` messages after the one with this id, the oldest first.
    pub(crate) fn page(&self, after: Option<&str>, max: u32) -> Result<OutboxPage> {
        let begin = match after {
            None => 0,
            Some(id) => {
                let number = self.number(id).ok_or_else(|| {
                    Error::InvalidArgument(format!(
                        "after {id:?} is not what a page gave as `next`; begin without it"
                    ))
                })?;
                // Numbers go up by one: a place is a subtraction away, and one
                // that has gone means the oldest.
                let first = self.kept.front().map_or(self.next, |slot| slot.number);
                let skip = number.wrapping_sub(first).wrapping_add(1);
                if skip <= self.next.wrapping_sub(first) { skip as usize } else { 0 }
            }
        };
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let (mut items, mut bytes) = (Vec::new(), 0);
        for slot in self.kept.iter().skip(begin) {
            if items.len() >= max || (bytes > 0 && bytes + slot.bytes > PAGE_BYTES) {
                break;
            }
            bytes += slot.bytes;
            items.push(slot.kept.clone());
        }
        let more = begin + items.len() < self.kept.len();
        let next = items.last().filter(|_| more).map(|last: &Kept| last.external_id.clone());
        Ok(OutboxPage { items, next })
    }

    fn id(&self, number: u32) -> String {
        format!("{:08x}{number:08x}", self.seed)
    }

    fn number(&self, id: &str) -> Option<u32> {
        let (seed, number) = id.split_at_checked(8)?;
        let hex = |text: &str| {
            let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u32::from_str_radix(text, 16).ok()).flatten()
        };
        let number = hex(number)?;
        (hex(seed)? == self.seed && number.wrapping_sub(self.next) > u32::MAX / 2).then_some(number)
    }
}

fn optional(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

fn weight(message: &Message, attachments: &[KeptAttachment]) -> usize {
    let Message { id, channel, to, from, cc, bcc, reply_to, template, data, content, .. } = message;
    let addresses = [cc, bcc, reply_to].into_iter().flatten().map(|address| address.len() + 32);
    let content = content.as_ref().map_or(0, |Content { subject, text, html }| {
        optional(subject.as_ref()) + optional(text.as_ref()) + optional(html.as_ref())
    });
    let attachments = attachments.iter().map(|attachment| {
        attachment.name.len()
            + optional(attachment.content_type.as_ref())
            + optional(attachment.id.as_ref())
            + 64
    });
    OVERHEAD
        + id.len()
        + channel.len()
        + to.len()
        + optional(from.as_ref())
        + optional(template.as_ref())
        + optional(data.as_ref())
        + optional(message.provider_data.as_ref())
        + addresses.sum::<usize>()
        + content
        + attachments.sum::<usize>()
}

/// The log line of a message: who gets what, and nothing of what it says but
/// its subject.
pub(crate) fn line(message: &Message) -> String {
    let mut line = format!("{}: {} to {}", message.id, message.channel, message.to);
    if let Some(template) = &message.template {
        line += &format!(", template {template}");
    }
    if let Some(subject) = message.content.as_ref().and_then(|content| content.subject.as_ref()) {
        line += &format!(", subject {subject:?}");
    }
    if !message.attachments.is_empty() {
        line += &format!(", {} attachments", message.attachments.len());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stheno_sdk::notifications::{Attachment, Disposition};

    fn message(to: &str, size: usize) -> Message {
        Message {
            id: "n".to_owned(),
            channel: "email".to_owned(),
            to: to.to_owned(),
            from: None,
            cc: vec![],
            bcc: vec![],
            reply_to: vec![],
            template: None,
            data: None,
            content: Some(Content {
                subject: Some("s".into()),
                text: Some("x".repeat(size)),
                html: None,
            }),
            attachments: vec![Attachment {
                name: "a".to_owned(),
                content_type: None,
                disposition: Disposition::Inline,
                id: Some("cid".to_owned()),
                bytes: vec![7; 1_000_000],
            }],
            provider_data: None,
        }
    }

    fn outbox(messages: usize, bytes: usize) -> Outbox {
        Outbox::new(Limits { messages, bytes }, 0xabcd_0123_0000_0000)
    }

    #[test]
    fn attachments_are_kept_by_their_size() {
        let mut outbox = outbox(10, 1 << 20);
        let id = outbox.put(message("a", 10), 5);
        let page = outbox.page(None, 10).unwrap();
        let kept = &page.items[0];
        assert_eq!((kept.external_id.as_str(), kept.sent_ms), (id.as_str(), 5));
        assert!(kept.message.attachments.is_empty());
        assert_eq!(
            (kept.attachments[0].size, kept.attachments[0].id.as_deref()),
            (1_000_000, Some("cid"))
        );
    }

    #[test]
    fn a_message_beyond_all_room_is_not_kept_and_costs_no_other() {
        let mut outbox = outbox(10, 2_000);
        outbox.put(message("a", 10), 0);
        outbox.put(message("b", 2_000), 0);
        let page = outbox.page(None, 10).unwrap();
        assert_eq!(page.items.len(), 1);
        assert_eq!(page.items[0].message.to, "a");
    }

    #[test]
    fn only_what_a_page_gave_goes_on() {
        let mut outbox = outbox(10, 1 << 20);
        outbox.put(message("a", 1), 0);
        for after in
            ["", "abcd012300000001", "ffffffff00000000", "abcd0123é0000000", "abcd0123+0000000"]
        {
            let error = outbox.page(Some(after), 1).unwrap_err();
            assert!(format!("{error:?}").contains("after"), "{after}");
        }
        assert!(outbox.page(Some("abcd012300000000"), 1).unwrap().items.is_empty());
    }

    #[test]
    fn a_page_ends_after_its_bytes() {
        let mut outbox = outbox(10, 64 << 20);
        for to in ["a", "b", "c"] {
            outbox.put(message(to, 3 << 20), 0);
        }
        let page = outbox.page(None, 10).unwrap();
        assert_eq!(page.items.len(), 1);
        assert!(page.next.is_some());
    }

    #[test]
    fn the_line_names_who_and_what_and_not_the_text() {
        let line = line(&message("a@b.c", 3));
        assert_eq!(line, "n: email to a@b.c, subject \"s\", 1 attachments");
    }

    proptest! {
        #[test]
        fn it_is_the_newest_in_order_whatever_pages_are_read(
            sizes in prop::collection::vec(0_usize..900, 0..60),
            most in 0_usize..12,
            room in 1_usize..6_000,
            page in 1_u32..5,
        ) {
            let mut outbox = outbox(most, room);
            let mut model: Vec<(String, usize)> = Vec::new();
            for (number, size) in sizes.iter().enumerate() {
                let to = number.to_string();
                let mut bare = message(&to, *size);
                bare.attachments.clear();
                let bytes = weight(&bare, &[]);
                outbox.put(bare, 0);
                if most > 0 && bytes <= room {
                    model.push((to, bytes));
                    while model.len() > most
                        || model.iter().map(|(_, bytes)| bytes).sum::<usize>() > room
                    {
                        model.remove(0);
                    }
                }
            }
            let (mut read, mut after) = (Vec::new(), None);
            loop {
                let found = outbox.page(after.as_deref(), page).unwrap();
                prop_assert!(found.items.len() <= page as usize);
                read.extend(found.items.into_iter().map(|kept| kept.message.to));
                after = found.next;
                if after.is_none() {
                    break;
                }
            }
            let expected: Vec<_> = model.into_iter().map(|(to, _)| to).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
