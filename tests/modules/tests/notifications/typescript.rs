//! A provider in another language reaches what it was granted by that language's own
//! client, and nothing else: `examples/notifications-typescript`, which posts by `fetch`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use stheno::config::{CompileCache, Config, ModuleName};
use stheno::{Content, ErrorKind, NewNotification, Runtime};
use stheno_test_support::{compile_cache, guest};

const TOKEN: &str = "xoxb-0123456789-abcdefghijkl";
const PATH: &str = "/api/chat.postMessage";

/// What the service was asked, and what it says next.
#[derive(Default)]
struct Seen {
    asked: Vec<(String, HeaderMap, Value)>,
    next: Option<(u16, String)>,
}

#[derive(Clone, Default)]
struct Service(Arc<Mutex<Seen>>);

impl Service {
    async fn start(&self) -> SocketAddr {
        let router = Router::new().fallback(answer).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn asked(&self) -> Vec<(String, HeaderMap, Value)> {
        self.0.lock().unwrap().asked.clone()
    }
}

async fn answer(
    State(service): State<Service>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let mut seen = service.0.lock().unwrap();
    let body = serde_json::from_str(&body).unwrap();
    seen.asked.push((uri.path().to_owned(), headers, body));
    let taken = || (200, json!({"ok": true, "ts": "1503435956.000247"}).to_string());
    let (status, text) = seen.next.take().unwrap_or_else(taken);
    (StatusCode::from_u16(status).unwrap(), text)
}

/// A runtime that posts to this address, and may send to one path of this port.
async fn posting(to: SocketAddr, port: u16, path: &str) -> Runtime {
    let provider = guest("notifications-typescript");
    let text = format!(
        r#"
        [modules.notifications]
        resolve = {provider:?}
        options = {{ url = "http://{to}{PATH}" }}
        grants.http = [{{ host = "127.0.0.1", scheme = "http", port = {port}, methods = ["POST"], path = "{path}", secrets = {{ authorization = "Bearer ${{TOKEN}}" }} }}]
        "#,
    );
    let env = |name: &str| (name == "TOKEN").then(|| TOKEN.to_owned());
    let mut config = Config::parse(&text, "stheno.toml", Path::new("/"), &env).unwrap();
    let folder = compile_cache(env!("CARGO_TARGET_TMPDIR"));
    config.runtime.compile_cache = CompileCache::Folder(folder);
    Runtime::builder().config(config).build().await.unwrap()
}

fn message(text: &str) -> NewNotification {
    let (subject, text) = (Some("Order 1001".into()), Some(text.into()));
    NewNotification::content("slack", "#orders", Content { subject, text, ..Content::default() })
}

async fn fetch_reaches_what_was_granted_with_the_secret_that_the_host_fills_in() {
    let service = Service::default();
    let address = service.start().await;
    let runtime = posting(address, address.port(), PATH).await;
    // More than one instance, and more than one request of each.
    for turn in 0..3 {
        let sent = runtime.notifications().send(message(&format!("<ü> & {turn}"))).await.unwrap();
        assert_eq!(sent.external_id.as_deref(), Some("1503435956.000247"));
    }
    let filled = format!("Bearer {TOKEN}");
    for (turn, (path, headers, body)) in service.asked().into_iter().enumerate() {
        assert_eq!((path.as_str(), headers["authorization"].to_str().unwrap()), (PATH, &*filled));
        let text = format!("Order 1001\n&lt;ü&gt; &amp; {turn}");
        assert_eq!(body, json!({"channel": "#orders", "text": text, "mrkdwn": false}));
    }
    assert_eq!(service.asked().len(), 3);
    runtime.shutdown().await.unwrap();
}

async fn fetch_reaches_nothing_that_was_not_granted_and_that_is_counted() {
    let (service, other) = (Service::default(), Service::default());
    let (address, elsewhere) = (service.start().await, other.start().await);
    for (to, path) in [(address, "/api/chat.update"), (elsewhere, PATH)] {
        let runtime = posting(to, address.port(), path).await;
        let error = runtime.notifications().send(message("hello")).await.unwrap_err();
        // `fetch` rejects, and does not say why.
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let all = runtime.status().await;
        let ours = all.iter().find(|it| it.module == ModuleName::Notifications).unwrap();
        let [denied] = &*ours.denials else { panic!("{:?}", ours.denials) };
        assert_eq!((denied.capability, denied.count), ("http", 1));
        runtime.shutdown().await.unwrap();
    }
    assert!(service.asked().is_empty() && other.asked().is_empty());
}

async fn what_the_service_says_is_told_as_the_error_that_it_is() {
    let service = Service::default();
    let address = service.start().await;
    let runtime = posting(address, address.port(), PATH).await;
    let refused = |why: &str| json!({"ok": false, "error": why}).to_string();
    for (status, text, kind) in [
        (200, refused("channel_not_found"), ErrorKind::InvalidArgument),
        (200, refused("invalid_auth"), ErrorKind::Denied),
        (200, refused("fatal_error"), ErrorKind::Timeout),
        (200, refused("ratelimited"), ErrorKind::Unavailable),
        (200, "<html>".into(), ErrorKind::Internal),
        (429, String::new(), ErrorKind::Unavailable),
        (503, String::new(), ErrorKind::Unavailable),
        (504, String::new(), ErrorKind::Timeout),
        (404, refused("no_such_path"), ErrorKind::Internal),
        // It repeats the token, which the host keeps from the provider.
        (200, refused(TOKEN), ErrorKind::Timeout),
    ] {
        service.0.lock().unwrap().next = Some((status, text.clone()));
        let error = runtime.notifications().send(message("hello")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {text}: {error}");
        assert!(!error.message().contains(TOKEN), "{error}");
    }
    let asked = service.asked().len();
    let to_many = NewNotification { cc: vec!["#all".into()], ..message("hello") };
    let error = runtime.notifications().send(to_many).await.unwrap_err();
    assert_eq!((error.kind(), service.asked().len()), (ErrorKind::InvalidArgument, asked));
    runtime.shutdown().await.unwrap();
}

properties! {
    fetch_reaches_what_was_granted_with_the_secret_that_the_host_fills_in,
    fetch_reaches_nothing_that_was_not_granted_and_that_is_counted,
    what_the_service_says_is_told_as_the_error_that_it_is,
}
