//! A part of a body, in memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use memmap2::MmapMut;
use stheno_config::ObjectsMaxSize;
use stheno_contracts::Error;

use crate::HostBytes;
use crate::streams::Held;

/// The least that S3 takes as a part that is not the last, and the most parts.
const PART_BYTES: u64 = 5 << 20;
const MOST_PARTS: u64 = 10_000;

/// How large the parts are, so that the largest body has not too many. All of
/// one body are alike, which some servers want.
pub(super) fn part_bytes(most: ObjectsMaxSize) -> usize {
    let bytes = most.get().as_u64().div_ceil(MOST_PARTS).max(PART_BYTES);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A part that is being filled, on the account of a provider.
///
/// It is a map of its own: its pages come as they are written to, and go back to the
/// system with the part. From the allocator they would not: parts of a few bodies, or
/// bodies that were kept as the chunks in which they came, cost the process twice what
/// is held of them.
pub(super) struct Filling {
    size: usize,
    account: HostBytes,
    held: Held,
    map: Option<MmapMut>,
    bytes: usize,
}

impl Filling {
    pub(super) fn new(size: usize, account: HostBytes) -> Self {
        let held = account.hold();
        Self { size, account, held, map: None, bytes: 0 }
    }

    /// How much still fits.
    pub(super) fn room(&self) -> usize {
        self.size.saturating_sub(self.bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds what fits, or nothing if the account would be overdrawn.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let full = |_| Error::Unavailable("the system has no memory for a part".into());
        let map = match self.map.take() {
            Some(map) => map,
            None => MmapMut::map_anon(self.size).map_err(full)?,
        };
        let map = self.map.insert(map);
        let end = self.bytes.saturating_add(bytes.len());
        let room = map.get_mut(self.bytes..end);
        let room = room.ok_or_else(|| Error::Internal("a part is longer than it may be".into()))?;
        self.held.grow(bytes.len() as u64)?;
        room.copy_from_slice(bytes);
        self.bytes = end;
        Ok(())
    }

    /// Takes the part out, whole as it is, and begins the next one.
    pub(super) fn part(&mut self) -> Part {
        let held = std::mem::replace(&mut self.held, self.account.hold());
        let filled = std::mem::take(&mut self.bytes);
        let bytes = match self.map.take() {
            Some(map) => Bytes::from_owner(map).slice(..filled),
            None => Bytes::new(),
        };
        Part { bytes, _held: Arc::new(held) }
    }
}

/// A part that is ready to be sent, as often as need be.
#[derive(Clone)]
pub(super) struct Part {
    bytes: Bytes,
    _held: Arc<Held>,
}

impl Part {
    pub(super) fn content_length(&self) -> i64 {
        i64::try_from(self.bytes.len()).unwrap_or(i64::MAX)
    }

    /// The body of a request. It holds what it was made of.
    pub(super) fn body(self) -> SdkBody {
        SdkBody::retryable(move || SdkBody::from_body_1_x(Whole(Some(self.clone()))))
    }
}

/// As a stream, so that the SDK does not read it once more to sign it.
struct Whole(Option<Part>);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|part| Ok(Frame::data(part.bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |part| part.bytes.len() as u64))
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
        filling.add(&[0; 80]).unwrap();
        let body = filling.part().body();
        let again = body.try_clone().unwrap();
        assert!(filling.add(&[0; 80]).is_err());
        assert_eq!((account.used(), filling.room()), (80, 80));
        drop(body);
        assert_eq!(account.used(), 80);
        drop(again);
        assert_eq!(account.used(), 0);
        filling.add(&[0; 80]).unwrap();
    }

    proptest! {
        #[test]
        fn a_part_is_what_was_put_into_it(
            sizes in proptest::collection::vec(0_usize..200_000, 0..12)
        ) {
            let mut filling = Filling::new(4 << 20, HostBytes::new(u64::MAX));
            let mut whole = Vec::new();
            for (at, size) in sizes.into_iter().enumerate() {
                let piece = vec![at as u8; size];
                whole.extend_from_slice(&piece);
                filling.add(&piece).unwrap();
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
