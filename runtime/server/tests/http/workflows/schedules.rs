//! Runs that begin by themselves.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::ids;
use crate::server::{Server, answer};

async fn schedule(server: &Server, id: &str, body: Value) {
    let request = server.request(Method::PUT, "/v1/workflows/schedule", &[("id", id)]);
    let response = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT, "{}", response.text().await.unwrap());
}

#[tokio::test]
async fn schedules_are_made_replaced_listed_and_removed_under_any_id() {
    let server = Server::start().await;
    server.define("w", json!({"steps": [{"id": "a", "work": "wait"}]})).await;
    let whole = json!({
        "workflow": "w", "input": {"n": 1}, "cron": "0 3 * * *", "time_zone": "Europe/Berlin",
        "overlap": "replace", "catch_up": true, "max_runs": 7,
    });
    let longest = "s".repeat(240);
    let ids = ["..", "a/b", longest.as_str(), "ключ"];
    for id in ids {
        schedule(&server, id, json!({"workflow": "w", "every": "1h"})).await;
        schedule(&server, id, whole.clone()).await;
    }
    let all = server.schedules().await;
    for (found, id) in all.as_array().unwrap().iter().zip(ids) {
        assert_eq!((&found["id"], &found["schedule"]), (&json!(id), &whole));
        let about = ["runs", "skipped", "last_run"].map(|key| found[key].clone());
        assert_eq!(about, [json!(0), json!(0), Value::Null]);
        // Three o'clock in Berlin is a whole hour, and within a day.
        let next = found["next_ms"].as_u64().unwrap();
        assert_eq!(next % 3_600_000, 0);
    }
    for id in ids {
        let request = server.request(Method::DELETE, "/v1/workflows/schedule", &[("id", id)]);
        answer(request.send().await.unwrap()).await;
    }
    assert_eq!(server.schedules().await, json!([]));
    // What is not said is what the documents say.
    schedule(&server, "s", json!({"workflow": "w", "every": "90s"})).await;
    let short = json!({
        "workflow": "w", "input": null, "every": "90s", "overlap": "skip", "catch_up": false,
        "max_runs": null,
    });
    assert_eq!(server.schedules().await[0]["schedule"], short);
    // It goes with its workflow.
    let undefine = server.request(Method::DELETE, "/v1/workflows/definition", &[("id", "w")]);
    answer(undefine.send().await.unwrap()).await;
    assert_eq!(server.schedules().await, json!([]));
}

#[tokio::test]
async fn a_schedule_starts_runs_with_its_input_and_ends_after_so_many() {
    let server = Server::start().await;
    server.define("w", json!({"steps": [{"id": "a"}]})).await;
    let body = json!({"workflow": "w", "every": "1s", "input_base64": "/wA=", "max_runs": 1});
    schedule(&server, "s", body).await;
    let task = server.tasks("w", "5m").await.remove(0);
    assert_eq!(task["input_base64"], "/wA=");
    let run = task["run"].as_str().unwrap();
    assert!(run.starts_with("s@"), "{run}");
    assert_eq!(server.run(run).await["schedule"], "s");
    assert_eq!(ids(&server.runs(&[("schedule", "s")]).await), [run]);
    assert_eq!(server.schedules().await, json!([]));
    server.settle_task(&task, json!({})).await;
    assert_eq!(server.run(run).await["state"], "done");
}
