//! What is wrong is refused by name, and changes nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, error};

/// A server with a workflow, and a run of it that waits.
async fn scene() -> Server {
    let server = Server::start().await;
    server.define("w", json!({"steps": [{"id": "gate", "work": "wait"}, {"id": "b"}]})).await;
    server.start_run("w", "r", Value::Null).await;
    server
}

async fn seen(server: &Server) -> [Value; 4] {
    let (definitions, schedules) = (server.definitions().await, server.schedules().await);
    [definitions, schedules, server.runs(&[]).await, server.run("r").await]
}

#[tokio::test]
async fn a_wrong_field_is_refused_by_name_and_changes_nothing() {
    let server = scene().await;
    let before = seen(&server).await;
    let steps = |step: Value| json!({"steps": [step]});
    let long = "x".repeat(256);
    let selector = json!([{"workflow": "w"}]);
    let done = |outcome: Value| json!({"outcomes": [outcome]});
    let definition = |id: &str| format!("PUT definition?id={id}");
    let schedule = |id: &str| format!("PUT schedule?id={id}");
    let every = |every: &str| json!({"workflow": "w", "every": every});
    let cron = |cron: &str, zone: &str| json!({"workflow": "w", "cron": cron, "time_zone": zone});
    for (call, body, named) in [
        ("start".to_owned(), json!({"workflow": ""}), "workflow"),
        ("start".into(), json!({"workflow": "w", "run": ""}), "id"),
        ("start".into(), json!({"workflow": "w", "run": "a\nb"}), "id"),
        ("start".into(), json!({"workflow": "w", "run": long}), "id"),
        ("start".into(), json!({"workflow": "w", "id": "r"}), "`id`"),
        ("start".into(), json!({"workflow": "w", "input": 1, "input_base64": ""}), "not both"),
        ("start".into(), json!({"workflow": "w", "input_base64": "a-b_"}), "input_base64"),
        ("start".into(), json!({"workflow": "w", "input": "x".repeat(1 << 20)}), "input"),
        ("complete".into(), json!({"run": "r"}), "`step`"),
        ("complete".into(), json!({"run": "", "step": "gate"}), "run"),
        ("complete".into(), json!({"run": "r", "step": ""}), "step"),
        ("complete".into(), json!({"run": "r", "step": "gate", "verdict": "waiting"}), "verdict"),
        ("complete".into(), json!({"run": "r", "step": "gate", "verdict": "handled"}), "verdict"),
        ("complete".into(), json!({"run": "r", "step": "gate", "reason": "why"}), "`reason`"),
        (
            "complete".into(),
            json!({"run": "r", "step": "gate", "verdict": "skipped", "result": 1}),
            "`result`",
        ),
        (
            "complete".into(),
            json!({"run": "r", "step": "gate", "result": "x".repeat(1 << 20)}),
            "result",
        ),
        ("cancel".into(), json!({"run": ""}), "run"),
        ("cancel".into(), json!({"run": "r", "why": "no"}), "`why`"),
        ("retry".into(), json!({"run": "r", "step": ""}), "step"),
        ("pull".into(), json!({"workflows": []}), "workflows"),
        ("pull".into(), json!({"workflows": [{"workflow": ""}]}), "workflow"),
        ("pull".into(), json!({"workflows": [{"workflow": "w", "steps": [""]}]}), "steps"),
        ("pull".into(), json!({"workflows": selector, "max": 0}), "max"),
        ("pull".into(), json!({"workflows": selector, "max": 1_001}), "max"),
        ("pull".into(), json!({"workflows": selector, "wait": "6m"}), "wait"),
        ("pull".into(), json!({"workflows": selector, "wait": 5}), "wait"),
        ("pull".into(), json!({"workflows": selector, "lease": "0s"}), "lease"),
        ("settle".into(), done(json!({"verdict": "done"})), "`token`"),
        ("settle".into(), done(json!({"token": "t", "verdict": "handled"})), "outcomes[0].verdict"),
        ("settle".into(), done(json!({"token": "t", "reason": "r"})), "outcomes[0]: `reason`"),
        (
            "settle".into(),
            done(json!({"token": "t", "verdict": "failed", "result": 1})),
            "outcomes[0]: `result`",
        ),
        ("extend".into(), json!({"tokens": ["t"]}), "`lease`"),
        ("extend".into(), json!({"tokens": ["t"], "lease": "0s"}), "lease"),
        (definition(""), steps(json!({"id": "a"})), "id"),
        (definition("w"), json!({}), "`steps`"),
        (definition("w"), json!({"steps": []}), "steps"),
        (definition("w"), json!({"steps": [{"id": "a"}, {"id": "a"}]}), "\"a\" twice"),
        (definition("w"), steps(json!({"id": "finish"})), "finish"),
        (definition("w"), steps(json!({"id": "a", "after": ["a"]})), "`a`"),
        (definition("w"), steps(json!({"id": "a", "work": "sleep"})), "steps[0].work"),
        (definition("w"), steps(json!({"id": "a", "attempts": 0})), "attempts"),
        (definition("w"), steps(json!({"id": "a", "timeout": "0s"})), "timeout"),
        (definition("w"), steps(json!({"id": "a", "timeout": "5"})), "write \"5s\""),
        (definition("w"), steps(json!({"id": "a", "when": [{"pointer": "/x"}]})), "`test`"),
        (
            definition("w"),
            steps(json!({"id": "a", "when": [{"pointer": "x", "test": "present"}]})),
            "`a`",
        ),
        (definition("w"), steps(json!({"id": "a", "retries": 3})), "`retries`"),
        (schedule(""), every("1m"), "id"),
        (schedule(&"s".repeat(241)), every("1m"), "id has 241 bytes, at most 240"),
        (schedule("s"), json!({"workflow": "w"}), "`every`"),
        (schedule("s"), json!({"workflow": "w", "cron": "* * * * *", "every": "1m"}), "not both"),
        (schedule("s"), json!({"workflow": "w", "every": "1m", "time_zone": "UTC"}), "time_zone"),
        (schedule("s"), every("999ms"), "every"),
        (schedule("s"), cron("60 * * * *", "UTC"), "`60`"),
        (schedule("s"), cron("* * * * *", "Mars/Olympus"), "Mars/Olympus"),
        (schedule("s"), json!({"workflow": "w", "every": "1m", "max_runs": 0}), "max_runs"),
        (schedule("s"), json!({"workflow": "w", "every": "1m", "overlap": "maybe"}), "overlap"),
    ] {
        let path = call.strip_prefix("PUT ").unwrap_or(&call);
        let method = if path == call { Method::POST } else { Method::PUT };
        let (path, query) =
            path.split_once("?id=").map_or((path, None), |(path, id)| (path, Some(("id", id))));
        let path = format!("/v1/workflows/{path}");
        let request = server.request(method, &path, query.as_slice());
        let response = request.body(body.to_string()).send().await.unwrap();
        let body: String = body.to_string().chars().take(100).collect();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{call} {body}");
        let (kind, message) = error(response).await;
        assert_eq!(kind, "invalid-argument", "{call} {body}");
        assert!(message.contains(named), "{call} {body}: {message}");
    }
    assert_eq!(seen(&server).await, before);
}

