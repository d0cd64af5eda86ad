//! Reaches for more of a bucket than was granted. The key of a `get` says how:
//!
//! | key | does |
//! |---|---|
//! | `open:LABEL` | opens the binding with this label |
//! | `head:KEY`, `get:KEY`, `get:KEY\|OFFSET\|LENGTH` | reads |
//! | `put:KEY\|BODY`, `create:KEY\|BODY`, `half:KEY\|BODY` | writes; the last one never finishes |
//! | `type:TEXT`, `cache:TEXT`, `name:TEXT`, `meta:KEY\|VALUE`, `public:KEY` | writes with this description |
//! | `fill:KEY\|MIB`, `sum:KEY`, `hand:FROM\|TO` | writes so many MiB; reads all of it; hands one body on as another |
//! | `copy:FROM\|TO`, `delete:KEY\|KEY...` | copies, removes |
//! | `list:PREFIX\|CURSOR\|LIMIT` | lists |
//! | `getlink:KEY\|MS`, `putlink:KEY\|MS` | makes a link |
//!
//! `\xHH` is a byte. The value is what came of it, or the error's kind and text.

use hostile_support::{Answers, export_answers};
use stheno_sdk::objects::{self, Access, Binding, Description, Existing, Link, Range, Span};
use stheno_sdk::streams::{Writer, spool};
use stheno_sdk::{Description as Provider, Error, Instances, Lifecycle, Result};

struct Attacker;

impl Lifecycle for Attacker {
    fn describe() -> Provider {
        Provider::new("objects-cache", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }
}

/// The text with its escapes resolved.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let escaped = rest.strip_prefix("\\x").and_then(|hex| hex.get(..2));
        if let Some(byte) = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = rest.get(4..).unwrap_or_default();
            continue;
        }
        bytes.extend(first.to_string().into_bytes());
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn told(error: &Error) -> String {
    match error {
        Error::NotFound(text) => format!("not-found: {text}"),
        Error::Conflict(text) => format!("conflict: {text}"),
        Error::Denied(text) => format!("denied: {text}"),
        Error::InvalidArgument(text) => format!("invalid-argument: {text}"),
        Error::Unavailable(text) => format!("unavailable: {text}"),
        Error::Timeout(text) => format!("timeout: {text}"),
        other => format!("other: {other:?}"),
    }
}

fn bucket() -> Result<Binding> {
    objects::open("default")
}

fn text() -> Description {
    Description::of("text/plain")
}

fn write(key: &str, description: &Description, body: &str) -> Result<String> {
    let writer = bucket()?.create(key, description, Existing::Replace)?;
    writer.write(body.as_bytes())?;
    Writer::finish(writer)?;
    Ok("written".to_owned())
}

fn put(key: &str, body: &str) -> Result<String> {
    let (writer, reader) = spool()?;
    writer.write(body.as_bytes())?;
    Writer::finish(writer)?;
    bucket()?.put(key, &text(), Existing::Replace, reader)?;
    Ok("put".to_owned())
}

fn read(key: &str, range: Option<Range>) -> Result<String> {
    let opened = bucket()?.get(key, range)?;
    let mut body = Vec::new();
    loop {
        let chunk = opened.body.read(1 << 20)?;
        if chunk.is_empty() {
            return Ok(String::from_utf8_lossy(&body).into_owned());
        }
        body.extend(chunk);
    }
}

/// Bytes that differ from one another, and from one place to the next.
fn pattern(at: u64) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16)) as u8
}

fn fill(key: &str, mib: u64) -> Result<String> {
    let writer = bucket()?.create(key, &text(), Existing::Replace)?;
    let mut chunk = vec![0; 1 << 20];
    for part in 0..mib {
        for (at, byte) in (part << 20..).zip(&mut chunk) {
            *byte = pattern(at);
        }
        writer.write(&chunk)?;
    }
    Writer::finish(writer)?;
    Ok("written".to_owned())
}

