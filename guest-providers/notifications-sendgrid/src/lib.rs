//! `notifications-sendgrid`: the notifications module on Twilio SendGrid.
//!
//! This file is the seam to the host and holds no logic: `email` turns a message
//! into the body of a request, and what an answer means is in the crate `mail`.

mod email;
mod options;

use mail::{failure, post};
use stheno_sdk::notifications::{Message, Notifications, Receipt};
use stheno_sdk::{Description, Instances, Lifecycle, Result};

use email::Email;
use options::Options;

const SERVICE: &str = "SendGrid";
/// The most bytes of an answer.
const ANSWER: usize = 64 * 1024;
/// What SendGrid says of a mail that it will deliver. 200 is a mail that was only
/// looked at, in sandbox mode.
const ACCEPTED: u16 = 202;

struct SendGrid(Options);

impl Lifecycle for SendGrid {
    fn describe() -> Description {
        let version = env!("CARGO_PKG_VERSION");
        Description::new("notifications-sendgrid", version, Instances::Many, &[])
    }

    fn start(options: &str) -> Result<Self> {
        options::parse(options).map(Self)
    }
}

impl Notifications for SendGrid {
    fn send(&mut self, message: Message) -> Result<Receipt> {
        let email = Email::of(&message, self.0.from.as_deref())?;
        let response = post(&self.0.url.at("/v3/mail/send"), None, &email)?;
        match response.status() {
            ACCEPTED => Ok(Receipt { external_id: response.header("x-message-id") }),
            // The status decides; its words are lost if they cannot be read.
            status => Err(failure(SERVICE, status, &response.bytes(ANSWER).unwrap_or_default())),
        }
    }
}

stheno_sdk::export_notifications_provider!(SendGrid);
