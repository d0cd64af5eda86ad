//! Reaches for more of a Redis than was granted. The key of a `get` says how:
//!
//! | key | does |
//! |---|---|
//! | `open:LABEL` | opens the binding with this label |
//! | `call:WORD WORD ...` | one command |
//! | `pipeline:WORD ...\|WORD ...` | several in one call |
//! | `transaction:WORD ...\|WORD ...` | several as one |
//! | `script:SOURCE` | brings a script |
//!
//! In a word, `\xHH` is a byte and `_` a space. The value is what came of it: the
//! parts of the reply, or the error's kind and text.

use hostile_support::{Answers, export_answers};
use stheno_sdk::redis::{self, Binding, Command, Part, Replies, command};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result};

struct Attacker;

impl Lifecycle for Attacker {
    fn describe() -> Description {
        Description::new("redis-cache", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }
}

/// The bytes that a word stands for.
fn bytes(word: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let escaped = rest.strip_prefix("\\x").and_then(|hex| hex.get(..2));
        if let Some(byte) = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = rest.get(4..).unwrap_or_default();
            continue;
        }
        let plain = if first == '_' { ' ' } else { first };
        bytes.extend(plain.to_string().into_bytes());
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    bytes
}

fn parsed(words: &str) -> Command {
    let (name, rest) = words.split_once(' ').unwrap_or((words, ""));
    let name = String::from_utf8_lossy(&bytes(name)).into_owned();
    let rest = rest.split(' ').filter(|word| !word.is_empty());
    command(&name).args(rest.map(bytes))
}

fn shown(parts: &[Part]) -> String {
    let part = |part: &Part| match part {
        Part::Nil => "nil".to_owned(),
        Part::Status(text) => text.clone(),
        Part::Int(number) => number.to_string(),
        Part::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Part::Double(number) => number.to_string(),
        Part::Boolean(truth) => truth.to_string(),
        Part::Items(count) => format!("[{count}]"),
        Part::Pairs(count) => format!("{{{count}}}"),
        Part::Failed(error) => format!("{error:?}"),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(" ")
}

fn all(replies: Replies) -> String {
    let one = |reply: Result<redis::Reply>| match reply {
        Ok(reply) => shown(&reply.parts()),
        Err(error) => told(&error),
    };
    replies.map(one).collect::<Vec<_>>().join("|")
}

fn told(error: &Error) -> String {
    match error {
        Error::Denied(text) => format!("denied: {text}"),
        Error::InvalidArgument(text) => format!("invalid-argument: {text}"),
        Error::Unavailable(text) => format!("unavailable: {text}"),
        Error::Timeout(text) => format!("timeout: {text}"),
        other => format!("other: {other:?}"),
    }
}

fn default() -> Result<Binding> {
    redis::open("default")
}

fn act(key: &str) -> Result<String> {
    let (verb, object) = key.split_once(':').unwrap_or((key, ""));
    let several = || object.split('|').map(parsed).collect();
    match verb {
        "open" => redis::open(object).map(|_| "opened".to_owned()),
        "call" => default()?.run(parsed(object)).map(|reply| shown(&reply.parts())),
        "pipeline" => default()?.run_all(several()).map(all),
        "transaction" => default()?.run_as_one(&[], several()).map(all),
        "script" => default()?.load_script(object),
        _ => Err(Error::Unsupported(format!("{verb} is none of its misdeeds"))),
    }
}

impl Answers for Attacker {
    fn answer(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(Some(act(key).unwrap_or_else(|error| told(&error)).into_bytes()))
    }
}

export_answers!(Attacker);
