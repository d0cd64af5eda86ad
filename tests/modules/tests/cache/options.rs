//! Options that a provider refuses are an error about the options, and name the
//! key.

use serde_json::{Value, json};

use crate::Subject;

async fn a_wrong_option_is_named_before_anything_is_served(subject: Subject) {
    let wrong = [
        (json!({ "max_entry": 1 }), "max_entry"),
        (json!({ "ttl": "30s", "TTL": "30s" }), "TTL"),
        (json!({ "ttl": 30 }), "ttl"),
        (json!({ "ttl": "soon" }), "ttl"),
        (json!({ "ttl": "30" }), "ttl"),
        (json!({ "ttl": "-1s" }), "ttl"),
        (json!({ "ttl": null }), "ttl"),
        (json!({ "ttl": "0s" }), "ttl"),
    ];
    are_refused(&subject, wrong).await;
}

pub(crate) async fn are_refused<const N: usize>(subject: &Subject, wrong: [(Value, &str); N]) {
    for (options, key) in wrong {
        let shown = options.to_string();
        let refused = Subject::with_options(subject.provider, options).await.err();
        let Some(error) = refused else { panic!("{shown} was taken") };
        let problem = error.problems().remove(0);
        assert_eq!(problem.place, "modules.cache.options", "{shown}");
        assert!(problem.message.contains(&format!("`{key}`")), "{shown}: {}", problem.message);
        assert!(!problem.help.is_empty());
    }
}

async fn options_that_are_right_are_taken(subject: Subject) {
    for options in [json!({}), json!({ "ttl": "1ms" }), json!({ "ttl": "24h" })] {
        is_taken(&subject, options).await;
    }
}

pub(crate) async fn is_taken(subject: &Subject, options: Value) {
    let started = Subject::with_options(subject.provider, options).await.unwrap();
    started.cache.set_bytes("k", "v").await.unwrap();
    assert_eq!(started.read("k").await.as_deref(), Some("v"));
}

for_every_provider! {
    a_wrong_option_is_named_before_anything_is_served,
    options_that_are_right_are_taken,
}
