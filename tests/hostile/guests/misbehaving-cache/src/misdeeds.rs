//! What a key can ask for; the table is in the crate's documentation.

use std::hint::black_box;
use std::time::Duration;

use serde::Deserialize as _;
use serde::de::value::{Error as ValueError, StrDeserializer};
use stheno_sdk::streams::{Reader, Writer, spool};
use stheno_sdk::{Error, Result, Size, clock, log};

const CHUNK: usize = 64 << 10;

/// What an instance remembers of its past.
#[derive(Default)]
pub(crate) struct Misdeeds {
    pub(crate) served: u64,
    held: Option<Reader>,
    kept: Vec<Vec<u8>>,
}

/// Computes for ever, in a way that no compiler takes out.
pub(crate) fn spin() -> ! {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::InvalidArgument(format!("`{text}` is not a number")))
}

fn size(text: &str) -> Result<usize> {
    let bytes = text.parse().ok().or_else(|| {
        Size::deserialize(StrDeserializer::<ValueError>::new(text)).ok().map(Size::as_bytes)
    });
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| {
        Error::InvalidArgument(format!("`{text}` is not a size; write such as `512MiB`"))
    })
}

/// Memory that is really written to.
fn filled(size: usize) -> Vec<u8> {
    black_box(vec![0xA5; size])
}

#[allow(unconditional_recursion, reason = "that is what it is for")]
fn deeper(n: u64) -> u64 {
    let frame = black_box([n; 32]);
    deeper(n + 1).wrapping_add(frame.iter().sum())
}

fn error(what: &str) -> Error {
    let (kind, text) = what.split_once(':').unwrap_or((what, "told to fail"));
    let text = text.to_owned();
    match kind {
        "not-found" => Error::NotFound(text),
        "conflict" => Error::Conflict(text),
        "invalid-argument" => Error::InvalidArgument(text),
        "denied" => Error::Denied(text),
        "timeout" => Error::Timeout(text),
        "unavailable" => Error::Unavailable(text),
        "lost-lease" => Error::LostLease(text),
        "unsupported" => Error::Unsupported(text),
        _ => Error::Internal(text),
    }
}

fn through_spool(size: usize) -> Result<usize> {
    let (writer, reader) = spool()?;
    let chunk = filled(CHUNK.min(size.max(1)));
    let mut left = size;
    while left > 0 {
        let part = chunk.get(..left.min(chunk.len())).unwrap_or(&chunk);
        writer.write(part)?;
        left -= part.len();
    }
    Writer::finish(writer)?;
    let mut came = 0;
    loop {
        match reader.read(CHUNK as u32)?.len() {
            0 => return Ok(came),
            n => came += n,
        }
    }
}

impl Misdeeds {
    pub(crate) fn commit(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let (deed, how) = key.split_once(':').unwrap_or((key, ""));
        let answer = match deed {
            "echo" => how.to_owned(),
            "count" => self.served.to_string(),
            "now" => clock::monotonic_ms().to_string(),
            "error" => return Err(error(how)),
            "panic" => panic!("told to panic"),
            "exit" => std::process::exit(1),
            "loop" => spin(),
            "stack" => deeper(0).to_string(),
            "sleep" => {
                let span = if how.is_empty() { u64::MAX } else { number(how)? };
                let begin = clock::monotonic_ms();
                while clock::monotonic_ms().saturating_sub(begin) < span {}
                "slept".to_owned()
            }
            "block" => {
                std::thread::sleep(Duration::from_millis(number(how)?));
                "slept".to_owned()
            }
            "alloc" => filled(size(how)?).len().to_string(),
            "grow" => {
                self.kept.push(filled(size(how)?));
                self.kept.iter().map(Vec::len).sum::<usize>().to_string()
            }
            "huge-result" => return Ok(Some(filled(size(how)?))),
            "log" => {
                (0..number(how)?).for_each(|n| log::info(&format!("line {n}")));
                "logged".to_owned()
            }
            "print" => {
                (0..number(how)?).for_each(|n| println!("line {n}"));
                "printed".to_owned()
            }
            "forget" => {
                for _ in 0..number(how)? {
                    std::mem::forget(spool()?);
                }
                "forgotten".to_owned()
            }
            "table" => {
                let mut handles = Vec::new();
                loop {
                    match spool() {
                        Ok(both) => handles.push(both),
                        Err(err) => break format!("{}: {err}", handles.len()),
                    }
                }
            }
            "spool" => through_spool(size(how)?)?.to_string(),
            "hold" => {
                let (writer, reader) = spool()?;
                writer.write(b"held")?;
                Writer::finish(writer)?;
                self.held = Some(reader);
                "held".to_owned()
            }
            "use-held" => match self.held.as_ref().map(|reader| reader.read(16)) {
                Some(Ok(bytes)) => return Ok(Some(bytes)),
                Some(Err(err)) => format!("error: {err}"),
                None => "nothing held".to_owned(),
            },
            _ => return Ok(None),
        };
        Ok(Some(answer.into_bytes()))
    }
}
