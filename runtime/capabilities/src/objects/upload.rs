//! Bodies on their way to the server.
//!
//! A body that fits into one part goes in one request. A larger one goes in
//! parts, some at a time, which the server puts together at the end. Until then
//! nothing is visible, and whatever becomes of the body, the parts are removed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Config;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use stheno_contracts::Error;
use stheno_contracts::body::Sink;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::bindings::Binding;
use super::describe::{Described, with_description};
use super::key::Key;
use super::part::{Filling, Part, part_bytes};
use crate::HostBytes;

/// How many parts of one body are held: on their way, or being filled. The network is
/// slower than who fills them, so mostly two are on their way.
const AT_ONCE: usize = 2;
/// How often it is tried to remove the parts of a body that came to nothing.
const REMOVALS: u32 = 3;

/// Where a body goes.
#[derive(Clone)]
struct Target {
    binding: Arc<Binding>,
    client: Client,
    key: Key,
    described: Described,
    /// Whether what is under the key stays.
    keep: bool,
}

/// A new object being written.
pub(super) struct Upload {
    target: Target,
    filling: Filling,
    /// The bytes of the body so far.
    size: u64,
    parts: Option<Parts>,
    failed: bool,
}

/// What was sent of a body in parts. Dropped before it was put together, it is
/// removed from the server.
struct Parts {
    target: Target,
    id: String,
    next: i32,
    sending: JoinSet<Result<CompletedPart, Error>>,
    sent: Vec<CompletedPart>,
    whole: bool,
    runtime: Handle,
}

impl Upload {
    pub(super) fn new(
        binding: Arc<Binding>,
        client: Client,
        key: Key,
        described: Described,
        keep: bool,
        account: &HostBytes,
    ) -> Self {
        let filling = Filling::new(part_bytes(binding.grant.max_object_size), account.clone());
        let target = Target { binding, client, key, described, keep };
        Self { target, filling, size: 0, parts: None, failed: false }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let most = self.target.binding.grant.max_object_size;
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > most.get().as_u64() {
            return Err(Error::InvalidArgument(format!(
                "the body has more bytes than max_object_size = \"{most}\" of the binding"
            )));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (next, after) = rest.split_at(rest.len().min(self.filling.room()));
            rest = after;
            self.hold(next).await?;
            if self.filling.room() == 0 {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Adds to the part that is being filled. It first waits for parts that are on
    /// their way, where those are all that may be held or the provider's account is
    /// empty.
    async fn hold(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(parts) = &mut self.parts
            && self.filling.is_empty()
        {
            while parts.sending.len() >= AT_ONCE {
                parts.one_sent().await?;
            }
        }
        loop {
            let Err(error) = self.filling.add(bytes) else { return Ok(()) };
            match &mut self.parts {
                Some(parts) if !parts.sending.is_empty() => parts.one_sent().await?,
                _ => return Err(error),
            }
        }
    }

    /// Sends the part that is full, as one of several.
    async fn send(&mut self) -> Result<(), Error> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            parts => parts.insert(Parts::begin(self.target.clone()).await?),
        };
        parts.send(self.filling.part());
        Ok(())
    }

    async fn complete(&mut self) -> Result<(), Error> {
        if self.parts.is_none() {
            return self.target.put(self.filling.part()).await;
        }
        if !self.filling.is_empty() {
            self.send().await?;
        }
        match &mut self.parts {
            Some(parts) => parts.put_together().await,
            None => Ok(()),
        }
    }
}

impl Sink for Upload {
    fn write(
        &mut self,
        bytes: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + '_>> {
        Box::pin(async move {
            if self.failed {
                return Err(broken());
            }
            // Also if the caller goes away in the middle.
            self.failed = true;
            self.take(&bytes).await?;
            self.failed = false;
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> {
        Box::pin(async move { if self.failed { Err(broken()) } else { self.complete().await } })
    }
}

fn broken() -> Error {
    Error::Conflict("an earlier write failed, so the body cannot be made whole".into())
}

/// One that is not the same when it is sent again is sent once.
fn once() -> aws_sdk_s3::config::Builder {
    Config::builder().retry_config(RetryConfig::disabled())
}

impl Target {
    fn if_none(&self) -> Option<String> {
        self.keep.then(|| "*".to_owned())
    }

    /// Stores a body in one request.
    async fn put(&self, part: Part) -> Result<(), Error> {
        let request = self.client.put_object().bucket(self.binding.bucket()).key(self.key.whole());
        let request = with_description!(request, self.described.clone())
            .set_if_none_match(self.if_none())
            .content_length(part.content_length())
            .body(ByteStream::new(part.body()));
        let _permit = self.binding.turn().await?;
        if self.keep {
            let request = request.customize().config_override(once());
            self.binding.within(self.key.own(), request.send()).await?;
        } else {
            self.binding.within(self.key.own(), request.send()).await?;
        }
        Ok(())
    }

    /// Begins a body in parts, and gives its id on the server.
    async fn begin(&self) -> Result<String, Error> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(self.binding.bucket())
            .key(self.key.whole());
        // Sent again after an answer that was lost, it would begin a second one, and
        // nobody knew the id of the first.
        let request =
            with_description!(request, self.described.clone()).customize().config_override(once());
        let _permit = self.binding.turn().await?;
        let begun = self.binding.within(self.key.own(), request.send()).await?;
        begun.upload_id.ok_or_else(|| {
            Error::Unavailable("the server began an upload and did not say which".into())
        })
    }

    /// Sends a part.
    async fn send(&self, id: &str, number: i32, part: Part) -> Result<CompletedPart, Error> {
        let request = self
            .client
            .upload_part()
            .bucket(self.binding.bucket())
            .key(self.key.whole())
            .upload_id(id)
            .part_number(number)
            .content_length(part.content_length())
            .body(ByteStream::new(part.body()));
        let _permit = self.binding.turn().await?;
        let sent = self.binding.within(self.key.own(), request.send()).await?;
        Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build())
    }

    /// Removes what was sent. What cannot be removed costs its owner money, so
    /// that is said.
    async fn remove(&self, id: &str) {
        for attempt in 1..=REMOVALS {
            let request = self
                .client
                .abort_multipart_upload()
                .bucket(self.binding.bucket())
                .key(self.key.whole())
                .upload_id(id);
            let removed = async {
                match request.send().await {
                    // Removed before, or put together although nobody heard of it.
                    Err(error)
                        if error.as_service_error().is_some_and(|it| it.is_no_such_upload()) =>
                    {
                        Ok(())
                    }
                    removed => removed.map(drop),
                }
            };
            match self.binding.within(self.key.own(), removed).await {
                Ok(()) => return,
                Err(error) if attempt == REMOVALS => {
                    tracing::warn!(
                        key = self.key.own(),
                        error = error.message(),
                        "parts of a body that came to nothing may be left in the bucket"
                    );
                }
                Err(_) => tokio::time::sleep(Duration::from_secs(1) * attempt).await,
            }
        }
    }
}

impl Parts {
    async fn begin(target: Target) -> Result<Self, Error> {
        let (tell, told) = oneshot::channel();
        // In a task of its own: if whoever waits goes away before the server has
        // answered, there is still somebody who knows what to remove.
        tokio::spawn({
            let target = target.clone();
            async move {
                if let Err(Ok(id)) = tell.send(target.begin().await) {
                    target.remove(&id).await;
                }
            }
        });
        let id = told.await.map_err(|_| Error::Unavailable("the host is stopping".into()))??;
        Ok(Self {
            target,
            id,
            next: 1,
            sending: JoinSet::new(),
            sent: Vec::new(),
            whole: false,
            runtime: Handle::current(),
        })
    }

