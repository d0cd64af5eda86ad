//! Bodies as handles: `stheno:host/streams`.
//!
//! A guest that only passes a handle on costs a table entry; its bytes go from
//! source to sink in the host. A guest that reads or writes does so in chunks of
//! at most [`CHUNK_BYTES`], so that neither side ever holds a body whole.

mod budget;
mod spool;

use stheno_contracts::body::{Reader, Writer};
use stheno_contracts::host::streams::{Host, HostReader, HostWriter};
use stheno_contracts::{Error, HostError};
use tokio::io::AsyncReadExt;
use wasmtime::component::Resource;

use crate::Capabilities;

pub(crate) use budget::Held;
pub use budget::HostBytes;

/// The most that one read or write moves; the contract says so too.
const CHUNK_BYTES: usize = 1024 * 1024;

pub(crate) fn closed() -> Error {
    Error::InvalidArgument("the handle is from an earlier call, which closed it".into())
}

/// A source may fail with an error of the contract inside; anything else is the
/// machine's trouble.
pub(crate) fn typed(error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::Unavailable(format!("reading the body failed: {error}")),
    }
}

impl Host for Capabilities {
    async fn spool(&mut self) -> Result<(Resource<Writer>, Resource<Reader>), HostError> {
        let (writer, reader) = spool::new(self.shared.host_bytes.clone());
        let writer = self.table.push(writer).map_err(|_| self.full())?;
        match self.table.push(reader) {
            Ok(reader) => Ok((writer, reader)),
            Err(_) => {
                self.table.delete(writer)?;
                Err(self.full().into())
            }
        }
    }
}

impl HostReader for Capabilities {
    async fn read(&mut self, reader: Resource<Reader>, max: u32) -> Result<Vec<u8>, HostError> {
        if max == 0 {
            return Err(Error::InvalidArgument("max is 0, must be at least 1".into()).into());
        }
        let mut source = self.table.get_mut(&reader)?.source().ok_or_else(closed)?;
        let room = CHUNK_BYTES.min(max as usize);
        let mut chunk = Vec::with_capacity(room);
        (&mut source).take(room as u64).read_buf(&mut chunk).await.map_err(typed)?;
        Ok(chunk)
    }

    async fn drop(&mut self, reader: Resource<Reader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl HostWriter for Capabilities {
    async fn write(&mut self, writer: Resource<Writer>, bytes: Vec<u8>) -> Result<(), HostError> {
        if bytes.len() > CHUNK_BYTES {
            return Err(Error::InvalidArgument(format!(
                "bytes has {} bytes, at most {CHUNK_BYTES} in one call",
                bytes.len()
            ))
            .into());
        }
        let sink = self.table.get_mut(&writer)?.sink().ok_or_else(closed)?;
        sink.write(bytes).await?;
        Ok(())
    }

    async fn finish(&mut self, writer: Resource<Writer>) -> Result<(), HostError> {
        let sink = self.table.delete(writer)?.into_sink().ok_or_else(closed)?;
        sink.finish().await?;
        Ok(())
    }

    async fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}
