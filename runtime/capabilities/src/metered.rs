//! Connections on which is watched how large answers are, before anything holds
//! them in memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An answer is larger than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl TooLarge {
    /// How the error is known again once it has gone through a client.
    pub(crate) const TEXT: &'static str = "a reply is larger than max_bytes";
}

/// What knows how large answers are from the bytes that come in.
pub(crate) trait Meter {
    /// Takes the next bytes.
    fn see(&mut self, new: &[u8]) -> Result<(), TooLarge>;
}

/// A connection whose answers are measured.
pub(crate) struct Metered<S, M> {
    stream: S,
    meter: M,
    received: Arc<AtomicU64>,
}

impl<S, M> Metered<S, M> {
    /// `received` counts the bytes that have come in.
    pub(crate) fn new(stream: S, meter: M, received: Arc<AtomicU64>) -> Self {
        Self { stream, meter, received }
    }
}

impl<S: AsyncRead + Unpin, M: Meter + Unpin> AsyncRead for Metered<S, M> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        self.received.fetch_add(new.len() as u64, Ordering::Relaxed);
        Poll::Ready(self.meter.see(new).map_err(|TooLarge| io::Error::other(TooLarge::TEXT)))
    }
}

impl<S: AsyncWrite + Unpin, M: Unpin> AsyncWrite for Metered<S, M> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
