//! What a right config turns into.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use stheno_config::{
    ByteSize, CompileCache, Config, ConfigError, FolderMode, HttpScheme, Limits, ModuleName,
    ObjectsCredentials, Resolve, SecretPlace, ServerConfig,
};

const WHOLE: &str = r#"
[server]
listen = "0.0.0.0:8080"
token = "${STHENO_TOKEN}"
max_body = "8MiB"
max_file = "2GiB"
max_connections = 64
head_timeout = "5s"
body_timeout = "90s"
public_url = "https://files.example.com/"
link_secret = "${LINKS}"

[runtime]
compile_cache = "cache"

[modules.cache]
resolve = "./my.wasm"
options = { ttl = "30s", on = true, n = -3, big = 0xffff_ffff_ffff_ffff, f = 1.5, at = 1979-05-27T07:32:00Z, list = [1, { a = "${A}$${A}" }] }

[modules.cache.grants]
folders = [{ host = "./data", guest = "/data/" }, { host = "/srv", guest = "/srv", mode = "read-write" }]
sockets = ["127.0.0.1:6379", "[::1]:6379"]
http = [
    { host = "*.example.com", methods = ["GET", "POST"], path = "/v1/", max_request = "1MiB", max_response = "2MiB", connect_timeout = "1s", response_timeout = "2s", timeout = "3s", max_in_flight = 4, requests_per_second = 5, secrets = { authorization = "Bearer ${STHENO_TOKEN}", k = { query = "api_key", value = "${STHENO_TOKEN}" } } },
    { host = "[::1]", scheme = "http", port = 8_080 },
    { host = "intern.example.com", private = true, ca = "./ca.pem" },
]
store = { default = { path = "./data/store.redb", max_size = "1GiB" } }
redis = { default = { url = "redis://app:${A}@cache:6380/2", prefix = "shop:", timeout = "1s", in_flight = 7, scripts = ["0000000000000000000000000000000000000000000000000000000000000000"] } }
sql = { default = { url = "postgres://app:${A}@db:5433/shop", schema = "shop_cache", role = "cache", ca = "./ca.pem", statement_timeout = "1s", max_rows = 7 } }
objects = { default = { bucket = "shop-files", prefix = "files/", endpoint = "http://[::1]:9000/", region = "eu-central-1", path_style = true, public = true, ca = "./ca.pem", access_key_id = "id", secret_access_key = "${A}", session_token = "t", timeout = "1s", operations_per_second = 5, in_flight = 7, max_object_size = "1GiB", max_link_expiry = "1h" }, chain = { bucket = "shop-files", prefix = "", endpoint = "http://minio:9000", plain_http = true, credential_chain = true } }

[modules.cache.limits]
memory = "128MiB"
cpu = "2s"
timeout = "500ms"
instances = 4
queue = 0
calls_per_instance = 50
host_bytes = "1MiB"
handles = 7
log_lines_per_second = 9

[modules.events]
limits.instances = "${N:-2}"
"#;

