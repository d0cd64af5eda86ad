//! `stheno:objects`: buckets that the operator granted, each seen through a
//! prefix.
//!
//! # What keeps a guest within its prefix
//!
//! A guest names objects by keys. Each is parsed once ([`key`]) into a type that
//! holds the prefix in front, and nothing else is ever put into a request: a key
//! whose steps are empty or climb, or would once somebody decodes them, is
//! refused before anything is sent. The bucket comes from the grant alone. The
//! source of a copy is made from such a key, percent-encoded as a whole; a link
//! is signed for such a key; and what a listing gives is passed on only if it
//! begins with the prefix, which it loses on the way.
//!
//! What becomes a header ([`describe`]) has no character that could end one.
//!
//! # Bodies
//!
//! Both ways a body is a handle. One that is written ([`upload`]) is held in
//! parts ([`part`]), two at most at the same time, on the provider's account of host
//! bytes; it becomes visible with its last byte, and otherwise its parts are removed.
//! One that is read ([`download`]) is held piece by piece, as it comes.
//!
//! # Parts
//!
//! - [`key`], [`describe`]: what a guest says, parsed.
//! - [`bindings`]: what was granted; quotas and deadlines.
//! - [`requests`]: what is asked of the server, but for bodies that are written.
//! - [`client`]: the SDK's client of a binding; [`answers`]: how much it reads;
//!   [`failure`]: its errors.
//! - [`explain`]: what a grant amounts to.
//!
//! This file is the seam to the bindings and holds no logic.

mod answers;
mod bindings;
mod client;
mod describe;
mod download;
mod explain;
mod failure;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod key;
mod part;
mod requests;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use stheno_contracts::body::{Reader, Writer};
use stheno_contracts::objects::{
    Description, Existing, Handle, Host, HostBinding, Info, Link, Opened, Page, Range,
};
use stheno_contracts::{Error, HostError};
use wasmtime::component::Resource;

use crate::Capabilities;

pub(crate) use bindings::Binding;
pub use bindings::Objects;
pub(crate) use explain::{powers, rule};

impl Capabilities {
    fn bucket(&self, handle: &Resource<Handle>) -> Result<Arc<Binding>, HostError> {
        let Handle(place) = self.table.get(handle)?;
        let binding = self.objects.get(*place).map(Arc::clone);
        binding.ok_or_else(|| HostError::Trap(wasmtime::Error::msg("a handle without a binding")))
    }
}

impl Host for Capabilities {
    fn open(&mut self, label: String) -> Result<Resource<Handle>, HostError> {
        let opened = self.shared.objects.open(&label);
        let binding = self.shared.denials.objects.told(opened)?;
        let place = self.objects.iter().position(|open| Arc::ptr_eq(open, &binding));
        let place = place.unwrap_or_else(|| {
            self.objects.push(binding);
            self.objects.len() - 1
        });
        let handle = self.table.push(Handle(place)).map_err(|_| self.full())?;
        Ok(handle)
    }
}

impl HostBinding for Capabilities {
    async fn put(
        &mut self,
        binding: Resource<Handle>,
        key: String,
        description: Description,
        existing: Existing,
        body: Resource<Reader>,
    ) -> Result<(), HostError> {
        // The handle is the host's now, whatever comes of it.
        let body = self.table.delete(body)?;
        let account = self.shared.host_bytes.clone();
        Ok(self.bucket(&binding)?.put(&key, description, existing, body, &account).await?)
    }

    async fn create(
        &mut self,
        binding: Resource<Handle>,
        key: String,
        description: Description,
        existing: Existing,
    ) -> Result<Resource<Writer>, HostError> {
        let account = self.shared.host_bytes.clone();
        let upload = self.bucket(&binding)?.create(&key, description, existing, &account).await?;
        Ok(self.table.push(Writer::new(upload)).map_err(|_| self.full())?)
    }

    async fn get(
        &mut self,
        binding: Resource<Handle>,
        key: String,
        range: Option<Range>,
    ) -> Result<Opened, HostError> {
        let got = self.bucket(&binding)?.get(&key, range).await?;
        let body = self.push_reader(Reader::new(got.body)).map_err(|_| self.full())?;
        Ok(Opened { info: got.info, offset: got.offset, length: got.length, body })
    }

    async fn head(&mut self, binding: Resource<Handle>, key: String) -> Result<Info, HostError> {
        Ok(self.bucket(&binding)?.head(&key).await?)
    }

    async fn head_many(
        &mut self,
        binding: Resource<Handle>,
        keys: Vec<String>,
    ) -> Result<Vec<Result<Info, Error>>, HostError> {
        Ok(self.bucket(&binding)?.head_many(&keys).await?)
    }

    async fn list(
        &mut self,
        binding: Resource<Handle>,
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<Page, HostError> {
        Ok(self.bucket(&binding)?.list(&prefix, cursor.as_deref(), limit).await?)
    }

    async fn copy(
        &mut self,
        binding: Resource<Handle>,
        key: String,
        to: String,
        description: Option<Description>,
    ) -> Result<(), HostError> {
        Ok(self.bucket(&binding)?.copy(&key, &to, description).await?)
    }

    async fn delete(
        &mut self,
        binding: Resource<Handle>,
        keys: Vec<String>,
    ) -> Result<Vec<Result<(), Error>>, HostError> {
        Ok(self.bucket(&binding)?.delete(&keys).await?)
    }

    async fn get_link(
        &mut self,
        binding: Resource<Handle>,
        key: String,
        expires_ms: u64,
    ) -> Result<Link, HostError> {
        Ok(self.bucket(&binding)?.get_link(&key, expires_ms).await?)
    }

    async fn put_link(
        &mut self,
        binding: Resource<Handle>,
        key: String,
        description: Description,
        existing: Existing,
        expires_ms: u64,
    ) -> Result<Link, HostError> {
        Ok(self.bucket(&binding)?.put_link(&key, description, existing, expires_ms).await?)
    }

    async fn drop(&mut self, binding: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(binding)?;
        Ok(())
    }
}
