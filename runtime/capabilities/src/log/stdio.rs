//! Standard output and error, as log lines.
//!
//! What a guest prints has no lines of its own accord, so each instance
//! collects up to a line and writes it when it is whole or too long. A Rust
//! guest says why it panics here, just before it traps.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use stheno_contracts::host::log::Level;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::LINE_BYTES;
use crate::Shared;

/// One of the two streams of one instance.
#[derive(Clone)]
pub(crate) struct Stdio {
    shared: Arc<Shared>,
    level: Level,
    line: Arc<Mutex<Vec<u8>>>,
}

impl Stdio {
    pub(crate) fn new(shared: Arc<Shared>, level: Level) -> Self {
        Self { shared, level, line: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            // Beyond the longest line only the end of it is waited for.
            let room = (LINE_BYTES + 1).saturating_sub(line.len());
            line.extend(part.iter().take(room));
            if part.ends_with(b"\n") {
                let whole = std::mem::take(&mut *line);
                let text = String::from_utf8_lossy(&whole);
                let text = text.trim_end_matches('\n');
                if !text.is_empty() {
                    super::write(&self.shared, self.level, text);
                }
            }
        }
    }
}

impl Drop for Stdio {
    fn drop(&mut self) {
        // The last handle writes what had no end of line.
        if Arc::strong_count(&self.line) == 1 {
            self.take(b"\n");
        }
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Stdio {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Stdio {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
