//! An entry as it stands under its key:
//!
//! | bytes | |
//! |---|---|
//! | 1 | the format, `1` |
//! | 1 | flags: 1, the value is compressed; 2, it stands elsewhere |
//! | 8 | when the entry ends, in milliseconds since 1970 |
//! | 2 | the length of its key, which follows |
//! | 1 | how many tags, of which each has its name (24 bytes) and the list (16) in which the entry stands |
//! | | the value; elsewhere: the id of its parts (16 bytes) and its length (4) |
//!
//! Numbers are little-endian. A server takes 1 MiB in one item and the contract
//! takes 8, so a value that is too large is cut, and its parts stand under an id that
//! is new with each set: a part is there or not, and is never one of another value.

use crate::names::{Id, Name};

/// The most bytes of a value in one item, and of one part. Two items of it fill a
/// page of the server, which is 1 MiB; an item that is a little larger wastes half of
/// one.
pub(crate) const PART: usize = 500 << 10;

/// The most bytes in all parts of one value: the contract's, and what compressing can
/// not make smaller.
const MAX_PARTS: usize = packing::MAX_VALUE.div_ceil(PART);

const FORMAT: u8 = b'1';
const COMPRESSED: u8 = 1;
const ELSEWHERE: u8 = 2;

/// That an entry stands in a list of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bond {
    pub(crate) tag: Name,
    pub(crate) list: Id,
}

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    compressed: bool,
    bytes: Vec<u8>,
}

