//! Stores: nothing without a grant, and with one that file, within its size.

use std::path::Path;

use stheno::Runtime;
use stheno::config::{ByteSize, Config, Limits, StoreGrant, StoreLabel, StoreSize};
use stheno_engine::{Aspect, LoadError};
use stheno_hostile::{Guest, ask, denied, source, terms, try_load};

use crate::{engine, handles, limits};

const STORE: &str = "store-cache";

fn grant(path: &Path, mib: u64) -> StoreGrant {
    let max_size = StoreSize::new(ByteSize::mib(mib)).unwrap();
    StoreGrant { path: path.to_owned(), max_size }
}

async fn try_granted(path: &Path, mib: u64, limits: Limits) -> Result<Guest, LoadError> {
    let mut terms = terms(limits);
    terms.grants.add_store(StoreLabel::new("default").unwrap(), grant(path, mib));
    try_load(&engine(), STORE, terms).await
}

async fn granted(path: &Path, mib: u64) -> Guest {
    try_granted(path, mib, Limits::default()).await.unwrap()
}

#[tokio::test]
async fn a_component_that_needs_a_store_is_refused_without_a_grant() {
    let error = try_load(&engine(), STORE, terms(Limits::default())).await.err().unwrap();
    assert_eq!(error.aspect(), Aspect::Grants);
    let LoadError::MissingGrant { import, line, .. } = &error else { panic!("{error:?}") };
    assert!(import.starts_with("stheno:store/required"), "{import}");
    assert!(line.starts_with("grants.store.default = {"), "{line}");
    assert!(error.help().contains(line));
}

#[tokio::test]
async fn the_line_that_the_refusal_names_is_the_line_that_grants_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let guest = stheno_test_support::guest(STORE);
    let config = |line: &str| {
        let text = format!("[modules.cache]\nresolve = \"{}\"\n{line}\n", guest.display());
        let config = Config::parse(&text, "stheno.toml", folder.path(), &|_| None).unwrap();
        Runtime::builder().config(config).build()
    };
    let problem = config("").await.err().unwrap().problems().remove(0);
    assert_eq!(problem.place, "modules.cache.grants");
    let (_, line) = problem.help.split_once("below its module: ").unwrap();
    let runtime = config(line).await.unwrap();
    let opened = runtime.cache().get_bytes("open:default").await.unwrap();
    assert_eq!(opened.as_deref(), Some(&b"opened"[..]));
    assert!(folder.path().join("data/store.redb").is_file());
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_inspection_tells_a_store_that_is_needed_from_one_that_is_of_use() {
    let needs = engine().inspect(source(STORE)).await.unwrap();
    assert!(needs.grants_needed[0].starts_with("grants.store."), "{needs:?}");
    assert!(needs.grants_optional.is_empty());
    let uses = engine().inspect(source("events-local")).await.unwrap();
    assert!(uses.grants_needed.is_empty(), "{uses:?}");
    assert!(uses.grants_optional[0].starts_with("grants.store."), "{uses:?}");
    assert!(!uses.provider.unwrap().features.contains(&"durable".to_owned()));
}

#[tokio::test]
async fn a_check_touches_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let mut terms = terms(Limits::default());
    terms.grants.add_store(StoreLabel::new("default").unwrap(), grant(&file, 1024));
    let description =
        engine().check::<stheno_engine::EventsModule>(source("events-local"), terms).await.unwrap();
    assert!(description.features.contains(&"durable".to_owned()));
    assert!(!file.exists());
}

#[tokio::test]
async fn a_label_that_was_not_granted_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let guest = granted(&folder.path().join("a.redb"), 1).await;
    for label in
        ["", "other", "Default", "default ", "default\0", "../default", "/etc/passwd", "a.redb"]
    {
        let answer = ask(&guest, &format!("open:{label}")).await.unwrap();
        assert!(answer.starts_with("denied: "), "{label:?}: {answer}");
    }
    let other = ask(&guest, "open:other").await.unwrap();
    assert!(other.contains("grants.store.other = {"), "{other}");
    assert_eq!(denied(&guest, "store"), 9);
    assert_eq!(ask(&guest, "open:default").await.as_deref(), Ok("opened"));
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1);
}

#[tokio::test]
async fn keys_of_any_bytes_are_kept_apart_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let guest = granted(&folder.path().join("a.redb"), 1).await;
    assert_eq!(ask(&guest, "put-bytes").await.as_deref(), Ok("put"));
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let guest = granted(&folder.path().join("a.redb"), 64).await;
    for (attack, says) in [
        ("key:0", "must have 1 to 1024 bytes"),
        ("key:1025", "has 1025 bytes"),
        ("put:k=2097153", "at most 2097152"),
        ("batch:3*2000000", "at most 4194304; split it"),
        ("batch:65537*0", "at most 65536; split it"),
        ("scan:0*1", "max is 0"),
        ("scan:10001*1", "max is 10001"),
        ("scan:1*4194305", "max-bytes is 4194305"),
        ("scan:4294967295*4294967295", "must be 1 to 10000"),
    ] {
        let answer = ask(&guest, attack).await.unwrap();
        assert!(
            answer.starts_with("invalid-argument: ") && answer.contains(says),
            "{attack}: {answer}"
        );
        assert_eq!(ask(&guest, "usage").await.as_deref(), Ok("0"), "{attack}");
    }
    for good in ["key:1024", "put:k=2097152", "batch:2*2000000"] {
        assert_eq!(ask(&guest, good).await.as_deref(), Ok("put"), "{good}");
    }
}

