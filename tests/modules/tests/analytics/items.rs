//! What comes through.

use serde_json::json;
use stheno::{Identify, JsonObject, Track};

use crate::{Subject, event};

// A1: track passes event, actor, group and properties unchanged.
async fn an_event_comes_through_unchanged() {
    let subject = Subject::start().await;
    let text = "{\"total\":12345678901234567890.10,\"b\":[\"ü\",null]}";
    let properties = JsonObject::parse(text).unwrap();
    let full = event("order.placed").group("company", "acme").properties(properties);
    subject.analytics.track(full).await.unwrap();
    subject.analytics.track(Track::new("seen").group("company", "acme")).await.unwrap();
    subject.analytics.flush().await.unwrap();
    let lines = subject.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["kind"], &lines[0]["event"]), (&json!("track"), &json!("order.placed")));
    assert_eq!(lines[0]["actor"], "ada");
    assert_eq!(lines[0]["group"], json!({"kind": "company", "id": "acme"}));
    assert_eq!(lines[0]["at_ms"], 946_684_800_000_u64);
    assert!(lines[1].get("actor").is_none() && lines[1].get("properties").is_none());
    assert_ne!(lines[0]["id"], lines[1]["id"]);
    let file = std::fs::read_to_string(subject.folder.path().join("2000-01-01.jsonl")).unwrap();
    assert!(file.contains(&format!("\"properties\":{text}}}\n")), "{file}");
}

// A2: identify an actor, identify a group.
async fn actors_and_groups_are_identified() {
    let subject = Subject::start().await;
    let known = JsonObject::new(&json!({"name": "Ada"})).unwrap();
    subject.analytics.identify(Identify::actor("ada").properties(known)).await.unwrap();
    let mut group = Identify::group("company", "acme");
    group.actor = Some("ada".into());
    subject.analytics.identify(group).await.unwrap();
    subject.analytics.flush().await.unwrap();
    let lines = subject.lines();
    assert_eq!((&lines[0]["kind"], &lines[0]["actor"]), (&json!("identify"), &json!("ada")));
    assert_eq!(lines[0]["properties"], json!({"name": "Ada"}));
    assert_eq!(lines[1]["group"], json!({"kind": "company", "id": "acme"}));
    assert!(lines.iter().all(|line| line.get("event").is_none()));
}

async fn events_and_identities_keep_the_order_in_which_they_came() {
    let subject = Subject::start().await;
    for n in 0..20 {
        subject.analytics.track(event(n.to_string())).await.unwrap();
        subject.analytics.identify(Identify::actor(n.to_string())).await.unwrap();
    }
    subject.analytics.flush().await.unwrap();
    let found: Vec<_> = subject
        .lines()
        .iter()
        .map(|line| line.get("event").unwrap_or(&line["actor"]).as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = (0..20).flat_map(|n| [n.to_string(), n.to_string()]).collect();
    assert_eq!(found, expected);
}

properties! {
    an_event_comes_through_unchanged,
    actors_and_groups_are_identified,
    events_and_identities_keep_the_order_in_which_they_came,
}