fn sum(key: &str) -> Result<String> {
    let opened = bucket()?.get(key, None)?;
    let mut read = 0_u64;
    loop {
        let chunk = opened.body.read(1 << 20)?;
        if chunk.is_empty() {
            return Ok(format!("{read} bytes"));
        }
        if !chunk.iter().zip(read..).all(|(byte, at)| *byte == pattern(at)) {
            return Ok(format!("other bytes within 1 MiB behind {read}"));
        }
        read += chunk.len() as u64;
    }
}

fn hand_on(from: &str, to: &str) -> Result<String> {
    let opened = bucket()?.get(from, None)?;
    bucket()?.put(to, &text(), Existing::Replace, opened.body)?;
    Ok("handed on".to_owned())
}

fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<String> {
    let page = bucket()?.list(prefix, cursor, limit)?;
    let keys: Vec<_> = page.objects.into_iter().map(|object| object.key).collect();
    Ok(format!("{} > {}", keys.join(" "), page.cursor.unwrap_or_default()))
}

fn shown(link: Link) -> String {
    let headers = link.headers.iter().map(|(name, value)| format!("\n{name}: {value}"));
    link.url.clone() + &headers.collect::<String>()
}

fn number(text: Option<&String>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(60_000)
}

fn act(key: &str) -> Result<String> {
    let (verb, object) = key.split_once(':').unwrap_or((key, ""));
    let words: Vec<String> = object.split('|').map(plain).collect();
    let first = words.first().map_or("", String::as_str);
    let second = words.get(1).map(String::as_str);
    match verb {
        "open" => objects::open(first).map(|_| "opened".to_owned()),
        "head" => bucket()?.head(first).map(|info| info.size.to_string()),
        "get" => {
            let length = words.get(2).map(|length| number(Some(length)));
            let span = |_| Range::Span(Span { offset: number(words.get(1)), length });
            read(first, second.map(span))
        }
        "put" => put(first, second.unwrap_or("body")),
        "create" => write(first, &text(), second.unwrap_or("body")),
        "half" => {
            let writer = bucket()?.create(first, &text(), Existing::Replace)?;
            writer.write(second.unwrap_or("body").as_bytes())?;
            Ok("left in the middle".to_owned())
        }
        "type" => write("described", &Description::of(first), "body"),
        "cache" => {
            write("described", &Description { cache_control: Some(first.to_owned()), ..text() }, "")
        }
        "name" => {
            let content_disposition = Some(first.to_owned());
            write("described", &Description { content_disposition, ..text() }, "")
        }
        "meta" => {
            let metadata = vec![(first.to_owned(), second.unwrap_or_default().to_owned())];
            write("described", &Description { metadata, ..text() }, "")
        }
        "public" => write(first, &Description { access: Some(Access::Public), ..text() }, ""),
        "fill" => fill(first, number(words.get(1))),
        "sum" => sum(first),
        "hand" => hand_on(first, second.unwrap_or_default()),
        "copy" => bucket()?.copy(first, second.unwrap_or_default(), None).map(|()| "copied".into()),
        "delete" => {
            let outcome =
                |outcome: Result<()>| outcome.map_or_else(|e| told(&e), |()| "gone".into());
            let outcomes = bucket()?.delete(&words)?;
            Ok(outcomes.into_iter().map(outcome).collect::<Vec<String>>().join("|"))
        }
        "list" => {
            let cursor = second.filter(|cursor| !cursor.is_empty());
            let limit = words.get(2).map_or(100, |limit| number(Some(limit)));
            list(first, cursor, u32::try_from(limit).unwrap_or(u32::MAX))
        }
        "getlink" => bucket()?.get_link(first, number(words.get(1))).map(shown),
        "putlink" => {
            bucket()?.put_link(first, &text(), Existing::Keep, number(words.get(1))).map(shown)
        }
        _ => Err(Error::Unsupported(format!("{verb} is none of its misdeeds"))),
    }
}

impl Answers for Attacker {
    fn answer(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(Some(act(key).unwrap_or_else(|error| told(&error)).into_bytes()))
    }
}

export_answers!(Attacker);
