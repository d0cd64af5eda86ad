//! Bodies on their way.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use stheno_contracts::Error as Contract;
use stheno_contracts::body::{Reader, Writer};
use stheno_contracts::files as contract;
use stheno_engine::{Called, Slot};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::FileInfo;
use crate::Error;

/// What is moved at once. A sink may write one such chunk while the next is
/// read, so a transfer holds two or three of them.
const CHUNK_BYTES: usize = 512 * 1024;

/// Where a provider put a file, in the host's own terms.
pub(super) struct Placed {
    pub(super) key: String,
    pub(super) rest: Option<Pour>,
}

/// A body to be moved, and what follows it.
pub(super) struct Pour {
    body: Reader,
    into: Writer,
    tail: Vec<u8>,
}

/// Takes what a guest handed over out of its store, so that it outlives the
/// call.
pub(super) fn taken(slot: &mut Slot, placed: Result<contract::Placed, Contract>) -> Called<Placed> {
    let placed = match placed {
        Ok(placed) => placed,
        Err(error) => return Ok(Err(error)),
    };
    let rest = match placed.rest {
        None => None,
        Some(pour) => Some(Pour {
            body: slot.take_reader(pour.body)?,
            into: slot.take_writer(pour.into)?,
            tail: pour.tail,
        }),
    };
    Ok(Ok(Placed { key: placed.key, rest }))
}

/// A source may fail with an error of the contract inside.
fn unread(error: io::Error) -> Error {
    match error.downcast::<Contract>() {
        Ok(error) => error.into(),
        Err(error) => Contract::Unavailable(format!("the body could not be read: {error}")).into(),
    }
}

fn closed() -> Error {
    super::contract_fault("the provider passed on a handle that was closed".to_owned())
}

impl Pour {
    /// Moves the body. Dropped half-way, or after an error, it leaves nothing.
    pub(super) async fn run(self) -> Result<(), Error> {
        let Self { mut body, into, tail } = self;
        let mut source = body.source().ok_or_else(closed)?;
        let mut sink = into.into_sink().ok_or_else(closed)?;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let mut rest = (&mut source).take(CHUNK_BYTES as u64);
            while rest.read_buf(&mut chunk).await.map_err(unread)? > 0 {}
            let ended = chunk.len() < CHUNK_BYTES;
            if !chunk.is_empty() {
                sink.write(chunk).await?;
            }
            if ended {
                break;
            }
        }
        if !tail.is_empty() {
            sink.write(tail).await?;
        }
        Ok(sink.finish().await?)
    }
}

/// An open file: its description, and a body to be read as any [`AsyncRead`].
///
/// A body that ends before its length, or goes on after it, is an error and
/// never passes for the whole.
pub struct Download {
    info: FileInfo,
    offset: u64,
    length: u64,
    left: u64,
    body: Reader,
}

impl Download {
    pub(super) fn new(info: FileInfo, offset: u64, length: u64, body: Reader) -> Self {
        Self { info, offset, length, left: length, body }
    }

    /// The file that this is the body of, or a part.
    #[must_use]
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// Where the body begins in the file: 0 unless a range was asked for.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes the body has.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads the rest of the body into memory.
    ///
    /// # Errors
    ///
    /// When it cannot be read to its end, or does not fit.
    pub async fn bytes(mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let room = usize::try_from(self.left).ok().and_then(|left| bytes.try_reserve(left).ok());
        if room.is_none() {
            let text = format!("a body of {} bytes does not fit in memory", self.left);
            return Err(Contract::Unavailable(text).into());
        }
        self.read_to_end(&mut bytes).await.map_err(unread)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { info, offset, length, left, body: _ } = self;
        f.debug_struct("Download")
            .field("info", info)
            .field("offset", offset)
            .field("length", length)
            .field("left", left)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Download {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let Some(source) = self.body.source() else { return Poll::Ready(Ok(())) };
        ready!(source.poll_read(context, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        let Some(left) = self.left.checked_sub(read) else {
            return Poll::Ready(Err(io::Error::other("the body is longer than its file")));
        };
        if read == 0 && left > 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.left = left;
        Poll::Ready(Ok(()))
    }
}
