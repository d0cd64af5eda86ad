//! The OpenAPI document, against the rules of OpenAPI and against the server.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use stheno_server::openapi_json;

use crate::server::{Server, answer, error};

fn document() -> Value {
    serde_json::from_str(&openapi_json().unwrap()).unwrap()
}

/// Method, path and description of every operation.
fn operations(document: &Value) -> Vec<(Method, String, &Value)> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            operations.push((method, path.clone(), operation));
        }
    }
    operations
}

/// Every `$ref` within a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                found.insert(reference.clone());
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_document_is_openapi_3_1_and_refers_to_nothing_that_is_not_there() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    for required in ["/info/title", "/info/version"] {
        assert!(document.pointer(required).is_some_and(Value::is_string), "{required}");
    }
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        let used = format!("#/components/schemas/{name}");
        assert!(found.contains(&used), "{name} is never used");
    }
}

#[test]
fn every_operation_says_what_it_does_and_what_comes_back() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
        assert!(operation["summary"].is_string(), "{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        let succeeds = responses.keys().any(|status| status.starts_with('2'));
        assert!(succeeds, "{method} {path}");
        for (status, response) in responses {
            assert!(response["description"].is_string(), "{method} {path} {status}");
            let error = response.pointer("/content/application~1json/schema/$ref");
            if status.starts_with(['4', '5']) && path != "/readyz" {
                let form = "#/components/schemas/ErrorBody";
                assert_eq!(error.and_then(Value::as_str), Some(form), "{method} {path} {status}");
            }
        }
    }
}

#[tokio::test]
async fn every_route_is_in_the_document_and_answers_as_a_route() {
    let server = Server::start().await;
    let served = answer(server.get("/openapi.json", &[]).await).await;
    assert_eq!(served, document());
    let all: BTreeSet<String> = operations(&served)
        .into_iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    let expected = [
        "DELETE /v1/cache/entry",
        "DELETE /v1/events/subscription",
        "DELETE /v1/workflows/definition",
        "DELETE /v1/workflows/schedule",
        "GET /livez",
        "GET /openapi.json",
        "GET /readyz",
        "GET /v1/cache/entry",
        "GET /v1/events/dead-letters",
        "GET /v1/events/subscriptions",
        "GET /v1/events/watch",
        "GET /v1/files/content",
        "GET /v1/files/info",
        "GET /v1/files/link",
        "GET /v1/files/list",
        "GET /v1/locking/locks",
        "GET /v1/notifications/list",
        "GET /v1/notifications/notification",
        "GET /v1/notifications/outbox",
        "GET /v1/providers",
        "GET /v1/workflows/definitions",
        "GET /v1/workflows/run",
        "GET /v1/workflows/runs",
        "GET /v1/workflows/schedules",
        "GET /v1/workflows/watch",
        "POST /v1/analytics/flush",
        "POST /v1/analytics/identify",
        "POST /v1/analytics/track",
        "POST /v1/cache/clear-matching",
        "POST /v1/cache/clear-tags",
        "POST /v1/cache/delete",
        "POST /v1/cache/get",
        "POST /v1/cache/get-by-tags",
        "POST /v1/cache/set",
        "POST /v1/events/dead-letters/remove",
        "POST /v1/events/dead-letters/replay",
        "POST /v1/events/extend",
        "POST /v1/events/groups/discard",
        "POST /v1/events/groups/release",
        "POST /v1/events/groups/stage",
        "POST /v1/events/publish",
        "POST /v1/events/pull",
        "POST /v1/events/settle",
        "POST /v1/files",
        "POST /v1/files/copy",
        "POST /v1/files/delete",
        "POST /v1/files/download-url",
        "POST /v1/files/upload-url",
        "POST /v1/locking/acquire",
        "POST /v1/locking/extend",
        "POST /v1/locking/inspect",
        "POST /v1/locking/release",
        "POST /v1/locking/release-all",
        "POST /v1/locking/release-keys",
        "POST /v1/notifications/send",
        "POST /v1/workflows/cancel",
        "POST /v1/workflows/complete",
        "POST /v1/workflows/extend",
        "POST /v1/workflows/pull",
        "POST /v1/workflows/retry",
        "POST /v1/workflows/settle",
        "POST /v1/workflows/start",
        "PUT /v1/cache/entry",
        "PUT /v1/events/subscription",
        "PUT /v1/files/link",
        "PUT /v1/workflows/definition",
        "PUT /v1/workflows/schedule",
    ];
    assert_eq!(all.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    for (method, path, operation) in operations(&served) {
        // Without arguments: a route that takes any says that they are missing.
        let response = server.request(method.clone(), &path, &[]).send().await.unwrap();
        let status = response.status().as_u16();
        let takes = operation.get("requestBody").is_some()
            || operation["parameters"]
                .as_array()
                .is_some_and(|all| all.iter().any(|parameter| parameter["required"] == true));
        assert_eq!(status, if takes { 400 } else { 200 }, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_no_route_has_the_form_of_an_error_and_is_no_miss() {
    let server = Server::start().await;
    for path in ["/", "/v1/cache", "/v1/cache/entry/", "/v1/cache/entry/k", "/v2/providers"] {
        let response = server.get(path, &[]).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(error(response).await.0, "unknown-route", "{path}");
    }
    let response = server.request(Method::POST, "/v1/cache/entry", &[]).send().await.unwrap();
    assert_eq!(response.status(), 405);
    let allowed = response.headers()["allow"].to_str().unwrap().to_owned();
    for method in ["GET", "PUT", "DELETE"] {
        assert!(allowed.contains(method), "{allowed}");
    }
    assert_eq!(error(response).await.0, "method-not-allowed");
}
