//! Bad input to every function: refused by name, and nothing is changed.

use stheno::{ErrorKind, Identify, Track};

use crate::{Subject, event};

// A6: a group without its kind, and nobody at all, are refused.
async fn what_is_out_of_bounds_is_refused_by_name_and_nothing_is_accepted() {
    let subject = Subject::start().await;
    let long = "x".repeat(256);
    for (wrong, argument) in [
        (event(""), "event"),
        (event("a\u{0}"), "event"),
        (event(long.as_str()), "event"),
        (Track::new("e"), "actor"),
        (Track::new("e").actor(""), "actor"),
        (Track::new("e").actor("a\n"), "actor"),
        (event("e").group("", "acme"), "group.kind"),
        (event("e").group("company", ""), "group.id"),
        (event("e").group(long.as_str(), "acme"), "group.kind"),
    ] {
        let batch = vec![event("good"), wrong.clone()];
        let error = subject.analytics.track_all(batch).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with(&format!("events[1]: {argument}")), "{error}");
        let error = subject.analytics.track(wrong).await.unwrap_err();
        assert!(error.message().starts_with(argument), "{error}");
    }
    for (wrong, argument) in [
        (Identify { actor: None, group: None, properties: None }, "actor"),
        (Identify::actor(""), "actor"),
        (Identify::group("", "acme"), "group.kind"),
        (Identify::group("company", ""), "group.id"),
    ] {
        let error = subject.analytics.identify(wrong.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().starts_with(argument), "{error}");
        let error = subject.analytics.identify_all(vec![wrong]).await.unwrap_err();
        assert!(error.message().starts_with(&format!("identities[0]: {argument}")), "{error}");
    }
    for error in [
        subject.analytics.track_all(vec![event("e"); 1_001]).await.unwrap_err(),
        subject.analytics.identify_all(vec![Identify::actor("a"); 1_001]).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("at most 1000"), "{error}");
    }
    subject.analytics.flush().await.unwrap();
    assert!(subject.lines().is_empty());
}

async fn wrong_options_are_an_error_at_start() {
    for (options, told) in [
        ("{ foldr = \"/out\" }", "`foldr`"),
        ("{ folder = \"out\" }", "`folder`"),
        ("{ max_file = 5 }", "`max_file`"),
        ("{ max_file = \"0B\" }", "`max_file`"),
    ] {
        let text = format!("[modules.analytics]\nresolve = \"LOCAL\"\noptions = {options}\n");
        let error = Subject::with(&text).await.err().unwrap();
        assert_eq!(error.problems()[0].line, Some(3), "{error:?}");
        assert!(error.problems()[0].message.contains(told), "{error:?}");
    }
}

properties! {
    what_is_out_of_bounds_is_refused_by_name_and_nothing_is_accepted,
    wrong_options_are_an_error_at_start,
}
