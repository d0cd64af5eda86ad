//! Clients that keep connections and give nothing for them.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use stheno::config::{BodyTimeout, HeadTimeout, MaxConnections, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Server, local};

/// What has not come by then never comes.
const NEVER: Duration = Duration::from_secs(60);

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// What the server says before it closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let read = tokio::time::timeout(NEVER, stream.read_to_end(&mut said)).await.unwrap();
    // It may close with something unread, which is a reset.
    assert!(read.is_ok() || said.is_empty(), "{read:?}");
    String::from_utf8(said).unwrap()
}

fn detail(answer: &str) -> (Value, Value) {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    (body["error"]["kind"].clone(), body["error"]["message"].clone())
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let patience = HeadTimeout::new(Duration::from_millis(300)).unwrap();
    let config = ServerConfig::default().with_head_timeout(patience);
    let server = Server::with(local(), config).await;
    let mut drips = connect(&server).await;
    let idle = connect(&server).await;
    let begun = std::time::Instant::now();
    let head = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nx: ";
    drips.write_all(head).await.unwrap();
    // It never stands still, and is cut off all the same.
    while begun.elapsed() < NEVER {
        if drips.write_all(b"x").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(begun.elapsed() < NEVER, "it may drip for ever");
    // Nor is one that sends nothing kept.
    assert_eq!(rest(idle).await, "");
    assert_eq!(server.get("/livez", &[]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_connection_that_is_kept_open_and_not_used_is_closed() {
    let patience = HeadTimeout::new(Duration::from_millis(300)).unwrap();
    let config = ServerConfig::default().with_head_timeout(patience);
    let server = Server::with(local(), config).await;
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let said = rest(stream).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
}

#[tokio::test]
async fn a_body_that_stands_still_is_refused_and_leaves_nothing() {
    let patience = BodyTimeout::new(Duration::from_millis(300)).unwrap();
    let config = ServerConfig::default().with_body_timeout(patience);
    let server = Server::with(local(), config).await;
    for head in ["PUT /v1/cache/entry?key=a", "POST /v1/files?name=a", "POST /v1/cache/set"] {
        let mut stream = connect(&server).await;
        let head = format!("{head} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{{");
        stream.write_all(head.as_bytes()).await.unwrap();
        let said = rest(stream).await;
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
        let (kind, message) = detail(&said);
        assert_eq!(kind, "too-slow");
        assert_eq!(message, "nothing of the body came for 300ms (server.body_timeout)");
    }
    assert_eq!(server.entry("a").await, None);
    // Slow is not still: in all it takes longer than the server waits at a time.
    let mut stream = connect(&server).await;
    let head = b"PUT /v1/cache/entry?key=a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 content-length: 8\r\n\r\n";
    stream.write_all(head).await.unwrap();
    for byte in b"slowly!!" {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(&[*byte]).await.unwrap();
    }
    let said = rest(stream).await;
    assert!(said.starts_with("HTTP/1.1 204"), "{said}");
    assert_eq!(server.entry("a").await.as_deref(), Some(&b"slowly!!"[..]));
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_cut_off() {
    let patience = BodyTimeout::new(Duration::from_millis(300)).unwrap();
    let most = MaxConnections::new(1).unwrap();
    let config = ServerConfig::default().with_body_timeout(patience).with_max_connections(most);
    let server = Server::with(local(), config).await;
    let value = vec![b'x'; 8 << 20];
    server.runtime.cache().set_bytes("large", value).await.unwrap();
    let mut stream = connect(&server).await;
    let head = b"GET /v1/cache/entry?key=large HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // More than the buffers of a connection have room for.
    for _ in 0..4 {
        stream.write_all(head).await.unwrap();
    }
    // Its place is free only once the server has given it up.
    let free = async {
        while server.get("/livez", &[]).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(NEVER, free).await.unwrap();
    drop(stream);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_costs_the_others_nothing() {
    let config = ServerConfig::default().with_max_connections(MaxConnections::new(8).unwrap());
    let server = Server::with(local(), config).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = connect(&server).await;
        // An answer proves that it is one of the eight.
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    for _ in 0..50 {
        let mut stream = connect(&server).await;
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let said = rest(stream).await;
        assert!(said.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{said}");
        assert!(said.contains("\r\nretry-after: 1\r\n"), "{said}");
        let (kind, message) = detail(&said);
        assert_eq!(kind, "unavailable");
        assert_eq!(message, "there are 8 connections already (server.max_connections)");
    }
    // Those that are open are served as before.
    for stream in &mut held {
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    }
    // One that goes makes room for one.
    drop(held.pop());
    let room = async {
        while server.get("/livez", &[]).await.status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(NEVER, room).await.unwrap();
}
