//! Every mistake is reported at its place, with what to write instead.

use stheno_config::Problem;

use crate::parse;

/// Stands before the mistake; it is taken out before the text is read.
const MARK: char = '«';

/// The text without its marks, and the line and column of each.
fn unmark(marked: &str) -> (String, Vec<(usize, usize)>) {
    let mut text = String::new();
    let (mut line, mut column, mut marks) = (1, 1, Vec::new());
    for c in marked.chars() {
        match c {
            MARK => marks.push((line, column)),
            '\n' => (line, column) = (line + 1, 1),
            _ => column += 1,
        }
        if c != MARK {
            text.push(c);
        }
    }
    (text, marks)
}

/// The marked text, and for each mark what the message and the help hold.
type Mistake = (&'static str, &'static [(&'static str, &'static str)]);

fn check(mistakes: &[Mistake]) {
    for (marked, expected) in mistakes {
        let (text, marks) = unmark(marked);
        assert_eq!(marks.len(), expected.len(), "a mark for each mistake in {marked}");
        let problems = match parse(&text) {
            Ok(_) => panic!("no mistake was found in:\n{marked}"),
            Err(error) => error.problems(),
        };
        let places: Vec<_> = problems
            .iter()
            .map(|problem| (problem.line.unwrap(), problem.column.unwrap()))
            .collect();
        assert_eq!(places, marks, "in:\n{marked}\n{problems:#?}");
        for (Problem { file, message, help, .. }, (in_message, in_help)) in
            problems.iter().zip(*expected)
        {
            assert_eq!(file.as_deref(), Some("stheno.toml"));
            assert!(message.contains(in_message), "{message:?} lacks {in_message:?} in:\n{marked}");
            assert!(help.contains(in_help), "{help:?} lacks {in_help:?} in:\n{marked}");
        }
    }
}

#[test]
fn an_unknown_key_names_its_neighbours() {
    check(&[
        (
            "«servr = 1",
            &[(
                "no key `servr` in the config",
                "did you mean `server`? the keys here are: `server`, `runtime`, `modules`",
            )],
        ),
        (
            "[server]\n«lisen = \"127.0.0.1:1\"",
            &[("no key `lisen` in `server`", "did you mean `listen`?")],
        ),
        (
            "[server]\n«qqq = 1",
            &[("no key `qqq`", "the keys here are: `listen`, `token`, `max_body`")],
        ),
        (
            "[runtime]\n«compile-cache = false",
            &[("`compile-cache`", "did you mean `compile_cache`?")],
        ),
        (
            "[modules.«cahce]\nresolve = \"cache-memory\"",
            &[(
                "no module `cahce`",
                "did you mean `cache`? the modules are: `cache`, `events`, `locking`",
            )],
        ),
        ("[modules.cache]\n«resolv = \"x\"", &[("`modules.cache`", "did you mean `resolve`?")]),
        (
            "[modules.cache]\n«memory = \"1GiB\"",
            &[("no key `memory`", "`memory` belongs in [modules.cache.limits]")],
        ),
        (
            "[modules.cache]\n«sockets = []",
            &[("no key `sockets`", "belongs in [modules.cache.grants]")],
        ),
        ("[modules.cache.grants]\n«folder = []", &[("`folder`", "did you mean `folders`?")]),
        (
            "[modules.cache.grants]\nfolders = [{ host = \"a\", guest = \"/a\", «made = \"read-only\" }]",
            &[("`made` in `modules.cache.grants.folders[0]`", "did you mean `mode`?")],
        ),
        ("[modules.cache.limits]\n«memroy = \"1GiB\"", &[("`memroy`", "did you mean `memory`?")]),
    ]);
}

