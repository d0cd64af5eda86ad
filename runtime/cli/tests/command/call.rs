//! `stheno call`, against a running `stheno up`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::stheno::{Up, run, stheno};

#[test]
fn odd_keys_and_values_go_through_as_they_are() {
    let up = Up::start();
    let long = "k".repeat(1_024);
    // An argument cannot hold a zero byte.
    let keys =
        ["/", ".", "..", "%2F", "a b", "a+b", "ключ", "\u{7f}", "\n", "🦀", "a&b=c#d?", &long];
    for key in keys {
        up.called(&["cache.set", key, &format!("value of {key}")]);
    }
    for key in keys {
        assert_eq!(up.called(&["cache.get", key]), format!("value of {key}"), "{key:?}");
    }
    up.called(&["cache.set", "--", "-k", "--v"]);
    assert_eq!(up.called(&["cache.get", "--", "-k"]), "--v");
}

#[test]
fn a_value_of_8_mib_goes_through_byte_for_byte() {
    let up = Up::start();
    let value: Vec<u8> =
        (0..8 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let set = run(&mut up.call(&["cache.set", "large", "-"]), &value);
    assert_eq!(set, (0, Vec::new(), String::new()));
    let (code, stdout, _) = run(&mut up.call(&["cache.get", "large"]), b"");
    assert_eq!(code, 0);
    assert!(stdout == value);
}

#[test]
fn a_miss_prints_nothing_and_exits_with_1() {
    let up = Up::start();
    let missed = run(&mut up.call(&["cache.get", "k"]), b"");
    assert_eq!(missed, (1, Vec::new(), "not found\n".to_owned()));
    let (code, stdout, stderr) = run(&mut up.call(&["cache.get", "k", "--json"]), b"");
    assert_eq!((code, stderr.as_str()), (1, ""));
    let missed: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(missed, json!({"key": "k", "value_base64": null}));
}

#[test]
fn entries_are_found_and_cleared() {
    let up = Up::start();
    up.called(&["cache.set", "a:1", "one", "--tag", "t", "--tag", "u", "--ttl", "1h"]);
    up.called(&["cache.set", "a:2", "two", "--tag", "u"]);
    up.called(&["cache.set", "b:3", "three"]);
    let found: Value = serde_json::from_str(&up.called(&["cache.get-by-tags", "t"])).unwrap();
    assert_eq!(found, json!({"key": "a:1", "value_base64": "b25l"}));
    up.called(&["cache.clear-tags", "t"]);
    up.called(&["cache.clear-matching", "b:*"]);
    for (key, code) in [("a:1", 1), ("a:2", 0), ("b:3", 1)] {
        assert_eq!(run(&mut up.call(&["cache.get", key]), b"").0, code, "{key}");
    }
    up.called(&["cache.delete", "a:2", "never there"]);
    assert_eq!(run(&mut up.call(&["cache.get", "a:2"]), b"").0, 1);
}

#[test]
fn events_go_from_publish_to_settle() {
    let up = Up::start();
    up.called(&["events.subscribe", "mailer", "order.*"]);
    let data = "{\"total\": 12345678901234567890.10}";
    let id = up.called(&["events.publish", "order.placed", data, "--metadata", "shop=one"]);
    let line = up.called(&["events.pull", "mailer"]);
    assert!(line.contains("\"data\":{\"total\":12345678901234567890.10}"), "{line}");
    let delivery: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(delivery["event"]["id"], id.trim());
    assert_eq!(delivery["event"]["metadata"], json!({"shop": "one"}));

    let token = delivery["token"].as_str().unwrap();
    up.called(&["events.extend", token, "--lease", "1m"]);
    up.called(&["events.settle", token, "rejected", "--reason", "no address"]);
    let (code, _, stderr) = run(&mut up.call(&["events.settle", token, "handled"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("lost-lease") && stderr.contains(token), "{stderr}");

    let status = up.called(&["events.subscriptions"]);
    assert_eq!(status, "ID\tPATTERN\tWAITING\tLEASED\tDEAD\nmailer\torder.*\t0\t0\t1\n");
    let letter: Value = serde_json::from_str(&up.called(&["events.dead-letters"])).unwrap();
    assert_eq!(letter["reason"], "no address");
    let letter = letter["id"].as_str().unwrap();
    assert_eq!(up.called(&["events.replay", letter]), "1\n");
    assert_eq!(up.called(&["events.remove-dead-letters", letter]), "0\n");
    assert!(up.called(&["events.pull", "mailer"]).contains("order.placed"));
    up.called(&["events.unsubscribe", "mailer"]);
    assert_eq!(run(&mut up.call(&["events.pull", "mailer"]), b"").0, 1);
}

#[test]
fn a_notification_is_sent_and_found() {
    let up = Up::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "12345").unwrap();
    let attach = file.path().to_str().unwrap();
    let send = [
        "notifications.send",
        "email",
        "ada@example.com",
        "--subject",
        "Hello",
        "--text",
        "Hi",
        "--data",
        "{\"n\": 1.50}",
        "--attach",
        attach,
        "--key",
        "k",
        "--label",
        "order=1",
    ];
    let id = up.called(&send);
    assert_eq!(up.called(&send), id);
    let record: Value =
        serde_json::from_str(&up.called(&["notifications.get", id.trim()])).unwrap();
    assert_eq!(record["status"], "success");
    let listed = up.called(&["notifications.list", "--label", "order=1", "--status", "success"]);
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap(), record);
    assert_eq!(up.called(&["notifications.list", "--channel", "sms"]), "");
    let outbox = up.called(&["notifications.outbox"]);
    let message: Value = serde_json::from_str(&outbox).unwrap();
    assert_eq!(message["attachments"][0]["size"], 5);
    assert!(outbox.contains("\"data\":{\"n\":1.50}"), "{outbox}");
    let (code, _, stderr) = run(&mut up.call(&["notifications.get", "nobody"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("not-found"), "{stderr}");
}

#[test]
fn what_is_tracked_is_flushed() {
    let up = Up::start();
    up.called(&["analytics.track", "order.placed", "--actor", "ada", "--properties", "{\"n\":1}"]);
    up.called(&["analytics.identify", "--group", "company=acme"]);
    assert_eq!(up.called(&["analytics.flush"]), "PROVIDER\tWAITING\tLOST\ndefault\t0\t0\n");
    let (code, _, stderr) = run(&mut up.call(&["analytics.track", "e"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("invalid-argument") && stderr.contains("actor"), "{stderr}");
}

#[test]
fn a_group_is_staged_and_released() {
    let up = Up::start();
    up.called(&["events.subscribe", "s", "*"]);
    up.called(&["events.stage", "g", "a", "1", "--ttl", "1h"]);
    let raw = run(&mut up.call(&["events.stage", "g", "b", "-", "--raw"]), b"\xff\x00");
    assert_eq!(raw.0, 0);
    up.called(&["events.stage", "g", "c", "3"]);
    assert_eq!(up.called(&["events.pull", "s"]), "");
    assert_eq!(up.called(&["events.discard", "g", "c"]), "1\n");
    assert_eq!(up.called(&["events.release", "g"]), "2\n");
    let pulled = up.called(&["events.pull", "s", "--max", "10"]);
    let lines: Vec<Value> =
        pulled.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["event"]["data"], 1);
    assert_eq!(lines[1]["event"]["data_base64"], "/wA=");
}

#[test]
fn a_watch_prints_events_as_they_come_and_ends_after_a_count() {
    let up = Up::start();
    up.called(&["events.publish", "a", "\"before\""]);
    let mut watch = up.call(&["events.watch", "*", "--retained", "--count", "2"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["data"], "before");
    up.called(&["events.publish", "b", "{\"n\":\n1}"]);
    let event = next();
    assert_eq!((&event["name"], &event["data"]), (&json!("b"), &json!({"n": 1})));
    assert!(watch.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let up = Up::start();
    up.called(&["cache.set", "k", &"x".repeat(100_000)]);
    let mut get = up.call(&["cache.get", "k"]);
    let mut get = get.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(get.stdout.take());
    let ended = get.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn an_error_has_its_kind_on_stderr_or_as_json_on_stdout() {
    let up = Up::start();
    let wrong = ["cache.set", "k", "v", "--ttl", "30"];
    let (code, stdout, stderr) = run(&mut up.call(&wrong), b"");
    assert_eq!((code, stdout.as_slice()), (1, &b""[..]));
    assert!(stderr.starts_with("error: invalid-argument: ttl: "), "{stderr}");
    assert!(stderr.contains("write \"30s\""), "{stderr}");
    let (code, stdout, stderr) = run(up.call(&wrong).arg("--json"), b"");
    assert_eq!((code, stderr.as_str()), (1, ""));
    let error: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(error["error"]["kind"], "invalid-argument");

    let (code, _, stderr) = run(&mut up.call(&["events.publish", "a", "hello"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("not JSON") && stderr.contains("--raw"), "{stderr}");
}

#[test]
fn where_nothing_answers_it_says_how_to_start_something() {
    // Bound and not listening: nobody else can take the port meanwhile.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", held.local_addr().unwrap());
    let mut call = stheno();
    let (code, _, stderr) = run(call.args(["call", "cache.get", "k", "--url", &url]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains(&url) && stderr.contains("`stheno up`"), "{stderr}");

    for url in ["here", "https://localhost:7070", "mailto:a@b"] {
        let mut call = stheno();
        let (code, _, stderr) = run(call.args(["call", "cache.get", "k", "--url", url]), b"");
        assert_eq!(code, 1, "{url}");
        assert!(stderr.contains("http://127.0.0.1:7070"), "{url}: {stderr}");
    }
}

#[test]
fn locks_go_from_acquire_to_release() {
    let up = Up::start();
    let line = up.called(&["locking.acquire", "a", "b", "--owner", "x", "--ttl", "never"]);
    let (token, fence) = line.trim_end().split_once('\t').unwrap();
    let (code, _, stderr) = run(&mut up.call(&["locking.acquire", "b"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("conflict") && stderr.contains("\"b\""), "{stderr}");
    let wait = ["locking.acquire", "b", "--wait", "10ms"];
    assert!(run(&mut up.call(&wait), b"").2.contains("timeout"));

    let lock: Value = serde_json::from_str(&up.called(&["locking.inspect", "c", "b"])).unwrap();
    assert_eq!((&lock["owner"], &lock["expires_in"]), (&json!("x"), &Value::Null));
    assert_eq!(lock["fence"].to_string(), fence);
    up.called(&["locking.extend", token, "--ttl", "1m"]);
    let listed = up.called(&["locking.list", "--owner", "x", "--max", "1"]);
    assert_eq!(listed.lines().count(), 1);
    assert_eq!(up.called(&["locking.release-keys", "a"]), "0\n");
    assert_eq!(up.called(&["locking.release-keys", "a", "--owner", "x"]), "1\n");
    let (code, _, stderr) = run(&mut up.call(&["locking.release", token]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("lost-lease"), "{stderr}");
    assert_eq!(up.called(&["locking.release-all"]), "0\n");
    assert_eq!(up.called(&["locking.list"]), "");
    let line = up.called(&["locking.acquire", "a"]);
    up.called(&["locking.release", line.split('\t').next().unwrap()]);
}

#[test]
fn providers_are_listed_with_what_they_were_denied() {
    let up = Up::start();
    let all = up.called(&["server.providers"]);
    let all: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(all.len(), 7);
    assert_eq!((&all[0]["provider"], &all[0]["denials"]), (&json!("cache-memory"), &json!([])));
    let whole: Value = serde_json::from_str(&up.called(&["server.providers", "--json"])).unwrap();
    assert_eq!(whole["providers"], json!(all));
}
