//! What is known afterwards.

use std::time::{Duration, SystemTime};

use serde_json::json;
use stheno::{
    Attachment, Disposition, ErrorKind, JsonObject, NewNotification, NotificationFilter,
    NotificationStatus,
};

use crate::{Subject, mail};

// N2: stored, with status, external id and times.
async fn a_record_has_status_provider_external_id_and_times() {
    let subject = Subject::start().await;
    let data = JsonObject::new(&json!({"order": 1001})).unwrap();
    let new = NewNotification::template("email", "ada@example.com", "placed", data.clone());
    let sent = subject.notifications.send(new.key("k").label("order", "1001")).await.unwrap();
    assert_eq!(sent.status, NotificationStatus::Success);
    assert_eq!(sent.provider.as_deref(), Some("default"));
    assert_eq!((sent.channel.as_str(), sent.to.as_str()), ("email", "ada@example.com"));
    assert_eq!((sent.template.as_deref(), &sent.data), (Some("placed"), &Some(data)));
    assert_eq!(sent.labels, [("order".to_owned(), "1001".to_owned())]);
    assert_eq!((sent.attempts, &sent.error), (1, &None));
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800);
    assert_eq!((sent.created, sent.updated), (epoch, epoch));
    assert_eq!(sent.external_id.as_ref(), Some(&subject.outbox("default").await[0].external_id));
    assert_eq!(subject.notifications.get(&sent.id).await.unwrap(), sent);
}

// N3: content and attachments are not stored.
async fn content_attachments_and_provider_data_are_in_no_record() {
    let subject = Subject::start().await;
    let secret = "the-secret-text";
    let mut new = mail("a");
    if let Some(content) = &mut new.content {
        content.text = Some(secret.into());
        content.html = Some(secret.into());
        content.subject = Some(secret.into());
    }
    new.provider_data = Some(JsonObject::new(&json!({"token": secret})).unwrap());
    new.attachments = vec![Attachment {
        name: secret.into(),
        content_type: None,
        disposition: Disposition::Attachment(None),
        bytes: secret.into(),
    }];
    subject.notifications.send(new).await.unwrap();
    let shown = format!("{:?}", subject.records().await);
    assert!(!shown.contains(secret), "{shown}");
}

async fn records_are_listed_by_all_that_is_asked_for() {
    let config = "[modules.notifications]\nresolve = \"LOCAL\"\nchannels = [\"email\", \"feed\"]\n";
    let subject = Subject::with(config).await.unwrap();
    let over = |channel: &str, to: &str| NewNotification { channel: channel.into(), ..mail(to) };
    subject.notifications.send(over("email", "a").key("k").label("x", "1")).await.unwrap();
    subject.notifications.send(over("feed", "a").label("x", "1").label("y", "2")).await.unwrap();
    subject.notifications.send(over("email", "b").label("x", "2")).await.unwrap();
    subject.notifications.send(over("sms", "b")).await.unwrap_err();
    let base = NotificationFilter::default;
    let some = |text: &str| Some(text.to_owned());
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (filter, expected) in [
        (base(), vec!["sms/b", "email/b", "feed/a", "email/a"]),
        (NotificationFilter { channel: some("email"), ..base() }, vec!["email/b", "email/a"]),
        (NotificationFilter { to: some("a"), ..base() }, vec!["feed/a", "email/a"]),
        (NotificationFilter { status: Some(NotificationStatus::Failure), ..base() }, vec!["sms/b"]),
        (
            NotificationFilter { provider: some("default"), to: some("b"), ..base() },
            vec!["email/b"],
        ),
        (NotificationFilter { idempotency_key: some("k"), ..base() }, vec!["email/a"]),
        (NotificationFilter { labels: vec![label("x", "1")], ..base() }, vec!["feed/a", "email/a"]),
        (
            NotificationFilter { labels: vec![label("x", "1"), label("y", "2")], ..base() },
            vec!["feed/a"],
        ),
        (NotificationFilter { channel: some("fax"), ..base() }, vec![]),
    ] {
        let page = subject.notifications.list(filter.clone(), None, 100).await.unwrap();
        let found: Vec<_> =
            page.items.iter().map(|record| format!("{}/{}", record.channel, record.to)).collect();
        assert_eq!(found, expected, "{filter:?}");
        assert_eq!(page.next, None);
    }
}

async fn pages_go_on_where_the_last_one_ended_whatever_came_since() {
    let subject = Subject::start().await;
    for n in 0..10 {
        subject.notifications.send(mail(&n.to_string())).await.unwrap();
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let all = NotificationFilter::default();
        let page = subject.notifications.list(all, after.as_deref(), 3).await.unwrap();
        assert!(page.items.len() <= 3);
        found.extend(page.items.into_iter().map(|record| record.to));
        subject.notifications.send(mail("new")).await.unwrap();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]);
}

async fn the_newest_ten_thousand_are_kept() {
    let subject = Subject::start().await;
    let first = subject.notifications.send(mail("first").key("first")).await.unwrap();
    for _ in 0..10 {
        let batch = (0..1_000).map(|_| mail("a")).collect();
        subject.notifications.send_all(batch).await.unwrap();
    }
    let error = subject.notifications.get(&first.id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // Its key is forgotten with it, as the documentation says.
    let again = subject.notifications.send(mail("first").key("first")).await.unwrap();
    assert_ne!(again.id, first.id);
}

properties! {
    a_record_has_status_provider_external_id_and_times,
    content_attachments_and_provider_data_are_in_no_record,
    records_are_listed_by_all_that_is_asked_for,
    pages_go_on_where_the_last_one_ended_whatever_came_since,
    the_newest_ten_thousand_are_kept,
}
