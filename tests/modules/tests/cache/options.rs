//! Options that a provider refuses are an error about the options, and name the
//! key.

use serde_json::json;

use crate::Subject;

async fn a_wrong_option_is_named_before_anything_is_served(subject: Subject) {
    for (options, key) in [
        (json!({ "max_entry": 1 }), "max_entry"),
        (json!({ "ttl": "30s", "TTL": "30s" }), "TTL"),
        (json!({ "ttl": 30 }), "ttl"),
        (json!({ "ttl": "soon" }), "ttl"),
        (json!({ "ttl": "30" }), "ttl"),
        (json!({ "ttl": "-1s" }), "ttl"),
        (json!({ "ttl": null }), "ttl"),
        (json!({ "ttl": "0s" }), "ttl"),
        (json!({ "max_entries": 0 }), "max_entries"),
        (json!({ "max_entries": -1 }), "max_entries"),
        (json!({ "max_entries": 1.5 }), "max_entries"),
        (json!({ "max_entries": "10" }), "max_entries"),
        (json!({ "max_entries": true }), "max_entries"),
        (json!({ "max_entries": u64::MAX }), "max_entries"),
    ] {
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
    for options in [
        json!({}),
        json!({ "ttl": "1ms" }),
        json!({ "ttl": "24h", "max_entries": 1 }),
        json!({ "max_entries": 1_000_000 }),
    ] {
        let started = Subject::with_options(subject.provider, options).await.unwrap();
        started.cache.set_bytes("k", "v").await.unwrap();
        assert_eq!(started.read("k").await.as_deref(), Some("v"));
    }
}

for_every_provider! {
    a_wrong_option_is_named_before_anything_is_served,
    options_that_are_right_are_taken,
}
