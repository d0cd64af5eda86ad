//! Credentials that are looked for in the environment of the process.

use stheno_test_support::{ObjectServer, guest};

use crate::stheno::{Up, folder, run, stheno};

#[test]
fn credentials_are_taken_from_the_environment_where_the_grant_says_so() {
    let server = ObjectServer::start(&["shop"]);
    let config = folder(&format!(
        "[modules.cache]\nresolve = \"{}\"\ngrants.objects.default = {{ bucket = \"shop\", prefix = \
         \"own/\", endpoint = \"{}\", credential_chain = true }}\n",
        guest("objects-cache").display(),
        server.url()
    ));
    let up = |secret: &str| {
        let mut command = stheno();
        command.current_dir(&config).env("AWS_ACCESS_KEY_ID", ObjectServer::ACCESS_KEY);
        command.env("AWS_SECRET_ACCESS_KEY", secret).env_remove("AWS_SESSION_TOKEN");
        Up::of(&mut command, &[])
    };
    let told = up("WRONGWRONG").called(&["cache.get", "put:k|body"]);
    assert!(told.starts_with("unavailable: ") && !told.contains("WRONG"), "{told}");
    assert_eq!(up(ObjectServer::SECRET_KEY).called(&["cache.get", "put:k|body"]), "put");
    assert_eq!(server.body("shop", "own/k").as_deref(), Some(&b"body"[..]));
}

#[test]
fn no_line_of_the_log_has_a_secret_or_a_token_of_a_bucket() {
    const SESSION: &str = "t0ken-0f-a-sess1on";
    let server = ObjectServer::start(&["shop"]);
    let config = folder(&format!(
        "[modules.cache]\nresolve = \"{}\"\ngrants.objects.default = {{ bucket = \"shop\", prefix = \
         \"own/\", endpoint = \"{}\", path_style = true, access_key_id = \"{}\", secret_access_key = \
         \"{}\", session_token = \"{SESSION}\" }}\n",
        guest("objects-cache").display(),
        server.url(),
        ObjectServer::ACCESS_KEY,
        ObjectServer::SECRET_KEY,
    ));
    let mut command = stheno();
    let all = "info,aws_config=trace,aws_sdk_s3=trace,aws_sigv4=trace,aws_smithy_runtime=trace";
    command.current_dir(&config).env("RUST_LOG", all);
    let mut up = Up::of(&mut command, &[]);
    let calls = ["put:k|body", "getlink:k"].map(|key| up.call(&["cache.get", key]));
    let mut stop = up.sender("TERM");
    // It waits for somebody to read what it logs, which is a lot.
    let called = std::thread::spawn(move || {
        let told = calls.map(|mut call| run(&mut call, b""));
        assert!(stop.status().unwrap().success());
        told
    });
    assert_eq!(up.wait().code(), Some(0));
    let [put, link] = called.join().unwrap();
    assert_eq!(put, (0, b"put".to_vec(), String::new()));
    assert!(String::from_utf8(link.1).unwrap().contains(SESSION));
    assert!(up.log.contains("transmitting request"), "{}", up.log);
    assert!(!up.log.contains(ObjectServer::SECRET_KEY) && !up.log.contains(SESSION), "{}", up.log);
}
