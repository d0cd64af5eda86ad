//! What the server says of a statement's types, before the client hears it.
//!
//! The client looks up each type that it does not know, and the types within that, one
//! lookup inside the other. Each table is a type and a migration may nest them as deep
//! as it likes, so a guest could overflow the stack of the host with that, which
//! nothing catches. The client has no bound to set, and no way to ask without it. So it
//! is never told of such a type: on their way in, descriptions get `unknown` in its
//! place, a type that the client takes for a text. What stood there is kept here, for
//! [`types`] to look up without recursion: a domain is the type that it restricts, and of
//! an array it is enough to know its elements.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Client;
use tokio_postgres::types::{Kind, Oid, Type};

/// How much is read at once.
const CHUNK: usize = 8 << 10;
/// The kind of a message, and its length.
const HEAD: usize = 5;

/// The types of the statement that was described last.
#[derive(Debug, Default, Clone)]
pub(super) struct Oids {
    pub(super) parameters: Vec<Oid>,
    pub(super) columns: Vec<Oid>,
}

/// Where those are told.
#[derive(Default, Clone)]
pub(super) struct Told(Arc<Mutex<Oids>>);

impl Told {
    pub(super) fn take(&self) -> Oids {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, tell: impl FnOnce(&mut Oids)) {
        tell(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A connection whose client hears of types that it knows, and of no other. How long a
/// message may be is for what it reads from to say.
pub(super) struct Described<S> {
    stream: S,
    chunk: Box<[u8]>,
    /// What the client may have.
    ready: BytesMut,
    /// The head of a message, or a description, as far as it has come.
    held: Vec<u8>,
    /// How much of the message is to come, once its head is there.
    left: Option<usize>,
    told: Told,
}

impl<S> Described<S> {
    pub(super) fn new(stream: S, told: Told) -> Self {
        Self {
            stream,
            chunk: vec![0; CHUNK].into(),
            ready: BytesMut::new(),
            held: Vec::new(),
            left: None,
            told,
        }
    }

    /// Takes the next bytes.
    fn see(&mut self, mut new: &[u8]) -> io::Result<()> {
        while !new.is_empty() {
            let Some(left) = self.left else {
                let (head, rest) = new.split_at(new.len().min(HEAD - self.held.len()));
                self.held.extend_from_slice(head);
                new = rest;
                if let [kind, length @ ..] = self.held.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    // The length counts itself.
                    let left = (u32::from_be_bytes(length) as usize).saturating_sub(4);
                    self.left = Some(left);
                    if !matches!(kind, b't' | b'T') {
                        self.ready.extend_from_slice(&self.held);
                        self.held.clear();
                    }
                    self.end_if(left == 0)?;
                }
                continue;
            };
            let (body, rest) = new.split_at(new.len().min(left));
            match self.held.is_empty() {
                true => self.ready.extend_from_slice(body),
                false => self.held.extend_from_slice(body),
            }
            new = rest;
            self.left = Some(left - body.len());
            self.end_if(left == body.len())?;
        }
        Ok(())
    }

    fn end_if(&mut self, ended: bool) -> io::Result<()> {
        if !ended {
            return Ok(());
        }
        self.left = None;
        let Some((kind, body)) = self.held.split_first_mut() else { return Ok(()) };
        let body = body.get_mut(HEAD - 1..).unwrap_or_default();
        let columns = *kind == b'T';
        let oids = replaced(body, columns)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a description is cut"))?;
        self.told.tell(|told| match columns {
            true => told.columns = oids,
            false => *told = Oids { parameters: oids, columns: Vec::new() },
        });
        self.ready.extend_from_slice(&self.held);
        self.held.clear();
        Ok(())
    }
}

/// Puts `unknown` for each type that the client does not know, and says what they were.
/// None if this is no description.
fn replaced(mut body: &mut [u8], columns: bool) -> Option<Vec<Oid>> {
    let mut oids = Vec::new();
    let count = u16::from_be_bytes(*body.split_off_mut(..2)?.first_chunk()?);
    for _ in 0..count {
        if columns {
            // The name, the table, and the number in it.
            let end = body.iter().position(|byte| *byte == 0)?;
            body.split_off_mut(..end + 1 + 4 + 2)?;
        }
        let place: &mut [u8; 4] = body.split_off_mut(..4)?.first_chunk_mut()?;
        let oid = Oid::from_be_bytes(*place);
        if Type::from_oid(oid).is_none() {
            *place = Type::UNKNOWN.oid().to_be_bytes();
        }
        oids.push(oid);
        if columns {
            // The size, what limits it, and the format.
            body.split_off_mut(..2 + 4 + 2)?;
        }
    }
    Some(oids)
}

impl<S: AsyncRead + Unpin> AsyncRead for Described<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.ready.is_empty() && buffer.remaining() > 0 {
            let mut chunk = std::mem::take(&mut this.chunk);
            let mut read = ReadBuf::new(&mut chunk);
            let polled = Pin::new(&mut this.stream).poll_read(context, &mut read);
            let seen = match &polled {
                Poll::Ready(Ok(())) if read.filled().is_empty() => None,
                Poll::Ready(Ok(())) => Some(this.see(read.filled())),
                _ => Some(Ok(())),
            };
            this.chunk = chunk;
            ready!(polled)?;
            match seen {
                // It has ended.
                None => return Poll::Ready(Ok(())),
                Some(seen) => seen?,
            }
        }
        let given = this.ready.len().min(buffer.remaining());
        buffer.put_slice(this.ready.get(..given).unwrap_or_default());
        this.ready.advance(given);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Described<S> {
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

/// What each of the types comes down to, through domains, and what the elements of
/// those come down to that are arrays.
const LOOK_UP: &str = "\
WITH RECURSIVE chain (described, oid, inside) AS ( \
  SELECT oid, oid, false FROM pg_catalog.pg_type WHERE oid = ANY ($1) \
  UNION \
  SELECT chain.described, CASE WHEN it.typtype = 'd' THEN it.typbasetype ELSE it.typelem END, \
         chain.inside OR it.typtype <> 'd' \
    FROM chain JOIN pg_catalog.pg_type AS it ON it.oid = chain.oid \
   WHERE it.typtype = 'd' \
      OR NOT chain.inside AND it.typcategory = 'A' AND it.typelem <> 0) \
SELECT chain.described, chain.oid, chain.inside, it.typname::text, it.typtype = 'e' \
  FROM chain JOIN pg_catalog.pg_type AS it ON it.oid = chain.oid \
 WHERE it.typtype <> 'd' \
 ORDER BY chain.inside";

/// The types, none of which has another one within but the elements of an array.
pub(super) async fn types(
    client: &Client,
    oids: &Oids,
) -> Result<(Vec<Type>, Vec<Type>), tokio_postgres::Error> {
    let all = oids.parameters.iter().chain(&oids.columns);
    let strange: Vec<Oid> = all.copied().filter(|oid| Type::from_oid(*oid).is_none()).collect();
    let mut known: HashMap<Oid, Type> = HashMap::new();
    if !strange.is_empty() {
        for row in client.query(LOOK_UP, &[&strange]).await? {
            let (described, oid): (Oid, Oid) = (row.try_get(0)?, row.try_get(1)?);
            let (inside, name): (bool, String) = (row.try_get(2)?, row.try_get(3)?);
            let kind = if row.try_get(4)? { Kind::Enum(Vec::new()) } else { Kind::Simple };
            let ty = Type::from_oid(oid);
            let ty = ty.unwrap_or_else(|| Type::new(name, oid, kind, String::new()));
            match known.get(&described) {
                // Elements come behind the array that has them.
                Some(array) if inside => {
                    // One that is built in knows its own.
                    if Type::from_oid(array.oid()).is_none() {
                        let name = array.name().to_owned();
                        let array = Type::new(name, array.oid(), Kind::Array(ty), String::new());
                        known.insert(described, array);
                    }
                }
                _ => {
                    known.insert(described, ty);
                }
            }
        }
    }
    let of = |oids: &[Oid]| {
        let of = |oid: &Oid| Type::from_oid(*oid).or_else(|| known.get(oid).cloned());
        // One that is gone in between stands for a text, as far as the server agrees.
        oids.iter().map(|oid| of(oid).unwrap_or(Type::UNKNOWN)).collect()
    };
    Ok((of(&oids.parameters), of(&oids.columns)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend((body.len() as u32 + 4).to_be_bytes());
        message.extend(body);
        message
    }

    fn parameters(oids: &[Oid]) -> Vec<u8> {
        let mut body = (oids.len() as u16).to_be_bytes().to_vec();
        body.extend(oids.iter().flat_map(|oid| oid.to_be_bytes()));
        message(b't', &body)
    }

    fn columns(oids: &[Oid]) -> Vec<u8> {
        let mut body = (oids.len() as u16).to_be_bytes().to_vec();
        for oid in oids {
            body.extend(b"name\0\0\0\0\x01\0\x02");
            body.extend(oid.to_be_bytes());
            body.extend([0, 8, 0, 0, 0, 0, 0, 1]);
        }
        message(b'T', &body)
    }

    fn known(oids: &[Oid]) -> Vec<Oid> {
        let known = |oid: &Oid| if Type::from_oid(*oid).is_some() { *oid } else { 705 };
        oids.iter().map(known).collect()
    }

    proptest! {
        #[test]
        fn the_client_hears_of_no_type_that_it_does_not_know(
            first in proptest::collection::vec(prop_oneof![0_u32..4_000, any::<u32>()], 0..8),
            second in proptest::collection::vec(prop_oneof![0_u32..4_000, any::<u32>()], 0..8),
            other in proptest::collection::vec(any::<u8>(), 0..40),
            cuts in proptest::collection::vec(1_usize..20, 1..20),
        ) {
            let between = message(b'D', &other);
            let sent = [parameters(&first), between.clone(), columns(&second), between.clone()];
            let heard = [parameters(&known(&first)), between.clone(), columns(&known(&second)), between];
            let told = Told::default();
            let mut described = Described::new(io::empty(), told.clone());
            let (sent, mut cuts) = (sent.concat(), cuts.iter().cycle());
            let mut rest = sent.as_slice();
            while !rest.is_empty() {
                let cut = (*cuts.next().unwrap()).min(rest.len());
                described.see(&rest[..cut]).unwrap();
                rest = &rest[cut..];
            }
            prop_assert_eq!(&described.ready[..], heard.concat());
            let told = told.take();
            prop_assert_eq!((told.parameters, told.columns), (first, second));
        }

        #[test]
        fn no_bytes_panic_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut body = bytes.clone();
            let _ = replaced(&mut body, true);
            let _ = Described::new(io::empty(), Told::default()).see(&bytes);
            let _ = Described::new(io::empty(), Told::default()).see(&message(b'T', &bytes));
        }
    }

    #[tokio::test]
    async fn all_is_read_in_its_order_and_to_its_end() {
        let mut sent = columns(&[23, 99_999]);
        sent.extend(message(b'D', &vec![7; 3 * CHUNK]));
        let mut heard = Vec::new();
        let mut described = Described::new(sent.as_slice(), Told::default());
        described.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard.len(), sent.len());
        assert!(heard.ends_with(&[7; 3 * CHUNK]) && heard.starts_with(&columns(&[23, 705])));
        // What is cut short is an error, and not passed on.
        let cut = message(b'T', b"\0\x01name");
        assert!(Described::new(cut.as_slice(), Told::default()).read_u8().await.is_err());
    }
}
