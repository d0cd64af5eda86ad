//! Which provider serves a channel, and what happens when one fails.

use stheno::ErrorKind;
use stheno::{NewNotification, NotificationStatus};

use crate::{Subject, mail};

const THREE: &str = r#"
[[modules.notifications.providers]]
id = "broken"
resolve = "FAILING"
channels = ["email"]
options = { fail = "KIND", times = 1000 }

[[modules.notifications.providers]]
id = "spare"
resolve = "LOCAL"
channels = ["email", "sms"]

[[modules.notifications.providers]]
id = "rest"
resolve = "LOCAL"
default = true
"#;

fn over(channel: &str) -> NewNotification {
    NewNotification { channel: channel.to_owned(), ..mail("a") }
}

// N1: routed by channel.
async fn a_channel_goes_to_the_provider_that_names_it_and_others_to_the_default() {
    let subject = Subject::with(&THREE.replace("KIND", "unavailable")).await.unwrap();
    for (channel, provider) in [("sms", "spare"), ("push", "rest"), ("feed", "rest")] {
        let sent = subject.notifications.send(over(channel)).await.unwrap();
        assert_eq!(sent.provider.as_deref(), Some(provider), "{channel}");
    }
    assert_eq!(subject.outbox("spare").await.len(), 1);
    assert_eq!(subject.outbox("rest").await.len(), 2);
}

async fn after_a_retryable_error_the_channels_next_provider_takes_it() {
    for kind in ["unavailable", "timeout"] {
        let subject = Subject::with(&THREE.replace("KIND", kind)).await.unwrap();
        let sent = subject.notifications.send(mail("a")).await.unwrap();
        assert_eq!(sent.provider.as_deref(), Some("spare"));
        assert_eq!((sent.status, sent.error), (NotificationStatus::Success, None));
        assert_eq!(subject.outbox("spare").await.len(), 1);
        assert_eq!(subject.outbox("rest").await.len(), 0, "the default has no part in it");
    }
}

async fn any_other_error_is_final_and_asks_nobody_else() {
    for (kind, error_kind) in
        [("invalid-argument", ErrorKind::InvalidArgument), ("denied", ErrorKind::Denied)]
    {
        let subject = Subject::with(&THREE.replace("KIND", kind)).await.unwrap();
        let error = subject.notifications.send(mail("a")).await.unwrap_err();
        assert_eq!(error.kind(), error_kind);
        assert!(error.message().contains("broken: as the options say"), "{error}");
        assert!(subject.outbox("spare").await.is_empty());
        let record = &subject.records().await[0];
        assert_eq!(record.status, NotificationStatus::Failure);
        assert_eq!(record.provider.as_deref(), Some("broken"));
        assert!(error.message().contains(&record.id), "{error}");
    }
}

async fn a_trap_is_final_and_the_provider_serves_the_next() {
    let config = "[modules.notifications]\nresolve = \"FAILING\"\n\
                  options = { fail = \"panic\", times = 1 }\n";
    let subject = Subject::with(config).await.unwrap();
    let error = subject.notifications.send(mail("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(subject.records().await[0].status, NotificationStatus::Failure);
}

async fn a_provider_that_never_returns_is_a_timeout_and_the_next_one_sends() {
    let text = THREE.replace("KIND", "loop").replace(
        "times = 1000 }",
        "times = 1000 }\nlimits = { cpu = \"100ms\", timeout = \"2s\" }",
    );
    let subject = Subject::with(&text).await.unwrap();
    let sent = subject.notifications.send(mail("a")).await.unwrap();
    assert_eq!(sent.provider.as_deref(), Some("spare"));
}

async fn when_all_fail_the_error_has_the_texts_of_all() {
    let text = THREE.replace("KIND", "unavailable").replace(
        "id = \"spare\"\nresolve = \"LOCAL\"",
        "id = \"spare\"\nresolve = \"FAILING\"\noptions = { fail = \"timeout\", times = 9 }",
    );
    let subject = Subject::with(&text).await.unwrap();
    let error = subject.notifications.send(mail("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let told = "broken: as the options say; then spare: as the options say";
    assert!(error.message().ends_with(told), "{error}");
    assert_eq!(subject.records().await[0].provider.as_deref(), Some("spare"));
}

// N7: an unknown channel is a failure record and not-found.
async fn a_channel_that_nobody_serves_is_a_failure_and_not_found() {
    let config = "[modules.notifications]\nresolve = \"LOCAL\"\nchannels = [\"email\", \"feed\"]\n";
    let subject = Subject::with(config).await.unwrap();
    let error = subject.notifications.send(over("sms")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("\"sms\""), "{error}");
    assert!(error.message().ends_with("the channels are: email, feed"), "{error}");
    let record = &subject.records().await[0];
    assert_eq!((record.status, &record.provider), (NotificationStatus::Failure, &None));
    assert_eq!(record.error.as_deref(), Some(error.message()));
    assert!(subject.outbox("default").await.is_empty());
}

// N1: what cannot be told apart is refused at start.
async fn a_channel_or_an_id_that_is_there_twice_is_an_error_at_start() {
    const LIST: &str = "[[modules.notifications.providers]]\nresolve = \"LOCAL\"\n";
    for (text, told) in [
        (
            format!("{LIST}id = \"a\"\nchannels = [\"email\", \"email\"]\n"),
            "`email` is there twice",
        ),
        (
            format!("{LIST}id = \"a\"\ndefault = true\n{LIST}id = \"a\"\nchannels = [\"x\"]\n"),
            "has the id `a`",
        ),
        (
            format!("{LIST}id = \"a\"\ndefault = true\n{LIST}id = \"b\"\ndefault = true\n"),
            "the default already",
        ),
    ] {
        let error = Subject::with(&text).await.err().unwrap();
        assert!(error.problems()[0].message.contains(told), "{error:?}");
    }
}

async fn a_provider_that_refuses_its_options_is_an_error_at_its_line() {
    let text = THREE.replace("KIND", "unavailable") + "options = { outbx = 1 }\n";
    let error = Subject::with(&text).await.err().unwrap();
    let problem = &error.problems()[0];
    assert_eq!(problem.place, "modules.notifications.providers[2].options");
    assert_eq!(problem.line, Some(text.lines().count()));
    assert!(problem.message.contains("`outbx`"), "{error:?}");
}

async fn an_outbox_is_that_of_the_provider_named() {
    let subject = Subject::with(&THREE.replace("KIND", "unavailable")).await.unwrap();
    let error = subject.notifications.outbox(Some("nobody"), None, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("broken, spare, rest"), "{error}");
}

properties! {
    a_channel_goes_to_the_provider_that_names_it_and_others_to_the_default,
    after_a_retryable_error_the_channels_next_provider_takes_it,
    any_other_error_is_final_and_asks_nobody_else,
    a_trap_is_final_and_the_provider_serves_the_next,
    a_provider_that_never_returns_is_a_timeout_and_the_next_one_sends,
    when_all_fail_the_error_has_the_texts_of_all,
    a_channel_that_nobody_serves_is_a_failure_and_not_found,
    a_channel_or_an_id_that_is_there_twice_is_an_error_at_start,
    a_provider_that_refuses_its_options_is_an_error_at_its_line,
    an_outbox_is_that_of_the_provider_named,
}
