//! How the server says that it is.

use serde_json::json;
use stheno::config::{
    ByteSize, ModuleName, ProviderConfig, Resolve, ServerConfig, StoreGrant, StoreLabel, StoreSize,
};
use stheno_test_support::guest;

use crate::server::{Server, answer, error, local, misbehaving};

#[tokio::test]
async fn a_server_is_ready_when_every_provider_says_so() {
    let server = Server::start().await;
    assert_eq!(server.get("/livez", &[]).await.text().await.unwrap(), "ok\n");
    let ready = answer(server.get("/readyz", &[]).await).await;
    let providers = json!([
        {"module": "cache", "provider": "cache-memory", "ok": true},
        {"module": "events", "provider": "events-local", "ok": true},
        {"module": "locking", "provider": "locking-local", "ok": true},
        {"module": "workflows", "provider": "workflows-local", "ok": true},
        {"module": "files", "id": "default", "provider": "files-local", "ok": true},
        {"module": "notifications", "id": "default", "provider": "notifications-local", "ok": true},
        {"module": "analytics", "id": "default", "provider": "analytics-local", "ok": true},
    ]);
    assert_eq!(ready, json!({"ready": true, "providers": providers}));
}

#[tokio::test]
async fn a_server_is_alive_but_not_ready_when_a_provider_is_not() {
    let server =
        Server::with(misbehaving(json!({"health": "fail"})), ServerConfig::default()).await;
    assert_eq!(server.get("/livez", &[]).await.status(), 200);
    let response = server.get("/readyz", &[]).await;
    assert_eq!(response.status(), 503);
    let ready: serde_json::Value = response.json().await.unwrap();
    assert_eq!(ready["ready"], false);
    let [cache, events, ..] = ready["providers"].as_array().unwrap().as_slice() else {
        panic!("{ready}");
    };
    assert_eq!(cache["ok"], false);
    assert_eq!(cache["error"], json!({"kind": "unavailable", "message": "told to fail"}));
    assert_eq!(events["ok"], true);
}

#[tokio::test]
async fn providers_are_named_with_what_they_can() {
    let server = Server::start().await;
    let all = answer(server.get("/v1/providers", &[]).await).await;
    let cache = &all["providers"][0];
    assert_eq!(cache["module"], "cache");
    assert_eq!(
        (&cache["provider"], &cache["name"]),
        (&json!("cache-memory"), &json!("cache-memory"))
    );
    assert_eq!(cache["instances"], "one");
    assert_eq!(cache["features"], json!(["tags", "matching"]));
    assert_eq!(all["providers"][1]["module"], "events");
    assert_eq!(all["providers"][2]["module"], "locking");
}

#[tokio::test]
async fn what_a_provider_was_denied_is_shown_with_the_line_that_would_allow_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let grant = StoreGrant { path, max_size: StoreSize::new(ByteSize::mib(1)).unwrap() };
    let mut provider = ProviderConfig::new(Resolve::File(guest("store-cache")));
    provider.grants.add_store(StoreLabel::new("default").unwrap(), grant);
    let mut config = local();
    *config.modules.get_mut(ModuleName::Cache) = provider;
    let server = Server::with(config, ServerConfig::default()).await;
    let providers = async || answer(server.get("/v1/providers", &[]).await).await;
    assert_eq!(providers().await["providers"][0]["denials"], json!([]));
    for _ in 0..2 {
        assert!(server.entry("open:other").await.unwrap().starts_with(b"denied: "));
    }
    let all = providers().await;
    let denial = &all["providers"][0]["denials"][0];
    assert_eq!((&denial["capability"], &denial["count"]), (&json!("store"), &json!(2)));
    assert_eq!(denial.get("binding"), None);
    assert!(denial["last"].as_str().unwrap().contains("grants.store.other = {"), "{denial}");
    assert_eq!(all["providers"][1]["denials"], json!([]));
}

#[tokio::test]
async fn each_kind_of_error_has_its_status() {
    let server = Server::with(misbehaving(json!({})), ServerConfig::default()).await;
    for (kind, status) in [
        ("not-found", 404),
        ("conflict", 409),
        ("invalid-argument", 400),
        ("denied", 403),
        ("timeout", 504),
        ("unavailable", 503),
        ("lost-lease", 409),
        ("unsupported", 501),
        ("internal", 500),
    ] {
        let key = format!("error:{kind}:it was so");
        let response = server.get("/v1/cache/entry", &[("key", &key)]).await;
        assert_eq!(response.status(), status, "{kind}");
        let retry =
            response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(retry.as_deref(), (status == 503).then_some("1"), "{kind}");
        let (answered, message) = error(response).await;
        assert_eq!(answered, kind);
        assert!(message.contains("it was so"), "{message}");
    }
    // A trap is a fault like any other, and the next call is served.
    let trapped = server.get("/v1/cache/entry", &[("key", "panic")]).await;
    assert_eq!(trapped.status(), 500);
    assert_eq!(error(trapped).await.0, "internal");
    assert_eq!(server.entry("echo:still here").await.unwrap(), b"still here");
}
