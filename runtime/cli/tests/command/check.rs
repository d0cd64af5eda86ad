//! `stheno check` and `stheno inspect`.

use serde_json::{Value, json};
use stheno_test_support::guest;

use crate::stheno::{folder, run, stheno};

#[test]
fn a_good_config_is_good() {
    let config = folder("[modules.cache]\noptions = { ttl = \"30s\" }\n");
    let (code, stdout, stderr) = run(stheno().arg("check").current_dir(&config), b"");
    assert_eq!((code, stderr.as_str()), (0, ""));
    let stdout = String::from_utf8(stdout).unwrap();
    for line in ["cache: cache-memory 0.1.0, tags, matching", "stheno.toml is good"] {
        assert!(stdout.lines().any(|printed| printed == line), "{stdout}");
    }

    let (code, stdout, _) = run(stheno().args(["check", "--json"]).current_dir(&config), b"");
    let checked: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!((code, &checked["ok"]), (0, &json!(true)));
    assert_eq!(checked["modules"][0]["module"], "cache");
    assert_eq!(checked["modules"][0]["provider"]["instances"], "one");
}

#[test]
fn a_check_says_whether_the_server_keeps_the_user_within_the_prefix() {
    let server = stheno_test_support::RedisServer::start();
    let config = folder(&format!(
        "[modules.cache]\nresolve = \"cache-redis\"\ngrants.redis.default = {{ url = {:?}, prefix = \"shop:\" }}\n",
        server.url()
    ));
    let said = |arguments: &[&str]| {
        let command = &mut stheno();
        let (code, stdout, _) = run(command.arg("check").args(arguments).current_dir(&config), b"");
        assert_eq!(code, 0);
        String::from_utf8(stdout).unwrap()
    };
    let lets = "modules.cache.grants.redis.default: the server lets the user of `url` read keys";
    assert!(said(&[]).contains(lets), "{}", said(&[]));
    let found: Value = serde_json::from_str(&said(&["--json"])).unwrap();
    assert_eq!(found["redis"][0]["kept_by_server"], false);
    assert!(!said(&["--offline"]).contains("grants.redis"));
    drop(server);
    assert!(said(&[]).contains("is not known: "), "{}", said(&[]));
}

#[test]
fn without_a_config_the_defaults_are_checked() {
    let empty = tempfile::tempdir().unwrap();
    let (code, stdout, _) = run(stheno().arg("check").current_dir(&empty), b"");
    assert_eq!(code, 0);
    assert!(String::from_utf8(stdout).unwrap().contains("events: events-local"));
}

#[test]
fn what_is_wrong_is_shown_at_its_line_for_people_and_for_programs() {
    let sockets = guest("sockets-cache");
    let sockets = format!("[modules.cache]\nresolve = {:?}\n", sockets.to_str().unwrap());
    let files = guest("files-cache");
    let files = format!("[modules.events]\nresolve = {:?}\n", files.to_str().unwrap());
    for (config, line, shown) in [
        ("[modules.cahce]\n", Some(1), "did you mean `cache`?"),
        ("[modules.cache]\nresolve = \"cache-memry\"\n", Some(2), "cache-memory"),
        ("[modules.cache]\nresolve = \"./nowhere.wasm\"\n", Some(2), "nowhere.wasm"),
        ("[modules.cache]\nresolve = \"./stheno.toml\"\n", Some(2), "wasm32-wasip2"),
        ("[modules.cache.options]\nttl = 5\n", Some(1), "ttl"),
        (&sockets, Some(1), "sockets"),
        (&files, Some(2), "stheno:events/events"),
        ("[modules.cache.options]\nttl = \"${NOWHERE_SET}\"\n", Some(2), "NOWHERE_SET"),
    ] {
        let folder = folder(config);
        let (code, stdout, stderr) = run(stheno().arg("check").current_dir(&folder), b"");
        assert_eq!((code, stdout.as_slice()), (1, &b""[..]), "{config}");
        assert!(stderr.contains(shown), "{config}: {stderr}");

        let (code, stdout, stderr) =
            run(stheno().args(["check", "--json"]).current_dir(&folder), b"");
        assert_eq!((code, stderr.as_str()), (1, ""), "{config}");
        let checked: Value = serde_json::from_slice(&stdout).unwrap();
        assert_eq!(checked["ok"], false);
        let problem = &checked["problems"][0];
        assert_eq!(problem["line"].as_u64(), line, "{problem}");
        assert_ne!(problem["help"], "", "{problem}");
    }
}

#[test]
fn arguments_that_make_no_sense_exit_with_2() {
    for arguments in [&[][..], &["serve"], &["up", "--listen", "here"], &["call", "cache.get"]] {
        assert_eq!(run(stheno().args(arguments), b"").0, 2, "{arguments:?}");
    }
    assert_eq!(run(stheno().arg("--version"), b"").1, b"stheno 0.1.0\n");
}

#[test]
fn inspect_says_what_a_component_needs() {
    let (code, stdout, _) = run(stheno().args(["inspect", "cache-memory"]), b"");
    assert_eq!(code, 0);
    let stdout = String::from_utf8(stdout).unwrap();
    assert!(stdout.contains("stheno:cache/cache@0.1.0"), "{stdout}");
    assert!(stdout.contains("none needed"), "{stdout}");

    let sockets = guest("sockets-cache");
    let sockets = sockets.to_str().unwrap();
    let (code, stdout, _) = run(stheno().args(["inspect", sockets]), b"");
    assert_eq!(code, 0);
    let stdout = String::from_utf8(stdout).unwrap();
    let (code, json, _) = run(stheno().args(["inspect", "--json", sockets]), b"");
    assert_eq!(code, 0);
    let json: Value = serde_json::from_slice(&json).unwrap();
    let grants = json["grants_needed"].as_array().unwrap();
    assert_eq!(grants.len(), 1);
    assert!(stdout.contains(grants[0].as_str().unwrap()), "{stdout}");
    assert_eq!(json["modules"], json!(["cache"]));
    let bytes = std::fs::read(sockets).unwrap();
    assert_eq!(json["bytes"], bytes.len());
    assert!(stdout.contains(json["sha256"].as_str().unwrap()), "{stdout}");
}

#[test]
fn what_cannot_be_inspected_is_told() {
    let folder = folder("");
    let text = folder.path().join("text.wasm");
    std::fs::write(&text, "hello").unwrap();
    for (file, told) in [
        ("./nowhere.wasm", "cannot be read"),
        ("cache-memry", "cache-memory"),
        (text.to_str().unwrap(), "not a WebAssembly component"),
    ] {
        let (code, stdout, stderr) = run(stheno().args(["inspect", file]), b"");
        assert_eq!((code, stdout.as_slice()), (1, &b""[..]), "{file}");
        assert!(stderr.contains(told) && stderr.contains("help: "), "{file}: {stderr}");
        let (code, stdout, _) = run(stheno().args(["inspect", "--json", file]), b"");
        let json: Value = serde_json::from_slice(&stdout).unwrap();
        assert_eq!(code, 1);
        assert!(json["error"]["message"].is_string(), "{json}");
    }
}
