//! The files module, as an app uses it.
//!
//! A body goes from its source to the store in chunks, in this process and past
//! the sandbox: the provider names a place and the host moves the bytes (see
//! [`body`]). No call of the provider lasts as long as a transfer.

mod args;
mod body;
mod links;
mod stores;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stheno_config::ProviderId;
use stheno_contracts::body::Reader;
use stheno_contracts::files as contract;
use stheno_engine::{FilesModule, Provider};
use tokio::io::AsyncRead;

use crate::Error;

pub use args::{
    Access, MAX_FILE_LINK, MAX_FILE_METADATA, MAX_FILES_PER_CALL, MIN_FILE_LINK, NewFile, Range,
};
pub use body::Download;
pub(crate) use links::LinkKeys;
pub use links::LinkUse;

pub(crate) use stores::{Stores, Target};

use links::Links;

/// The files of one store, cheap to clone.
///
/// ```no_run
/// # async fn example(files: stheno::Files) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use stheno::NewFile;
///
/// let invoice = NewFile::new("invoices/1001.pdf").content_type("application/pdf");
/// let stored = files.put(invoice, tokio::fs::File::open("1001.pdf").await?).await?;
/// let mut download = files.get(&stored.key).await?;
/// tokio::io::copy(&mut download, &mut tokio::fs::File::create("copy.pdf").await?).await?;
/// // Private unless said otherwise: readable through a link that expires.
/// let link = files.download_url(&stored.key, Duration::from_secs(600)).await?;
/// # let _ = link; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    id: ProviderId,
    /// Whether calls that name no store come here.
    is_default: bool,
    provider: Provider<FilesModule>,
    /// Those of all stores: one link says itself which it is for.
    links: Arc<Links>,
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// What names it from now on.
    pub key: String,
    /// The name that it was uploaded under.
    pub name: String,
    /// The bytes of its body.
    pub size: u64,
    /// Its media type.
    pub content_type: String,
    /// Who may read it by its plain URL.
    pub access: Access,
    /// What `Cache-Control` its answers over HTTP have.
    pub cache_control: Option<String>,
    /// The caller's own pairs.
    pub metadata: Vec<(String, String)>,
    /// When it was stored.
    pub modified: SystemTime,
    /// Tells its body from any other that was ever under its key.
    pub etag: String,
    /// Where anybody can read it; none for a private file.
    pub url: Option<String>,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePage {
    /// The files, in a fixed order of their keys. There may be fewer than asked
    /// for, or none, and more to come.
    pub files: Vec<FileInfo>,
    /// What gets the next part; none after the last.
    pub cursor: Option<String>,
}

/// A key that was kept for an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadUrl {
    /// The key that the file will have.
    pub key: String,
    /// Where to send the body, with the method PUT.
    pub url: String,
    /// The headers that the request must have, as they stand here. There are some
    /// where the provider's own server takes the upload.
    pub headers: Vec<(String, String)>,
}

