//! A part of a body, in memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_smithy_types::body::SdkBody;
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use stheno_config::ObjectsMaxSize;
use stheno_contracts::Error;

use crate::HostBytes;
use crate::streams::Held;

/// The least that S3 takes as a part that is not the last, and the most parts.
const PART_BYTES: u64 = 5 << 20;
const MOST_PARTS: u64 = 10_000;
/// Pieces that are smaller are put together: each costs a little by itself.
const PIECE_BYTES: usize = 64 << 10;

/// How large the parts are, so that the largest body has not too many. All of
/// one body are alike, which some servers want.
pub(super) fn part_bytes(most: ObjectsMaxSize) -> usize {
    let bytes = most.get().as_u64().div_ceil(MOST_PARTS).max(PART_BYTES);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A part that is being filled, on the account of a provider.
pub(super) struct Filling {
    size: usize,
    account: HostBytes,
    held: Held,
    pieces: Vec<Bytes>,
    small: BytesMut,
    bytes: usize,
}

impl Filling {
    pub(super) fn new(size: usize, account: HostBytes) -> Self {
        let held = account.hold();
        Self { size, account, held, pieces: Vec::new(), small: BytesMut::new(), bytes: 0 }
    }

    /// How much still fits.
    pub(super) fn room(&self) -> usize {
        self.size.saturating_sub(self.bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds what fits, or nothing if the account would be overdrawn.
    pub(super) fn add(&mut self, bytes: &Bytes) -> Result<(), Error> {
        self.held.grow(bytes.len() as u64)?;
        self.bytes += bytes.len();
        if bytes.len() < PIECE_BYTES {
            self.small.extend_from_slice(bytes);
            if self.small.len() >= PIECE_BYTES {
                self.pieces.push(self.small.split().freeze());
            }
        } else {
            if !self.small.is_empty() {
                self.pieces.push(self.small.split().freeze());
            }
            self.pieces.push(bytes.clone());
        }
        Ok(())
    }

    /// Takes the part out, whole as it is, and begins the next one.
    pub(super) fn part(&mut self) -> Part {
        if !self.small.is_empty() {
            self.pieces.push(self.small.split().freeze());
        }
        let held = std::mem::replace(&mut self.held, self.account.hold());
        let bytes = std::mem::take(&mut self.bytes) as u64;
        Part { pieces: std::mem::take(&mut self.pieces), bytes, held: Arc::new(held) }
    }
}

/// A part that is ready to be sent, as often as need be.
pub(super) struct Part {
    pieces: Vec<Bytes>,
    bytes: u64,
    held: Arc<Held>,
}

impl Part {
    pub(super) fn content_length(&self) -> i64 {
        i64::try_from(self.bytes).unwrap_or(i64::MAX)
    }

    /// The body of a request. It holds what it was made of.
    pub(super) fn body(self) -> SdkBody {
        let Self { pieces, bytes, held } = self;
        SdkBody::retryable(move || {
            let pieces = pieces.iter().cloned().collect();
            SdkBody::from_body_1_x(Pieces { pieces, bytes, _held: Arc::clone(&held) })
        })
    }
}

struct Pieces {
    pieces: VecDeque<Bytes>,
    bytes: u64,
    _held: Arc<Held>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.pieces.pop_front();
        self.bytes -= next.as_ref().map_or(0, |next| next.len() as u64);
        Poll::Ready(next.map(|next| Ok(Frame::data(next))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use proptest::prelude::*;
    use stheno_config::ByteSize;

    use super::*;

    #[test]
    fn the_largest_body_fits_into_the_parts_there_may_be() {
        for most in
            [ByteSize::kib(1), ByteSize::gib(16), ByteSize::gib(64), ByteSize::gib(5 * 1024)]
        {
            let part = part_bytes(ObjectsMaxSize::new(most).unwrap()) as u64;
            assert!(part >= PART_BYTES && part * MOST_PARTS >= most.as_u64(), "{most}");
        }
    }

    #[test]
    fn a_part_is_on_the_account_until_its_last_body_is_gone() {
        let account = HostBytes::new(100);
        let mut filling = Filling::new(80, account.clone());
        filling.add(&Bytes::from(vec![0; 80])).unwrap();
        let body = filling.part().body();
        let again = body.try_clone().unwrap();
        assert!(filling.add(&Bytes::from(vec![0; 80])).is_err());
        assert_eq!((account.used(), filling.room()), (80, 80));
        drop(body);
        assert_eq!(account.used(), 80);
        drop(again);
        assert_eq!(account.used(), 0);
        filling.add(&Bytes::from(vec![0; 80])).unwrap();
    }

    proptest! {
        #[test]
        fn a_part_is_what_was_put_into_it(
            sizes in proptest::collection::vec(0_usize..200_000, 0..12)
        ) {
            let mut filling = Filling::new(usize::MAX, HostBytes::new(u64::MAX));
            let mut whole = Vec::new();
            for (at, size) in sizes.into_iter().enumerate() {
                let piece = vec![at as u8; size];
                whole.extend_from_slice(&piece);
                filling.add(&Bytes::from(piece)).unwrap();
            }
            let part = filling.part();
            prop_assert_eq!(part.content_length(), whole.len() as i64);
            prop_assert!(filling.is_empty());
            let body = part.body();
            prop_assert_eq!(body.content_length(), Some(whole.len() as u64));
            let again = body.try_clone().unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for body in [body, again] {
                let read = runtime.block_on(body.collect()).unwrap().to_bytes();
                prop_assert_eq!(&read[..], &whole[..]);
            }
        }
    }
}
