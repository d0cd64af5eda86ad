//! Credentials that are looked for in the environment of the process.

use stheno_test_support::{ObjectServer, guest};

use crate::stheno::{Up, folder, stheno};

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
