//! How much and how long, and what ends an exchange.

use std::time::Duration;

use stheno_config::{
    ByteSize, HttpInFlight, HttpMaxRequest, HttpMaxResponse, HttpRate, HttpResponseTimeout,
    HttpTimeout,
};

use super::*;

const HELLO: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"];
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
/// The head of a body that never comes.
const PROMISE: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"];
const HOST: &str = "127.0.0.1";

fn limited(server: &Server, limit: impl FnOnce(&mut HttpGrant)) -> Http {
    let mut grant = grant(HOST, server);
    limit(&mut grant);
    http(grant)
}

fn soon() -> Duration {
    Duration::from_millis(100)
}

#[tokio::test]
async fn a_response_that_is_too_large_is_refused_by_its_length_and_cut_off_without_one() {
    let small = |grant: &mut HttpGrant| {
        grant.max_response = HttpMaxResponse::new(ByteSize::bytes(4)).unwrap();
    };
    let server = Server::answering(HELLO).await;
    let refused = ask(&limited(&server, small), get(&server, HOST)).await;
    assert!(matches!(refused, Err(Error::HttpResponseBodySize(Some(5)))), "{refused:?}");
    let flood = Server::flooding(CHUNKED, b"5\r\nhello\r\n").await;
    let http = limited(&flood, |grant| {
        grant.max_response = HttpMaxResponse::new(ByteSize::mib(1)).unwrap();
    });
    let cut = ask(&http, get(&flood, HOST)).await;
    assert!(matches!(cut, Err(Error::HttpResponseBodySize(_))), "{cut:?}");
    assert_eq!(http.in_flight(0), 0);
    flood.is_left().await;
}

