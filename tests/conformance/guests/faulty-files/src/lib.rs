//! `files-local` with one fault at a time.

// The logic is the real provider's, so that nothing is wrong but the fault.
#[path = "../../../../../guest-providers/files-local/src/options.rs"]
mod options;
#[path = "../../../../../guest-providers/files-local/src/range.rs"]
mod range;
#[path = "../../../../../guest-providers/files-local/src/record.rs"]
mod record;

use faulty_support::{left_out, split};
use serde::Deserialize;
use stheno_sdk::files::{
    Files, Info, Link, NewFile, Opened, Page, Placed, Pour, Range, Reader, Upload,
};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock, folders};

use filing::{Key, Record, as_new};
use options::Options;

const PLAIN: bool = cfg!(feature = "plain");

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    #[default]
    None,
    /// A name is a key, so that a second upload takes the place of the first.
    OneKeyPerName,
    /// The last byte is not read.
    LosesLastByte,
    /// Metadata is left out.
    LosesMetadata,
    /// The last file of a page is listed twice.
    ListsTwice,
    /// There is a link to a file that is not there.
    LinksToNothing,
    /// A key that was not kept can be filled.
    FillsAnyKey,
    /// A range that reaches beyond the end is refused.
    RefusesLongRanges,
}

struct Faulty {
    fault: Fault,
    options: Options,
}

impl Lifecycle for Faulty {
    fn describe() -> Description {
        let features: &[&str] = if PLAIN { &[] } else { &["list", "copy", "links", "ranges"] };
        Description::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            Instances::Many,
            features,
        )
    }

    fn start(options: &str) -> Result<Self> {
        let (fault, options) = split(options)?;
        let options: Options = stheno_sdk::options::parse(&options)?;
        folders::ready(options.folder())?;
        Ok(Self { fault, options })
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

impl Faulty {
    fn new_key(&self, name: &str) -> Result<Key> {
        if self.fault == Fault::OneKeyPerName {
            let key = Key::parse("name", name)?;
            self.remove(key.as_str())?;
            return Ok(key);
        }
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

    fn place(&self, key: Key, mut file: NewFile, body: Reader) -> Result<Placed> {
        if self.fault == Fault::LosesMetadata {
            file.metadata.clear();
        }
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

impl Files for Faulty {
    fn put(&mut self, file: NewFile, key: Option<String>, body: Reader) -> Result<Placed> {
        let key = match key {
            None => self.new_key(&file.name)?,
            Some(key) if self.fault == Fault::FillsAnyKey => self.known(&key)?,
            Some(key) => self.known(&key)?.kept_for(self.options.prefix(), &file.name)?,
        };
        self.place(key, file, body)
    }

    fn get(&mut self, key: String, range: Option<Range>) -> Result<Opened> {
        if PLAIN && range.is_some() {
            return left_out("ranges");
        }
        let key = self.known(&key)?;
        let info = self.look(&key)?;
        if let (Fault::RefusesLongRanges, Some(Range::Span(span))) = (self.fault, &range)
            && span.length.is_some_and(|length| span.offset.saturating_add(length) > info.size)
        {
            return Err(Error::InvalidArgument("range reaches beyond the end".to_owned()));
        }
        let (offset, mut length) = range::within(range, info.size)?;
        if self.fault == Fault::LosesLastByte {
            length = length.saturating_sub(1);
        }
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
        if PLAIN {
            return left_out("list");
        }
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
        if let (Fault::ListsTwice, Some(last)) = (self.fault, files.last())
            && files.len() < limit as usize
        {
            files.push(last.clone());
        }
        Ok(Page { files, cursor })
    }

    fn copy(&mut self, key: String, file: Option<NewFile>) -> Result<Placed> {
        if PLAIN {
            return left_out("copy");
        }
        let key = self.known(&key)?;
        let info = self.look(&key)?;
        let body = folders::open(&self.path(&key), 0, info.size)?;
        let file = file.unwrap_or_else(|| as_new(info));
        self.place(self.new_key(&file.name)?, file, body)
    }

    fn download_url(&mut self, key: String, _: u64) -> Result<Link> {
        if PLAIN {
            return left_out("links");
        }
        let key = self.known(&key)?;
        if self.fault != Fault::LinksToNothing {
            self.look(&key)?;
        }
        Ok(Link::Hosted)
    }

    fn upload_url(&mut self, file: NewFile, _: u64) -> Result<Upload> {
        if PLAIN {
            return left_out("links");
        }
        let key = self.new_key(&file.name)?.into_string();
        Ok(Upload { key, link: Link::Hosted, headers: Vec::new() })
    }
}

stheno_sdk::export_files_provider!(Faulty);
