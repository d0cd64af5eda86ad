//! Publishing, and what subscriptions then hold.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, answer, error};

#[tokio::test]
async fn what_is_published_is_pulled_with_all_that_was_said() {
    let server = Server::start().await;
    server.subscribe("mailer", json!({"pattern": "order.*"})).await;
    let events = r#"{"events": [
        {"name": "order.placed", "data": {"total":  12345678901234567890.10, "note": "a\nb"},
         "metadata": {"z": "1", "a": "ключ"}, "priority": 7, "attempts": 3},
        {"name": "order.null", "data": null},
        {"name": "order.bytes", "data_base64": "/wA="},
        {"name": "cart.changed", "data": 1}
    ]}"#;
    let published = server.request(Method::POST, "/v1/events/publish", &[]).body(events);
    let published = answer(published.send().await.unwrap()).await;
    let ids = published["ids"].as_array().unwrap();
    assert_eq!(ids.len(), 4);

    let pull = json!({"subscription": "mailer"}).to_string();
    let pulled = server.request(Method::POST, "/v1/events/pull", &[]).body(pull);
    let text = pulled.send().await.unwrap().text().await.unwrap();
    // The digits would not survive a parser of floats.
    assert!(text.contains(r#""data":{"total":12345678901234567890.10,"note":"a\nb"}"#), "{text}");
    assert!(text.contains(r#""metadata":{"z":"1","a":"ключ"}"#), "{text}");
    let pulled: Value = serde_json::from_str(&text).unwrap();
    let deliveries = pulled["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 3);
    let event = &deliveries[0]["event"];
    assert_eq!(event["id"], ids[0]);
    assert_eq!(event["name"], "order.placed");
    assert_eq!((&event["priority"], &event["attempts"]), (&json!(7), &json!(3)));
    assert_eq!(event["attempt"], 1);
    assert_eq!(deliveries[1]["event"].get("data"), Some(&Value::Null));
    assert_eq!(deliveries[2]["event"]["data_base64"], "/wA=");
    assert_eq!(deliveries[2]["event"].get("data"), None);
}

#[tokio::test]
async fn a_group_is_published_whole_once_or_not_at_all() {
    let server = Server::start().await;
    server.subscribe("s", json!({"pattern": "*"})).await;
    let events = json!([{"name": "a", "data": 1}, {"name": "b", "data": 2}]);
    let stage = json!({"group": "g", "ttl": "1h", "events": events});
    server.call("/v1/events/groups/stage", stage.clone()).await;
    assert!(server.pull("s", "0s").await.is_empty());
    let released = server.call("/v1/events/groups/release", json!({"group": "g"})).await;
    assert_eq!(released, json!({"events": 2}));
    let again = server.call("/v1/events/groups/release", json!({"group": "g"})).await;
    assert_eq!(again, json!({"events": 0}));
    assert_eq!(server.pull("s", "0s").await.len(), 2);

    server.call("/v1/events/groups/stage", stage).await;
    let some = json!({"group": "g", "names": ["a"]});
    assert_eq!(server.call("/v1/events/groups/discard", some).await, json!({"events": 1}));
    let rest = json!({"group": "g"});
    assert_eq!(server.call("/v1/events/groups/discard", rest).await, json!({"events": 1}));
    assert!(server.pull("s", "0s").await.is_empty());
}

#[tokio::test]
async fn a_dead_letter_is_listed_replayed_and_removed() {
    let server = Server::start().await;
    server.subscribe("s", json!({"pattern": "*"})).await;
    for n in 0..3 {
        server.publish("job", json!(n)).await;
    }
    let outcomes: Vec<_> = server
        .pull("s", "0s")
        .await
        .iter()
        .map(|delivery| json!({"token": delivery["token"], "verdict": "rejected", "reason": "no"}))
        .collect();
    assert_eq!(server.settle(json!(outcomes)).await, json!([]));

    let first = [("subscription", "s"), ("max", "2")];
    let first = answer(server.get("/v1/events/dead-letters", &first).await).await;
    let next = first["next"].as_str().unwrap();
    let rest = answer(server.get("/v1/events/dead-letters", &[("after", next)]).await).await;
    assert_eq!(rest["next"], Value::Null);
    let letters: Vec<_> = [&first, &rest]
        .into_iter()
        .flat_map(|page| page["dead_letters"].as_array().unwrap())
        .collect();
    let data: Vec<_> = letters.iter().map(|letter| &letter["event"]["data"]).collect();
    assert_eq!(data, [0, 1, 2]);
    assert!(letters.iter().all(|letter| letter["reason"] == "no"));

    let replay = json!({"ids": [letters[0]["id"]]});
    let replayed = server.call("/v1/events/dead-letters/replay", replay).await;
    assert_eq!(replayed, json!({"dead_letters": 1}));
    assert_eq!(server.pull("s", "0s").await[0]["event"]["data"], 0);
    let remove = json!({"ids": [letters[1]["id"], letters[2]["id"], "never there"]});
    let removed = server.call("/v1/events/dead-letters/remove", remove).await;
    assert_eq!(removed, json!({"dead_letters": 2}));
    let left = answer(server.get("/v1/events/dead-letters", &[]).await).await;
    assert_eq!(left, json!({"dead_letters": [], "next": null}));
}

#[tokio::test]
async fn subscriptions_are_made_listed_and_removed_under_any_id() {
    let server = Server::start().await;
    let ids = ["..", "a/b", "mailer", "ключ"];
    for id in ids {
        let new = json!({"pattern": "order.*", "retained": false, "idle_ttl": "90s"});
        server.subscribe(id, new).await;
    }
    let all = server.subscriptions().await;
    let expected = |id| {
        json!({"id": id, "pattern": "order.*", "retained": false, "idle_ttl": "90s",
               "waiting": 0, "leased": 0, "dead": 0})
    };
    assert_eq!(all, ids.map(expected));

    let other = json!({"pattern": "*"}).to_string();
    let conflict = server.request(Method::PUT, "/v1/events/subscription", &[("id", "..")]);
    let conflict = conflict.body(other).send().await.unwrap();
    assert_eq!(conflict.status(), StatusCode::CONFLICT);
    assert_eq!(error(conflict).await.0, "conflict");

    for id in ids {
        let remove = || server.request(Method::DELETE, "/v1/events/subscription", &[("id", id)]);
        assert_eq!(remove().send().await.unwrap().status(), StatusCode::NO_CONTENT);
        let again = remove().send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_FOUND);
        assert_eq!(error(again).await.0, "not-found");
    }
}

#[tokio::test]
async fn a_wrong_field_is_refused_by_name() {
    let server = Server::start().await;
    for (path, body, named) in [
        ("/v1/cache/get", "", "body: "),
        ("/v1/cache/get", "{}", "`keys`"),
        ("/v1/cache/get", r#"{"keys": ["a"]} {}"#, "body: "),
        ("/v1/cache/get", r#"{"keys": ["a", 1]}"#, "keys[1]: "),
        ("/v1/cache/get", r#"{"key": ["a"]}"#, "`key`"),
        ("/v1/cache/set", r#"{"entries": [{"key": "k", "value": 1, "tll": "1s"}]}"#, "`tll`"),
        ("/v1/cache/set", r#"{"entries": [{"key": "k"}]}"#, "entries[0]: "),
        (
            "/v1/cache/set",
            r#"{"entries": [{"key": "k", "value": 1, "value_base64": ""}]}"#,
            "not both",
        ),
        (
            "/v1/cache/set",
            r#"{"entries": [{"key": "k", "value_base64": "a-b_"}]}"#,
            "entries[0].value_base64: ",
        ),
        ("/v1/events/publish", r#"{"events": [{"name": "n"}]}"#, "events[0]: "),
        (
            "/v1/events/publish",
            r#"{"events": [{"name": "n", "data": 1, "delay": 5}]}"#,
            "events[0].delay: ",
        ),
        (
            "/v1/events/publish",
            r#"{"events": [{"name": "n", "data": 1, "delay": "5"}]}"#,
            "write \"5s\"",
        ),
        (
            "/v1/events/publish",
            r#"{"events": [{"name": "n", "data": 1, "metadata": {"a": "1", "a": "2"}}]}"#,
            "events[0].metadata",
        ),
        (
            "/v1/events/publish",
            r#"{"events": [{"name": "n", "data": 1, "backoff": {"initial": "1s"}}]}"#,
            "`max`",
        ),
        ("/v1/events/publish", r#"{"events": [{"name": "", "data": 1}]}"#, "name is empty"),
        ("/v1/events/pull", r#"{"subscription": "s", "max": 0}"#, "max is 0"),
        ("/v1/events/pull", r#"{"subscription": "s", "lease": "0s"}"#, "lease is zero"),
        ("/v1/events/pull", r#"{"subscription": "s", "wait": "6m"}"#, "wait: "),
        (
            "/v1/events/settle",
            r#"{"outcomes": [{"token": "t", "verdict": "done"}]}"#,
            "outcomes[0].verdict",
        ),
        (
            "/v1/events/settle",
            r#"{"outcomes": [{"token": "t", "verdict": "handled", "reason": "r"}]}"#,
            "outcomes[0]: `reason`",
        ),
    ] {
        let request = server.request(Method::POST, path, &[]).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path} {body}");
        let (kind, message) = error(response).await;
        assert_eq!(kind, "invalid-argument", "{path} {body}");
        assert!(message.contains(named), "{path} {body}: {message}");
    }
}
