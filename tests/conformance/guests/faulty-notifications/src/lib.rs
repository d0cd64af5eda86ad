//! `notifications-local` with one fault at a time.

// The logic is the real provider's, so that nothing is wrong but the fault.
#[path = "../../../../../guest-providers/notifications-local/src/options.rs"]
mod options;
#[path = "../../../../../guest-providers/notifications-local/src/outbox.rs"]
mod outbox;

use faulty_support::{left_out, split};
use serde::Deserialize;
use stheno_sdk::notifications::{Message, Notifications, OutboxPage, Receipt};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock, log};

use options::Options;
use outbox::{Outbox, line};

const PLAIN: bool = cfg!(feature = "plain");

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    #[default]
    None,
    /// A message without a subject has a receipt and goes nowhere.
    FalseReceipt,
    /// Every message goes out twice.
    SendsTwice,
    /// Attachments are left out.
    LosesAttachments,
    /// Blind copies become open ones.
    ShowsBlindCopies,
    /// A template is an error.
    RefusesTemplates,
    /// A page of the outbox begins at the start whatever `after` says.
    IgnoresAfter,
}

struct Faulty {
    fault: Fault,
    outbox: Outbox,
}

impl Lifecycle for Faulty {
    fn describe() -> Description {
        let features: &[&str] = if PLAIN { &[] } else { &["outbox"] };
        Description::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            Instances::One,
            features,
        )
    }

    fn start(options: &str) -> Result<Self> {
        let (fault, options) = split(options)?;
        let limits = stheno_sdk::options::parse::<Options>(&options)?.limits();
        Ok(Self { fault, outbox: Outbox::new(limits, 0) })
    }
}

impl Notifications for Faulty {
    fn send(&mut self, mut message: Message) -> Result<Receipt> {
        let now = clock::unix_ms();
        log::debug(&line(&message));
        match self.fault {
            Fault::FalseReceipt
                if message.content.as_ref().is_some_and(|it| it.subject.is_none()) =>
            {
                return Ok(Receipt { external_id: Some("nowhere".to_owned()) });
            }
            Fault::SendsTwice => drop(self.outbox.put(message.clone(), now)),
            Fault::LosesAttachments => message.attachments.clear(),
            Fault::ShowsBlindCopies => message.cc.append(&mut message.bcc),
            Fault::RefusesTemplates if message.template.is_some() => {
                return Err(Error::InvalidArgument("template: there is none".to_owned()));
            }
            _ => {}
        }
        Ok(Receipt { external_id: Some(self.outbox.put(message, now)) })
    }

    fn outbox(&mut self, after: Option<String>, max: u32) -> Result<OutboxPage> {
        if PLAIN {
            return left_out("outbox");
        }
        if self.fault == Fault::IgnoresAfter && after.is_some() {
            let mut page = self.outbox.page(None, max)?;
            page.next = None;
            return Ok(page);
        }
        self.outbox.page(after.as_deref(), max)
    }
}

stheno_sdk::export_notifications_provider!(Faulty);
