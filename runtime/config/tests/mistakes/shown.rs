//! What an error shows to people and programs, and what it keeps.

use stheno_config::ConfigError;

use crate::parse;

#[test]
fn no_error_shows_the_value_of_a_variable() {
    for text in [
        "[server]\ntoken = \"${SHORT}\"",
        "[server]\nlisten = \"${SHORT}\"",
        "[server]\nmax_body = \"${SHORT}\"",
        "[modules.cache]\nresolve = \"${SHORT}/x\"",
        "[modules.cache.grants]\nsockets = [\"${SHORT}\"]",
        "[modules.cache.grants]\nfolders = [{ host = \"${EMPTY}\", guest = \"${SHORT}\", mode = \"${SHORT}\" }]",
        "[modules.cache.grants]\nfolders = [{ host = \"a\", guest = \"/${SHORT}\" }, { host = \"b\", guest = \"/${SHORT}\" }]",
        "[modules.cache.grants]\nredis.a = { url = \"${SHORT}\", prefix = \"${SHORT}*\" }",
        "[modules.cache.grants]\nredis.a = { url = \"redis://a:${SHORT}@\", prefix = \"a\" }",
        "[modules.cache.grants]\nsql.a = { url = \"${SHORT}\", schema = \"${SHORT} \" }",
        "[modules.cache.grants]\nsql.a = { url = \"postgres://a:${SHORT}@\", schema = \"a\" }",
        "[modules.cache.grants]\nobjects.a = { bucket = \"${SHORT}\", prefix = \"${SHORT}*\", endpoint = \"${SHORT}\", region = \"${SHORT}/\" }",
        "[modules.cache.grants]\nobjects.a = { bucket = \"a\", prefix = \"\", endpoint = \"https://a:${SHORT}@b\", access_key_id = \"${SHORT} \", secret_access_key = \"${SHORT} \" }",
        "[modules.cache.limits]\ntimeout = \"${SHORT}\"\ninstances = \"${SHORT}\"",
    ] {
        let error = parse(text).expect_err(text);
        let json = error.problems().iter().map(|p| format!("{p:?}")).collect::<String>();
        let shown = format!("{error} {error:?} {json} {:?}", miette::Report::new(error.clone()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    // What to write instead is not derived from a value either.
    let error = parse("[modules.cache.limits]\ntimeout = \"${THIRTY}\"").unwrap_err();
    assert!(!format!("{error:?}").contains("30"), "{error:?}");
}

#[test]
fn no_error_shows_a_token_that_is_written_out() {
    for text in [
        "[server]\ntoken = \"hunter2\"",
        "[server]\ntokn = \"hunter2-hunter2-hunter2\"",
        "[server]\ntoken = \"hunter2-hunter2-hunter2\"\nlisten = 1",
        "[server]\ntoken = \"${NO:-hunter2}\"",
        "[server]\ntoken = hunter2",
        "[server]\ntoken = \"hunter2",
        "[modules.cache.grants]\nobjects.a = { bucket = \"A\", prefix = \"\", access_key_id = \"a\", secret_access_key = \"hunter2\" }",
        "[modules.cache.grants]\nobjects.a = { bucket = \"A\", prefix = \"\", session_token = \"hunter2 \", endpoint = \"http://a:hunter2@b\" }",
    ] {
        let error = parse(text).expect_err(text);
        let shown = format!("{error} {error:?} {:?}", miette::Report::new(error.clone()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_person_sees_the_line_the_label_and_the_help() {
    let render = |error: ConfigError| {
        let mut out = String::new();
        miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
            .render_report(&mut out, &error)
            .unwrap();
        out
    };
    let one = render(parse("[server]\nlisen = \"127.0.0.1:1\"\n").unwrap_err());
    for part in [
        "stheno.toml:2:1",
        "there is no key `lisen` in `server`",
        "lisen = \"127.0.0.1:1\"",
        "did you mean `listen`?",
    ] {
        assert!(one.contains(part), "{part} is not in:\n{one}");
    }
    let two = render(parse("[server]\nlisen = 1\nlisten = 2\n").unwrap_err());
    for part in
        ["(and one more mistake)", "no key `lisen`", "`listen` must be a string", "write listen ="]
    {
        assert!(two.contains(part), "{part} is not in:\n{two}");
    }
}

#[test]
fn programs_get_every_field_of_a_problem() {
    let error = parse("[modules.cache.limits]\ntimeout = \"30\"").unwrap_err();
    let [problem] = &error.problems()[..] else { panic!("{error:?}") };
    assert_eq!(
        serde_json::to_value(problem).unwrap(),
        serde_json::json!({
            "file": "stheno.toml", "line": 2, "column": 11,
            "place": "modules.cache.limits.timeout",
            "message": "\"30\" is not a duration: it has no unit",
            "help": "write timeout = \"30s\"",
        })
    );
}