fn env(name: &str) -> Option<String> {
    match name {
        "STHENO_TOKEN" => Some("0123456789abcdef".to_owned()),
        "LINKS" => Some("0123456789abcdef0123456789abcdef".to_owned()),
        "A" => Some("alpha".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, "stheno.toml", Path::new("/etc/stheno"), &env)
}

#[test]
fn every_documented_key_is_read() {
    let config = parse(WHOLE).unwrap();
    assert_eq!(config.server.listen(), "0.0.0.0:8080".parse().unwrap());
    assert!(config.server.token().unwrap().matches("0123456789abcdef"));
    assert_eq!(config.server.max_body().get(), ByteSize::mib(8));
    assert_eq!(config.server.max_file().get(), ByteSize::gib(2));
    assert_eq!(config.server.max_connections().get(), 64);
    assert_eq!(config.server.head_timeout().get(), Duration::from_secs(5));
    assert_eq!(config.server.body_timeout().get(), Duration::from_secs(90));
    assert_eq!(config.server.public_url().unwrap().as_str(), "https://files.example.com");
    let secret = config.server.link_secret().unwrap().expose_secret();
    assert_eq!(secret, "0123456789abcdef0123456789abcdef");
    assert_eq!(config.runtime.compile_cache, CompileCache::Folder("/etc/stheno/cache".into()));

    let cache = &config.modules.cache;
    assert_eq!(cache.resolve, Resolve::File("/etc/stheno/my.wasm".into()));
    assert_eq!(
        serde_json::Value::Object(cache.options.clone()),
        json!({
            "ttl": "30s", "on": true, "n": -3, "big": u64::MAX, "f": 1.5,
            "at": "1979-05-27T07:32:00Z", "list": [1, { "a": "alpha${A}" }],
        })
    );
    let folders: Vec<_> =
        cache.grants.folders().iter().map(|f| (f.host.clone(), f.guest.as_str(), f.mode)).collect();
    assert_eq!(
        folders,
        [
            (PathBuf::from("/etc/stheno/data"), "/data", FolderMode::ReadOnly),
            (PathBuf::from("/srv"), "/srv", FolderMode::ReadWrite),
        ]
    );
    let sockets: Vec<_> = cache.grants.sockets().iter().map(ToString::to_string).collect();
    assert_eq!(sockets, ["127.0.0.1:6379", "[::1]:6379"]);

    let [wide, address, private] = cache.grants.http() else { panic!("three grants of HTTP") };
    assert_eq!((wide.host.to_string().as_str(), wide.port.get()), ("*.example.com", 443));
    assert_eq!(format!("{:?} {}", wide.methods, wide.path), "[GET, POST] /v1/");
    assert_eq!(
        (wide.max_request.get(), wide.max_response.get()),
        (ByteSize::mib(1), ByteSize::mib(2))
    );
    let seconds = [wide.connect_timeout.get(), wide.response_timeout.get(), wide.timeout.get()];
    assert_eq!(seconds.map(|time| time.as_secs()), [1, 2, 3]);
    assert_eq!((wide.max_in_flight.get(), wide.requests_per_second.get()), (4, 5));
    let places: Vec<_> = wide.secrets.iter().map(|secret| secret.place().clone()).collect();
    assert_eq!(
        places,
        [SecretPlace::header("authorization").unwrap(), SecretPlace::query("api_key").unwrap()]
    );
    let (whole, variables) = (wide.secrets[0].expose_secret(), wide.secrets[0].expose_variables());
    assert_eq!(variables.map(|value| format!("Bearer {value}")).collect::<Vec<_>>(), [whole]);
    assert_eq!(address.scheme, HttpScheme::Http);
    assert_eq!((address.host.to_string().as_str(), address.port.get()), ("[::1]", 8080));
    assert_eq!(format!("{:?}", address.methods), "[GET, HEAD]");
    assert!(private.private && !wide.private);
    assert_eq!(private.ca, Some(PathBuf::from("/etc/stheno/ca.pem")));

    let stores: Vec<_> = cache
        .grants
        .stores()
        .iter()
        .map(|(label, store)| (label.as_str(), store.path.clone(), store.max_size.get()))
        .collect();
    assert_eq!(
        stores,
        [("default", PathBuf::from("/etc/stheno/data/store.redb"), ByteSize::gib(1))]
    );

    let redis: Vec<_> = cache.grants.redis().iter().collect();
    let [(label, redis)] = redis[..] else { panic!("{redis:?}") };
    assert_eq!((label.as_str(), redis.prefix.as_str()), ("default", "shop:"));
    assert_eq!(redis.url.to_string(), "redis://cache:6380/2");
    assert_eq!(redis.url.password().unwrap().expose_secret(), "alpha");
    assert_eq!((redis.timeout.get(), redis.in_flight.get()), (Duration::from_secs(1), 7));
    assert_eq!(redis.connections.get(), 8);
    assert_eq!(redis.scripts.first().unwrap().as_str(), "0".repeat(64));

    let sql: Vec<_> = cache.grants.sql().iter().collect();
    let [(label, sql)] = sql[..] else { panic!("{sql:?}") };
    assert_eq!((label.as_str(), sql.schema.as_str()), ("default", "shop_cache"));
    assert_eq!((sql.url.to_string().as_str(), sql.acts_as()), ("postgres://db:5433/shop", "cache"));
    assert_eq!(sql.url.password().unwrap().expose_secret(), "alpha");
    assert_eq!(sql.ca, Some(PathBuf::from("/etc/stheno/ca.pem")));
    assert_eq!((sql.statement_timeout.get(), sql.max_rows.get()), (Duration::from_secs(1), 7));
    assert_eq!(sql.connections.get(), 8);

    let [chain, default] = ["chain", "default"].map(|label| &cache.grants.objects()[label]);
    assert_eq!((default.bucket.as_str(), default.prefix.as_str()), ("shop-files", "files/"));
    assert_eq!(default.endpoint.as_ref().unwrap().to_string(), "http://[::1]:9000");
    assert_eq!((default.region.as_str(), default.path_style), ("eu-central-1", true));
    assert_eq!((default.public, default.ca.clone()), (true, Some("/etc/stheno/ca.pem".into())));
    let ObjectsCredentials::Keys(keys) = &default.credentials else { panic!("{default:?}") };
    assert_eq!(keys.secret_access_key.expose_secret(), "alpha");
    assert!(keys.session_token.as_ref().unwrap().matches("t") && keys.access_key_id.matches("id"));
    assert!(!format!("{default:?}").contains("alpha"));
    assert_eq!((default.timeout.get(), default.in_flight.get()), (Duration::from_secs(1), 7));
    assert_eq!(default.operations_per_second.get(), 5);
    assert_eq!(default.max_object_size.get(), ByteSize::gib(1));
    assert_eq!(default.max_link_expiry.get(), Duration::from_secs(3600));
    assert_eq!(chain.credentials, ObjectsCredentials::Chain);
    assert_eq!((chain.prefix.as_str(), chain.region.as_str()), ("", "us-east-1"));
    assert_eq!((chain.public, chain.path_style, chain.timeout.get().as_secs()), (false, false, 30));

    let Limits {
        memory,
        cpu,
        timeout,
        instances,
        queue,
        calls_per_instance,
        host_bytes,
        handles,
        log_lines_per_second,
    } = cache.limits.clone();
    assert_eq!(
        (memory.get(), cpu.get(), timeout.get()),
        (ByteSize::mib(128), Duration::from_secs(2), Duration::from_millis(500))
    );
    assert_eq!((instances.get(), queue.get(), calls_per_instance.get()), (4, 0, 50));
    assert_eq!(
        (host_bytes.get(), handles.get(), log_lines_per_second.get()),
        (ByteSize::mib(1), 7, 9)
    );

    assert_eq!(config.modules.events.limits.instances.get(), 2);
}

#[test]
fn every_key_there_is_is_in_the_whole_example() {
    let limits = WHOLE.split("[modules.cache.limits]").nth(1).unwrap();
    for key in Limits::KEYS {
        assert!(limits.contains(&format!("\n{key} = ")), "{key}");
    }
    for key in stheno_config::Grants::KEYS {
        assert!(WHOLE.contains(&format!("\n{key} = ")), "{key}");
    }
}

#[test]
fn what_is_not_written_is_local_and_has_its_default() {
    for text in ["", "[modules.cache]\n", "[server]\n[runtime]\n[modules]\n"] {
        let config = parse(text).unwrap();
        assert_eq!(config.modules, Config::default().modules, "{text:?}");
        assert_eq!(config.server.listen(), ServerConfig::DEFAULT_LISTEN);
        assert!(config.server.token().is_none());
        assert_eq!(config.runtime.compile_cache, CompileCache::UserFolder);
        for (module, provider) in config.modules.iter() {
            assert_eq!(provider.resolve, Resolve::Builtin(module.local_provider()));
            assert_eq!(provider.limits, Limits::default());
            assert!(provider.options.is_empty() && provider.grants.sockets().is_empty());
            if module != ModuleName::Files {
                assert!(provider.grants.folders().is_empty(), "{module}");
            }
        }
    }
    assert_eq!(ModuleName::Cache.local_provider().as_str(), "cache-memory");
    assert_eq!(ModuleName::Events.local_provider().as_str(), "events-local");
    assert_eq!(
        parse("[runtime]\ncompile_cache = false").unwrap().runtime.compile_cache,
        CompileCache::Off
    );
}

#[test]
fn local_files_have_a_folder_of_their_own_where_nothing_else_is_granted() {
    let grants = |text: &str| parse(text).unwrap().modules.get(ModuleName::Files).grants.clone();
    let working = std::env::current_dir().unwrap();
    for text in ["", "[modules.files]\n", "[modules.files]\noptions = { prefix = \"a/\" }"] {
        let grants = grants(text);
        let [folder] = grants.folders() else { panic!("{grants:?}") };
        assert_eq!(folder.host, working.join("stheno-data/files"));
        assert_eq!((folder.guest.as_str(), folder.mode), ("/files", FolderMode::ReadWrite));
        assert!(grants.are_made_on_use());
    }
    let own = "[modules.files]\ngrants = { folders = [{ host = \"f\", guest = \"/files\" }] }";
    assert_eq!(grants(own).folders()[0].host, Path::new("/etc/stheno/f"));
    assert!(!grants(own).are_made_on_use());
    assert!(grants("[modules.files]\nresolve = \"./my.wasm\"").folders().is_empty());
}

#[test]
fn no_debug_output_shows_what_a_variable_held() {
    let config = parse(WHOLE).unwrap();
    let shown = format!("{config:?} {config:#?}");
    assert!(!shown.contains("0123456789abcdef") && !shown.contains("alpha"), "{shown}");
    assert!(shown.contains("ttl"), "option names are shown: {shown}");
}

#[test]
fn a_loaded_file_gives_its_folder_to_relative_paths() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stheno.toml");
    std::fs::write(&file, "[modules.cache]\nresolve = \"my.wasm\"\n").unwrap();
    let config = Config::load(&file, &env).unwrap();
    assert_eq!(config.path(), Some(&*file));
    assert_eq!(config.modules.cache.resolve, Resolve::File(folder.path().join("my.wasm")));
    assert_eq!(Config::default().path(), None);
}

