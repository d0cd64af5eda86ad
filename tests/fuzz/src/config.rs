//! `stheno.toml`.

use std::path::Path;

use stheno_config::Config;

pub(crate) fn parse(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let env = |name: &str| (name == "SET").then(|| "value".to_owned());
    let Err(error) = Config::parse(text, "stheno.toml", Path::new("/"), &env) else { return };
    let lines: Vec<&str> = text.split('\n').collect();
    let problems = error.problems();
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(!problem.message.is_empty() && !problem.help.is_empty(), "{problem:?}");
        let Some(line) = problem.line else { continue };
        let there = lines.get(line - 1).unwrap_or_else(|| panic!("{problem:?} in {text:?}"));
        // One beyond the last character is where something is missing.
        let column = problem.column.unwrap();
        assert!((1..=there.chars().count() + 1).contains(&column), "{problem:?} in {text:?}");
    }
    // A person sees it with its source.
    assert!(!format!("{error:?}").is_empty());
}