#[test]
fn a_wrong_type_shows_a_right_line() {
    check(&[
        ("server = «1", &[("`server` must be a table, but is an integer", "write [server]")]),
        (
            "[server]\nlisten = «7070",
            &[("`listen` must be a string", "write listen = \"127.0.0.1:7070\"")],
        ),
        (
            "[server]\ntoken = «1234567890123456",
            &[("`token` must be a string", "token = \"${STHENO_TOKEN}\"")],
        ),
        (
            "[server]\nmax_body = «16",
            &[("`max_body` must be a string with a size", "write max_body = \"16MiB\"")],
        ),
        ("[runtime]\ncompile_cache = «true", &[("a folder or false", "compile_cache = false")]),
        (
            "[modules]\ncache = «\"cache-memory\"",
            &[("`cache` must be a table", "[modules.cache] with resolve = \"cache-memory\"")],
        ),
        (
            "[modules]\nevents = «false",
            &[("`events` must be a table, but is a boolean", "events-local")],
        ),
        (
            "[modules.cache]\nresolve = «[]",
            &[("`resolve` must be a string", "write resolve = \"cache-memory\"")],
        ),
        (
            "[modules.cache]\noptions = «\"x\"",
            &[("`options` must be a table", "write options = { ttl = \"30s\" }")],
        ),
        ("[modules.cache]\ngrants = «1979-05-27", &[("but is a date-time", "write grants = {")]),
        (
            "[modules.cache.grants]\nfolders = «{}",
            &[("`folders` must be an array, but is a table", "write folders = [{")],
        ),
        (
            "[modules.cache.grants]\nfolders = [«\"./data\"]",
            &[("must be a table", "write folders = [{")],
        ),
        (
            "[modules.cache.grants]\nsockets = «\"127.0.0.1:1\"",
            &[("`sockets` must be an array", "write sockets = [")],
        ),
        (
            "[modules.cache.grants]\nstore = «\"./a.redb\"",
            &[("`store` must be a table", "write store.default = {")],
        ),
        (
            "[modules.cache.grants]\nstore.default = «\"./a.redb\"",
            &[("`default` must be a table", "write store.default = {")],
        ),
        (
            "[modules.cache.grants]\nredis.default = «\"redis://a\"",
            &[("`default` must be a table", "write redis.default = {")],
        ),
        (
            "[modules.cache.grants]\nredis.default = { url = \"redis://a\", prefix = \"a\", in_flight = «\"x\" }",
            &[("`in_flight` must be a whole number", "write in_flight = 1024")],
        ),
        (
            "[modules.cache.limits]\ninstances = «\"8\"",
            &[("`instances` must be a whole number, but is a string", "write instances = 8")],
        ),
        ("[modules.cache.limits]\ninstances = «8.5", &[("but is a float", "write instances = 8")]),
        (
            "[modules.cache.limits]\ntimeout = «10",
            &[("`timeout` must be a string with a duration", "write timeout = \"10s\"")],
        ),
    ]);
}