/// Text that is nearly a config: the parser's own words, joined at random.
fn nearly_a_config() -> impl Strategy<Value = String> {
    let words =
        WHOLE.split_inclusive([' ', '\n', '.', '[', ']', '"', '=', ',']).collect::<Vec<_>>();
    let piece = prop_oneof![
        8 => prop::sample::select(words).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
        1 => Just("${".to_owned()),
        1 => Just("'''\n".to_owned()),
        1 => Just("token = ü".to_owned()),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Parses and shows: neither may panic, whatever the text.
fn survives(text: &str) {
    if let Err(error) = parse(text) {
        let lines = text.lines().count().max(1) + 1;
        for problem in error.problems() {
            assert!(problem.line.is_some_and(|line| (1..=lines).contains(&line)), "{problem:?}");
            assert!(!problem.message.is_empty() && !problem.help.is_empty(), "{problem:?}");
        }
        let shown = format!("{error} {error:?} {:?}", miette::Report::new(error.clone()));
        assert!(!shown.contains("Failed to read contents"), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_panics_the_config_parser(text: String) {
        survives(&text);
    }

    #[test]
    fn no_nearly_right_text_panics_the_config_parser(text in nearly_a_config()) {
        survives(&text);
    }

    #[test]
    fn no_damage_to_a_right_text_panics_the_config_parser(at in 0..WHOLE.len(), cut in 0usize..30, new in "\\PC{0,3}") {
        let end = (at + cut).min(WHOLE.len());
        survives(&[&WHOLE[..at], &new, &WHOLE[end..]].concat());
    }
}

#[test]
fn no_depth_of_nesting_overflows_the_stack() {
    for text in [
        format!(
            "[modules.cache]\noptions = {{ a = {}1{} }}",
            "[".repeat(50_000),
            "]".repeat(50_000)
        ),
        format!("[modules.cache]\noptions.{} = 1", vec!["a"; 50_000].join(".")),
        format!("[{}]", vec!["modules"; 50_000].join(".")),
    ] {
        assert!(parse(&text).is_err());
    }
}
