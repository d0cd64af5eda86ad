//! Statements through `grants.sql`.

use stheno_capabilities::fuzzing;
use stheno_config::{SqlServerAddress, SqlUrl};

/// Words that may stand nowhere in a statement that is sent.
const NOWHERE: &[&str] = &[
    "pg_catalog",
    "pg_class",
    "pg_read_file",
    "pg_sleep",
    "information_schema",
    "regclass",
    "_regclass",
    "regdatabase",
    "aclitem",
];
/// Functions that reach further. A column may have such a name.
const CALLED: &[&str] = &["set_config", "current_setting", "dblink", "lo_import", "query_to_xml"];
/// Words that no table is called and that end a list of tables.
const ENDS: &[&str] = &[
    "select",
    "where",
    "group",
    "having",
    "window",
    "union",
    "intersect",
    "except",
    "order",
    "limit",
    "returning",
    "on",
    "set",
    "offset",
    "fetch",
    "for",
    "values",
    "natural",
    "cross",
    "inner",
    "left",
    "right",
    "full",
    "join",
    "by",
    "and",
    "or",
    "not",
    "in",
    "is",
    "when",
    "then",
    "else",
    "end",
    "case",
];
const FIRST: &[&str] = &["select", "values", "insert", "update", "delete", "with"];

pub(crate) fn statement(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if !fuzzing::sql_statement(text) {
        return;
    }
    // Texts, quoted names and comments hide words: what has none of their signs can
    // be read without knowing how those are.
    if text.contains(['\'', '"', '$']) || text.contains("--") || text.contains("/*") {
        return;
    }
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c| !part(c)).filter(|word| !word.is_empty()).collect();
    assert!(FIRST.contains(&words[0]), "{text:?} is sent");
    for word in &words {
        assert!(!NOWHERE.contains(word), "{text:?} is sent with {word}");
    }
    for name in CALLED {
        // Behind `AS` and before columns it is an alias.
        let mut calls = places(&lower, name).filter(|(before, after)| {
            after.trim_start().starts_with('(')
                && !places(before.trim_end(), "as").any(|(_, it)| it.is_empty())
        });
        assert!(calls.next().is_none(), "{text:?} is sent, which calls {name}");
    }
    let count = |word: &str| words.iter().filter(|it| **it == word).count();
    // Beside a dot and behind `AS` it is a name.
    let is_name =
        |before: &str| before.ends_with('.') || places(before, "as").any(|(_, it)| it.is_empty());
    let keyword = |(before, after): &(&str, &str)| {
        !is_name(before.trim_end()) && !after.trim_start().starts_with('.')
    };
    let into = places(&lower, "into").filter(keyword).count();
    assert!(into <= count("insert"), "{text:?} is sent");
    // The corpus calls another schema so. As a table of this one it may have columns.
    for (before, after) in places(&lower, "elsewhere") {
        let dot = after.trim_start().starts_with('.');
        assert!(!(dot && names_a_table(before)), "{text:?} is sent");
    }
    let end = lower.trim_end_matches(|c: char| c.is_ascii_whitespace() || c == ';');
    assert!(!end.contains(';'), "{text:?} is more than one statement");
}

/// Whether a name may have it within.
fn part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || !c.is_ascii()
}

/// What stands before and behind a word, wherever it is one.
fn places<'t>(text: &'t str, word: &str) -> impl Iterator<Item = (&'t str, &'t str)> {
    let around = text.match_indices(word).map(|(at, word)| (&text[..at], &text[at + word.len()..]));
    around.filter(|(before, after)| !before.ends_with(part) && !after.starts_with(part))
}

/// Whether what stands behind this is a table, a type or a collation. Says no where
/// that takes more than reading back.
fn names_a_table(before: &str) -> bool {
    let spaced = ["(", ",", ".", "::"]
        .iter()
        .fold(before.to_owned(), |text, sign| text.replace(sign, &format!(" {sign} ")));
    let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
    let (last, rest) = match words.split_last() {
        Some((&("only" | "lateral"), rest)) => match rest.split_last() {
            Some((last, rest)) => (*last, rest),
            None => return false,
        },
        Some((last, rest)) => (*last, rest),
        None => return false,
    };
    if rest.last() == Some(&".") {
        return false;
    }
    match last {
        "join" | "into" | "update" | "using" | "table" | "as" | "::" | "collate" => true,
        "from" => begins_tables(rest),
        // Further along a list of tables.
        "," => {
            let name = |word: &&str| {
                *word == "," || word.chars().all(|c| c.is_ascii_lowercase()) && !ENDS.contains(word)
            };
            let from = rest.iter().rposition(|word| !name(word) || *word == "from");
            from.is_some_and(|at| rest[at] == "from" && begins_tables(&rest[..at]))
        }
        _ => false,
    }
}

/// Whether `FROM` behind these is that of a statement.
fn begins_tables(before: &[&str]) -> bool {
    let compares = matches!(before, [.., "is", "distinct"] | [.., "is", "not", "distinct"]);
    let open = before.iter().rposition(|word| *word == "(");
    let of_function = open.and_then(|at| at.checked_sub(1)).is_some_and(|at| {
        ["extract", "substring", "trim", "overlay"].iter().any(|name| before[at].ends_with(name))
    });
    !compares && !of_function
}

pub(crate) fn url(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(url) = SqlUrl::new(text) else { return };
    let (shown, debug) = (url.to_string(), format!("{url:?}"));
    let server = shown.strip_suffix(url.database()).unwrap();
    // The path of a socket may have one.
    if let SqlServerAddress::Tcp { .. } = url.server() {
        assert!(!server.contains('@'), "{shown:?}");
    }
    // Whatever the password, the same is shown.
    let (credentials, place) = text.rsplit_once('@').unwrap();
    let Some((user, _)) = credentials.split_once("://").and_then(|(_, it)| it.split_once(':'))
    else {
        return;
    };
    let other = SqlUrl::new(&format!("postgres://{user}:another@{place}")).unwrap();
    assert_eq!((shown, debug), (other.to_string(), format!("{other:?}")), "{text:?}");
}
