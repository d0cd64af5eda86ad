//! Files, the log, and what a restart leaves.

use std::time::Duration;

use crate::{LOCAL, Subject, event};

fn names(subject: &Subject) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(subject.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn each_day_and_each_full_file_begins_a_new_one() {
    let text = LOCAL.replace("{ folder", "{ max_file = \"2KiB\", folder");
    let subject = Subject::with(&text).await.unwrap();
    for _ in 0..3 {
        subject.analytics.track_all(vec![event("a"); 10]).await.unwrap();
        subject.analytics.flush().await.unwrap();
    }
    subject.clock.advance(Duration::from_secs(24 * 60 * 60));
    subject.analytics.track(event("a")).await.unwrap();
    subject.analytics.flush().await.unwrap();
    assert_eq!(names(&subject), ["2000-01-01.1.jsonl", "2000-01-01.jsonl", "2000-01-02.jsonl"]);
    assert_eq!(subject.lines().len(), 31);
}

async fn a_new_start_goes_on_in_the_same_file() {
    let first = Subject::start().await;
    first.analytics.track(event("a")).await.unwrap();
    first.runtime.shutdown().await.unwrap();
    let Subject { folder, .. } = first;
    let second = Subject::over(LOCAL, folder).await.unwrap();
    second.analytics.track(event("b")).await.unwrap();
    second.analytics.flush().await.unwrap();
    assert_eq!(names(&second), ["2000-01-01.jsonl"]);
    assert_eq!(second.lines().len(), 2);
}

/// An instance that dies leaves what it had accepted, since it was written.
async fn a_death_of_the_provider_loses_nothing_that_it_had_accepted() {
    let text = format!("{LOCAL}limits = {{ memory = \"2MiB\" }}\n");
    let subject = Subject::with(&text).await.unwrap();
    subject.analytics.track(event("before")).await.unwrap();
    subject.analytics.flush().await.unwrap();
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(60_000));
    let large = stheno::JsonObject::parse(&large).unwrap();
    // A batch of 480 KB is more than it can hold twice; each alone is not.
    let batch = (0..8).map(|n| event(format!("large{n}")).properties(large.clone())).collect();
    subject.analytics.track_all(batch).await.unwrap();
    subject.analytics.flush().await.unwrap();
    subject.analytics.track(event("after")).await.unwrap();
    subject.analytics.flush().await.unwrap();
    let lines = subject.lines();
    assert_eq!((lines.len(), &lines[0]["event"]), (10, &"before".into()));
    assert_eq!(lines[9]["event"], "after");
    assert_eq!(subject.analytics.status()[0].lost, 0);
}

async fn without_a_folder_it_writes_to_the_log_alone() {
    let subject = Subject::with("[modules.analytics]\nresolve = \"LOCAL\"\n").await.unwrap();
    subject.analytics.track(event("a")).await.unwrap();
    subject.analytics.flush().await.unwrap();
    assert!(names(&subject).is_empty());
    assert_eq!(subject.analytics.status()[0].waiting, 0);
}

async fn a_folder_that_is_not_granted_is_an_error_that_has_the_grant() {
    let text = "[modules.analytics]\nresolve = \"LOCAL\"\noptions = { folder = \"/out\" }\n";
    let error = Subject::with(text).await.err().unwrap();
    let told = &error.problems()[0].message;
    assert!(told.contains("grants.folders") && told.contains("guest = \"/out\""), "{told}");
}

async fn a_folder_that_is_read_only_keeps_what_waits() {
    let text = LOCAL.replace("read-write", "read-only");
    let subject = Subject::with(&text).await.unwrap();
    subject.analytics.track(event("a")).await.unwrap();
    let error = subject.analytics.flush().await.unwrap_err();
    assert!(error.is_retryable() && error.message().contains("/out"), "{error}");
    assert_eq!(subject.analytics.status()[0].waiting, 1);
}

properties! {
    each_day_and_each_full_file_begins_a_new_one,
    a_new_start_goes_on_in_the_same_file,
    a_death_of_the_provider_loses_nothing_that_it_had_accepted,
    without_a_folder_it_writes_to_the_log_alone,
    a_folder_that_is_not_granted_is_an_error_that_has_the_grant,
    a_folder_that_is_read_only_keeps_what_waits,
}
