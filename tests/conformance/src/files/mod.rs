//! The files module: `wit/deps/files/files.wit`.

mod arguments;
mod bodies;
mod callers;
mod deletes;
mod keys;
mod links;
mod lists;
mod unsupported;

use stheno::{Error, ErrorKind, FileInfo, Files, NewFile};

use crate::case::Case;
use crate::check::{Fault, Outcome, fails, holds};
use crate::subject::Subject as Of;

pub(crate) const CASES: &[&[Case]] = &[
    lifecycle!("files", Files),
    bodies::CASES,
    keys::CASES,
    deletes::CASES,
    lists::CASES,
    links::CASES,
    arguments::CASES,
    callers::CASES,
    unsupported::CASES,
];

type Subject = Of<Files>;

impl Subject {
    /// A file whose name begins with a folder that only this case has.
    fn file(&self, name: &str) -> NewFile {
        NewFile::new(self.name(name))
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.own("f"))
    }

    async fn put(&self, name: &str, body: &[u8]) -> Result<FileInfo, Fault> {
        Ok(self.api.put_bytes(self.file(name), body).await?)
    }

    async fn read(&self, key: &str) -> Result<Vec<u8>, Fault> {
        Ok(self.api.get(key).await?.bytes().await?)
    }

    /// There must be no file under the key.
    async fn is_gone(&self, key: &str) -> Outcome {
        fails("describing what is not there", self.api.stat(key).await, ErrorKind::NotFound)?;
        let opened = self.api.get(key).await;
        fails("opening what is not there", opened, ErrorKind::NotFound).map(drop)
    }

    async fn delete_one(&self, key: &str) -> Result<Result<(), Error>, Fault> {
        crate::check::one("results for one key", self.api.delete([key]).await?)
    }

    /// Every key that begins so, page by page.
    async fn keys(&self, prefix: &str, limit: u32) -> Result<Vec<String>, Fault> {
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.api.list(prefix, cursor.as_deref(), limit).await?;
            let count = page.files.len();
            holds(count <= limit as usize, || format!("a page of {limit} has {count}"))?;
            keys.extend(page.files.into_iter().map(|file| file.key));
            cursor = page.cursor;
            // A listing that never ends is cut off by the limit of the case.
            if cursor.is_none() {
                return Ok(keys);
            }
        }
    }
}
