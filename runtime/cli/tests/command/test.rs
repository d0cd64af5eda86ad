//! `stheno test`.

use serde_json::{Value, json};
use stheno_test_support::guest;

use crate::stheno::{folder, run, stheno};

fn tested(arguments: &[&str]) -> (i32, String, String) {
    let (code, stdout, stderr) = run(stheno().arg("test").args(arguments), b"");
    (code, String::from_utf8(stdout).unwrap(), stderr)
}

fn path(name: &str) -> String {
    guest(name).to_str().unwrap().to_owned()
}

#[test]
fn a_provider_that_passes_is_reported_for_people_and_for_programs() {
    let (code, stdout, stderr) = tested(&["cache-memory", "--only", "cache.t"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[0], "cache by cache-memory 0.1.0: tags, matching");
    assert!(lines.iter().any(|line| line.starts_with("  ✓ cache.ttl.edge (")), "{stdout}");
    let last = lines.last().unwrap();
    assert!(
        last.starts_with("cache by cache-memory: ") && last.contains(" passed, 0 failed"),
        "{last}"
    );

    let (code, stdout, stderr) = tested(&[&path("plain-cache"), "--json"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let mut keys: Vec<_> = report.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["cases", "failed", "module", "passed", "provider", "skipped"]);
    assert_eq!((&report["module"], &report["provider"]), (&json!("cache"), &json!("plain-cache")));
    let cases = report["cases"].as_array().unwrap();
    for (status, count) in [("passed", "passed"), ("failed", "failed"), ("skipped", "skipped")] {
        let found = cases.iter().filter(|case| case["status"] == status).count();
        assert_eq!(report[count], found, "{status}");
    }
    assert_eq!(report["failed"], 0);
    let case = cases.iter().find(|case| case["id"] == "cache.ttl.edge").unwrap();
    assert_eq!(case.as_object().unwrap().len(), 4);
    assert_eq!((&case["status"], &case["detail"]), (&json!("passed"), &Value::Null));
    let skipped = cases.iter().find(|case| case["id"] == "cache.tags.union").unwrap();
    assert_eq!(skipped["status"], "skipped");
    assert!(skipped["detail"].as_str().unwrap().contains("`tags`"), "{skipped}");
}

#[test]
fn a_broken_guarantee_is_shown_with_its_reason_and_exits_with_1() {
    let config = folder("[modules.cache.options]\nfault = \"serves-expired\"\n");
    let config = config.path().join("stheno.toml");
    let guest = path("faulty-cache");
    let arguments = [guest.as_str(), "--config", config.to_str().unwrap()];
    let (code, stdout, _) = tested(&arguments);
    assert_eq!(code, 1, "{stdout}");
    let failed = stdout.split("✗ cache.ttl.edge").nth(1).unwrap();
    let mut lines = failed.lines().skip(1);
    assert!(lines.next().unwrap().contains("gone at that millisecond"), "{failed}");
    assert!(lines.next().unwrap().contains("expected None"), "{failed}");

    let (code, stdout, _) = tested(&[&arguments[..], &["--json"]].concat());
    assert_eq!(code, 1);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["failed"], 4, "{report}");
}

#[test]
fn cases_are_listed_with_a_component_and_without() {
    let (code, all, _) = tested(&["--list"]);
    assert_eq!(code, 0);
    for id in ["cache.ttl.edge", "analytics.seen.order", "files.body.bytes"] {
        assert!(all.contains(id), "{all}");
    }
    let (_, cache, _) = tested(&["--list", "--module", "cache", "--json"]);
    let cache: Value = serde_json::from_str(&cache).unwrap();
    let union = cache.as_array().unwrap().iter().find(|it| it["id"] == "cache.tags.union").unwrap();
    assert_eq!(union["needs"], json!(["tags"]));
    let (_, own, _) = tested(&["cache-memory", "--list"]);
    assert!(own.contains("cache.ttl.edge") && !own.contains("events."), "{own}");
    // It is for those who leave the feature out.
    assert!(!own.contains("cache.tags.unsupported"), "{own}");
}

#[test]
fn wrong_arguments_exit_with_2_and_a_component_that_cannot_be_tested_with_1() {
    let hostile = path("lifecycle-only");
    let text = folder("").path().join("stheno.toml");
    for (arguments, code, told) in [
        (&[][..], 2, "FILE"),
        (&["cache-memory", "--module", "cahce"], 2, "the modules are cache"),
        (&["cache-memory", "--module", "events"], 2, "one of cache"),
        (&["cache-memory", "--only", "cache.nothing"], 2, "cache.nothing"),
        (&["cache-memry"], 1, "cache-memory"),
        (&["./nowhere.wasm"], 1, "cannot be read"),
        (&[hostile.as_str()], 1, "no module"),
        (&["cache-memory", "--config", text.to_str().unwrap()], 1, "cannot be read"),
    ] {
        let (found, stdout, stderr) = tested(arguments);
        assert_eq!((found, stdout.as_str()), (code, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(told), "{arguments:?}: {stderr}");
        if found == 2 && arguments.contains(&"--only") {
            let (found, stdout, _) = tested(&[arguments, &["--json"]].concat());
            let error: Value = serde_json::from_str(&stdout).unwrap();
            assert_eq!((found, &error["error"]["kind"]), (2, &json!("usage")));
        }
    }
}

#[test]
fn a_provider_that_refuses_its_options_is_shown_at_its_line() {
    let config = folder("[modules.cache]\nresolve = \"cache-memory\"\noptions = { ttl = 5 }\n");
    let config = config.path().join("stheno.toml");
    let (code, stdout, stderr) = tested(&["cache-memory", "--config", config.to_str().unwrap()]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("stheno.toml:3") && stderr.contains("ttl"), "{stderr}");
}
