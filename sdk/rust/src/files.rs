//! The files module: implement [`Files`], then
//! [`export_files_provider!`](crate::export_files_provider).
//!
//! What each function guarantees is written in the contract,
//! `wit/deps/files/files.wit`; the short form is repeated here. No function
//! waits for a body: it says where the body goes, and the host moves it.

use crate::bindings::files::exports::stheno::files::files as wit;
use crate::provider::{Component, Hosted, Lifecycle, Result};

pub use crate::bindings::base::stheno::host::streams::{Reader, Writer};
pub use wit::{Access, Info, Link, NewFile, Opened, Page, Placed, Pour, Range, Span, Upload};

/// A provider of the files module. The host has checked the lengths of names,
/// keys and metadata before a call comes here; which of them it can hold, the
/// provider says.
pub trait Files: Lifecycle {
    /// Stores a file under a key of its own, or under `key`, which
    /// [`Files::upload_url`] gave.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a name or key that it cannot hold, `conflict` if
    /// `key` is taken.
    fn put(&mut self, file: NewFile, key: Option<String>, body: Reader) -> Result<Placed>;

    /// Opens a file, or a part of it.
    ///
    /// # Errors
    ///
    /// `not-found`; `invalid-argument` if the range has no byte of it;
    /// `unsupported` for a range without the feature `ranges`.
    fn get(&mut self, key: String, range: Option<Range>) -> Result<Opened>;

    /// Describes a file.
    ///
    /// # Errors
    ///
    /// `not-found`.
    fn stat(&mut self, key: String) -> Result<Info>;

    /// Removes files, with one result per key; one that is not there is no
    /// error.
    ///
    /// # Errors
    ///
    /// Only what kept it from trying at all.
    fn delete(&mut self, keys: Vec<String>) -> Result<Vec<Result<()>>>;

    /// Files whose key begins with `prefix`.
    ///
    /// # Errors
    ///
    /// `invalid-argument` for a cursor that it did not give, `unsupported`
    /// without the feature `list`.
    fn list(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Result<Page>;

    /// Stores a body once more under a key of its own.
    ///
    /// # Errors
    ///
    /// `not-found`; `unsupported` without the feature `copy`.
    fn copy(&mut self, key: String, file: Option<NewFile>) -> Result<Placed>;

    /// A link to read a file.
    ///
    /// # Errors
    ///
    /// `not-found`; `unsupported` without the feature `links`.
    fn download_url(&mut self, key: String, expires_ms: u64) -> Result<Link>;

    /// A key for a file that is yet to come, and a link to upload it with.
    ///
    /// # Errors
    ///
    /// As for [`Files::put`]; `unsupported` without the feature `links`.
    fn upload_url(&mut self, file: NewFile, expires_ms: u64) -> Result<Upload>;
}

impl<P: Files + Hosted> wit::Guest for Component<P> {
    fn put(file: NewFile, key: Option<String>, body: Reader) -> Result<Placed> {
        P::call(|p| p.put(file, key, body))
    }

    fn get(key: String, range: Option<Range>) -> Result<Opened> {
        P::call(|p| p.get(key, range))
    }

    fn stat(key: String) -> Result<Info> {
        P::call(|p| p.stat(key))
    }

    fn delete(keys: Vec<String>) -> Result<Vec<Result<()>>> {
        P::call(|p| p.delete(keys))
    }

    fn list(prefix: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        P::call(|p| p.list(prefix, cursor, limit))
    }

    fn copy(key: String, file: Option<NewFile>) -> Result<Placed> {
        P::call(|p| p.copy(key, file))
    }

    fn download_url(key: String, expires_ms: u64) -> Result<Link> {
        P::call(|p| p.download_url(key, expires_ms))
    }

    fn upload_url(file: NewFile, expires_ms: u64) -> Result<Upload> {
        P::call(|p| p.upload_url(file, expires_ms))
    }
}

/// Makes the component export the files world, served by the given type, which
/// implements [`Lifecycle`](crate::Lifecycle) and [`Files`].
#[macro_export]
macro_rules! export_files_provider {
    ($provider:ty) => {
        $crate::export_lifecycle!($provider);
        const _: () = {
            type Exported = $crate::provider::Component<$provider>;
            $crate::bindings::files::export_files_part!(Exported with_types_in $crate::bindings::files);
        };
    };
}
