//! From the text of a statement to one that may be sent.
//!
//! Not a parser of SQL: the server has that. What is decided here needs tokens and
//! little more, and errs on the side of refusal:
//!
//! - the statement begins with a word that is listed;
//! - a bracket follows only words that are listed, so nothing else is called, or the
//!   name of something with columns, in the few places where one stands;
//! - some names may stand nowhere;
//! - a name with a dot is a column of a table, and never stands where a table, a
//!   type or a function does, so no table of another schema can be named.
//!
//! What makes the schema is held to rules of its own ([`super::making`]).
//!
//! What stands where is told by the words before it. Words that end a list of
//! tables here are reserved in PostgreSQL, so they are never names there; behind a dot
//! or `AS`, where any word may be a name, each is taken for one.

use stheno_contracts::Error;

use super::making::{columns_at, making};
use super::tokens::{Token, tokens};
use super::words;

/// What a statement may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    /// Read and change rows.
    UseRows,
    /// Make the schema as well.
    MakeSchema,
}

/// Decides about one statement.
pub(super) fn admit(text: &str, may: May) -> Result<(), Error> {
    let mut tokens = tokens(text)?;
    let schema = begins(&tokens, may)?;
    names(&tokens)?;
    if !schema {
        name_what_must_be_a_name(&mut tokens);
    }
    brackets(&tokens, schema)?;
    if schema { making(&tokens) } else { dots(&tokens) }
}

