//! Looking at definitions and runs.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::ids;
use crate::server::Server;
use crate::watch::Frames;

#[tokio::test]
async fn definitions_are_listed_as_they_may_be_given_again_under_any_id() {
    let server = Server::start().await;
    let whole = json!({
        "steps": [
            {"id": "a", "after": [], "when": [], "work": "handler", "attempts": 3,
             "backoff": {"initial": "2s", "max": "30s"}, "auto_retry": false, "timeout": "10s",
             "on_failure": "proceed", "compensates": true},
            {"id": "b", "after": ["a"],
             "when": [
                {"step": null, "pointer": "/x", "test": "present", "negated": false},
                {"step": "a", "pointer": "", "test": {"equals": {"n": 1.50}}, "negated": true},
             ],
             "work": "wait", "attempts": 1, "backoff": {"initial": "1s", "max": "1m"},
             "auto_retry": true, "timeout": null, "on_failure": {"skip-to": "c"},
             "compensates": false},
            {"id": "c", "after": ["a", "b"],
             "when": [{"step": null, "pointer": "", "test": "truthy", "negated": false}],
             "work": {"nested": {"workflow": "other", "input_from": "a"}}, "attempts": 1,
             "backoff": {"initial": "1s", "max": "1m"}, "auto_retry": true, "timeout": null,
             "on_failure": "skip-rest", "compensates": true},
        ],
        "result_from": "a", "timeout": "1h", "retention": "2h", "finish": true,
    });
    let ids = ["..", "a/b", "order", "ключ"];
    for id in ids {
        server.define(id, whole.clone()).await;
    }
    let expected = |id| json!({"id": id, "definition": whole, "active": 0});
    assert_eq!(server.definitions().await, json!(ids.map(expected)));
    for id in ids {
        let path = "/v1/workflows/definition";
        let remove = server.request(Method::DELETE, path, &[("id", id)]).send().await.unwrap();
        assert_eq!(remove.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(server.definitions().await, json!([]));

    // What is not said is what the documents say.
    server.define("short", json!({"steps": [{"id": "a"}, {"id": "b", "work": "wait"}]})).await;
    let definition = &server.definitions().await[0]["definition"];
    let step = |id: &str, after: Value, work: &str| {
        json!({"id": id, "after": after, "when": [], "work": work, "attempts": 1,
               "backoff": {"initial": "1s", "max": "1m"}, "auto_retry": true, "timeout": null,
               "on_failure": "revert", "compensates": false})
    };
    let steps = [step("a", json!([]), "handler"), step("b", json!(["a"]), "wait")];
    let short = json!({"steps": steps, "result_from": null, "timeout": null, "retention": null,
                       "finish": false});
    assert_eq!(*definition, short);
}

#[tokio::test]
async fn runs_are_found_by_what_is_known_of_them_page_by_page() {
    let server = Server::start().await;
    server.define("waits", json!({"steps": [{"id": "a", "work": "wait"}]})).await;
    let nested = json!({"nested": {"workflow": "waits"}});
    server.define("nests", json!({"steps": [{"id": "n", "work": nested}]})).await;
    for n in 0..5 {
        server.start_run("waits", &format!("r{n}"), json!(n)).await;
    }
    server.start_run("nests", "parent", json!(5)).await;
    server.call("/v1/workflows/complete", json!({"run": "r1", "step": "a"})).await;
    let failed = json!({"run": "r2", "step": "a", "verdict": "rejected"});
    server.call("/v1/workflows/complete", failed).await;
    let child = server.run("parent").await["steps"][0]["child"].clone();
    let child = child.as_str().unwrap();

    let started = server.run("r3").await["started_ms"].clone();
    let later = (started.as_u64().unwrap() + 3_600_000).to_string();
    for (query, expected) in [
        (vec![], vec![child, "parent", "r4", "r3", "r2", "r1", "r0"]),
        (vec![("workflow", "waits")], vec![child, "r4", "r3", "r2", "r1", "r0"]),
        (vec![("workflow", "nobody")], vec![]),
        (vec![("state", "done")], vec!["r1"]),
        (vec![("state", "done"), ("state", "reverted")], vec!["r2", "r1"]),
        (vec![("state", "running"), ("workflow", "nests")], vec!["parent"]),
        (vec![("parent", "parent")], vec![child]),
        (vec![("schedule", "s")], vec![]),
        (vec![("started_from_ms", later.as_str())], vec![]),
        (vec![("started_before_ms", "1")], vec![]),
        (vec![("started_before_ms", later.as_str()), ("state", "done")], vec!["r1"]),
    ] {
        let page = server.runs(&query).await;
        assert_eq!(ids(&page), expected, "{query:?}");
        assert_eq!(page["next"], Value::Null);
    }
    let page = server.runs(&[("parent", "parent")]).await;
    assert_eq!(page["runs"][0]["parent"], json!({"run": "parent", "step": "n"}));

    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut query = vec![("max", "2")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page = server.runs(&query).await;
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
        assert_eq!(seen.len() % 2, 0);
    }
    assert_eq!(seen, [child, "parent", "r4", "r3", "r2", "r1", "r0"]);
    let active = server.definitions().await;
    let active: Vec<_> = active.as_array().unwrap().iter().map(|one| &one["active"]).collect();
    assert_eq!(active, [1, 4]);
}

#[tokio::test]
async fn a_watch_shows_the_ends_that_it_asked_for_until_the_server_stops() {
    let mut server = Server::start().await;
    for id in ["w", "other"] {
        server.define(id, json!({"steps": [{"id": "a", "work": "wait"}]})).await;
    }
    let path = "/v1/workflows/watch";
    let mut all = Frames::at(&server, path, &[]).await;
    let mut of_one = Frames::at(&server, path, &[("workflow", "other")]).await;
    let mut of_run = Frames::at(&server, path, &[("run", "r2")]).await;
    for (workflow, run, verdict) in
        [("w", "r1", "done"), ("w", "r2", "rejected"), ("other", "r3", "done")]
    {
        server.start_run(workflow, run, json!(1)).await;
        let body = json!({"run": run, "step": "a", "verdict": verdict});
        server.call("/v1/workflows/complete", body).await;
        let state = if verdict == "done" { "done" } else { "reverted" };
        let (id, event, data) = all.next().await.unwrap();
        assert_eq!((id.as_str(), event.as_str()), (run, state));
        let about = ["run", "workflow", "state"].map(|key| data[key].clone());
        assert_eq!(about, [run, workflow, state].map(Value::from));
        assert_eq!(data["cause"].is_null(), state == "done");
    }
    assert_eq!(of_one.next().await.unwrap().0, "r3");
    assert_eq!(of_run.next().await.unwrap().0, "r2");
    server.stop().await.unwrap();
    for watch in [&mut all, &mut of_one, &mut of_run] {
        assert_eq!(watch.next().await, None);
    }
}