impl Files {
    /// What the config calls this store.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.id.as_str()
    }

    pub(crate) fn provider(&self) -> &Provider<FilesModule> {
        &self.0.provider
    }

    /// Stores a file and gives what became of it, its key first of all. Each
    /// file gets a key of its own, whatever its name.
    ///
    /// If the body fails, or this future is dropped, nothing is stored.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a name or description that cannot be, the body's
    /// own error, and what the provider says.
    pub async fn put(
        &self,
        file: NewFile,
        body: impl AsyncRead + Send + 'static,
    ) -> Result<FileInfo, Error> {
        self.place(file, None, Reader::new(body)).await
    }

    /// Stores bytes that are in memory already.
    ///
    /// # Errors
    ///
    /// As for [`Files::put`].
    pub async fn put_bytes(
        &self,
        file: NewFile,
        body: impl Into<Vec<u8>>,
    ) -> Result<FileInfo, Error> {
        self.put(file, std::io::Cursor::new(body.into())).await
    }

    /// Stores a file under the key that [`Files::upload_url`] kept for it: what
    /// a link to upload with does.
    ///
    /// # Errors
    ///
    /// As for [`Files::put`]; `conflict` if a file is there.
    pub async fn put_kept(
        &self,
        file: NewFile,
        key: &str,
        body: impl AsyncRead + Send + 'static,
    ) -> Result<FileInfo, Error> {
        let key = args::key(key)?;
        self.place(file, Some(key), Reader::new(body)).await
    }

    async fn place(
        &self,
        file: NewFile,
        key: Option<String>,
        body: Reader,
    ) -> Result<FileInfo, Error> {
        let file = file.checked()?;
        let placed = self.0.provider.call(move |guest| {
            Box::pin(async move {
                let body = guest.store.data_mut().push_reader(body)?;
                let key = key.as_deref();
                let placed = guest.module.call_put(&mut *guest.store, &file, key, body).await?;
                body::taken(guest.store.data_mut(), placed)
            })
        });
        self.settle(placed.await?).await
    }

    /// Has what a provider left to the host done.
    async fn settle(&self, placed: body::Placed) -> Result<FileInfo, Error> {
        if let Some(pour) = placed.rest {
            pour.run().await?;
        }
        self.stat(&placed.key).await
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// `not-found`, `invalid-argument` for a bad key, and what the provider
    /// says.
    pub async fn get(&self, key: &str) -> Result<Download, Error> {
        self.open(key, None).await
    }

    /// Opens a part of a file. A part that reaches beyond the end ends there.
    ///
    /// # Errors
    ///
    /// As for [`Files::get`]; `invalid-argument` if no byte of the file is in
    /// the range, `unsupported` where the provider has no ranges.
    pub async fn get_range(&self, key: &str, range: Range) -> Result<Download, Error> {
        self.open(key, Some(range)).await
    }

    async fn open(&self, key: &str, range: Option<Range>) -> Result<Download, Error> {
        let key = args::key(key)?;
        let range = range.map(contract::Range::from);
        let opened = self.0.provider.call(move |guest| {
            Box::pin(async move {
                let opened = guest.module.call_get(&mut *guest.store, &key, range).await?;
                match opened {
                    Ok(opened) => {
                        let body = guest.store.data_mut().take_reader(opened.body)?;
                        Ok(Ok((opened.info, opened.offset, opened.length, body)))
                    }
                    Err(error) => Ok(Err(error)),
                }
            })
        });
        let (info, offset, length, body) = opened.await?;
        Ok(Download::new(self.info(info)?, offset, length, body))
    }

    /// Describes a file.
    ///
    /// # Errors
    ///
    /// As for [`Files::get`].
    pub async fn stat(&self, key: &str) -> Result<FileInfo, Error> {
        let key = args::key(key)?;
        let info = self.0.provider.call(move |guest| {
            Box::pin(async move { guest.module.call_stat(guest.store, &key).await })
        });
        self.info(info.await?)
    }

    /// Removes files. One result for each key, in the order of the keys; one
    /// that is not there is removed.
    ///
    /// # Errors
    ///
    /// More than [`MAX_FILES_PER_CALL`] keys, and what kept the provider from
    /// trying at all.
    pub async fn delete<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let keys: Vec<_> = keys.into_iter().map(|key| args::key(key.as_ref())).collect();
        args::at_most("keys", keys.len())?;
        let good: Vec<String> = keys.iter().flatten().cloned().collect();
        let asked = good.len();
        let removed = match asked {
            0 => Vec::new(),
            _ => {
                let removed = self.0.provider.call(move |guest| {
                    Box::pin(async move { guest.module.call_delete(guest.store, &good).await })
                });
                removed.await?
            }
        };
        self.gave(removed.len(), asked, "results for", "keys")?;
        let mut removed = removed.into_iter();
        let result = |key: Result<String, Error>| {
            key.and_then(|_| removed.next().map_or(Ok(()), |result| result.map_err(Error::from)))
        };
        Ok(keys.into_iter().map(result).collect())
    }

    fn gave(&self, gave: usize, asked: usize, what: &str, of: &str) -> Result<(), Error> {
        if gave == asked {
            return Ok(());
        }
        let name = self.0.provider.name();
        Err(contract_fault(format!("{name} gave {gave} {what} {asked} {of}")))
    }

    /// Files whose key begins with `prefix`, at most `limit` (1 to
    /// [`MAX_FILES_PER_CALL`]) of them, after what `cursor` stands for.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for arguments out of bounds, `unsupported` where the
    /// provider cannot list, and what it says.
    pub async fn list(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<FilePage, Error> {
        let (prefix, cursor) = (args::prefix(prefix)?, cursor.map(args::cursor).transpose()?);
        let limit = args::limit(limit)?;
        let page = self.0.provider.call(move |guest| {
            Box::pin(async move {
                let cursor = cursor.as_deref();
                guest.module.call_list(guest.store, &prefix, cursor, limit).await
            })
        });
        let page = page.await?;
        let files = page.files.into_iter().map(|info| self.info(info)).collect::<Result<_, _>>()?;
        Ok(FilePage { files, cursor: page.cursor })
    }

    /// Stores the body of a file once more, under a key of its own: described
    /// as `file` says, or as the first is.
    ///
    /// # Errors
    ///
    /// `not-found`, `unsupported` where the provider cannot copy, and as for
    /// [`Files::put`].
    pub async fn copy(&self, key: &str, file: Option<NewFile>) -> Result<FileInfo, Error> {
        let key = args::key(key)?;
        let file = file.map(NewFile::checked).transpose()?;
        let placed = self.0.provider.call(move |guest| {
            Box::pin(async move {
                let file = file.as_ref();
                let placed = guest.module.call_copy(&mut *guest.store, &key, file).await?;
                body::taken(guest.store.data_mut(), placed)
            })
        });
        self.settle(placed.await?).await
    }

    /// A link with which whoever has it can read the file until it expires.
    ///
    /// # Errors
    ///
    /// `not-found`; `invalid-argument` for an expiry that is not within
    /// [`MIN_FILE_LINK`] and [`MAX_FILE_LINK`]; `unsupported` where the provider
    /// has no links.
    pub async fn download_url(&self, key: &str, expires: Duration) -> Result<String, Error> {
        let key = args::key(key)?;
        let expires_ms = args::expiry(expires)?;
        let asked = key.clone();
        let link = self.0.provider.call(move |guest| {
            Box::pin(async move {
                guest.module.call_download_url(guest.store, &asked, expires_ms).await
            })
        });
        match link.await? {
            contract::Link::Url(url) => Ok(url),
            contract::Link::Hosted => self.0.links.read(self.id(), key, expires_ms),
        }
    }

    /// A key for a file that is yet to come, and a link with which whoever has
    /// it can upload it (PUT, the body as it is, with the headers that are given)
    /// until the link expires.
    ///
    /// # Errors
    ///
    /// As for [`Files::download_url`], and as for [`Files::put`].
    pub async fn upload_url(&self, file: NewFile, expires: Duration) -> Result<UploadUrl, Error> {
        let expires_ms = args::expiry(expires)?;
        let asked = file.clone().checked()?;
        let upload = self.0.provider.call(move |guest| {
            Box::pin(
                async move { guest.module.call_upload_url(guest.store, &asked, expires_ms).await },
            )
        });
        let contract::Upload { key, link, headers } = upload.await?;
        let url = match link {
            contract::Link::Url(url) => url,
            contract::Link::Hosted => {
                self.0.links.write(self.id(), key.clone(), file, expires_ms)?
            }
        };
        Ok(UploadUrl { key, url, headers })
    }

    /// What the token of one of this runtime's links allows and in which of its
    /// stores, if it is genuine and has not expired. It is compared in a time that tells nothing of it.
    ///
    /// # Errors
    ///
    /// `denied`.
    pub fn redeem(&self, token: &str) -> Result<LinkUse, Error> {
        self.0.links.redeem(token)
    }

    /// Says at which URL this runtime is being served, for the URLs of the files
    /// of all its stores; a `server.public_url` in the config stands over it.
    pub fn served_at(&self, base: &str) {
        self.0.links.served_at(base);
    }

    /// A provider's description, made an app's.
    fn info(&self, info: contract::Info) -> Result<FileInfo, Error> {
        let tag = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
        if info.etag.is_empty() || info.etag.len() > 128 || !info.etag.bytes().all(tag) {
            let name = self.0.provider.name();
            return Err(contract_fault(format!("{name} gave an etag that cannot be one")));
        }
        let access = Access::from(info.access);
        let url = match (access, info.url) {
            (Access::Private, _) => None,
            (Access::Public, Some(url)) => Some(url),
            (Access::Public, None) => {
                let store = (!self.0.is_default).then(|| self.id());
                Some(self.0.links.public(store, &info.key))
            }
        };
        let modified = Duration::from_millis(info.modified_ms);
        Ok(FileInfo {
            key: info.key,
            name: info.name,
            size: info.size,
            content_type: info.content_type,
            access,
            cache_control: info.cache_control,
            metadata: info.metadata,
            modified: SystemTime::UNIX_EPOCH
                .checked_add(modified)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            etag: info.etag,
            url,
        })
    }
}

fn contract_fault(text: String) -> Error {
    Error::new(crate::ErrorKind::Internal, text)
}
