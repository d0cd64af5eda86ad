//! Several providers: each gets everything, and none holds up another.

use stheno::ErrorKind;

use crate::{Subject, event, got, lines};

const TWO: &str = r#"
[[modules.analytics.providers]]
id = "broken"
resolve = "FAILING"
options = { OPTIONS }
grants.folders = [{ host = "FOLDER/broken", guest = "/out", mode = "read-write" }]

[[modules.analytics.providers]]
id = "files"
resolve = "LOCAL"
options = { folder = "/out" }
grants.folders = [{ host = "FOLDER/files", guest = "/out", mode = "read-write" }]
"#;

async fn two(options: &str) -> Subject {
    let folder = tempfile::tempdir().unwrap();
    for name in ["broken", "files"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    Subject::over(&TWO.replace("OPTIONS", options), folder).await.unwrap()
}

async fn every_provider_gets_everything() {
    let subject = two("times = 0").await;
    for n in 0..10 {
        subject.analytics.track(event(n.to_string())).await.unwrap();
    }
    subject.analytics.flush().await.unwrap();
    let names: Vec<_> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(got(&subject.folder.path().join("broken")), names);
    let files: Vec<_> = lines(&subject.folder.path().join("files"))
        .iter()
        .map(|line| line["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, names);
}

async fn one_that_fails_does_not_starve_another() {
    // The first is more than a buffer takes.
    for (options, batches) in
        [("fail = \"unavailable\", times = 1000000", 100), ("poison = \"a\"", 5)]
    {
        let subject = two(options).await;
        for _ in 0..batches {
            subject.analytics.track_all(vec![event("a"); 1_000]).await.unwrap();
        }
        let error = subject.analytics.flush().await.unwrap_err();
        assert!(error.message().starts_with("broken could not track \"a\""), "{error}");
        let status = subject.analytics.status();
        assert_eq!((status[1].waiting, status[1].lost), (0, 0));
        assert_eq!(lines(&subject.folder.path().join("files")).len(), batches * 1_000);
    }
}

async fn one_that_hangs_does_not_hold_up_the_flush_of_another_for_ever() {
    let options = "fail = \"loop\", times = 1 }\nlimits = { cpu = \"100ms\", timeout = \"2s\"";
    let subject = two(options).await;
    subject.analytics.track(event("a")).await.unwrap();
    assert_eq!(subject.analytics.flush().await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(lines(&subject.folder.path().join("files")).len(), 1);
}

// A5: no provider is an error at start; two are told apart by their ids.
async fn no_provider_and_two_with_one_id_are_errors_at_start() {
    let none = "[modules.analytics]\nproviders = []\n";
    let error = Subject::with(none).await.err().unwrap();
    assert!(error.problems()[0].message.contains("has no provider"), "{error:?}");
    let twice = "[[modules.analytics.providers]]\nid = \"a\"\nresolve = \"LOCAL\"\n".repeat(2);
    let error = Subject::with(&twice).await.err().unwrap();
    assert!(error.problems()[0].message.contains("has the id `a`"), "{error:?}");
}

properties! {
    every_provider_gets_everything,
    one_that_fails_does_not_starve_another,
    one_that_hangs_does_not_hold_up_the_flush_of_another_for_ever,
    no_provider_and_two_with_one_id_are_errors_at_start,
}
