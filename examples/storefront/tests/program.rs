//! The program, as a script and a person see it.

// The lints know tests by their attribute, not what tests call.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The program, with its data in this folder.
fn command(folder: &Path) -> Command {
    for data in ["files", "analytics"] {
        std::fs::create_dir_all(folder.join(data)).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_storefront"));
    command.env("STOREFRONT_DATA", folder);
    command
}

/// Runs it on the first 300 orders.
fn storefront(folder: &Path, arguments: &[&str]) -> Output {
    let feed = here("feed");
    let orders = std::fs::read_to_string(feed.join("orders.jsonl")).unwrap();
    let some: Vec<_> = orders.lines().take(300).collect();
    std::fs::write(folder.join("orders.jsonl"), some.join("\n")).unwrap();
    std::fs::copy(feed.join("catalogue.jsonl"), folder.join("catalogue.jsonl")).unwrap();
    let feed = ["--feed", folder.to_str().unwrap()];
    command(folder).args(feed).args(arguments).output().unwrap()
}

const MODULES: [&str; 7] =
    ["cache", "events", "locking", "workflows", "files", "notifications", "analytics"];

#[test]
fn a_script_gets_one_object_with_what_each_module_did() {
    let folder = tempfile::tempdir().unwrap();
    let output = storefront(folder.path(), &["--json"]);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["ok"], &report["wrong"]), (&true.into(), &Value::Array(Vec::new())));
    let modules = report["report"]["modules"].as_array().unwrap();
    let names: Vec<_> = modules.iter().map(|module| module["module"].as_str().unwrap()).collect();
    assert_eq!(names, MODULES);
    for module in modules {
        assert!(module["calls"].as_u64().unwrap() > 0, "{module}");
        let component = module["served_by"][0].as_str().unwrap();
        assert!(component.contains(module["module"].as_str().unwrap()), "{module}");
    }
    assert_eq!(report["report"]["found"]["visits"], 300);
}

#[test]
fn a_person_gets_tables_and_is_told_how_far_the_day_is() {
    let folder = tempfile::tempdir().unwrap();
    let output = storefront(folder.path(), &[]);
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    for module in MODULES {
        assert!(printed.lines().any(|line| line.starts_with(module)), "{module}:\n{printed}");
    }
    assert!(printed.ends_with("Every total is what the input says.\n"), "{printed}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.lines().any(|line| line.starts_with("orders of the morning")), "{told}");
}

#[test]
fn a_day_that_was_killed_does_not_mislead_the_next_on_durable_providers() {
    let folder = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(here("stheno.toml")).unwrap();
    assert_eq!(config.matches("\n# grants.store.").count(), 2);
    let durable = folder.path().join("durable.toml");
    std::fs::write(&durable, config.replace("\n# grants.store.", "\ngrants.store.")).unwrap();
    let durable = ["--config", durable.to_str().unwrap()];

    let mut day = command(folder.path()).args(durable).stderr(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(day.stderr.take().unwrap());
    // The first line comes when the shop opens, the second after 1,000 orders.
    let line = told.lines().nth(1).unwrap().unwrap();
    assert!(line.starts_with("orders of"), "{line}");
    day.kill().unwrap();
    assert_eq!(day.wait().unwrap().code(), None, "the day ended before it was killed");

    let output = storefront(folder.path(), &[&durable[..], &["--json"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["wrong"], Value::Array(Vec::new()), "{output:?}");
    assert_eq!(report["report"]["found"]["visits"], 300);
}

#[test]
fn what_is_wrong_is_said_and_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(storefront(folder.path(), &["--jason"]).status.code(), Some(2));
    let output = storefront(folder.path(), &["--config", "no-such.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no-such.toml"));
}
