//! Requests over TLS: to whom the grant trusts, and to nobody else.

use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use stheno::config::{HostPattern, HttpGrant, Limits};
use stheno_hostile::{Guest, ask, terms, try_load};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::engine;

/// A server whose certificate is for `localhost`; its port and its certificate.
async fn server() -> (u16, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let hello = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
            let _ = stream.write_all(hello).await;
        }
    });
    (port, cert.pem())
}

async fn granted(host: &str, port: u16, ca: Option<&Path>) -> Guest {
    let mut grant = HttpGrant::new(HostPattern::parse(host).unwrap());
    grant.port = NonZeroU16::new(port).unwrap();
    grant.private = true;
    grant.ca = ca.map(Path::to_owned);
    let mut terms = terms(Limits::default());
    terms.grants.add_http(grant);
    try_load(&engine(), "http-cache", terms).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_trusted_by_the_grants_own_certificates_and_only_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (port, pem) = server().await;
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let named = granted("localhost", port, Some(&ca)).await;
    let answer = ask(&named, &format!("GET https://localhost:{port}/")).await.unwrap();
    assert_eq!(answer, "200 hello");
    let by_address = granted("127.0.0.1", port, Some(&ca)).await;
    let answer = ask(&by_address, &format!("GET https://127.0.0.1:{port}/")).await.unwrap();
    assert!(answer.contains("TlsCertificateError"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_nobody_vouches_for_is_not_spoken_to() {
    let folder = tempfile::tempdir().unwrap();
    let ((port, _), (_, others)) = (server().await, server().await);
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, others).unwrap();
    let guest = granted("localhost", port, Some(&ca)).await;
    let answer = ask(&guest, &format!("GET https://localhost:{port}/")).await.unwrap();
    assert!(answer.starts_with("error: unavailable: "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_certificates_that_is_none_is_said_at_the_first_request() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, "hello").unwrap();
    let guest = granted("localhost", 1, Some(&ca)).await;
    let answer = ask(&guest, "GET https://localhost:1/").await.unwrap();
    assert!(answer.starts_with("error: unavailable: "), "{answer}");
    assert!(answer.contains("ConfigurationError"), "{answer}");
}
