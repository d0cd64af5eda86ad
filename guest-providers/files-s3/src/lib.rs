//! `files-s3`: the files module in a bucket.
//!
//! # What keeps the guarantees
//!
//! A file is one object: its body, with its whole description on it (`label`). So
//! both appear and go in one step of the server. The body is the object's bytes and
//! nothing else, so that others may be given a link to it. Bytes never come here:
//! the host moves them between the caller and the server.
//!
//! S3 takes 2 KiB of metadata on an object, and the contract gives a file more.
//! To refuse what is beyond would make a file that one provider takes another's
//! error; so a longer description is an object beside the file (`beside`), which is
//! written first. That costs such a file a request more each time it is described.
//!
//! An object without a label is none of this provider's files.
//!
//! Each upload has a key of its own (`filing`), so it needs no condition. Only what
//! goes to a kept key does: the server then takes one body and no second
//! (`If-None-Match: *`), from a link as from here.
//!
//! # This file
//!
//! is the seam to the host. The other modules never call it.

mod beside;
mod label;
mod options;

use filing::{Key, Record, Seen, as_new, key};
use stheno_sdk::files::{
    Access, Files, Info, Link, NewFile, Opened, Page, Placed, Pour, Range, Reader, Span, Upload,
    Writer,
};
use stheno_sdk::objects::{self, Binding, Existing};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock, log};

use beside::{Mark, Tidy, Written};
use label::Label;
use options::{Links, Options};

/// The largest object that servers copy in one request.
const COPY_BYTES: u64 = 5 << 30;
/// What is read and written at once.
const CHUNK: u32 = 64 << 10;

struct FilesS3 {
    bucket: Binding,
    options: Options,
    tidy: Tidy,
}

impl Lifecycle for FilesS3 {
    fn describe() -> Description {
        let features = &["list", "copy", "links", "ranges"];
        Description::new("files-s3", env!("CARGO_PKG_VERSION"), Instances::Many, features)
    }

    fn start(options: &str) -> Result<Self> {
        let options = stheno_sdk::options::parse(options)?;
        let bucket = objects::open("default")?;
        Ok(Self { bucket, options, tidy: Tidy::default() })
    }

    fn health(&mut self) -> Result<()> {
        self.bucket.list(&self.options.prefix, None, 1).map(drop)
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

fn asked(range: Range) -> objects::Range {
    match range {
        Range::Last(length) => objects::Range::Last(length),
        Range::Span(Span { offset, length }) => {
            objects::Range::Span(objects::Span { offset, length })
        }
    }
}

/// An error about a key that was made here, to somebody who gave the name.
fn of_name(error: Error) -> Error {
    match error {
        // So the capability begins what it says of its arguments.
        Error::InvalidArgument(why) if why.starts_with("key ") || why.starts_with("to ") => {
            Error::InvalidArgument(format!("name makes a key that cannot be: {why}"))
        }
        error => error,
    }
}

/// An error about the object of this file.
fn of_file(key: &Key) -> impl FnOnce(Error) -> Error + '_ {
    move |error| match error {
        Error::NotFound(_) => no_file(key),
        error => error,
    }
}

impl FilesS3 {
    fn new_key(&self, name: &str) -> Result<Key> {
        Key::made(&self.options.prefix, name, clock::unix_ms(), unguessable())
    }

    fn record(&self, file: NewFile, modified_ms: Option<u64>) -> Record {
        Record::new(file, &self.options.cache_control, modified_ms, random())
    }

    fn is_own(&self, key: &Key) -> bool {
        key.as_str().starts_with(&self.options.prefix)
    }

    /// A key that a caller gave, if there may be a file under it.
    fn known(&self, key: &str) -> Result<Key> {
        let key = Key::parse("key", key)?;
        if self.is_own(&key) { Ok(key) } else { Err(no_file(&key)) }
    }

    fn look(&self, key: &Key) -> Result<Info> {
        let object = self.bucket.head(key.as_str()).map_err(of_file(key))?;
        self.found(key, &object)?.ok_or_else(|| no_file(key))
    }

    /// The file that an object is; none if it is no file.
    fn found(&self, key: &Key, object: &objects::Info) -> Result<Option<Info>> {
        let record = match Label::read(object) {
            None => return Ok(None),
            Some(Label::File(record)) => record,
            Some(Label::Beside(mark)) => match self.written(mark)? {
                Some(written) if written.key == key.as_str() => written.record,
                // It was removed since, file and all.
                _ => return Ok(None),
            },
        };
        let seen = Seen { modified_ms: object.modified_ms, etag: &object.etag };
        let mut info = record.describe(key.as_str(), object.size, Some(seen));
        if info.access == Access::Public {
            info.url = self.options.url(key.as_str());
        }
        Ok(Some(info))
    }

