//! `${VAR}` in string values.
//!
//! It runs on decoded strings and not on the file's text: a variable's value
//! can then neither add keys nor break quoting, and the spans of the file
//! stay right.

use thiserror::Error;

/// What looks up a variable: `None` if it is not set.
///
/// A parameter, so that tests and embedders need not touch the process's own
/// environment; [`process_env`] reads that.
pub type Env<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// The process's own environment. A value that is not UTF-8 counts as unset.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Why a string cannot be filled in. Holds names, never values.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum InterpolateError {
    #[error("the variable `{0}` is not set")]
    Unset(String),
    #[error("`${{` has no `}}` after it")]
    Unclosed,
    #[error("`${{{0}}}` does not name a variable")]
    BadName(String),
    #[error("the default of `{0}` holds another `${{`")]
    Nested(String),
}

impl InterpolateError {
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Unset(name) => format!(
                "set it (`export {name}=...`), or give a default: \"${{{name}:-default}}\""
            ),
            Self::Unclosed => {
                "write \"${NAME}\" or \"${NAME:-default}\"; a literal `${` is written `$${`".to_owned()
            }
            Self::BadName(_) => "a name has letters, digits and `_`, as in \"${NAME}\" or \"${NAME:-default}\"; a literal `${` is written `$${`".to_owned(),
            Self::Nested(_) => "write plain text as the default; one variable cannot stand in for another".to_owned(),
        }
    }
}

/// A piece of a string.
enum Piece<'t> {
    Text(&'t str),
    Variable { name: &'t str, default: Option<&'t str> },
}

/// Fills in the variables of `text`; `None` if it has none and no escapes.
///
/// As in a shell, a variable that is set but empty takes its default.
pub(crate) fn interpolate(text: &str, env: &Env<'_>) -> Result<Option<String>, InterpolateError> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece? {
            Piece::Text(text) => filled.push_str(text),
            Piece::Variable { name, default } => match (env(name), default) {
                (Some(value), None) => filled.push_str(&value),
                (Some(value), Some(_)) if !value.is_empty() => filled.push_str(&value),
                (_, Some(default)) => filled.push_str(default),
                (None, None) => return Err(InterpolateError::Unset(name.to_owned())),
            },
        }
    }
    Ok(Some(filled))
}

/// The values of the variables in `text` that are set.
pub(crate) fn values(text: &str, env: &Env<'_>) -> Vec<String> {
    let value = |piece| match piece {
        Ok(Piece::Variable { name, .. }) => env(name),
        _ => None,
    };
    pieces(text).filter_map(value).collect()
}

/// Whether `text` is one variable without a default and nothing beside it.
pub(crate) fn is_one_variable(text: &str) -> bool {
    let mut pieces = pieces(text);
    matches!(
        (pieces.next(), pieces.next()),
        (Some(Ok(Piece::Variable { default: None, .. })), None)
    )
}

fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, InterpolateError>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = match next_piece(rest) {
            Ok((piece, after)) => (Ok(piece), after),
            Err(error) => (Err(error), ""),
        };
        rest = after;
        Some(piece)
    })
}

/// The first piece of `text`, which is not empty, and what follows it.
fn next_piece(text: &str) -> Result<(Piece<'_>, &str), InterpolateError> {
    if let Some(after) = text.strip_prefix("$${") {
        return Ok((Piece::Text("${"), after));
    }
    if let Some(after) = text.strip_prefix("${") {
        let (inside, after) = after.split_once('}').ok_or(InterpolateError::Unclosed)?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_name(name) {
            return Err(InterpolateError::BadName(inside.to_owned()));
        }
        if default.is_some_and(|default| default.contains("${")) {
            return Err(InterpolateError::Nested(name.to_owned()));
        }
        return Ok((Piece::Variable { name, default }, after));
    }
    // Plain text up to the next `${`, or to the `$${` that it is part of.
    let end = match text.find("${") {
        Some(at) if at > 0 && text.get(at - 1..at) == Some("$") => at - 1,
        Some(at) => at,
        None => text.len(),
    };
    let (plain, after) = text.split_at(end);
    Ok((Piece::Text(plain), after))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".to_owned()),
            "_b2" => Some("${A}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_defaults_and_escapes_are_filled_in() {
        for (text, filled) in [
            ("x${A}y", "xalphay"),
            ("${A}${A}", "alphaalpha"),
            ("${NO:-d e:f-}", "d e:f-"),
            ("${NO:-}", ""),
            ("${A:-d}", "alpha"),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("a$$ $${ ${A}", "a$$ ${ alpha"),
            // A value is not read again.
            ("${_b2}", "${A}"),
        ] {
            assert_eq!(interpolate(text, &env), Ok(Some(filled.to_owned())), "{text}");
        }
        for text in ["", "plain", "$A", "$", "$$", "}{", "ü$"] {
            assert_eq!(interpolate(text, &env), Ok(None), "{text}");
        }
    }

    #[test]
    fn malformed_variables_are_errors() {
        for (text, error) in [
            ("${NO}", InterpolateError::Unset("NO".into())),
            ("a${A", InterpolateError::Unclosed),
            ("${", InterpolateError::Unclosed),
            ("${}", InterpolateError::BadName(String::new())),
            ("${A-d}", InterpolateError::BadName("A-d".into())),
            ("${1A}", InterpolateError::BadName("1A".into())),
            ("${ A }", InterpolateError::BadName(" A ".into())),
            ("${NO:-${A}}", InterpolateError::Nested("NO".into())),
        ] {
            assert_eq!(interpolate(text, &env), Err(error), "{text}");
        }
    }

    #[test]
    fn only_a_bare_variable_is_one_variable() {
        assert!(is_one_variable("${A}"));
        for text in ["", "A", "${A}x", "x${A}", "${A:-d}", "$${A}", "${A}${A}", "${"] {
            assert!(!is_one_variable(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn escaped_text_comes_back_as_it_was(text in "[${}A:ü-]{0,40}") {
            // Doubling the `$` of every `${` is all that it takes.
            let filled = interpolate(&text.replace("${", "$${"), &env);
            match filled {
                Ok(filled) => prop_assert_eq!(filled.unwrap_or_else(|| text.clone()), text),
                Err(error) => prop_assert!(false, "{:?}: {}", text, error),
            }
        }

        #[test]
        fn no_text_panics_interpolation(text in "[$ {}:A-]{0,20}|\\PC*") {
            let _ = interpolate(&text, &env);
            let _ = is_one_variable(&text);
        }
    }
}
