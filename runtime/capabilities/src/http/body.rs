//! Bodies on their way, piece by piece, and what ends them.
//!
//! An exchange is one request and its response. It ends when the guest lets go
//! of the response, when its call ends, or when a limit is met; whatever the
//! reason, both bodies end with it, and so does its place among the requests in
//! flight.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, WasiBody};

use super::scan::{Leak, Scan};

/// One request and its response.
pub(super) struct Exchange(Mutex<State>);

struct State {
    ended: bool,
    /// Held for as long as the exchange counts.
    permit: Option<OwnedSemaphorePermit>,
    /// Its end ends the body of the request.
    request: Option<oneshot::Sender<()>>,
    response: Option<Arriving>,
}

/// The body of a response as it arrives.
pub(super) struct Arriving {
    pub(super) incoming: Incoming,
    pub(super) scan: Option<Scan>,
    /// How many bytes may still come.
    pub(super) left: u64,
    /// When all of it must be here.
    pub(super) deadline: Pin<Box<Sleep>>,
    /// How long the next piece may take, if the guest said so.
    pub(super) between: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Exchange {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (request, ended) = oneshot::channel();
        let state =
            State { ended: false, permit: Some(permit), request: Some(request), response: None };
        (Arc::new(Self(Mutex::new(state))), ended)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it, wherever it stands.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        let ended = (state.permit.take(), state.request.take(), state.response.take());
        // What they let go of is nothing to hold the lock for.
        drop(state);
        drop(ended);
    }

    /// The response's body, unless the exchange has ended meanwhile.
    pub(super) fn respond(self: Arc<Self>, arriving: Arriving) -> ResponseBody {
        let mut state = self.state();
        if !state.ended {
            state.response = Some(arriving);
        }
        drop(state);
        ResponseBody { exchange: self, done: false, on_leak: None }
    }
}

/// So long a body is read on for that nobody sends.
const READ_ON: Duration = Duration::from_millis(100);

/// The body of a request, lent to what sends it: what that drops is still here.
///
/// A request that comes to nothing comes to it at once, mostly before its body is
/// written, and a guest that finds its body closed takes that for a fault of the host:
/// JavaScript's engine ends with it, before `fetch` could reject. So where there is no
/// response what the guest still writes is read and thrown away, for a moment.
pub(super) struct Lent(Arc<Mutex<WasiBody>>);

/// The other end of a [`Lent`] body.
pub(super) struct Lender(Arc<Mutex<WasiBody>>);

pub(super) fn lend(body: WasiBody) -> (Lent, Lender) {
    let body = Arc::new(Mutex::new(body));
    (Lent(Arc::clone(&body)), Lender(body))
}

impl Lender {
    /// Reads the rest, once nobody sends it any more.
    pub(super) async fn read_on(self) {
        let mut rest = Lent(self.0);
        let read = async { while let Some(Ok(_)) = rest.frame().await {} };
        // However it ends, the guest is told what became of its request.
        let _ = tokio::time::timeout(READ_ON, read).await;
    }
}

impl Lent {
    fn body(&self) -> MutexGuard<'_, WasiBody> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut *self.body()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}

/// What the guest reads. Dropping it ends the exchange.
pub(super) struct ResponseBody {
    exchange: Arc<Exchange>,
    done: bool,
    /// Told when a secret was found.
    pub(super) on_leak: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.exchange.end();
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.done {
            return Poll::Ready(None);
        }
        let frame = {
            let mut state = self.exchange.state();
            match state.response.as_mut() {
                Some(arriving) => ready!(arriving.poll(context)),
                None => Some(Err(Stop::Error(Error::ConnectionTerminated))),
            }
        };
        let frame = match frame {
            Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
            None => None,
            Some(Err(Stop::Last(bytes))) => Some(Ok(Frame::data(bytes))),
            Some(Err(Stop::Error(error))) => Some(Err(error)),
            Some(Err(Stop::Leak)) => {
                if let Some(tell) = self.on_leak.take() {
                    tell();
                }
                Some(Err(leaked()))
            }
        };
        self.done = true;
        self.exchange.end();
        Poll::Ready(frame)
    }
}

/// What a guest is told of a response that has a secret in it.
pub(super) fn leaked() -> Error {
    Error::InternalError(Some("the response has a secret in it and was refused".to_owned()))
}

/// After this there is nothing.
enum Stop {
    Error(Error),
    Leak,
    Last(Bytes),
}

impl From<Leak> for Stop {
    fn from(Leak: Leak) -> Self {
        Self::Leak
    }
}

impl Arriving {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Stop>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) else {
                return self.wait(context).map(|error| Some(Err(Stop::Error(error))));
            };
            // Data that is always there must not outrun the clock.
            if Instant::now() >= self.deadline.deadline() {
                return Poll::Ready(Some(Err(Stop::Error(Error::HttpResponseTimeout))));
            }
            if let Some((pause, timer)) = &mut self.between {
                timer.as_mut().reset(Instant::now() + *pause);
            }
            return Poll::Ready(match frame {
                None => match self.scan.as_mut().map(Scan::rest) {
                    Some(rest) if !rest.is_empty() => Some(Err(Stop::Last(rest))),
                    _ => None,
                },
                Some(Err(error)) => Some(Err(Stop::Error(error.into()))),
                Some(Ok(frame)) => match self.take(frame) {
                    // All of the piece is held back.
                    Ok(frame) if frame.data_ref().is_some_and(Bytes::is_empty) => continue,
                    taken => Some(taken),
                },
            });
        }
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        if self.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Error::HttpResponseTimeout);
        }
        match &mut self.between {
            Some((_, timer)) => timer.as_mut().poll(context).map(|()| Error::ConnectionReadTimeout),
            None => Poll::Pending,
        }
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Stop> {
        let piece = match frame.into_data() {
            Ok(piece) => piece,
            // No trailers: what was held back would have to go before them.
            Err(_) => return Ok(Frame::data(Bytes::new())),
        };
        self.left = self
            .left
            .checked_sub(piece.len() as u64)
            .ok_or(Stop::Error(Error::HttpResponseBodySize(None)))?;
        Ok(Frame::data(match &mut self.scan {
            Some(scan) => scan.pass(piece)?,
            None => piece,
        }))
    }
}

/// The body of a request as the guest writes it.
pub(super) struct RequestBody {
    pub(super) inner: WasiBody,
    /// How many bytes may still go.
    pub(super) left: u64,
    pub(super) ended: oneshot::Receiver<()>,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if Pin::new(&mut self.ended).poll(context).is_ready() {
            return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(piece) = frame.data_ref()
        {
            match self.left.checked_sub(piece.len() as u64) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err(Error::HttpRequestBodySize(None)))),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
