//! From the text of a statement to its tokens, as the server cuts it.
//!
//! What the server could cut in another way is an error and not guessed: strings
//! beside strings (which it joins), Unicode escapes, numbers with letters at their
//! end, names so long that it would shorten them, characters that belong to no
//! token. The session sets `standard_conforming_strings`, so a backslash is
//! nothing special but in `E'...'`.

use stheno_contracts::Error;

/// The longest name; the server cuts off what is beyond.
const MAX_NAME_BYTES: usize = 63;

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword or a name without quotes, in lower case as the server takes it.
    Word(String),
    /// A name in quotes, without them.
    Quoted(String),
    /// A string of any kind; what is in it is nobody's business.
    Text,
    /// A number, or a parameter such as `$1`.
    Number(&'a str),
    /// One character of an operator, or a bracket, comma or dot.
    Sign(char),
}

impl Token<'_> {
    /// Whether it is this keyword.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(it) if it == word)
    }

    pub(super) fn is_sign(&self, sign: char) -> bool {
        *self == Self::Sign(sign)
    }

    /// The name that it may be.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Word(name) | Self::Quoted(name) => Some(name),
            _ => None,
        }
    }
}

/// Cuts a statement. One `;` at its end is left out.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Error> {
    // The protocol ends a text with it.
    if text.contains('\0') {
        return Err(invalid("the statement has a zero byte"));
    }
    let mut cutter = Cutter { rest: text };
    let mut tokens = Vec::new();
    loop {
        cutter.skip_blank()?;
        let Some(first) = cutter.rest.chars().next() else {
            return Ok(tokens);
        };
        if first == ';' {
            cutter.advance(1);
            cutter.skip_blank()?;
            return match cutter.rest.is_empty() {
                true => Ok(tokens),
                false => Err(Error::Denied("a call has one statement; this has more".into())),
            };
        }
        let token = cutter.token(first)?;
        if token == Token::Text && tokens.last() == Some(&Token::Text) {
            return Err(invalid("two strings stand beside each other; write ||"));
        }
        tokens.push(token);
    }
}

struct Cutter<'a> {
    rest: &'a str,
}