#[tokio::test]
async fn a_store_grows_to_its_size_and_no_further_and_can_be_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.redb");
    let guest = granted(&file, 1).await;
    let mut stored = 0;
    let refusal = loop {
        let answer = ask(&guest, &format!("put:{stored:04}=100000")).await.unwrap();
        if answer != "put" {
            break answer;
        }
        stored += 1;
    };
    assert!(refusal.starts_with("unavailable: ") && refusal.contains("`max_size`"), "{refusal}");
    assert_eq!(stored, (1 << 20) / (100_000 + 4 + 32));
    let full = ask(&guest, "usage").await.unwrap();
    // Smaller in place of larger, and removing, go on; so does reading.
    assert_eq!(ask(&guest, "put:0000=10").await.as_deref(), Ok("put"));
    assert_eq!(ask(&guest, "size:0000").await.as_deref(), Ok("10"));
    for n in 0..stored {
        assert_eq!(ask(&guest, &format!("delete:{n:04}")).await.as_deref(), Ok("deleted"));
    }
    assert_eq!(ask(&guest, "usage").await.as_deref(), Ok("0"));
    // A hundred fillings take no more of the disk than a few do.
    for _ in 0..100 {
        assert_eq!(ask(&guest, "batch:9*100000").await.as_deref(), Ok("put"));
    }
    use std::os::unix::fs::MetadataExt;
    let on_disk = std::fs::metadata(&file).unwrap().blocks() * 512;
    assert!(on_disk < 8 << 20, "{on_disk} bytes on the disk, {full} were full");
}

#[tokio::test]
async fn a_condition_that_does_not_hold_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let guest = granted(&folder.path().join("a.redb"), 1).await;
    assert_eq!(ask(&guest, "put:k=5").await.as_deref(), Ok("put"));
    let refused = ask(&guest, "swap:k=6>7").await.unwrap();
    assert!(refused.starts_with("conflict: condition 0"), "{refused}");
    assert_eq!(ask(&guest, "size:k").await.as_deref(), Ok("5"));
    assert_eq!(ask(&guest, "swap:k=5>7").await.as_deref(), Ok("swapped"));
    assert_eq!(ask(&guest, "size:k").await.as_deref(), Ok("7"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_callers_that_swap_at_the_same_time_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let guest = granted(&folder.path().join("a.redb"), 1).await;
    for round in 1..=10_u32 {
        ask(&guest, &format!("put:k={round}")).await.unwrap();
        let swap = format!("swap:k={round}>999");
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let (guest, swap) = (guest.clone(), swap.clone());
                tokio::spawn(async move { ask(&guest, &swap).await.unwrap() })
            })
            .collect();
        let mut won = 0;
        for caller in callers {
            let answer = caller.await.unwrap();
            assert!(answer == "swapped" || answer.starts_with("conflict: "), "{answer}");
            won += u32::from(answer == "swapped");
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test]
async fn a_huge_scan_comes_in_pages_that_are_small() {
    let folder = tempfile::tempdir().unwrap();
    let guest = granted(&folder.path().join("a.redb"), 64).await;
    assert_eq!(ask(&guest, "batch:30000*100").await.as_deref(), Ok("put"));
    assert_eq!(ask(&guest, "scan:10000*4194304").await.as_deref(), Ok("30000 in 3"));
    // However little is asked for, each page gets on by one.
    assert_eq!(ask(&guest, "batch:1*1").await.as_deref(), Ok("put"));
    let small = granted(&folder.path().join("b.redb"), 64).await;
    assert_eq!(ask(&small, "batch:50*100").await.as_deref(), Ok("put"));
    assert_eq!(ask(&small, "scan:10000*0").await.as_deref(), Ok("50 in 50"));
}

#[tokio::test]
async fn a_flood_of_handles_is_refused_and_costs_no_instance() {
    let folder = tempfile::tempdir().unwrap();
    let limits = limits(|limits| limits.handles = handles(100));
    let guest = try_granted(&folder.path().join("a.redb"), 1, limits).await.unwrap();
    let answer = ask(&guest, "handles").await.unwrap();
    assert!(answer.starts_with("100: ") && answer.contains("limits.handles"), "{answer}");
    assert_eq!(ask(&guest, "put:k=1").await.as_deref(), Ok("put"));
}

#[tokio::test]
async fn the_file_of_another_provider_cannot_be_opened_under_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.redb");
    let owner = granted(&file, 1).await;
    assert_eq!(ask(&owner, "put:k=5").await.as_deref(), Ok("put"));
    let (symbolic, hard) = (folder.path().join("symbolic"), folder.path().join("hard"));
    std::os::unix::fs::symlink(&file, &symbolic).unwrap();
    std::fs::hard_link(&file, &hard).unwrap();
    for path in [file.clone(), symbolic, hard, folder.path().join("./a.redb")] {
        let thief = granted(&path, 1).await;
        let answer = ask(&thief, "size:k").await.unwrap();
        assert!(
            answer.starts_with("unavailable: ") && answer.contains("open elsewhere"),
            "{answer}"
        );
    }
    assert_eq!(ask(&owner, "size:k").await.as_deref(), Ok("5"));
    owner.stop().await.unwrap();
    assert_eq!(ask(&granted(&file, 1).await, "size:k").await.as_deref(), Ok("5"));
}
