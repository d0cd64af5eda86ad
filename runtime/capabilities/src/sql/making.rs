//! Statements that make the schema: `CREATE`, `ALTER` and `DROP` of what is listed.
//!
//! None of them may be a query: what [`super::admit`] watches in queries (tables,
//! aliases, where a dot stands) is not watched here. PostgreSQL runs one behind
//! `CREATE TABLE name AS`, so `AS` stands only where none can follow, and the words
//! that are of queries alone stand nowhere. Elsewhere (`DEFAULT`, `CHECK`, `USING`,
//! the expressions of an index) the server takes no query by itself, and functions
//! are those of the list.

use stheno_contracts::Error;

use super::admit::{denied, is_before, opening};
use super::tokens::Token;

/// Words that are reserved in PostgreSQL and have no place where a schema is made.
const BEYOND: [&str; 10] = [
    "select",
    "into",
    "execute",
    "tablespace",
    "union",
    "intersect",
    "except",
    "join",
    "lateral",
    "returning",
];

/// What a statement that makes the schema must not have.
pub(super) fn making(tokens: &[Token<'_>]) -> Result<(), Error> {
    let sequence = is(tokens, 1, "sequence");
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1);
        let follows = |word: &str| next.is_some_and(|next| next.is(word));
        if token.is_sign('.') {
            return Err(denied("names have no schema before them: there is one"));
        }
        let Token::Word(word) = token else { continue };
        match word.as_str() {
            "owner" if follows("to") => return Err(stays()),
            "set" if follows("schema") => return Err(stays()),
            "cascade" if !of_foreign_key(tokens, at) => {
                return Err(denied(
                    "CASCADE reaches what depends on it in other schemas; drop each by its name",
                ));
            }
            "as" if !(sequence || generates(tokens, at) || casts(tokens, at)) => {
                return Err(denied(
                    "AS stands behind GENERATED, in CAST and in CREATE SEQUENCE: a table is made \
                     from its columns and filled by INSERT",
                ));
            }
            "as" if sequence && next.and_then(Token::name).is_none() => {
                return Err(denied("behind AS stands the type of the sequence"));
            }
            // `CREATE UNLOGGED TABLE` has it last.
            "table" if at > 2 => return Err(no_place(word)),
            "values" if next.is_some_and(|next| next.is_sign('(')) => return Err(no_place(word)),
            word if BEYOND.contains(&word) => return Err(no_place(word)),
            _ => {}
        }
    }
    Ok(())
}

/// The place of the bracket with the columns of the table that is made, or of the one
/// that an index is made on. Before it stands whatever they are called.
pub(super) fn columns_at(tokens: &[Token<'_>]) -> Option<usize> {
    let behind = |at: usize, words: &[&str]| {
        let all = words.iter().enumerate().all(|(after, word)| is(tokens, at + after, word));
        if all { at + words.len() } else { at }
    };
    if !is(tokens, 0, "create") {
        return None;
    }
    let made = behind(1, &["unlogged"]);
    if is(tokens, made, "table") {
        return Some(behind(made + 1, &["if", "not", "exists"]) + 1);
    }
    if !is(tokens, behind(1, &["unique"]), "index") {
        return None;
    }
    // It is reserved, and the first one is that of the table.
    let on = tokens.iter().position(|token| token.is("on"))?;
    Some(behind(on + 1, &["only"]) + 1)
}

fn is(tokens: &[Token<'_>], at: usize, word: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.is(word))
}

/// Whether the `CASCADE` is that of a foreign key. Any other takes along what depends
/// on it.
fn of_foreign_key(tokens: &[Token<'_>], at: usize) -> bool {
    is_before(tokens, at, 1, &["delete", "update"]) && is_before(tokens, at, 2, &["on"])
}

/// Whether the `AS` is that of `GENERATED ALWAYS AS (expression)` or of an identity.
/// A table may be called `always`, so the word before that counts too.
fn generates(tokens: &[Token<'_>], at: usize) -> bool {
    let before = |back: usize, word: &str| is_before(tokens, at, back, &[word]);
    let generated = before(1, "always") && before(2, "generated")
        || before(1, "default") && before(2, "by") && before(3, "generated");
    let next = tokens.get(at + 1);
    generated && next.is_some_and(|next| next.is("identity") || next.is_sign('('))
}

/// Whether the `AS` is that of a `CAST(value AS type)`.
fn casts(tokens: &[Token<'_>], at: usize) -> bool {
    opening(tokens, at).is_some_and(|open| is_before(tokens, open, 1, &["cast"]))
}

fn stays() -> Error {
    denied("what is in the schema stays in it and with its role")
}

fn no_place(word: &str) -> Error {
    denied(format!("{} has no place where a schema is made", word.to_ascii_uppercase()))
}
