//! What is asked of the server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{Delete, MetadataDirective, Object, ObjectIdentifier};
use futures_util::StreamExt as _;
use stheno_config::format_duration;
use stheno_contracts::Error;
use stheno_contracts::body::{Reader, Sink};
use stheno_contracts::objects::{Description, Existing, Info, Link, Listed, Page, Range};
use tokio::io::AsyncReadExt;
use tracing::instrument::{WithDispatch, WithSubscriber as _};
use tracing::subscriber::NoSubscriber;

use super::bindings::Binding;
use super::describe::with_description;
use super::download::Download;
use super::key::{Key, list_cursor, list_prefix};
use super::upload::Upload;
use crate::HostBytes;

/// What is moved at once from a reader.
const CHUNK_BYTES: usize = 256 << 10;
/// Where the last byte of any object is, at most: servers count in signed numbers.
const LAST_BYTE: u64 = i64::MAX.unsigned_abs();
/// The most keys of one request.
const KEYS: usize = 1_000;
/// How many objects are asked about at the same time.
const HEADS_AT_ONCE: usize = 32;

/// The SDK traces what it signs, and of a link the session token is a part of that.
fn untraced<F: Future>(signing: F) -> WithDispatch<F> {
    signing.with_subscriber(NoSubscriber::new())
}

/// An open object.
pub(super) struct Got {
    pub(super) info: Info,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) body: Download,
}

