//! Who may call, with how much, and what the logs keep of it.

use reqwest::{Body, Method, StatusCode};
use serde_json::Value;
use stheno::Runtime;
use stheno::config::{ByteSize, MaxBody, ServerConfig, Token};
use stheno_server::{ServeError, openapi_json, serve};
use tokio::net::TcpListener;

use crate::server::{Server, error, local};

const TOKEN: &str = "0123456789abcdef";

fn with_token() -> ServerConfig {
    let token = Token::new(TOKEN).unwrap();
    ServerConfig::new(ServerConfig::DEFAULT_LISTEN, Some(token)).unwrap()
}

#[tokio::test]
async fn without_the_token_nothing_but_health_and_links_is_answered() {
    let server = Server::with(local(), with_token()).await;
    let document: Value = serde_json::from_str(&openapi_json().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap().keys().map(String::as_str);
    for path in paths.chain(["/", "/nowhere", "/livez/", "//livez"]) {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let response = server.request(method.clone(), path, &[]).send().await.unwrap();
            if ["/livez", "/readyz"].contains(&path) {
                assert_ne!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            } else if path == "/v1/files/link" {
                // It answers whoever has a link, and here nobody has one.
                let status = response.status().as_u16();
                assert!([400, 405].contains(&status), "{method} {path}: {status}");
            } else {
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
                assert_eq!(response.headers()["www-authenticate"], "Bearer");
                assert_eq!(error(response).await.0, "unauthorized");
            }
        }
    }
}

#[tokio::test]
async fn only_the_right_token_opens() {
    let server = Server::with(local(), with_token()).await;
    for (header, status) in [
        (format!("Bearer {TOKEN}"), 200),
        (format!("bearer  {TOKEN} "), 200),
        (format!("Basic {TOKEN}"), 401),
        (TOKEN.to_owned(), 401),
        (format!("Bearer {TOKEN}0"), 401),
        (format!("Bearer {}", TOKEN.to_uppercase()), 401),
        ("Bearer ".to_owned(), 401),
    ] {
        let request = server.request(Method::GET, "/v1/providers", &[]);
        let response = request.header("authorization", &header).send().await.unwrap();
        assert_eq!(response.status(), status, "{header}");
    }
    // A token in the query would end up in logs, so it is no token.
    let query = [("token", TOKEN), ("access_token", TOKEN)];
    assert_eq!(server.get("/v1/providers", &query).await.status(), 401);
    // Whoever has the token may call by any name and from anywhere.
    let request = server.request(Method::GET, "/v1/providers", &[]).bearer_auth(TOKEN);
    let request = request.header("host", "shop.example").header("origin", "http://shop.example");
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn without_a_token_a_web_page_reaches_nothing() {
    let server = Server::start().await;
    let own = format!("http://{}", server.address);
    for (header, value, status) in [
        ("host", "evil.example", 403),
        ("host", "localhost.evil.example:7070", 403),
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("origin", &own, 200),
        ("sec-fetch-site", "cross-site", 403),
        ("host", "localhost", 200),
        ("host", "[::1]:7070", 200),
    ] {
        let request = server.request(Method::GET, "/readyz", &[]).header(header, value);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{header}: {value}");
        if status == 403 {
            assert_eq!(error(response).await.0, "denied");
        }
    }
    let put = server.request(Method::PUT, "/v1/cache/entry", &[("key", "k")]).body("x");
    assert_eq!(put.header("origin", "http://evil.example").send().await.unwrap().status(), 403);
    assert_eq!(server.entry("k").await, None);
}

#[tokio::test]
async fn a_listener_that_others_can_reach_needs_a_token() {
    let runtime = Runtime::builder().config(local()).build().await.unwrap();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let served = serve(listener, runtime, ServerConfig::default(), std::future::ready(())).await;
    let error = served.unwrap_err();
    assert!(matches!(error, ServeError::Open(_)), "{error}");
}

#[tokio::test]
async fn a_body_of_the_limit_is_taken_and_a_longer_one_is_refused() {
    let limit = MaxBody::new(ByteSize::kib(64)).unwrap();
    let server = Server::with(local(), ServerConfig::default().with_max_body(limit)).await;
    let key = [("key", "k")];
    server.put_entry(&key, vec![b'x'; 64 << 10]).await;
    for length in [(64 << 10) + 1, 128 << 10, 1 << 20] {
        let whole = Body::from(vec![b'y'; length]);
        // Without a length in the head.
        let chunks = vec![vec![b'y'; 1 << 10]; length.div_ceil(1 << 10)];
        let chunks = chunks.into_iter().map(Ok::<_, std::io::Error>);
        let chunked = Body::wrap_stream(futures_util::stream::iter(chunks));
        for body in [whole, chunked] {
            let put = server.request(Method::PUT, "/v1/cache/entry", &key).body(body);
            let response = put.send().await;
            // A client that sends far too much may find the connection closed.
            let Ok(response) = response else {
                assert!(length > 128 << 10, "{response:?}");
                continue;
            };
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
            let (kind, message) = error(response).await;
            assert_eq!(kind, "too-large");
            assert!(message.contains("65536 bytes"), "{message}");
        }
    }
    assert_eq!(server.entry("k").await.unwrap(), vec![b'x'; 64 << 10]);
}

#[tokio::test]
async fn a_stranger_learns_whether_the_server_is_ready_and_nothing_of_its_providers() {
    let server = Server::with(local(), with_token()).await;
    let ready: Value = server.get("/readyz", &[]).await.json().await.unwrap();
    assert_eq!(ready, serde_json::json!({"ready": true}));
    let request = server.request(Method::GET, "/readyz", &[]).bearer_auth(TOKEN);
    let ready: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(ready["providers"].as_array().unwrap().len() > 1);
}