impl Packed {
    pub(crate) fn new(value: Vec<u8>, compress_above: usize) -> Self {
        match packing::pack(&value, compress_above) {
            Some(bytes) => Self { compressed: true, bytes },
            None => Self { compressed: false, bytes: value },
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Its parts, if it is too large for one item.
    pub(crate) fn parts(&self) -> Option<impl Iterator<Item = &[u8]>> {
        (self.bytes.len() > PART).then(|| self.bytes.chunks(PART))
    }
}

/// Writes an entry; `parts` says where its value stands if it is cut.
pub(crate) fn write(
    end_ms: u64,
    key: &str,
    bonds: &[Bond],
    value: &Packed,
    parts: Option<Id>,
) -> Vec<u8> {
    let mut entry = Vec::with_capacity(64 + key.len() + 40 * bonds.len() + value.len().min(PART));
    let compressed = if value.compressed { COMPRESSED } else { 0 };
    entry.extend([FORMAT, compressed | if parts.is_some() { ELSEWHERE } else { 0 }]);
    entry.extend(end_ms.to_le_bytes());
    // Both bounds are the contract's, which the host has checked.
    entry.extend(u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
    entry.extend(key.as_bytes());
    entry.push(u8::try_from(bonds.len()).unwrap_or(u8::MAX));
    for Bond { tag, list } in bonds {
        entry.extend(tag.0);
        entry.extend(list.0);
    }
    match parts {
        None => entry.extend(&value.bytes),
        Some(id) => {
            entry.extend(id.0);
            entry.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
    }
    entry
}

/// An entry as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: String,
    pub(crate) bonds: Vec<Bond>,
    pub(crate) stands: Stands,
    end_ms: u64,
    compressed: bool,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stands {
    Here(Vec<u8>),
    Elsewhere { id: Id, length: usize },
}

impl Found {
    /// None if somebody else wrote it.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (&[FORMAT, flags], bytes) = bytes.split_first_chunk()? else { return None };
        if flags & !(COMPRESSED | ELSEWHERE) != 0 {
            return None;
        }
        let (end_ms, bytes) = bytes.split_first_chunk()?;
        let (length, bytes) = bytes.split_first_chunk()?;
        let (key, bytes) = bytes.split_at_checked(u16::from_le_bytes(*length).into())?;
        let (count, mut bytes) = bytes.split_first()?;
        let mut bonds = Vec::with_capacity((*count).into());
        for _ in 0..*count {
            let (tag, rest) = bytes.split_first_chunk()?;
            let (list, rest) = rest.split_first_chunk()?;
            bonds.push(Bond { tag: Name(*tag), list: Id(*list) });
            bytes = rest;
        }
        let stands = if flags & ELSEWHERE == 0 {
            Stands::Here(bytes.to_vec())
        } else {
            let (id, length) = bytes.split_first_chunk()?;
            let length = u32::from_le_bytes(length.try_into().ok()?);
            let length = usize::try_from(length).ok()?;
            if length.div_ceil(PART) > MAX_PARTS {
                return None;
            }
            Stands::Elsewhere { id: Id(*id), length }
        };
        Some(Self {
            key: std::str::from_utf8(key).ok()?.to_owned(),
            bonds,
            stands,
            end_ms: u64::from_le_bytes(*end_ms),
            compressed: flags & COMPRESSED != 0,
        })
    }

    pub(crate) fn is_alive(&self, now_ms: u64) -> bool {
        now_ms < self.end_ms
    }

    /// The value of an entry that stands in one item, or whose parts were put
    /// together; none if it cannot be that.
    pub(crate) fn value(self) -> Option<Vec<u8>> {
        match self.stands {
            Stands::Here(bytes) if self.compressed => packing::unpack(&bytes),
            Stands::Here(bytes) => Some(bytes),
            Stands::Elsewhere { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bonds() -> impl Strategy<Value = Vec<Bond>> {
        let bond = (any::<[u8; 24]>(), any::<[u8; 16]>())
            .prop_map(|(tag, list)| Bond { tag: Name(tag), list: Id(list) });
        prop::collection::vec(bond, 0..65)
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(
            end_ms: u64,
            key in "\\PC{1,300}",
            bonds in bonds(),
            value in prop::collection::vec(0..4_u8, 0..2_000),
            compress_above in 0..2_000_usize,
        ) {
            let packed = Packed::new(value.clone(), compress_above);
            let found = Found::read(&write(end_ms, &key, &bonds, &packed, None)).unwrap();
            prop_assert_eq!((&found.key, &found.bonds, found.end_ms), (&key, &bonds, end_ms));
            prop_assert_eq!(found.value(), Some(value));
            let id = Id::new(1, 2);
            let mut found = Found::read(&write(end_ms, &key, &bonds, &packed, Some(id))).unwrap();
            let elsewhere = Stands::Elsewhere { id, length: packed.len() };
            prop_assert_eq!(&found.stands, &elsewhere);
            found.stands = Stands::Here(packed.bytes.clone());
            prop_assert!(found.value().is_some());
        }

        #[test]
        fn a_beginning_of_an_entry_is_none_or_one_with_less_of_a_value(
            key in "\\PC{1,30}",
            bonds in bonds(),
            cut: prop::sample::Index,
        ) {
            let packed = Packed::new(Vec::new(), 10);
            let whole = write(1, &key, &bonds, &packed, None);
            prop_assert_eq!(Found::read(&whole[..cut.index(whole.len())]), None);
        }

        #[test]
        fn bytes_of_somebody_else_are_no_entry_or_some_value_and_never_a_trap(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            flags in 0..4_u8,
        ) {
            let ours = [&[FORMAT, flags], &bytes[..]].concat();
            for bytes in [bytes, ours] {
                if let Some(found) = Found::read(&bytes) {
                    found.value();
                }
            }
        }
    }

    #[test]
    fn an_entry_is_alive_up_to_its_end() {
        let entry = write(1_000, "k", &[], &Packed::new(vec![1], 10), None);
        let found = Found::read(&entry).unwrap();
        assert!(found.is_alive(999) && !found.is_alive(1_000));
    }

    #[test]
    fn what_is_too_large_for_an_item_is_cut_and_nothing_is_lost() {
        let value: Vec<u8> = (0..packing::MAX_VALUE).map(|at| (at % 251) as u8).collect();
        let packed = Packed::new(value.clone(), usize::MAX);
        let parts: Vec<_> = packed.parts().unwrap().collect();
        assert_eq!(parts.len(), MAX_PARTS);
        assert!(parts.concat() == value);
        assert!(Packed::new(vec![7; PART], usize::MAX).parts().is_none());
        assert!(Packed::new(vec![7; PART + 1], usize::MAX).parts().is_some());
        assert!(Packed::new(vec![7; PART + 1], 0).parts().is_none(), "it is small enough packed");
    }

    #[test]
    fn no_more_parts_are_asked_for_than_a_value_has() {
        let packed = Packed::new(Vec::new(), 10);
        let mut entry = write(1, "k", &[], &packed, Some(Id::new(1, 2)));
        let length = entry.len() - 4;
        entry[length..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Found::read(&entry), None);
    }
}