impl<'a> Cutter<'a> {
    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Takes what stands before `bytes`.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|it| !is(it)).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// White space and comments.
    fn skip_blank(&mut self) -> Result<(), Error> {
        loop {
            self.take_while(|it| matches!(it, ' ' | '\t' | '\n' | '\r' | '\x0c'));
            if self.rest.starts_with("--") {
                self.take_while(|it| it != '\n' && it != '\r');
            } else if self.rest.starts_with("/*") {
                self.skip_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    /// A comment, and those within it.
    fn skip_comment(&mut self) -> Result<(), Error> {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.advance(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.advance(2);
                if depth == 0 {
                    return Ok(());
                }
            } else {
                let next = self.rest.chars().next();
                self.advance(next.ok_or_else(|| invalid("a comment has no end"))?.len_utf8());
            }
        }
    }

    fn token(&mut self, first: char) -> Result<Token<'a>, Error> {
        match first {
            '\'' => self.string(false),
            '"' => self.quoted(),
            '$' => self.dollar(),
            '0'..='9' => self.number(),
            // A number may begin with its point.
            '.' if self.rest.chars().nth(1).is_some_and(|it| it.is_ascii_digit()) => self.number(),
            _ if begins_name(first) => self.word(),
            '(' | ')' | '[' | ']' | ',' | '.' | ':' | '+' | '-' | '*' | '/' | '<' | '>' | '='
            | '~' | '!' | '@' | '#' | '%' | '^' | '&' | '|' | '`' | '?' => {
                self.advance(1);
                Ok(Token::Sign(first))
            }
            _ => Err(invalid(format!("{first:?} belongs to no statement"))),
        }
    }

    fn word(&mut self) -> Result<Token<'a>, Error> {
        let word = self.take_while(continues_name);
        match (word, self.rest.chars().next()) {
            ("e" | "E", Some('\'')) => return self.string(true),
            ("b" | "B" | "x" | "X" | "n" | "N", Some('\'')) => return self.string(false),
            ("u" | "U", Some('&')) if matches!(self.rest.chars().nth(1), Some('\'' | '"')) => {
                return Err(Error::Denied(
                    "U& hides characters behind escapes; write them as they are".into(),
                ));
            }
            _ => {}
        }
        short(word)?;
        Ok(Token::Word(word.to_ascii_lowercase()))
    }

    /// Up to the quote that ends it; a doubled one does not.
    fn string(&mut self, escapes: bool) -> Result<Token<'a>, Error> {
        self.advance(1);
        loop {
            let at = self.rest.find(['\'', '\\']);
            let Some((at, found)) = at.and_then(|at| Some((at, self.rest.get(at..)?))) else {
                return Err(invalid("a string has no end"));
            };
            self.advance(at + 1);
            if found.starts_with('\\') {
                if escapes {
                    let next = self.rest.chars().next();
                    self.advance(next.ok_or_else(|| invalid("a string has no end"))?.len_utf8());
                }
            } else if self.rest.starts_with('\'') {
                self.advance(1);
            } else {
                return Ok(Token::Text);
            }
        }
    }

    fn quoted(&mut self) -> Result<Token<'a>, Error> {
        self.advance(1);
        let mut name = String::new();
        loop {
            let part = self.take_while(|it| it != '"');
            name.push_str(part);
            if !self.rest.starts_with('"') {
                return Err(invalid("a name in quotes has no end"));
            }
            self.advance(1);
            if !self.rest.starts_with('"') {
                break;
            }
            self.advance(1);
            name.push('"');
        }
        if name.is_empty() {
            return Err(invalid("a name in quotes is empty"));
        }
        short(&name)?;
        Ok(Token::Quoted(name))
    }

    /// `$1`, or a string between `$tag$` and `$tag$`.
    fn dollar(&mut self) -> Result<Token<'a>, Error> {
        let after = self.rest.get(1..).unwrap_or_default();
        let digits = after.find(|it: char| !it.is_ascii_digit()).unwrap_or(after.len());
        if digits > 0 {
            let parameter = self.take(1 + digits);
            return self.ended(Token::Number(parameter));
        }
        let tag = after.find(|it: char| !continues_name(it) || it == '$').unwrap_or(after.len());
        if !after.get(tag..).is_some_and(|rest| rest.starts_with('$')) {
            return Err(invalid("a $ begins neither a parameter nor a string"));
        }
        let mark = self.take(tag + 2);
        let end = self.rest.find(mark).ok_or_else(|| invalid("a string has no end"))?;
        self.advance(end);
        self.advance(mark.len());
        Ok(Token::Text)
    }

    /// Digits, with a point and an exponent. What the server knows beyond that
    /// (hexadecimal, underscores) depends on its version.
    fn number(&mut self) -> Result<Token<'a>, Error> {
        let bytes = self.rest.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = end + 1 + sign;
            if digits(exponent) == exponent {
                return Err(invalid("a number has an exponent without digits"));
            }
            end = digits(exponent);
        }
        let number = self.take(end);
        self.ended(Token::Number(number))
    }

    /// A token after which no letter may stand.
    fn ended(&self, token: Token<'a>) -> Result<Token<'a>, Error> {
        if self.rest.starts_with(continues_name) {
            return Err(invalid("a number or parameter has letters at its end"));
        }
        Ok(token)
    }
}

fn begins_name(it: char) -> bool {
    it.is_ascii_alphabetic() || it == '_' || !it.is_ascii()
}

fn continues_name(it: char) -> bool {
    begins_name(it) || it.is_ascii_digit() || it == '$'
}

fn short(name: &str) -> Result<(), Error> {
    if name.len() > MAX_NAME_BYTES {
        return Err(invalid(format!("a name has {} bytes, at most {MAX_NAME_BYTES}", name.len())));
    }
    Ok(())
}

fn invalid(text: impl Into<String>) -> Error {
    Error::InvalidArgument(text.into())
}
