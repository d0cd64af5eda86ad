//! Bodies on their way from the server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::body::SdkBody;
use bytes::{Buf, Bytes};
use http_body::Body as _;
use stheno_contracts::Error;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::failure::late;

/// A body that has as many bytes as the server said, or fails.
pub(super) struct Download {
    body: SdkBody,
    chunk: Bytes,
    left: u64,
    /// The deadline of the piece that is waited for. A reader may take its time
    /// in between.
    waiting: Option<Pin<Box<Sleep>>>,
    timeout: Duration,
    place: String,
    _permit: OwnedSemaphorePermit,
}

impl Download {
    pub(super) fn new(
        body: ByteStream,
        length: u64,
        timeout: Duration,
        place: &str,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            body: body.into_inner(),
            chunk: Bytes::new(),
            left: length,
            waiting: None,
            timeout,
            place: place.to_owned(),
            _permit: permit,
        }
    }

    /// The next piece; an empty one is the end.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                let timeout = self.timeout;
                let deadline = || Box::pin(tokio::time::sleep_until(Instant::now() + timeout));
                let waiting = self.waiting.get_or_insert_with(deadline);
                ready!(waiting.as_mut().poll(context));
                return Poll::Ready(Err(late(&self.place)));
            };
            self.waiting = None;
            let broken = || {
                Error::Unavailable(format!("the server of {} broke off within a body", self.place))
            };
            let Some(frame) = frame else {
                let whole = if self.left == 0 { Ok(Bytes::new()) } else { Err(broken()) };
                return Poll::Ready(whole);
            };
            // What else there may be is no part of the body.
            let Ok(chunk) = frame.map_err(|_| broken())?.into_data() else { continue };
            let Some(left) = self.left.checked_sub(chunk.len() as u64) else {
                return Poll::Ready(Err(broken()));
            };
            self.left = left;
            if !chunk.is_empty() {
                return Poll::Ready(Ok(chunk));
            }
        }
    }
}

impl AsyncRead for Download {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.chunk.is_empty() {
            self.chunk = ready!(self.poll_chunk(context)).map_err(io::Error::other)?;
        }
        let taken = self.chunk.len().min(buffer.remaining());
        buffer.put_slice(self.chunk.get(..taken).unwrap_or_default());
        self.chunk.advance(taken);
        Poll::Ready(Ok(()))
    }
}
