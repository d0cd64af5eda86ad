//! Notifications and analytics over HTTP.

use serde_json::{Value, json};

use crate::server::{Server, answer, error};

#[tokio::test]
async fn a_notification_is_sent_once_under_its_key_and_can_be_found() {
    let server = Server::start().await;
    let new = json!({
        "channel": "email", "to": "ada@example.com", "template": "placed",
        "data": {"order": 1001}, "content": {"subject": "s", "text": "t", "html": "h"},
        "attachments": [
            {"name": "a.txt", "content_base64": "aGVsbG8="},
            {"name": "b.png", "disposition": "inline", "id": "logo", "content_base64": "aGk="},
        ],
        "idempotency_key": "k", "labels": {"order": "1001"},
    });
    let batch = json!({"notifications": [new, new]});
    let sent = server.call("/v1/notifications/send", batch.clone()).await;
    let record = &sent["notifications"][0];
    assert_eq!(record, &sent["notifications"][1]);
    assert_eq!((&record["status"], &record["provider"]), (&json!("success"), &json!("default")));
    assert_eq!(record["data"], json!({"order": 1001}));
    assert!(record.get("content").is_none() && record.get("attachments").is_none());
    assert_eq!(&server.call("/v1/notifications/send", batch).await, &sent);

    let id = record["id"].as_str().unwrap();
    let found = server.get("/v1/notifications/notification", &[("id", id)]).await;
    assert_eq!(&answer(found).await, record);
    for (query, count) in [
        (vec![("label", "order=1001"), ("status", "success")], 1),
        (vec![("label", "order=1001"), ("channel", "sms")], 0),
    ] {
        let page = answer(server.get("/v1/notifications/list", &query).await).await;
        assert_eq!(page["notifications"].as_array().unwrap().len(), count, "{query:?}");
        assert_eq!(page["next"], Value::Null);
    }
    let outbox = answer(server.get("/v1/notifications/outbox", &[]).await).await;
    let [message] = outbox["messages"].as_array().unwrap().as_slice() else { panic!("{outbox}") };
    assert_eq!(message["external_id"], record["external_id"]);
    assert_eq!(message["content"], json!({"subject": "s", "text": "t", "html": "h"}));
    let attachments = json!([
        {"name": "a.txt", "content_type": null, "disposition": "attachment", "id": null, "size": 5},
        {"name": "b.png", "content_type": null, "disposition": "inline", "id": "logo", "size": 2},
    ]);
    assert_eq!(message["attachments"], attachments);
}

#[tokio::test]
async fn bad_input_is_named_and_sends_and_tracks_nothing() {
    let server = Server::start().await;
    let good = json!({"channel": "email", "to": "a", "template": "t"});
    let with = |name: &str, value: Value| {
        let mut new = good.clone();
        new[name] = value;
        json!({"notifications": [good, new]})
    };
    let send = "/v1/notifications/send";
    let track = |event: Value| json!({"events": [{"event": "e", "actor": "a"}, event]});
    for (path, body, told) in [
        (send, with("to", json!("")), "notifications[1]: to"),
        (send, with("tp", json!("")), "notifications[1]"),
        (send, with("data", json!([])), "notifications[1]: data"),
        (send, with("content", json!({})), "notifications[1]: content"),
        (send, with("labels", json!({"a": 1})), "notifications[1].labels"),
        (
            send,
            with("attachments", json!([{"name": "a", "content_base64": "!"}])),
            "notifications[1].attachments[0].content_base64",
        ),
        (
            send,
            with(
                "attachments",
                json!([{"name": "a", "disposition": "inline", "content_base64": ""}]),
            ),
            "notifications[1]: attachments[0]",
        ),
        ("/v1/analytics/track", track(json!({"event": "", "actor": "a"})), "events[1]: event"),
        ("/v1/analytics/track", track(json!({"event": "e"})), "events[1]: actor"),
        (
            "/v1/analytics/track",
            track(json!({"event": "e", "group": {"id": "acme"}})),
            "events[1].group: missing field `kind`",
        ),
        (
            "/v1/analytics/track",
            track(json!({"event": "e", "actor": "a", "properties": 1})),
            "events[1].properties",
        ),
        (
            "/v1/analytics/identify",
            json!({"identities": [{"properties": {}}]}),
            "identities[0]: actor",
        ),
    ] {
        let response = server.post(path, body).await;
        assert_eq!(response.status(), 400, "{told}");
        let (kind, message) = error(response).await;
        assert_eq!(kind, "invalid-argument");
        assert!(message.starts_with(told), "{told}: {message}");
    }
    let page = answer(server.get("/v1/notifications/list", &[]).await).await;
    assert_eq!(page["notifications"], json!([]));
    let flushed = server.call("/v1/analytics/flush", json!(null)).await;
    assert_eq!(flushed, json!({"providers": [{"provider": "default", "waiting": 0, "lost": 0}]}));
    for query in [("max", "0"), ("status", "sent"), ("label", "nothing"), ("after", "x")] {
        let response = server.get("/v1/notifications/list", &[query]).await;
        assert_eq!(response.status(), 400, "{query:?}");
        assert!(error(response).await.1.starts_with(query.0), "{query:?}");
    }
    let response = server.get("/v1/notifications/notification", &[("id", "nobody")]).await;
    assert_eq!(response.status(), 404);
}

#[tokio::test]
async fn what_is_tracked_is_accepted_and_handed_over() {
    let server = Server::start().await;
    let events = json!({"events": [
        {"event": "a", "actor": "ada", "properties": {"n": 1}},
        {"event": "b", "group": {"kind": "company", "id": "acme"}},
    ]});
    assert_eq!(server.post("/v1/analytics/track", events).await.status(), 204);
    let identities = json!({"identities": [{"actor": "ada", "properties": {"name": "Ada"}}]});
    assert_eq!(server.post("/v1/analytics/identify", identities).await.status(), 204);
    let flushed = server.call("/v1/analytics/flush", json!(null)).await;
    assert_eq!(flushed["providers"][0]["waiting"], 0);
    assert_eq!(flushed["providers"][0]["lost"], 0);
}
