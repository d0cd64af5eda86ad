//! Files being read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::JoinHandle;

use super::CHUNK_BYTES;
use super::path::Below;

/// Opens a regular file, and gives its size.
pub(super) fn regular(dir: &Dir, below: &Below) -> io::Result<(File, u64)> {
    // Opening a named pipe would wait for whoever writes to it.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut options = OpenOptions::new();
    let file = dir.open_with(below.as_path(), options.read(true).custom_flags(flags))?.into_std();
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata.len()))
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The size of a file and at most `max` of its last bytes.
pub(super) fn ending(dir: &Dir, below: &Below, max: u32) -> io::Result<(u64, Vec<u8>)> {
    let (file, size) = regular(dir, below)?;
    let length = size.min(u64::from(max));
    let bytes = read(&file, size - length, length as usize, Vec::new())?;
    Ok((size, bytes))
}

fn read(file: &File, offset: u64, length: usize, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
    buffer.resize(length, 0);
    file.read_exact_at(&mut buffer, offset)?;
    Ok(buffer)
}

/// A part of a file. The next chunk is read while the last one is handed out.
pub(super) struct FileSource {
    file: Arc<File>,
    /// Where the next chunk begins, and where the part ends.
    next: u64,
    end: u64,
    chunk: Vec<u8>,
    /// How much of the chunk was handed out.
    used: usize,
    /// A buffer to use again.
    spare: Vec<u8>,
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl FileSource {
    pub(super) fn new(file: File, offset: u64, end: u64) -> Self {
        Self {
            file: Arc::new(file),
            next: offset,
            end,
            chunk: Vec::new(),
            used: 0,
            spare: Vec::new(),
            reading: None,
        }
    }

    /// Has the next chunk read, if there is one.
    fn read_ahead(&mut self) {
        let left = self.end - self.next;
        if left == 0 || self.reading.is_some() {
            return;
        }
        let length = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let (file, offset) = (Arc::clone(&self.file), self.next);
        let buffer = std::mem::take(&mut self.spare);
        self.next += length as u64;
        self.reading =
            Some(tokio::task::spawn_blocking(move || read(&file, offset, length, buffer)));
    }
}

impl AsyncRead for FileSource {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.used == self.chunk.len() {
            self.read_ahead();
            let Some(reading) = &mut self.reading else { return Poll::Ready(Ok(())) };
            let read = ready!(Pin::new(reading).poll(context));
            self.reading = None;
            self.spare = std::mem::replace(&mut self.chunk, read.map_err(io::Error::other)??);
            self.used = 0;
            self.read_ahead();
        }
        let rest = self.chunk.get(self.used..).unwrap_or_default();
        let taken = rest.get(..rest.len().min(buffer.remaining())).unwrap_or_default();
        buffer.put_slice(taken);
        let taken = taken.len();
        self.used += taken;
        Poll::Ready(Ok(()))
    }
}
