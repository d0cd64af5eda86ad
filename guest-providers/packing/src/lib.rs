//! What the caches on servers have in common: a value in fewer bytes.
//!
//! It is no component of its own. A packed value is its length in 4 bytes,
//! little-endian, and a block of LZ4. That it is packed says who stores it.

use lz4_flex::block;

/// The largest value that the cache's contract knows; no more is made room for.
pub const MAX_VALUE: usize = 8 << 20;

/// The value packed, if it is larger than so many bytes and gets smaller by it.
#[must_use]
pub fn pack(value: &[u8], above: usize) -> Option<Vec<u8>> {
    let packed = (value.len() > above).then(|| block::compress_prepend_size(value));
    // What does not get smaller only costs time when it is read.
    packed.filter(|packed| packed.len() < value.len())
}

/// The value that was packed; none if that cannot be.
#[must_use]
pub fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let (length, packed) = block::uncompressed_size(packed).ok()?;
    if length > MAX_VALUE {
        return None;
    }
    let value = block::decompress(packed, length).ok()?;
    (value.len() == length).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_unpacked_is_what_was_packed(
            value in prop::collection::vec(0..4_u8, 0..2_000),
            above in 0..2_000_usize,
        ) {
            if let Some(packed) = pack(&value, above) {
                prop_assert!(value.len() > above && packed.len() < value.len());
                prop_assert_eq!(unpack(&packed), Some(value));
            }
        }

        #[test]
        fn bytes_of_somebody_else_are_nothing_or_some_value_and_never_a_trap(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = unpack(&bytes);
        }
    }

    #[test]
    fn only_what_is_large_and_gets_smaller_is_packed() {
        let same = vec![7; 1_000];
        assert!(pack(&same, 999).unwrap().len() < 100);
        assert_eq!(pack(&same, 1_000), None);
        let different: Vec<u8> = (0..=255).collect();
        assert_eq!(pack(&different, 0), None);
    }

    #[test]
    fn a_length_that_is_a_lie_makes_no_room_for_it() {
        let mut packed = pack(&[7; 1_000], 0).unwrap();
        packed[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(unpack(&packed), None);
    }
}
