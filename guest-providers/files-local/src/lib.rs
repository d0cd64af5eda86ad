//! `files-local`: the files module in a granted folder.
//!
//! This file is the seam to the host: it asks for handles and hands them on.
//! What a name may be is `filing`'s to say, what stands in a file `record`'s, what
//! a range means `range`'s; none of these calls the host, and they are tested
//! natively.
//!
//! A file is one file of the folder: its body, then its description (`record`).
//! So both appear, and go, in one step of the file system, and there is no
//! moment, and no crash, that leaves one without the other. The price is that
//! the folder is this provider's own: what else lies in it is not a file of the
//! module and is left alone.
//!
//! Nothing is kept in memory, so any number of instances serve side by side,
//! and any number of processes on one folder.

mod options;
mod range;
mod record;

use stheno_sdk::files::{
    Files, Info, Link, NewFile, Opened, Page, Placed, Pour, Range, Reader, Upload,
};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock, folders};

use filing::{Key, Record, as_new};
use options::Options;

struct FilesLocal {
    options: Options,
}

impl Lifecycle for FilesLocal {
    fn describe() -> Description {
        Description::new(
            "files-local",
            env!("CARGO_PKG_VERSION"),
            Instances::Many,
            &["list", "copy", "links", "ranges"],
        )
    }

    fn start(options: &str) -> Result<Self> {
        let options: Options = stheno_sdk::options::parse(options)?;
        // Opening it has the host remove what an earlier process left.
        folders::ready(options.folder())?;
        Ok(Self { options })
    }

    fn health(&mut self) -> Result<()> {
        folders::ready(self.options.folder())
    }
}

fn random() -> u64 {
    wasip2::random::random::get_random_u64()
}

fn unguessable() -> u128 {
    let [high, low] = [random(), random()];
    u128::from(high) << 64 | u128::from(low)
}

fn no_file(key: &Key) -> Error {
    Error::NotFound(format!("there is no file {:?}", key.as_str()))
}

impl FilesLocal {
    fn new_key(&self, name: &str) -> Result<Key> {
        Key::made(self.options.prefix(), name, clock::unix_ms(), unguessable())
    }

    /// A key that a caller gave, if it is one of this store's.
    fn known(&self, key: &str) -> Result<Key> {
        Key::parse("key", key)
    }

    fn path(&self, key: &Key) -> String {
        format!("{}/{}", self.options.folder(), key.as_str())
    }

    /// The description of a stored file, and the length of its body.
    fn look(&self, key: &Key) -> Result<Info> {
        self.find(key)?.ok_or_else(|| no_file(key))
    }

    fn find(&self, key: &Key) -> Result<Option<Info>> {
        if !key.as_str().starts_with(self.options.prefix()) {
            return Ok(None);
        }
        let path = self.path(key);
        let mut ask = record::USUAL_BYTES;
        loop {
            let ending = match folders::tail(&path, ask) {
                Ok(ending) => ending,
                // A folder in between is not a file; neither is one that is
                // named like it.
                Err(Error::NotFound(_) | Error::Conflict(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            match record::found(&ending.bytes, ending.size) {
                record::Found::Whole { record, body } => {
                    return Ok(Some(record.describe(key.as_str(), body, None)));
                }
                record::Found::Longer(bytes) if bytes > ask => ask = bytes,
                record::Found::Longer(_) | record::Found::Foreign => return Ok(None),
            }
        }
    }

    fn place(&self, key: Key, file: NewFile, body: Reader) -> Result<Placed> {
        let now_ms = Some(clock::unix_ms());
        let record = Record::new(file, self.options.cache_control(), now_ms, random());
        let tail = record::encode(&record)?;
        let into = folders::create(&self.path(&key))?;
        Ok(Placed { key: key.into_string(), rest: Some(Pour { body, into, tail }) })
    }

    fn remove(&self, key: &str) -> Result<()> {
        let key = self.known(key)?;
        if !key.as_str().starts_with(self.options.prefix()) {
            return Ok(());
        }
        match folders::remove(&self.path(&key)) {
            Err(Error::NotFound(_)) => Ok(()),
            removed => removed,
        }
    }
}

impl Files for FilesLocal {
    fn put(&mut self, file: NewFile, key: Option<String>, body: Reader) -> Result<Placed> {
        let key = match key {
            None => self.new_key(&file.name)?,
            Some(key) => self.known(&key)?.kept_for(self.options.prefix(), &file.name)?,
        };
        self.place(key, file, body)
    }

    fn get(&mut self, key: String, range: Option<Range>) -> Result<Opened> {
        let key = self.known(&key)?;
        let info = self.look(&key)?;
        let (offset, length) = range::within(range, info.size)?;
        let body =
            folders::open(&self.path(&key), offset, length).map_err(|error| match error {
                // It was removed since.
                Error::NotFound(_) => no_file(&key),
                error => error,
            })?;
        Ok(Opened { info, offset, length, body })
    }

    fn stat(&mut self, key: String) -> Result<Info> {
        self.look(&self.known(&key)?)
    }

    fn delete(&mut self, keys: Vec<String>) -> Result<Vec<Result<()>>> {
        Ok(keys.iter().map(|key| self.remove(key)).collect())
    }

    fn list(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        let own = self.options.prefix();
        let prefix = if prefix.starts_with(own) {
            prefix.as_str()
        } else if own.starts_with(&prefix) {
            own
        } else {
            return Ok(Page { files: Vec::new(), cursor: None });
        };
        if let Some(cursor) = &cursor {
            filing::key::check_cursor(cursor)?;
        }
        let paths = folders::list(self.options.folder(), prefix, cursor.as_deref(), limit)?;
        let full = u32::try_from(paths.len()).is_ok_and(|found| found == limit);
        let cursor = paths.last().filter(|_| full).cloned();
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            // What is not a key was not put there by this provider.
            if let Ok(key) = Key::parse("key", &path) {
                files.extend(self.find(&key)?);
            }
        }
        Ok(Page { files, cursor })
    }

    fn copy(&mut self, key: String, file: Option<NewFile>) -> Result<Placed> {
        let key = self.known(&key)?;
        let info = self.look(&key)?;
        let body = folders::open(&self.path(&key), 0, info.size)?;
        let file = file.unwrap_or_else(|| as_new(info));
        self.place(self.new_key(&file.name)?, file, body)
    }

    fn download_url(&mut self, key: String, _: u64) -> Result<Link> {
        self.look(&self.known(&key)?)?;
        Ok(Link::Hosted)
    }

    fn upload_url(&mut self, file: NewFile, _: u64) -> Result<Upload> {
        let key = self.new_key(&file.name)?.into_string();
        Ok(Upload { key, link: Link::Hosted, headers: Vec::new() })
    }
}

stheno_sdk::export_files_provider!(FilesLocal);
