//! A cache provider that looks around. The key of a `get` says where:
//!
//! | key | answer |
//! |---|---|
//! | `read:/path` | the text of the file |
//! | `write:/path:TEXT` | `written` |
//! | `list:/path` | the names in the folder, sorted, one a line |
//! | `env:NAME` | the value of the variable |
//! | `env` | the names of all variables, one a line |
//! | `args` | the arguments, one a line |
//! | `stdin` | what can be read from standard input |
//! | `print:TEXT`, `eprint:TEXT` | `printed`, after a line on standard output or error |
//! | anything else | a miss |
//!
//! What fails answers `error: ...`.

use std::io::Read as _;
use std::{env, fs, io};

use hostile_support::{Answers, export_answers, told};
use stheno_sdk::{Description, Instances, Lifecycle, Result};

struct Files;

impl Lifecycle for Files {
    fn describe() -> Description {
        Description::new("files-cache", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }
}

fn write(what: &str) -> io::Result<String> {
    let (path, text) =
        what.split_once(':').ok_or_else(|| io::Error::other("write what? say write:/path:TEXT"))?;
    fs::write(path, text).map(|()| "written".to_owned())
}

fn list(path: &str) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join("\n"))
}

fn stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map(|_| text)
}

fn lines(items: impl Iterator<Item = String>) -> io::Result<String> {
    Ok(items.collect::<Vec<_>>().join("\n"))
}

impl Answers for Files {
    fn answer(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(Some(match key.split_once(':').unwrap_or((key, "")) {
            ("read", path) => told(fs::read_to_string(path)),
            ("write", what) => told(write(what)),
            ("list", path) => told(list(path)),
            ("env", "") => {
                told(lines(env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned())))
            }
            ("env", name) => told(env::var(name)),
            ("args", _) => {
                told(lines(env::args_os().map(|arg| arg.to_string_lossy().into_owned())))
            }
            ("stdin", _) => told(stdin()),
            ("print", text) => {
                println!("{text}");
                b"printed".to_vec()
            }
            ("eprint", text) => {
                eprintln!("{text}");
                b"printed".to_vec()
            }
            _ => return Ok(None),
        }))
    }
}

export_answers!(Files);
