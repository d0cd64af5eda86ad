//! `notifications-resend`: the notifications module on Resend.
//!
//! This file is the seam to the host and holds no logic: `email` turns a message
//! into the body of a request, and what an answer means is in the crate `mail`.

mod email;
mod options;

use mail::{failure, post, said};
use serde::Deserialize;
use stheno_sdk::notifications::{Message, Notifications, Receipt};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result};

use email::Email;
use options::Options;

const SERVICE: &str = "Resend";
/// The most bytes of an answer.
const ANSWER: usize = 64 * 1024;
/// The longest idempotency key that Resend takes.
const KEY: usize = 256;

struct Resend(Options);

impl Lifecycle for Resend {
    fn describe() -> Description {
        let version = env!("CARGO_PKG_VERSION");
        Description::new("notifications-resend", version, Instances::Many, &[])
    }

    fn start(options: &str) -> Result<Self> {
        options::parse(options).map(Self)
    }
}

/// What Resend says of a mail that it has taken.
#[derive(Deserialize)]
struct Taken {
    id: String,
}

impl Notifications for Resend {
    fn send(&mut self, message: Message) -> Result<Receipt> {
        let email = Email::of(&message, self.0.from.as_deref())?;
        let key = Some(message.id.as_str()).filter(|id| id.len() <= KEY);
        let response = post(&self.0.url.at("/emails"), key, &email)?;
        let status = response.status();
        if status == 200 {
            return match serde_json::from_slice(&response.bytes(ANSWER)?) {
                Ok(Taken { id }) => Ok(Receipt { external_id: Some(id) }),
                Err(_) => Err(Error::Internal(format!("{SERVICE} answered 200 without an id"))),
            };
        }
        // The status decides; its words are lost if they cannot be read.
        let body = response.bytes(ANSWER).unwrap_or_default();
        Err(if status == 409 { conflict(&body) } else { failure(SERVICE, status, &body) })
    }
}

/// Its idempotency key is known.
fn conflict(body: &[u8]) -> Error {
    let said = said(body);
    let text = format!("{SERVICE} answered 409: {said}");
    // The same mail is under way in another request, which may yet succeed.
    if said.starts_with("concurrent_idempotent_requests") {
        Error::Timeout(text)
    } else {
        Error::Conflict(text)
    }
}

stheno_sdk::export_notifications_provider!(Resend);
