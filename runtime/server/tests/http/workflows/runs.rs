//! Clients that do the steps of runs.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::states;
use crate::server::{Server, answer, error};

#[tokio::test]
async fn a_client_does_the_steps_until_the_run_is_done() {
    let server = Server::start().await;
    let steps = json!([
        {"id": "charge", "attempts": 3, "timeout": "1m", "compensates": true},
        {"id": "approved", "work": "wait"},
        {"id": "ship", "when": [{"step": "approved", "pointer": "/ok", "test": {"equals": true}}]},
    ]);
    server.define("order", json!({"steps": steps, "result_from": "ship", "finish": true})).await;
    // The digits would not survive a parser of floats.
    let start =
        r#"{"workflow": "order", "run": "r", "input": {"total":  12345678901234567890.10}}"#;
    let start = server.request(Method::POST, "/v1/workflows/start", &[]).body(start);
    let started = answer(start.send().await.unwrap()).await;
    assert_eq!(started, json!({"run": "r", "new": true}));

    let pull = json!({"workflows": [{"workflow": "order", "steps": ["charge"]}], "wait": "5m"});
    let text = server.post("/v1/workflows/pull", pull).await.text().await.unwrap();
    assert!(text.contains(r#""input":{"total":12345678901234567890.10}"#), "{text}");
    let pulled: Value = serde_json::from_str(&text).unwrap();
    let task = &pulled["tasks"][0];
    let about = ["workflow", "run", "step", "action", "attempt", "attempts", "results"];
    let about = about.map(|key| task[key].clone());
    let expected = json!(["order", "r", "charge", "invoke", 1, 3, {}]).as_array().unwrap().clone();
    assert_eq!(about.as_slice(), expected);
    assert!(task["deadline_in"].is_string(), "{task}");
    assert_eq!(task.get("state"), None);
    assert!(server.tasks("order", "0s").await.is_empty(), "it is leased");
    assert_eq!(server.settle_task(task, json!({"result": {"receipt": 7}})).await, json!([]));

    assert_eq!(states(&server.run("r").await), ["done", "waiting", "pending"]);
    let complete = json!({"run": "r", "step": "approved", "result": {"ok": true}});
    server.call("/v1/workflows/complete", complete).await;
    let task = server.task("order").await;
    assert_eq!(task["results"], json!({"charge": {"receipt": 7}, "approved": {"ok": true}}));
    let outcome = json!({"verdict": "done", "result_base64": "/wA="});
    assert_eq!(server.settle_task(&task, outcome).await, json!([]));

    // The last task tells the end.
    let task = server.task("order").await;
    let about = ["step", "action", "state", "results"].map(|key| task[key].clone());
    assert_eq!(about, [json!(""), json!("finish"), json!("done"), json!({})]);
    assert_eq!(task["results_base64"], json!({"ship": "/wA="}));
    assert_eq!(server.settle_task(&task, json!({})).await, json!([]));
    assert!(server.tasks("order", "0s").await.is_empty());

    let run = server.run("r").await;
    let about = ["run", "workflow", "state", "cause", "parent", "schedule", "result_base64"];
    let about = about.map(|key| run[key].clone());
    let expected = json!(["r", "order", "done", null, null, null, "/wA="]);
    assert_eq!(about.as_slice(), expected.as_array().unwrap());
    assert_eq!(run["steps"][0]["result"], json!({"receipt": 7}));
    assert!(run["ended_ms"].as_u64() >= run["started_ms"].as_u64());

    // The same again finds that one.
    let again = json!({"workflow": "order", "run": "r", "input": 5});
    let again = server.call("/v1/workflows/start", again).await;
    assert_eq!(again, json!({"run": "r", "new": false}));
    let own = server.call("/v1/workflows/start", json!({"workflow": "order"})).await;
    assert_eq!(own["new"], true);
    let task = server.task("order").await;
    assert_eq!((&task["run"], &task["input"]), (&own["run"], &Value::Null));
}

#[tokio::test]
async fn what_fails_is_tried_again_and_then_what_was_done_is_undone() {
    let server = Server::start().await;
    let backoff = json!({"initial": "1ms", "max": "1ms"});
    let steps = json!([
        {"id": "a", "compensates": true},
        {"id": "b", "attempts": 3, "backoff": backoff},
        {"id": "c"},
    ]);
    server.define("w", json!({"steps": steps})).await;
    server.start_run("w", "r", json!(1)).await;
    assert_eq!(
        server.settle_task(&server.task("w").await, json!({"result": "A"})).await,
        json!([])
    );
    let failed = json!({"verdict": "failed", "reason": "busy"});
    assert_eq!(server.settle_task(&server.task("w").await, failed).await, json!([]));
    let again = server.tasks("w", "5m").await.remove(0);
    assert_eq!((&again["step"], &again["attempt"]), (&json!("b"), &json!(2)));
    let rejected = json!({"verdict": "rejected", "reason": "never"});
    assert_eq!(server.settle_task(&again, rejected).await, json!([]));
    let undo = server.task("w").await;
    assert_eq!((&undo["step"], &undo["action"]), (&json!("a"), &json!("compensate")));
    assert_eq!(undo["results"], json!({"a": "A"}));
    assert_eq!(server.run("r").await["state"], "compensating");
    assert_eq!(server.settle_task(&undo, json!({})).await, json!([]));

    let run = server.run("r").await;
    assert_eq!(run["state"], "reverted");
    assert_eq!(run["cause"], json!({"kind": "step-failed", "step": "b", "reason": "never"}));
    assert_eq!(run.get("result"), None);
    assert_eq!(states(&run), ["reverted", "failed", "passed-over"]);
    let faults = run["steps"][1]["faults"].as_array().unwrap();
    let reasons: Vec<_> =
        faults.iter().map(|fault| (&fault["attempt"], &fault["reason"])).collect();
    assert_eq!(reasons, [(&json!(1), &json!("busy")), (&json!(2), &json!("never"))]);
}

#[tokio::test]
async fn a_stalled_step_is_retried_and_a_run_is_cancelled_by_hand() {
    let server = Server::start().await;
    let steps = json!([{"id": "a", "attempts": 2, "auto_retry": false, "compensates": true}]);
    server.define("w", json!({"steps": steps})).await;
    server.start_run("w", "r", Value::Null).await;
    let failed = json!({"verdict": "failed", "reason": "busy"});
    server.settle_task(&server.task("w").await, failed).await;
    assert_eq!(states(&server.run("r").await), ["stalled"]);
    assert!(server.tasks("w", "0s").await.is_empty());
    server.call("/v1/workflows/retry", json!({"run": "r", "step": "a"})).await;
    let task = server.task("w").await;
    assert_eq!(task["attempt"], 2);
    server.settle_task(&task, json!({"result": 1})).await;
    assert_eq!(server.run("r").await["state"], "done");
    // One that is done can be cancelled while it is retained.
    server.call("/v1/workflows/cancel", json!({"run": "r", "reason": "sent back"})).await;
    server.settle_task(&server.task("w").await, json!({})).await;
    let run = server.run("r").await;
    assert_eq!(run["state"], "reverted");
    assert_eq!(run["cause"], json!({"kind": "cancelled", "step": null, "reason": "sent back"}));
}

#[tokio::test]
async fn each_verdict_does_what_it_says() {
    let server = Server::start().await;
    server.define("w", json!({"steps": [{"id": "a"}]})).await;
    for (verdict, state) in [
        ("done", "done"),
        ("skipped", "skipped"),
        ("waiting", "waiting"),
        ("failed", "failed"),
        ("rejected", "failed"),
        ("returned", "running"),
    ] {
        server.start_run("w", verdict, Value::Null).await;
        let task = server.task("w").await;
        assert_eq!(server.settle_task(&task, json!({"verdict": verdict})).await, json!([]));
        let run = server.run(verdict).await;
        assert_eq!(states(&run), [state], "{verdict}");
    }
    // Why was not said.
    assert_eq!(server.run("rejected").await["cause"]["reason"], "no reason was given");
    // `returned` is due again, and was not counted.
    let again = server.task("w").await;
    assert_eq!((&again["run"], &again["attempt"]), (&json!("returned"), &json!(1)));
    for (body, state) in [
        (json!({"verdict": "failed", "reason": "too dear"}), "reverted"),
        (json!({"verdict": "skipped"}), "done"),
        (json!({"result_base64": "/wA="}), "done"),
        (json!({}), "done"),
    ] {
        server.define("waits", json!({"steps": [{"id": "a", "work": "wait"}]})).await;
        let started = server.call("/v1/workflows/start", json!({"workflow": "waits"})).await;
        let run = started["run"].as_str().unwrap();
        let mut complete = body.as_object().unwrap().clone();
        complete.insert("run".into(), json!(run));
        complete.insert("step".into(), json!("a"));
        server.call("/v1/workflows/complete", Value::Object(complete)).await;
        assert_eq!(server.run(run).await["state"], state, "{body}");
    }
}

#[tokio::test]
async fn a_token_counts_once_and_can_be_extended_until_then() {
    let server = Server::start().await;
    server.define("w", json!({"steps": [{"id": "a"}]})).await;
    server.start_run("w", "r", Value::Null).await;
    let task = server.task("w").await;
    let extend = json!({"tokens": [task["token"], "never there"], "lease": "1m"});
    let extended = server.call("/v1/workflows/extend", extend).await;
    assert_eq!(extended, json!({"lost": ["never there"]}));
    assert_eq!(server.settle_task(&task, json!({"result": 1})).await, json!([]));
    assert_eq!(server.settle_task(&task, json!({"result": 2})).await, json!([task["token"]]));
    assert_eq!(server.run("r").await["result"], 1);
}

#[tokio::test]
async fn long_polls_end_when_a_task_comes_and_when_the_run_ends() {
    let server = Server::start().await;
    server.define("w", json!({"steps": [{"id": "a"}]})).await;
    let start = server.start_run("w", "r", json!(5));
    let (tasks, ()) = tokio::join!(server.tasks("w", "5m"), start);
    assert_eq!(tasks[0]["input"], 5);
    let waits = server.get("/v1/workflows/run", &[("run", "r"), ("wait", "5m")]);
    let settle = server.settle_task(&tasks[0], json!({"result": 6}));
    let (run, lost) = tokio::join!(waits, settle);
    let run = answer(run).await;
    assert_eq!((&run["state"], &run["result"], lost), (&json!("done"), &json!(6), json!([])));
    // When the time is over it says where the run is.
    server.start_run("w", "slow", json!(5)).await;
    let slow = server.get("/v1/workflows/run", &[("run", "slow"), ("wait", "10ms")]).await;
    assert_eq!(answer(slow).await["state"], "running");
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_takes_nothing_with_it() {
    let server = Server::start().await;
    server.define("w", json!({"steps": [{"id": "a"}]})).await;
    let body = json!({"workflows": [{"workflow": "w"}], "wait": "5m"}).to_string();
    let pull = format!(
        "POST /v1/workflows/pull HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    for round in 0..20 {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(pull.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        // The server closes once it has seen the client go.
        client.read_to_end(&mut Vec::new()).await.unwrap();
        server.start_run("w", &format!("r{round}"), json!(round)).await;
        let task = server.task("w").await;
        assert_eq!((&task["input"], &task["attempt"]), (&json!(round), &json!(1)));
        server.settle_task(&task, json!({})).await;
    }
}

/// Workers of two kinds, each with the steps that it names.
#[tokio::test]
async fn many_clients_do_many_runs_and_each_step_once() {
    const RUNS: u64 = 50;
    let server = std::sync::Arc::new(Server::start().await);
    server.define("w", json!({"steps": [{"id": "double"}, {"id": "add"}]})).await;
    let (done, told) = tokio::sync::watch::channel(());
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let (server, told) = (std::sync::Arc::clone(&server), told.clone());
        workers.spawn(async move {
            let step = if worker % 2 == 0 { "double" } else { "add" };
            let selector = json!([{"workflow": "w", "steps": [step]}]);
            let mut tasks = 0;
            while told.has_changed().is_ok() {
                let pull = json!({"workflows": selector, "max": 3, "wait": "100ms"});
                let pulled = server.call("/v1/workflows/pull", pull).await;
                for task in pulled["tasks"].as_array().unwrap() {
                    assert_eq!(task["step"], step);
                    let result = match step {
                        "double" => task["input"].as_u64().unwrap() * 2,
                        _ => task["results"]["double"].as_u64().unwrap() + 1,
                    };
                    assert_eq!(
                        server.settle_task(task, json!({"result": result})).await,
                        json!([])
                    );
                    tasks += 1;
                }
            }
            tasks
        });
    }
    for n in 0..RUNS {
        server.start_run("w", &n.to_string(), json!(n)).await;
    }
    for n in 0..RUNS {
        let run = n.to_string();
        let run = server.get("/v1/workflows/run", &[("run", &run), ("wait", "1m")]).await;
        assert_eq!(answer(run).await["result"], n * 2 + 1);
    }
    drop((done, told));
    assert_eq!(workers.join_all().await.into_iter().sum::<u64>(), RUNS * 2);
}

#[tokio::test]
async fn a_run_of_a_body_that_is_not_json_has_it_as_it_was() {
    let server = Server::start().await;
    server.define("w", json!({"steps": [{"id": "a"}]})).await;
    let start = json!({"workflow": "w", "run": "r", "input_base64": "/wD+"});
    server.call("/v1/workflows/start", start).await;
    let task = server.task("w").await;
    assert_eq!((task.get("input"), &task["input_base64"]), (None, &json!("/wD+")));
    let run = server.run("r").await;
    assert_eq!((run.get("input"), &run["input_base64"]), (None, &json!("/wD+")));
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_cannot_be_done_409() {
    let server = Server::start().await;
    let steps = json!([{"id": "gate", "work": "wait"}, {"id": "b"}]);
    server.define("w", json!({"steps": steps})).await;
    server.define("other", json!({"steps": steps})).await;
    server.start_run("w", "r", Value::Null).await;
    for (path, body, status, named) in [
        ("start", json!({"workflow": "nobody"}), 404, "nobody"),
        ("start", json!({"workflow": "other", "run": "r"}), 409, "`r`"),
        ("complete", json!({"run": "nobody", "step": "gate"}), 404, "nobody"),
        ("complete", json!({"run": "r", "step": "nobody"}), 404, "nobody"),
        ("complete", json!({"run": "r", "step": "b"}), 409, "`b`"),
        ("cancel", json!({"run": "nobody"}), 404, "nobody"),
        ("retry", json!({"run": "nobody", "step": "gate"}), 404, "nobody"),
        ("retry", json!({"run": "r", "step": "nobody"}), 404, "nobody"),
        ("retry", json!({"run": "r", "step": "gate"}), 409, "`gate`"),
    ] {
        let response = server.post(&format!("/v1/workflows/{path}"), body.clone()).await;
        assert_eq!(response.status(), status, "{path} {body}");
        let (kind, message) = error(response).await;
        assert_eq!(kind, if status == 404 { "not-found" } else { "conflict" }, "{path} {body}");
        assert!(message.contains(named), "{path} {body}: {message}");
    }
    for query in [[("run", "nobody"), ("wait", "0s")], [("run", "nobody"), ("wait", "1m")]] {
        let response = server.get("/v1/workflows/run", &query).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert!(error(response).await.1.contains("nobody"));
    }
    for path in ["/v1/workflows/definition", "/v1/workflows/schedule"] {
        let response = server.request(Method::DELETE, path, &[("id", "nobody")]).send().await;
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert!(error(response).await.1.contains("nobody"));
    }
    server.call("/v1/workflows/cancel", json!({"run": "r"})).await;
    let again = server.post("/v1/workflows/cancel", json!({"run": "r"})).await;
    assert_eq!((again.status().as_u16(), error(again).await.0.as_str()), (409, "conflict"));
}