#[test]
fn a_value_that_cannot_be_says_why_and_what_can() {
    check(&[
        (
            "[server]\nlisten = «\"localhost:80\"",
            &[("\"localhost:80\" is not an address and a port", "write listen = \"127.0.0.1:80\"")],
        ),
        ("[server]\nlisten = «\"127.0.0.1\"", &[("it has no port", "listen = \"127.0.0.1:7070\"")]),
        (
            "[server]\nlisten = «\"0.0.0.0:80\"",
            &[("a token is required", "add to [server]: token = \"${STHENO_TOKEN}\"")],
        ),
        ("[server]\ntoken = «\"short\"", &[("at least 16 characters", "openssl rand -hex 24")]),
        ("[server]\ntoken = «\"with spaces in the text\"", &[("no spaces", "openssl rand")]),
        // The token is there, so only what is wrong with it is reported.
        ("[server]\nlisten = \"0.0.0.0:80\"\ntoken = «\"short\"", &[("at least 16", "")]),
        (
            "[server]\nmax_body = «\"2GiB\"",
            &[("`max_body` must lie between 1KiB and 1GiB", "max_body = \"16MiB\"")],
        ),
        (
            "[runtime]\ncompile_cache = «\"~/cache\"",
            &[("`~` is not expanded", "write compile_cache = \"${HOME}/cache\"")],
        ),
        (
            "[modules.cache]\nresolve = «\"My Cache\"",
            &[(
                "is not a provider",
                "write a provider, such as resolve = \"cache-memory\" or resolve = \"./provider.wasm\"",
            )],
        ),
        ("[modules.cache]\nresolve = «\"\"", &[("it is empty", "resolve = \"./provider.wasm\"")]),
        (
            "[modules.cache]\nresolve = «\"https://example.com/a.wasm\"",
            &[("nothing is fetched", "download")],
        ),
        ("[modules.cache]\noptions = { a = { b = [1.0, «inf] } }", &[("not finite", "finite")]),
        ("[modules.cache]\noptions = { a = «1e999 }", &[("not finite", "finite")]),
        ("[modules.cache]\noptions = { a = «99999999999999999999 }", &[("64 bits", "smaller")]),
        (
            "[modules.cache.grants]\nfolders = [«{ guest = \"/a\" }]",
            &[("no `host`", "host = \"./data\"")],
        ),
        (
            "[modules.cache.grants]\nfolders = [{ host = \"a\", guest = «\"a\" }]",
            &[("does not begin with `/`", "guest = \"/data\"")],
        ),
        (
            "[modules.cache.grants]\nfolders = [{ host = \"a\", guest = «\"/a/../b\" }]",
            &[("`..`", "guest = \"/data\"")],
        ),
        (
            "[modules.cache.grants]\nfolders = [{ host = «\"\", guest = \"/a\" }]",
            &[("it is empty", "host = \"./data\"")],
        ),
        (
            "[modules.cache.grants]\nfolders = [{ host = \"a\", guest = \"/a\", mode = «\"readonly\" }]",
            &[("no such mode", "write mode = \"read-only\"")],
        ),
        (
            "[modules.cache.grants]\nfolders = [\n { host = \"a\", guest = \"/a\" },\n { host = \"b\", guest = «\"//a/./\" },\n]",
            &[("another folder is granted at this guest path already", "guest path of its own")],
        ),
        (
            "[modules.cache.grants]\nsockets = [«\"127.1:6379\"]",
            &[("ends in a number", "write a name or an address, and a port")],
        ),
        (
            "[modules.cache.grants]\nsockets = [{ to = \"10.0.0.1:1\", private = «true }]",
            &[("this is an address", "leave it out")],
        ),
        (
            "[modules.cache.grants]\nsockets = [«{ private = true }]",
            &[("the grant has no `to`", "write { to = ")],
        ),
        (
            "[modules.cache.grants]\nsockets = [\"10.0.0.1:1\", «\"10.0.0.1\"]",
            &[("it has no port", "sockets = [")],
        ),
        (
            "[modules.cache.grants]\nsockets = [«\"0.0.0.0:80\"]",
            &[("not the address of one machine", "")],
        ),
        (
            "[modules.cache.grants]\nredis.default = «{ url = \"redis://a\" }",
            &[("the binding has no `prefix`", "write redis.default = {")],
        ),
        (
            "[modules.cache.grants]\nredis.default = { url = «\"rediss://a\", prefix = «\"a*\" }",
            &[
                ("TLS (`rediss://`) is not supported", "tunnel"),
                ("\"a*\" is not a prefix", "shop:cache:"),
            ],
        ),
        (
            "[modules.cache.grants]\nredis.default = { url = «\"redis://a,b\", prefix = \"a\" }",
            &[("Redis Cluster", "URL of one server")],
        ),
        (
            "[modules.cache.grants]\nredis.default = { url = \"redis://a\", prefix = \"a\", timeout = «\"2h\", scripts = [«\"abc\"] }",
            &[
                ("`timeout` must lie between 10ms and 1m", "the default"),
                ("\"abc\" is not a SHA-256", "lower-case hex"),
            ],
        ),
        (
            "[modules.cache.grants]\nsql.default = «{ url = \"postgres://a@b/c\" }",
            &[("the binding has no `schema`", "write sql.default = {")],
        ),
        (
            "[modules.cache.grants]\nsql.default = { url = «\"postgres://a@b/c?sslmode=require\", schema = «\"pg_catalog\" }",
            &[
                ("neither `disable` nor `verify-full`", "leave `sslmode` out"),
                ("PostgreSQL keeps this name for itself", "shop_locking"),
            ],
        ),
        (
            "[modules.cache.grants]\nsql.default = { url = «\"postgres://b/c\", schema = \"a\", role = «\"A b\" }",
            &[
                ("it names no user", "postgres://USER:PASSWORD@HOST"),
                ("\"A b\" is not the name of a role", "role = "),
            ],
        ),
        (
            "[modules.cache.grants]\nsql.default = { url = \"postgres://a@b/c\", schema = \"a\", statement_timeout = «\"2h\", max_rows = «0, «pool = 1 }",
            &[
                ("`statement_timeout` must lie between 10ms and 5m", "the default"),
                ("`max_rows` must lie between 1 and 10000000", "the default"),
                ("there is no key `pool`", "`statement_timeout`"),
            ],
        ),
        (
            "[modules.cache.grants]\nobjects.default = «{ bucket = \"abc\", access_key_id = \"a\", secret_access_key = \"b\" }",
            &[("the binding has no `prefix`", "write objects.default = {")],
        ),
        (
            "[modules.cache.grants]\nobjects.default = «{ bucket = \"abc\", prefix = \"a/\", access_key_id = \"a\" }",
            &[("the binding has no `secret_access_key`", "credential_chain = true")],
        ),
        (
            "[modules.cache.grants]\nobjects.default = { bucket = \"abc\", prefix = \"a/\", session_token = «\"a\", credential_chain = true }",
            &[("looks for keys elsewhere", "leave out one of the two")],
        ),
        (
            "[modules.cache.grants]\nobjects.default = { bucket = «\"Shop\", prefix = «\"files\", region = «\"EU\", credential_chain = true }",
            &[
                ("\"Shop\" is not the name of a bucket", "bucket = \"shop-files\""),
                ("it does not end in `/`", "write prefix = \"files/\""),
                ("\"EU\" is not a region", "eu-central-1"),
            ],
        ),
        (
            "[modules.cache.grants]\nobjects.default = { bucket = \"abc\", prefix = \"\", credential_chain = true, endpoint = «\"http://10.0.0.1:9000\" }",
            &[("travel in the clear", "plain_http = true")],
        ),
        (
            "[modules.cache.grants]\nobjects.default = { bucket = \"abc\", prefix = \"\", credential_chain = true, endpoint = «\"s3.example.com\", path_style = «1 }",
            &[
                ("it does not begin with `https://`", "https://s3.example.com"),
                ("`path_style` must be `true` or `false`", "path_style = true"),
            ],
        ),
        (
            "[modules.cache.grants]\nobjects.default = { bucket = \"abc\", prefix = \"\", credential_chain = true, max_link_expiry = «\"8d\" }",
            &[("`max_link_expiry` must lie between 1s and 7d", "the default")],
        ),
        (
            "[modules.cache.grants]\nstore.default = «{ path = \"a.redb\" }",
            &[("no `max_size`", "max_size = \"1GiB\"")],
        ),
        (
            "[modules.cache.grants]\nstore.default = «{ max_size = \"1GiB\" }",
            &[("no `path`", "path = \"./data/store.redb\"")],
        ),
        (
            "[modules.cache.grants]\nstore.default = { path = «\"data/\", max_size = \"1GiB\" }",
            &[("it is a folder", "path = \"./data/store.redb\"")],
        ),
        (
            "[modules.cache.grants]\nstore.default = { path = \"a\", max_size = «\"1KiB\" }",
            &[("between 1MiB and 1TiB", "max_size = \"1GiB\"")],
        ),
        (
            "[modules.cache.grants]\nstore.default = { path = \"a\", max_size = «\"64mb\" }",
            &[("spelled another way", "write max_size = \"64MB\"")],
        ),
        (
            "[modules.cache.grants]\nstore.default = { path = \"a\", max_size = \"1GiB\", «mode = 1 }",
            &[("no key `mode`", "`path`, `max_size`")],
        ),
        (
            "[modules.cache.grants]\nstore.\"a b\" = «{ path = \"a\", max_size = \"1GiB\" }",
            &[("is not a label", "store.default")],
        ),
        (
            "[modules.cache.grants.store]\na = { path = \"x\", max_size = \"1GiB\" }\nb = «{ path = \"./x\", max_size = \"1GiB\" }",
            &[("granted in this file already", "a file of its own")],
        ),
        (
            "[modules.cache.limits]\ntimeout = «\"30\"",
            &[("\"30\" is not a duration: it has no unit", "write timeout = \"30s\"")],
        ),
        ("[modules.cache.limits]\ntimeout = «\"1.5h\"", &[("fraction", "timeout = \"10s\"")]),
        (
            "[modules.cache.limits]\ntimeout = «\"2h\"",
            &[("`timeout` must lie between 1ms and 1h", "timeout = \"10s\" (the default)")],
        ),
        (
            "[modules.cache.limits]\ncpu = «\"1ms\"",
            &[("`cpu` must lie between 10ms and 1h", "cpu = \"1s\"")],
        ),
        (
            "[modules.cache.limits]\nmemory = «\"64mb\"",
            &[("spelled another way", "write memory = \"64MB\"")],
        ),
        (
            "[modules.cache.limits]\nmemory = «\"99999999TiB\"",
            &[("`memory` must lie between 1MiB and 4GiB", "memory = \"256MiB\"")],
        ),
        (
            "[modules.cache.limits]\ninstances = «0",
            &[("`instances` must lie between 1 and 1024", "instances = 8")],
        ),
        (
            "[modules.cache.limits]\nqueue = «-1",
            &[("`queue` must lie between 0 and 1000000", "queue = 1024")],
        ),
        (
            "[modules.cache.limits]\nhandles = «0x1_0000_0000",
            &[("`handles` must lie between", "handles = 1024")],
        ),
    ]);
}

