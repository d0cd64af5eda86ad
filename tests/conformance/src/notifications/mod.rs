//! The notifications module: `wit/deps/notifications/notifications.wit`.
//!
//! Every message goes over the channel `email` to addresses below `example.com`.
//! A provider that hands messages to a real service is to be tested against one
//! that delivers nothing.

mod arguments;
mod callers;
mod outbox;
mod sends;

use stheno::{
    Content, NewNotification, Notification, NotificationStatus, Notifications, OutboxMessage,
};

use crate::case::Case;
use crate::check::{Fault, Outcome, equal, equal_at, one};
use crate::subject::Subject as Of;

pub(crate) const CASES: &[&[Case]] = &[
    lifecycle!("notifications", Notifications),
    sends::CASES,
    outbox::CASES,
    arguments::CASES,
    callers::CASES,
];

type Subject = Of<Notifications>;

impl Subject {
    fn to(&self, name: &str) -> String {
        format!("{}@example.com", self.own(name))
    }

    /// A mail that says hello.
    fn mail(&self, to: &str) -> NewNotification {
        let content = Content {
            subject: Some("hello".to_owned()),
            text: Some("hello".to_owned()),
            ..Content::default()
        };
        NewNotification::content("email", self.to(to), content)
    }

    /// Sends, and looks at the record.
    #[track_caller]
    fn sent(&self, new: NewNotification) -> impl Future<Output = Result<Notification, Fault>> {
        let place = std::panic::Location::caller();
        async move {
            let sent = self.api.send(new).await?;
            equal_at(place, "the status", sent.status, NotificationStatus::Success)?;
            Ok(sent)
        }
    }

    /// What a provider with an outbox has kept for this address.
    async fn kept(&self, to: &str) -> Result<Vec<OutboxMessage>, Fault> {
        let mut all = self.outbox(1_000).await?;
        let to = self.to(to);
        all.retain(|kept| kept.message.to == to);
        Ok(all)
    }

    async fn kept_one(&self, to: &str) -> Result<OutboxMessage, Fault> {
        one("messages in the outbox", self.kept(to).await?)
    }

    /// The whole outbox, page by page.
    async fn outbox(&self, size: u32) -> Result<Vec<OutboxMessage>, Fault> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.api.outbox(None, after.as_deref(), size).await?;
            let count = page.items.len();
            crate::check::holds(count <= size as usize, || {
                format!("a page of {size} has {count}")
            })?;
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Where there is an outbox, so many messages to this address must be in it.
    async fn went_out(&self, to: &str, times: usize) -> Outcome {
        if !self.trial().target().has("outbox") {
            return Ok(());
        }
        equal("how often it went out", self.kept(to).await?.len(), times)
    }
}
