//! A notifications provider that fails as its options say, and else keeps what
//! it got, so that a test sees what came through. Its external id says how many
//! bytes the attachments had and gives a checksum of them. It says that it hands
//! over one id once, which is true for as long as it lives.

use serde::Deserialize;
use stheno_sdk::notifications::{
    Kept, KeptAttachment, Message, Notifications, OutboxPage, Receipt,
};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock, options};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fail {
    Unavailable,
    Timeout,
    InvalidArgument,
    Denied,
    /// Traps.
    Panic,
    /// Never returns.
    Loop,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    fail: Fail,
    /// How many of the first sends fail.
    times: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { fail: Fail::Unavailable, times: 0 }
    }
}

struct Failing {
    options: Options,
    kept: Vec<Kept>,
}

impl Lifecycle for Failing {
    fn describe() -> Description {
        let version = env!("CARGO_PKG_VERSION");
        Description::new(
            "failing-notifications",
            version,
            Instances::One,
            &["outbox", "idempotent"],
        )
    }

    fn start(json: &str) -> Result<Self> {
        Ok(Self { options: options::parse(json)?, kept: Vec::new() })
    }
}

impl Notifications for Failing {
    fn send(&mut self, mut message: Message) -> Result<Receipt> {
        if self.options.times > 0 {
            self.options.times -= 1;
            let text = "as the options say".to_owned();
            return Err(match self.options.fail {
                Fail::Unavailable => Error::Unavailable(text),
                Fail::Timeout => Error::Timeout(text),
                Fail::InvalidArgument => Error::InvalidArgument(text),
                Fail::Denied => Error::Denied(text),
                #[allow(clippy::panic, reason = "it is what was asked for")]
                Fail::Panic => panic!("{text}"),
                Fail::Loop => loop {
                    std::hint::spin_loop();
                },
            });
        }
        if let Some(kept) = self.kept.iter().find(|kept| kept.message.id == message.id) {
            return Ok(Receipt { external_id: Some(kept.external_id.clone()) });
        }
        let (mut bytes, mut sum) = (0, 0_u64);
        for byte in message.attachments.iter().flat_map(|attachment| &attachment.bytes) {
            bytes += 1;
            sum = sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
        }
        let external_id = format!("{bytes}:{sum}");
        let attachments = std::mem::take(&mut message.attachments)
            .into_iter()
            .map(|attachment| KeptAttachment {
                size: attachment.bytes.len() as u64,
                name: attachment.name,
                content_type: attachment.content_type,
                disposition: attachment.disposition,
                id: attachment.id,
            })
            .collect();
        let sent_ms = clock::unix_ms();
        let kept = Kept { external_id: external_id.clone(), sent_ms, message, attachments };
        self.kept.push(kept);
        Ok(Receipt { external_id: Some(external_id) })
    }

    fn outbox(&mut self, _: Option<String>, _: u32) -> Result<OutboxPage> {
        Ok(OutboxPage { items: self.kept.clone(), next: None })
    }
}

stheno_sdk::export_notifications_provider!(Failing);
