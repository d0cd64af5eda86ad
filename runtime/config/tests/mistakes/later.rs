//! Mistakes that no parsing of a text can find.

use stheno_config::{Config, ModuleName, Place};

use crate::{env, parse};

const LOCAL: &[&str] = &[
    "cache-memory",
    "events-local",
    "locking-local",
    "files-local",
    "workflows-local",
    "notifications-local",
    "analytics-local",
];

#[test]
fn a_later_stage_points_at_the_line_or_the_nearest_there_is() {
    let text = "[modules.cache]\nresolve = \"cache-mem\"\noptions = { a = { b = [1, 2] } }\n\n[modules.cache.grants]\nsockets = [\"10.0.0.1:1\"]\n";
    let config = parse(text).unwrap();
    let cache = ModuleName::Cache;
    for (place, line, column) in [
        (Place::resolve(cache), 2, 11),
        (Place::options(cache).key("a").key("b").index(1), 3, 27),
        (Place::options(cache).key("a"), 3, 17),
        (Place::options(cache).key("missing"), 3, 11),
        (Place::grants(cache), 5, 1),
        (Place::grants(cache).key("sockets").index(0), 6, 12),
        (Place::limits(cache), 1, 1),
    ] {
        let error = config.diagnose(place.clone(), "it is wrong", "write it right");
        let [problem] = &error.problems()[..] else { panic!("{error:?}") };
        assert_eq!((problem.line, problem.column), (Some(line), Some(column)), "{place}");
        assert_eq!(
            (&*problem.place, &*problem.message, &*problem.help),
            (&*place.to_string(), "it is wrong", "write it right")
        );
    }
    // The module is not in the file, and a config built in code has no file.
    let error = config.diagnose(Place::resolve(ModuleName::Events), "m", "h");
    assert_eq!((error.problems()[0].line, &*error.to_string()), (None, "stheno.toml: m"));
    let error = Config::default().diagnose(Place::resolve(cache), "m", "h");
    assert_eq!((error.problems()[0].file.as_deref(), &*error.to_string()), (None, "m"));
}

#[test]
fn an_unknown_builtin_is_shown_with_those_there_are() {
    let text =
        "[modules.cache]\nresolve = \"cache-memry\"\n[modules.events]\nresolve = \"kafka\"\n";
    let config = parse(text).unwrap();
    let error = config.check_builtins(LOCAL).unwrap_err();
    let problems = error.problems();
    assert_eq!(
        problems.iter().map(|p| (p.line, p.column)).collect::<Vec<_>>(),
        [(Some(2), Some(11)), (Some(4), Some(11))]
    );
    assert!(problems[0].message.contains("`cache-memry`"), "{error:?}");
    assert!(problems[0].help.contains("did you mean `cache-memory`?"), "{error:?}");
    assert!(
        problems[1].help.contains(
            "the built-in providers are: `cache-memory`, `events-local`, `locking-local`, `files-local`"
        ),
        "{error:?}"
    );
    assert!(problems[1].help.contains("./provider.wasm"), "{error:?}");
    let known = [
        "cache-memry",
        "kafka",
        "locking-local",
        "files-local",
        "workflows-local",
        "notifications-local",
        "analytics-local",
    ];
    assert!(config.check_builtins(&known).is_ok());
    assert!(Config::default().check_builtins(LOCAL).is_ok());
}

#[test]
fn an_unknown_builtin_out_of_a_variable_is_not_shown() {
    let config = parse("[modules.cache]\nresolve = \"${NAME}\"\n").unwrap();
    assert_eq!(config.modules.cache.resolve.to_string(), "cache-memry");
    let error = config.check_builtins(LOCAL).unwrap_err();
    let shown = format!("{error:?}");
    assert!(
        shown.contains("\"${NAME}\" does not give") && shown.contains("`cache-memory`"),
        "{shown}"
    );
    assert!(!shown.contains("memry") && !shown.contains("did you mean"), "{shown}");
}

#[test]
fn a_file_that_cannot_be_read_says_so_and_names_the_way_without() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("stheno.toml");
    let error = Config::load(&missing, &env).unwrap_err();
    assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
    assert!(format!("{error:?}").contains("without `--config`"), "{error:?}");
    assert!(Config::load(folder.path(), &env).is_err(), "a folder is no file");

    std::fs::write(&missing, b"[server]\nlisten = \"\xff\"\n").unwrap();
    let problems = Config::load(&missing, &env).unwrap_err().problems();
    assert!(problems[0].message.contains("not UTF-8"), "{problems:?}");
    assert_eq!((problems[0].line, problems[0].column), (Some(2), Some(11)));
}
