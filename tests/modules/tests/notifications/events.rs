//! What the events module is told.

use serde_json::Value;
use stheno::{NewNotification, Subscription};

use crate::{Subject, mail};

impl Subject {
    /// The next event for the subscription, settled.
    async fn next(&self) -> (String, Value) {
        let wait = std::time::Duration::from_secs(3_600);
        let lease = std::time::Duration::from_secs(30);
        let events = self.runtime.events();
        let mut pulled = events.pull("s", 1, wait, lease).await.unwrap();
        let delivery = pulled.remove(0);
        let data = delivery.event.json().unwrap();
        events.settle(vec![(delivery.token, stheno::Verdict::Handled)]).await.unwrap();
        (delivery.event.name, data)
    }

    async fn nothing_waits(&self) -> bool {
        let all = self.runtime.events().subscriptions().await.unwrap();
        all[0].waiting == 0
    }
}

// N8: an event on creation; and what became of it.
async fn creation_and_outcome_are_told_in_that_order() {
    let config = "[modules.notifications]\nresolve = \"LOCAL\"\nchannels = [\"email\"]\n";
    let subject = Subject::with(config).await.unwrap();
    let subscription = Subscription {
        id: "s".into(),
        pattern: "notification.*".into(),
        retained: true,
        idle_ttl: None,
    };
    subject.runtime.events().create_subscription(subscription).await.unwrap();
    let sent = subject.notifications.send(mail("a").key("k")).await.unwrap();
    let (name, data) = subject.next().await;
    assert_eq!((name.as_str(), &data["status"]), ("notification.created", &"pending".into()));
    assert_eq!(data["id"], sent.id);
    let (name, data) = subject.next().await;
    assert_eq!(name, "notification.sent");
    assert_eq!(data["external_id"], sent.external_id.clone().unwrap());
    assert_eq!((&data["channel"], &data["provider"]), (&"email".into(), &"default".into()));
    // A key that was sent tells nothing more.
    subject.notifications.send(mail("a").key("k")).await.unwrap();
    assert!(subject.nothing_waits().await);

    let sms = NewNotification { channel: "sms".into(), ..mail("a") };
    let error = subject.notifications.send(sms).await.unwrap_err();
    assert_eq!(subject.next().await.0, "notification.created");
    let (name, data) = subject.next().await;
    assert_eq!((name.as_str(), &data["error"]), ("notification.failed", &error.message().into()));
    assert_eq!(data["status"], "failure");
    assert!(subject.nothing_waits().await);
}

properties! { creation_and_outcome_are_told_in_that_order }
