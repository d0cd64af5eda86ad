//! `stheno:redis`: servers that the operator granted, each seen through a prefix.
//!
//! # What keeps a guest within its prefix
//!
//! A guest writes commands as lists of bytes. Nothing of them is passed on that
//! was not understood: [`admit`] looks the command up in the list of those that
//! are sent ([`commands`]), finds out which arguments are keys, and writes the
//! command anew with the prefix before each of them. What is not in the list, or
//! could be read in two ways, is refused before anything is sent, and one refused
//! command refuses the whole call. The connection knows only whole commands with
//! counted arguments, so no byte of an argument can become another command.
//!
//! Replies that name keys ([`reply`]) lose the prefix on the way back; a key
//! without it in a reply is an error and is not shown.
//!
//! # Parts
//!
//! - [`commands`]: the list, and where keys stand.
//! - [`admit`]: from arguments to a command that may be sent.
//! - [`reply`]: from the server's reply to what the guest is told.
//! - [`bindings`]: what was granted; quotas, deadline, scripts, transactions.
//! - [`link`]: connections; [`meter`]: how large a reply may be.
//! - [`acl`]: the rule by which the server enforces the same.
//!
//! This file is the seam to the bindings and holds no logic.

mod acl;
mod admit;
mod bindings;
mod commands;
mod explain;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod link;
mod meter;
mod reply;
mod server_side;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use stheno_contracts::redis::{Condition, Handle, Host, HostBinding, Part};
use stheno_contracts::{Error, HostError};
use wasmtime::component::Resource;

use crate::Capabilities;

pub use acl::acl_line;
pub(crate) use bindings::Binding;
pub use bindings::Redis;
pub(crate) use explain::{powers, rule};
pub use server_side::{ServerSide, server_side};

type Command = Vec<Vec<u8>>;

impl Capabilities {
    fn redis(&self, handle: &Resource<Handle>) -> Result<Arc<Binding>, HostError> {
        let Handle(place) = self.table.get(handle)?;
        let binding = self.redis.get(*place).map(Arc::clone);
        binding.ok_or_else(|| HostError::Trap(wasmtime::Error::msg("a handle without a binding")))
    }
}

impl Host for Capabilities {
    fn open(&mut self, label: String) -> Result<Resource<Handle>, HostError> {
        let opened = self.shared.redis.open(&label);
        let binding = self.shared.denials.redis.told(opened)?;
        let place = self.redis.iter().position(|open| Arc::ptr_eq(open, &binding));
        let place = place.unwrap_or_else(|| {
            self.redis.push(binding);
            self.redis.len() - 1
        });
        let handle = self.table.push(Handle(place)).map_err(|_| self.full())?;
        Ok(handle)
    }
}

impl HostBinding for Capabilities {
    async fn call(
        &mut self,
        binding: Resource<Handle>,
        command: Command,
    ) -> Result<Vec<Part>, HostError> {
        Ok(self.redis(&binding)?.call(command).await?)
    }

    async fn pipeline(
        &mut self,
        binding: Resource<Handle>,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Vec<Part>, Error>>, HostError> {
        Ok(self.redis(&binding)?.pipeline(commands).await?)
    }

    async fn transaction(
        &mut self,
        binding: Resource<Handle>,
        conditions: Vec<Condition>,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Vec<Part>, Error>>, HostError> {
        Ok(self.redis(&binding)?.transaction(conditions, commands).await?)
    }

    fn load_script(
        &mut self,
        binding: Resource<Handle>,
        source: String,
    ) -> Result<String, HostError> {
        Ok(self.redis(&binding)?.load_script(source)?)
    }

    async fn drop(&mut self, binding: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(binding)?;
        Ok(())
    }
}
