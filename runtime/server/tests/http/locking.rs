//! Leases over HTTP: a client renews them, and one that goes away leaves none.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Server, answer, error};

async fn acquire(server: &Server, body: Value) -> Value {
    server.call("/v1/locking/acquire", body).await
}

/// The keys that are held, with all that is said of them.
async fn locks(server: &Server, query: &[(&str, &str)]) -> Value {
    answer(server.get("/v1/locking/locks", query).await).await
}

async fn until_waiting(server: &Server, waiting: u64) {
    while locks(server, &[]).await["locks"][0]["waiting"] != waiting {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_lease_is_acquired_renewed_and_released() {
    let server = Server::start().await;
    let lease = acquire(&server, json!({"keys": ["b", "a"], "owner": "worker-1"})).await;
    assert_eq!(lease["ttl"], "30s");
    let response = server.post("/v1/locking/acquire", json!({"keys": ["a"]})).await;
    assert_eq!(response.status(), 409);
    let (kind, message) = error(response).await;
    assert_eq!(kind, "conflict");
    assert!(message.contains("\"a\""), "{message}");

    server.call("/v1/locking/extend", json!({"token": lease["token"], "ttl": null})).await;
    let page = locks(&server, &[("owner", "worker-1"), ("max", "1")]).await;
    let lock = json!({
        "key": "a", "owner": "worker-1", "fence": lease["fence"], "expires_in": null, "waiting": 0,
    });
    assert_eq!(page, json!({"locks": [lock], "next": "a"}));
    let found = server.call("/v1/locking/inspect", json!({"keys": ["free", "b"]})).await;
    assert_eq!(found["locks"].as_array().unwrap().len(), 1);
    assert_eq!(found["locks"][0]["key"], "b");

    let release = json!({"token": lease["token"]});
    let released = server.call("/v1/locking/release", release.clone()).await;
    assert_eq!(released, json!({"released": true}));
    let again = server.call("/v1/locking/release", release).await;
    assert_eq!(again, json!({"released": false}));
    let extend = json!({"token": lease["token"], "ttl": "1m"});
    let response = server.post("/v1/locking/extend", extend).await;
    assert_eq!(response.status(), 409);
    assert_eq!(error(response).await.0, "lost-lease");
    assert_eq!(locks(&server, &[]).await, json!({"locks": [], "next": null}));
}

#[tokio::test]
async fn keys_are_freed_for_their_owner_alone() {
    let server = Server::start().await;
    acquire(&server, json!({"keys": ["a", "b", "c"], "owner": "x", "ttl": null})).await;
    acquire(&server, json!({"keys": ["d"]})).await;
    for (path, body, keys) in [
        ("/v1/locking/release-keys", json!({"keys": ["a", "d"]}), 1),
        ("/v1/locking/release-keys", json!({"keys": ["a", "d"], "owner": "y"}), 0),
        ("/v1/locking/release-keys", json!({"keys": ["a", "d"], "owner": "x"}), 1),
        ("/v1/locking/release-all", json!({"owner": null}), 0),
        ("/v1/locking/release-all", json!({"owner": "x"}), 2),
    ] {
        assert_eq!(server.call(path, body.clone()).await, json!({"keys": keys}), "{path} {body}");
    }
}

#[tokio::test]
async fn a_long_poll_ends_when_the_keys_are_free_or_the_time_is_over() {
    let server = Server::start().await;
    let first = acquire(&server, json!({"keys": ["a"]})).await;
    let waits = acquire(&server, json!({"keys": ["a", "b"], "wait": "5m", "ttl": "1m"}));
    let release = async {
        until_waiting(&server, 1).await;
        server.call("/v1/locking/release", json!({"token": first["token"]})).await
    };
    let (second, released) = tokio::join!(waits, release);
    assert_eq!(released, json!({"released": true}));
    assert!(second["fence"].as_u64() > first["fence"].as_u64());
    assert_eq!(second["ttl"], "1m");

    let short = json!({"keys": ["a"], "wait": "10ms"});
    let response = server.post("/v1/locking/acquire", short).await;
    assert_eq!(response.status(), 504);
    assert_eq!(error(response).await.0, "timeout");
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_leaves_no_lease() {
    let server = Server::start().await;
    let body = json!({"keys": ["a"], "wait": "5m", "ttl": null}).to_string();
    let request = format!(
        "POST /v1/locking/acquire HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    for _ in 0..20 {
        let lease = acquire(&server, json!({"keys": ["a"]})).await;
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        until_waiting(&server, 1).await;
        client.shutdown().await.unwrap();
        // The server closes once it has seen the client go.
        client.read_to_end(&mut Vec::new()).await.unwrap();
        server.call("/v1/locking/release", json!({"token": lease["token"]})).await;
        let next = acquire(&server, json!({"keys": ["a"], "wait": "1m"})).await;
        server.call("/v1/locking/release", json!({"token": next["token"]})).await;
    }
}

#[tokio::test]
async fn a_long_poll_ends_when_the_server_stops() {
    let mut server = Server::start().await;
    acquire(&server, json!({"keys": ["a"]})).await;
    let body = json!({"keys": ["a"], "wait": "5m"});
    let asked = server
        .request(reqwest::Method::POST, "/v1/locking/acquire", &[])
        .body(body.to_string())
        .send();
    let asked = tokio::spawn(asked);
    until_waiting(&server, 1).await;
    server.stop().await.unwrap();
    let response = asked.await.unwrap().unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(error(response).await.0, "unavailable");
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name_and_changes_nothing() {
    let server = Server::start().await;
    let long = "k".repeat(1_025);
    let many: Vec<String> = (0..65).map(|n| n.to_string()).collect();
    for (path, body, named) in [
        ("acquire", json!({"keys": []}), "keys"),
        ("acquire", json!({"keys": [""]}), "key"),
        ("acquire", json!({"keys": [long]}), "key"),
        ("acquire", json!({"keys": many}), "keys"),
        ("acquire", json!({"keys": "a"}), "keys"),
        ("acquire", json!({"keys": ["a"], "owner": ""}), "owner"),
        ("acquire", json!({"keys": ["a"], "owner": "a\nb"}), "owner"),
        ("acquire", json!({"keys": ["a"], "ttl": "0s"}), "ttl"),
        ("acquire", json!({"keys": ["a"], "ttl": "-1s"}), "ttl"),
        ("acquire", json!({"keys": ["a"], "ttl": 30}), "ttl"),
        ("acquire", json!({"keys": ["a"], "wait": "6m"}), "wait"),
        ("acquire", json!({"keys": ["a"], "tll": "1s"}), "tll"),
        ("extend", json!({"token": "t"}), "ttl"),
        ("extend", json!({"token": "", "ttl": "1s"}), "token"),
        ("extend", json!({"token": "t", "ttl": "0s"}), "ttl"),
        ("release", json!({"token": ""}), "token"),
        ("release-keys", json!({"keys": [""]}), "key"),
        ("release-keys", json!({"keys": ["a"], "owner": ""}), "owner"),
        ("release-all", json!({}), "owner"),
        ("release-all", json!({"owner": ""}), "owner"),
        ("inspect", json!({"keys": [""]}), "key"),
    ] {
        let response = server.post(&format!("/v1/locking/{path}"), body.clone()).await;
        assert_eq!(response.status(), 400, "{path} {body}");
        let (kind, message) = error(response).await;
        assert_eq!(kind, "invalid-argument");
        assert!(message.contains(named), "{path} {body}: {message}");
    }
    for (name, value) in [("max", "0"), ("max", "1001"), ("owner", ""), ("after", ""), ("x", "1")] {
        let response = server.get("/v1/locking/locks", &[(name, value)]).await;
        assert_eq!(response.status(), 400, "{name}={value}");
        assert!(error(response).await.1.contains(name), "{name}={value}");
    }
    assert_eq!(locks(&server, &[]).await, json!({"locks": [], "next": null}));
}
