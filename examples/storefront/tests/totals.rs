//! The totals of a day, on the storefront's own config, held against the lines of
//! the input. What is expected is worked out here once more, from the text of the
//! files and with none of the storefront's code.

// The lints know tests by their attribute, not what tests call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use stheno::config::Config;
use stheno::{RunFilter, Runtime, StepState};
use stheno_test_support::{ObjectServer, PostgresServer, RedisServer};
use storefront::{Day, Feed, FeedError, Plan, Progress, Report, Totals};
use tokio::sync::watch;

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A folder for the data of a day.
fn data() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    for folder in ["files", "analytics"] {
        std::fs::create_dir(data.path().join(folder)).unwrap();
    }
    data
}

/// The storefront's own providers, with their data in this folder.
async fn start(data: &Path) -> Runtime {
    start_on(&here("stheno.toml"), data).await
}

async fn start_on(config: &Path, data: &Path) -> Runtime {
    let data = data.to_str().unwrap().to_owned();
    let env = move |name: &str| (name == "STOREFRONT_DATA").then(|| data.clone());
    let config = Config::load(config, &env).unwrap();
    Runtime::builder().config(config).build().await.unwrap()
}

async fn open(runtime: &Runtime, day: &str, feed: Feed) -> Report {
    let plan = Plan { day: Day::new(day), feed, patience: Duration::from_secs(60) };
    let (progress, _) = watch::channel(Progress::new(&plan.feed));
    storefront::open(runtime, &plan, progress).await.unwrap()
}