#[tokio::test]
async fn a_wrong_query_is_refused_by_name() {
    let server = scene().await;
    for (path, query, named) in [
        ("run", vec![], "run"),
        ("run", vec![("run", "")], "run"),
        ("run", vec![("run", "r"), ("wait", "6m")], "wait"),
        ("run", vec![("run", "r"), ("wait", "5")], "wait"),
        ("run", vec![("run", "r"), ("x", "1")], "x"),
        ("runs", vec![("max", "0")], "max"),
        ("runs", vec![("max", "1001")], "max"),
        ("runs", vec![("state", "sleeping")], "state"),
        ("runs", vec![("workflow", "")], "workflow"),
        ("runs", vec![("parent", "")], "parent"),
        ("runs", vec![("schedule", "")], "schedule"),
        ("runs", vec![("after", "")], "after"),
        ("runs", vec![("after", "no page gave this")], "after"),
        ("runs", vec![("started_from_ms", "yesterday")], "started_from_ms"),
        ("runs", vec![("x", "1")], "x"),
        ("watch", vec![("pattern", "*")], "pattern"),
    ] {
        let response = server.get(&format!("/v1/workflows/{path}"), &query).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path} {query:?}");
        let (kind, message) = error(response).await;
        assert_eq!(kind, "invalid-argument");
        assert!(message.contains(named), "{path} {query:?}: {message}");
    }
}
