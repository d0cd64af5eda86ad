//! Who keeps the guarantees passes.

use std::sync::Arc;

use stheno_conformance::{Report, Status, Target};
use stheno_test_support::{MemcachedServer, ObjectServer, PostgresServer, RedisServer};

use crate::{ids, report};

/// A provider that must pass, and what it may leave out.
async fn passes(name: &str, config: &str, skipped: &[&str]) {
    all_passed(&report(name, config).await, skipped);
}

fn all_passed(report: &Report, skipped: &[&str]) {
    assert_eq!(report.failed, 0, "{report}");
    assert!(report.passed > 10, "{report}");
    assert_eq!(ids(report, Status::Skipped), skipped, "{report}");
}

const FOLDER: &str = r#"
[modules.analytics]
options = { folder = "/out" }
grants.folders = [{ host = "{folder}", guest = "/out", mode = "read-write" }]
"#;

/// What no provider of Medusa has either.
const NOT_DURABLE: &[&str] = &["locking.restart.kept"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_memory_passes_with_nothing_left_out() {
    passes("cache-memory", "", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_redis_passes_with_nothing_left_out() {
    let server = RedisServer::start();
    let config = format!(
        "[modules.cache]\nresolve = \"cache-redis\"\n\
         grants.redis.default = {{ url = \"{}\", prefix = \"shop:\" }}\n",
        server.url()
    );
    // As it travels with the release, which knows its script.
    let target = crate::Setup::new(&config).built_in("cache-redis").await;
    let report = stheno_conformance::run(&target, &Default::default(), |_| {}).await;
    all_passed(&report, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_memcached_passes_and_leaves_out_matching() {
    let server = MemcachedServer::start();
    let config = format!(
        "[modules.cache]\nresolve = \"cache-memcached\"\noptions = {{ server = \"{0}\" }}\n\
         grants.sockets = [\"{0}\"]\n",
        server.address()
    );
    let matching = ["matching.star", "matching.whole", "matching.literal", "matching.all"];
    let skipped = matching.into_iter().chain(["arguments.matching"]);
    let skipped: Vec<_> = skipped.map(|case| format!("cache.{case}")).collect();
    let skipped: Vec<_> = skipped.iter().map(String::as_str).collect();
    passes("cache-memcached", &config, &skipped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cache_in_typescript_passes_with_nothing_left_out() {
    passes("cache-typescript", "", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cache_in_python_passes_with_nothing_left_out() {
    passes("cache-python", "", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_local_passes_with_a_store_with_nothing_left_out() {
    passes("events-local", "", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_local_passes_without_a_store_and_leaves_out_to_be_durable() {
    // A grant of the operator's own, in which there is no store.
    let config = "[modules.events]\ngrants.folders = [{ host = \"{folder}\", guest = \"/f\" }]\n";
    let durable = ["events", "handled", "leases", "groups", "dead-letters"];
    let durable = durable.map(|case| format!("events.restart.{case}"));
    passes("events-local", config, &durable.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locking_local_passes_and_leaves_out_to_be_durable() {
    passes("locking-local", "", NOT_DURABLE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locking_redis_passes_with_nothing_left_out() {
    let server = Arc::new(RedisServer::on_a_clock());
    let config = format!(
        "[modules.locking]\nresolve = \"locking-redis\"\n\
         grants.redis.default = {{ url = \"{}\", prefix = \"shop:\" }}\n",
        server.url()
    );
    // As it travels with the release, which knows its script.
    let setup = crate::Setup::new(&config);
    let target = Target::clone(&*setup.built_in("locking-redis").await);
    let target = Arc::new(target.with_time_elsewhere(move |time| server.pass(time)));
    let report = stheno_conformance::run(&target, &Default::default(), |_| {}).await;
    all_passed(&report, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locking_postgres_passes_with_nothing_left_out_on_the_servers_clock() {
    let server = PostgresServer::start();
    server.take_clock();
    server.make_schema("shop");
    server.pass("shop", 0);
    let config = format!(
        "[modules.locking]\nresolve = \"locking-postgres\"\n\
         grants.sql.default = {{ url = \"{}?sslmode=disable\", schema = \"shop\" }}\n",
        server.url_of("shop")
    );
    let target = crate::Setup::new(&config).built_in("locking-postgres").await;
    let passes = move |time: std::time::Duration| {
        server.pass("shop", u64::try_from(time.as_millis()).unwrap());
    };
    let target = Arc::new(Target::clone(&target).with_time_elsewhere(passes));
    let report = stheno_conformance::run(&target, &Default::default(), |_| {}).await;
    all_passed(&report, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_local_passes_with_a_store_with_nothing_left_out() {
    passes("workflows-local", "", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_local_passes_without_a_store_and_leaves_out_to_be_durable() {
    let config =
        "[modules.workflows]\ngrants.folders = [{ host = \"{folder}\", guest = \"/f\" }]\n";
    let durable = [
        "runs",
        "definitions",
        "settled",
        "leases",
        "retries",
        "timeouts",
        "waiting",
        "undo",
        "ended",
        "finish",
        "nested",
        "schedules",
        "missed",
    ];
    let durable = durable.map(|case| format!("workflows.restart.{case}"));
    passes("workflows-local", config, &durable.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_local_passes_with_nothing_left_out() {
    passes("files-local", "", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_s3_passes_with_nothing_left_out() {
    let server = ObjectServer::start(&["shop"]);
    let config = format!(
        "[modules.files]\nresolve = \"files-s3\"\n\
         grants.objects.default = {{ endpoint = \"{}\", path_style = true, bucket = \"shop\", \
         prefix = \"files/\", access_key_id = \"{}\", secret_access_key = \"{}\" }}\n",
        server.url(),
        ObjectServer::ACCESS_KEY,
        ObjectServer::SECRET_KEY,
    );
    passes("files-s3", &config, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_local_passes_with_nothing_left_out() {
    passes("notifications-local", "", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn analytics_local_passes_on_the_log_and_in_files_that_are_looked_into() {
    passes("analytics-local", "", &[]).await;
    passes("analytics-local", FOLDER, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_folder_was_granted_before_disturbs_no_case() {
    let setup = crate::Setup::new(FOLDER);
    for _ in 0..2 {
        let target = setup.target("analytics-local").await;
        let report = stheno_conformance::run(&target, &Default::default(), |_| {}).await;
        assert_eq!(report.failed, 0, "{report}");
        assert!(report.cases.iter().any(|case| case.id == "analytics.seen.order"), "{report}");
    }
}

/// Without the optional features only they are skipped, and that they are
/// `unsupported` is a case of its own.
async fn plain_passes(name: &str, features: &[&str]) {
    let report = report(name, "").await;
    assert_eq!(report.failed, 0, "{report}");
    assert!(report.skipped > 0, "{report}");
    let module = report.module.as_str();
    let unsupported: Vec<_> = ids(&report, Status::Passed)
        .into_iter()
        .filter(|id| id.ends_with(".unsupported"))
        .collect();
    let expected: Vec<_> =
        features.iter().map(|feature| format!("{module}.{feature}.unsupported")).collect();
    assert_eq!(unsupported, expected, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_without_optional_features_passes() {
    plain_passes("plain-cache", &["tags", "matching"]).await;
    plain_passes("plain-events", &["delay", "priority", "retained", "groups", "dead-letters"])
        .await;
    plain_passes("plain-workflows", &["nested", "schedules"]).await;
    plain_passes("plain-files", &["list", "copy", "links", "range"]).await;
    plain_passes("plain-notifications", &["outbox"]).await;
}