fn lines(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(here("feed").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The day on paper, from the first so many lines.
fn on_paper(orders: &[Value]) -> Totals {
    let products = lines("catalogue.jsonl");
    let product = |number: &str| products.iter().find(|it| it["product"] == number).unwrap();
    let mut stock: BTreeMap<String, u64> = products
        .iter()
        .map(|it| (it["product"].as_str().unwrap().to_owned(), it["stock"].as_u64().unwrap()))
        .collect();
    let mut day = Totals { visits: orders.len() as u64, ..Totals::default() };
    let (mut numbers, mut sale) = (BTreeSet::new(), false);
    for order in orders {
        sale |= order["at"].as_str().unwrap() >= "12:00";
        if !numbers.insert(order["order"].as_u64().unwrap()) {
            day.duplicates += 1;
            continue;
        }
        day.tracked += 1;
        day.letters += 1;
        if order["customer"].as_str().unwrap().ends_with("@exmaple.com") {
            day.corrected += 1;
        }
        let items: Vec<(&String, u64)> = order["items"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| (k, v.as_u64().unwrap()))
            .collect();
        let price = |number: &str| {
            let (it, full) = (product(number), product(number)["cents"].as_u64().unwrap());
            if sale && it["category"] == "garden" { full - full / 10 } else { full }
        };
        let cents: u64 = items.iter().map(|(number, units)| price(number) * units).sum();
        let units: u64 = items.iter().map(|(_, units)| units).sum();
        if items.iter().any(|(number, units)| stock[*number] < *units) {
            day.out_of_stock += 1;
            day.runs_reverted += 1;
            continue;
        }
        match order["card"].as_str().unwrap() {
            "declined" => {
                day.declined += 1;
                day.runs_reverted += 1;
                day.steps_undone += 1;
                day.put_back += units;
                continue;
            }
            "flaky" => day.charged_again += 1,
            card => assert_eq!(card, "good"),
        }
        if order["country"] == "AQ" {
            day.undeliverable += 1;
            day.runs_reverted += 1;
            day.steps_undone += 2;
            day.put_back += units;
            day.refunds += cents;
            continue;
        }
        // Placed and shipped, where the others were only cancelled.
        day.tracked += 1;
        day.completed += 1;
        day.runs_done += 1;
        day.parcels += 1;
        day.invoices += 1;
        for (number, units) in items {
            *stock.get_mut(number).unwrap() -= units;
        }
        day.units += units;
        day.revenue += cents;
        day.takings += cents;
        day.invoiced += cents;
    }
    day.tracked += day.visits;
    day.units_left = stock.values().sum();
    day
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_comes_to_what_its_orders_come_to_one_after_the_other() {
    let data = data();
    let runtime = start(data.path()).await;
    let report = open(&runtime, "whole", Feed::read(&here("feed")).unwrap()).await;
    runtime.shutdown().await.unwrap();

    let orders = lines("orders.jsonl");
    let day = on_paper(&orders);
    assert!(day.visits >= 5_000, "{day:?}");
    // All that can become of an order is in the feed.
    let kinds = [day.completed, day.out_of_stock, day.declined, day.undeliverable, day.duplicates];
    assert!(kinds.iter().all(|kind| *kind >= 50), "{day:?}");
    assert_eq!(kinds.iter().sum::<u64>(), day.visits);
    assert!(day.charged_again > 0 && day.corrected > 0 && day.refunds > 0, "{day:?}");

    assert_eq!(report.found, day);
    assert_eq!(report.expected, day);
    assert_eq!(report.mismatches(), Vec::<String>::new());
    // What was reserved is sold, or back on the shelves.
    let stock = lines("catalogue.jsonl");
    let stock: u64 = stock.iter().map(|product| product["stock"].as_u64().unwrap()).sum();
    assert!(day.put_back > 0 && day.steps_undone > 0, "{day:?}");
    assert_eq!(report.found.units + report.found.units_left, stock);
    // Each price was read once for each half of the day that needed it.
    assert_eq!(report.catalogue_reads, report.fewest_reads);
    assert_eq!(report.dead_letters, day.corrected);

    // Letters whose sender fell over were handled twice, and sent once.
    let fell_over = orders.iter().map(|order| order["order"].as_u64().unwrap());
    let fell_over = fell_over.collect::<BTreeSet<_>>().iter().filter(|it| **it % 50 == 0).count();
    let (mail, others): (Vec<_>, Vec<_>) =
        report.desks.iter().partition(|desk| desk.id.starts_with("mail"));
    assert_eq!(mail.iter().map(|desk| desk.retried).sum::<u64>(), fell_over as u64);
    assert!(others.iter().all(|desk| desk.retried == 0), "{others:?}");

    // What the files of the statistics have, whatever the storefront says.
    let mut tracked = BTreeMap::<String, u64>::new();
    for file in std::fs::read_dir(data.path().join("analytics")).unwrap() {
        for line in std::fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            *tracked.entry(line["event"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    let cancelled = day.out_of_stock + day.declined + day.undeliverable;
    let expected = [
        ("order.cancelled", cancelled),
        ("order.placed", day.completed),
        ("order.shipped", day.completed),
        ("visit", day.visits),
    ];
    assert_eq!(tracked, expected.map(|(name, count)| (name.to_owned(), count)).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_does_not_meet_the_one_before_on_the_same_providers() {
    let data = data();
    let runtime = start(data.path()).await;
    let mut feed = Feed::read(&here("feed")).unwrap();
    feed.orders.truncate(600);
    let day = on_paper(&lines("orders.jsonl")[..600]);
    for name in ["one", "two"] {
        let report = open(&runtime, name, feed.clone()).await;
        assert_eq!(report.found, day);
        assert_eq!(report.mismatches(), Vec::<String>::new());
    }
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_go_on_is_undone_in_reverse() {
    use StepState::{Done, Failed, PassedOver, Reverted};

    let data = data();
    let runtime = start(data.path()).await;
    let mut feed = Feed::read(&here("feed")).unwrap();
    feed.orders.truncate(600);
    let day = on_paper(&lines("orders.jsonl")[..600]);
    open(&runtime, "undone", feed).await;

    let page = runtime.workflows().list(RunFilter::default(), None, 1_000).await.unwrap();
    assert_eq!(page.next, None);
    let mut ends = BTreeMap::<_, u64>::new();
    let mut tried_again = 0;
    for run in page.items {
        let steps = runtime.workflows().get(&run.run).await.unwrap().steps;
        let [reserve, charge, _] = &steps[..] else { panic!("{steps:?}") };
        if charge.state == Reverted {
            assert!(charge.reverted.unwrap() <= reserve.reverted.unwrap(), "{steps:?}");
        }
        tried_again += u64::from(!charge.faults.is_empty() && charge.state != Failed);
        let failed = run.cause.and_then(|cause| cause.step);
        let states = steps.iter().map(|step| step.state).collect::<Vec<_>>();
        *ends.entry((failed, states)).or_default() += 1;
    }
    runtime.shutdown().await.unwrap();
    let failed = |step: &str| Some(step.to_owned());
    let expected = [
        ((None, vec![Done, Done, Done]), day.completed),
        ((failed("reserve"), vec![Failed, PassedOver, PassedOver]), day.out_of_stock),
        ((failed("charge"), vec![Reverted, Failed, PassedOver]), day.declined),
        ((failed("ship"), vec![Reverted, Reverted, Failed]), day.undeliverable),
    ];
    assert_eq!(ends, expected.into_iter().filter(|(_, count)| *count > 0).collect());
    assert!(day.declined > 0 && day.undeliverable > 0, "{day:?}");
    assert_eq!(tried_again, day.charged_again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_on_the_durable_variant_comes_to_the_same() {
    let data = data();
    let config = std::fs::read_to_string(here("stheno.toml")).unwrap();
    assert_eq!(config.matches("\n# grants.store.").count(), 2);
    let durable = data.path().join("stheno.toml");
    std::fs::write(&durable, config.replace("\n# grants.store.", "\ngrants.store.")).unwrap();
    let mut feed = Feed::read(&here("feed")).unwrap();
    feed.orders.truncate(300);
    let paper = lines("orders.jsonl");
    // The second process finds the runs of the first, and is not misled by them.
    for (day, orders) in [("first", 300), ("second", 200)] {
        feed.orders.truncate(orders);
        let runtime = start_on(&durable, data.path()).await;
        let report = open(&runtime, day, feed.clone()).await;
        let runs = runtime.workflows().list(RunFilter::default(), None, 1_000).await.unwrap();
        runtime.shutdown().await.unwrap();
        assert_eq!(report.found, on_paper(&paper[..orders]));
        assert_eq!(report.mismatches(), Vec::<String>::new());
        let found = runs.items.len() as u64;
        let begun = |totals: Totals| totals.runs_done + totals.runs_reverted;
        let before = if day == "first" { 0 } else { begun(on_paper(&paper[..300])) };
        assert_eq!(found, before + begun(report.found));
    }
}

/// The storefront's config with other text for some modules.
fn swapped(modules: &[(&str, String)]) -> String {
    let config = std::fs::read_to_string(here("stheno.toml")).unwrap();
    let mut sections: Vec<_> = config.split("\n[modules.").map(str::to_owned).collect();
    for (module, text) in modules {
        let head = format!("{module}]\n");
        let section = sections.iter_mut().find(|it| it.starts_with(&head)).unwrap();
        *section = format!("{head}{text}\n");
    }
    sections.join("\n[modules.")
}

/// A day of these orders on the storefront's config with other text for some modules,
/// each of which must be served by the provider that the text names.
async fn day_on(modules: &[(&str, String)], feed: &Feed) -> Totals {
    let data = data();
    let file = data.path().join("stheno.toml");
    std::fs::write(&file, swapped(modules)).unwrap();
    let runtime = start_on(&file, data.path()).await;
    let report = open(&runtime, "day", feed.clone()).await;
    runtime.shutdown().await.unwrap();
    for (module, text) in modules {
        let module = report.modules.iter().find(|it| it.module == *module).unwrap();
        let provider = text.split('"').nth(1).unwrap();
        assert!(module.served_by[0].starts_with(provider), "{module:?}");
    }
    assert_eq!(report.mismatches(), Vec::<String>::new());
    report.found
}

/// The first orders of the feed, and what they come to.
fn first_orders(count: usize) -> (Feed, Totals) {
    let mut feed = Feed::read(&here("feed")).unwrap();
    feed.orders.truncate(count);
    (feed, on_paper(&lines("orders.jsonl")[..count]))
}

fn on_redis(module: &str, redis: &RedisServer) -> String {
    format!(
        "resolve = \"{module}-redis\"\n\
         grants.redis.default = {{ url = {:?}, prefix = \"shop:{module}:\" }}",
        redis.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_on_servers_comes_to_the_same_by_config_alone() {
    let (redis, objects) = (RedisServer::start(), ObjectServer::start(&["shop"]));
    let files = format!(
        "resolve = \"files-s3\"\n\
         grants.objects.default = {{ endpoint = {:?}, path_style = true, bucket = \"shop\", \
         prefix = \"files/\", access_key_id = {:?}, secret_access_key = {:?} }}",
        objects.url(),
        ObjectServer::ACCESS_KEY,
        ObjectServer::SECRET_KEY
    );
    let (cache, locking) = (on_redis("cache", &redis), on_redis("locking", &redis));
    let servers = [("cache", cache), ("files", files), ("locking", locking)];
    let (feed, day) = first_orders(600);
    assert_eq!(day_on(&[], &feed).await, day);
    assert_eq!(day_on(&servers, &feed).await, day);
    // Each invoice is an object, and prices and locks are on the server.
    let invoices = objects.keys("shop").into_iter().filter(|key| key.starts_with("files/"));
    assert_eq!(invoices.count() as u64, day.invoices);
    let keys = redis.client().keys();
    for prefix in ["shop:cache:v:", "shop:locking:"] {
        assert!(keys.iter().any(|key| key.starts_with(prefix)), "{prefix}: {keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_with_its_locks_in_a_database_comes_to_the_same_by_config_alone() {
    let server = PostgresServer::start();
    server.make_schema("shop_locking");
    let locking = format!(
        "resolve = \"locking-postgres\"\n\
         grants.sql.default = {{ url = {:?}, schema = \"shop_locking\" }}",
        server.url_of("shop_locking")
    );
    let (feed, day) = first_orders(300);
    assert_eq!(day_on(&[("locking", locking)], &feed).await, day);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_is_off_by_one_is_told_by_name() {
    let data = data();
    let runtime = start(data.path()).await;
    let mut feed = Feed::read(&here("feed")).unwrap();
    feed.orders.truncate(60);
    let mut report = open(&runtime, "short", feed).await;
    runtime.shutdown().await.unwrap();
    report.found.revenue += 1;
    report.desks[0].left = 1;
    report.catalogue_reads = 0;
    let wrong = report.mismatches();
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    let starts = ["revenue in the ledger: ", "the catalogue was read 0", "ledger has 1"];
    for (line, start) in wrong.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn the_files_are_what_the_generator_writes() {
    let folder = tempfile::tempdir().unwrap();
    let generator = env!("CARGO_BIN_EXE_storefront-generate");
    assert!(Command::new(generator).arg(folder.path()).status().unwrap().success());
    for name in ["orders.jsonl", "catalogue.jsonl"] {
        let [written, kept] = [folder.path().join(name), here("feed").join(name)]
            .map(|path| std::fs::read_to_string(path).unwrap());
        assert!(written == kept, "feed/{name} is not what storefront-generate writes");
    }
}

#[test]
fn a_line_that_is_no_order_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let order = |items: &str| {
        format!(
            "{{\"order\":1,\"at\":\"08:00\",\"customer\":\"a@example.com\",\"country\":\"DE\",\
             \"card\":\"good\",\"items\":{items}}}\n"
        )
    };
    write(
        "catalogue.jsonl",
        r#"{"product":"P1","title":"Jug","category":"kitchen","cents":1,"stock":1}"#,
    );
    for (orders, wrong) in [
        (format!("{}{{}}\n", order("{\"P1\":1}")), "line 2: missing field"),
        (order("{\"P1\":1}").replace("08:00", "24:00"), "is not a time of the day"),
        (order("{\"P1\":1}").replace("good", "stolen"), "stolen"),
        (order("{\"P2\":1}"), "order 1 is for P2"),
        (order("{}"), "order 1 is for nothing"),
    ] {
        write("orders.jsonl", &orders);
        let error: FeedError = Feed::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains(wrong), "{error}");
    }
    write("orders.jsonl", &order("{\"P1\":1}"));
    assert_eq!(Feed::read(folder.path()).unwrap().orders.len(), 1);
}
