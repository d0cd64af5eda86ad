//! A cache provider that forges paths of `stheno:folders`. The key of a `get`
//! says what it does:
//!
//! | key | answer |
//! |---|---|
//! | `tail:PATH` | the last bytes of the file |
//! | `open:PATH` | its first byte's worth of a body |
//! | `create:PATH` | `created`, after a file with the text `forged` |
//! | `abandon:PATH` | `abandoned`, after half a file |
//! | `remove:PATH` | `removed` |
//! | `list:FOLDER` | the paths in it, one a line |
//! | `ready:FOLDER` | `ready` |
//! | `hoard:PATH` | how many readers of the file could be had before the host said no |
//! | anything else | a miss |
//!
//! What fails answers `error: ...`.

use hostile_support::{Answers, export_answers, told};
use stheno_sdk::streams::Writer;
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, folders};

struct Forger;

impl Lifecycle for Forger {
    fn describe() -> Description {
        Description::new("folders-cache", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn create(path: &str) -> Result<String> {
    let writer = folders::create(path)?;
    writer.write(b"forged")?;
    Writer::finish(writer)?;
    Ok("created".to_owned())
}

fn hoard(path: &str) -> String {
    let mut held = Vec::new();
    while let Ok(reader) = folders::open(path, 0, 1) {
        held.push(reader);
    }
    held.len().to_string()
}

fn done(what: &str, path: &str) -> Result<Option<String>> {
    Ok(Some(match what {
        "tail" => text(&folders::tail(path, u32::MAX)?.bytes),
        "open" => text(&folders::open(path, 0, 1)?.read(u32::MAX)?),
        "create" => create(path)?,
        "abandon" => {
            folders::create(path)?.write(b"half")?;
            "abandoned".to_owned()
        }
        "remove" => {
            folders::remove(path)?;
            "removed".to_owned()
        }
        "list" => folders::list(path, "", None, 1_000)?.join("\n"),
        "ready" => {
            folders::ready(path)?;
            "ready".to_owned()
        }
        "hoard" => hoard(path),
        _ => return Ok(None),
    }))
}

impl Answers for Forger {
    fn answer(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let (what, path) = key.split_once(':').unwrap_or((key, ""));
        Ok(match done(what, path) {
            Ok(answer) => answer.map(String::into_bytes),
            Err(error) => Some(told(Err::<String, Error>(error))),
        })
    }
}

export_answers!(Forger);