#[tokio::test]
async fn the_answer_to_head_has_a_length_and_no_body() {
    let server = Server::answering(&[b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"]).await;
    let http = limited(&server, |grant| {
        grant.max_response = HttpMaxResponse::new(ByteSize::bytes(4)).unwrap();
    });
    let uri = format!("http://{}/", server.address);
    assert_eq!(ask(&http, Request::head(uri).body(empty()).unwrap()).await.unwrap(), "");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_cut_off() {
    let server = Server::answering(&[]).await;
    let http = limited(&server, |grant| {
        grant.max_request = HttpMaxRequest::new(ByteSize::bytes(4)).unwrap();
    });
    let uri = format!("http://{}/", server.address);
    let refused = ask(&http, Request::post(uri).body(full("hello")).unwrap()).await;
    assert!(matches!(refused, Err(Error::HttpRequestBodySize(_))), "{refused:?}");
    assert_eq!(http.in_flight(0), 0);
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server =
        Server::flooding(b"HTTP/1.1 200 OK\r\n", b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaa\r\n").await;
    let refused = ask(&limited(&server, |_| {}), get(&server, HOST)).await;
    assert!(matches!(refused, Err(Error::HttpProtocolError)), "{refused:?}");
    server.is_left().await;
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_response_timeout() {
    let server = Server::answering(&[]).await;
    let http = limited(&server, |grant| {
        grant.response_timeout = HttpResponseTimeout::new(soon()).unwrap();
    });
    let late = ask(&http, get(&server, HOST)).await;
    assert!(matches!(late, Err(Error::HttpResponseTimeout)), "{late:?}");
    assert_eq!(http.in_flight(0), 0);
    server.is_left().await;
}

#[tokio::test]
async fn a_body_that_stops_coming_costs_timeout() {
    let server = Server::answering(PROMISE).await;
    let http = limited(&server, |grant| grant.timeout = HttpTimeout::new(soon()).unwrap());
    let late = ask(&http, get(&server, HOST)).await;
    assert!(matches!(late, Err(Error::HttpResponseTimeout)), "{late:?}");
    assert_eq!(http.in_flight(0), 0);
    server.is_left().await;
}

#[tokio::test]
async fn a_body_without_end_costs_timeout_however_fast_it_comes() {
    let server = Server::flooding(CHUNKED, b"1\r\na\r\n").await;
    let http = limited(&server, |grant| {
        grant.timeout = HttpTimeout::new(soon()).unwrap();
        grant.max_response = HttpMaxResponse::MAX;
    });
    let late = ask(&http, get(&server, HOST)).await;
    assert!(matches!(late, Err(Error::HttpResponseTimeout)), "{late:?}");
    server.is_left().await;
}

#[tokio::test]
async fn a_guest_may_be_more_impatient_than_its_grant() {
    let server = Server::answering(PROMISE).await;
    let http = limited(&server, |_| {});
    let options = RequestOptions { between_bytes_timeout: Some(soon()), ..Default::default() };
    let mut instance = http.instance();
    let response = send_with(&mut instance, get(&server, HOST), Some(options)).await.unwrap();
    let late = response.into_body().collect().await;
    assert!(matches!(late, Err(Error::ConnectionReadTimeout)));
    let silent = Server::answering(&[]).await;
    let http = limited(&silent, |_| {});
    let options = RequestOptions { first_byte_timeout: Some(soon()), ..Default::default() };
    let late = send_with(&mut http.instance(), get(&silent, HOST), Some(options)).await;
    assert!(matches!(late, Err(Error::HttpResponseTimeout)));
}

#[tokio::test]
async fn one_more_than_may_be_in_flight_is_refused_until_one_ends() {
    let server = Server::answering(PROMISE).await;
    let http = limited(&server, |grant| grant.max_in_flight = HttpInFlight::new(1).unwrap());
    let mut instance = http.instance();
    let first = send(&mut instance, get(&server, HOST)).await.unwrap();
    let second = send(&mut instance, get(&server, HOST)).await;
    assert!(matches!(second, Err(Error::ConnectionLimitReached)));
    drop(first);
    assert_eq!(http.in_flight(0), 0);
    assert!(send(&mut instance, get(&server, HOST)).await.is_ok());
}

#[tokio::test]
async fn requests_beyond_the_rate_are_refused_until_the_next_second() {
    let server = Server::answering(HELLO).await;
    let mut grants = Grants::default();
    let mut limited = grant(HOST, &server);
    limited.requests_per_second = HttpRate::new(2).unwrap();
    grants.add_http(limited);
    let (clock, hand) = Clock::manual();
    let http = Http::granted_by(&Denials::of(&"test".into()), &grants, &clock, Resolver::system());
    for _ in 0..2 {
        assert!(ask(&http, get(&server, HOST)).await.is_ok());
    }
    let refused = ask(&http, get(&server, HOST)).await;
    assert!(matches!(refused, Err(Error::ConnectionLimitReached)), "{refused:?}");
    hand.advance(Duration::from_secs(1));
    assert!(ask(&http, get(&server, HOST)).await.is_ok());
}

#[tokio::test]
async fn a_response_that_is_let_go_ends_its_exchange() {
    let server = Server::answering(PROMISE).await;
    let http = limited(&server, |_| {});
    let response = send(&mut http.instance(), get(&server, HOST)).await.unwrap();
    assert_eq!(http.in_flight(0), 1);
    drop(response);
    assert_eq!(http.in_flight(0), 0);
    server.is_left().await;
}

#[tokio::test]
async fn what_a_call_leaves_behind_ends_with_it() {
    let server = Server::answering(PROMISE).await;
    let http = limited(&server, |_| {});
    let mut instance = http.instance();
    let kept = send(&mut instance, get(&server, HOST)).await.unwrap();
    // A request whose body is never finished.
    let (writer, reader) = wasmtime_wasi_http::p2::body::HostOutgoingBody::new(
        wasmtime_wasi_http::p2::body::StreamContext::Request,
        None,
        1,
        1024,
    );
    let uri = format!("http://{}/", server.address);
    let unfinished = send(&mut instance, Request::post(uri).body(reader).unwrap()).await.unwrap();
    assert_eq!(http.in_flight(0), 2);
    instance.end_exchanges();
    assert_eq!(http.in_flight(0), 0);
    server.is_left().await;
    for response in [kept, unfinished] {
        let ended = response.into_body().collect().await;
        assert!(matches!(ended, Err(Error::ConnectionTerminated)));
    }
    drop(writer);
}

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    let server = Server::answering(HELLO).await;
    let http = limited(&server, |_| {});
    for _ in 0..10 {
        assert_eq!(ask(&http, get(&server, HOST)).await.unwrap(), "hello");
    }
    assert_eq!(server.connections(), 1);
}
