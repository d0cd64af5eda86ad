//! `stheno acl`.

use crate::stheno::{folder, run, stheno};

#[test]
fn a_rule_is_printed_for_each_granted_redis_without_its_password() {
    let config = folder(
        "[modules.cache]\ngrants.redis.default = { url = \"redis://app:hunter2@10.0.0.1\", prefix = \"shop:\" }\n",
    );
    let (code, stdout, stderr) = run(stheno().arg("acl").current_dir(&config), b"");
    assert_eq!((code, stderr.as_str()), (0, ""));
    let stdout = String::from_utf8(stdout).unwrap();
    let [place, rule] = stdout.lines().collect::<Vec<_>>()[..] else { panic!("{stdout}") };
    assert_eq!(place, "# modules.cache.grants.redis.default, at redis://10.0.0.1:6379/0");
    assert!(rule.starts_with("ACL SETUSER app reset on >PASSWORD ~shop:* resetchannels -@all +"));
    assert!(rule.contains(" +get ") && !rule.contains("+keys"), "{rule}");
    assert!(!stdout.contains("hunter2"));
}

#[test]
fn a_role_is_printed_for_each_granted_database_without_its_password() {
    let config = folder(
        "[modules.cache]\ngrants.sql.default = { url = \"postgres://app:hunter2@10.0.0.1/shop\", schema = \"cache\" }\n",
    );
    let (code, stdout, stderr) = run(stheno().arg("acl").current_dir(&config), b"");
    assert_eq!((code, stderr.as_str()), (0, ""));
    let stdout = String::from_utf8(stdout).unwrap();
    let (place, lines) = stdout.split_once('\n').unwrap();
    assert_eq!(place, "-- modules.cache.grants.sql.default, at postgres://10.0.0.1:5432/shop");
    assert!(lines.starts_with("CREATE ROLE \"app\" LOGIN NOINHERIT NOSUPERUSER "), "{lines}");
    assert!(lines.contains("CREATE SCHEMA \"cache\" AUTHORIZATION \"app\";"), "{lines}");
    assert!(!stdout.contains("hunter2"));
}

#[test]
fn without_a_granted_server_there_is_none() {
    let empty = tempfile::tempdir().unwrap();
    let (code, stdout, _) = run(stheno().arg("acl").current_dir(&empty), b"");
    assert_eq!(code, 0);
    assert_eq!(
        String::from_utf8(stdout).unwrap(),
        "# neither Redis nor SQL is granted to any provider\n"
    );
}
