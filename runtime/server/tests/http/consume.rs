//! At least once: nothing that was pulled is lost, whoever goes away.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::Server;

fn post(server: &Server, path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    )
    .into_bytes()
}

#[tokio::test]
async fn a_long_poll_ends_when_an_event_comes() {
    let server = Server::start().await;
    server.subscribe("s", json!({"pattern": "*"})).await;
    let (pulled, ()) = tokio::join!(server.pull("s", "5m"), server.publish("a", json!(1)));
    assert_eq!(pulled[0]["event"]["data"], 1);
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_takes_nothing_with_it() {
    let server = Server::start().await;
    server.subscribe("s", json!({"pattern": "*"})).await;
    let pull = post(&server, "/v1/events/pull", &json!({"subscription": "s", "wait": "5m"}));
    for round in 0..20 {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(&pull).await.unwrap();
        client.shutdown().await.unwrap();
        // The server closes once it has seen the client go.
        client.read_to_end(&mut Vec::new()).await.unwrap();

        server.publish("a", json!(round)).await;
        let pulled = server.pull("s", "0s").await;
        assert_eq!(pulled.len(), 1, "round {round}");
        assert_eq!(pulled[0]["event"]["data"], round);
        assert_eq!(pulled[0]["event"]["attempt"], 1);
        server.settle(json!([{"token": pulled[0]["token"], "verdict": "handled"}])).await;
    }
}

#[tokio::test]
async fn each_verdict_does_what_it_says() {
    let server = Server::start().await;
    server.subscribe("s", json!({"pattern": "*"})).await;
    for verdict in ["handled", "failed", "rejected", "returned"] {
        server.publish("a", json!(verdict)).await;
    }
    let outcomes: Vec<_> = server
        .pull("s", "0s")
        .await
        .iter()
        .map(|delivery| json!({"token": delivery["token"], "verdict": delivery["event"]["data"]}))
        .collect();
    assert_eq!(server.settle(json!(outcomes)).await, json!([]));
    let status = &server.subscriptions().await[0];
    // `failed` waits for its next attempt and `returned` is due.
    assert_eq!((&status["waiting"], &status["dead"]), (&json!(2), &json!(1)));
    let again = server.pull("s", "0s").await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["event"]["data"], "returned");
    assert_eq!(again[0]["event"]["attempt"], 1);
}

#[tokio::test]
async fn a_token_counts_once_and_can_be_extended_until_then() {
    let server = Server::start().await;
    server.subscribe("s", json!({"pattern": "*"})).await;
    server.publish("a", json!(1)).await;
    let token = server.pull("s", "0s").await[0]["token"].clone();
    let extend = json!({"tokens": [token, "never there"], "lease": "1m"});
    let extended = server.call("/v1/events/extend", extend).await;
    assert_eq!(extended, json!({"lost": ["never there"]}));
    let handled = json!([{"token": token, "verdict": "handled"}]);
    assert_eq!(server.settle(handled.clone()).await, json!([]));
    assert_eq!(server.settle(handled).await, json!([token]));
}

#[tokio::test]
async fn who_pulls_from_nowhere_is_told_so() {
    let server = Server::start().await;
    let response = server.post("/v1/events/pull", json!({"subscription": "nobody"})).await;
    assert_eq!(response.status(), 404);
    let (kind, message) = crate::server::error(response).await;
    assert_eq!(kind, "not-found");
    assert!(message.contains("nobody"), "{message}");
}