/// Behind a dot and behind `AS` no word is a keyword, whatever it reads like.
fn name_what_must_be_a_name(tokens: &mut [Token<'_>]) {
    let mut named = false;
    for token in tokens {
        match token {
            // `CAST(x AS SETOF type)` is one of those that are denied.
            Token::Word(name) if named && name != "setof" => {
                *token = Token::Quoted(std::mem::take(name));
            }
            _ => {}
        }
        named = token.is_sign('.') || token.is("as");
    }
}

/// Whether the statement makes the schema.
fn begins(tokens: &[Token<'_>], may: May) -> Result<bool, Error> {
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    if tokens.is_empty() {
        return Err(invalid("the statement is empty"));
    }
    if ["select", "values", "insert", "update", "delete", "with"].contains(&word(0)) {
        return Ok(false);
    }
    let makes = matches!(
        (word(0), word(1), word(2)),
        ("create" | "alter" | "drop", "table" | "index" | "sequence", _)
            | ("create", "unlogged", "table")
            | ("create", "unique", "index")
    );
    match (makes, may) {
        (true, May::MakeSchema) => Ok(true),
        (true, May::UseRows) => Err(denied(format!(
            "{} {} makes the schema: that is for migrations",
            word(0).to_ascii_uppercase(),
            word(1).to_ascii_uppercase()
        ))),
        (false, May::UseRows) => {
            Err(denied("a statement begins with SELECT, VALUES, INSERT, UPDATE, DELETE or WITH"))
        }
        (false, May::MakeSchema) => Err(denied(
            "a migration has CREATE, ALTER or DROP of a TABLE, INDEX or SEQUENCE, or a statement \
             on rows",
        )),
    }
}

fn names(tokens: &[Token<'_>]) -> Result<(), Error> {
    for (at, token) in tokens.iter().enumerate() {
        let (name, quoted) = match token {
            Token::Word(name) => (name, false),
            Token::Quoted(name) => (name, true),
            _ => continue,
        };
        if let Some(why) = words::refused(name, quoted, is_type(tokens, at)) {
            return Err(denied(format!("{name:?} {why}")));
        }
    }
    Ok(())
}

/// Whether the name is that of a type, behind `::`, before a string or in a `CAST`.
fn is_type(tokens: &[Token<'_>], at: usize) -> bool {
    let in_cast = || opening(tokens, at).is_some_and(|open| is_before(tokens, open, 1, &["cast"]));
    before(tokens, at, 1).is_some_and(|token| token.is_sign(':'))
        || tokens.get(at + 1) == Some(&Token::Text)
        || is_before(tokens, at, 1, &["as"]) && in_cast()
}

/// What stands before each bracket.
fn brackets(tokens: &[Token<'_>], schema: bool) -> Result<(), Error> {
    let own = if schema { columns_at(tokens) } else { None };
    for (at, token) in tokens.iter().enumerate() {
        if !token.is_sign('(') {
            continue;
        }
        let Some(caller) = before(tokens, at, 1) else { continue };
        let Some(name) = caller.name() else { continue };
        // The columns of a table, or of an alias.
        let columns = match schema {
            true => own == Some(at) || is_before(tokens, at, 2, &["references"]),
            false => is_before(tokens, at, 2, &["into", "as"]),
        };
        let dotted = before(tokens, at, 2).is_some_and(|token| token.is_sign('.'));
        let listed =
            matches!(caller, Token::Word(_)) && !dotted && words::takes_bracket(name, schema);
        // Behind a function it names its columns, whatever it is called.
        let alias = !schema && ends_function(tokens, at - 1) && !words::goes_on(name);
        if !columns && (!listed || alias) {
            return Err(denied(format!(
                "{name:?} is not among the functions that are known as harmless; an alias with \
                 columns is written with AS"
            )));
        }
    }
    Ok(())
}

/// Whether what stands before may be a function among the tables, so that an alias may
/// follow, without `AS` and with the types of its columns.
fn ends_function(tokens: &[Token<'_>], at: usize) -> bool {
    let Some(end) = at.checked_sub(1) else { return false };
    if is_before(tokens, at, 1, &["ordinality"]) {
        return true;
    }
    // `DISTINCT ON (expressions)` has the first column behind it.
    let distinct = || {
        opening(tokens, end).is_some_and(|open| {
            is_before(tokens, open, 1, &["on"]) && is_before(tokens, open, 2, &["distinct"])
        })
    };
    tokens.get(end).is_some_and(|token| token.is_sign(')')) && !distinct()
}

/// One level of brackets.
#[derive(Default)]
struct Level {
    /// It ends with this sign.
    end: char,
    /// A list of tables is under way.
    tables: bool,
    /// The next name is that of a table.
    table: bool,
    /// `FROM` is part of a function here, such as `extract(day FROM column)`.
    from_of_function: bool,
    /// It has begun to be a statement: what it does has been said.
    begun: bool,
    /// That is `INSERT`, and its `INTO` is to come.
    inserts: bool,
    /// It is a list of columns with their types.
    columns: bool,
}

/// Where names with a dot stand.
fn dots(tokens: &[Token<'_>]) -> Result<(), Error> {
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign(open @ ('(' | '[')) => {
                let of = |words: &[&str]| is_before(tokens, at, 1, words);
                let inner = Level {
                    end: if *open == '(' { ')' } else { ']' },
                    tables: false,
                    table: level.table,
                    from_of_function: of(&["extract", "substring", "trim", "overlay"]),
                    columns: level.columns || lists_columns(tokens, at),
                    ..Level::default()
                };
                level.table = false;
                outer.push(std::mem::replace(&mut level, inner));
            }
            Token::Sign(close @ (')' | ']')) => {
                let around = outer.pop().filter(|_| level.end == *close);
                level = around.ok_or_else(|| invalid("the brackets do not match"))?;
            }
            Token::Sign(',') => level.table = level.tables,
            Token::Word(_) | Token::Quoted(_) if after_dot(tokens, at) => {}
            Token::Word(_) | Token::Quoted(_) if follows(tokens, at, '.') => {
                dotted(tokens, at, &level)?;
                level.table = false;
            }
            Token::Word(word) => keyword(tokens, at, word, &mut level)?,
            _ => level.table = false,
        }
    }
    if outer.is_empty() { Ok(()) } else { Err(invalid("the brackets do not match")) }
}

/// Whether the bracket may hold columns with their types: it stands behind `AS`, or
/// behind an alias, and begins with a name and a name. What tells a statement or a
/// window has a word there that is neither a column nor a type.
fn lists_columns(tokens: &[Token<'_>], at: usize) -> bool {
    let as_at = |back| is_before(tokens, at, back, &["as"]);
    let alias = at > 0 && ends_function(tokens, at - 1) && is_before(tokens, at, 1, words::ALIASES);
    let named = |after: usize| tokens.get(at + after).is_some_and(|it| it.name().is_some());
    if !(as_at(1) || as_at(2) || alias) || !(named(1) && named(2)) {
        return false;
    }
    let word = |after: usize| match tokens.get(at + after) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    let otherwise = match (word(1), word(2)) {
        ("select" | "with" | "table" | "where" | "order", _) | (_, "order") => true,
        ("insert", "into") | ("delete", "from") => true,
        ("update", _) => ["set", "as"].contains(&word(3)),
        ("partition", "by") => match tokens.get(at + 3) {
            // It is a column of the type `by`.
            None | Some(Token::Sign('.' | '[' | ',' | ')')) => false,
            // It may be one, with what limits it; there is no such type.
            Some(Token::Sign('(')) => alias,
            Some(next) => !(next.is("array") || next.is("collate")),
        },
        _ => false,
    };
    !otherwise
}

fn keyword(tokens: &[Token<'_>], at: usize, word: &str, level: &mut Level) -> Result<(), Error> {
    let is = |back: usize, words: &[&str]| is_before(tokens, at, back, words);
    match word {
        "from" => {
            let compares =
                is(1, &["distinct"]) && (is(2, &["is"]) || is(2, &["not"]) && is(3, &["is"]));
            level.table = !compares && !level.from_of_function;
            level.tables |= level.table;
        }
        "using" => (level.table, level.tables) = (true, true),
        "insert" => {
            // Once the statement has begun it is somebody's name.
            (level.inserts, level.begun) = (!level.begun, true);
            level.table = false;
        }
        "into" => {
            if !(std::mem::take(&mut level.inserts) && is(1, &["insert"])) {
                return Err(denied("INTO stands behind INSERT and nowhere else"));
            }
            level.table = true;
        }
        "update" | "table" => (level.table, level.begun) = (true, true),
        "values" | "delete" => (level.table, level.begun) = (false, true),
        "join" => level.table = true,
        "setof" => return Err(denied("SETOF has no place in a statement")),
        // Of an aggregate, within an expression.
        "group" if !tokens.get(at + 1).is_some_and(|next| next.is("by")) => level.table = false,
        // They stand between such a word and the table.
        "only" | "lateral" => {}
        "select" | "where" | "group" | "having" | "window" | "union" | "intersect" | "except"
        | "order" | "limit" | "returning" => {
            level.from_of_function &= word != "select";
            level.begun |= word == "select";
            (level.table, level.tables) = (false, false);
        }
        _ => level.table = false,
    }
    Ok(())
}

/// Decides about the name with dots that begins at `at`.
fn dotted(tokens: &[Token<'_>], at: usize, level: &Level) -> Result<(), Error> {
    let mut end = at + 1;
    let mut parts = 1;
    while tokens.get(end).is_some_and(|token| token.is_sign('.')) {
        parts += 1;
        end += 2;
    }
    let after = tokens.get(end);
    let typed = before(tokens, at, 1)
        .is_some_and(|token| token.is_sign(':') || token.is("as") || token.is("collate"))
        || after == Some(&Token::Text);
    if parts > 2 || level.table || level.columns || typed {
        return Err(denied(
            "a name has no schema before it: there is one, and a dot stands between a table and \
             its column alone",
        ));
    }
    Ok(())
}

/// The token so far before this one.
fn before<'t, 's>(tokens: &'t [Token<'s>], at: usize, back: usize) -> Option<&'t Token<'s>> {
    at.checked_sub(back).and_then(|at| tokens.get(at))
}

/// The bracket that is still open before `at`, or that the one at `at` closes.
pub(super) fn opening(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let mut within = 0_usize;
    for back in (0..at).rev() {
        match tokens.get(back) {
            Some(Token::Sign(')' | ']')) => within += 1,
            Some(Token::Sign('(' | '[')) if within == 0 => return Some(back),
            Some(Token::Sign('(' | '[')) => within -= 1,
            _ => {}
        }
    }
    None
}

/// Whether that is one of these keywords.
pub(super) fn is_before(tokens: &[Token<'_>], at: usize, back: usize, words: &[&str]) -> bool {
    before(tokens, at, back).is_some_and(|token| words.iter().any(|word| token.is(word)))
}

fn after_dot(tokens: &[Token<'_>], at: usize) -> bool {
    before(tokens, at, 1).is_some_and(|token| token.is_sign('.'))
}

fn follows(tokens: &[Token<'_>], at: usize, sign: char) -> bool {
    tokens.get(at + 1).is_some_and(|token| token.is_sign(sign))
}

pub(super) fn denied(text: impl Into<String>) -> Error {
    Error::Denied(text.into())
}

fn invalid(text: impl Into<String>) -> Error {
    Error::InvalidArgument(text.into())
}
