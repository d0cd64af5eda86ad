//! Hides what looks secret in the text that errors show.
//!
//! An error shows the line of the mistake and its neighbours, and error
//! output ends up in logs and tickets. A secret belongs in a variable
//! (`"${STHENO_TOKEN}"`), but some will be written out; so the value of every
//! key that sounds secret is covered before anything else sees the text. The
//! lengths stay, so that spans stay right.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::interpolate::is_one_variable;

const SECRET_WORDS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "api_key",
    "apikey",
    "api-key",
    "private_key",
];

/// Whether a key of this name probably holds a secret. `tokn` does too: a
/// misspelled key is just what an error shows.
fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS
        .iter()
        .any(|word| key.contains(word) || strsim::damerau_levenshtein(&key, word) <= 1)
}

/// The text with every secret value covered by asterisks and what looks like them. `broken` says that
/// the text is not whole TOML: then lines are covered as well, since the tree
/// may lack the value.
pub(crate) fn masked(text: &str, tree: &DeTable<'_>, broken: bool) -> String {
    let mut spans = Vec::new();
    in_table(tree, &mut spans);
    in_urls(text, &mut spans);
    if broken {
        in_lines(text, &mut spans);
    }
    spans.sort_by_key(|span| span.start);
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for span in spans {
        let start = span.start.max(done);
        let (Some(before), Some(secret)) = (text.get(done..start), text.get(start..span.end))
        else {
            continue;
        };
        shown.push_str(before);
        for c in secret.chars() {
            match c {
                '\n' | '\r' => shown.push(c),
                _ => shown.push(cover(c)),
            }
        }
        done = span.end;
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    shown
}

/// As long as `c`, so that neither spans nor columns move.
fn cover(c: char) -> char {
    match c.len_utf8() {
        1 => '*',
        2 => '\u{d7}',
        3 => '\u{2217}',
        _ => '\u{1f7b1}',
    }
}

fn in_table(table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let secret = sounds_secret(key.get_ref());
        in_value(value.get_ref(), value.span(), secret, spans);
    }
}

fn in_value(value: &DeValue<'_>, span: Range<usize>, secret: bool, spans: &mut Vec<Range<usize>>) {
    match value {
        // `secrets = { authorization = "..." }`
        DeValue::Table(table) => {
            for (key, value) in table {
                let secret = secret || sounds_secret(key.get_ref());
                in_value(value.get_ref(), value.span(), secret, spans);
            }
        }
        DeValue::Array(array) => {
            for element in array {
                in_value(element.get_ref(), element.span(), secret, spans);
            }
        }
        DeValue::String(string) if secret && !is_one_variable(string) => spans.push(span),
        DeValue::Integer(_) | DeValue::Float(_) if secret => spans.push(span),
        _ => {}
    }
}

/// Users and passwords of URLs that are written out, whatever their keys.
fn in_urls(text: &str, spans: &mut Vec<Range<usize>>) {
    for (at, separator) in text.match_indices("://") {
        let start = at + separator.len();
        let rest = text.get(start..).unwrap_or_default();
        let url = rest.split(['"', '\'', ' ', '\t', '\r', '\n']).next().unwrap_or_default();
        if let Some((credentials, _)) = url.rsplit_once('@')
            && !is_one_variable(credentials)
        {
            spans.push(start..start + credentials.len());
        }
    }
}

fn in_lines(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let secret = line.match_indices('=').find(|(equals, _)| {
            let key = line.get(..*equals).and_then(|before| before.rsplit(['{', ',', '[']).next());
            key.is_some_and(|key| key.split('.').any(|part| sounds_secret(part.trim())))
        });
        if let Some((equals, _)) = secret {
            spans.push(start + equals + 1..start + line.len());
        }
        start += line.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        let (tree, errors) = DeTable::parse_recoverable(text);
        masked(text, tree.get_ref(), !errors.is_empty())
    }

    #[test]
    fn secrets_are_covered_and_nothing_else_moves() {
        let text = "[server]\nlisten = \"0.0.0.0:1\"\ntokn = \"pä語🦀word\" # why\n[modules.cache]\noptions = { api_key = \"k\", ttl = \"1s\", passwords = [\"p\", 7] }\n";
        let shown = mask(text);
        assert_eq!(
            shown,
            "[server]\nlisten = \"0.0.0.0:1\"\ntokn = **×∗🞱***** # why\n[modules.cache]\noptions = { api_key = ***, ttl = \"1s\", passwords = [***, *] }\n"
        );
        assert_eq!(shown.len(), text.len());
        assert_eq!(shown.chars().count(), text.chars().count());
    }

    #[test]
    fn all_that_is_below_a_secret_key_is_covered() {
        let text = "http = [{ host = \"a\", secrets = { authorization = \"hunter2\", k = { query = \"q\", value = \"hunter2\" } } }]";
        let shown = mask(text);
        assert!(shown.contains("host = \"a\"") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_variable_is_no_secret() {
        let text = "token = \"${STHENO_TOKEN}\"\n";
        assert_eq!(mask(text), text);
    }

    #[test]
    fn the_password_within_a_url_is_covered() {
        for text in [
            "url = \"redis://app:hunter2@host/1\"",
            "url = \"redis://:hunter2@host\"\nprefix = 'x'",
            "urls = [\"redis://hunter2@host\"]",
            "url = \"redis://app:hunt@hunter2@host",
            "url = redis://app:hunter2@host",
            "url = \"postgres://app:hunter2@host/shop?sslmode=disable\"",
        ] {
            let shown = mask(text);
            assert!(!shown.contains("hunter2") && shown.contains("@host"), "{shown}");
        }
        let open = "url = \"redis://host:6379/a@b\"";
        assert!(mask(open).contains("redis://"));
    }

    #[test]
    fn a_broken_secret_is_covered_too() {
        for text in [
            "token = \"hunter2",
            "token = hunter2\nx = 1",
            "server.token = 'hunter2\n",
            // The tree holds one of the two.
            "token = \"hunter2\"\ntoken = \"hunter2\"\n",
            "token = \"\"\"\nhunter2",
            "http = [{ host = \"a\", secrets = { authorization = \"hunter2\" }",
        ] {
            assert!(!mask(text).contains("hunter2"), "{}", mask(text));
        }
    }
}
