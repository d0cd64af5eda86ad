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
    "aclitem",
    "unlogged",
];
/// Functions that reach further. A column may have such a name.
const CALLED: &[&str] = &["set_config", "current_setting", "dblink", "lo_import", "query_to_xml"];
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
    let part = |c: char| c.is_alphanumeric() || c == '_' || !c.is_ascii();
    let words: Vec<&str> = lower.split(|c| !part(c)).filter(|word| !word.is_empty()).collect();
    assert!(FIRST.contains(&words[0]), "{text:?} is sent");
    for word in &words {
        assert!(!NOWHERE.contains(word), "{text:?} is sent with {word}");
    }
    let close: String = lower.split_ascii_whitespace().collect();
    for name in CALLED {
        let calls = format!("{name}(");
        assert!(!close.contains(&calls), "{text:?} is sent, which calls {name}");
    }
    let count = |word: &str| words.iter().filter(|it| **it == word).count();
    assert!(count("into") <= count("insert"), "{text:?} is sent");
    // The corpus calls another schema so. Before a dot it may be a table of this one
    // only where something is given that name.
    let dotted = close.matches("elsewhere.").count();
    assert!(dotted == 0 || count("elsewhere") > dotted, "{text:?} is sent");
    let end = lower.trim_end_matches(|c: char| c.is_ascii_whitespace() || c == ';');
    assert!(!end.contains(';'), "{text:?} is more than one statement");
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
    let Some(password) = url.password().map(|password| password.expose_secret()) else { return };
    // One that is short stands somewhere by chance.
    if password.len() > 12 && !url.database().contains(password) && !url.user().contains(password) {
        assert!(!shown.contains(password), "{shown:?}");
        assert!(!debug.contains(password), "{debug:?}");
    }
}
