//! Routes of the cache.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, error};

/// 1 to 1,024 bytes of anything.
fn odd_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "/",
        "//",
        ".",
        "..",
        "../..",
        "/..",
        "a/../b",
        "%2F",
        "%2f",
        "%",
        "%25",
        "+",
        " ",
        "a b",
        "a+b",
        "?",
        "#",
        "&",
        "=",
        "a=b&key=c",
        ";",
        ":",
        "@",
        "\\",
        "\"",
        "'",
        "*",
        "{key}",
        "ключ",
        "é",
        "e\u{301}",
        "🦀",
        "\0",
        "\u{7f}",
        "\n",
        "\r\n",
        "\t",
        "\u{feff}",
        "\u{202e}",
    ]
    .map(str::to_owned)
    .into();
    keys.push("k".repeat(1_024));
    keys.push("я".repeat(512));
    keys
}

#[tokio::test]
async fn every_odd_key_is_a_key_of_its_own() {
    let server = Server::start().await;
    let keys = odd_keys();
    for key in &keys {
        server.put_entry(&[("key", key)], format!("value of {key}")).await;
    }
    for key in &keys {
        let value = server.entry(key).await;
        assert_eq!(value, Some(format!("value of {key}").into_bytes()), "{key:?}");
    }
    let got = server.call("/v1/cache/get", json!({"keys": keys})).await;
    for (key, entry) in keys.iter().zip(got["entries"].as_array().unwrap()) {
        let value = BASE64_STANDARD.encode(format!("value of {key}"));
        assert_eq!(*entry, json!({"key": key, "value_base64": value}));
    }
    for key in &keys {
        let delete = server.request(Method::DELETE, "/v1/cache/entry", &[("key", key)]);
        assert_eq!(delete.send().await.unwrap().status(), StatusCode::NO_CONTENT);
        assert_eq!(server.entry(key).await, None, "{key:?}");
    }
}

#[tokio::test]
async fn a_value_of_8_mib_comes_back_byte_for_byte_and_a_longer_one_is_refused() {
    let server = Server::start().await;
    let mut value: Vec<u8> =
        (0..8 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    server.put_entry(&[("key", "large")], value.clone()).await;
    assert!(server.entry("large").await.unwrap() == value);

    value.push(0);
    let put = server.request(Method::PUT, "/v1/cache/entry", &[("key", "larger")]).body(value);
    let (kind, message) = error(put.send().await.unwrap()).await;
    assert_eq!(kind, "invalid-argument");
    assert!(message.contains("8388609 bytes"), "{message}");
    assert_eq!(server.entry("larger").await, None);
}

#[tokio::test]
async fn a_body_is_the_value_whatever_its_content_type() {
    let server = Server::start().await;
    for (content_type, value) in [
        ("application/json", r#"{ "price": 12.50 }"#),
        ("application/x-www-form-urlencoded", "a=b"),
        ("text/plain; charset=utf-8", ""),
    ] {
        let put = server.request(Method::PUT, "/v1/cache/entry", &[("key", content_type)]);
        let put = put.header("content-type", content_type).body(value);
        assert_eq!(put.send().await.unwrap().status(), StatusCode::NO_CONTENT);
        let got = server.get("/v1/cache/entry", &[("key", content_type)]).await;
        assert_eq!(got.headers()["content-type"], "application/octet-stream");
        assert_eq!(got.text().await.unwrap(), value);
    }
}

#[tokio::test]
async fn json_in_a_set_is_stored_as_it_is_written() {
    let server = Server::start().await;
    let body = r#"{"entries": [
        {"key": "json", "value": {"n": 12345678901234567890.10,  "s": "\u0041"}},
        {"key": "null", "value": null},
        {"key": "bytes", "value_base64": "/wA="}
    ]}"#;
    let set = server.request(Method::POST, "/v1/cache/set", &[]).body(body);
    assert_eq!(set.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let stored = br#"{"n": 12345678901234567890.10,  "s": "\u0041"}"#;
    assert_eq!(server.entry("json").await.unwrap(), stored);
    assert_eq!(server.entry("null").await.unwrap(), b"null");
    assert_eq!(server.entry("bytes").await.unwrap(), [0xff, 0]);
}

#[tokio::test]
async fn entries_are_found_and_cleared_by_tags_and_patterns() {
    let server = Server::start().await;
    server.put_entry(&[("key", "p:1"), ("tag", "shoes"), ("tag", "sale & more")], "1").await;
    server.put_entry(&[("key", "p:2"), ("tag", "shoes")], "2").await;
    server.put_entry(&[("key", "q:3"), ("ttl", "1h")], "3").await;

    let found = server.call("/v1/cache/get-by-tags", json!({"tags": ["sale & more"]})).await;
    assert_eq!(found, json!({"entries": [{"key": "p:1", "value_base64": "MQ=="}]}));

    server.call("/v1/cache/clear-tags", json!({"tags": ["sale & more"]})).await;
    let got = server.call("/v1/cache/get", json!({"keys": ["p:1", "p:2"]})).await;
    assert_eq!(got["entries"][0]["value_base64"], Value::Null);
    assert_eq!(got["entries"][1]["value_base64"], "Mg==");

    server.call("/v1/cache/clear-matching", json!({"pattern": "p:*"})).await;
    assert_eq!(server.entry("p:2").await, None);
    assert_eq!(server.entry("q:3").await.unwrap(), b"3");

    server.call("/v1/cache/delete", json!({"keys": ["q:3", "never there"]})).await;
    assert_eq!(server.entry("q:3").await, None);
}

#[tokio::test]
async fn a_time_to_live_of_zero_removes() {
    let server = Server::start().await;
    server.put_entry(&[("key", "k")], "old").await;
    server.put_entry(&[("key", "k"), ("ttl", "0s")], "new").await;
    assert_eq!(server.entry("k").await, None);
}

#[tokio::test]
async fn a_wrong_query_is_refused_by_name_and_changes_nothing() {
    let server = Server::start().await;
    let long = format!("key={}", "k".repeat(1_025));
    for (query, named) in [
        ("", "`key`"),
        ("key=", "key is empty"),
        (&long, "key has 1025 bytes"),
        ("key=a&ttk=1s", "`ttk`"),
        ("key=a&ttl=30", "write \"30s\""),
        ("key=a&ttl=30", "ttl: "),
        ("key=a&ttl=", "ttl"),
        ("key=a&key=b", "key"),
        ("key=a&tag=", "tag is empty"),
        ("key=%ff", "UTF-8"),
        ("key=a%C3&tag=%A9", "UTF-8"),
    ] {
        let put = server.request(Method::PUT, &format!("/v1/cache/entry?{query}"), &[]).body("x");
        let response = put.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        let (kind, message) = error(response).await;
        assert_eq!(kind, "invalid-argument", "{query}");
        assert!(message.contains(named), "{query}: {message}");
    }
    assert_eq!(server.entry("a").await, None);
}