    /// A description that stands beside its file.
    fn written(&self, mark: Mark) -> Result<Option<Written>> {
        let opened = match self.bucket.get(&mark.key(&self.options.prefix), None) {
            Err(Error::NotFound(_)) => return Ok(None),
            opened => opened?,
        };
        if opened.length > beside::BYTES {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        loop {
            let chunk = opened.body.read(CHUNK)?;
            if chunk.is_empty() {
                return Ok(serde_json::from_slice(&bytes).ok());
            }
            bytes.extend(chunk);
        }
    }

    /// Puts a description beside the file that is to come under `key`.
    fn write(&mut self, mark: Mark, key: &Key, record: Record) -> Result<()> {
        let written = Written { key: key.as_str().to_owned(), record };
        let bytes = serde_json::to_vec(&written).map_err(label::unwritten)?;
        let at = mark.key(&self.options.prefix);
        let description = label::internal(&self.options);
        let writer = self.bucket.create(&at, &description, Existing::Replace)?;
        for chunk in bytes.chunks(CHUNK as usize) {
            writer.write(chunk)?;
        }
        Writer::finish(writer)?;
        if let Err(error) = self.tidy(&at) {
            log::debug(&format!("descriptions without a file may be left: {error:?}"));
        }
        Ok(())
    }

    /// Looks at some descriptions that were there before the one at `newest`, whose
    /// time is the server's own.
    fn tidy(&mut self, newest: &str) -> Result<()> {
        let prefix = &self.options.prefix;
        let now_ms = self.bucket.head(newest)?.modified_ms;
        let page = self.bucket.list(&beside::folder(prefix), self.tidy.cursor(), beside::LOOKS)?;
        let mut useless = Vec::new();
        for listed in page.objects {
            if Tidy::is_due(now_ms, listed.modified_ms)
                && let Some(mark) = Mark::of(prefix, &listed.key)
                && self.is_useless(mark)?
            {
                useless.push(listed.key);
            }
        }
        self.tidy.goes_on(page.cursor);
        self.remove_quietly(&useless);
        Ok(())
    }

    /// Whether a description describes nothing.
    fn is_useless(&self, mark: Mark) -> Result<bool> {
        let Some(written) = self.written(mark)? else { return Ok(false) };
        match self.bucket.head(&written.key) {
            Ok(object) => Ok(Label::read(&object) != Some(Label::Beside(mark))),
            Err(Error::NotFound(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Removes descriptions that nothing needs: what stays is found again.
    fn remove_quietly(&self, keys: &[String]) {
        if !keys.is_empty()
            && let Err(error) = self.bucket.delete(keys)
        {
            log::debug(&format!("descriptions without a file may be left: {error:?}"));
        }
    }

    fn place(
        &mut self,
        key: Key,
        record: Record,
        existing: Existing,
        body: Reader,
    ) -> Result<Placed> {
        let mark = Mark::from(unguessable());
        let (description, beside) = label::describe(&self.options, &record, mark)?;
        // Reaches no server, and refuses what cannot be before anything is written.
        let into = self.bucket.create(key.as_str(), &description, existing)?;
        if let Some(mark) = beside {
            self.write(mark, &key, record)?;
        }
        let rest = Some(Pour { body, into, tail: Vec::new() });
        Ok(Placed { key: key.into_string(), rest })
    }

    /// The descriptions that stand beside some of these files.
    fn marks(&self, keys: &[String]) -> Result<Vec<Option<Mark>>> {
        let first = self.bucket.list(&beside::folder(&self.options.prefix), None, 1)?;
        if first.objects.is_empty() && first.cursor.is_none() {
            return Ok(vec![None; keys.len()]);
        }
        // What keeps one from being looked at keeps it from being removed, or its
        // description is found later.
        let mark = |object: Result<objects::Info>| match Label::read(&object.ok()?) {
            Some(Label::Beside(mark)) => Some(mark),
            _ => None,
        };
        Ok(self.bucket.head_many(keys)?.into_iter().map(mark).collect())
    }
}

impl Files for FilesS3 {
    fn put(&mut self, file: NewFile, key: Option<String>, body: Reader) -> Result<Placed> {
        let now_ms = Some(clock::unix_ms());
        let Some(key) = key else {
            let key = self.new_key(&file.name)?;
            let record = self.record(file, now_ms);
            return self.place(key, record, Existing::Replace, body).map_err(of_name);
        };
        let key = Key::parse("key", &key)?.kept_for(&self.options.prefix, &file.name)?;
        // The server has the last word; this spares a body that would be in vain.
        match self.bucket.head(key.as_str()) {
            Ok(_) => {
                let taken = format!("there is a file {:?} already", key.as_str());
                return Err(Error::Conflict(taken));
            }
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let record = self.record(file, now_ms);
        self.place(key, record, Existing::Keep, body)
    }

    fn get(&mut self, key: String, range: Option<Range>) -> Result<Opened> {
        let key = self.known(&key)?;
        let opened = self.bucket.get(key.as_str(), range.map(asked));
        let objects::Opened { info, offset, length, body } = opened.map_err(of_file(&key))?;
        let info = self.found(&key, &info)?.ok_or_else(|| no_file(&key))?;
        Ok(Opened { info, offset, length, body })
    }

    fn stat(&mut self, key: String) -> Result<Info> {
        self.look(&self.known(&key)?)
    }

    fn delete(&mut self, keys: Vec<String>) -> Result<Vec<Result<()>>> {
        let keys: Vec<_> = keys.iter().map(|key| Key::parse("key", key)).collect();
        let own = keys.iter().flatten().filter(|key| self.is_own(key));
        let own: Vec<String> = own.map(|key| key.as_str().to_owned()).collect();
        let (marks, removed) = if own.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            (self.marks(&own)?, self.bucket.delete(&own)?)
        };
        let both = marks.into_iter().zip(&removed);
        let useless = both.filter_map(|(mark, removed)| mark.filter(|_| removed.is_ok()));
        let useless: Vec<_> = useless.map(|mark| mark.key(&self.options.prefix)).collect();
        self.remove_quietly(&useless);
        let mut removed = removed.into_iter();
        let silent = || Err(Error::Internal("the server said nothing of it".to_owned()));
        let result = |key: Result<Key>| match key {
            Ok(key) if self.is_own(&key) => removed.next().unwrap_or_else(silent),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        Ok(keys.into_iter().map(result).collect())
    }

    fn list(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        let own = self.options.prefix.as_str();
        let prefix = match (prefix.starts_with(own), own.starts_with(&prefix)) {
            (true, _) if key::may_begin(&prefix) => prefix.as_str(),
            (_, true) => own,
            _ => return Ok(Page { files: Vec::new(), cursor: None }),
        };
        if let Some(cursor) = &cursor {
            key::check_cursor(cursor)?;
        }
        let page = match self.bucket.list(prefix, cursor.as_deref(), limit) {
            // It is as long as a key may be, but for the prefix of the grant.
            Err(Error::InvalidArgument(why)) if why.starts_with("prefix ") => {
                return Ok(Page { files: Vec::new(), cursor: None });
            }
            page => page?,
        };
        // What is no key was not put there by this provider, or describes a file.
        let is_key = |listed: &objects::Listed| key::check(&listed.key).is_ok();
        let keys: Vec<_> = page.objects.into_iter().filter(is_key).map(|it| it.key).collect();
        let mut cursor = page.cursor.map(|cursor| beside::passed(own, cursor));
        // A listing of the server has no metadata.
        let mut files = Vec::with_capacity(keys.len());
        let mut beside = 0;
        for (key, object) in keys.iter().zip(self.bucket.head_many(&keys)?) {
            let object = match object {
                // It was removed since.
                Err(Error::NotFound(_)) => continue,
                object => object?,
            };
            files.extend(self.found(&Key::parse("key", key)?, &object)?);
            beside += usize::from(matches!(Label::read(&object), Some(Label::Beside(_))));
            if beside == beside::PAGE {
                cursor = Some(key.clone());
                break;
            }
        }
        Ok(Page { files, cursor })
    }

    fn copy(&mut self, key: String, file: Option<NewFile>) -> Result<Placed> {
        let key = self.known(&key)?;
        let info = self.look(&key)?;
        let size = info.size;
        let file = file.unwrap_or_else(|| as_new(info));
        let to = self.new_key(&file.name)?;
        let record = self.record(file, Some(clock::unix_ms()));
        if size > COPY_BYTES {
            let body = self.bucket.get(key.as_str(), None).map_err(of_file(&key))?.body;
            return self.place(to, record, Existing::Replace, body).map_err(of_name);
        }
        let mark = Mark::from(unguessable());
        let (description, beside) = label::describe(&self.options, &record, mark)?;
        if let Some(mark) = beside {
            self.write(mark, &to, record)?;
        }
        let copied = self.bucket.copy(key.as_str(), to.as_str(), Some(&description));
        copied.map_err(of_file(&key)).map_err(of_name)?;
        Ok(Placed { key: to.into_string(), rest: None })
    }

    fn download_url(&mut self, key: String, expires_ms: u64) -> Result<Link> {
        let key = self.known(&key)?;
        self.look(&key)?;
        if self.options.links == Links::Hosted {
            return Ok(Link::Hosted);
        }
        let link = self.bucket.get_link(key.as_str(), expires_ms)?;
        // The bearer of a link to read gets no headers with it.
        Ok(if link.headers.is_empty() { Link::Url(link.url) } else { Link::Hosted })
    }

    fn upload_url(&mut self, file: NewFile, expires_ms: u64) -> Result<Upload> {
        let key = self.new_key(&file.name)?;
        if self.options.links == Links::Hosted {
            return Ok(Upload { key: key.into_string(), link: Link::Hosted, headers: Vec::new() });
        }
        let record = self.record(file, None);
        let mark = Mark::from(unguessable());
        let (description, beside) = label::describe(&self.options, &record, mark)?;
        let link = self.bucket.put_link(key.as_str(), &description, Existing::Keep, expires_ms);
        let objects::Link { url, headers } = link.map_err(of_name)?;
        if let Some(mark) = beside {
            self.write(mark, &key, record)?;
        }
        Ok(Upload { key: key.into_string(), link: Link::Url(url), headers })
    }
}

stheno_sdk::export_files_provider!(FilesS3);
