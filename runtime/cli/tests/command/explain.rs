//! `stheno explain`.

use crate::stheno::{folder, run, stheno};

const CONFIG: &str = r#"
[modules.cache]
grants.redis.default = { url = "redis://app:hunter2@10.0.0.1", prefix = "shop:" }

[modules.locking]
resolve = "locking-local"
grants.sql.default = { url = "postgres://app:hunter2@127.0.0.1/shop", schema = "locks" }

[modules.files]
resolve = "files-local"
grants.folders = [{ host = "./data", guest = "/files" }]
grants.objects.default = { bucket = "shop-files", prefix = "files/", endpoint = "https://s3.example.com", access_key_id = "hunter2", secret_access_key = "hunter2" }

[[modules.notifications.providers]]
id = "mail"
resolve = "notifications-resend"
channels = ["email"]
options = { from = "shop@example.com" }
grants.http = [{ host = "api.resend.com", methods = ["POST"], path = "/emails", secrets = { authorization = "Bearer hunter2hunter2" } }]

[[modules.notifications.providers]]
id = "log"
resolve = "notifications-local"
channels = ["feed"]
"#;

/// The exit code and what is printed.
fn explain(arguments: &[&str]) -> (i32, String) {
    let config = folder(CONFIG);
    let (code, stdout, stderr) =
        run(stheno().arg("explain").args(arguments).current_dir(&config), b"");
    let stdout = String::from_utf8(stdout).unwrap();
    assert!(!format!("{stdout}{stderr}").contains("hunter2"), "{stdout}{stderr}");
    (code, if stdout.is_empty() { stderr } else { stdout })
}

#[test]
fn what_each_provider_may_do_is_said_and_no_secret_with_it() {
    let (code, all) = explain(&[]);
    assert_eq!(code, 0);
    for line in [
        "cache: cache-memory",
        "notifications.mail: notifications-resend",
        "notifications.log: notifications-local",
    ] {
        assert!(all.lines().any(|other| other == line), "{line} in {all}");
    }
    assert!(all.contains("in the schema \"locks\" as the role \"app\""), "{all}");
    assert!(all.contains("on keys that begin with \"shop:\""), "{all}");
    assert!(all.contains("send POST to https://api.resend.com:443/emails"), "{all}");
    assert!(all.contains("in the header `authorization`"), "{all}");
    assert!(all.contains("the bucket \"shop-files\" at https://s3.example.com"), "{all}");
    assert!(all.contains("whose key begins with \"files/\""), "{all}");

    let (code, one) = explain(&["notifications.log"]);
    assert_eq!(code, 0);
    assert!(one.contains("may reach nothing") && !one.contains("cache"), "{one}");
}

#[test]
fn a_question_is_answered_with_what_decides_and_the_line_that_would_change_it() {
    for (arguments, allowed, text) in [
        (&["cache", "redis", "GET other:1"][..], true, "GET on \"shop:other:1\""),
        (&["cache", "redis", "MSET", "a", "1", "b", "2"], true, "\"shop:a\" and \"shop:b\""),
        (&["cache", "redis", "KEYS *"], false, "whatever is granted"),
        (&["cache", "redis", "COPY a b DB 1"], false, "another database"),
        (&["cache", "redis", "EVALSHA 0000 0"], false, "no script with this SHA-256"),
        (&["cache", "redis", "--label", "second", "GET a"], false, "grants.redis.second = "),
        (
            &["notifications.mail", "http", "POST", "https://api.resend.com/emails"],
            true,
            "if that is a public address",
        ),
        (
            &["notifications.mail", "http", "GET", "https://api.resend.com/emails"],
            false,
            "add \"GET\" to `methods`",
        ),
        (
            &["notifications.mail", "http", "POST", "https://evil.example/"],
            false,
            "grants.http = [{ host = \"evil.example\", methods = [\"POST\"], path = \"/\" }]",
        ),
        (
            &["notifications.mail", "http", "POST", "https://api.resend.com@evil.example/emails"],
            false,
            "its host is refused",
        ),
        (&["locking", "sql", "SELECT a FROM b WHERE c = $1"], true, "in the schema \"locks\""),
        (&["locking", "sql", "SELECT a FROM other.b"], false, "no schema before it"),
        (&["locking", "sql", "SET ROLE other"], false, "begins with SELECT"),
        (&["locking", "sql", "--label", "second", "SELECT 1"], false, "grants.sql.second = "),
        (&["files", "object", "a/ü.pdf"], true, "\"files/a/ü.pdf\" in the bucket \"shop-files\""),
        (&["files", "object", "../secret"], false, "`..`"),
        (&["files", "object", "%2e%2e/secret"], false, "percent-encoded"),
        (&["files", "object", "--public", "a"], false, "grants.objects.default: public = true"),
        (&["files", "object", "--label", "second", "a"], false, "grants.objects.second = "),
        (&["files", "read", "/files/a"], true, "read-only"),
        (&["files", "write", "/files/a"], false, "mode = \"read-write\""),
        (&["files", "read", "/etc/passwd"], false, "no folder is granted at /etc/passwd"),
        (&["files", "read", "/files/../etc/passwd"], false, "`..`"),
        (&["files", "connect", "127.0.0.1:6379"], false, "add \"127.0.0.1:6379\""),
        (&["files", "store"], false, "grants.store.default = "),
    ] {
        let (code, printed) = explain(arguments);
        let word = if allowed { "allowed: " } else { "denied: " };
        assert!(printed.starts_with(word) && printed.contains(text), "{arguments:?}: {printed}");
        assert_eq!(code, i32::from(!allowed), "{arguments:?}");
    }
}

#[test]
fn the_same_is_there_as_json() {
    let (code, printed) = explain(&["--json", "cache", "redis", "FLUSHALL"]);
    let answer: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (code, &answer["provider"], &answer["allowed"]),
        (1, &"cache".into(), &false.into())
    );
    let (code, printed) = explain(&["--json"]);
    let all: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let providers = all["providers"].as_array().unwrap();
    assert_eq!((code, providers.len()), (0, 8));
    assert_eq!(providers[0]["may"][0]["capability"], "redis");
}

#[test]
fn who_is_not_there_and_whom_a_question_is_about_is_usage() {
    for (arguments, text) in [
        (&["cash"][..], "it has cache, "),
        (&["notifications"], "notifications.mail, notifications.log"),
        (&["redis", "GET a"], "a question is about one provider"),
    ] {
        let (code, printed) = explain(arguments);
        assert!(printed.contains(text), "{arguments:?}: {printed}");
        assert_eq!(code, 2);
    }
}
