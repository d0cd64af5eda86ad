//! `stheno up`.

use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::stheno::{Up, copy, folder, of, run, stheno};

const TOKEN: &str = "a-token-of-some-length";

#[test]
fn a_copy_of_the_binary_in_an_empty_folder_serves_both_modules() {
    let folder = tempfile::tempdir().unwrap();
    let binary = copy(folder.path());
    let up = Up::of(of(&binary).current_dir(folder.path()).env("PATH", ""), &[]);
    assert!(
        up.log.contains(
            "(cache: cache-memory, events: events-local, locking: locking-local, \
             workflows: workflows-local, files: files-local, notifications: notifications-local, analytics: analytics-local)"
        ),
        "{}",
        up.log
    );
    up.called(&["cache.set", "k", "v"]);
    assert_eq!(up.called(&["cache.get", "k"]), "v");
    up.called(&["events.subscribe", "s", "*"]);
    up.called(&["events.publish", "a", "1"]);
    assert!(up.called(&["events.pull", "s"]).contains("\"data\":1"));
}

#[test]
fn a_signal_ends_a_long_poll_that_is_under_way_and_the_exit_code_is_0() {
    for signal in ["TERM", "INT"] {
        let mut up = Up::of(stheno().env("RUST_LOG", "info,stheno_server=debug"), &[]);
        up.called(&["events.subscribe", "s", "*"]);
        let mut pull = up.call(&["--json", "events.pull", "s", "--wait", "5m"]);
        let pull = pull.stdout(Stdio::piped()).spawn().unwrap();
        up.wait_for("route=\"/v1/events/pull\"");
        up.signal(signal);
        let pulled = pull.wait_with_output().unwrap();
        assert!(pulled.status.success(), "{signal}");
        assert_eq!(String::from_utf8(pulled.stdout).unwrap(), "{\"deliveries\":[]}\n");
        assert_eq!(up.wait().code(), Some(0), "{signal}: {}", up.log);
        assert!(up.log.trim_end().ends_with("stopped"), "{}", up.log);
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut up = Up::of(stheno().env("RUST_LOG", "info,stheno_server=debug"), &[]);
    // A request whose body never comes holds up the graceful stop.
    let mut client = std::net::TcpStream::connect(up.url.strip_prefix("http://").unwrap()).unwrap();
    let head = "PUT /v1/cache/entry?key=k HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n";
    std::io::Write::write_all(&mut client, head.as_bytes()).unwrap();
    up.wait_for("route=\"/v1/cache/entry\"");
    up.signal("TERM");
    up.wait_for("a second signal stops at once");
    up.signal("TERM");
    assert_eq!(up.wait().code(), Some(1), "{}", up.log);
    assert!(up.log.contains("stopped at once"), "{}", up.log);
}

#[test]
fn a_port_in_use_is_told_with_what_to_write() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stdout, stderr) = run(stheno().args(["up", "--listen", &address]), b"");
    assert_eq!((code, stdout.as_slice()), (1, &b""[..]));
    assert!(stderr.contains(&address) && stderr.contains("--listen 127.0.0.1:"), "{stderr}");
}

#[test]
fn an_address_that_others_can_reach_needs_a_token() {
    let (code, _, stderr) = run(stheno().args(["up", "--listen", "0.0.0.0:0"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("token = \"${STHENO_TOKEN}\""), "{stderr}");

    let open = folder("[server]\nlisten = \"0.0.0.0:0\"\n");
    let (code, _, stderr) = run(stheno().arg("up").current_dir(&open), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("stheno.toml:2:") && stderr.contains("token"), "{stderr}");
}

#[test]
fn who_has_not_the_token_is_told_how_to_show_it() {
    let config = folder("[server]\ntoken = \"${TOKEN_FOR_TEST}\"\n");
    let mut command = stheno();
    let mut up = Up::of(command.current_dir(&config).env("TOKEN_FOR_TEST", TOKEN), &[]);
    // The line with the example comes after the one that says where.
    up.wait_for("Authorization: Bearer $STHENO_TOKEN");
    assert!(!up.log.contains(TOKEN), "{}", up.log);

    let (code, _, stderr) = run(&mut up.call(&["cache.get", "k"]), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("STHENO_TOKEN"), "{stderr}");
    let wrong = "another-token-of-some-length";
    let (code, _, stderr) = run(up.call(&["cache.get", "k"]).env("STHENO_TOKEN", wrong), b"");
    assert_eq!(code, 1);
    assert!(stderr.contains("unauthorized") && !stderr.contains(wrong), "{stderr}");

    let set = run(up.call(&["cache.set", "k", "v"]).env("STHENO_TOKEN", TOKEN), b"");
    assert_eq!(set, (0, Vec::new(), String::new()));
    let file = config.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(up.called(&["cache.get", "k", "--token-file", file]), "v");
}

#[test]
fn logs_name_routes_and_keep_no_key_body_or_token() {
    let config = folder("[server]\ntoken = \"${TOKEN_FOR_TEST}\"\n");
    let mut command = stheno();
    command.current_dir(&config).env("TOKEN_FOR_TEST", TOKEN);
    command.env("RUST_LOG", "trace");
    let mut up = Up::of(&mut command, &["--log-format", "json"]);
    let call = |arguments: &[&str], stdin: &[u8]| {
        run(up.call(arguments).env("STHENO_TOKEN", TOKEN), stdin).0
    };
    assert_eq!(call(&["cache.set", "secretkey", "-", "--tag", "secrettag"], b"secretvalue"), 0);
    assert_eq!(call(&["cache.get", "secretkey"], b""), 0);
    assert_eq!(call(&["events.publish", "a", "\"secretdata\""], b""), 0);
    assert_eq!(call(&["--url", &format!("{}/secretpath", up.url), "cache.get", "k"], b""), 1);
    up.signal("TERM");
    assert_eq!(up.wait().code(), Some(0));

    let lines: Vec<Value> =
        up.log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered = |status: u16, method: &str, route: &str| {
        lines.iter().any(|line| {
            line["fields"]["status"] == status
                && line["fields"]["latency_us"].is_u64()
                && line["span"]["method"] == method
                && line["span"]["route"] == route
        })
    };
    assert!(answered(204, "PUT", "/v1/cache/entry"), "{}", up.log);
    assert!(answered(200, "POST", "/v1/events/publish"), "{}", up.log);
    assert!(answered(404, "GET", "unknown"), "{}", up.log);
    assert!(!up.log.contains("secret") && !up.log.contains(TOKEN), "{}", up.log);
    assert!(lines.iter().any(|line| line["fields"]["message"] == json!("ready")));
}

#[test]
fn a_wrong_config_is_shown_with_its_line_and_nothing_of_rust() {
    let config = folder("[server]\nlisten = \"127.0.0.1:0\"\nmax-body = \"1MiB\"\n");
    let mut command = stheno();
    command.args(["up"]).current_dir(&config).env("RUST_BACKTRACE", "1");
    let (code, stdout, stderr) = run(&mut command, b"");
    assert_eq!((code, stdout.as_slice()), (1, &b""[..]));
    assert!(stderr.contains("stheno.toml:3:1"), "{stderr}");
    assert!(stderr.contains("did you mean `max_body`?"), "{stderr}");
    assert!(!stderr.contains("backtrace") && !stderr.contains("src/"), "{stderr}");
}