impl Binding {
    /// Stores the body of a reader.
    pub(super) async fn put(
        self: &Arc<Self>,
        key: &str,
        description: Description,
        existing: Existing,
        mut body: Reader,
        account: &HostBytes,
    ) -> Result<(), Error> {
        let mut upload = self.create(key, description, existing, account).await?;
        let mut source = body.source().ok_or_else(crate::streams::closed)?;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let mut rest = (&mut source).take(CHUNK_BYTES as u64);
            while rest.read_buf(&mut chunk).await.map_err(crate::streams::typed)? > 0 {}
            let ended = chunk.len() < CHUNK_BYTES;
            if !chunk.is_empty() {
                upload.write(chunk).await?;
            }
            if ended {
                return Box::new(upload).finish().await;
            }
        }
    }

    /// Begins an object.
    pub(super) async fn create(
        self: &Arc<Self>,
        key: &str,
        description: Description,
        existing: Existing,
        account: &HostBytes,
    ) -> Result<Upload, Error> {
        let key = self.key("key", key)?;
        let described = self.described(description)?;
        let client = self.client().await?.clone();
        let keep = existing == Existing::Keep;
        Ok(Upload::new(Arc::clone(self), client, key, described, keep, account))
    }

    /// Opens an object.
    pub(super) async fn get(&self, key: &str, range: Option<Range>) -> Result<Got, Error> {
        let key = self.key("key", key)?;
        let header = range.as_ref().map(|range| header(&key, range)).transpose()?;
        let permit = self.begin()?;
        let client = self.client().await?;
        let request = client.get_object().bucket(self.bucket()).key(key.whole()).set_range(header);
        let mut answer = self.within(key.own(), request.send()).await?;
        let odd = || Error::Unavailable("the server answered with another part of the body".into());
        let length = whole(answer.content_length).ok_or_else(odd)?;
        let (offset, size) = match (&range, answer.content_range.as_deref().map(part)) {
            (None, _) => (0, length),
            // A server that knows no ranges gives the whole.
            (Some(_), None) => return Err(odd()),
            (Some(_), Some(part)) => part.ok_or_else(odd)?,
        };
        let fits = match &range {
            None => true,
            Some(Range::Span(span)) => {
                offset == span.offset && span.length.is_none_or(|most| length <= most)
            }
            Some(Range::Last(most)) => length <= *most && offset.checked_add(length) == Some(size),
        };
        if !fits || offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(odd());
        }
        let body = std::mem::take(&mut answer.body);
        let timeout = self.grant.timeout.get();
        let body = Download::new(body, length, timeout, self.asked("").place, permit);
        Ok(Got { info: described_by(answer, size), offset, length, body })
    }

    /// Describes an object.
    pub(super) async fn head(&self, key: &str) -> Result<Info, Error> {
        let key = self.key("key", key)?;
        let _permit = self.begin()?;
        self.look(&key).await
    }

    /// Describes objects.
    pub(super) async fn head_many(
        &self,
        keys: &[String],
    ) -> Result<Vec<Result<Info, Error>>, Error> {
        at_most(keys)?;
        let head = |key: String| async move {
            let key = self.key("key", &key)?;
            let _permit = self.turn().await?;
            self.look(&key).await
        };
        let heads = keys.iter().cloned().map(head);
        Ok(futures_util::stream::iter(heads).buffered(HEADS_AT_ONCE).collect().await)
    }

    async fn look(&self, key: &Key) -> Result<Info, Error> {
        let client = self.client().await?;
        let request = client.head_object().bucket(self.bucket()).key(key.whole());
        let answer = self.within(key.own(), request.send()).await?;
        Ok(Info {
            size: whole(answer.content_length).unwrap_or_default(),
            etag: etag(answer.e_tag),
            modified_ms: millis(answer.last_modified),
            content_type: answer.content_type,
            cache_control: answer.cache_control,
            content_disposition: answer.content_disposition,
            metadata: sorted(answer.metadata),
        })
    }

    /// Objects whose key begins with `prefix`.
    pub(super) async fn list(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page, Error> {
        let limit = match i32::try_from(limit) {
            Ok(limit @ 1..=1_000) => Ok(limit),
            _ => Err(Error::InvalidArgument(format!("limit is {limit}, must be 1 to 1000"))),
        };
        let limit = limit?;
        let below = self.denials.told(list_prefix(self.prefix(), prefix))?;
        let after = cursor.map(|cursor| list_cursor(self.prefix(), cursor)).transpose();
        let after = self.denials.told(after)?;
        let _permit = self.begin()?;
        let client = self.client().await?;
        let request = client
            .list_objects_v2()
            .bucket(self.bucket())
            .prefix(&below)
            .set_start_after(after)
            .max_keys(limit);
        let answer = self.within(prefix, request.send()).await?;
        let more = answer.is_truncated.unwrap_or_default();
        let odd = |what: &str| Error::Unavailable(format!("the server {what}"));
        let mut objects = Vec::new();
        let mut last = None;
        for object in answer.contents.unwrap_or_default() {
            let Object { key: Some(whole_key), .. } = &object else { continue };
            let own = whole_key.strip_prefix(self.prefix());
            let Some(own) = own.filter(|_| whole_key.starts_with(&below)) else {
                return Err(odd("listed what was not asked for"));
            };
            last = Some(own.to_owned());
            // Others may have stored what cannot be named here.
            if let Ok(key) = Key::parse(self.prefix(), "key", own) {
                objects.push(Listed {
                    key: key.own().to_owned(),
                    size: whole(object.size).unwrap_or_default(),
                    etag: etag(object.e_tag),
                    modified_ms: millis(object.last_modified),
                });
            }
        }
        match last {
            None if more => Err(odd("says that a listing goes on, and not where")),
            last => Ok(Page { objects, cursor: last.filter(|_| more) }),
        }
    }

    /// Stores an object once more.
    pub(super) async fn copy(
        &self,
        key: &str,
        to: &str,
        description: Option<Description>,
    ) -> Result<(), Error> {
        let key = self.key("key", key)?;
        let to = self.key("to", to)?;
        let described = description.map(|it| self.described(it)).transpose()?;
        let _permit = self.begin()?;
        let client = self.client().await?;
        let mut request = client
            .copy_object()
            .bucket(self.bucket())
            .key(to.whole())
            .copy_source(key.as_source(self.bucket()));
        if let Some(described) = described {
            let replaced = request.metadata_directive(MetadataDirective::Replace);
            request = with_description!(replaced, described);
        }
        self.within(key.own(), request.send()).await?;
        Ok(())
    }

    /// Removes objects.
    pub(super) async fn delete(&self, keys: &[String]) -> Result<Vec<Result<(), Error>>, Error> {
        at_most(keys)?;
        let keys: Vec<_> = keys.iter().map(|key| self.key("key", key)).collect();
        let named: Result<Vec<_>, _> = keys
            .iter()
            .flatten()
            .map(|key| ObjectIdentifier::builder().key(key.whole()).build())
            .collect();
        let unbuilt = |_| Error::Internal("the request could not be made".into());
        let named = named.map_err(unbuilt)?;
        let mut failures = BTreeMap::new();
        if !named.is_empty() {
            let delete = Delete::builder().set_objects(Some(named)).quiet(true).build();
            let _permit = self.begin()?;
            let client = self.client().await?;
            let request =
                client.delete_objects().bucket(self.bucket()).delete(delete.map_err(unbuilt)?);
            let answer = self.within("", request.send()).await?;
            for failure in answer.errors.unwrap_or_default() {
                failures.insert(failure.key.unwrap_or_default(), failure.code.unwrap_or_default());
            }
        }
        let outcome = |key: Result<Key, Error>| {
            let key = key?;
            match failures.get(key.whole()).or_else(|| failures.get("")) {
                None => Ok(()),
                Some(code) => match self.asked(key.own()).answered(status(code), code) {
                    Error::NotFound(_) => Ok(()),
                    error => Err(error),
                },
            }
        };
        Ok(keys.into_iter().map(outcome).collect())
    }

    /// A link to read an object.
    pub(super) async fn get_link(&self, key: &str, expires_ms: u64) -> Result<Link, Error> {
        let key = self.key("key", key)?;
        let expiry = self.expiry(expires_ms)?;
        let _permit = self.begin()?;
        let client = self.client().await?;
        let request = client.get_object().bucket(self.bucket()).key(key.whole());
        Ok(link(&self.within(key.own(), untraced(request.presigned(expiry))).await?))
    }

    /// A link to store an object.
    pub(super) async fn put_link(
        &self,
        key: &str,
        description: Description,
        existing: Existing,
        expires_ms: u64,
    ) -> Result<Link, Error> {
        let key = self.key("key", key)?;
        let described = self.described(description)?;
        let expiry = self.expiry(expires_ms)?;
        let _permit = self.begin()?;
        let client = self.client().await?;
        let request = client.put_object().bucket(self.bucket()).key(key.whole());
        let request = with_description!(request, described)
            .set_if_none_match((existing == Existing::Keep).then(|| "*".to_owned()));
        Ok(link(&self.within(key.own(), untraced(request.presigned(expiry))).await?))
    }

    fn expiry(&self, expires_ms: u64) -> Result<PresigningConfig, Error> {
        let most = self.grant.max_link_expiry.get();
        let expiry = Duration::from_millis(expires_ms);
        let wrong = || {
            Error::InvalidArgument(format!(
                "expires-ms is {expires_ms}, must be from 1000 to {} (max_link_expiry = \"{}\")",
                most.as_millis(),
                format_duration(most)
            ))
        };
        if expiry < Duration::from_secs(1) || expiry > most {
            return Err(wrong());
        }
        PresigningConfig::expires_in(expiry).map_err(|_| wrong())
    }
}

