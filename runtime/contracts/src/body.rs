//! What stands behind the handles of `stheno:host/streams`.
//!
//! Only the types are here, because the bindings name them; what they do on
//! behalf of a guest is the `streams` capability's.

use std::pin::Pin;

use tokio::io::AsyncRead;

use crate::Error;

/// A body being read. The host moves it between provider, store and caller
/// without looking inside.
pub struct Reader(Option<Pin<Box<dyn AsyncRead + Send>>>);

impl Reader {
    /// A body that comes from `source`.
    pub fn new(source: impl AsyncRead + Send + 'static) -> Self {
        Self(Some(Box::pin(source)))
    }

    /// The source; none once the handle was closed.
    pub fn source(&mut self) -> Option<Pin<&mut (dyn AsyncRead + Send + 'static)>> {
        self.0.as_mut().map(Pin::as_mut)
    }

    /// Lets go of the source, whatever it holds, and leaves an empty handle.
    pub fn close(&mut self) {
        self.0 = None;
    }
}

/// Where a written body goes.
pub trait Sink: Send {
    /// Takes all of `bytes` or fails.
    fn write(
        &mut self,
        bytes: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + '_>>;

    /// Makes the body whole and visible. Dropping the sink without this
    /// discards what was written.
    fn finish(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;
}

/// A body being written.
pub struct Writer(Option<Box<dyn Sink>>);

impl Writer {
    /// A body that goes to `sink`.
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self(Some(Box::new(sink)))
    }

    /// The sink; none once the handle was closed.
    pub fn sink(&mut self) -> Option<&mut Box<dyn Sink>> {
        self.0.as_mut()
    }

    /// Takes the sink out, to finish it.
    pub fn into_sink(self) -> Option<Box<dyn Sink>> {
        self.0
    }

    /// Discards what was written and leaves an empty handle.
    pub fn close(&mut self) {
        self.0 = None;
    }
}
