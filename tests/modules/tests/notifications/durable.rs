//! Records in a file: what a restart finds.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use stheno::{ErrorKind, Notification, NotificationFilter, NotificationStatus};
use tempfile::TempDir;

use crate::{Subject, mail};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `provider` is `LOCAL` or `FAILING`; `more` stands within the records' table.
fn config(folder: &TempDir, provider: &str, more: &str) -> String {
    let file = folder.path().join("n.redb");
    format!(
        "[modules.notifications]\nresolve = \"{provider}\"\n\
         [modules.notifications.records]\npath = {:?}\n{more}\n",
        file.to_str().unwrap()
    )
}

async fn start(folder: &TempDir, provider: &str) -> Subject {
    Subject::with(&config(folder, provider, "")).await.unwrap()
}

/// Ends a runtime in order, with its file.
async fn stop(subject: Subject) {
    subject.runtime.shutdown().await.unwrap();
}

async fn all(subject: &Subject, filter: NotificationFilter) -> Vec<Notification> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = subject.notifications.list(filter.clone(), after.as_deref(), 7).await.unwrap();
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn what_was_sent_is_known_after_a_restart_and_not_sent_again() {
    let folder = TempDir::new().unwrap();
    let first = start(&folder, "LOCAL").await;
    let sent = first.notifications.send(mail("a").key("k").label("x", "1")).await.unwrap();
    let bare = first.notifications.send(mail("b")).await.unwrap();
    stop(first).await;
    let second = start(&folder, "LOCAL").await;
    assert_eq!(second.notifications.get(&sent.id).await.unwrap(), sent);
    assert_eq!(second.records().await, [bare, sent.clone()]);
    assert_eq!(second.notifications.send(mail("a").key("k")).await.unwrap(), sent);
    let batch = vec![mail("a").key("k"), mail("c")];
    assert_eq!(second.notifications.send_all(batch).await.unwrap()[0], sent);
    let error = second.notifications.send(mail("other").key("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // Only what is new went out.
    let outbox = second.outbox("default").await;
    assert_eq!(outbox.iter().map(|kept| kept.message.to.as_str()).collect::<Vec<_>>(), ["c"]);
}

async fn a_failed_key_can_be_sent_again_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let text = format!(
        "{}[modules.notifications.options]\nfail = \"denied\"\ntimes = 1\n",
        config(&folder, "FAILING", "")
    );
    let first = Subject::with(&text).await.unwrap();
    first.notifications.send(mail("a").key("k")).await.unwrap_err();
    let failed = first.records().await.remove(0);
    assert_eq!(failed.status, NotificationStatus::Failure);
    stop(first).await;
    let second = start(&folder, "FAILING").await;
    assert_eq!(second.records().await, std::slice::from_ref(&failed));
    let sent = second.notifications.send(mail("a").key("k")).await.unwrap();
    assert_eq!((sent.status, sent.attempts), (NotificationStatus::Success, 2));
    assert_eq!((&sent.id, sent.created), (&failed.id, failed.created));
    assert_eq!(second.records().await, [sent]);
}

/// Begins to send `key` with a provider that does not come back, and has the
/// process end for all that the file can tell: no task of it ends in order.
fn dies_while_it_sends(folder: &Path, key: &str) {
    let file = folder.join("n.redb");
    let text = format!(
        "[modules.notifications]\nresolve = \"FAILING\"\nlimits = {{ cpu = \"1m\", timeout = \"1m\" }}\n\
         options = {{ fail = \"loop\", times = 1 }}\nrecords = {{ path = {:?} }}\n",
        file.to_str().unwrap()
    );
    let key = key.to_owned();
    let body = move || {
        let tasks = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        tasks.block_on(async move {
            let subject = Subject::with(&text).await.unwrap();
            let notifications = subject.notifications.clone();
            tokio::spawn(async move { notifications.send(mail("a").key(key)).await });
            // It is in the list once it is on the disk, and the provider has it then
            // or never: both are the same to who finds the file.
            while subject.records().await.is_empty() {
                tokio::task::yield_now().await;
            }
        });
        tasks.shutdown_timeout(crate::NEVER);
    };
    std::thread::spawn(body).join().unwrap();
}

async fn what_a_dead_process_was_sending_is_unknown_and_sent_again_only_on_demand() {
    let folder = TempDir::new().unwrap();
    dies_while_it_sends(folder.path(), "k");
    let subject = start(&folder, "LOCAL").await;
    let left = subject.records().await.remove(0);
    assert_eq!((left.status, left.attempts), (NotificationStatus::Unknown, 1));
    assert!(left.error.as_ref().unwrap().contains("may have gone out"), "{left:?}");
    let unknown =
        NotificationFilter { status: Some(NotificationStatus::Unknown), ..Default::default() };
    assert_eq!(all(&subject, unknown).await, std::slice::from_ref(&left));
    // Neither silently nor by an automatic retry: the error is not one of those.
    for _ in 0..2 {
        let error = subject.notifications.send(mail("a").key("k")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.message().contains(&left.id) && error.message().contains("resend_unknown"));
    }
    assert!(subject.outbox("default").await.is_empty());
    assert_eq!(subject.records().await, std::slice::from_ref(&left));
    // It stays so over another restart.
    stop(subject).await;
    let subject = start(&folder, "LOCAL").await;
    assert_eq!(subject.records().await, std::slice::from_ref(&left));
    let sent = subject.notifications.send(mail("a").key("k").resend_unknown()).await.unwrap();
    assert_eq!((sent.status, sent.attempts, &sent.error), (NotificationStatus::Success, 2, &None));
    assert_eq!(sent.id, left.id, "a service that takes idempotency keys sees the same one");
    assert_eq!(subject.outbox("default").await.len(), 1);
    // From now on it is sent, whatever is said.
    subject.notifications.send(mail("a").key("k").resend_unknown()).await.unwrap();
    assert_eq!(subject.outbox("default").await.len(), 1);
}

async fn what_a_dead_process_was_sending_is_sent_again_where_that_cannot_send_it_twice() {
    let folder = TempDir::new().unwrap();
    dies_while_it_sends(folder.path(), "k");
    // It has the feature `idempotent`.
    let subject = start(&folder, "FAILING").await;
    let left = subject.records().await.remove(0);
    assert_eq!(left.status, NotificationStatus::Unknown);
    let sent = subject.notifications.send(mail("a").key("k")).await.unwrap();
    assert_eq!((sent.status, &sent.id), (NotificationStatus::Success, &left.id));
    stop(subject).await;

    // Of two nobody knows which one had it.
    let folder = TempDir::new().unwrap();
    dies_while_it_sends(folder.path(), "k");
    let file = folder.path().join("n.redb");
    let two = format!(
        "[modules.notifications]\nrecords = {{ path = {:?} }}\n\
         [[modules.notifications.providers]]\nid = \"a\"\nresolve = \"FAILING\"\n\
         channels = [\"email\"]\n\
         [[modules.notifications.providers]]\nid = \"b\"\nresolve = \"FAILING\"\n\
         channels = [\"email\"]\n",
        file.to_str().unwrap()
    );
    let subject = Subject::with(&two).await.unwrap();
    let error = subject.notifications.send(mail("a").key("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

async fn pages_and_filters_go_over_what_earlier_processes_wrote() {
    let folder = TempDir::new().unwrap();
    for life in 0..3 {
        let subject = start(&folder, "LOCAL").await;
        let batch = (0..20).map(|n| {
            mail(&format!("{life}.{n}")).label("life", life.to_string()).key(format!("{life}.{n}"))
        });
        subject.notifications.send_all(batch.collect()).await.unwrap();
        stop(subject).await;
    }
    let subject = start(&folder, "LOCAL").await;
    let everything = all(&subject, NotificationFilter::default()).await;
    assert_eq!(everything.len(), 60);
    // The newest life first; within one, batches are sent side by side.
    for (at, record) in everything.iter().enumerate() {
        let life = 2 - at / 20;
        assert_eq!(record.labels, [("life".to_owned(), life.to_string())]);
    }
    let labels = vec![("life".to_owned(), "0".to_owned())];
    let first = all(&subject, NotificationFilter { labels, ..Default::default() }).await;
    assert_eq!(first, everything[40..]);
    let to = Some("1.7".to_owned());
    assert_eq!(all(&subject, NotificationFilter { to, ..Default::default() }).await.len(), 1);
    let key = |key: &str| NotificationFilter {
        idempotency_key: Some(key.to_owned()),
        ..Default::default()
    };
    let found = all(&subject, key("0.3")).await;
    assert_eq!(found.iter().map(|record| record.to.as_str()).collect::<Vec<_>>(), ["0.3"]);
    let filter = NotificationFilter { channel: Some("sms".into()), ..key("0.3") };
    assert!(all(&subject, filter).await.is_empty());
    assert!(all(&subject, key("9.9")).await.is_empty());
    let error = subject.notifications.list(NotificationFilter::default(), Some("x"), 1).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let long = "i".repeat(1_024);
    let error = subject.notifications.get(&long).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

async fn what_is_older_than_the_retention_is_gone_and_its_key_sends_again() {
    let folder = TempDir::new().unwrap();
    let text = config(&folder, "LOCAL", "retention = \"7d\"");
    let subject = Subject::with(&text).await.unwrap();
    let old = subject.notifications.send(mail("old").key("old")).await.unwrap();
    subject.clock.advance(DAY * 4);
    let young = subject.notifications.send(mail("young").key("young")).await.unwrap();
    subject.clock.advance(DAY * 3 - Duration::from_secs(1));
    assert_eq!(subject.records().await, [young.clone(), old.clone()]);
    subject.clock.advance(Duration::from_secs(1));
    assert_eq!(subject.records().await, std::slice::from_ref(&young));
    let gone = subject.notifications.get(&old.id).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let again = subject.notifications.send(mail("old").key("old")).await.unwrap();
    assert_ne!(again.id, old.id);
    // Its first record goes from the file and takes nothing of the second with it.
    subject.clock.advance(DAY);
    subject.notifications.send(mail("new")).await.unwrap();
    assert_eq!(subject.notifications.send(mail("old").key("old")).await.unwrap(), again);
    assert_eq!(subject.notifications.send(mail("young").key("young")).await.unwrap(), young);
    assert_eq!(subject.outbox("default").await.len(), 4);
}

async fn beyond_its_size_the_oldest_go_and_the_newest_are_kept() {
    let folder = TempDir::new().unwrap();
    let text = config(&folder, "LOCAL", "max_size = \"4MiB\"");
    let subject = Subject::with(&text).await.unwrap();
    let first = subject.notifications.send(mail("first").key("first")).await.unwrap();
    let data = serde_json::json!({"text": "x".repeat(60_000)});
    let large = |n: usize| stheno::NewNotification {
        data: Some(stheno::JsonObject::new(&data).unwrap()),
        ..mail(&n.to_string()).key(n.to_string())
    };
    for n in 0..150 {
        subject.notifications.send(large(n)).await.unwrap();
    }
    let error = subject.notifications.get(&first.id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let records = all(&subject, NotificationFilter::default()).await;
    // 4 MiB have room for 69 of these; some of it is kept free.
    assert!((35..=69).contains(&records.len()), "{}", records.len());
    for (at, record) in records.iter().enumerate() {
        assert_eq!(record.to, (149 - at).to_string());
    }
    // Its key is forgotten with a record, and known with it.
    let again = subject.notifications.send(mail("first").key("first")).await.unwrap();
    assert_ne!(again.id, first.id);
    assert_eq!(subject.notifications.send(large(149)).await.unwrap(), records[0]);
}

async fn sixty_four_callers_keep_their_records_apart() {
    let folder = TempDir::new().unwrap();
    let subject = start(&folder, "LOCAL").await;
    let callers = (0..64).map(|n| {
        let notifications = subject.notifications.clone();
        tokio::spawn(async move {
            for round in 0..5 {
                let new = mail(&n.to_string()).key(format!("{n}.{round}"));
                notifications.send(new).await.unwrap();
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    let records = all(&subject, NotificationFilter::default()).await;
    stop(subject).await;
    assert_eq!(records.len(), 320);
    let subject = start(&folder, "LOCAL").await;
    assert_eq!(all(&subject, NotificationFilter::default()).await, records);
    for record in records {
        assert_eq!(record.status, NotificationStatus::Success);
        let again = mail(&record.to).key(record.idempotency_key.clone().unwrap());
        assert_eq!(subject.notifications.send(again).await.unwrap(), record);
    }
    assert!(subject.outbox("default").await.is_empty());
}

async fn a_file_that_is_in_use_or_something_else_is_told_with_its_line() {
    let folder = TempDir::new().unwrap();
    let subject = start(&folder, "LOCAL").await;
    let text = config(&folder, "LOCAL", "");
    let error = Subject::with(&text).await.err().unwrap();
    let problem = &error.problems()[0];
    assert_eq!(problem.place, "modules.notifications.records.path");
    assert_eq!(problem.line, Some(4));
    assert!(problem.message.contains("open elsewhere"), "{problem:?}");
    stop(subject).await;
    std::fs::write(folder.path().join("n.redb"), "not a store").unwrap();
    let error = Subject::with(&text).await.err().unwrap();
    assert!(error.problems()[0].message.contains("cannot be opened"), "{error}");
}

properties! {
    what_was_sent_is_known_after_a_restart_and_not_sent_again,
    a_failed_key_can_be_sent_again_after_a_restart,
    what_a_dead_process_was_sending_is_unknown_and_sent_again_only_on_demand,
    what_a_dead_process_was_sending_is_sent_again_where_that_cannot_send_it_twice,
    pages_and_filters_go_over_what_earlier_processes_wrote,
    what_is_older_than_the_retention_is_gone_and_its_key_sends_again,
    beyond_its_size_the_oldest_go_and_the_newest_are_kept,
    sixty_four_callers_keep_their_records_apart,
    a_file_that_is_in_use_or_something_else_is_told_with_its_line,
}