fn at_most(keys: &[String]) -> Result<(), Error> {
    if keys.len() <= KEYS {
        return Ok(());
    }
    Err(Error::InvalidArgument(format!("keys has {} keys, at most {KEYS}", keys.len())))
}

/// The header that asks for a part.
fn header(key: &Key, range: &Range) -> Result<String, Error> {
    let nothing = || Error::InvalidArgument(format!("the range has no byte of {:?}", key.own()));
    match range {
        Range::Last(0) => Err(nothing()),
        Range::Span(span) if span.offset > LAST_BYTE => Err(nothing()),
        Range::Last(length) => Ok(format!("bytes=-{}", length.min(&LAST_BYTE))),
        Range::Span(span) => match span.length {
            None => Ok(format!("bytes={}-", span.offset)),
            Some(0) => Err(nothing()),
            Some(length) => {
                let end = span.offset.saturating_add(length - 1).min(LAST_BYTE);
                Ok(format!("bytes={}-{end}", span.offset))
            }
        },
    }
}

/// Where the part begins that a server gives, and the size of the whole:
/// `bytes 0-9/100`.
fn part(header: &str) -> Option<(u64, u64)> {
    let (range, size) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (offset, _) = range.split_once('-')?;
    Some((offset.parse().ok()?, size.parse().ok()?))
}

fn described_by(answer: GetObjectOutput, size: u64) -> Info {
    Info {
        size,
        etag: etag(answer.e_tag),
        modified_ms: millis(answer.last_modified),
        content_type: answer.content_type,
        cache_control: answer.cache_control,
        content_disposition: answer.content_disposition,
        metadata: sorted(answer.metadata),
    }
}

fn link(request: &PresignedRequest) -> Link {
    let headers = request.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Link { url: request.uri().to_owned(), headers: headers.collect() }
}

fn whole(count: Option<i64>) -> Option<u64> {
    u64::try_from(count?).ok()
}

fn etag(etag: Option<String>) -> String {
    let etag = etag.unwrap_or_default();
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

fn millis(time: Option<DateTime>) -> u64 {
    let millis = time.and_then(|time| time.to_millis().ok());
    millis.and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default()
}

fn sorted(metadata: Option<std::collections::HashMap<String, String>>) -> Vec<(String, String)> {
    let mut metadata: Vec<_> = metadata.unwrap_or_default().into_iter().collect();
    metadata.sort();
    metadata
}

/// The status that goes with a code which came without one.
fn status(code: &str) -> u16 {
    match code {
        "AccessDenied" => 403,
        "NoSuchKey" => 404,
        "NotImplemented" => 501,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_a_server_gives_is_read_or_refused() {
        assert_eq!(part("bytes 5-9/100"), Some((5, 100)));
        for odd in ["", "bytes */100", "bytes 5-9", "items 5-9/100", "bytes 5-9/*", "bytes -/1"] {
            assert_eq!(part(odd), None, "{odd:?}");
        }
    }
}
