//! A private buffer for a body that a guest makes itself.
//!
//! Small bodies stay in memory; from [`MEMORY_BYTES`] on the body moves to an
//! unnamed temporary file, which the operating system removes with its last
//! handle, whatever happens to this process.

use std::fs::File;
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use stheno_contracts::Error;
use stheno_contracts::body::{Reader, Sink, Writer};
use tokio::io::{AsyncRead, ReadBuf};

use super::budget::{Held, HostBytes};

/// Where a spool leaves memory: large enough for most mails and documents,
/// small enough that a hundred spools are nothing.
const MEMORY_BYTES: usize = 256 * 1024;

/// What the two ends share: the finished body, once there is one.
type Slot = Arc<Mutex<State>>;

enum State {
    Writing,
    Finished(Body, Held),
    Discarded,
    Taken,
}

enum Body {
    Memory(Vec<u8>),
    File(File),
}

/// A new spool on the account of `host_bytes`.
pub(super) fn new(host_bytes: HostBytes) -> (Writer, Reader) {
    let slot: Slot = Arc::new(Mutex::new(State::Writing));
    let writer = SpoolSink {
        body: Some(Body::Memory(Vec::new())),
        held: Some(host_bytes.hold()),
        slot: Arc::clone(&slot),
    };
    (Writer::new(writer), Reader::new(SpoolSource { slot, open: None }))
}

struct SpoolSink {
    /// None after a write failed half-way: such a body cannot be finished.
    body: Option<Body>,
    held: Option<Held>,
    slot: Slot,
}

fn io_failed(error: std::io::Error) -> Error {
    Error::Unavailable(format!("the host cannot spool the body: {error}"))
}

fn broken() -> Error {
    Error::Conflict("an earlier write failed, so the body cannot be made whole".into())
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(io_failed),
        Err(stopped) => Err(Error::Unavailable(format!("the host is stopping: {stopped}"))),
    }
}

impl Sink for SpoolSink {
    fn write(
        &mut self,
        bytes: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + '_>> {
        Box::pin(async move {
            let held = self.held.as_mut().ok_or_else(broken)?;
            held.grow(bytes.len() as u64)?;
            let body = match self.body.take().ok_or_else(broken)? {
                Body::Memory(mut memory) if memory.len() + bytes.len() <= MEMORY_BYTES => {
                    memory.extend_from_slice(&bytes);
                    Body::Memory(memory)
                }
                Body::Memory(memory) => Body::File(
                    blocking(move || {
                        let mut file = tempfile::tempfile()?;
                        file.write_all(&memory)?;
                        file.write_all(&bytes)?;
                        Ok(file)
                    })
                    .await?,
                ),
                Body::File(mut file) => Body::File(
                    blocking(move || {
                        file.write_all(&bytes)?;
                        Ok(file)
                    })
                    .await?,
                ),
            };
            self.body = Some(body);
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> {
        Box::pin(async move {
            let mut body = self.body.take().ok_or_else(broken)?;
            if let Body::File(mut file) = body {
                body = Body::File(
                    blocking(move || {
                        file.seek(SeekFrom::Start(0))?;
                        Ok(file)
                    })
                    .await?,
                );
            }
            let held = self.held.take().ok_or_else(broken)?;
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = State::Finished(body, held);
            Ok(())
        })
    }
}

impl Drop for SpoolSink {
    fn drop(&mut self) {
        let mut state = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Writing) {
            *state = State::Discarded;
        }
    }
}

struct SpoolSource {
    slot: Slot,
    open: Option<(Open, Held)>,
}

enum Open {
    Memory(Cursor<Vec<u8>>),
    File(tokio::fs::File),
}

impl AsyncRead for SpoolSource {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.open.is_none() {
            let mut state = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            match std::mem::replace(&mut *state, State::Taken) {
                State::Finished(body, held) => {
                    drop(state);
                    let open = match body {
                        Body::Memory(memory) => Open::Memory(Cursor::new(memory)),
                        Body::File(file) => Open::File(file.into()),
                    };
                    self.open = Some((open, held));
                }
                unfinished => {
                    let text = match unfinished {
                        State::Discarded => "the writer was dropped, so there is no body",
                        _ => "the writer has not finished, so there is no body yet",
                    };
                    *state = unfinished;
                    let error = Error::Conflict(text.into());
                    return Poll::Ready(Err(std::io::Error::other(error)));
                }
            }
        }
        match &mut self.open {
            Some((Open::Memory(memory), _)) => Pin::new(memory).poll_read(context, buffer),
            Some((Open::File(file), _)) => Pin::new(file).poll_read(context, buffer),
            None => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn write(writer: &mut Writer, bytes: Vec<u8>) -> Result<(), Error> {
        writer.sink().unwrap().write(bytes).await
    }

    #[tokio::test]
    async fn a_body_of_any_size_comes_back_byte_for_byte() {
        for size in [0, 1, MEMORY_BYTES - 1, MEMORY_BYTES, MEMORY_BYTES + 1, 3 * MEMORY_BYTES + 7] {
            let account = HostBytes::new(1 << 30);
            let body: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let (mut writer, mut reader) = new(account.clone());
            for chunk in body.chunks(100_000) {
                write(&mut writer, chunk.to_vec()).await.unwrap();
            }
            writer.into_sink().unwrap().finish().await.unwrap();
            let mut back = Vec::new();
            reader.source().unwrap().read_to_end(&mut back).await.unwrap();
            assert!(back == body, "{size} bytes");
            assert_eq!(account.used(), size as u64);
            drop(reader);
            assert_eq!(account.used(), 0);
        }
    }

    #[tokio::test]
    async fn an_unfinished_or_discarded_body_cannot_be_read() {
        let (mut writer, mut reader) = new(HostBytes::new(100));
        write(&mut writer, b"half".to_vec()).await.unwrap();
        let read = reader.source().unwrap().read_u8().await.unwrap_err();
        assert!(matches!(super::super::typed(read), Error::Conflict(text) if text.contains("yet")));
        drop(writer);
        let read = reader.source().unwrap().read_u8().await.unwrap_err();
        assert!(
            matches!(super::super::typed(read), Error::Conflict(text) if text.contains("dropped"))
        );
    }

    #[tokio::test]
    async fn a_write_beyond_the_account_is_refused_and_the_body_stays_usable() {
        let (mut writer, mut reader) = new(HostBytes::new(10));
        write(&mut writer, vec![1; 8]).await.unwrap();
        assert!(matches!(write(&mut writer, vec![2; 8]).await, Err(Error::Unavailable(_))));
        writer.into_sink().unwrap().finish().await.unwrap();
        let mut back = Vec::new();
        reader.source().unwrap().read_to_end(&mut back).await.unwrap();
        assert_eq!(back, [1; 8]);
    }
}