#[test]
fn a_variable_that_cannot_be_filled_in_names_both_remedies() {
    check(&[
        (
            "[server]\ntoken = «\"${STHENO_TOKEN}\"",
            &[(
                "the variable `STHENO_TOKEN` is not set",
                "set it (`export STHENO_TOKEN=...`), or give a default: \"${STHENO_TOKEN:-default}\"",
            )],
        ),
        (
            "[modules.cache]\noptions = { a = [{ b = «\"${NO}\" }] }",
            &[("`NO` is not set", "export NO")],
        ),
        ("[modules.cache]\nresolve = «\"${NO\"", &[("no `}`", "a literal `${` is written `$${`")]),
        (
            "[modules.cache]\nresolve = «\"${a-b}\"",
            &[("does not name a variable", "letters, digits")],
        ),
        ("[modules.cache]\nresolve = «\"${A:-${B}}\"", &[("the default of `A`", "plain text")]),
        (
            "[modules.cache.limits]\ninstances = «\"${SHORT}\"",
            &[("\"${SHORT}\" is not a whole number", "instances = 8")],
        ),
    ]);
}

#[test]
fn what_is_not_toml_is_shown_where_it_breaks() {
    check(&[
        ("[server]\nlisten = 127.0«.0.0.1:7070\n", &[("not TOML", "double quotes")]),
        (
            "[modules.cache.limits]\nmemory = «64MiB\ntimeout = «10s\n",
            &[("quoted", "double quotes"), ("quoted", "double quotes")],
        ),
        ("[server]\n[«server]\n", &[("duplicate key", "remove one")]),
        ("[modules.cache]\noptions = { a = 1«", &[("unclosed", "closing bracket")]),
        ("[modules.cache«\nresolve = \"x\"", &[("unclosed", "closing bracket")]),
        // One line, one report, though the parser stumbles twice.
        ("runtime = «1 b = 2", &[("quoted", "double quotes")]),
        ("«= 3", &[("not TOML", "key = value")]),
    ]);
}