    fn send(&mut self, part: Part) {
        let (target, id, number) = (self.target.clone(), self.id.clone(), self.next);
        self.next += 1;
        self.sending.spawn(async move { target.send(&id, number, part).await });
    }

    /// Waits for one of the parts that are on their way.
    async fn one_sent(&mut self) -> Result<(), Error> {
        match self.sending.join_next().await {
            Some(Ok(sent)) => self.sent.push(sent?),
            Some(Err(stopped)) => {
                return Err(Error::Unavailable(format!("the host is stopping: {stopped}")));
            }
            None => {}
        }
        Ok(())
    }

    async fn put_together(&mut self) -> Result<(), Error> {
        while !self.sending.is_empty() {
            self.one_sent().await?;
        }
        let mut parts = std::mem::take(&mut self.sent);
        parts.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let Target { binding, client, key, .. } = &self.target;
        let request = client
            .complete_multipart_upload()
            .bucket(binding.bucket())
            .key(key.whole())
            .upload_id(&self.id)
            .multipart_upload(parts)
            .set_if_none_match(self.target.if_none())
            .customize()
            .config_override(once());
        let _permit = binding.turn().await?;
        binding.within(key.own(), request.send()).await?;
        self.whole = true;
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if self.whole {
            return;
        }
        let (target, id) = (self.target.clone(), std::mem::take(&mut self.id));
        let mut sending = std::mem::take(&mut self.sending);
        self.runtime.spawn(async move {
            // A part that arrives after the removal may stay, so those that are on
            // their way go on.
            while sending.join_next().await.is_some() {}
            target.remove(&id).await;
        });
    }
}
