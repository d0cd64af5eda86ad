//! An entry as it stands under its key:
//!
//! | bytes | |
//! |---|---|
//! | 1 | the format, `1` |
//! | 1 | how the value is written: `0` as it is, `1` compressed |
//! | 8 | when the entry ends, in milliseconds since 1970, little-endian |
//! | | each tag behind a byte 255, and one more 255 behind the last |
//! | 1 | a byte 254 |
//! | | the value; compressed: as `packing` has it |
//!
//! Neither 254 nor 255 is in any UTF-8, so a tag is found by looking for it between
//! two of them, here as well as in `sweep.lua`.

const FORMAT: u8 = b'1';
const PLAIN: u8 = b'0';
const COMPRESSED: u8 = b'1';
/// Where the tags begin.
const TAGS: usize = 10;
const TAG: u8 = 0xFF;
const VALUE: u8 = 0xFE;

/// Writes an entry.
pub(crate) fn write(end_ms: u64, tags: &[String], value: &[u8], compress_above: usize) -> Vec<u8> {
    let packed = packing::pack(value, compress_above);
    let (kind, body) = match &packed {
        Some(packed) => (COMPRESSED, packed.as_slice()),
        None => (PLAIN, value),
    };
    let names: usize = tags.iter().map(|tag| 1 + tag.len()).sum();
    let mut entry = Vec::with_capacity(TAGS + names + 2 + body.len());
    entry.extend([FORMAT, kind]);
    entry.extend(end_ms.to_le_bytes());
    if !tags.is_empty() {
        for tag in tags {
            entry.push(TAG);
            entry.extend(tag.as_bytes());
        }
        entry.push(TAG);
    }
    entry.push(VALUE);
    entry.extend(body);
    entry
}

/// A tag as it is looked for.
pub(crate) fn between(tag: &str) -> Vec<u8> {
    let mut between = Vec::with_capacity(tag.len() + 2);
    between.push(TAG);
    between.extend(tag.as_bytes());
    between.push(TAG);
    between
}

/// An entry as it was read. What is none was written by somebody else.
#[derive(Debug)]
pub(crate) struct Found {
    bytes: Vec<u8>,
    end_ms: u64,
    compressed: bool,
    /// Where the value begins.
    value: usize,
}

impl Found {
    pub(crate) fn read(bytes: Vec<u8>) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<TAGS>()?;
        let [FORMAT, kind @ (PLAIN | COMPRESSED), end @ ..] = *head else { return None };
        let value = TAGS + 1 + rest.iter().position(|byte| *byte == VALUE)?;
        Some(Self { end_ms: u64::from_le_bytes(end), compressed: kind == COMPRESSED, value, bytes })
    }

    pub(crate) fn is_alive(&self, now_ms: u64) -> bool {
        now_ms < self.end_ms
    }

    /// Whether it carries one of the tags.
    pub(crate) fn carries<T: AsRef<str>>(&self, tags: &[T]) -> bool {
        let own = self.bytes.get(TAGS..self.value - 1).unwrap_or_default();
        own.split(|byte| *byte == TAG)
            .filter(|own| !own.is_empty())
            .any(|own| tags.iter().any(|tag| tag.as_ref().as_bytes() == own))
    }

    /// The value; none if it cannot be that.
    pub(crate) fn value(mut self) -> Option<Vec<u8>> {
        if !self.compressed {
            self.bytes.drain(..self.value);
            return Some(self.bytes);
        }
        packing::unpack(self.bytes.get(self.value..)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn what_is_read_is_what_was_written(
            end_ms: u64,
            tags in prop::collection::vec(".{1,20}", 0..5),
            value in prop::collection::vec(0..4_u8, 0..2_000),
            compress_above in 0..2_000_usize,
        ) {
            let written = write(end_ms, &tags, &value, compress_above);
            prop_assert!(written.len() <= TAGS + 2 + value.len() + 81 * tags.len());
            let found = Found::read(written).unwrap();
            prop_assert_eq!(found.end_ms, end_ms);
            for tag in &tags {
                prop_assert!(found.carries(&[tag]));
                let longer = format!("{tag}x");
                prop_assert_eq!(found.carries(&[&longer]), tags.contains(&longer));
            }
            prop_assert!(!found.carries::<&str>(&[]));
            prop_assert_eq!(found.value(), Some(value));
        }

        #[test]
        fn bytes_of_somebody_else_are_no_entry_or_some_value_and_never_a_trap(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            as_ours: bool,
        ) {
            let mut bytes = bytes;
            if as_ours && bytes.len() > TAGS + 1 {
                bytes[..2].copy_from_slice(b"11");
                bytes[TAGS] = VALUE;
            }
            if let Some(found) = Found::read(bytes) {
                found.carries(&["t"]);
                found.value();
            }
        }
    }

    #[test]
    fn an_entry_is_alive_up_to_its_end() {
        let found = Found::read(write(1_000, &[], b"v", 10)).unwrap();
        assert!(found.is_alive(999) && !found.is_alive(1_000));
    }

    #[test]
    fn only_what_gets_smaller_is_compressed() {
        let same = vec![7; 1_000];
        assert!(write(0, &[], &same, 999).len() < 100);
        assert!(write(0, &[], &same, 1_000).len() > 1_000);
        let different: Vec<u8> = (0..=255).collect();
        assert_eq!(write(0, &[], &different, 0).len(), TAGS + 1 + 256);
    }

    #[test]
    fn a_length_that_is_a_lie_makes_no_room_for_it() {
        let mut entry = write(0, &[], &[7; 1_000], 0);
        entry[TAGS + 1..TAGS + 5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Found::read(entry).unwrap().value(), None);
    }
}
