//! `notifications-local`: the notifications module on the log, with an outbox in
//! the memory of one instance.
//!
//! This file is the seam to the host and holds no logic: it reads the clock,
//! logs, and hands over to `outbox`, which never calls the host and is tested
//! natively.

mod options;
mod outbox;

use std::hash::{BuildHasher, RandomState};

use stheno_sdk::notifications::{Message, Notifications, OutboxPage, Receipt};
use stheno_sdk::{Description, Instances, Lifecycle, Result, clock, log};

use options::Options;
use outbox::{Outbox, line};

struct NotificationsLocal {
    outbox: Outbox,
}

impl Lifecycle for NotificationsLocal {
    fn describe() -> Description {
        Description::new(
            "notifications-local",
            env!("CARGO_PKG_VERSION"),
            Instances::One,
            &["outbox"],
        )
    }

    fn start(options: &str) -> Result<Self> {
        let limits = stheno_sdk::options::parse::<Options>(options)?.limits();
        let seed = RandomState::new().hash_one(clock::unix_ms());
        Ok(Self { outbox: Outbox::new(limits, seed) })
    }
}

impl Notifications for NotificationsLocal {
    fn send(&mut self, message: Message) -> Result<Receipt> {
        log::info(&line(&message));
        let external_id = self.outbox.put(message, clock::unix_ms());
        Ok(Receipt { external_id: Some(external_id) })
    }

    fn outbox(&mut self, after: Option<String>, max: u32) -> Result<OutboxPage> {
        self.outbox.page(after.as_deref(), max)
    }
}

stheno_sdk::export_notifications_provider!(NotificationsLocal);
