//! What is denied is counted, where the operator looks.

use std::collections::BTreeMap;

use stheno::config::{Config, ModuleName};
use stheno::{Denied, Runtime};

/// A guest, the grant that it has, and what it asks for beyond that: with the binding
/// that it asks through, and a part of what the operator is told to write.
struct Attacker {
    guest: &'static str,
    capability: &'static str,
    grant: &'static str,
    attacks: &'static [(&'static str, Option<&'static str>, &'static str)],
}

/// No server answers here: what is denied is not sent.
const ATTACKERS: &[Attacker] = &[
    Attacker {
        guest: "folders-cache",
        capability: "folders",
        grant: r#"folders = [{ host = ".", guest = "/files", mode = "read-only" }]"#,
        attacks: &[
            ("create:/files/k", None, "mode = \"read-write\""),
            ("remove:/files/k", None, "mode = \"read-write\""),
            ("tail:/etc/passwd", None, "folders = [{"),
            ("list:/etc", None, "guest = \"/etc\""),
        ],
    },
    Attacker {
        guest: "http-cache",
        capability: "http",
        grant: r#"http = [{ host = "127.0.0.1", scheme = "http", path = "/v3/" }]"#,
        attacks: &[
            ("GET http://127.0.0.1/v4", None, "path = \"/v4\""),
            ("POST http://127.0.0.1/v3/", None, "add \"POST\""),
            ("GET https://example.com/", None, "grants.http = [{ host = \"example.com\""),
        ],
    },
    Attacker {
        guest: "objects-cache",
        capability: "objects",
        grant: r#"objects.default = { bucket = "shop", prefix = "own/", endpoint = "http://127.0.0.1:1", access_key_id = "abcdefgh", secret_access_key = "abcdefgh" }"#,
        attacks: &[
            ("get:../secret", Some("default"), ""),
            ("copy:k|../stolen", Some("default"), ""),
            ("delete:../secret", Some("default"), ""),
            ("open:other", None, "grants.objects.other = {"),
        ],
    },
    Attacker {
        guest: "redis-cache",
        capability: "redis",
        grant: r#"redis.default = { url = "redis://127.0.0.1:1", prefix = "own:" }"#,
        attacks: &[
            ("call:FLUSHALL", Some("default"), ""),
            ("pipeline:GET k|KEYS *", Some("default"), ""),
            ("script:return 1", Some("default"), "scripts = ["),
            ("open:other", None, "grants.redis.other = {"),
        ],
    },
    Attacker {
        guest: "sockets-cache",
        capability: "sockets",
        grant: r#"sockets = ["127.0.0.1:1"]"#,
        attacks: &[
            ("connect:127.0.0.1:2", None, "add \"127.0.0.1:2\""),
            ("resolve:example.com", None, "add its HOST:PORT"),
        ],
    },
    Attacker {
        guest: "sql-cache",
        capability: "sql",
        grant: r#"sql.default = { url = "postgres://a@127.0.0.1:1/d", schema = "own" }"#,
        attacks: &[
            ("query:SET ROLE victim", Some("default"), ""),
            ("batch:SELECT 1§SELECT * FROM other.t", Some("default"), ""),
            ("migrate:CREATE TABLE other.t (n int)", Some("default"), ""),
            ("open:other", None, "grants.sql.other = {"),
        ],
    },
    Attacker {
        guest: "store-cache",
        capability: "store",
        grant: r#"store.default = { path = "./store.redb", max_size = "1MiB" }"#,
        attacks: &[("open:other", None, "grants.store.other = {")],
    },
];

async fn denials(runtime: &Runtime) -> Vec<Denied> {
    let all = runtime.status().await;
    all.into_iter().find(|status| status.module == ModuleName::Cache).unwrap().denials
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_denial_is_counted_where_the_operator_looks() {
    for Attacker { guest, capability, grant, attacks } in ATTACKERS {
        let folder = tempfile::tempdir().unwrap();
        let cache = stheno_test_support::compile_cache(env!("CARGO_TARGET_TMPDIR"));
        // Each call has an instance of its own: what is counted outlives them.
        let text = format!(
            "[runtime]\ncompile_cache = {cache:?}\n[modules.cache]\nresolve = {:?}\n\
             limits.calls_per_instance = 1\ngrants.{grant}\n",
            stheno_test_support::guest(guest)
        );
        let config = Config::parse(&text, "stheno.toml", folder.path(), &|_| None).unwrap();
        let runtime = Runtime::builder().config(config).build().await.unwrap();
        assert_eq!(denials(&runtime).await, []);
        let mut expected = BTreeMap::new();
        for (attack, binding, says) in attacks.iter().chain(*attacks) {
            let answer = runtime.cache().get_bytes(attack).await.unwrap().unwrap_or_default();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.starts_with("error: ") || answer.starts_with("denied: "), "{answer}");
            *expected.entry(binding.map(str::to_owned)).or_default() += 1;
            let found = denials(&runtime).await;
            let counted: BTreeMap<Option<String>, u64> =
                found.iter().map(|it| (it.binding.clone(), it.count)).collect();
            assert_eq!(counted, expected, "{attack}");
            assert!(found.iter().all(|it| it.capability == *capability), "{found:?}");
            let last = &found.iter().find(|it| it.binding.as_deref() == *binding).unwrap().last;
            assert!(last.contains(says), "{attack}: {last}");
        }
        runtime.shutdown().await.unwrap();
    }
}