#[test]
fn all_mistakes_are_reported_in_the_order_of_the_file() {
    check(&[(
        "[modules.events.limits]\ntimeout = «\"30\"\n[server]\n«tokn = \"x\"\nlisten = «1\n[modules.«chache]\n",
        &[("no unit", "30s"), ("`tokn`", "`token`"), ("listen", ""), ("chache", "`cache`")],
    )]);
}

#[test]
fn columns_count_characters_and_a_byte_order_mark_counts_none() {
    check(&[
        ("[modules.cache]\noptions = { \"üñï\" = «inf }", &[("not finite", "")]),
        ("[modules.cache]\r\nresolve = «\"\"\r\n", &[("empty", "")]),
    ]);
    let problems = parse("\u{feff}servr = 1").unwrap_err().problems();
    assert_eq!((problems[0].line, problems[0].column), (Some(1), Some(1)));
}

#[test]
fn a_grant_of_requests_says_what_may_be_asked() {
    check(&[
        (
            "[modules.cache.grants]\nhttp = «\"api.example.com\"",
            &[("must be an array", "http = [{ host = \"api.example.com\"")],
        ),
        ("[modules.cache.grants]\nhttp = [«{ path = \"/\" }]", &[("no `host`", "host = ")]),
        (
            "[modules.cache.grants]\nhttp = [{ host = «\"https://api.example.com/v1\" }]",
            &[("it is a URL", "write host = \"api.example.com\"")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = «\"api.example.com:8443\" }]",
            &[("is not a host", "port = 8443")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = «\"0x7f.1\" }]",
            &[("ends in a number", "host = ")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = «\"*.com\" }]",
            &[("top-level domain", "host = ")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", scheme = «\"htps\" }]",
            &[("no such scheme", "write scheme = \"https\"")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", port = «0 }]",
            &[("between 1 and 65535", "port = 8443")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", methods = [«\"post\"] }]",
            &[("upper-case", "\"POST\"")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", methods = «[] }]",
            &[("no method", "methods = [\"GET\", \"POST\"]")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", path = «\"/v1/../\" }]",
            &[("`..` step", "path = \"/v1/\"")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"*.a.b\", private = «true }]",
            &[("for one name", "a grant of its own")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", max_in_flight = «0 }]",
            &[("between 1 and 10000", "max_in_flight = 64")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", «follow = true }]",
            &[("no key `follow`", "`host`, `scheme`")],
        ),
    ]);
}

#[test]
fn a_secret_of_a_request_has_one_place_and_is_never_shown() {
    check(&[
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", secrets = { authorization = «\"short\" } }]",
            &[("found everywhere", "authorization = \"Bearer ${API_KEY}\"")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", secrets = { host = «\"0123456789\" } }]",
            &[("no request may set this header", "secrets = ")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", secrets = { k = «{ value = \"0123456789\" } } }]",
            &[("one place", "query = \"api_key\"")],
        ),
        (
            "[modules.cache.grants]\nhttp = [{ host = \"a.b\", scheme = \"http\", secrets = «{ authorization = \"0123456789\" } }]",
            &[("in the clear", "private = true")],
        ),
    ]);
    let text = "[modules.cache.grants]\nhttp = [{ host = \"a.b\", secrets = { authorization = \" hunter2hunter2\" } }]";
    let shown = format!("{:?}", miette::Report::new(parse(text).unwrap_err()));
    assert!(!shown.contains("hunter2"), "{shown}");
}
