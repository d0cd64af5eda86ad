//! A server on a free port, and a client for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};
use stheno::Runtime;
use stheno::config::{CompileCache, Config, ModuleName, ProviderConfig, Resolve, ServerConfig};
use stheno_server::serve;
use stheno_test_support::{compile_cache, guest};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What has not come by then never comes.
const NEVER: Duration = Duration::from_secs(60);

/// A running server; it stops when this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) runtime: Runtime,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

/// The local providers.
pub(crate) fn local() -> Config {
    let mut config = Config::default();
    config.runtime.compile_cache = CompileCache::Folder(compile_cache(env!("CARGO_TARGET_TMPDIR")));
    config
}

/// The local providers, with a cache that misbehaves as its keys say.
pub(crate) fn misbehaving(options: Value) -> Config {
    let mut config = local();
    let path: PathBuf = guest("misbehaving-cache");
    let mut provider = ProviderConfig::new(Resolve::File(path));
    provider.options = options.as_object().cloned().unwrap();
    *config.modules.get_mut(ModuleName::Cache) = provider;
    config
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(local(), ServerConfig::default()).await
    }

    pub(crate) async fn with(config: Config, server: ServerConfig) -> Self {
        let runtime = Runtime::builder().config(config).build().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let served = serve(listener, runtime.clone(), server, shutdown);
        let serving = tokio::spawn(async move { served.await.unwrap() });
        let client = reqwest::Client::builder().no_proxy().timeout(NEVER).build().unwrap();
        Self { address, runtime, client, stop: Some(stop), serving }
    }

    /// Says that the server is to stop, and gives what ends when it has.
    pub(crate) fn stop(&mut self) -> &mut JoinHandle<()> {
        self.stop.take().unwrap().send(()).unwrap();
        &mut self.serving
    }

    pub(crate) fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = Url::parse(&format!("http://{}{path}", self.address)).unwrap();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> RequestBuilder {
        self.client.request(method, self.url(path, query))
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Response {
        self.request(Method::GET, path, query).send().await.unwrap()
    }

    pub(crate) async fn put_entry(&self, query: &[(&str, &str)], value: impl Into<Vec<u8>>) {
        let request = self.request(Method::PUT, "/v1/cache/entry", query).body(value.into());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{}", response.text().await.unwrap());
    }

    /// The cached bytes; none for a miss.
    pub(crate) async fn entry(&self, key: &str) -> Option<Vec<u8>> {
        let response = self.get("/v1/cache/entry", &[("key", key)]).await;
        match response.status() {
            StatusCode::OK => Some(response.bytes().await.unwrap().into()),
            status => {
                assert_eq!(status, StatusCode::NOT_FOUND);
                assert_eq!(error(response).await.0, "not-found");
                None
            }
        }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        self.request(Method::POST, path, &[]).body(body.to_string()).send().await.unwrap()
    }

    /// The answer to a call that must succeed.
    pub(crate) async fn call(&self, path: &str, body: Value) -> Value {
        answer(self.post(path, body).await).await
    }

    pub(crate) async fn subscribe(&self, id: &str, body: Value) {
        let request = self.request(Method::PUT, "/v1/events/subscription", &[("id", id)]);
        answer(request.body(body.to_string()).send().await.unwrap()).await;
    }

    pub(crate) async fn publish(&self, name: &str, data: Value) {
        let event = json!({"name": name, "data": data});
        self.call("/v1/events/publish", json!({"events": [event]})).await;
    }

    /// What a pull of one subscription brings.
    pub(crate) async fn pull(&self, subscription: &str, wait: &str) -> Vec<Value> {
        let pull = json!({"subscription": subscription, "wait": wait});
        let answer = self.call("/v1/events/pull", pull).await;
        answer["deliveries"].as_array().unwrap().clone()
    }

    pub(crate) async fn settle(&self, outcomes: Value) -> Value {
        let answer = self.call("/v1/events/settle", json!({"outcomes": outcomes})).await;
        answer["lost"].clone()
    }

    pub(crate) async fn subscriptions(&self) -> Vec<Value> {
        let answer = answer(self.get("/v1/events/subscriptions", &[]).await).await;
        answer["subscriptions"].as_array().unwrap().clone()
    }

    /// Asks until no subscription is left; each question is a round trip.
    pub(crate) async fn no_subscription_is_left(&self) {
        let gone = async {
            while !self.subscriptions().await.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(NEVER, gone).await.unwrap();
    }
}

/// The JSON of an answer that must be a success; null if it has no body.
pub(crate) async fn answer(response: Response) -> Value {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

/// Kind and message of an answer that must have the form of an error.
pub(crate) async fn error(response: Response) -> (String, String) {
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    let detail = body["error"].as_object().unwrap();
    assert_eq!(detail.len(), 2, "{body}");
    (detail["kind"].as_str().unwrap().to_owned(), detail["message"].as_str().unwrap().to_owned())
}
