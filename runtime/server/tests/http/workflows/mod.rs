//! Workflows over HTTP: `runs` has clients that do the steps, `looking` those who
//! look, `schedules` what begins by itself, `refusals` what is wrong.

mod looking;
mod refusals;
mod runs;
mod schedules;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, answer};

impl Server {
    async fn define(&self, id: &str, definition: Value) {
        let request = self.request(Method::PUT, "/v1/workflows/definition", &[("id", id)]);
        let response = request.body(definition.to_string()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{}", response.text().await.unwrap());
    }

    /// Starts a run of this id, on this input.
    async fn start_run(&self, workflow: &str, run: &str, input: Value) {
        let body = json!({"workflow": workflow, "run": run, "input": input});
        let started = self.call("/v1/workflows/start", body).await;
        assert_eq!(started, json!({"run": run, "new": true}));
    }

    /// The tasks of a workflow that are due, or come within `wait`.
    async fn tasks(&self, workflow: &str, wait: &str) -> Vec<Value> {
        let pull = json!({"workflows": [{"workflow": workflow}], "wait": wait});
        let answer = self.call("/v1/workflows/pull", pull).await;
        answer["tasks"].as_array().unwrap().clone()
    }

    /// The only task that is due.
    async fn task(&self, workflow: &str) -> Value {
        let mut tasks = self.tasks(workflow, "0s").await;
        assert_eq!(tasks.len(), 1, "{tasks:?}");
        tasks.remove(0)
    }

    /// Settles a task, with what else is said of its outcome.
    async fn settle_task(&self, task: &Value, outcome: Value) -> Value {
        let mut outcome = outcome.as_object().unwrap().clone();
        outcome.insert("token".into(), task["token"].clone());
        let answer = self.call("/v1/workflows/settle", json!({"outcomes": [outcome]})).await;
        answer["lost"].clone()
    }

    async fn run(&self, run: &str) -> Value {
        answer(self.get("/v1/workflows/run", &[("run", run)]).await).await
    }

    async fn runs(&self, query: &[(&str, &str)]) -> Value {
        answer(self.get("/v1/workflows/runs", query).await).await
    }

    async fn definitions(&self) -> Value {
        answer(self.get("/v1/workflows/definitions", &[]).await).await["workflows"].clone()
    }

    async fn schedules(&self) -> Value {
        answer(self.get("/v1/workflows/schedules", &[]).await).await["schedules"].clone()
    }
}

/// Ids of the runs of a page.
fn ids(page: &Value) -> Vec<&str> {
    let runs = page["runs"].as_array().unwrap();
    runs.iter().map(|run| run["run"].as_str().unwrap()).collect()
}

/// The states of a run's steps.
fn states(run: &Value) -> Vec<&str> {
    let steps = run["steps"].as_array().unwrap();
    steps.iter().map(|step| step["state"].as_str().unwrap()).collect()
}
