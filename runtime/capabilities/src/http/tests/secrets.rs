//! Secrets: filled in where they belong, and refused where they come back.

use stheno_config::{HttpSecret, SecretName, SecretPlace};

use super::*;

const HOST: &str = "127.0.0.1";

/// Answers with the secret in the head, in the body, and in pieces of it.
const ECHOES: [&[&[u8]]; 3] = [
    &[b"HTTP/1.1 200 OK\r\nX-Echo: hunter2hunter2\r\nContent-Length: 0\r\n\r\n"],
    &[b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n<<hunter2hunter2>>"],
    &[
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"6\r\nhunter\r\n",
        b"1\r\n2\r\n",
        b"7\r\nhunter2\r\n",
        b"0\r\n\r\n",
    ],
];

/// A grant with the secret `key` in this place.
fn secret_grant(server: &Server, place: SecretPlace) -> HttpGrant {
    let mut grant = grant(HOST, server);
    let name = SecretName::new("key").unwrap();
    grant.secrets = vec![HttpSecret::new(name, place, "Bearer hunter2hunter2").unwrap()];
    grant
}

fn header() -> SecretPlace {
    SecretPlace::header("authorization").unwrap()
}

fn asking(server: &Server) -> Request<WasiBody> {
    let mut request = get(server, HOST);
    let placeholder = http::HeaderValue::from_static("__stheno_secret_key__");
    request.headers_mut().insert("authorization", placeholder);
    request
}

#[tokio::test]
async fn the_granted_server_gets_the_secret_and_the_guest_never_has_it() {
    let server = Server::answering(&[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"]).await;
    let http = http(secret_grant(&server, header()));
    assert_eq!(ask(&http, asking(&server)).await.unwrap(), "hello");
    let head = server.head();
    assert!(head.contains("authorization: Bearer hunter2hunter2\r\n"), "{head}");
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
}

#[tokio::test]
async fn another_server_gets_the_placeholder() {
    let server = Server::answering(&[b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]).await;
    let other = Server::answering(&[b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]).await;
    let mut grants = Grants::default();
    grants.add_http(secret_grant(&server, header()));
    grants.add_http(grant(HOST, &other));
    let http = Http::granted_by(
        &Denials::of(&"test".into()),
        &grants,
        &Clock::system(),
        Resolver::system(),
    );
    ask(&http, asking(&other)).await.unwrap();
    assert!(other.head().contains("authorization: __stheno_secret_key__\r\n"), "{}", other.head());
}

#[tokio::test]
async fn a_response_that_repeats_the_secret_is_refused_and_counted() {
    for pieces in ECHOES {
        let server = Server::answering(pieces).await;
        let http = http(secret_grant(&server, header()));
        let refused = ask(&http, asking(&server)).await;
        assert!(matches!(refused, Err(Error::InternalError(Some(_)))), "{refused:?}");
        assert_eq!((http.denied(), http.in_flight(0)), (1, 0));
    }
}

#[tokio::test]
async fn a_response_that_cannot_be_searched_is_refused() {
    let server = Server::answering(&[
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
    ])
    .await;
    let http = http(secret_grant(&server, header()));
    let refused = ask(&http, asking(&server)).await;
    assert!(matches!(refused, Err(Error::HttpResponseContentCoding(Some(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_body_that_ends_as_a_secret_begins_comes_whole() {
    let server =
        Server::answering(&[b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nhello hunter2"]).await;
    let http = http(secret_grant(&server, header()));
    assert_eq!(ask(&http, asking(&server)).await.unwrap(), "hello hunter2");
}
