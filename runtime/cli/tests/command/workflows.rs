//! `stheno call workflows.*`, against a running `stheno up`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::stheno::{Up, run};

/// The JSON of a call that must succeed and print one line.
fn json_of(up: &Up, arguments: &[&str]) -> Value {
    serde_json::from_str(&up.called(arguments)).unwrap()
}

fn lines_of(up: &Up, arguments: &[&str]) -> Vec<Value> {
    up.called(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_goes_from_define_to_its_result() {
    let mut up = Up::start();
    let definition = r#"{"steps": [{"id": "charge", "attempts": 2,
        "backoff": {"initial": "1ms", "max": "1ms"}}, {"id": "approved", "work": "wait"}],
        "result_from": "charge"}"#;
    let defined = run(&mut up.call(&["workflows.define", "order", "-"]), definition.as_bytes());
    assert_eq!(defined, (0, Vec::new(), String::new()));
    let input = "{\"total\": 12345678901234567890.10}";
    let start = ["workflows.start", "order", input, "--run", "order-1001"];
    assert_eq!(up.called(&start), "order-1001\n");
    assert_eq!(up.called(&start), "order-1001\n", "it runs once");

    let line = up.called(&["workflows.pull", "order", "--step", "charge"]);
    assert!(line.contains("\"input\":{\"total\":12345678901234567890.10}"), "{line}");
    let task: Value = serde_json::from_str(&line).unwrap();
    let token = task["token"].as_str().unwrap();
    up.called(&["workflows.extend", token, "--lease", "1m"]);
    up.called(&["workflows.settle", token, "failed", "--reason", "busy"]);
    let (code, _, stderr) = run(&mut up.call(&["workflows.settle", token, "done"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("lost-lease") && stderr.contains(token), "{stderr}");
    let task = json_of(&up, &["workflows.pull", "order", "--wait", "1m"]);
    assert_eq!(task["attempt"], 2);
    let token = task["token"].as_str().unwrap();
    up.called(&["workflows.settle", token, "done", "{\"receipt\": 7}"]);
    assert_eq!(up.called(&["workflows.pull", "order"]), "");

    // It waits for its end while another completes it.
    let get = ["workflows.get", "order-1001", "--wait", "1m"];
    let waits = up.call(&get).stdout(Stdio::piped()).spawn().unwrap();
    up.called(&["workflows.complete", "order-1001", "approved", "\"by ada\""]);
    let waited = waits.wait_with_output().unwrap();
    assert!(waited.status.success());
    let detail: Value = serde_json::from_slice(&waited.stdout).unwrap();
    assert_eq!((&detail["state"], &detail["result"]), (&json!("done"), &json!({"receipt": 7})));
    assert_eq!(detail["steps"][1]["result"], "by ada");
    assert_eq!(detail["steps"][0]["faults"][0]["reason"], "busy");
    let again = ["workflows.run", "order", input, "--run", "order-1001"];
    assert_eq!(up.called(&again), "{\"receipt\":7}\n");

    up.called(&["workflows.undefine", "order"]);
    let (code, _, stderr) = run(&mut up.call(&["workflows.start", "order"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: not-found: ") && stderr.contains("order"), "{stderr}");
    up.signal("TERM");
    assert!(up.wait().success());
}

#[test]
fn a_run_that_is_not_done_exits_with_1_and_says_why() {
    let up = Up::start();
    let steps = r#"{"steps": [{"id": "a", "work": "wait"}]}"#;
    up.called(&["workflows.define", "w", steps]);
    assert_eq!(up.called(&["workflows.start", "w", "--run", "r"]), "r\n");
    up.called(&["workflows.fail", "r", "a", "too dear"]);
    let (code, stdout, stderr) = run(&mut up.call(&["workflows.run", "w", "--run", "r"]), b"");
    assert_eq!((code, stdout.as_slice()), (1, &b""[..]));
    assert!(stderr.starts_with("error: reverted: ") && stderr.contains("too dear"), "{stderr}");
    let (code, stdout, stderr) =
        run(&mut up.call(&["workflows.run", "w", "--run", "r", "--json"]), b"");
    assert_eq!((code, stderr.as_str()), (1, ""));
    let detail: Value = serde_json::from_slice(&stdout).unwrap();
    let cause = json!({"kind": "step-failed", "step": "a", "reason": "too dear"});
    assert_eq!((&detail["state"], &detail["cause"]), (&json!("reverted"), &cause));
    // One that has not ended in time is not done either.
    let slow = ["workflows.run", "w", "--run", "slow", "--wait", "10ms"];
    let (code, _, stderr) = run(&mut up.call(&slow), b"");
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: running: "), "{stderr}");
}

#[test]
fn runs_are_listed_cancelled_and_retried() {
    let up = Up::start();
    let steps = r#"{"steps": [{"id": "a", "attempts": 2, "auto_retry": false}]}"#;
    up.called(&["workflows.define", "w", steps]);
    for id in ["r1", "r2", "r3"] {
        up.called(&["workflows.start", "w", "--run", id]);
    }
    for task in lines_of(&up, &["workflows.pull", "w", "--max", "3"]) {
        let token = task["token"].as_str().unwrap();
        up.called(&["workflows.settle", token, "failed", "--reason", "busy"]);
    }
    let state = |run: &str| json_of(&up, &["workflows.get", run])["steps"][0]["state"].clone();
    assert_eq!(state("r1"), "stalled");
    up.called(&["workflows.retry", "r1", "a"]);
    let task = json_of(&up, &["workflows.pull", "w"]);
    assert_eq!((&task["run"], &task["attempt"]), (&json!("r1"), &json!(2)));
    let raw = ["workflows.settle", task["token"].as_str().unwrap(), "done", "-", "--raw"];
    assert_eq!(run(&mut up.call(&raw), b"\xff\x00").0, 0);
    let result = run(&mut up.call(&["workflows.run", "w", "--run", "r1"]), b"");
    assert_eq!(result, (0, b"\xff\x00".to_vec(), String::new()));
    up.called(&["workflows.cancel", "r2", "--reason", "changed my mind"]);
    assert_eq!(json_of(&up, &["workflows.get", "r2"])["cause"]["kind"], "cancelled");

    let ids = |arguments: &[&str]| {
        let arguments = [&["workflows.list"][..], arguments].concat();
        let runs = lines_of(&up, &arguments);
        runs.iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]), ["r3", "r2", "r1"]);
    assert_eq!(ids(&["--workflow", "nobody"]), Vec::<String>::new());
    assert_eq!(ids(&["--state", "done", "--state", "running"]), ["r3", "r1"]);
    let (code, stdout, stderr) = run(&mut up.call(&["workflows.list", "--max", "2"]), b"");
    assert_eq!((code, stdout.split(|byte| *byte == b'\n').count()), (0, 3));
    let next = stderr.trim().strip_prefix("there are more: --after ").unwrap();
    assert_eq!(ids(&["--after", next]), ["r1"]);
    let defined = lines_of(&up, &["workflows.definitions"]);
    assert_eq!((&defined[0]["id"], &defined[0]["active"]), (&json!("w"), &json!(1)));
    for (wrong, kind) in [
        (&["workflows.get", "nobody"][..], "not-found"),
        (&["workflows.cancel", "r2"], "conflict"),
        (&["workflows.retry", "r1", "a"], "conflict"),
        (&["workflows.complete", "r3", "nobody"], "not-found"),
        (&["workflows.start", "w", "--run", ""], "invalid-argument"),
        (&["workflows.list", "--state", "sleeping"], "invalid-argument"),
        (&["workflows.define", "w", "{\"steps\": []}"], "invalid-argument"),
    ] {
        let (code, stdout, stderr) = run(&mut up.call(wrong), b"");
        assert_eq!((code, stdout.as_slice()), (1, &b""[..]), "{wrong:?}");
        assert!(stderr.starts_with(&format!("error: {kind}: ")), "{wrong:?}: {stderr}");
    }
}

#[test]
fn schedules_are_made_and_start_runs() {
    let up = Up::start();
    up.called(&["workflows.define", "w", r#"{"steps": [{"id": "a"}]}"#]);
    let cron = ["--cron", "0 3 * * *", "--time-zone", "Europe/Berlin", "--overlap", "allow"];
    let schedule = ["workflows.schedule", "nightly", "w", "{\"n\": 1}", "--catch-up"];
    up.called(&[&schedule[..], &cron].concat());
    let nightly = json_of(&up, &["workflows.schedules"]);
    let expected = json!({
        "workflow": "w", "input": {"n": 1}, "cron": "0 3 * * *", "time_zone": "Europe/Berlin",
        "overlap": "allow", "catch_up": true, "max_runs": null,
    });
    assert_eq!((&nightly["id"], &nightly["schedule"]), (&json!("nightly"), &expected));
    up.called(&["workflows.unschedule", "nightly"]);
    assert_eq!(up.called(&["workflows.schedules"]), "");
    let (code, _, stderr) = run(&mut up.call(&["workflows.unschedule", "nightly"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: not-found: "), "{stderr}");
    let wrong = ["workflows.schedule", "s", "w", "--cron", "60 * * * *"];
    let (code, _, stderr) = run(&mut up.call(&wrong), b"");
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: invalid-argument: ") && stderr.contains("`60`"), "{stderr}");

    up.called(&["workflows.schedule", "often", "w", "5", "--every", "1s", "--max-runs", "1"]);
    let task = json_of(&up, &["workflows.pull", "w", "--wait", "1m"]);
    assert_eq!(task["input"], 5);
    let begun = json_of(&up, &["workflows.list", "--schedule", "often"]);
    assert_eq!(begun["run"], task["run"]);
}

#[test]
fn a_watch_prints_ends_as_they_come_and_ends_after_a_count() {
    let up = Up::start();
    for id in ["w", "other"] {
        up.called(&["workflows.define", id, r#"{"steps": [{"id": "a", "work": "wait"}]}"#]);
    }
    let mut watch = up.call(&["workflows.watch", "--workflow", "w", "--count", "2"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    // When it has begun is not said, so there are runs until it shows one.
    let ends = |run: &str, workflow: &str| {
        up.called(&["workflows.start", workflow, "--run", run]);
        up.called(&["workflows.complete", run, "a"]);
    };
    let (sender, shown) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in lines.by_ref() {
            sender.send(serde_json::from_str::<Value>(&line.unwrap()).unwrap()).unwrap();
        }
    });
    let mut first = None;
    for n in 0.. {
        ends(&format!("other{n}"), "other");
        ends(&format!("r{n}"), "w");
        if let Ok(line) = shown.try_recv() {
            first = Some(line);
            break;
        }
    }
    let first = first.unwrap();
    assert_eq!((&first["workflow"], &first["state"]), (&json!("w"), &json!("done")));
    ends("last", "w");
    let second = shown.recv().unwrap();
    assert_eq!(second["workflow"], "w");
    assert_ne!(second["run"], first["run"]);
    assert!(watch.wait().unwrap().success());
    reader.join().unwrap();
}
